"""The line and the bar: what they say, and the time left."""

import pytest
import torch

from gan.metrics.kid import KID
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import TrainingTime
from gan.training.callbacks.progress import ProgressLine
from gan.training.loss_log import RECENT, LossLog
from gan.utils.output import counting, duration

from ..test_module import fit, model


def test_durations() -> None:
    assert [duration(seconds) for seconds in (0, 59.6, 61, 3723)] == ["0:00", "1:00", "1:01", "1:02:03"]


def test_counting_without_a_terminal_is_two_lines(capsys: object) -> None:
    with counting("drawing", 3) as advance:
        advance(3)
    out = capsys.readouterr().out
    assert out.startswith("drawing: 3 ...\ndrawing: 3 in ") and out.count("\n") == 2


def test_losses_are_shown_after_the_first_batch(capsys: pytest.CaptureFixture[str]) -> None:
    module = model(log_interval=1000)
    fit(module, 2, TrainingTime(), ProgressLine(plain_interval=0))
    first = next(line for line in capsys.readouterr().out.splitlines() if "images/s" in line)
    assert first.startswith("4 images") and " · loss D " in first and " G " in first
    assert module.loss_log.means == {} and len(module.loss_log.pending["loss/generator"]) == 2


def test_scores_are_a_table_beside_those_before(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate = Evaluate({"kid": KID()}, ["random_conv"], True, 1000, None, 40, 24)
    fit(model(), 1, TrainingTime(), ProgressLine(plain_interval=0), evaluate)
    lines = capsys.readouterr().out.splitlines()
    headings, better = [line.split() for line in lines if line.startswith("score ")], ["better", "is"]
    assert headings == [["score", "0", "images", *better], ["score", "0", "images", "4", "images", *better]]
    scores = [line.split() for line in lines if line.startswith("kid_x1000_random_conv ")]
    assert [len(words) for words in scores] == [3, 4] and scores[0][1] == scores[1][1] and scores[0][-1] == "lower"


def test_losses_are_means_of_the_last_batches_also_after_a_line_of_the_log() -> None:
    log = LossLog()
    for value in range(2 * RECENT):
        log.add({"loss/generator": torch.tensor(float(value)), "penalty/r1": torch.tensor(0.0)})
    log.line(images=1)
    assert log.recent_means() == {"loss/generator": 1.5 * RECENT - 0.5}
