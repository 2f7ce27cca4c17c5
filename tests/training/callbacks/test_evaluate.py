"""Scores in training: equal on one and two ranks, cached features of real images, and missing weights."""

from pathlib import Path
from typing import Any

import pytest
import torch
from lightning import Callback, Trainer

from gan.config.compose import compose
from gan.data.module import ImageDataModule
from gan.metrics.kid import KID
from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.training.callbacks.evaluate import Evaluate
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
    options += ["callback.evaluate.start=true", "data.validation=0.5"]
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


def test_missing_weights_are_reported_once_and_training_continues(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    evaluate = Evaluate({"kid": KID()}, ["inception", "random_conv"], False, 16, None, 8, 24)
    fit(model(), 8, evaluate)
    assert capsys.readouterr().out.count("inception needs weights-inception") == 1
    assert "eval/kid_x1000_random_conv" in evaluate.scores


def test_too_few_images_are_reported_and_training_continues(capsys: pytest.CaptureFixture[str]) -> None:
    evaluate = Evaluate({"kid": KID()}, ["random_conv"], False, 8, None, 8, 24)
    fit(model(), 2, evaluate, data=ImageDataModule(size=16, num_images=4, batch_size=4))
    assert "too few images to compare with (4)" in capsys.readouterr().out and not evaluate.scores


class Counted(Evaluate):
    """Evaluations that are only counted."""

    def __init__(self, start: bool | str, interval: int, first: int | None = None) -> None:
        super().__init__({"kid": KID()}, [], start, interval, first, 4, 24)
        self.made = list[int]()

    def score(self, trainer: Trainer, pl_module: Any) -> None:
        self.made.append(pl_module.images_seen)


@pytest.mark.parametrize(
    ("start", "interval", "first", "made"),
    [
        ("auto", 16, None, [16, 32, 40]),
        ("auto", 32, 8, [8, 16, 32, 40]),
        (True, 36, None, [0, 40]),  # not at 36 images, shortly before the end
        (False, 1000, None, [40]),
    ],
)
def test_when_a_run_is_evaluated(start: bool | str, interval: int, first: int | None, made: list[int]) -> None:
    evaluate = Counted(start, interval, first)
    fit(model(), 10, evaluate)  # 40 images
    assert evaluate.made == made


class OneImageASecond(TrainingTime):
    """A clock with a limit of 40 seconds."""

    seconds = 0.0

    def __init__(self) -> None:
        super().__init__(minutes=40 / 60)

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
        self.seconds = pl_module.images_seen


def test_a_run_of_minutes_is_not_evaluated_shortly_before_its_end() -> None:
    evaluate = Counted(False, 36)
    fit(model(), 20, OneImageASecond(), evaluate)  # 80 images
    assert evaluate.made == [80]


def test_a_start_that_can_be_the_best_is_evaluated_unless_it_was_refused() -> None:
    for start, made in (("auto", [0, 4]), (False, [4])):
        module, evaluate = model(), Counted(start, 1000)
        module.config = {"init_from": "run"}
        fit(module, 1, evaluate)
        assert evaluate.made == made


def test_wrong_options_are_refused() -> None:
    for start, interval in (("auto", "often"), ("auto", 0), ("yes", 8)):
        with pytest.raises(UserError, match=r"callback\.evaluate"):
            Evaluate({}, [], start, interval, None, 4, 24)


@pytest.mark.parametrize(
    ("length", "expected"),
    [
        ("images=100", (62, 250, 6_250)),
        ("images=50_000", (250, 1_000, 25_000)),
        ("images=1_000_000", (500, 2_000, 50_000)),
        ("minutes=2.5", (125, 500, 12_500)),
        ("minutes=60", (500, 2_000, 50_000)),
    ],
)
def test_short_runs_have_smaller_evaluations(length: str, expected: tuple[int, int, int]) -> None:
    options = compose([length, "trainer=cpu"]).callback.evaluate
    assert (options.num_images, options.max_real_images, options.interval) == expected


def test_evaluations_do_not_change_training() -> None:
    class Score(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
            evaluate.score(trainer, pl_module)

    evaluate = Evaluate({"kid": KID()}, ["random_conv"], False, 1000, None, 16, 24)
    plain, scored = model(), model()
    fit(plain, 6)
    fit(scored, 6, evaluate, Score())
    assert evaluate.scores
    for (name, value), other in zip(plain.state_dict().items(), scored.state_dict().values(), strict=True):
        if not name.startswith("ema"):  # whose BatchNorm is estimated for an evaluation
            assert torch.equal(value, other), name
