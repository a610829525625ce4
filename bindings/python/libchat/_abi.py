"""The C library, as its header declares it.

The header itself is read, so that no second description of the ABI can differ from it.
"""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any

import cffi

_HERE = Path(__file__).resolve().parent
_NAME = "libchat.dylib" if sys.platform == "darwin" else "libchat.so"


def _find(name: str, variable: str, checkout: str) -> Path:
    # A package that lies near the root, as in /app/libchat, has not so many folders above it.
    candidates = [_HERE / name, *(above / checkout for above in list(_HERE.parents)[2:3])]
    if given := os.environ.get(variable):
        candidates.insert(0, Path(given))
    for candidate in candidates:
        if candidate.is_file():
            return candidate
    raise ImportError(f"{name} is not beside the package; install the wheel, or set {variable} to its path")


def _declarations(header: str) -> str:
    """The header as a C compiler of C11 sees it, without what only a compiler understands."""
    text = re.sub(r"/\*.*?\*/", "", header, flags=re.DOTALL)
    lines: list[str] = []
    taken = [True]
    for line in text.splitlines():
        directive = line.split(None, 1)[0] if line.startswith("#") else ""
        if directive.startswith("#if"):
            # All conditions of the header ask for C++, C23 or GNU C; all `#ifndef`s for their lack.
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
lib: Any = ffi.dlopen(str(_find(_NAME, "LIBCHAT_LIBRARY", f"target/release/{_NAME}")))


def text(pointer: Any, length: int) -> str:
    """Text of the library's as Python's own. All of it is UTF-8 but what HTTP brought."""
    return bytes(ffi.buffer(pointer, length)).decode("utf-8", "surrogateescape")


def encoded(value: str) -> bytes:
    """Text for the library; what is no Unicode is left for it to refuse."""
    return value.encode("utf-8", "surrogatepass")
