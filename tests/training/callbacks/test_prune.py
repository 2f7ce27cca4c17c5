"""stop=prune: which jobs of a sweep end early."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gan.runs import run_folder
from gan.runs.metrics import read_metrics
from gan.training.callbacks import stop
from gan.training.callbacks.stop import Prune, at_images, median_pruner
from gan.utils.errors import UserError
from tests.conftest import Train

pytest.importorskip("optuna")


def sweep(folder: Path, *jobs: dict[int, float]) -> Path:
    """Write the folder of a sweep with the scores of some jobs, and return the run folder of one more job."""
    (folder / run_folder.ROWS).mkdir()
    for number, scores in enumerate(jobs):
        run = folder / str(number)
        run.mkdir()
        lines = [{"images": images, "eval/x": score} for images, score in scores.items()]
        lines.insert(1, {"images": 5, "loss/generator": 0.1})
        (run / run_folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    return folder / str(len(jobs))


def ends(run: Path, scores: dict[int, float], **options: Any) -> bool:
    part = Prune(str(run), "eval/x", median_pruner(**{"n_startup_trials": 3, **options}))
    part.scores = list(scores.items())
    return part.should_prune()


JOBS = {0: 900.0, 100: 500.0, 200: 300.0}, {0: 900.0, 90: 600.0, 210: 400.0}, {0: 900.0, 110: 700.0, 220: 350.0}


def test_a_job_ends_if_it_is_worse_than_the_median_at_the_same_number_of_images(tmp_path: Path) -> None:
    run = sweep(tmp_path, *JOBS)
    assert ends(run, {120: 800.0}) and not ends(run, {120: 590.0})  # the others have 500, 600, 700
    assert ends(run, {120: 800.0, 200: 650.0})
    assert not ends(run, {120: 800.0, 200: 450.0})  # the best so far is compared with 300, 600, 700
    assert not ends(run, {120: 800.0}, n_warmup_steps=150)


def test_jobs_that_have_seen_fewer_images_do_not_count(tmp_path: Path) -> None:
    run = sweep(tmp_path, *JOBS)
    assert not ends(run, {215: 1000.0})  # only one other job has seen 215 images
    assert ends(run, {215: 1000.0}, n_startup_trials=1)


def test_scores_that_cannot_be_read_are_left_out(tmp_path: Path) -> None:
    run = sweep(tmp_path, *JOBS, {100: float("nan"), 300: float("inf")}, {})
    with open(tmp_path / "3" / run_folder.METRICS, "a") as file:
        file.write("[]\n{torn")
    assert ends(run, {120: 800.0}) and not ends(run, {120: 590.0})


def test_the_newest_score_at_a_number_of_images_counts() -> None:
    assert at_images({100: 5.0, 200: 4.0}, [50, 100, 199, 200, 900]) == {100: 5.0, 199: 5.0, 200: 4.0, 900: 4.0}


def test_rank_0_decides_and_the_state_is_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run = sweep(tmp_path, *JOBS)
    monkeypatch.setattr(stop, "last_scores", lambda trainer: {"eval/x": 800.0})
    strategy = SimpleNamespace(broadcast=lambda value: value)
    trainer = SimpleNamespace(
        strategy=strategy, is_global_zero=True, should_stop=False, global_step=3, max_steps=9
    )  # fmt: skip
    part = Prune(str(run), "eval/x", median_pruner(n_startup_trials=3))
    part.on_train_batch_end(trainer, SimpleNamespace(images_seen=120))  # type: ignore[arg-type]
    assert trainer.should_stop and "800 is worse than in other jobs; the run ends at 120" in capsys.readouterr().out
    other = Prune(str(run), "eval/x", None)
    other.load_state_dict(part.state_dict())
    assert other.scores == [(120, 800.0)]
    Prune(str(run), "eval/y", None).load_state_dict(part.state_dict())


def test_outside_a_sweep_it_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"^stop=prune compares the jobs of a sweep; add -m$"):
        Prune(str(tmp_path / "run"), "eval/x", None)


@pytest.mark.slow
def test_a_sweep_ends_its_worst_job_early(train: Train, tmp_path: Path) -> None:
    """The generator of the last of four jobs learns nothing."""
    lr = "model.generator_optimizer.lr=0.1,0.09,0.08,1e-9"
    more = ["data.num_images=40", "callback.evaluate.interval=64", "callback.evaluate.num_images=16", "images=256"]
    out = train("-m", lr, "stop=prune", *more, "hydra.sweep.dir=sweep").stdout
    assert out.count("stop=prune: eval/kid_x1000_random_conv") == 1 and "job 4" in out.split("stop=prune:")[0]
    runs = [tmp_path / "sweep" / str(job) for job in range(4)]
    images = [max(line["images"] for line in read_metrics(run / run_folder.METRICS)) for run in runs]
    assert images[:3] == [256] * 3 and images[3] < 256
