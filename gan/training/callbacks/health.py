"""Warn during training about an unbalanced discriminator, overfitting, mode collapse and skipped updates."""

from __future__ import annotations

import functools
from typing import Any

import torch
from lightning import Trainer
from torch import Tensor

from gan.images.convert import to_float
from gan.losses.heads import per_image
from gan.metrics.pixels import diversity
from gan.runs.health import SILENT, findings, page_of
from gan.training.callbacks.loop import Periodic, clock_of
from gan.training.loss_log import SKIPPED
from gan.training.module import GAN
from gan.utils.errors import at_least
from gan.utils.output import print_line

ERRORS = 2  # r_v must exceed MAX_OVERFITTING by this many standard errors


class Health(Periodic):
    """Logs health/accuracy, health/overfitting and health/diversity regularly, and warns once when a value becomes bad.

    skipped      fraction of a network's updates that were skipped because of gradients that are not finite
    accuracy     fraction of pairs in which D gives the real image the higher logit, for losses with `signed_logits`: a
                 critic has large gradients even if it classifies all pairs correctly
    augment      probability of an adaptive augmentation
    overfitting  r_v = (E D(train) - E D(held out)) / (E D(train) - E D(generated)), if images are held out;
                 Karras et al., "Training Generative Adversarial Networks with Limited Data", 2020, arXiv:2006.06676,
                 equation 1; invariant to D + c and c D
    diversity    mean distance between the thumbnails of two samples, divided by that of two real images

    The first three are means since the last logged line.

    In the first minute of training, values are logged and no warning is printed: every network is unbalanced there.
    """

    activity = "health"

    def __init__(self, interval: int, first: int, num_images: int = 64, silent: float = SILENT) -> None:
        self.interval = at_least("callback.health.interval", interval, 1)
        self.first = at_least("callback.health.first", first, 1)
        self.num_images = at_least("callback.health.num_images", num_images, 2)
        self.silent = silent
        self.bad: dict[str, str] = {}  # present findings by name
        self.printed = -1  # images seen when a finding was last printed

    def act(self, trainer: Trainer, pl_module: GAN) -> None:
        fakes = pl_module.view.fakes(self.num_images)  # on all ranks: they estimate synchronized BatchNorm together
        if trainer.is_global_zero:
            self.check(trainer, pl_module, fakes)

    def check(self, trainer: Trainer, pl_module: GAN, fakes: Tensor) -> None:
        """Log the values and report problems."""
        n, data = self.num_images, pl_module.data
        train, held_out = data.reals(n), data.reals(n, held_out=True)
        values, error = {"diversity": diversity(fakes.cpu()) / max(diversity(train.cpu()), 1e-9)}, 0.0
        if len(held_out) == n and pl_module.judges_alone:
            labels: list[Any] = [None] * 3
            if len(pl_module.class_counts):
                labels = [data.real_labels(n), data.real_labels(n, held_out=True), pl_module.view.fake_labels(n)]
            judged = map(functools.partial(logits, pl_module), (train, held_out, fakes), labels)
            values["overfitting"], error = overfitting(*judged)
        pl_module.log_scalars({f"health/{name}": value for name, value in values.items()})
        means = pl_module.loss_log.means
        values |= {name: means[f"health/{name}"] for name in ("accuracy", "augment") if f"health/{name}" in means}
        values["skipped"] = max((value for name, value in means.items() if name.startswith(SKIPPED)), default=0.0)
        values["overfitting_bound"] = values.get("overfitting", 0.0) - ERRORS * error
        if pl_module.augment is not None:
            values["max_probability"] = pl_module.augment.max_probability
        values["start"] = float(bool(pl_module.config.get("init_from")))
        self.report(trainer, pl_module, values)

    def report(self, trainer: Trainer, pl_module: GAN, values: dict[str, float]) -> None:
        """Print new findings. Findings that persist are printed again only at the end."""
        if clock_of(trainer).seconds < self.silent:
            return
        before, self.bad = self.bad, {}
        for name, seen, rule in findings(values):
            self.bad[name] = seen
            if name not in before:
                print_line(f"health: at {pl_module.images_seen:,} images: {seen}. Try {rule.remedy}; "
                           f"see {page_of(name)}")  # fmt: skip
                self.printed = pl_module.images_seen

    def on_train_end(self, trainer: Trainer, pl_module: GAN) -> None:  # type: ignore[override]
        if self.bad and self.printed < pl_module.images_seen:
            print_line(f"health: at the end, {'; '.join(self.bad.values())}")


@torch.no_grad()
def logits(pl_module: GAN, images: Tensor, label: Tensor | None) -> Tensor:
    """Return D's logits (N,) of images uint8 (N, C, H, W), without augmentation and in fp32."""
    label = None if label is None else label.to(pl_module.device)
    discriminator = pl_module.discriminator.eval()
    try:
        # `forward` is not compiled: this batch size would be compiled again.
        return per_image(discriminator.forward(to_float(images.to(pl_module.device)), label))
    finally:
        discriminator.train()


def overfitting(train: Tensor, held_out: Tensor, fakes: Tensor) -> tuple[float, float]:
    """Return r_v and its standard error; both are 0 if D's logits of training images are not above those of fakes."""
    gap = float(train.mean() - fakes.mean())
    if gap <= 1e-6:
        return 0.0, 0.0
    error = float((train.var() / len(train) + held_out.var() / len(held_out)).sqrt())
    return float(train.mean() - held_out.mean()) / gap, error / gap
