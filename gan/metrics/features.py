"""What all distances expect of the features that they are given."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gan.common.errors import UserError

LARGEST = 1e45  # the kernel distance takes the sixth power
ROWS = 1024  # of a block: no matrix of all pairs is held where there are many images


def checked(what: str, *sets: Tensor, least: int = 2) -> list[Tensor]:
    """The sets (N, D) in float64; `what` names the measure in errors.

    Raises:
        UserError: not matrices of one width, fewer than `least` rows, or a value that is not finite or whose sixth
            power is not.
    """
    shapes = [tuple(features.shape) for features in sets]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1:
        raise UserError(f"{what}: features of shape {', '.join(map(str, shapes))}; matrices of one width are needed")
    if min(shape[0] for shape in shapes) < least:
        counts = " and ".join(str(shape[0]) for shape in shapes)
        raise UserError(f"{what} of {counts} images: at least {least} of each are needed")
    if shapes[0][1] == 0:
        raise UserError(f"{what}: features without numbers")
    for features in sets:
        if not torch.isfinite(features).all():
            bad = int((~torch.isfinite(features)).any(1).sum())
            raise UserError(f"{what}: the features of {bad} of {len(features)} images are not finite")
        if features.is_floating_point() and float(features.abs().max()) > LARGEST:
            raise UserError(f"{what}: features beyond {LARGEST:g}, whose powers no number holds")
    return [features.double() for features in sets]


def blocks(features: Tensor) -> Iterator[Tensor]:
    return iter(features.split(ROWS))
