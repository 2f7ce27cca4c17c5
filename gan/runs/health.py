"""Rules that tell what is wrong with a run, and what to change: for warnings in training and for reports. No torch.

Rules read the values of a run by name. Those without a value do not apply.

skipped            fraction of a network's updates that were skipped because of gradients that are not finite
accuracy           fraction of pairs in which D gives the real image the higher logit
overfitting        r_v, see `gan.training.callbacks.health`
overfitting_bound  a value that r_v exceeds almost certainly
augment            probability of an adaptive augmentation
max_probability    its limit
diversity          mean distance between the thumbnails of two samples, divided by that of two real images
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from gan.runs.metrics import Log

Values = Mapping[str, float]

SILENT = 60.0  # seconds of training before the first finding, because every network is unbalanced then
MAX_SKIPPED = 0.01
MAX_ACCURACY = 0.99  # above it, G receives hardly any gradient
MIN_ACCURACY = 0.55  # below it, D hardly separates real from generated images
MAX_OVERFITTING = 0.5  # the ADA paper keeps r_v near or below 0.5 (its figure 3)
ROUNDING = 1e-3  # rounding error of a mean of probabilities in fp32
MIN_DIVERSITY = 0.3


class Rule(NamedTuple):
    """What is wrong with a run whose values fulfill a condition. Texts may contain values, such as {accuracy:.0%}."""

    applies: Callable[[Values], bool]
    seen: str
    remedy: str


class Finding(NamedTuple):
    """A rule that applies to a run."""

    name: str
    seen: str
    remedy: str


RULES = {
    "skipped": Rule(
        lambda values: values.get("skipped", 0) >= MAX_SKIPPED,
        "{skipped:.1%} of the updates were skipped, because their gradients were not finite",
        "lower learning rates, trainer.precision=32-true",
    ),
    "too strong": Rule(
        lambda values: values.get("accuracy", 0) >= MAX_ACCURACY,
        "the discriminator classifies {accuracy:.0%} of pairs correctly, so the generator may stop learning",
        "stronger augmentation, such as augment=ada, or a lower model.discriminator_optimizer.lr, if grids and scores "
        "no longer improve",
    ),
    "too weak": Rule(
        lambda values: values.get("accuracy", 1) <= MIN_ACCURACY,
        "the discriminator is too weak: it classifies only {accuracy:.0%} of pairs correctly",
        "a higher model.discriminator_optimizer.lr, a larger network, or model.n_critic=2, unless samples are good",
    ),
    "overfitting": Rule(
        lambda values: values.get("overfitting_bound", 0) >= MAX_OVERFITTING,
        "the discriminator overfits: the gap between its logits of training and of held-out images is "
        "{overfitting:.0%} of the gap between training and generated images",
        "stronger augmentation, such as augment=ada, more images, or smaller networks",
    ),
    "at maximal probability": Rule(
        lambda values: "augment" in values and values["augment"] >= values.get("max_probability", 1) - ROUNDING,
        "augmentation is at its maximal probability {augment:.0%}, and the discriminator still overfits",
        "more images, smaller networks, or larger weights of the penalties on D",
    ),
    "mode collapse": Rule(
        lambda values: values.get("diversity", 1) <= MIN_DIVERSITY,
        "mode collapse: the mean distance between samples is {diversity:.0%} of that between real images",
        "init_from=RUN (loads its best checkpoint), lower learning rates, augment=ada, or another seed",
    ),
}


def findings(values: Values) -> Iterator[Finding]:
    """Yield what is wrong with a run that has these values."""
    for name, rule in RULES.items():
        if rule.applies(values):
            yield Finding(name, rule.seen.format(**values), rule.remedy)


def newest_values(log: Log, config: Mapping[str, object]) -> dict[str, float]:
    """Return the newest values that a run has logged. `config` has its options by dotted names."""
    newest = {name.removeprefix("health/"): points[-1].value for name, points in log.curves.items()
              if name.startswith("health/") and points}  # fmt: skip
    newest["skipped"] = max((value for name, value in newest.items() if name.startswith("skipped_")), default=0.0)
    recent = [point.value for point in log.curves.get("health/overfitting", [])[-2:]]
    newest["overfitting_bound"] = min(recent, default=0.0)  # one check alone is uncertain
    limit = config.get("model.augment.max_probability")
    return newest | ({"max_probability": limit} if isinstance(limit, int | float) else {})
