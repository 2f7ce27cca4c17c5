"""Scores in training: equal on one and two ranks, cached features of real images, and missing weights."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan.run import run_folder
from gan.run.metrics import read_metrics
from tests.conftest import Train


def scores(run: Path) -> list[dict[str, float]]:
    lines = read_metrics(run / run_folder.METRICS)
    return [line for line in lines if any(name.startswith("eval/") for name in line)]


@pytest.mark.slow
def test_two_ranks_and_one_agree(train: Train, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    options = [
        "images=4",
        "data.num_images=130",
        "callback.evaluate.num_images=13",
        "data.split=file",
        "data.validation=0.5",
    ]
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
    first = train("images=4", "hydra.run.dir=a").stdout
    again = train("images=4", "hydra.run.dir=b", "seed=1").stdout
    assert "features of" in first and "features of" not in again
    kept = next((tmp_path / "cache" / "features").iterdir())
    kept.write_bytes(kept.read_bytes()[:-9])  # a torn file is made anew
    assert "features of" in train("images=4", "hydra.run.dir=c").stdout
    assert np.load(kept).shape[1] == 896


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
    assert "too few to compare with" in out and scores(tmp_path / "a") == []


def test_choices_and_the_best_score_are_under_hparams(train: Train, tmp_path: Path) -> None:
    train("images=32", "loss=hinge", "hydra.run.dir=a")
    events = EventAccumulator(str(tmp_path / "a")).Reload()
    best = [event.value for event in events.Scalars("best/kid_x1000_random_conv")]
    assert best == sorted(best, reverse=True)
    start = events.PluginTagToContent("hparams")["_hparams_/session_start_info"]
    assert b"loss" in start and b"hinge" in start and b"callback" not in start
