"""The line that says how long a run will take."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from gan.training.callbacks.estimate import Estimate, describe
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.training_time import TrainingTime


class Measured(TrainingTime):
    """A clock that has measured 100 images per second."""

    def speed(self, images: int) -> float | None:
        return 100.0 if images >= 1000 else None


def evaluations(interval: int | None) -> Evaluate:
    made = Evaluate({}, [], "auto", None, 4, 24)
    made.interval, made.cost, made.loaded = interval, 5.0, [None]  # type: ignore[list-item]
    return made


def run(steps: int, minutes: float | None = None, *callbacks: Any, seen: int = 1000) -> tuple[Any, Any]:
    """A trainer that has made batches of 10 images, and its module."""
    clock = Measured(minutes)
    trainer = SimpleNamespace(
        max_steps=steps, global_step=seen // 10, callbacks=[clock, *callbacks], is_global_zero=True
    )
    return trainer, SimpleNamespace(images_seen=seen, batch_size=10)


def test_the_time_includes_evaluations() -> None:
    evaluate = evaluations(20_000)
    line = describe(*run(10_100, None, evaluate), evaluate, 100.0)
    expected = "about 17:10 until 101,000 images at 100 images/s, including evaluations of 5 s every 20,000 images"
    assert line == expected  # 1,000 s of training and 6 evaluations
    rare = evaluations(500_000)
    assert describe(*run(10_100, None, rare), rare, 100.0).endswith(", including the last evaluation of 5 s")


def test_minutes_end_the_run_where_they_come_first() -> None:
    assert describe(*run(-1, 5), None, 100.0) == "about 5:00 until about 31,000 images at 100 images/s"
    assert describe(*run(10_100, 5), None, 100.0).startswith("about 5:00 until about 31,000")
    assert describe(*run(10_100, 50), None, 100.0).startswith("about 16:40 until 101,000")
    assert describe(*run(110), None, 100.0) == ""  # a second is left


def test_the_line_comes_once_when_speed_and_interval_are_known(capsys: pytest.CaptureFixture[str]) -> None:
    estimate, evaluate = Estimate(), evaluations(None)
    for interval, seen, lines in (
        (None, 500, 0),
        (20_000, 500, 0),
        (None, 1000, 0),
        (20_000, 1000, 1),
        (20_000, 2000, 0),
    ):
        evaluate.interval = interval
        estimate.on_train_batch_end(*run(10_100, None, evaluate, seen=seen))
        assert capsys.readouterr().out.count("estimate: about") == lines
