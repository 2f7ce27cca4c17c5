"""Output in a narrow terminal, in one without escape codes, and in none."""

import fcntl
import os
import pty
import re
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from gan.runs import checkpoints
from gan.utils import output
from tests.conftest import ROOT, TINY, environment
from tests.patience import PATIENCE
from tests.terminal import in_terminal

ESCAPE = "\x1b"


TRAIN = [sys.executable, str(ROOT / "train.py"), *TINY, "images=32", "hydra.run.dir=a", "+callback.progress.refresh=0"]


@pytest.mark.slow
def test_a_terminal_without_escape_codes_gets_lines(tmp_path: Path) -> None:
    text = in_terminal(TRAIN, tmp_path, 80, TERM="dumb")
    assert ESCAPE not in text and "32 images · " in text
    text = in_terminal([sys.executable, "-m", "gan.cli", "compare", "a", "a"], tmp_path, 80, TERM="xterm", NO_COLOR="1")
    assert ESCAPE not in text


@pytest.mark.slow
def test_a_bar_in_40_columns(tmp_path: Path) -> None:
    text = in_terminal(TRAIN, tmp_path, 40, TERM="xterm")
    frames = re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", text[text.index("━") :]).splitlines()
    bars = [number for number, line in enumerate(frames) if "━" in line]
    others = ("health", "score", "kid", "fd", "precision", "recall", "density", "coverage")
    assert all(len(line.strip()) <= 40 for line in frames[: bars[-1] + 1] if not line.startswith(others))
    assert any("left" in line for line in frames) and not any("…" in line for line in frames)


def test_a_bar_is_for_terminals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert output.shows_bars()
    monkeypatch.setenv("NO_COLOR", "1")
    assert not output.shows_bars()
    monkeypatch.setenv("NO_COLOR", "")
    monkeypatch.setenv("TERM", "dumb")
    assert not output.shows_bars()


@pytest.mark.slow
def test_a_closed_terminal_ends_a_training_with_a_checkpoint(tmp_path: Path) -> None:
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, str(ROOT / "train.py"), *TINY, "images=1000000", "callback.checkpoint.interval=1000000",
         "hydra.run.dir=run"],
        cwd=tmp_path, env=environment() | {"TERM": "xterm"}, stdin=child, stdout=child, stderr=child,
        start_new_session=True, preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )  # fmt: skip
    os.close(child)
    shown = b""
    while b"images/s" not in shown:
        shown += os.read(parent, 65536)
    os.close(parent)
    assert process.wait(PATIENCE) == 128 + signal.SIGHUP
    assert checkpoints.list_checkpoints(tmp_path / "run")
