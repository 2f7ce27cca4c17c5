"""Text for the terminal."""

from __future__ import annotations

from gan.utils.output import one_line


def test_a_line_of_text_has_no_control_characters() -> None:
    assert one_line("a\nb\x1b[2J\ud800\u202e") == "a\\nb\\x1b[2J\\ud800\\u202e"
    assert one_line("Straße 写真") == "Straße 写真"
    assert len(one_line("x" * 10**6)) <= 2000
