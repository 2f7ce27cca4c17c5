"""Compute scores of the EMA generator during training."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from gan.common.errors import at_least
from gan.common.output import print_line
from gan.evaluation.feature_cache import cache_path, read, write
from gan.evaluation.memorization import MIN_HELD_OUT, MIN_SIMILARITY, NEIGHBORS, CopySearch
from gan.metrics.extractors import checked, extractor, features
from gan.metrics.kid import KID_SCALE, squared_mmd
from gan.metrics.pretrained import MissingWeights
from gan.training.callbacks.interrupt import due
from gan.training.module import GAN


class Evaluate(Callback):
    """Logs eval/METRIC_EXTRACTOR for each metric and extractor, and eval/copies, at the start, regularly, at the end.

    Args:
        metrics: metrics by name; each has `compute(real_features, fake_features) -> {name: float}`.
        extractors: names of gan.metrics.extractors, module.Class, or instances. An extractor whose weights are missing
            is skipped with a message.
        interval: images between two evaluations.
        first: images before the first evaluation after the start; the interval then doubles up to `interval`.
        num_images: number of generated images.
        max_real_images: maximum number of training images, and of held-out images.
    """

    def __init__(
        self,
        metrics: Mapping[str, Any],
        extractors: Sequence[Any],
        interval: int,
        first: int,
        num_images: int,
        max_real_images: int,
    ) -> None:
        self.metrics = dict(metrics)
        self.extractors = [extractors] if isinstance(extractors, str) else list(extractors)
        self.interval = at_least("callback.evaluate.interval", interval, 1)
        self.first = at_least("callback.evaluate.first", first, 1)
        self.num_images = at_least("callback.evaluate.num_images", num_images, 2)
        self.max_real_images = at_least("callback.evaluate.max_real_images", max_real_images, 2)
        self.loaded: list[tuple[Any, Tensor]] = []  # extractors and the features of real images
        self.originals: CopySearch | None = None
        self.scored_at = -1  # images seen at the last evaluation
        self.scores: dict[str, float] = {}

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.num_images = pl_module.num_eval_images(self.num_images)
        train, held_out = data.reals(self.max_real_images), data.reals(self.max_real_images, held_out=True)
        if len(train) <= NEIGHBORS:
            print_line(f"evaluate: {len(train)} images are too few to compare with; no scores are computed")
            return
        if 0 < len(held_out) < MIN_HELD_OUT:
            print_line(f"evaluate: {len(held_out)} held-out images are too few; scores use training images instead")
            held_out = held_out[:0]
        for given in self.extractors:
            found = self.load(trainer, pl_module, given)
            if found is not None:
                # Prefer held-out images, because comparisons with training images reward copies.
                real = self.features(trainer, pl_module, found, held_out if len(held_out) else train)
                self.loaded.append((found, real))
        if self.loaded and trainer.is_global_zero:
            self.originals = CopySearch(train, held_out, data.flips)
        if pl_module.images_seen == 0:
            self.score(trainer, pl_module)

    def load(self, trainer: Trainer, pl_module: GAN, given: Any) -> Any:
        """Return an extractor on the device of the module; None on all ranks if a rank lacks its weights."""
        missing = ""
        try:
            found = extractor(given) if isinstance(given, str) else checked(given, str(type(given)))
        except MissingWeights as error:
            missing = str(error)
        if trainer.strategy.reduce_boolean_decision(bool(missing), all=False):
            print_line(f"evaluate: {missing or given}; training continues without these scores")
            return None
        return found.to(pl_module.device) if isinstance(found, torch.nn.Module) else found

    def features(self, trainer: Trainer, pl_module: GAN, found: Any, images: Tensor) -> Tensor:
        """Return the features of real images, from the cache or computed by all ranks; only rank 0 has all of them."""
        path = cache_path(found, images)
        kept = read(path) if trainer.is_global_zero else None
        if trainer.strategy.broadcast(kept is not None):
            return torch.empty(0) if kept is None else kept
        started = time.monotonic()
        made = gathered(features(found, share(images, trainer)), len(images), trainer, pl_module)
        if trainer.is_global_zero:
            write(path, made)
            took = time.monotonic() - started
            print_line(f"evaluate: features of {len(images):,} real images by {found.name}, computed in {took:.1f} s")
        return made

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.interval, self.first):
            self.score(trainer, pl_module)

    def score(self, trainer: Trainer, pl_module: GAN) -> None:
        """Compute and log all scores."""
        if not self.loaded:
            return
        started = time.monotonic()
        fakes = pl_module.fakes(self.num_images, trainer.global_rank, trainer.world_size)  # this rank's share
        values: dict[str, float] = {}
        for found, real in self.loaded:
            generated = gathered(features(found, fakes), self.num_images, trainer, pl_module)
            if trainer.is_global_zero:
                values |= self.measure(found.name, real, generated)
        everyone = gathered(fakes, self.num_images, trainer, pl_module)
        if trainer.is_global_zero:
            values |= {f"eval/{name}": value for name, value in pl_module.scores(everyone).items()}
        values |= self.copies(everyone, values)
        # All ranks need the scores, because each decides whether to save a checkpoint.
        self.scored_at, self.scores = pl_module.images_seen, trainer.strategy.broadcast(values)
        pl_module.log_scalars({**self.scores, "time/evaluation": time.monotonic() - started})

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Compare the additional EMAs of the generator with the default one, using the first extractor."""
        if not self.loaded or not len(pl_module.power_ema):
            return
        found, real = self.loaded[0]
        rows = []
        for ema in (None, *pl_module.power_ema):
            fakes = pl_module.fakes(self.num_images, trainer.global_rank, trainer.world_size, ema)
            generated = gathered(features(found, fakes), self.num_images, trainer, pl_module)
            if trainer.is_global_zero:
                rows.append((KID_SCALE * squared_mmd(real, generated), ema.width if ema else None))
        if rows:
            pl_module.log_scalars({f"power_ema/kid_x1000_{found.name}_{width}": kid for kid, width in rows if width})
            listed = ", ".join(f"{width or 'default'} {kid:.1f}" for kid, width in rows)
            best = min(rows)[1]
            how = f"--checkpoint last --ema {best}" if best else "the default"
            print_line(f"EMA: KID x 1000 ({found.name}) {listed}; generate with {how}")

    def measure(self, name: str, real: Tensor, generated: Tensor) -> dict[str, float]:
        """Return the values of all metrics by logged name."""
        return {
            f"eval/{value}_{name}": number
            for metric in self.metrics.values()
            for value, number in metric.compute(real, generated).items()
        }

    def copies(self, fakes: Tensor, values: dict[str, float]) -> dict[str, float]:
        """Return the rate of copies by name; {} if the images are too unlike real ones for a meaningful rate."""
        precision = values.get(f"eval/precision_{self.loaded[0][0].name}", 1.0)
        rate = self.originals.search(fakes).rate if self.originals and precision >= MIN_SIMILARITY else None
        return {} if rate is None else {"eval/copies": rate}

    def state_dict(self) -> dict[str, Any]:
        return {"scored_at": self.scored_at, "scores": self.scores}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scored_at, self.scores = state_dict["scored_at"], state_dict["scores"]


def share(images: Tensor, trainer: Trainer) -> Tensor:
    """Return the images of this rank."""
    return images[trainer.global_rank :: trainer.world_size]


def gathered(own: Tensor, n: int, trainer: Trainer, pl_module: GAN) -> Tensor:
    """Return the rows (n, ...) of all ranks in the order of the images. Rank r has rows r, r + ranks, ..."""
    ranks = trainer.world_size
    if ranks == 1:
        return own
    padding = own.new_zeros(-(-n // ranks) - len(own), *own.shape[1:])
    rows: Any = pl_module.all_gather(torch.cat([own, padding]).to(pl_module.device))  # (ranks, share, ...)
    return rows.transpose(0, 1).flatten(0, 1)[:n].cpu()


def last_scores(trainer: Trainer) -> dict[str, float]:
    """Return the scores at the present number of images; {} if there was no evaluation."""
    for callback in trainer.callbacks:  # type: ignore[attr-defined]
        if isinstance(callback, Evaluate) and callback.scored_at == trainer.lightning_module.images_seen:
            return callback.scores
    return {}
