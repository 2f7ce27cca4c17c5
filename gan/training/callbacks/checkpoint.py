"""When checkpoints are saved, and which are kept. `gan.runs.checkpoint_io` writes the files."""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from gan import kinds, scores
from gan.metrics.kid import KIDEstimate, is_clearly_lower
from gan.runs import checkpoints, lock
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.training.base import NETWORKS
from gan.training.callbacks.evaluate import Evaluate
from gan.training.callbacks.loop import Periodic, clock_of, due, last_evaluation, paused
from gan.training.module import GAN
from gan.utils.errors import Diverged, UserError, at_least


class Checkpoint(Periodic, LightningCheckpoint):
    """Saves a checkpoint at regular intervals, at the end, at an interruption, and at a new best score.

    It also saves one after three minutes of training without another: a slow run should not lose more at a power cut.

    Lightning runs callbacks of this type last, after samples and scores of the same batch. Checkpoints are saved only
    in `on_train_batch_end`, where the counters of Lightning's loops are between two batches, not between two epochs,
    and before the first batch if the start can be the best: training may never improve on a color map.
    """

    activity = "checkpoints"
    saves = True

    def __init__(self, run: str, interval: int, keep: int = 2, monitor: str | None = None) -> None:
        self.run = Path(run)
        self.interval = at_least("callback.checkpoint.interval", interval, 1)
        self.keep = at_least("callback.checkpoint.keep", keep, 1)
        self.monitor = monitor
        self.sign = 1  # -1 if higher scores are better
        self.best_score: float | None = None
        self.best: str | None = None  # file name
        self.start: KIDEstimate | None = None  # score of the start, with its error, while the start is the best
        self.influences: dict[int, Tensor] = {}  # of files on differences to the start, by comparison

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        self.sign = scores.sign(str(self.monitor), pl_module.config)
        may_be_best = kinds.start_counts(pl_module.config) and pl_module.images_seen == 0
        if may_be_best and self.is_better(last_evaluation(trainer)):
            with paused(trainer, "checkpoints"):
                self.save(trainer, pl_module)

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        regular = due(trainer, pl_module, self.interval) or trainer.should_stop or clock_of(trainer).must_save
        if regular or self.is_better(last_evaluation(trainer)):
            self.save(trainer, pl_module)

    def is_better(self, evaluation: Evaluate | None) -> bool:
        """Return whether an evaluation has a new best score.

        A KID must be clearly lower than that of the start: among many KIDs of a few images, one is lower by chance.
        """
        if evaluation is None:
            return False
        score, kid = evaluation.scores.get(str(self.monitor), math.nan), evaluation.kids.get(str(self.monitor))
        if self.start is not None and kid is not None:
            return is_clearly_lower(kid, self.start, evaluation.number, self.influences)
        return math.isfinite(score) and (self.best_score is None or self.sign * score < self.sign * self.best_score)

    def save(self, trainer: Trainer, pl_module: GAN) -> None:
        """Save a checkpoint. A thread writes it, and then calls `written`."""
        storage: Any = trainer.strategy.checkpoint_io
        storage.wait()  # for the previous one, which may have failed
        check_lock(trainer, self.run)
        reset_invalid_statistics(pl_module)
        check_finite(trainer, pl_module)
        path = checkpoints.checkpoint_path(self.run, pl_module.images_seen)
        before = self.best_score, self.best, self.start
        evaluation = last_evaluation(trainer)
        if evaluation and self.is_better(evaluation):  # before saving, since checkpoints contain it
            self.best_score, self.best = evaluation.scores[str(self.monitor)], path.name
            self.start = None if pl_module.images_seen else evaluation.kids.get(str(self.monitor))
            pl_module.log_scalars({f"best/{str(self.monitor).removeprefix('eval/')}": self.best_score})
        clock = clock_of(trainer)
        clock.saved = clock.seconds
        then = functools.partial(self.written, storage, before)
        trainer.save_checkpoint(path, storage_options=then)

    def written(self, storage: AtomicCheckpointIO, before: tuple[Any, ...]) -> None:
        """Remove old checkpoints; if this one was not saved, restore what was best `before`."""
        if storage.failure:  # the disk is full: keep the previous best checkpoint and remove nothing
            self.best_score, self.best, self.start = before
            return
        self.prune()

    def prune(self) -> None:
        complete = [path for path in checkpoints.list_checkpoints(self.run) if checkpoints.is_complete(path)]
        for path in complete[: -self.keep]:
            if path.name != self.best:
                checkpoints.remove(path)

    def record(self) -> dict[str, Any] | None:
        if self.best is None:
            return None
        images = int(Path(self.best).stem.removeprefix("images-"))
        return {"checkpoint": self.best, "images": images, "monitor": self.monitor, "score": self.best_score}

    def state_dict(self) -> dict[str, Any]:
        start = None if self.start is None else list(self.start.without)
        return {"start": start, "influences": dict(self.influences), checkpoints.BEST_STATE: self.record()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        record, start = state_dict[checkpoints.BEST_STATE], state_dict["start"]
        # If the best checkpoint is missing, or is the best by another score, the next score becomes the best.
        complete = [path.name for path in checkpoints.list_checkpoints(self.run) if checkpoints.is_complete(path)]
        same = isinstance(record, dict) and record.get("monitor") == self.monitor
        if same and record["checkpoint"] in complete:
            self.best_score, self.best = float(record["score"]), record["checkpoint"]
            self.start = None if start is None else KIDEstimate(self.best_score, start)
            self.influences = state_dict.get("influences", {})  # older runs have none


def reset_invalid_statistics(pl_module: GAN) -> None:
    """Reset BatchNorm's running statistics that are not finite, which a skipped batch can cause."""
    for module in pl_module.modules():
        variance = module.running_var if isinstance(module, _BatchNorm) else None
        if variance is not None and not variance.isfinite().all():
            module.reset_running_stats()  # type: ignore[operator]


def check_lock(trainer: Trainer, run: Path) -> None:
    """Raise UserError on all ranks if this run has lost the lock of its folder."""
    if trainer.strategy.reduce_boolean_decision(lock.is_lost(run), all=False):
        raise UserError(f"{run}: {lock.LOST}")


def check_finite(trainer: Trainer, pl_module: GAN) -> None:
    """Raise Diverged if a weight or a state of an optimizer is not finite."""
    for name, value in (*pl_module.state_dict().items(), *optimizer_states(trainer)):
        if not torch.isfinite(value).all():
            what = f"training diverged: {name} is not finite at {pl_module.images_seen} images"
            raise Diverged(f"{what}; the last checkpoint is unchanged; lower the learning rate")


def optimizer_states(trainer: Trainer) -> Iterator[tuple[str, Tensor]]:
    for name, optimizer in zip(NETWORKS, trainer.optimizers, strict=False):
        for state in optimizer.state.values():
            yield from ((f"{name}_optimizer.{key}", value) for key, value in state.items() if torch.is_tensor(value))
