"""A second pair of eyes on a run: who wins, what is learned by heart, whether samples grow alike, in plain words."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from typing import Any

import torch
from lightning import Callback, Trainer
from torch import Tensor

from gan.common.compile import uncompiled
from gan.common.errors import at_least
from gan.data.module import say
from gan.images.convert import to_float
from gan.losses.heads import per_image
from gan.metrics.thumbnails import thumbnails
from gan.training.callbacks.interrupt import due
from gan.training.loggers import TensorBoard
from gan.training.loss_log import SKIPPED
from gan.training.module import GAN

OFTEN = 0.01  # of a network's steps; one that is left out in a long while is nothing
WINS = 0.99  # pairs that D tells apart; above it hardly a gradient reaches G
LOSES = 0.55  # below it D hardly knows real from generated
OVERFITS = 0.5  # r_v; the ADA paper keeps it near or below .5 (its figure 3)
ROUNDING = 1e-3  # of a mean of probabilities in fp32
ERRORS = 2  # standard errors by which r_v is above OVERFITS before that is said
ALIKE = 0.3  # distances among samples in units of those among real images

FINDINGS = {  # what is said, and what to try
    "skipped": (
        "{skipped:.1%} of the steps were left out, since their gradients were not finite",
        "lower learning rates, trainer.precision=32-true",
    ),
    "wins": (
        "the discriminator wins: it tells {accuracy:.0%} of pairs apart, so that the generator learns little",
        "stronger augmentation, as augment=diffaugment or ada, or a lower model.discriminator_optimizer.lr",
    ),
    "loses": (
        "the discriminator hardly knows real from generated: it tells {accuracy:.0%} of pairs apart",
        "a higher model.discriminator_optimizer.lr, a larger network, or model.n_critic=2, unless samples are good",
    ),
    "overfits": (
        "the discriminator learns images by heart: to it, held-out ones lie {overfitting:.0%} of the way from those "
        "trained on to generated ones",
        "stronger augmentation, as augment=diffaugment or ada, more images, or smaller networks",
    ),
    "capped": (
        "augmentation is at its cap of {augment:.0%}, and the discriminator still knows the images too well",
        "more images, smaller networks, or larger weights of the penalties on D",
    ),
    "alike": (
        "samples grow alike (mode collapse): they differ {diversity:.0%} as much as real images do",
        "init_from= the best checkpoint, lower learning rates, augment=diffaugment, another seed",
    ),
}


class Health(Callback):
    """Log health/accuracy, health/overfitting and health/diversity now and then, and say once when one turns bad.

    skipped      share of a network's steps that were left out since the last line, their gradients not being finite
    accuracy     share of pairs in which D finds the real image more real than the generated one, since the last line
    augment      probability of an augmentation that adapts, since the last line
    overfitting  r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated)), where images are held out;
                 Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676,
                 equation 1; the same for D + c and c D
    diversity    mean distance between two samples' thumbnails, in units of that between two real images'

    Args:
        every: images from one look to the next.
        first: images of the first one; the interval doubles from there to `every`.
        n: images of each kind that are looked at.
    """

    def __init__(self, interval: int, first: int, n: int = 64) -> None:
        self.interval = at_least("callback.health.interval", interval, 1)
        self.first = at_least("callback.health.first", first, 1)
        self.n = at_least("callback.health.n", n, 2)
        self.bad: dict[str, str] = {}  # what is wrong now, in words
        self.said: list[str] = []

    def on_train_batch_end(self, trainer: Trainer, pl_module: GAN, *_: object) -> None:  # type: ignore[override]
        if due(trainer, pl_module, self.interval, self.first):
            fakes = pl_module.fakes(self.n)  # on all ranks: synchronised BatchNorm is estimated together
            if trainer.is_global_zero:
                self.look(trainer, pl_module, fakes)

    def look(self, trainer: Trainer, pl_module: GAN, fakes: Tensor) -> None:
        data: Any = trainer.datamodule  # type: ignore[attr-defined]
        train, held_out = data.reals(self.n), data.reals(self.n, held_out=True)
        values, error = {"diversity": diversity(fakes) / max(diversity(train), 1e-9)}, 0.0
        if len(held_out) == self.n and pl_module.judges_alone:
            labels: list[Any] = [None] * 3
            if len(pl_module.class_counts):
                labels = [
                    data.real_labels(self.n),
                    data.real_labels(self.n, held_out=True),
                    pl_module.fake_labels(self.n),
                ]
            values["overfitting"], error = overfitting(
                *map(functools.partial(logits, pl_module), (train, held_out, fakes), labels)
            )
        pl_module.log_scalars({f"health/{name}": value for name, value in values.items()})
        means = pl_module.loss_log.means
        values |= {name: means[f"health/{name}"] for name in ("accuracy", "augment") if f"health/{name}" in means}
        values["skipped"] = max((value for name, value in means.items() if name.startswith(SKIPPED)), default=0.0)
        if not getattr(pl_module.loss, "signed_logits", True):
            values.pop("accuracy", None)  # such a critic may be right about all pairs, and its gradient is as large
        values["surely"] = values.get("overfitting", 0.0) - ERRORS * error
        values["cap"] = getattr(pl_module.augment, "max_probability", 1.0)
        self.tell(trainer, pl_module, values)

    def tell(self, trainer: Trainer, pl_module: GAN, values: dict[str, float]) -> None:
        """Say what has turned bad since the last look; what stays bad is not said again before the end."""
        seen = pl_module.images_seen
        before, self.bad = self.bad, {}
        for name in symptoms(values):
            finding, remedy = FINDINGS[name]
            self.bad[name] = finding = finding.format(**values)
            if name not in before:
                self.said.append(f"{seen:,} images: {finding}. Try {remedy}")
                say(f"health: at {self.said[-1]}")
                for logger in trainer.loggers:
                    if isinstance(logger, TensorBoard):
                        logger.add_text("health", "\n\n".join(self.said))

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.bad:
            say(f"health: at the end, {'; '.join(self.bad.values())}")

    def state_dict(self) -> dict[str, Any]:
        return {"bad": self.bad, "said": self.said}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.bad, self.said = state_dict["bad"], state_dict["said"]


def symptoms(values: dict[str, float]) -> Iterator[str]:
    if values.get("skipped", 0.0) >= OFTEN:
        yield "skipped"
    accuracy = values.get("accuracy", 0.75)
    if accuracy >= WINS:
        yield "wins"
    if accuracy <= LOSES:
        yield "loses"
    if values.get("surely", 0.0) >= OVERFITS:
        yield "overfits"
    if values.get("augment", 0.0) >= values.get("cap", 1.0) - ROUNDING:
        yield "capped"
    if values["diversity"] <= ALIKE:
        yield "alike"


@torch.no_grad()
def logits(pl_module: GAN, images: Tensor, label: Tensor | None) -> Tensor:
    """What D says of images (N, C, H, W) in uint8 without augmentation, one number each, in fp32."""
    label = None if label is None else label.to(pl_module.device)
    discriminator = pl_module.discriminator.eval()
    try:
        with uncompiled(discriminator):
            return per_image(discriminator(to_float(images.to(pl_module.device)), label))
    finally:
        discriminator.train()


def overfitting(train: Tensor, held_out: Tensor, fakes: Tensor) -> tuple[float, float]:
    """r_v and its standard error, by that of its numerator; 0 where D does not prefer what it was trained on to what is
    generated."""
    gap = float(train.mean() - fakes.mean())
    if gap <= 1e-6:
        return 0.0, 0.0
    error = float((train.var() / len(train) + held_out.var() / len(held_out)).sqrt())
    return float(train.mean() - held_out.mean()) / gap, error / gap


def diversity(images: Tensor) -> float:
    """Mean distance between the thumbnails of two images."""
    return float(torch.pdist(thumbnails(images.cpu()).float()).mean())
