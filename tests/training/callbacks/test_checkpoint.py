"""When checkpoints are saved, which ones are kept, and which one is best."""

import shutil
from pathlib import Path

import pytest
import torch
from lightning import Callback, Trainer
from torch import Tensor

from gan import kinds
from gan.data.module import ImageDataModule
from gan.metrics.kid import KIDEstimate
from gan.runs import checkpoints, lock, run_folder
from gan.runs.checkpoint_file import load
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.training.callbacks.checkpoint import Checkpoint, check_finite, reset_invalid_statistics
from gan.training.callbacks.evaluate import Evaluate
from gan.training.module import GAN
from gan.utils.errors import Diverged, UserError

from .. import test_module


class Scores(Evaluate):
    """An evaluation that returns given scores in order."""

    def __init__(self, scores: list[float], interval: int) -> None:
        super().__init__({}, [], False, interval, first=interval, num_images=2, max_real_images=2)
        self.script = iter(scores)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
        pass

    def score(self, trainer: Trainer, pl_module: GAN) -> None:
        self.note_score("eval/kid", pl_module)

    def note_score(self, monitor: str, pl_module: GAN) -> None:
        """Set the next score. It is of 20 files; the difference of two KIDs has the error 1."""
        score = next(self.script)
        self.scored_at, self.scores, self.number = pl_module.images_seen, {monitor: score}, self.number + 1
        spread = torch.tensor([1.0, -1.0]).repeat(10) / 19**0.5 * (self.number > 1)
        self.kids = {monitor: KIDEstimate(score, [spread, 0 * spread])} if "kid_x1000" in monitor else {}


def fit(batches: int, *callbacks: Callback) -> GAN:
    options = {"enable_checkpointing": True, "plugins": [AtomicCheckpointIO()]}
    data = ImageDataModule(size=16, num_images=8, batch_size=4)
    return test_module.fit(test_module.model(), batches, *callbacks, data=data, **options).lightning_module


def images(run: Path) -> list[int]:
    return [checkpoints.images_of(path) for path in checkpoints.list_checkpoints(run)]


def test_the_newest_are_kept(tmp_path: Path) -> None:
    fit(11, Checkpoint(str(tmp_path), interval=8, keep=2))
    assert images(tmp_path) == [40, 44]  # 44 is the end of the run
    assert all(checkpoints.find_damage(path) is None for path in checkpoints.list_checkpoints(tmp_path))
    assert len(list((tmp_path / "checkpoints").iterdir())) == 4


def test_the_best_is_kept_and_named(tmp_path: Path) -> None:
    scores = Scores([3.0, 1.0, 5.0, 2.0, float("nan")], interval=8)
    fit(10, scores, Checkpoint(str(tmp_path), interval=8, keep=1, monitor="eval/kid"))
    assert images(tmp_path) == [16, 40]
    path = checkpoints.best(tmp_path)
    assert path is not None and checkpoints.images_of(path) == 16
    assert (checkpoints.best_record(tmp_path) or {})["monitor"] == "eval/kid"


def test_the_best_is_the_highest_if_the_metric_says_so(tmp_path: Path) -> None:
    class Configured(Callback):
        def setup(self, trainer: Trainer, pl_module: GAN, stage: str) -> None:
            pl_module.config = {"metric": {"mine": {"_scores_": {"kid": ["mine", "higher"]}}}}

    scores = Scores([3.0, 5.0, float("nan"), 1.0], interval=8)
    fit(8, Configured(), scores, Checkpoint(str(tmp_path), interval=8, keep=1, monitor="eval/kid"))
    path = checkpoints.best(tmp_path)
    assert path is not None and checkpoints.images_of(path) == 16


@pytest.mark.parametrize(
    ("monitor", "scores", "best"),
    [
        ("eval/kid_x1000_lite0", [30.0, 28.0, 40.0], 0),  # lower by less than chance
        ("eval/kid_x1000_lite0", [30.0, 25.0, 40.0], 8),
        ("eval/kid_x1000_lite0", [30.0, 25.0, 24.9], 16),  # no checkpoint but the start is preferred
        ("eval/kid_x1000_lite0", [30.0, 40.0, 25.0], 16),
        ("eval/kid_x1000_lite0", [-5.0, -5.4, -6.0], 0),
        ("eval/ciede2000", [5.0, 4.9, 6.0], 8),  # the distance to the ground truth is no estimate
        ("eval/ciede2000", [5.0, 5.1, 6.0], 0),
    ],
)
def test_the_start_of_a_translator_is_kept_unless_training_is_clearly_better(
    monitor: str, scores: list[float], best: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class FromStart(Scores):
        def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
            self.score(trainer, pl_module)

        def score(self, trainer: Trainer, pl_module: GAN) -> None:
            self.note_score(monitor, pl_module)

    monkeypatch.setattr(kinds, "start_counts", lambda config: True)
    fit(4, FromStart(scores, interval=8), Checkpoint(str(tmp_path), interval=8, keep=1, monitor=monitor))
    assert images(tmp_path) == sorted({best, 16})
    path = checkpoints.best(tmp_path)
    assert path is not None and checkpoints.images_of(path) == best


def test_damaged_checkpoints_do_not_count_as_kept(tmp_path: Path) -> None:
    """Regression: with a newer incomplete checkpoint, keep=1 removed all complete ones."""
    callback = Checkpoint(str(tmp_path), interval=8, keep=1)
    fit(4, callback)
    (whole,) = checkpoints.list_checkpoints(tmp_path)
    torn = checkpoints.checkpoint_path(tmp_path, 1000)
    torn.write_bytes(b"torn")
    checkpoints.sidecar(torn).write_bytes(checkpoints.sidecar(whole).read_bytes())
    callback.prune()
    assert checkpoints.list_checkpoints(tmp_path) == [whole, torn]
    assert checkpoints.find_damage(whole) is None


def test_a_missing_best_does_not_prevent_the_next(tmp_path: Path) -> None:
    callback = Checkpoint(str(tmp_path), interval=8, monitor="eval/kid")
    record = {"checkpoint": "images-000000008.ckpt", "images": 8, "monitor": "eval/kid", "score": 0.1}
    callback.load_state_dict({"start": None, checkpoints.BEST_STATE: record})
    scores = Scores([], interval=8)
    scores.scores = {"eval/kid": 5.0}
    assert callback.best is None and callback.is_better(scores)


def test_the_error_of_the_start_survives_a_resume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kinds, "start_counts", lambda config: True)
    name = "eval/kid_x1000_lite0"

    class Start(Scores):
        def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:
            self.note_score(name, pl_module)

    before = Checkpoint(str(tmp_path), interval=8, monitor=name)
    fit(1, Start([30.0], interval=800), before)
    state = load(checkpoints.checkpoint_path(tmp_path, 0))["callbacks"]["Checkpoint"]
    callback = Checkpoint(str(tmp_path), interval=8, monitor=name)
    callback.load_state_dict(state)
    scores = Scores([], interval=8)
    scores.number = 2
    for value, error, better in ((28.0, 1.0, False), (28.0, 0.1, True), (25.0, 1.0, True), (31.0, 0.1, False)):
        spread = error * torch.tensor([1.0, -1.0]).repeat(10) / 19**0.5
        scores.scores, scores.kids = {name: value}, {name: KIDEstimate(value, [spread, 0 * spread])}
        assert callback.is_better(scores) == before.is_better(scores) == better
    again = Checkpoint(str(tmp_path), interval=8, monitor=name)
    again.load_state_dict(callback.state_dict())
    assert list(again.influences) == [2] and torch.equal(again.influences[2], callback.influences[2])
    del state["influences"]  # of an older run
    again.load_state_dict(state)
    assert again.influences == {} and again.start is not None


def test_the_comparisons_with_the_start_survive_a_resume(tmp_path: Path) -> None:
    name, spread = "eval/kid_x1000_lite0", torch.tensor([1.0, -1.0]).repeat(10) / 19**0.5
    callbacks = [Checkpoint(str(tmp_path), interval=8, monitor=name) for _ in range(3)]
    before, resumed, older = callbacks
    scores = Scores([], interval=8)

    def is_better(callback: Checkpoint, look: int, score: float, error: Tensor) -> bool:
        scores.number, scores.scores = look, {name: score}
        scores.kids = {name: KIDEstimate(score, [error, 0 * error])}
        return callback.is_better(scores)

    before.start = KIDEstimate(30.0, [0 * spread] * 2)
    for look in range(2, 12):  # comparisons that do not correlate with the next one
        assert not is_better(before, look, 30.0, torch.eye(20)[look])
    resumed.start, older.start = before.start, before.start
    resumed.influences = before.state_dict()["influences"]
    assert [is_better(callback, 12, 27.5, spread) for callback in callbacks] == [False, False, True]


def test_the_best_by_another_score_is_not_compared(tmp_path: Path) -> None:
    scores = Scores([3.0], interval=8)
    fit(2, scores, before := Checkpoint(str(tmp_path), interval=8, monitor="eval/kid"))
    same, other = (Checkpoint(str(tmp_path), interval=8, monitor=name) for name in ("eval/kid", "eval/fd"))
    for callback in (same, other):
        callback.load_state_dict(before.state_dict())
    assert (same.best_score, other.best) == (3.0, None)


def test_each_checkpoint_knows_the_best_so_far(tmp_path: Path) -> None:
    fit(6, Scores([3.0, 1.0, 2.0], interval=8), Checkpoint(str(tmp_path), interval=8, keep=9, monitor="eval/kid"))
    known = [checkpoints.read_sidecar(path)["best"] for path in checkpoints.list_checkpoints(tmp_path)]
    assert [(record["images"], record["score"]) for record in known] == [(8, 3.0), (16, 1.0), (16, 1.0)]
    assert checkpoints.best_record(tmp_path) == known[-1]


@pytest.mark.parametrize(
    ("what", "said"),
    [("weights", r"generator\.stem\.0\.weight"), ("optimizer", r"discriminator_optimizer\.exp_avg_sq")],
)
def test_values_that_are_not_finite_are_never_saved(what: str, said: str, tmp_path: Path) -> None:
    class Poison(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
            if trainer.global_step == 4 and what == "weights":
                next(pl_module.generator.parameters()).data[0] = float("nan")
            elif trainer.global_step == 4:
                next(iter(trainer.optimizers[1].state.values()))["exp_avg_sq"][0] = float("inf")

    with pytest.raises(Diverged, match=f"{said} is not finite at 16 images"):
        fit(10, Poison(), Checkpoint(str(tmp_path), interval=8))
    assert images(tmp_path) == [8]
    state = load(checkpoints.list_checkpoints(tmp_path)[0])["state_dict"]
    assert all(bool(torch.isfinite(value).all()) for value in state.values())


@pytest.mark.parametrize("how", ["removed", "taken over"])
def test_a_run_that_has_lost_its_folder_saves_nothing(how: str, tmp_path: Path) -> None:
    run = tmp_path / "run"
    run.mkdir()

    class Lose(Callback):
        def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:
            if trainer.global_step == 3:
                shutil.rmtree(run) if how == "removed" else (run / run_folder.LOCK).write_text("another's")

    lock.acquire(run)
    try:
        with pytest.raises(UserError, match="this folder was removed or moved, or another process has taken it over"):
            fit(4, Lose(), Checkpoint(str(run), interval=8))
    finally:
        lock.release()
    assert run.exists() == (how == "taken over")
    assert how == "removed" or images(run) == [8]


def test_statistics_damaged_by_a_bad_batch_are_reset(tmp_path: Path) -> None:
    module = fit(1, Checkpoint(str(tmp_path), interval=8))
    good, bad = (block[1] for block in (module.generator.blocks[0], module.discriminator.blocks[0]))
    good.running_mean.fill_(3.0)
    bad.running_mean.fill_(float("nan"))
    bad.running_var.fill_(float("nan"))
    reset_invalid_statistics(module)
    check_finite(module.trainer, module)
    assert good.running_mean.eq(3).all() and bad.running_mean.eq(0).all() and bad.running_var.eq(1).all()
    module.discriminator.to_logit.weight.data[0] = float("inf")
    with pytest.raises(Diverged, match="to_logit"):
        check_finite(module.trainer, module)
