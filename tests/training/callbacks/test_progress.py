"""The line and the bar: what they say, and the time left."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from gan.common.progress import counting, duration
from tests.conftest import ROOT, TINY, environment


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3723)] == ["0:00", "1:00", "1:01", "1:02:03"]


def test_counting_without_a_terminal_is_two_lines(capsys: object) -> None:
    with counting("drawing", 3) as advance:
        advance(3)
    out = capsys.readouterr().out  # type: ignore[attr-defined]
    assert out.startswith("drawing: 3 ...\ndrawing: 3 in ") and out.count("\n") == 2


@pytest.mark.slow
def test_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    parent, child = pty.openpty()
    terminal = environment() | {"TERM": "xterm", "COLUMNS": "160"}
    words = [sys.executable, str(ROOT / "train.py"), *TINY, "images=64", "hydra.run.dir=a"]
    process = subprocess.Popen(words, cwd=tmp_path, env=terminal, stdout=child, stderr=child)
    os.close(child)
    shown = b""
    while True:
        try:
            data = os.read(parent, 65536)
        except OSError:  # the other end is closed
            break
        if not data:
            break
        shown += data
    os.close(parent)
    assert process.wait(60) == 0
    text = shown.decode()
    for part in (
        "━",
        "64 images",
        "epoch 2.7",
        "images/s",
        "left",
        "loss/generator",
        "eval/kid_x1000_random_conv",
        "000000064.png",
    ):
        assert part in text, part
