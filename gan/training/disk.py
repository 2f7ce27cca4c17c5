"""Warn before training if the disk has too little space for the checkpoints of a run."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

GIB = 2**30
STATES = 2  # tensors that Adam keeps for each parameter


def checkpoint_bytes(model: Any) -> int:
    """Return the approximate size of a checkpoint: all weights, and the states of the optimizers."""
    trained = sum(p.nbytes for network in ("generator", "discriminator") for p in model.trained(network))
    return int(sum(value.nbytes for value in model.state_dict().values()) + STATES * trained)


def warning(model: Any, run: Path, keep: int, keep_interval: int | None, images: int | None) -> str | None:
    """Return a line if the checkpoints do not fit on the disk; None if they do.

    Args:
        keep, keep_interval: see `gan.training.callbacks.checkpoint`.
        images: length of the run; None if it is unknown.
    """
    kept = 0 if keep_interval is None or images is None else images // keep_interval
    count = keep + 2 + kept  # the newest, the best, one that is being written, and those that are never removed
    each, free = checkpoint_bytes(model), shutil.disk_usage(run).free
    if count * each <= free:
        return None
    return (
        f"note: the disk of {run} has {free / GIB:.1f} GiB left, but {count} checkpoints of {each / GIB:.2f} GiB need "
        f"{count * each / GIB:.1f} GiB; free some space, or set callback.checkpoint.keep=1"
    )
