"""A C library `libchat.so` beside a script does not take the place of the package where that is installed."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from environments import BINDING, CHECKOUT, LIBRARY, Environment, build, copy_sources

README = (BINDING / "README.md").read_text(encoding="utf-8")
ERROR = "ImportError: dynamic module does not define module export function (PyInit_libchat)"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> str:
    return build(copy_sources(tmp_path_factory.mktemp("sources")), "build_wheel")


@pytest.fixture(scope="module")
def installed(wheel: str, tmp_path_factory: pytest.TempPathFactory) -> Environment:
    environment = Environment(tmp_path_factory.mktemp("installed"))
    environment.pip("install", "--no-deps", wheel)
    return environment


@pytest.fixture
def shadow(tmp_path: Path) -> Path:
    """A folder in which the C library lies."""
    folder = tmp_path / "shadow"
    folder.mkdir()
    shutil.copy(LIBRARY, folder / "libchat.so")
    return folder


def test_a_script_beside_the_c_library_imports_the_wheel_and_serves(installed: Environment, shadow: Path) -> None:
    program = (CHECKOUT / ".ci/serve.py").read_text(encoding="utf-8")
    assert installed.prints(program, cwd=shadow).endswith(" serves")


def test_a_script_beside_the_c_library_imports_an_editable_package_and_serves(shadow: Path, tmp_path: Path) -> None:
    sources = copy_sources(tmp_path / "clone")
    environment = Environment(tmp_path / "editable")
    environment.pip("install", "--no-deps", build(sources, "build_editable"))
    shutil.copy(CHECKOUT / ".ci/serve.py", shadow)
    done = environment.python(str(shadow / "serve.py"), str(sources), LIBCHAT_LIBRARY=str(LIBRARY))
    assert done.stdout.endswith(" serves\n"), done.stderr
    # A clone may be deleted before the package is uninstalled.
    shutil.rmtree(sources)
    assert environment.python("-c", "pass").stderr == ""
    environment.pip("uninstall", "--yes", "libchat")
    assert_nothing_is_left(environment)


def assert_nothing_is_left(environment: Environment) -> None:
    done = environment.python("-c", "import sys; print([finder for finder in sys.meta_path if 'chat' in repr(finder)])")
    assert (done.stdout, done.stderr) == ("[]\n", "")
    assert not [path for path in environment.packages.rglob("*") if "libchat" in path.name]


def test_an_uninstallation_leaves_nothing_that_is_run_at_the_start(wheel: str, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    environment.pip("install", "--no-deps", wheel)
    assert "_libchat_finder" in environment.python("-c", "import sys; print(*sys.modules)").stdout
    environment.pip("uninstall", "--yes", "libchat")
    assert_nothing_is_left(environment)


def test_a_start_of_the_interpreter_imports_one_module_more(installed: Environment) -> None:
    program = "import sys; print(*sys.modules)"
    pth = installed.packages / "libchat.pth"
    all_modules = set(installed.python("-c", program).stdout.split())
    line = pth.read_text()
    # Python imports some modules to read the file.
    pth.write_text("import sys\n")
    try:
        fewer = set(installed.python("-c", program).stdout.split())
    finally:
        pth.write_text(line)
    assert all_modules - fewer == {"_libchat_finder"}


@pytest.mark.parametrize("flags", [["-c"], ["-E", "-c"], ["-I", "-c"], ["-S", "-c"], ["-s", "-W", "error", "-c"]])
def test_a_start_prints_nothing(installed: Environment, shadow: Path, flags: list[str]) -> None:
    done = installed.python(*flags, "pass", cwd=shadow)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_package_is_found_in_every_way_of_import(installed: Environment, shadow: Path) -> None:
    program = """
import importlib.util, sys
before = importlib.util.find_spec("libchat").origin
import libchat
first = libchat
import libchat
import libchat.server
assert libchat is first and importlib.reload(libchat) is first
assert importlib.util.find_spec("libchat").origin == before == libchat.__file__
del sys.modules["libchat"]
assert importlib.import_module("libchat").__file__ == before
import _libchat_finder
assert _libchat_finder.Finder.find_spec("libchat", sys.path) is None
assert importlib.util.find_spec("libchat.nothing") is importlib.util.find_spec("nothing") is None
print(before)
"""
    expected = str(installed.packages / "libchat/__init__.py")
    assert installed.prints(program, cwd=shadow) == expected
    # The current folder, which is the first of them.
    for flags in (["-c", "import libchat; print(libchat.__file__)"], ["-m", "script"]):
        (shadow / "script.py").write_text("import libchat; print(libchat.__file__)")
        done = installed.python(*flags, cwd=shadow)
        assert (done.stdout, done.stderr) == (f"{expected}\n", "")


def test_a_subinterpreter_finds_the_package_too(installed: Environment, shadow: Path) -> None:
    inner = f"import importlib.util, sys; sys.path.insert(0, {str(shadow)!r}); "
    inner += "print(importlib.util.find_spec('libchat').origin)"
    program = f"""
try:
    import _interpreters as interpreters
except ImportError:
    import _xxsubinterpreters as interpreters
interpreters.run_string(interpreters.create(), {inner!r})
"""
    assert installed.prints(program, cwd=shadow) == str(installed.packages / "libchat/__init__.py")


def test_several_c_libraries_are_passed(installed: Environment, shadow: Path, tmp_path: Path) -> None:
    empty, unreadable = tmp_path / "empty", tmp_path / "unreadable"
    empty.mkdir()
    unreadable.mkdir()
    (empty / "libchat.so").write_bytes(b"")
    # Even root cannot read its begin.
    (unreadable / "libchat.so").symlink_to("/proc/self/mem")
    path = os.pathsep.join(map(str, (empty, unreadable)))
    program = "import libchat; print(libchat.__file__)"
    expected = str(installed.packages / "libchat/__init__.py")
    assert installed.prints(program, cwd=shadow, PYTHONPATH=path) == expected


def test_what_python_can_import_keeps_its_place(installed: Environment, shadow: Path, tmp_path: Path) -> None:
    program = "import libchat; print(libchat.__file__)"
    first = tmp_path / "first"
    first.mkdir()
    # The first package behind the C library, be it another one.
    (first / "libchat.py").write_text("")
    assert installed.prints(program, cwd=shadow, PYTHONPATH=str(first)) == str(first / "libchat.py")
    # A folder is a package only if there is no other.
    (shadow / "libchat").mkdir()
    assert installed.prints(program, cwd=shadow) == str(installed.packages / "libchat/__init__.py")
    (shadow / "libchat.so").unlink()
    assert installed.prints(program, cwd=shadow) == str(installed.packages / "libchat/__init__.py")
    # A module in C.
    find = "import importlib.util; print(importlib.util.find_spec('libchat').origin)"
    (shadow / "libchat.so").write_bytes(b"\x7fELF PyInit_libchat\0")
    assert installed.prints(find, cwd=shadow) == str(shadow / "libchat.so")
    (shadow / "libchat.so").unlink()
    (shadow / "libchat.abi3.so").write_bytes(b"\x7fELF")
    assert installed.prints(find, cwd=shadow) == str(shadow / "libchat.abi3.so")


def test_finders_of_others_are_asked_in_their_order(installed: Environment, shadow: Path) -> None:
    program = """
import sys
asked = []
class Other:
    def __init__(self, name):
        self.name = name
    def find_spec(self, name, path=None, target=None):
        if name == "libchat":
            asked.append(self.name)
class Asking(Other):
    def find_spec(self, name, path=None, target=None):
        if name == "libchat":
            asked.append(self.name)
            finders = [finder for finder in sys.meta_path[1:] if hasattr(finder, "find_spec")]
            return next(filter(None, [finder.find_spec(name, path, target) for finder in finders]))
class Old:
    def find_module(self, name, path=None):
        pass
sys.meta_path.insert(0, Other("before"))
sys.meta_path.append(Old())
sys.meta_path.append(Other("behind"))
PREPARE
try:
    import libchat
    print("found")
except ImportError:
    print("not found")
print(asked)
"""
    plain = program.replace("PREPARE", "")
    assert installed.prints(plain, cwd=shadow) == "found\n['before']"
    alone = program.replace("PREPARE", "del sys.path[1:]")
    assert installed.prints(alone, cwd=shadow) == "not found\n['before', 'behind']"
    asking = program.replace("PREPARE", "sys.meta_path.insert(0, Asking('all'))")
    assert installed.prints(asking, cwd=shadow) == "found\n['all', 'before', 'behind']"


def test_without_the_package_the_error_is_pythons_own(wheel: str, shadow: Path, tmp_path: Path) -> None:
    environment = Environment(tmp_path / "environment")
    environment.pip("install", "--no-deps", wheel)
    shutil.rmtree(environment.packages / "libchat")
    assert environment.python("-c", "import libchat", cwd=shadow).stderr.splitlines()[-1] == ERROR
    missing = environment.python("-c", "import libchat").stderr.splitlines()[-1]
    assert missing == "ModuleNotFoundError: No module named 'libchat'"


def test_the_readme_has_the_error_and_the_remedy_for_a_package_in_a_folder_of_pythonpath(
    wheel: str, shadow: Path, tmp_path: Path
) -> None:
    environment = Environment(tmp_path / "environment")
    target = str(tmp_path / "target")
    environment.pip("install", "--no-deps", "--target", target, wheel)
    assert f"| `{ERROR}` |" in README
    script = shadow / "script.py"
    script.write_text("import libchat")
    shadowed = environment.python(str(script), PYTHONPATH=target)
    assert shadowed.stderr.splitlines()[-1] == ERROR
    if sys.version_info >= (3, 11):
        assert "`python -P`" in README
        assert environment.python("-P", str(script), PYTHONPATH=target).stderr == ""
    (shadow / "lib").mkdir()
    (shadow / "libchat.so").rename(shadow / "lib/libchat.so")
    assert environment.python(str(script), PYTHONPATH=target).stderr == ""
