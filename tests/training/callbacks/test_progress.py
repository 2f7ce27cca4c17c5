"""The line and the bar: what they say, and the time left."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from gan.metrics.kid import KID
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import TrainingTime
from gan.training.callbacks.progress import ProgressLine
from gan.utils.output import counting, duration
from tests.conftest import ROOT, TINY
from tests.terminal import in_terminal

from ..test_module import fit, model


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3723)] == ["0:00", "1:00", "1:01", "1:02:03"]


def test_counting_without_a_terminal_is_two_lines(capsys: object) -> None:
    with counting("drawing", 3) as advance:
        advance(3)
    out = capsys.readouterr().out  # type: ignore[attr-defined]
    assert out.startswith("drawing: 3 ...\ndrawing: 3 in ") and out.count("\n") == 2


def test_losses_are_shown_after_the_first_batch(capsys: pytest.CaptureFixture[str]) -> None:
    module = model(log_interval=1000)
    fit(module, 2, TrainingTime(), ProgressLine(plain_interval=0))
    first = next(line for line in capsys.readouterr().out.splitlines() if "images/s" in line)
    assert first.startswith("4 images") and "loss/discriminator" in first and "loss/generator" in first
    assert module.loss_log.means == {} and len(module.loss_log.pending["loss/generator"]) == 2


def test_scores_before_training_are_called_untrained(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate = Evaluate({"kid": KID()}, ["random_conv"], True, 1000, None, 40, 24)
    fit(model(), 1, TrainingTime(), ProgressLine(plain_interval=0), evaluate)
    out = capsys.readouterr().out
    lines = [line for line in out.splitlines() if "images/s" in line]
    assert "untrained: eval/kid_x1000_random_conv" in lines[0] and "untrained:" not in lines[-1]


@pytest.mark.slow
def test_a_terminal_shows_a_bar(tmp_path: Path) -> None:
    words = [sys.executable, str(ROOT / "train.py"), *TINY, "images=64", "hydra.run.dir=a"]
    text = in_terminal(words, tmp_path, 160, TERM="xterm")
    kid = "eval/kid_x1000_random_conv"
    for part in ("━", "64 images", "epoch 2.7", "images/s", "left", "loss/generator", kid, "000000064.png"):
        assert part in text, part
