"""Validation of features, and their device."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.common.errors import UserError

LARGEST = 1e45  # largest absolute value of a feature, because KID uses the sixth power


def checked(what: str, *given: Tensor, least: int = 2) -> list[Tensor]:
    """Return the sets (N, D), tensors or arrays, in float64. `what` is the name of the metric in errors.

    Raises:
        UserError: the sets are not matrices of the same width, have fewer than `least` rows, or have values that are
            not finite or too large.
    """
    sets = [torch.as_tensor(features) for features in given]
    shapes = [tuple(features.shape) for features in sets]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1:
        raise UserError(f"{what}: features have shapes {', '.join(map(str, shapes))}; give matrices of the same width")
    if min(shape[0] for shape in shapes) < least:
        counts = " and ".join(str(shape[0]) for shape in shapes)
        raise UserError(f"{what} of {counts} images: at least {least} of each are needed")
    if shapes[0][1] == 0:
        raise UserError(f"{what}: features have no columns")
    for features in sets:
        if not torch.isfinite(features).all():
            bad = int((~torch.isfinite(features)).any(1).sum())
            raise UserError(f"{what}: the features of {bad} of {len(features)} images are not finite")
        if features.is_floating_point() and float(features.abs().max()) > LARGEST:
            raise UserError(f"{what}: features larger than {LARGEST:g} overflow")
    return [features.double() for features in sets]


def on_device(features: Tensor, device: torch.device | str) -> Tensor:
    """Return features on a device; on the CPU if the device has no float64, in which metrics are computed."""
    return features.to("cpu" if torch.device(device).type == "mps" else device)
