"""A run whose updates are skipped ends with an error, whatever its length."""

from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan.training.loss_log import IN_A_ROW, SKIPPED, LossLog
from gan.utils.errors import Diverged

TRAINER: Any = SimpleNamespace(
    precision_plugin=None, strategy=SimpleNamespace(reduce_boolean_decision=lambda value, all: value)
)


def add(log: LossLog, *skipped: float) -> None:
    for one in skipped:
        log.add({SKIPPED + "generator": torch.tensor(float(one)), "loss/generator": torch.tensor(1.0)})


def end_line(log: LossLog) -> None:
    log.line(64)
    log.check(TRAINER, 64)


def test_a_short_run_without_an_update_has_diverged() -> None:
    log = LossLog()
    add(log, 1, 1, 1)
    with pytest.raises(Diverged, match="no gradient of the generator is finite at 64 images"):
        end_line(log)


def test_a_network_that_stopped_learning_has_diverged() -> None:
    log = LossLog()
    add(log, 0, 0, 0, 0, *[1] * IN_A_ROW)
    with pytest.raises(Diverged, match="no gradient of the generator is finite"):
        end_line(log)


def test_single_skipped_updates_are_no_divergence() -> None:
    log = LossLog()
    add(log, *[1] * (IN_A_ROW - 1), 0)
    end_line(log)
    add(log, 1)  # the last batch of a run, after a line
    end_line(log)
