"""Checkpoints: when, under which name, and which are kept. How a file is written is gan/run/checkpoint_io.py's."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import torch
from lightning import Trainer
from lightning.pytorch.callbacks import Checkpoint as LightningCheckpoint
from torch import Tensor
from torch.nn.modules.batchnorm import _BatchNorm

from gan.common.clock import crosses
from gan.common.errors import Diverged, UserError, at_least, reason
from gan.common.files import write_json
from gan.run import lock, run_folder
from gan.run.checkpoint_io import AtomicCheckpointIO
from gan.training.callbacks.evaluate import last_scores
from gan.training.callbacks.interrupt import due
from gan.training.module import GAN


class Checkpoint(LightningCheckpoint):
    """Save every so many images, at the end and when told to stop; remember the best.

    Lightning runs callbacks of this type last, after pictures and scores of the same batch. It saves inside
    `on_train_batch_end` alone, where the loops' counters stand between two batches and not between two epochs.

    Args:
        run: the run folder.
        every: images from one checkpoint to the next.
        keep: how many of the newest stay.
        keep_interval: images; the first at each multiple of it, or after, stays too. None keeps no others.
        monitor: logged name that decides which is best.
        mode: "min" or "max" of it.
    """

    def __init__(
        self,
        run: str,
        interval: int,
        keep: int = 2,
        keep_interval: int | None = None,
        monitor: str | None = None,
        mode: Literal["min", "max"] = "min",
    ) -> None:
        self.run = Path(run)
        self.interval = at_least("callback.checkpoint.interval", interval, 1)
        self.keep = at_least("callback.checkpoint.keep", keep, 1)
        self.keep_interval = keep_interval
        self.monitor = monitor
        self.mode = mode
        self.best_score = math.inf if mode == "min" else -math.inf
        self.best: str | None = None  # file name

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.interval) or trainer.should_stop or self.better(last_scores(trainer)):
            self.save(trainer, pl_module)

    def better(self, scores: dict[str, float]) -> bool:
        score = scores.get(self.monitor or "", math.nan)
        return score < self.best_score if self.mode == "min" else score > self.best_score

    def save(self, trainer: Trainer, pl_module: GAN) -> None:
        refuse_lost(trainer, self.run)
        mend_statistics(pl_module)
        refuse_non_finite(pl_module)
        path = run_folder.checkpoint_path(self.run, pl_module.images_seen)
        before = self.best_score, self.best
        if self.better(scores := last_scores(trainer)):  # before saving, since it is part of what is saved
            self.best_score, self.best = scores[str(self.monitor)], path.name
            pl_module.log_scalars({best_of(str(self.monitor)): self.best_score})
        trainer.save_checkpoint(path)
        if not trainer.is_global_zero:
            return
        storage = trainer.strategy.checkpoint_io
        if (
            isinstance(storage, AtomicCheckpointIO) and storage.failure
        ):  # a full disk: what was the best before goes on being it, and nothing is removed
            self.best_score, self.best = before
            return
        if self.best == path.name:
            try:
                write_json(path.with_name(run_folder.BEST), self.record())
            except OSError as error:
                print(f"best.json: not written ({reason(error)}); training goes on", flush=True)
        self.prune(pl_module.batch_size)

    def prune(self, batch_size: int) -> None:
        """Remove what need not be kept, oldest first. Only complete checkpoints count as kept, and are removed."""
        complete = [path for path in run_folder.checkpoints(self.run) if run_folder.is_complete(path)]
        for path in complete[: -self.keep]:
            images = int(path.stem.removeprefix("images-"))
            kept = self.keep_interval and crosses(images - batch_size, images, self.keep_interval)
            if path.name != self.best and not kept:
                run_folder.remove(path)

    def record(self) -> dict[str, Any] | None:
        """What best.json holds. The file beside each checkpoint has it too, which mends a kill between the two."""
        if self.best is None:
            return None
        images = int(Path(self.best).stem.removeprefix("images-"))
        return {"checkpoint": self.best, "images": images, "monitor": self.monitor, "score": self.best_score}

    def state_dict(self) -> dict[str, Any]:
        return {"best_score": self.best_score, "best": self.best, run_folder.BEST_STATE: self.record()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        best = state_dict["best"]
        if best is not None and run_folder.is_complete(
            run_folder.checkpoint_named(self.run, best)
        ):  # else the next score is best
            self.best_score, self.best = state_dict["best_score"], best


def best_of(name: str) -> str:
    """What the best value so far of a logged one is logged as."""
    return f"best/{name.removeprefix('eval/')}"


def mend_statistics(pl_module: GAN) -> None:
    """Begin BatchNorm's averages anew where a batch that was left out has spoilt them for good."""
    for module in pl_module.modules():
        if (
            isinstance(module, _BatchNorm)
            and module.running_var is not None
            and not module.running_var.isfinite().all()
        ):
            module.reset_running_stats()


def refuse_lost(trainer: Trainer, run: Path) -> None:
    """UserError, on all ranks, where the run folder is no longer this run's to write into."""
    if trainer.strategy.reduce_boolean_decision(lock.lost(run), all=False):
        raise UserError(f"{run}: {lock.GONE}")


def refuse_non_finite(pl_module: GAN) -> None:
    """Raise Diverged rather than save weights, or an optimizer's averages, that nothing can be made of."""
    for name, value in (*pl_module.state_dict().items(), *optimizer_states(pl_module)):
        if not torch.isfinite(value).all():
            raise Diverged(
                f"training diverged: {name} is not finite at {pl_module.images_seen} images; nothing was saved over "
                "the last good checkpoint; lower the learning rate"
            )


def optimizer_states(pl_module: GAN) -> Iterator[tuple[str, Tensor]]:
    """The tensors of the optimizers' states, where the module is training."""
    optimizers = pl_module._trainer.optimizers if pl_module._trainer else []
    for name, optimizer in zip(("generator", "discriminator"), optimizers, strict=False):
        for state in optimizer.state.values():
            yield from ((f"{name}_optimizer.{key}", value) for key, value in state.items() if torch.is_tensor(value))
