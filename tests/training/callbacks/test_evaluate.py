"""Scores in training: equal on one and two ranks, cached features of real images, and missing weights."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from lightning import Callback, Trainer

from gan.metrics.kid import KID
from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.training.callbacks.evaluate import TARGET, Evaluate, choose_interval
from gan.training.callbacks.loop import TrainingTime
from gan.utils.errors import UserError
from tests.conftest import Train

from ..test_module import fit, model


def scores(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / run_folder.METRICS)
    return [line for line in lines if any(name.startswith("eval/") for name in line)]


@pytest.mark.slow
def test_two_ranks_and_one_agree(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = ["images=4", "data.num_images=130", "callback.evaluate.num_images=13", "data.split=file"]
    options += ["data.validation=0.5"]
    options += ["callback.evaluate.extractors=[lite0,random_conv]", "objective=eval/kid_x1000_lite0", "data.flip=true"]
    found = []
    for devices in (1, 2):
        monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / f"cache{devices}"))
        train(*options, f"trainer.devices={devices}", f"hydra.run.dir=run{devices}")
        found.append(scores(tmp_path / f"run{devices}")[0])  # of the untrained generator, which is the same
    one, two = found
    assert one["images"] == two["images"] == 0
    names = [name for name in one if name.startswith("eval/")]
    assert sorted(names) == sorted(name for name in two if name.startswith("eval/"))
    assert {"eval/kid_x1000_lite0", "eval/fd_lite0", "eval/precision_lite0", "eval/recall_lite0"} < set(names)
    assert "eval/kid_x1000_random_conv" in names
    for name in names:
        assert two[name] == pytest.approx(one[name], rel=1e-5), name


@pytest.mark.slow
def test_features_of_real_images_are_computed_once(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RETRO_GAN_CACHE", str(tmp_path / "cache"))
    train("images=4", "hydra.run.dir=a")
    (kept,) = (tmp_path / "cache" / "features").iterdir()
    written, content = kept.stat().st_mtime_ns, kept.read_bytes()
    train("images=4", "hydra.run.dir=b", "seed=1")
    assert kept.stat().st_mtime_ns == written and np.load(kept).shape[1] == 896
    kept.write_bytes(content[:-9])  # a torn file is made anew
    train("images=4", "hydra.run.dir=c")
    assert kept.read_bytes() == content


@pytest.mark.slow
def test_missing_weights_are_reported_once_and_training_continues(
    train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    out = train("images=16", "hydra.run.dir=a", "callback.evaluate.extractors=[inception,random_conv]").stdout
    assert out.count("inception needs weights-inception") == 1 and "training continues without these scores" in out
    assert {name.rpartition("_")[2] for name in scores(tmp_path / "a")[-1] if name.startswith("eval/")} == {"conv"}
    assert "not known" in train("images=4", "callback.evaluate.extractors=[lite1]", check=2).stderr


def test_too_few_images_are_reported_and_training_continues(train: Train, tmp_path: Path) -> None:
    out = train("images=8", "hydra.run.dir=a", "data.num_images=4").stdout
    assert "too few images to compare with (" in out and scores(tmp_path / "a") == []


class Speed(TrainingTime):
    """A clock that has measured a speed after some images."""

    def __init__(self, known_at: int, speed: float) -> None:
        super().__init__()
        self.known_at, self.measured = known_at, speed

    def speed(self, images: int) -> float | None:
        return self.measured if images >= self.known_at else None


class Costly(Evaluate):
    """Evaluations of a given cost, which are only counted."""

    def __init__(self, interval: int | str, cost: float, first: int | None = None) -> None:
        super().__init__({"kid": KID()}, [], interval, first, 4, 24)
        self.given, self.made = cost, list[int]()

    def score(self, trainer: Trainer, pl_module: Any) -> None:
        self.cost = self.given
        self.made.append(pl_module.images_seen)


def test_the_interval_leaves_room_below_5_percent_and_has_two_digits() -> None:
    assert TARGET < 0.05 / 2
    assert choose_interval(cost=5, speed=370) == 93_000
    assert choose_interval(cost=4.32, speed=100) == 22_000
    assert choose_interval(cost=0.001, speed=1) == 1
    assert choose_interval(cost=0, speed=0) == 1


@pytest.mark.parametrize("cost", [0.4, 0.8])
def test_evaluations_take_at_most_a_fraction_of_the_time_and_the_last_always_runs(cost: float) -> None:
    evaluate = Costly("auto", cost)
    fit(model(), 50, Speed(known_at=8, speed=1.0), evaluate)  # 200 images of 4 each
    interval = choose_interval(cost, 1.0)
    assert evaluate.interval == interval and evaluate.made[0] == 0 and evaluate.made[-1] == 200
    between = evaluate.made[1:-1]
    assert between == list(range(interval, 200 - interval + 1, interval))
    assert cost * len(between) <= 0.05 * 200


def test_an_interval_that_was_typed_is_obeyed() -> None:
    evaluate, doubling = Costly(16, cost=100.0), Costly(32, cost=100.0, first=8)
    fit(model(), 10, Speed(8, 1.0), evaluate)
    fit(model(), 10, Speed(8, 1.0), doubling)
    assert evaluate.made == [0, 16, 32, 40] and doubling.made == [0, 8, 16, 32, 40]
    for wrong in ("often", "8", 0):
        with pytest.raises(UserError, match="evaluate"):
            Evaluate({}, [], wrong, None, 4, 24)


def test_a_resumed_run_keeps_the_interval() -> None:
    first, again, typed = Costly("auto", 1.0), Costly("auto", 9.0), Costly(16, 9.0)
    fit(model(), 4, Speed(8, 1.0), first)
    for callback in (again, typed):
        callback.load_state_dict(first.state_dict())
    assert again.interval == first.interval == 50 and again.cost == 1.0
    assert typed.interval == 16


def test_evaluations_do_not_change_training() -> None:
    class Score(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
            evaluate.score(trainer, pl_module)

    evaluate = Evaluate({"kid": KID()}, ["random_conv"], "auto", None, 16, 24)
    plain, scored = model(), model()
    fit(plain, 6)
    fit(scored, 6, evaluate, Score())
    assert evaluate.scores
    for (name, value), other in zip(plain.state_dict().items(), scored.state_dict().values(), strict=True):
        if not name.startswith("ema"):  # whose BatchNorm is estimated for an evaluation
            assert torch.equal(value, other), name
