"""What a run is and how far it is: model, length, status and best score; and what its health values say. No torch."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan.runs import checkpoints, lock
from gan.utils.errors import UserError

# Limits of the health values of a run.
SILENT = 60.0  # seconds of training before the first finding, because every network is unbalanced then
MAX_SKIPPED = 0.01  # fraction of a network's updates
MAX_ACCURACY = 0.99  # fraction of pairs above which G receives hardly any gradient
MIN_ACCURACY = 0.55  # fraction of pairs below which D hardly separates real from generated images
MAX_OVERFITTING = 0.5  # r_v; the ADA paper keeps it near or below 0.5 (its figure 3)
ROUNDING = 1e-3  # rounding error of a mean of probabilities in fp32
MIN_DIVERSITY = 0.3  # mean distance between samples, divided by that between real images

FINDINGS = {  # message, and what to try
    "skipped": (
        "{skipped:.1%} of the updates were skipped, because their gradients were not finite",
        "lower learning rates, trainer.precision=32-true",
    ),
    "too strong": (
        "the discriminator is too strong: it classifies {accuracy:.0%} of pairs correctly; the generator learns little",
        "stronger augmentation, such as augment=ada, or a lower model.discriminator_optimizer.lr",
    ),
    "too weak": (
        "the discriminator is too weak: it classifies only {accuracy:.0%} of pairs correctly",
        "a higher model.discriminator_optimizer.lr, a larger network, or model.n_critic=2, unless samples are good",
    ),
    "overfitting": (
        "the discriminator overfits: the gap between its logits of training and of held-out images is "
        "{overfitting:.0%} of the gap between training and generated images",
        "stronger augmentation, such as augment=ada, more images, or smaller networks",
    ),
    "at maximal probability": (
        "augmentation is at its maximal probability {augment:.0%}, and the discriminator still overfits",
        "more images, smaller networks, or larger weights of the penalties on D",
    ),
    "mode collapse": (
        "mode collapse: the mean distance between samples is {diversity:.0%} of that between real images",
        "init_from=RUN (loads its best checkpoint), lower learning rates, augment=ada, or another seed",
    ),
}


def target(config: dict[str, Any], *names: str) -> str:
    """Return the name of the module that a section of a configuration builds, such as dcgan."""
    node: Any = config
    for name in names:
        node = node.get(name) if isinstance(node, dict) else None
    words = str(node.get("_target_") if isinstance(node, dict) else "").split(".")
    return words[-2] if len(words) > 1 else "?"


def goal(config: dict[str, Any]) -> str:
    """Return the length of a run as text."""
    lengths = [f"{config['images']:,}"] if isinstance(config.get("images"), int) else []
    lengths += [f"{config['minutes']:g} min"] if isinstance(config.get("minutes"), int | float) else []
    return f" of {' or '.join(lengths)}" if lengths else ""


def status(folder: Path, config: dict[str, Any], saved: bool, seen: int, seconds: float) -> str:
    """Return whether a run is running, finished, stopped before its end, or has no checkpoint."""
    if lock.is_held(folder):
        return "running"
    if not saved:
        return "no checkpoint"
    images, minutes = config.get("images"), config.get("minutes")
    enough = isinstance(images, int) and seen >= images
    long_enough = isinstance(minutes, int | float) and seconds >= 60 * minutes
    return "finished" if enough or long_enough else "stopped"


def best_score(folder: Path) -> str:
    """Return the best score of a run with its name, or "-"."""
    try:
        record = checkpoints.best_record(folder) or {}
    except UserError:
        return "?"
    score = record.get("score")
    if not isinstance(score, int | float) or not math.isfinite(score):
        return "-"
    return f"{str(record.get('monitor')).removeprefix('eval/')} {score:.4g}"


def symptoms(values: Mapping[str, float]) -> Iterator[str]:
    """Yield the names of the FINDINGS that apply to the values."""
    if values.get("skipped", 0.0) >= MAX_SKIPPED:
        yield "skipped"
    accuracy = values.get("accuracy", 0.75)
    if accuracy >= MAX_ACCURACY:
        yield "too strong"
    if accuracy <= MIN_ACCURACY:
        yield "too weak"
    if values.get("overfitting_bound", 0.0) >= MAX_OVERFITTING:
        yield "overfitting"
    if values.get("augment", 0.0) >= values.get("max_probability", 1.0) - ROUNDING:
        yield "at maximal probability"
    if values["diversity"] <= MIN_DIVERSITY:
        yield "mode collapse"
