"""The C library and its declarations.

They are read from the C header, so that no second description of the ABI can differ from it.
"""

from __future__ import annotations

import contextlib
import os
import re
import sys
from pathlib import Path
from typing import Any, Callable

import cffi

_HERE = Path(__file__).resolve().parent
_NAME = "libchat.dylib" if sys.platform == "darwin" else "libchat.so"


def _find(name: str, variable: str, checkout: str) -> Path:
    # A package near the root, such as /app/libchat, has fewer folders above it.
    candidates = [_HERE / name, *(above / checkout for above in list(_HERE.parents)[2:3])]
    if given := os.environ.get(variable):
        candidates.insert(0, Path(given))
    for candidate in candidates:
        if candidate.is_file():
            # Absolute: the loader looks for a name without a folder in the system's folders.
            return candidate.resolve()
    raise ImportError(f"{name} is not beside the package; install the wheel, or set {variable} to its path")


def _declarations(header: str) -> str:
    """Returns the declarations of the header as C11, in the form that cffi reads."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    lines: list[str] = []
    taken = [True]
    for line in text.splitlines():
        directive = line.split(None, 1)[0] if line.startswith("#") else ""
        if directive.startswith("#if"):
            # Every `#if` of the header is true for C++, C23 or GNU C; every `#ifndef` is true without them.
            taken.append(directive == "#ifndef")
        elif directive == "#else":
            taken[-1] = not taken[-1]
        elif directive == "#endif":
            taken.pop()
        elif not directive and all(taken):
            lines.append(line)
    return re.sub(r"\bCHAT_(API|MUST_USE)\b", "", "\n".join(lines))


def _numbers(header: str) -> dict[str, int]:
    found = re.findall(r"^#define (CHAT_\w+) (\d+)$", header, flags=re.MULTILINE)
    return {name: int(number) for name, number in found}


HEADER = _find("libchat.h", "LIBCHAT_HEADER", "include/libchat.h").read_text(encoding="utf-8")
CONSTANTS = _numbers(HEADER)
WAIT_FOREVER = 2**32 - 1

ffi: Any = cffi.FFI()
ffi.cdef(_declarations(HEADER))
lib: Any = ffi.dlopen(str(_find(_NAME, "LIBCHAT_LIBRARY", f"target/shared/{_NAME}")))

# All that cffi looks up by name is looked up here, once. cffi does that under a lock of `threading`, which is one of
# greenlets in a patched program: two threads of the operating system that need it at once would wait for ever.
_TYPES: dict[str, Any] = {
    name: ffi.typeof(name)
    for name in (
        "char[]", "chat_client_id[]", "chat_error **", "chat_events **", "chat_header[]", "chat_history **",
        "chat_members **", "chat_message",
        "chat_message[]", "chat_position *", "chat_position[]", "chat_publish_options", "chat_publish_options *",
        "chat_room_name[]",
        "chat_server **", "chat_stats", "chat_stats *", "const char *", "const char **", "const uint8_t *", "size_t *",
        "uint32_t *", "uint32_t[]",
        "void(*)(void *, uint32_t, const char *, size_t)",
    )
}  # fmt: skip
_FUNCTIONS: dict[str, Any] = {}
for _name in dir(lib):
    # A library that is older than the header may lack one; the call of it says so.
    with contextlib.suppress(AttributeError):
        _FUNCTIONS[_name] = getattr(lib, _name)


def new(name: str, *initial: Any) -> Any:
    """Makes an object of one of the types above, which lives as long as the result."""
    return ffi.new(_TYPES[name], *initial)


def cast(name: str, value: Any) -> Any:
    """Returns a value as one of the types above."""
    return ffi.cast(_TYPES[name], value)


def sizeof(name: str) -> int:
    """Returns the size of one of the types above, in bytes."""
    return int(ffi.sizeof(_TYPES[name]))


def callback(name: str, function: Callable[..., None]) -> Any:
    """Returns a function of Python as one of the types above."""
    return ffi.callback(_TYPES[name], function)


def text(pointer: Any, length: int) -> str:
    """Returns a text of the library as str. All texts are UTF-8, except those of HTTP requests."""
    return bytes(ffi.buffer(pointer, length)).decode("utf-8", "surrogateescape")


def encoded(value: str, name: str) -> bytes:
    """Returns a text in the form in which the library gets it, which refuses a text that is no Unicode. `name` is the
    argument's."""
    if not isinstance(value, str):
        raise TypeError(f"{name}: {value!r:.40} is not a str")
    return value.encode("utf-8", "surrogatepass")


def parameters(function: Any) -> list[str]:
    """Returns the names of a function's parameters, as the header has them."""
    called = next((name for name, known in _FUNCTIONS.items() if known is function), "")
    declared = re.search(rf"\b{called}\(([^)]*)\);", HEADER) if called else None
    names = re.findall(r"(\w+)\s*(?:,|$)", declared[1]) if declared else []
    return [name for name in names if name != "void"]
