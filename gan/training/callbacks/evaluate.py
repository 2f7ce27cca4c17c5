"""Compute scores of the EMA generator during training."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from gan import kinds
from gan.contracts import Extractor, check
from gan.evaluation import registry
from gan.evaluation.feature_cache import cached_features
from gan.metrics.copies import MIN_HELD_OUT, CopySearch
from gan.metrics.distances import on_device
from gan.metrics.extractors import bias_notes, extractor, extractor_class, features
from gan.metrics.kid import KIDEstimate
from gan.metrics.prdc import NEIGHBORS
from gan.metrics.pretrained import MissingWeights
from gan.training.callbacks.loop import Periodic, clock_of, ends, paused
from gan.training.module import GAN
from gan.utils.errors import at_least, switch
from gan.utils.output import print_line

AUTO = "auto"
SEARCHED = 200  # generated images that are searched for copies, to bound the time
GATHERED = 64  # images of a rank that are sent at a time, because all of them may not fit into the memory of a GPU


class Evaluate(Periodic):
    """Logs eval/METRIC_EXTRACTOR for each metric and extractor regularly and at the end, and eval/copies at the end.

    The start is evaluated only if it can be the best checkpoint (`start=auto`) or if asked (`start=true`): the first
    step should come soon. So the real images are read, and their features computed, at the first evaluation.

    Metrics are instances or their configurations, extractors are instances or names. An extractor whose weights are
    missing is skipped with a message.
    """

    activity = "evaluation"

    def __init__(
        self,
        metrics: Mapping[str, Any],
        extractors: Sequence[Any],
        start: bool | str,
        interval: int,
        first: int | None,
        num_images: int,
        max_real_images: int,
    ) -> None:
        self.metrics = registry.create(metrics)
        self.extractors = [extractors] if isinstance(extractors, str) else list(extractors)
        for name in self.extractors:  # on all ranks, so that all end with the error
            if isinstance(name, str):
                extractor_class(name)
        self.start = start if start == AUTO else switch("callback.evaluate.start", start)
        self.interval = at_least("callback.evaluate.interval", interval, 1)
        self.first = None if first is None else at_least("callback.evaluate.first", first, 1)
        self.num_images = at_least("callback.evaluate.num_images", num_images, 2)
        self.max_real_images = at_least("callback.evaluate.max_real_images", max_real_images, 2)
        self.loaded: list[tuple[Any, Tensor]] = []  # on rank 0, extractors and the features of real images
        self.originals: tuple[Tensor, Tensor] | None = None  # on rank 0, training and held-out images
        self.ready: bool | None = None  # whether rank 0 has an extractor; None before the first evaluation
        self.scored_at = -1  # images seen at the last evaluation
        self.scores: dict[str, float] = {}
        self.kids: dict[str, KIDEstimate] = {}  # KIDs among the scores, with their errors
        self.number = 0  # of evaluations so far
        self.files: tuple[Tensor | None, Tensor | None] = (None, None)

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        wanted = kinds.start_counts(pl_module.config) if self.start == AUTO else self.start
        if wanted and pl_module.images_seen == 0 and self.scored_at != 0:
            with paused(trainer, "evaluation"):
                self.score(trainer, pl_module)

    def load_reals(self, trainer: Trainer, pl_module: GAN) -> None:
        """Load what rank 0 compares generated images with, and tell all ranks whether there is anything."""
        self.num_images = pl_module.view.num_fakes(self.num_images)
        if trainer.is_global_zero:
            self.load(pl_module)
        self.ready = trainer.strategy.broadcast(bool(self.loaded))

    def load(self, pl_module: GAN) -> None:
        """Load the extractors, the features of real images, and the training images in which to search for copies."""
        data = pl_module.data
        train, held_out = data.reals(self.max_real_images), data.reals(self.max_real_images, held_out=True)
        if len(train) <= NEIGHBORS:
            print_line(f"evaluate: too few images to compare with ({len(train)}); no scores are computed")
            return
        if 0 < len(held_out) < MIN_HELD_OUT:
            print_line(f"evaluate: {len(held_out)} held-out images are too few; scores use training images instead")
            held_out = held_out[:0]
        images = held_out if len(held_out) else train  # comparisons with training images reward copies
        if hasattr(data, "files"):
            self.files = data.files(self.max_real_images, len(held_out) > 0), pl_module.view.fake_files(self.num_images)
        for given in self.extractors:
            try:
                network = extractor(given) if isinstance(given, str) else given
            except MissingWeights as error:
                print_line(f"evaluate: {error}; training continues without these scores")
                continue
            check(network, Extractor, "callback.evaluate.extractors")
            if isinstance(network, torch.nn.Module):
                network.to(pl_module.device)
            for note in bias_notes(network, pl_module.config):
                print_line(f"evaluate: {note}")
            self.loaded.append((network, cached_features(network, images)))
        self.originals = train, held_out

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        """Evaluate, unless the evaluation at the end is near."""
        clock, rest = clock_of(trainer), math.inf
        if trainer.max_steps > 0:
            rest = (trainer.max_steps - trainer.global_step) * pl_module.batch_size
        if clock.remaining is not None:
            rest = min(rest, pl_module.images_seen * clock.remaining / clock.seconds)
        near = trainer.strategy.broadcast(4 * rest < self.interval)  # the clocks of ranks differ
        if ends(trainer, pl_module) or not near:
            self.score(trainer, pl_module)

    def score(self, trainer: Trainer, pl_module: GAN) -> None:
        """Compute and log all scores. All ranks generate images, and rank 0 measures them."""
        if self.ready is None:
            self.load_reals(trainer, pl_module)
        if not self.ready:
            return
        started = time.monotonic()
        self.number += 1
        pl_module.view.before_evaluation(self.number)
        share = pl_module.view.fakes(self.num_images, trainer.global_rank, trainer.world_size)
        fakes = gathered(share, self.num_images, trainer, pl_module)
        # All ranks need the scores, because each decides whether to save a checkpoint.
        last = ends(trainer, pl_module)
        values = trainer.strategy.broadcast(self.measure(pl_module, fakes, last) if trainer.is_global_zero else {})
        self.kids = {name: value for name, value in values.items() if isinstance(value, KIDEstimate)}
        self.scored_at, self.scores = pl_module.images_seen, {name: float(value) for name, value in values.items()}
        seconds = time.monotonic() - started
        pl_module.log_scalars({**self.scores, "time/evaluation": seconds})

    def measure(self, pl_module: GAN, fakes: Tensor, last: bool) -> dict[str, float]:
        """Return all scores of generated images by logged name."""
        values: dict[str, float] = {}
        for network, real_features in self.loaded:
            real, fake = (on_device(each, pl_module.device) for each in (real_features, features(network, fakes)))
            for metric in self.metrics:
                computed = registry.compute(metric, real, fake, self.files)
                values |= {f"eval/{name}_{network.name}": value for name, value in computed.items()}
        values |= {f"eval/{name}": value for name, value in pl_module.view.scores(fakes).items()}
        if last and self.originals:  # a search takes seconds
            rate = CopySearch(*self.originals).search(fakes[:SEARCHED]).rate
            values |= {} if rate is None else {"eval/copies": rate}
        return values

    def state_dict(self) -> dict[str, Any]:
        return {"scored_at": self.scored_at, "scores": self.scores, "looks": self.number}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scored_at = int(state_dict["scored_at"])
        self.scores = {str(name): float(score) for name, score in state_dict["scores"].items()}
        self.number = int(state_dict["looks"])


def gathered(share: Tensor, n: int, trainer: Trainer, pl_module: GAN) -> Tensor:
    """Return n images of all ranks in their order on rank 0. Rank r has images r, r + ranks, ..."""
    ranks = trainer.world_size
    if ranks == 1:
        return share
    padding = share.new_zeros(-(-n // ranks) - len(share), *share.shape[1:])
    parts = []
    for part in torch.cat([share, padding]).split(GATHERED):
        images: Any = pl_module.all_gather(part.to(pl_module.device))  # (ranks, len(part), C, H, W)
        parts.append(images.transpose(0, 1).flatten(0, 1).cpu() if trainer.is_global_zero else share[:0])
    return torch.cat(parts)[:n]
