"""Flicker of a translated video: how much the translation changes where the original does not.

The warping error of Lai et al., "Learning Blind Video Temporal Consistency", 2018, arXiv:1808.00449: the mean square
difference of a frame and the next one, moved back to it, over the pixels that both show. Lai et al. estimate the motion
with an optical flow network. Here it is one shift per frame, which is exact for a pan over a still image; what moves
otherwise is not counted, because the original changes there.
"""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import torch
from skimage.registration import phase_cross_correlation
from torch import Tensor

from gan.metrics.pixels import luminance, rgb, takes_arrays
from gan.utils.errors import UserError

TOLERANCE = 6.0  # levels by which a channel of the original may change in a pixel that counts as unchanged


@takes_arrays
def flicker(before: Tensor, after: Tensor, motion: Tensor | None = None) -> float:
    """Return the root mean square change, in levels of 0..255, of translated frames where the originals do not change.

    It is NaN if no pixel of the originals stays unchanged.

    Args:
        before: the original frames in order, uint8 (F, C, H, W).
        after: their translations, of the same sizes.
        motion: int64 (F - 1, 2), the rows and columns by which the content of each frame but the last moves until the
            next one; None for a still camera. `pan` estimates it.

    Raises:
        UserError: shapes differ, or there are fewer than two frames.
    """
    if len(before) < 2 or len(before) != len(after) or before.shape[2:] != after.shape[2:]:
        raise UserError(
            f"flicker of {tuple(before.shape)} and {tuple(after.shape)}: give two or more frames and as many "
            "translations of the same size"
        )
    total, count = 0.0, 0.0
    for t in range(len(before) - 1):
        rows, columns = (0, 0) if motion is None else motion[t].tolist()
        original, moved = overlap(rgb(before[t : t + 2]), rows, columns)
        unchanged = (original - moved).abs().amax(0) <= TOLERANCE  # (h, w)
        translated, next_one = overlap(rgb(after[t : t + 2]), rows, columns)
        total += float(((translated - next_one).square().mean(0) * unchanged).double().sum())
        count += float(unchanged.double().sum())
    return (total / count) ** 0.5 if count else math.nan


def overlap(frames: Tensor, rows: int, columns: int) -> tuple[Tensor, Tensor]:
    """Return what both of two frames (2, C, H, W) show, if its content moves down and right: twice (C, h, w)."""
    height, width = frames.shape[2:]
    first = frames[0, :, max(0, -rows) : height - max(0, rows), max(0, -columns) : width - max(0, columns)]
    second = frames[1, :, max(0, rows) : height - max(0, -rows), max(0, columns) : width - max(0, -columns)]
    return first, second


@takes_arrays
def pan(frames: Tensor) -> Tensor:
    """Estimate the motion of a camera that pans, for `flicker`: int64 (F - 1, 2).

    Phase correlation of the luminance of successive frames: Kuglin and Hines, "The phase correlation image alignment
    method", 1975.

    Args:
        frames: uint8 (F, C, H, W).
    """
    gray = luminance(frames)[:, 0].numpy()
    window = np.outer(*(np.hanning(side + 2)[1:-1] for side in gray.shape[1:]))
    found = [
        -phase_cross_correlation((one - one.mean()) * window, (two - two.mean()) * window)[0]
        for one, two in pairwise(gray)
    ]
    return torch.from_numpy(np.rint(np.array(found).reshape(-1, 2)).astype(np.int64))
