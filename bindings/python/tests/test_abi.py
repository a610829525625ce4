"""The binding knows all of the library, and sees it as a C compiler does."""

import inspect
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

import libchat
from libchat import _abi, errors, events, options

CHECKOUT = Path(__file__).resolve().parents[3]
SOURCES = "".join(path.read_text() for path in Path(libchat.__file__).parent.glob("*.py"))

# What Python has no use for, and why.
NOT_BOUND = {
    "chat_config_set_event_handler": "events are pulled: no Python runs on threads of the library's",
    "chat_event_header": "all headers are read",
    "chat_event_query": "Request.query_value reads the query",
    "chat_event_cookie": "Request.cookie reads the headers",
    "chat_event_bearer": "Request.bearer reads the headers",
    "chat_abi_version": "chat_config_new checks it",
    "chat_version_number": "the header that was read says it",
    "chat_version_string": "the header that was read says it",
    "chat_error_status": "chat_server_start returns it",
    "chat_server_accept": "accept gives all of the past by default",
    "chat_server_join": "join gives nothing of the past by default",
    "chat_server_refuse": "refuse has a reason, which may be empty",
    "chat_position_format": "str(position)",
    "chat_position_parse": "Position.parse",
}


def test_every_function_of_the_library_is_bound() -> None:
    names = set((CHECKOUT / "include/libchat.symbols").read_text().split())
    setters = {f"chat_config_set_{name}" for name in options.Options.__annotations__}
    bound = {name for name in names if re.search(rf"\blib\.{name}\b|\"{name}\"", SOURCES)} | setters
    assert names - bound - set(NOT_BOUND) == set(), "not bound"
    assert set(NOT_BOUND) <= names, "there is no such function any more"
    assert (setters - {"chat_config_set_listen", "chat_config_set_origin"}) <= names


def test_every_option_is_explained() -> None:
    explained = re.findall(r"^    (\w+): ", inspect.getdoc(options.Options) or "", flags=re.MULTILINE)
    assert sorted(explained) == sorted(options.Options.__annotations__)


def test_every_status_and_event_has_a_class() -> None:
    constants = set(re.findall(r"^ +(CHAT_(?:ERR|EVENT)_\w+) = ", _abi.HEADER, flags=re.MULTILINE))
    known = set(errors.BY_STATUS) | {f"CHAT_EVENT_{name}" for name in events.READERS}
    assert constants == known


def test_every_counter_is_there() -> None:
    fields = [name for name, _ in _abi.ffi.typeof("chat_stats").fields]
    assert list(libchat.Stats.__annotations__) == fields


@pytest.mark.parametrize(
    "struct", ["chat_event", "chat_stats", "chat_message", "chat_publish_options", "chat_member"]
)
def test_the_structs_lie_in_memory_as_in_c(struct: str, tmp_path: Path) -> None:
    layout: list[tuple[str, Any]] = _abi.ffi.typeof(struct).fields
    prints = "".join(f'printf("%zu ", offsetof({struct}, {name}));' for name, _ in layout)
    source = tmp_path / "layout.c"
    source.write_text(
        "#include <libchat.h>\n#include <stdio.h>\n"
        f'int main(void) {{ {prints} printf("%zu", sizeof({struct})); }}\n'
    )
    program = tmp_path / "layout"
    subprocess.run(["cc", f"-I{CHECKOUT / 'include'}", "-o", program, source], check=True)
    measured = subprocess.run([program], check=True, capture_output=True, text=True).stdout.split()
    expected = [_abi.ffi.offsetof(struct, name) for name, _ in layout] + [_abi.ffi.sizeof(struct)]
    assert [int(number) for number in measured] == expected
