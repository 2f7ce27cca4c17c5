"""The clock of training: what it counts, when it ends a run, and how ranks agree."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import torch
import torch.distributed as dist
from lightning import Callback

from gan.metrics.kid import KID
from gan.runs import checkpoints
from gan.training.callbacks import loop
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import Interrupt, TrainingTime, due, paused
from tests.conftest import Train

from ..test_module import fit, model

CPU = torch.device("cpu")


class Clock:
    """A replacement of the module `time`, which stands until it is moved."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


class FakeTrainer(SimpleNamespace):
    """The members of Lightning's Trainer that the callbacks use."""

    def __init__(self, ranks: int, clock: TrainingTime) -> None:
        strategy = SimpleNamespace(broadcast=lambda value: value, root_device=CPU)
        self.interrupt = Interrupt()
        self.interrupt.group = cast("dist.ProcessGroup", object()) if ranks > 1 else None
        super().__init__(global_step=0, should_stop=False, strategy=strategy, callbacks=[self.interrupt, clock])


@pytest.fixture(autouse=True)
def exchanges(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """Replace the exchange with other ranks, which want the same, and collect the values."""
    values: list[Any] = []
    monkeypatch.setattr(dist, "all_reduce", lambda tensor, *_: values.append(tensor))
    return values


@pytest.fixture
def time(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(loop, "time", clock)
    return clock


def train(trainer: Any, time: Clock, seconds: float, batches: int = 10_000) -> int:
    """Run batches of some seconds until the clock ends the run; return their number."""
    (interrupt, clock), first = trainer.callbacks, trainer.global_step
    while not trainer.should_stop and trainer.global_step < first + batches:
        clock.on_train_batch_start(trainer)
        time.now += seconds
        trainer.global_step += 1
        module: Any = SimpleNamespace(images_seen=4 * trainer.global_step)
        interrupt.on_train_batch_end(trainer, module)
        clock.on_train_batch_end(trainer, module)
    return int(trainer.global_step) - first


def test_other_parts_do_not_count_as_training(time: Clock) -> None:
    trainer = FakeTrainer(1, clock := TrainingTime(minutes=1))
    with paused(trainer, "evaluation"):
        time.now += 90  # more than the whole run, before the first batch
    assert train(trainer, time, 2, batches=10) == 10
    with paused(trainer, "grids"):
        time.now += 50
    assert clock.seconds == 20 and clock.remaining == 40
    assert train(trainer, time, 2) == 20 and trainer.should_stop
    assert clock.other == {"evaluation": 90, "grids": 50}


def test_ranks_agree_about_twice_a_second_and_stop_at_the_limit(time: Clock, exchanges: list[Any]) -> None:
    assert train(FakeTrainer(2, TrainingTime(minutes=1)), time, 0.01) == pytest.approx(6000, abs=1)
    assert len(exchanges) < 150  # of 6000 batches
    assert train(FakeTrainer(2, TrainingTime(minutes=1)), time, 7) == 9  # longer batches are asked about each time


@pytest.mark.parametrize("ranks", [1, 2])
def test_a_checkpoint_is_due_after_three_minutes_of_training(ranks: int, time: Clock, exchanges: list[Any]) -> None:
    trainer = FakeTrainer(ranks, clock := TrainingTime())
    due = []
    for batch in range(4000):
        train(trainer, time, 0.1, batches=1)
        if clock.must_save:
            due.append(batch / 10)
            clock.saved = clock.seconds
    assert due == pytest.approx([180, 360], abs=3)
    assert len(exchanges) < 1000
    resumed = TrainingTime()
    resumed.load_state_dict(clock.state_dict())
    train(FakeTrainer(ranks, resumed), time, 0.1, batches=1)
    assert not resumed.must_save


def test_a_resumed_run_goes_on_with_what_is_left(time: Clock) -> None:
    first, second, over = (TrainingTime(minutes=1) for _ in range(3))
    train(FakeTrainer(2, first), time, 2, batches=20)
    second.load_state_dict(first.state_dict())
    time.now += 1000
    assert train(FakeTrainer(2, second), time, 2) == 10
    trainer = FakeTrainer(1, over)
    over.load_state_dict(second.state_dict())
    over.on_fit_start(trainer, None)
    assert trainer.should_stop


def test_the_interval_doubles_up_to_its_limit() -> None:
    def due_at(first: int) -> list[int]:
        trainer: Any = SimpleNamespace(global_step=0, max_steps=-1, should_stop=False)
        modules: Any = [SimpleNamespace(images_seen=images, batch_size=10) for images in range(10, 500, 10)]
        return [module.images_seen for module in modules if due(trainer, module, 100, first)]

    assert due_at(15) == [20, 30, 60, 100, 200, 300, 400]
    assert due_at(100) == [100, 200, 300, 400]


class Slow:
    """An extractor that takes 90 seconds for some images."""

    name = "slow"

    def __init__(self, time: Clock) -> None:
        self.time = time

    def __call__(self, images: torch.Tensor) -> torch.Tensor:
        self.time.now += 90
        return images.float().flatten(1)[:, :8]


class ASecond(Callback):
    """Lets each batch take a second."""

    def __init__(self, time: Clock) -> None:
        self.time = time

    def on_train_batch_end(self, *_: object) -> None:
        self.time.now += 1


def test_minutes_count_training_alone_and_the_last_evaluation_runs(time: Clock) -> None:
    """The evaluation before the first step took 91 of 120 s, and the run ended after one batch."""
    clock, evaluate = TrainingTime(minutes=0.2), Evaluate({"kid": KID()}, [Slow(time)], True, 1000, None, 8, 24)
    fit(model(), 100, ASecond(time), Interrupt(), clock, evaluate)
    assert clock.seconds == 12 and evaluate.scored_at == 12 * 4
    assert clock.other["evaluation"] >= 2 * 90


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
