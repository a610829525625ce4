"""Positions: each has one text, and a room stands where its last message is."""

import pytest

import libchat
from libchat import Position


def test_a_position_is_its_text() -> None:
    texts = {
        "0-0": Position(),
        "1-0": Position(1, 0),
        "z-42": Position(35, 42),
        "10-1": Position(36, 1),
        "3w5e11264sgsf-18446744073709551615": Position(2**64 - 1, 2**64 - 1),
    }
    for text, position in texts.items():
        assert str(position) == text
        assert Position.parse(text) == position


def test_nothing_else_is_a_position() -> None:
    wrong = ["", "-", "1", "1-", "-1", "1-2-3", "A-1", "1-a", "+1-1", "1-+1", "01-1", "1-01", " 1-1", "1-1 ", "1--1"]
    too_large = ["3w5e11264sgsg-1", "1-18446744073709551616", "1" * 1000 + "-1", "1-" + "1" * 10_000]
    for text in [*wrong, *too_large, "1_0-1", "\u0661-1"]:
        with pytest.raises(libchat.InvalidArgumentError, match="is not a position"):
            Position.parse(text)


def test_a_room_stands_where_its_last_message_is() -> None:
    with libchat.Server(listen="127.0.0.1:0") as server:
        before = server.position("a")
        assert before and before.offset == 0
        for offset in range(1, 4):
            position = server.publish("a", "x")
            assert position == Position(before.epoch, offset) == server.position("a")
        assert server.publish_batch([]) == []


def test_without_history_there_are_no_positions() -> None:
    with libchat.Server(listen="127.0.0.1:0", history_messages=0) as server:
        assert not server.position("a")
        assert not server.publish("a", "x")
        assert server.publish_batch([("a", "x"), ("a", b"y")]) == [Position(), Position()]
