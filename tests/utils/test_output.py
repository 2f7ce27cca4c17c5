"""Lines of progress replace each other where they can."""

from __future__ import annotations

import sys

import pytest

from gan.utils.output import IN_PLACE, Lines, one_line, print_progress


def feed(quiet: bool = False) -> None:
    lines = Lines(quiet)
    for text in ("begin", "\r1 of 100", "\r2", "\r3", "end"):
        lines.show(text)
    lines.close()


def test_a_file_gets_few_lines_of_progress(capsys: pytest.CaptureFixture[str]) -> None:
    feed()
    assert capsys.readouterr().out == "begin\n1 of 100\nend\n"
    feed(quiet=True)
    assert capsys.readouterr().out == ""


def test_a_terminal_gets_one_line_which_is_overwritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    feed()
    assert capsys.readouterr().out == "begin\n\r1 of 100\r2       \r3\nend\n"


def test_a_notebook_gets_one_line_which_is_overwritten(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ipykernel", sys)
    feed()
    assert capsys.readouterr().out == "begin\n\r1 of 100\r2       \r3\nend\n"


def test_progress_is_marked_for_a_program_that_asks(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    print_progress("half")
    monkeypatch.setenv(IN_PLACE, "1")
    print_progress("half")
    assert capsys.readouterr().out == "half\n\rhalf\n"


def test_a_line_of_text_has_no_control_characters() -> None:
    assert one_line("a\nb\x1b[2J\ud800\u202e") == "a\\nb\\x1b[2J\\ud800\\u202e"
    assert one_line("Straße 写真") == "Straße 写真"
    assert len(one_line("x" * 10**6)) <= 2000
