"""Compute scores of the EMA generator during training."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from gan.evaluation import registry
from gan.evaluation.feature_cache import cache_path, read, write
from gan.metrics.copies import MIN_HELD_OUT, MIN_SIMILARITY, CopySearch, Described, describe
from gan.metrics.distances import RankRows, Rows, on_device
from gan.metrics.extractors import checked, extractor, features
from gan.metrics.kid import KID_SCALE, KIDEstimate, squared_mmd
from gan.metrics.prdc import NEIGHBORS
from gan.metrics.pretrained import MissingWeights
from gan.training.callbacks.loop import Periodic, clock_of, ends, last_evaluation, paused
from gan.training.module import GAN
from gan.utils.errors import at_least
from gan.utils.output import print_line

AUTO = "auto"
# Fraction of the time of training for evaluations at the interval `auto`. It is less than the 5 % that all evaluations
# may take: there are also those at the start and at the end, and the speed can change after it was measured.
TARGET = 0.02


class Evaluate(Periodic):
    """Logs eval/METRIC_EXTRACTOR for each metric and extractor, and eval/copies, at the start, regularly, at the end.

    The interval `auto` is set once, from the measured time of the first evaluation and the measured speed of training,
    so that evaluations take at most 5 % of the time of training. Rank 0 decides, and the checkpoint keeps the
    interval. The evaluations at the start and at the end of a run are made in any case.

    Args:
        metrics: metrics or their configurations by name. Rank 0 computes a metric, or all ranks if its `compute` has an
            argument `rows`, the gan.metrics.distances.Rows that a rank computes. `files`: the numbers of the files of
            real and generated images.
        extractors: names of gan.metrics.extractors, module.Class, or instances. An extractor whose weights are missing
            is skipped with a message.
    """

    activity = "evaluation"

    def __init__(
        self,
        metrics: Mapping[str, Any],
        extractors: Sequence[Any],
        interval: int | str,
        first: int | None,
        num_images: int,
        max_real_images: int,
    ) -> None:
        self.metrics = registry.create(metrics)
        self.extractors = [extractors] if isinstance(extractors, str) else list(extractors)
        self.automatic = interval == AUTO
        self.interval = None if self.automatic else at_least("callback.evaluate.interval", interval, 1)
        self.first = None if first is None else at_least("callback.evaluate.first", first, 1)
        self.cost: float | None = None  # seconds of the first evaluation
        self.num_images = at_least("callback.evaluate.num_images", num_images, 2)
        self.max_real_images = at_least("callback.evaluate.max_real_images", max_real_images, 2)
        self.loaded: list[tuple[Any, Tensor]] = []  # extractors and the features of real images
        self.originals: CopySearch | None = None
        self.scored_at = -1  # images seen at the last evaluation
        self.scores: dict[str, float] = {}
        self.kids: dict[str, KIDEstimate] = {}  # KIDs among the scores, with their errors
        self.looks = 0  # number of evaluations so far
        self.files: tuple[Tensor | None, Tensor | None] = (None, None)
        self.watch: Callable[[str, int, int], None] = lambda title, done, total: None  # shows progress

    def on_train_start(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        with paused(trainer, "evaluation"):
            self.prepare(trainer, pl_module)
            if (pl_module.images_seen == 0 and self.scored_at != 0) or (self.interval is None and self.cost is None):
                self.score(trainer, pl_module)

    def prepare(self, trainer: Trainer, pl_module: GAN) -> None:
        """Load the extractors and the features of real images."""
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        self.num_images = pl_module.num_eval_images(self.num_images)
        train, held_out = data.reals(self.max_real_images), data.reals(self.max_real_images, held_out=True)
        if len(train) <= NEIGHBORS:
            print_line(f"evaluate: too few images to compare with ({len(train)}); no scores are computed")
            return
        if 0 < len(held_out) < MIN_HELD_OUT:
            print_line(f"evaluate: {len(held_out)} held-out images are too few; scores use training images instead")
            held_out = held_out[:0]
        images = held_out if len(held_out) else train  # comparisons with training images reward copies
        if hasattr(data, "files"):
            self.files = data.files(self.max_real_images, len(held_out) > 0), pl_module.fake_files(self.num_images)
        for given in self.extractors:
            found = self.load(trainer, pl_module, given)
            if found is not None:
                self.loaded.append((found, self.features(trainer, pl_module, found, images)))
        if self.loaded and trainer.is_global_zero:
            self.originals = CopySearch(train, held_out, data.flips)

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
        """Return the features of real images, from the cache of rank 0 or computed by all ranks."""
        path = cache_path(found, images)
        kept = read(path) if trainer.is_global_zero else None
        kept = trainer.strategy.broadcast(kept)
        if kept is not None:
            return kept
        started = time.monotonic()
        own = share(images, trainer)
        advance = self.counter("features of real images", len(own))
        made = gathered(features(found, own, advance), len(images), trainer, pl_module)
        if trainer.is_global_zero:
            write(path, made)
            took = time.monotonic() - started
            print_line(f"evaluate: features of {len(images):,} real images by {found.name}, computed in {took:.1f} s")
        return made

    def set_interval(self, trainer: Trainer, pl_module: GAN) -> None:
        """Set the interval `auto` on all ranks when rank 0 knows the speed."""
        speed = clock_of(trainer).speed(pl_module.images_seen)
        chosen = None if speed is None or self.cost is None else choose_interval(self.cost, speed)
        self.interval = trainer.strategy.broadcast(chosen)

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        """Evaluate, unless the interval is automatic and the evaluation at the end is near."""
        rest = (trainer.max_steps - trainer.global_step) * pl_module.batch_size if trainer.max_steps > 0 else math.inf
        if ends(trainer, pl_module) or not self.automatic or rest >= (self.interval or 0):
            self.score(trainer, pl_module)

    def score(self, trainer: Trainer, pl_module: GAN) -> None:
        """Compute and log all scores."""
        if not self.loaded:
            return
        started = time.monotonic()
        self.looks += 1
        pl_module.before_scores(self.looks)
        advance = self.counter("evaluation", len(self.loaded) * len(range(self.num_images)[:: trainer.world_size]))
        fakes = pl_module.fakes(self.num_images, trainer.global_rank, trainer.world_size)  # this rank's share
        values: dict[str, float] = {}
        for found, real in self.loaded:
            generated = gathered(features(found, fakes, advance), self.num_images, trainer, pl_module)
            real, generated = (on_device(each, pl_module.device) for each in (real, generated))
            values |= self.measure(found.name, real, generated, RankRows())
        if pl_module.has_scores:
            everyone = gathered(fakes, self.num_images, trainer, pl_module)
            if trainer.is_global_zero:
                values |= {f"eval/{name}": value for name, value in pl_module.scores(everyone).items()}
        values |= self.copies(trainer, pl_module, fakes, values)
        # All ranks need the scores, because each decides whether to save a checkpoint.
        values = trainer.strategy.broadcast(values)
        self.kids = {name: value for name, value in values.items() if isinstance(value, KIDEstimate)}
        self.scored_at, self.scores = pl_module.images_seen, {name: float(value) for name, value in values.items()}
        seconds = time.monotonic() - started
        self.cost = seconds if self.cost is None else self.cost
        pl_module.log_scalars({**self.scores, "time/evaluation": seconds})

    def counter(self, title: str, total: int) -> Callable[[int], None]:
        """Return a function to call with the number of images just completed. It shows the progress of this rank."""
        done = 0

        def advance(images: int) -> None:
            nonlocal done
            done += images
            self.watch(title, done, total)

        self.watch(title, 0, total)
        return advance

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        """Compare the additional EMAs of the generator with the default one, using the first extractor."""
        if not self.loaded or not len(pl_module.power_ema):
            return
        found, real = self.loaded[0]
        real, rows, kids = on_device(real, pl_module.device), RankRows(), []
        for ema in (None, *pl_module.power_ema):
            fakes = pl_module.fakes(self.num_images, trainer.global_rank, trainer.world_size, ema)
            generated = gathered(features(found, fakes), self.num_images, trainer, pl_module)
            kid = squared_mmd(real, on_device(generated, pl_module.device), rows=rows)
            kids.append((KID_SCALE * kid, ema.width if ema else None))
        if trainer.is_global_zero:
            pl_module.log_scalars({f"power_ema/kid_x1000_{found.name}_{width}": kid for kid, width in kids if width})
            listed = ", ".join(f"{width or 'default'} {kid:.1f}" for kid, width in kids)
            best = min(kids)[1]
            how = f"--checkpoint last --ema {best}" if best else "the default"
            print_line(f"EMA: KID x 1000 ({found.name}) {listed}; generate with {how}")

    def measure(self, name: str, real: Tensor, generated: Tensor, rows: Rows) -> dict[str, float]:
        """Return the values of metrics by logged name: of all on rank 0, of those that ranks share on the others."""
        values: dict[str, float] = {}
        for metric in self.metrics:
            if rows.rank == 0 or registry.takes(metric, "rows"):
                values |= registry.compute(metric, real, generated, rows=rows, files=self.files)
        return {f"eval/{value}_{name}": number for value, number in values.items()}

    def copies(self, trainer: Trainer, pl_module: GAN, fakes: Tensor, values: dict[str, float]) -> dict[str, float]:
        """Return the rate of copies by name on rank 0; {} if the images are too unlike real ones for a rate.

        Each rank describes its share of the images. Only rank 0 has `values`, and the training images to search in.
        """
        precision = values.get(f"eval/precision_{self.loaded[0][0].name}", 1.0)
        if not trainer.strategy.broadcast(self.originals is not None and precision >= MIN_SIMILARITY):
            return {}
        parts = (gathered(part, self.num_images, trainer, pl_module) for part in describe(fakes))
        described = Described(*parts)  # smaller than all pixels
        rate = None if self.originals is None else self.originals.search(described).rate
        return {} if rate is None else {"eval/copies": rate}

    def state_dict(self) -> dict[str, Any]:
        return {
            "scored_at": self.scored_at,
            "scores": self.scores,
            "looks": self.looks,
            "interval": self.interval if self.automatic else None,
            "cost": self.cost,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.scored_at = int(state_dict["scored_at"])
        self.scores = {str(name): float(score) for name, score in state_dict["scores"].items()}
        self.looks = int(state_dict["looks"])
        if self.automatic:
            self.interval = state_dict["interval"]
        self.cost = state_dict["cost"]


def choose_interval(cost: float, speed: float) -> int:
    """Return the interval in images at which evaluations take TARGET of the time, rounded up to two digits.

    Args:
        cost: seconds of an evaluation.
        speed: images of training per second.
    """
    images = max(1.0, cost * speed / TARGET)
    unit = 10 ** max(0, math.floor(math.log10(images)) - 1)
    return unit * math.ceil(images / unit)


def share(images: Tensor, trainer: Trainer) -> Tensor:
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
    evaluation = last_evaluation(trainer)
    return evaluation.scores if evaluation else {}
