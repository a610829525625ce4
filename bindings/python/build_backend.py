"""Builds the package with setuptools, after a look at what that needs: what is missing is said in one line."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import Any, NoReturn, Optional

from setuptools import build_meta
from setuptools.build_meta import *  # noqa: F403

CHECKOUT = Path(__file__).resolve().parents[2]

Settings = Optional[dict[str, Any]]


def _fail(reason: str) -> NoReturn:
    raise SystemExit(f"libchat: {reason}")


def _version(tool: str) -> str:
    """The version that a tool tells, such as 1.95; nothing if there is no such tool."""
    try:
        told = subprocess.run([tool, "--version"], cwd=CHECKOUT, capture_output=True, text=True)
    except OSError:
        return ""
    found = re.search(r"\d+\.\d+", told.stdout)
    return found[0] if found else ""


def check() -> None:
    """Ends the build with one line if it cannot succeed."""
    if given := os.environ.get("LIBCHAT_LIBRARY"):
        if not Path(given).is_file():
            _fail(f"LIBCHAT_LIBRARY={given}: there is no such file; build it, or unset the variable to build it here")
        return
    manifest = CHECKOUT / "Cargo.toml"
    if not manifest.is_file():
        _fail("the Rust sources are not here; install a wheel, or clone libchat and pip install ./bindings/python")
    wanted = re.search(r'^rust-version = "(\d+\.\d+)', manifest.read_text(encoding="utf-8"), flags=re.MULTILINE)
    assert wanted, "Cargo.toml names the oldest Rust"
    remedy = f"install Rust {wanted[1]} or newer (https://rust-lang.org), or a wheel of libchat, which needs none"
    for tool in ("cargo", "rustc"):
        version = _version(tool)
        if not version:
            _fail(f"building it needs {tool}, which is not here; {remedy}")
        if [int(part) for part in version.split(".")] < [int(part) for part in wanted[1].split(".")]:
            _fail(f"building it needs Rust {wanted[1]}, and {tool} is {version}; {remedy}")


def get_requires_for_build_wheel(config_settings: Settings = None) -> list[str]:
    """Tells what the build of a wheel needs. It is asked first of all."""
    check()
    return list(build_meta.get_requires_for_build_wheel(config_settings))


def get_requires_for_build_editable(config_settings: Settings = None) -> list[str]:
    """Tells what `pip install -e` needs."""
    check()
    return list(build_meta.get_requires_for_build_editable(config_settings))


def get_requires_for_build_sdist(config_settings: Settings = None) -> NoReturn:
    """Refuses a source distribution: it would lack the Rust sources, which lie above this folder."""
    _fail("there is no source distribution of it; build a wheel with bindings/python/build-wheel")
