"""Finds the package libchat although a C library `libchat.so` lies in a folder where Python looks first.

Python takes such a file for a module, since modules in C have that suffix, and fails to load it. libchat.pth imports
this module at each start of the interpreter. So it is small, imports only what every start imports, and changes no
import that would succeed without it.
"""

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from importlib.machinery import ModuleSpec
    from types import ModuleType
    from typing import Optional


def _is_c_library(spec: "Optional[ModuleSpec]") -> bool:
    if spec is None or os.path.basename(str(spec.origin)) != "libchat.so":
        return False
    try:
        with open(str(spec.origin), "rb") as file:
            # A module in C has this function.
            return b"PyInit_libchat" not in file.read()
    except OSError:
        return True


class Finder:
    """Asks the finders behind it, and asks again without the folders in which they find the C library."""

    @classmethod
    def find_spec(
        cls, name: str, path: "Optional[Sequence[str]]" = None, target: "Optional[ModuleType]" = None
    ) -> "Optional[ModuleSpec]":
        """Finds libchat. Returns nothing for other modules, and for libchat if only the C library is there."""
        if name != "libchat" or path is not None:
            return None
        finders = iter(sys.meta_path)
        # Those before it have been asked. Two finders that ask each other would never end.
        for finder in finders:
            if finder is cls:
                break
        for finder in finders:
            find: Optional[Callable[..., Optional[ModuleSpec]]] = getattr(finder, "find_spec", None)
            if find is None:
                continue
            spec = find(name, None, target)
            if _is_c_library(spec):
                others = [folder for folder in sys.path if not _is_c_library(find(name, [folder]))]
                spec = find(name, others, target)
            if spec is not None:
                return spec
        return None


sys.meta_path.insert(0, Finder)
