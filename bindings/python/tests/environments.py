"""Environments in which libchat is installed and removed, as pip does it, and the wheels for them."""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import venv
from pathlib import Path

from libchat import _abi

BINDING = Path(__file__).resolve().parents[1]
CHECKOUT = BINDING.parents[1]
LIBRARY = _abi._find(_abi._NAME, "LIBCHAT_LIBRARY", f"target/shared/{_abi._NAME}")

Done = subprocess.CompletedProcess[str]


def run(*command: str, cwd: Path, **variables: str) -> Done:
    inherited = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "LIBCHAT_LIBRARY")}
    return subprocess.run(command, capture_output=True, text=True, cwd=cwd, env={**inherited, **variables})


class Environment:
    """An environment with what libchat needs, and without libchat."""

    def __init__(self, folder: Path) -> None:
        venv.create(folder, symlinks=True)
        self.folder = folder
        self.interpreter = str(folder / "bin/python")
        [self.packages] = folder.glob("lib/python*/site-packages")
        for name in ("cffi", "_cffi_backend", "pycparser"):
            spec = importlib.util.find_spec(name)
            assert spec and spec.origin
            path = Path(spec.origin)
            path = path.parent if path.name == "__init__.py" else path
            (self.packages / path.name).symlink_to(path)

    def python(self, *arguments: str, cwd: Path | None = None, **variables: str) -> Done:
        return run(self.interpreter, *arguments, cwd=cwd or self.folder, **variables)

    def prints(self, program: str, *, cwd: Path, **variables: str) -> str:
        """Tells what a program prints, which lies in a folder of its own."""
        (cwd / "script.py").write_text(program)
        done = self.python(str(cwd / "script.py"), cwd=self.folder, **variables)
        assert (done.returncode, done.stderr) == (0, "")
        return done.stdout.rstrip("\n")

    def pip(self, *arguments: str) -> None:
        quiet = ("--quiet", "--disable-pip-version-check")
        done = run(sys.executable, "-m", "pip", "--python", self.interpreter, *quiet, *arguments, cwd=self.folder)
        assert done.returncode == 0, done.stderr


def copy_sources(checkout: Path) -> Path:
    """Copies what the package is built of, so that a build leaves nothing beside it. Tells the folder of the copy."""
    binding = checkout / "bindings/python"
    shutil.copytree(BINDING / "libchat", binding / "libchat", ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("_libchat_finder.py", "build_backend.py", "libchat.pth", "pyproject.toml", "README.md", "setup.py"):
        shutil.copy(BINDING / name, binding)
    (checkout / "include").mkdir()
    shutil.copy(CHECKOUT / "include/libchat.h", checkout / "include")
    return binding


def build(sources: Path, hook: str) -> str:
    """Builds a wheel as pip does, and tells its path."""
    folder = sources.parent / hook
    folder.mkdir(exist_ok=True)
    program = f"import build_backend; build_backend.{hook}({str(folder)!r})"
    done = run(sys.executable, "-c", program, cwd=sources, LIBCHAT_LIBRARY=str(LIBRARY))
    assert done.returncode == 0, done.stderr
    [wheel] = folder.glob("*.whl")
    return str(wheel)
