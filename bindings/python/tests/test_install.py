"""What an installation lacks is said in one line, and no other file is taken for this package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from conftest import environment
from environments import BINDING, CHECKOUT, LIBRARY, Done

README = (BINDING / "README.md").read_text(encoding="utf-8")
MANIFEST = (CHECKOUT / "Cargo.toml").read_text(encoding="utf-8")
[WANTED] = re.findall(r'^rust-version = "(\d+\.\d+)', MANIFEST, flags=re.MULTILINE)


def build(folder: Path, hook: str = "get_requires_for_build_wheel", **variables: str) -> Done:
    """Asks the build of the package in a folder, as pip does, what it needs."""
    variables = {"PATH": "", "LIBCHAT_LIBRARY": "", **variables}
    program = f"import build_backend; print(build_backend.{hook}())"
    command = [sys.executable, "-c", program]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env={**os.environ, **variables})


def tool(folder: Path, name: str, script: str) -> None:
    path = folder / name
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def test_a_build_without_rust_says_so_in_one_line(tmp_path: Path) -> None:
    remedy = f"install Rust {WANTED} or newer (https://rust-lang.org), or a wheel of libchat, which needs none"
    done = build(BINDING)
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"libchat: building it needs cargo, which is not here; {remedy}\n"
    tool(tmp_path, "cargo", f"echo cargo {WANTED}.0")
    assert build(BINDING, PATH=str(tmp_path)).stderr.startswith("libchat: building it needs rustc, which is not here; ")
    tool(tmp_path, "rustc", "echo rustc 1.9.1")
    old = build(BINDING, PATH=str(tmp_path)).stderr
    assert old == f"libchat: building it needs Rust {WANTED}, and rustc is 1.9; {remedy}\n"
    # rustup without a toolchain.
    tool(tmp_path, "cargo", "echo 'error: no default toolchain' >&2; exit 1")
    assert "cargo, which is not here" in build(BINDING, PATH=str(tmp_path)).stderr


@pytest.mark.parametrize("version", [f"{WANTED}.0", "1.1000.0-nightly", "2.0.0"])
def test_a_build_with_rust_goes_on(tmp_path: Path, version: str) -> None:
    for name in ("cargo", "rustc"):
        tool(tmp_path, name, f"echo {name} {version}")
    done = build(BINDING, "check", PATH=str(tmp_path))
    assert (done.returncode, done.stderr) == (0, "")


def test_a_build_with_a_library_needs_the_library_alone() -> None:
    assert build(BINDING, "check", LIBCHAT_LIBRARY=str(LIBRARY)).returncode == 0
    lacking = build(BINDING, LIBCHAT_LIBRARY="/nowhere/libchat.so")
    assert lacking.stderr.startswith("libchat: LIBCHAT_LIBRARY=/nowhere/libchat.so: there is no such file; ")


def test_a_build_without_the_rust_sources_says_what_to_install_instead(tmp_path: Path) -> None:
    alone = tmp_path / "bindings/python"
    alone.mkdir(parents=True)
    shutil.copy(BINDING / "build_backend.py", alone)
    assert build(alone).stderr.startswith("libchat: the Rust sources are not here; install a wheel, or clone ")
    refused = build(BINDING, "get_requires_for_build_sdist")
    remedy = "build a wheel with bindings/python/build-wheel"
    assert refused.stderr == f"libchat: there is no source distribution of it; {remedy}\n"


def test_the_readme_asks_for_the_rust_that_the_build_wants() -> None:
    assert f"[Rust](https://rust-lang.org) {WANTED} " in README


def run_script(folder: Path, *flags: str, **variables: str) -> Done:
    script = folder / "script.py"
    script.write_text("import libchat\nprint(libchat.__file__)\n")
    command = [sys.executable, *flags, str(script)]
    return subprocess.run(command, capture_output=True, text=True, cwd=folder, env=environment(**variables))


def test_the_library_beside_a_script_is_not_loaded_in_place_of_the_packages_own(tmp_path: Path) -> None:
    (tmp_path / "libchat.so").write_text("no library")
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.path.remove(''); import libchat"],
        capture_output=True, text=True, cwd=tmp_path, env=environment(LIBCHAT_LIBRARY=str(LIBRARY)),
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_a_library_that_is_named_without_a_folder_is_the_one_of_the_current_folder(tmp_path: Path) -> None:
    shutil.copy(LIBRARY, tmp_path / "other.so")
    done = run_script(tmp_path, LIBCHAT_LIBRARY="other.so")
    assert (done.returncode, done.stderr) == (0, "")
