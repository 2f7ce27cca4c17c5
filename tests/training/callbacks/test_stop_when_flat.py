"""stop=flat: when a score counts as flat, and the run that it ends."""

import random
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gan.runs.metrics import read_metrics
from gan.training.callbacks import stop
from gan.training.callbacks.stop import StopWhenFlat, describe_flat
from tests.conftest import Train

SEEDS = range(20)


def stops_at(values: list[float], patience: int = 5, fraction: float = 0.25) -> int | None:
    """Return the number of evaluations after which a run with these scores ends."""
    scores = [(1000 * (index + 1), value) for index, value in enumerate(values)]
    ends = (n for n in range(1, len(scores) + 1) if describe_flat(scores[:n], patience, fraction))
    return next(ends, None)


def falling(seed: int, noise: float) -> list[float]:
    """A score that falls from 900, by 7 % in each evaluation, and fluctuates."""
    generator = random.Random(seed)
    return [900 * 0.93**index + generator.gauss(0, noise) for index in range(80)]


def test_a_score_that_falls_does_not_end_the_run() -> None:
    assert stops_at([900 - 10 * index for index in range(60)]) is None
    assert all(stops_at(falling(seed, noise=5)) is None for seed in SEEDS)
    assert all(900 * 0.93 ** (stops_at(falling(seed, noise=20)) or 80) < 3 * 20 for seed in SEEDS)  # hidden by noise


def test_a_flat_score_ends_the_run_but_not_before_there_are_enough_evaluations() -> None:
    ends = [stops_at([200 + random.Random(f"{seed} {index}").gauss(0, 10) for index in range(60)]) for seed in SEEDS]
    assert all(end is not None and 10 <= end <= 40 for end in ends)
    assert stops_at([200.0] * 60) == 10
    assert stops_at([200.0] * 60, patience=3) == 6


def test_a_score_that_is_better_when_higher_does_not_end_the_run_while_it_rises() -> None:
    rising = [(1000 * (index + 1), index / 100) for index in range(40)]
    assert not describe_flat(rising, 5, 0.25, sign=-1) and describe_flat(rising, 5, 0.25)
    flat = [(images, -value) for images, value in rising]
    assert "since 0 at 1,000 images" in describe_flat(flat, 5, 0.25, sign=-1).replace("-0", "0")


def test_the_newest_evaluations_cover_a_fraction_of_the_images() -> None:
    scores = [(1000 * (index + 1), 200.0) for index in range(40)]
    assert f"{len(scores) // 2} evaluations" in describe_flat(scores, 2, 0.5)
    improved = [*[(images, 300.0) for images, _ in scores[:19]], *scores[19:]]  # halfway
    assert describe_flat(improved, 2, 0.1) and not describe_flat(improved, 2, 0.6)


def test_the_state_is_kept_and_each_rank_decides_alike(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(stop, "last_evaluation", lambda trainer: SimpleNamespace(scores=trainer.scores))
    first, again = StopWhenFlat("eval/x", patience=2), StopWhenFlat("eval/x", patience=2)
    trainer: Any = SimpleNamespace(should_stop=False, scores={}, global_step=1, max_steps=-1)

    def batch(callback: StopWhenFlat, images: int, scores: dict[str, float]) -> None:
        trainer.scores = scores
        callback.on_train_batch_end(trainer, SimpleNamespace(images_seen=images))

    for images in (100, 200):
        batch(first, images, {"eval/x": 5.0})
        batch(first, images + 50, {})  # a batch without an evaluation
    batch(first, 300, {"eval/x": float("nan")})
    again.load_state_dict(first.state_dict())
    batch(again, 400, {"eval/x": 5.0})
    assert not trainer.should_stop
    batch(again, 500, {"eval/x": 5.0})
    assert trainer.should_stop and "stop=flat: eval/x has not improved" in capsys.readouterr().out
    other = StopWhenFlat("eval/y")
    other.load_state_dict(first.state_dict())
    assert other.scores == []


@pytest.mark.slow
def test_a_run_ends_with_a_reason_a_grid_and_a_checkpoint(train: Train, tmp_path: Path) -> None:
    frozen = ["model.generator_optimizer.lr=0", "stop=flat", "stop.patience=2", "images=4000"]
    options = ["callback.evaluate.interval=16", "callback.checkpoint.interval=100000", "callback.health.silent=0"]
    out = train(*frozen, *options, "hydra.run.dir=a").stdout
    (line,) = [line for line in out.splitlines() if line.startswith("stop=flat:")]
    assert "eval/kid_x1000_random_conv has not improved by more than" in line
    ended = max(entry["images"] for entry in read_metrics(tmp_path / "a" / "metrics.jsonl"))
    assert 64 <= ended < 4000 and f"the run ends at {ended:,} images" in line
    assert (tmp_path / "a" / "samples" / f"{ended:09d}.png").exists()
    assert (tmp_path / "a" / "checkpoints" / f"images-{ended:09d}.ckpt").exists()
    train("resume=a", "stop=none", f"images={ended + 8}")
    assert (tmp_path / "a" / "checkpoints" / f"images-{ended + 8:09d}.ckpt").exists()
    small = ["data.num_images=24", "data.size=16", "callback=[checkpoint]"]
    error = train("stop=flat", *small, tiny=False, check=2).stderr
    assert "stop=flat needs scores" in error
