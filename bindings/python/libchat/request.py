"""The request with which a client connected, and what programs read of one."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Optional
from urllib.parse import unquote_to_bytes


@dataclass(frozen=True)
class Request:
    """The request with which a client connected."""

    addr: str  #: The client's address and port.
    path: str  #: The path as it was sent, percent-encoded, without the query.
    query: str  #: The query as it was sent, without the question mark.
    headers: Mapping[str, str] = field(default_factory=dict)  #: The first value of each, names in lower case.
    header_list: tuple[tuple[str, str], ...] = ()  #: All headers in the order sent, names in lower case.

    def query_value(self, name: str) -> Optional[str]:
        """Returns the first value of a parameter of the query, decoded as browsers encode it: `+` is a space, and `%`
        with two hexadecimal digits is a byte. A `%` without them stays as it is. A parameter without `=` has an empty
        value. None if there is no such parameter, or its first value is not UTF-8. The name is compared as it is after
        decoding: upper and lower case differ."""
        wanted = name.encode("utf-8", "surrogatepass")
        for pair in filter(None, self.query.split("&")):
            key, _, value = pair.partition("=")
            if _decoded(key) == wanted:
                return _text(_decoded(value))
        return None

    def cookie(self, name: str) -> Optional[str]:
        """Returns the value of a cookie (RFC 6265, 4.2), the first one if several have the name, in whichever Cookie
        header it is. Quotes belong to the value, as in browsers, and nothing is decoded. None if there is no such
        cookie, or its first value is not UTF-8. Upper and lower case differ in the name."""
        for line in self._all("cookie"):
            for cookie in line.split(";"):
                key, found, value = cookie.partition("=")
                if found and name and key.strip(" \t") == name:
                    return _text(_sent(value.strip(" \t")))
        return None

    def bearer(self) -> Optional[str]:
        """Returns the token of `Authorization: Bearer TOKEN` (RFC 6750, 2.1): visible ASCII without spaces, which is
        more than the RFC lets tokens be. Upper and lower case are the same in `Bearer`. None for another scheme or
        another form, and if the header is there several times: a proxy in front may have checked another one."""
        lines = list(self._all("authorization"))
        scheme, _, token = lines[0].strip(" \t").partition(" ") if len(lines) == 1 else ("", "", "")
        token = token.lstrip(" ")
        is_token = token and all("!" <= char <= "~" for char in token)
        return token if is_token and scheme.lower() == "bearer" else None

    def _all(self, name: str) -> Iterator[str]:
        return (value for key, value in self.header_list if key == name)


def _decoded(part: str) -> bytes:
    return unquote_to_bytes(_sent(part.replace("+", " ")))


def _sent(text: str) -> bytes:
    """Returns the bytes that a text of a request was made of."""
    return text.encode("utf-8", "surrogateescape")


def _text(value: bytes) -> Optional[str]:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return None
