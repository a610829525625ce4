"""The programs of the README run as they stand there, and end cleanly on Ctrl-C and SIGTERM."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest
from conftest import PATIENCE, Program, address
from websockets.exceptions import ConnectionClosed
from websockets.sync.client import connect

README = (Path(__file__).resolve().parents[1] / "README.md").read_text(encoding="utf-8")
PROGRAMS = re.findall(r"^```python\n(.*?)^```$", README, flags=re.MULTILINE | re.DOTALL)
FIRST_WORDS = [r"client \d+ has connected", "welcome to lobby", "tick"]


def test_the_readme_has_these_programs() -> None:
    assert len(PROGRAMS) == len(FIRST_WORDS)
    assert all(program.count("127.0.0.1:9001") == 1 for program in PROGRAMS)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize(("source", "first_words"), list(zip(PROGRAMS, FIRST_WORDS)))
def test_a_program_of_the_readme_serves_until_a_signal(source: str, first_words: str, number: signal.Signals) -> None:
    with Program(source.replace("127.0.0.1:9001", "127.0.0.1:0")) as program:
        with connect(f"ws://{address(program.line())}/") as peer:
            assert re.fullmatch(first_words, str(peer.recv(PATIENCE)))
            peer.send("salut")
            while peer.recv(PATIENCE) != "salut":
                pass
            program.signal(number)
            with pytest.raises(ConnectionClosed):
                while True:
                    peer.recv(PATIENCE)
            assert peer.close_code == 1001
        assert program.end()[::2] == (0, "")


def test_each_link_to_a_file_or_a_section_leads_somewhere() -> None:
    folder = Path(__file__).resolve().parents[1]
    titles = re.findall("^## (.+)$", README, flags=re.MULTILINE)
    sections = {re.sub(r"[^\w -]", "", title).lower().replace(" ", "-") for title in titles}
    for target in re.findall(r"\]\(([^)]+)\)", README):
        if target.startswith("#"):
            assert target[1:] in sections, target
        elif not target.startswith("https:"):
            assert (folder / target).exists(), target
