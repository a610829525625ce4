"""Puts the native library and its header into the package, a finder beside it, the platform into the wheel's name."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from setuptools import Distribution, setup
from setuptools.command.bdist_wheel import bdist_wheel
from setuptools.command.build_py import build_py

CHECKOUT = Path(__file__).resolve().parents[2]
LIBRARY = "libchat.dylib" if sys.platform == "darwin" else "libchat.so"
# Python imports the second at its start because the first, in a folder of packages, says so. Python 3.18 will want a
# libchat.start in place of the first (PEP 829).
BESIDE = ("libchat.pth", "_libchat_finder.py")


def library() -> Path:
    """The library to ship: the one that LIBCHAT_LIBRARY names, or this checkout's."""
    if given := os.environ.get("LIBCHAT_LIBRARY"):
        return Path(given)
    command = ["cargo", "rustc", "--profile", "shared", "--locked", "--lib", "--crate-type", "cdylib"]
    command += ["--no-default-features", "--features", "http"]
    if subprocess.run(command, cwd=CHECKOUT).returncode != 0:
        raise SystemExit("libchat: cargo build failed; the lines above say why")
    # Relative to the checkout, where cargo ran.
    return CHECKOUT / os.environ.get("CARGO_TARGET_DIR", "target") / "shared" / LIBRARY


class BuildPy(build_py):  # type: ignore[misc]
    """Copies the library and its header beside the modules, and the finder beside the package."""

    def run(self) -> None:
        """Copies what setuptools does not know of."""
        super().run()
        package = Path(self.build_lib) / "libchat"
        # An editable install copies no sources, so the folder is not there.
        package.mkdir(parents=True, exist_ok=True)
        shutil.copy2(library(), package / LIBRARY)
        shutil.copy2(CHECKOUT / "include" / "libchat.h", package / "libchat.h")
        # Of an editable build, only this folder becomes part of the wheel.
        root = self.get_finalized_command("install").install_lib if self.editable_mode else self.build_lib
        for name in BESIDE:
            shutil.copy2(Path(__file__).with_name(name), Path(root) / name)


class BdistWheel(bdist_wheel):  # type: ignore[misc]
    """Names the wheel after its platform."""

    def get_tag(self) -> tuple[str, str, str]:
        """The library is of this machine, the Python of any version."""
        return "py3", "none", super().get_tag()[2]


class BinaryDistribution(Distribution):  # type: ignore[misc]
    """Holds machine code, which is not compiled here."""

    def has_ext_modules(self) -> bool:
        """Keeps setuptools from calling it pure Python."""
        return True


setup(distclass=BinaryDistribution, cmdclass={"build_py": BuildPy, "bdist_wheel": BdistWheel})
