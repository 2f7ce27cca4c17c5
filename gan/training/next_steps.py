"""Where a resumed run goes on, and at the end of a run its times and what to do with it."""

from __future__ import annotations

import math
import shlex
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from gan.common.output import duration
from gan.run import checkpoints


def describe_resumed(sidecar: Mapping[str, Any], images: int | None, minutes: float | None) -> str:
    """Return text such as `resumes at 50,000 of 112,000 images, after 3:20 of 5:00 of training`.

    Args:
        sidecar: that of the checkpoint; see `gan.run.checkpoints`.
        images, minutes: length of the run; None: not limited.
    """
    total = "" if images is None else f" of {images:,}"
    seconds = sidecar.get("seconds")
    length = "" if minutes is None else f" of {duration(60 * minutes)}"
    spent = "" if seconds is None else f", after {duration(seconds)}{length} of training"
    return f"resumes at {sidecar['images']:,}{total} images{spent}"


def describe_time(images: int, training: float, other: Mapping[str, float]) -> str:
    """Return text such as `112,000 images in 4:40 of training, 0:15 of evaluation, 0:06 of grids`.

    Args:
        images: images seen.
        training: seconds of the training loop.
        other: seconds of other parts by name. Parts below a second are omitted.
    """
    parts = {"training": training} | {name: seconds for name, seconds in other.items() if seconds >= 1}
    return f"{images:,} images in " + ", ".join(f"{duration(seconds)} of {name}" for name, seconds in parts.items())


def describe_gain(start_name: str, score: str, held_out: bool, start: float, later: float, best_images: int) -> str:
    """Return by how much training has improved a score of its start, or that it has not.

    Args:
        start_name: what training starts from, such as "the color map".
        score: logged name.
        held_out: whether the score is that of held-out images.
        start: value before training.
        later: best value after training began; inf if there is none.
        best_images: images seen at the best checkpoint; 0: before training.
    """
    name = f"{score.removeprefix('eval/')} on {'held-out' if held_out else 'training'} images"
    if best_images == 0:
        found = f" and {later:.4g} at best after that" if math.isfinite(later) else ""
        chance = ", which can be chance" if later < start else ""
        return (
            f"training did not improve on {start_name}: {name} was {start:.4g} before training{found}{chance}; the "
            f"best checkpoint is {start_name}"
        )
    return f"training gained: {name} was {start:.4g} with {start_name}, and is {later:.4g} at {best_images:,} images"


def next_steps(run: Path, translates: bool, tensorboard: bool) -> list[str]:
    """Return at most three commands for a finished run, one per line; none for images if it has no checkpoint.

    Args:
        translates: whether the generator translates images.
        tensorboard: whether the run has TensorBoard's events.
    """
    where = shlex.quote(str(run))
    generate = f"gan translate {where} PATH translated" if translates else f"gan generate {where} --grid"
    found = [generate] if checkpoints.list_checkpoints(run) else []
    found.append(f"gan compare {where} --out {shlex.quote(str(run / 'curves.png'))}")
    return [*found, f"tensorboard --logdir {where}"] if tensorboard else found
