"""The clock of training: what it counts, when it ends a run, and how ranks agree."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from gan.runs import checkpoints
from gan.runs.checkpoint_io import load
from gan.training.callbacks import loop
from gan.training.callbacks.loop import TrainingTime, clock_of, due, paused
from gan.training.module import crosses
from tests.conftest import Train

CPU = torch.device("cpu")


class Clock:
    """A replacement of the module `time`, which stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class FakeTrainer(SimpleNamespace):
    """The members of Lightning's Trainer that the clock uses, with a count of broadcasts."""

    def __init__(self, ranks: int) -> None:
        strategy = SimpleNamespace(broadcast=self.broadcast, root_device=CPU)
        super().__init__(world_size=ranks, global_step=0, should_stop=False, strategy=strategy, broadcasts=0)

    def broadcast(self, value: Any) -> Any:
        self.broadcasts += 1
        return value


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def train(clock: TrainingTime, trainer: Any, time: Clock, seconds: float, batches: int = 10_000) -> int:
    """Run batches of some seconds until the clock ends the run; return their number."""
    first = trainer.global_step
    while not trainer.should_stop and trainer.global_step < first + batches:
        clock.on_train_batch_start(trainer)
        time.now += seconds
        trainer.global_step += 1
        clock.on_train_batch_end(trainer, SimpleNamespace(images_seen=4 * trainer.global_step))  # type: ignore[arg-type]
    return int(trainer.global_step) - first


def test_other_parts_do_not_count_as_training(time: Clock) -> None:
    clock, trainer = TrainingTime(minutes=1), FakeTrainer(1)
    trainer.callbacks = [clock]
    with paused(trainer, "evaluation"):  # type: ignore[arg-type]
        time.now += 90  # more than the whole run, before the first batch
    assert train(clock, trainer, time, 2, batches=10) == 10
    with paused(trainer, "grids"):  # type: ignore[arg-type]
        time.now += 50
    assert clock.seconds == 20 and clock.remaining == 40
    assert train(clock, trainer, time, 2) == 20 and trainer.should_stop
    assert clock.other == {"evaluation": 90, "grids": 50}


def test_the_speed_is_known_after_seconds_of_training(time: Clock) -> None:
    clock, trainer = TrainingTime(), FakeTrainer(1)
    assert train(clock, trainer, time, 7, batches=1) == 1  # the first batch also loads kernels
    assert clock.speed(4) is None
    train(clock, trainer, time, 2, batches=4)
    assert clock.speed(20) is None
    train(clock, trainer, time, 2, batches=1)
    assert clock.speed(24) == 2.0


def test_ranks_agree_about_once_a_second_and_stop_at_the_limit(time: Clock) -> None:
    clock, trainer = TrainingTime(minutes=1), FakeTrainer(2)
    assert train(clock, trainer, time, 0.01) == pytest.approx(6000, abs=1)
    assert trainer.broadcasts < 100  # of 6000 batches
    slow, trainer = TrainingTime(minutes=1), FakeTrainer(2)
    assert train(slow, trainer, time, 7) == 9  # a batch longer than a second is asked about each time


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_is_due_after_three_minutes_of_training(ranks: int, time: Clock) -> None:
    clock, trainer = TrainingTime(), FakeTrainer(ranks)
    due = []
    for batch in range(4000):
        train(clock, trainer, time, 0.1, batches=1)
        if clock.must_save:
            due.append(batch / 10)
            clock.saved = clock.seconds
    assert due == pytest.approx([180, 360], abs=3)
    assert ranks == 1 or trainer.broadcasts < 500
    resumed = TrainingTime()
    resumed.load_state_dict(clock.state_dict())
    train(resumed, FakeTrainer(ranks), time, 0.1, batches=1)
    assert not resumed.must_save


def test_a_resumed_run_goes_on_with_what_is_left(time: Clock) -> None:
    first, trainer = TrainingTime(minutes=1), FakeTrainer(2)
    train(first, trainer, time, 2, batches=20)
    second, trainer = TrainingTime(minutes=1), FakeTrainer(2)
    second.load_state_dict(first.state_dict())
    time.now += 1000
    assert train(second, trainer, time, 2) == 10
    over, trainer = TrainingTime(minutes=1), FakeTrainer(1)
    over.load_state_dict(second.state_dict())
    over.on_fit_start(trainer, None)  # type: ignore[arg-type]
    assert trainer.should_stop


def test_a_trainer_without_a_clock_has_one_that_stands() -> None:
    trainer: Any = SimpleNamespace(callbacks=[])
    assert clock_of(trainer).seconds == 0 and clock_of(trainer).remaining is None


def test_a_periodic_action_is_due_once_per_period_for_any_batch_size() -> None:
    for batch in (1, 7, 16, 64):
        seen = [images for images in range(batch, 1000, batch) if crosses(images - batch, images, 100)]
        assert [images // 100 for images in seen] == list(range(1, 1 + len(seen)))
        assert all(images % 100 < batch for images in seen)


def test_the_interval_doubles_up_to_its_limit() -> None:
    def due_at(first: int) -> list[int]:
        trainer: Any = SimpleNamespace(global_step=0, max_steps=-1, should_stop=False)
        modules: Any = [SimpleNamespace(images_seen=images, batch_size=10) for images in range(10, 500, 10)]
        return [module.images_seen for module in modules if due(trainer, module, 100, first)]

    assert due_at(15) == [20, 30, 60, 100, 200, 300, 400]
    assert due_at(100) == [100, 200, 300, 400]


@pytest.mark.slow
def test_minutes_count_training_alone_and_the_last_evaluation_runs(train: Train, tmp_path: Path) -> None:
    """The evaluation before the first step took 91 of 120 s, and the run ended after one batch."""
    (tmp_path / "slow.py").write_text(
        "import time, torch\n"
        "class Slow:\n"
        "    name = 'slow'\n"
        "    def __call__(self, images):\n"
        "        time.sleep(3)\n"
        "        return images.float().flatten(1)[:, :8]\n"
    )
    options = ["callback.evaluate.extractors=[slow.Slow]", "objective=eval/kid_x1000_slow", "minutes=0.03"]
    out = train(*options, "hydra.run.dir=a", "callback.evaluate.interval=100000", "callback.evaluate.first=null").stdout
    last = checkpoints.find_checkpoint(tmp_path / "a", "last")
    assert last is not None and checkpoints.images_of(last) > 8
    lines = [json.loads(line) for line in (tmp_path / "a" / "metrics.jsonl").read_text().splitlines()]
    scored = [line["images"] for line in lines if "eval/kid_x1000_slow" in line]
    assert scored == [0, checkpoints.images_of(last)]
    state = load(last)["callbacks"]["TrainingTime"]
    assert state["seconds"] < 3 < state["other"]["evaluation"]
    assert "of training" in out and "of evaluation" in out


@pytest.mark.slow
def test_two_ranks_stop_at_the_same_batch_and_resume(train: Train, tmp_path: Path) -> None:
    train("minutes=0.03", "trainer.devices=2", "hydra.run.dir=a")
    first = checkpoints.find_checkpoint(tmp_path / "a", "last")
    assert first is not None and checkpoints.find_damage(first) is None
    before = checkpoints.images_of(first)
    out = train("resume=a", "minutes=0.05", "trainer.devices=2").stdout
    last = checkpoints.find_checkpoint(tmp_path / "a", "last")
    assert last is not None and checkpoints.images_of(last) > before
    assert f"resumes at {before:,} images, after 0:02 of 0:03 of training" in out
