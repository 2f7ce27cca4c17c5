"""Scores while training, of the averaged generator against the training images."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from lightning import Callback, Trainer
from torch import Tensor

from gan.callbacks.interrupt import due
from gan.errors import UserError, at_least
from gan.module import GAN


class Evaluate(Callback):
    """Log eval/NAME_EXTRACTOR for each value of each metric.

    Args:
        metrics: by name, each `compute(real_features, fake_features) -> {name: float}`.
        extractor: uint8 (N, C, H, W) -> features (N, D), with a `name`.
        every: images from one evaluation to the next; there is one at the end as well.
        n: real and generated images each.
    """

    def __init__(self, metrics: Mapping[str, Any], extractor: Callable[[Tensor], Tensor], every: int, n: int) -> None:
        self.metrics = dict(metrics)
        self.extractor = extractor
        self.every = at_least("callback.evaluate.every", every, 1)
        self.n = at_least("callback.evaluate.n", n, 2)
        self.real_features: Tensor | None = None
        self.scored_at = -1  # images seen at the last evaluation
        self.scores: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if len(trainer.datamodule) < 2:  # type: ignore[attr-defined]
            raise UserError("one image cannot be evaluated against: add callback=[progress,samples,checkpoint]")

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.every):
            self.score(trainer, pl_module)

    def score(self, trainer: Trainer, pl_module: GAN) -> None:
        pl_module.averaged_generator()  # on all ranks: synchronised BatchNorm is estimated together
        values = self.measure(trainer, pl_module) if trainer.is_global_zero else {}
        # All ranks know the scores, since all of them decide whether a checkpoint is to be saved.
        self.scored_at, self.scores = pl_module.images_seen, trainer.strategy.broadcast(values)
        pl_module.log_scalars(self.scores)

    def measure(self, trainer: Trainer, pl_module: GAN) -> dict[str, float]:
        if self.real_features is None:
            self.real_features = self.extractor(trainer.datamodule.preview(self.n))  # type: ignore[attr-defined]
        fake_features = self.extractor(pl_module.fakes(self.n))
        return {
            f"eval/{name}_{self.extractor.name}": value  # type: ignore[attr-defined]
            for metric in self.metrics.values()
            for name, value in metric.compute(self.real_features, fake_features).items()
        }

    def state_dict(self) -> dict[str, Any]:
        return {"scored_at": self.scored_at, "scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scored_at, self.scores = state_dict["scored_at"], state_dict["scores"]


def last_scores(trainer: Trainer) -> dict[str, float]:
    """What was measured at the present count of images; empty where nothing was."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Evaluate) and callback.scored_at == trainer.lightning_module.images_seen:
            return callback.scores
    return {}
