"""Sets of features: their validation, blocks of rows, and distances to nearest neighbors."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from gan.utils.errors import UserError

LARGEST = 1e45  # largest absolute value of a feature, because KID uses the sixth power
ROWS = 1024  # rows of a block, so that no matrix of all pairs is needed
ROUNDING = 1e-13  # squared distances up to this fraction of both squared norms are 0


def checked_features(what: str, *given: Tensor, least: int = 2) -> list[Tensor]:
    """Return the sets (N, D), tensors or arrays, in float64. `what` is the name of the metric in errors.

    Raises:
        UserError: the sets are not matrices of the same width, have fewer than `least` rows, or have values that are
            not finite or too large.
    """
    sets = [torch.as_tensor(features) for features in given]
    shapes = [tuple(features.shape) for features in sets]
    if any(len(shape) != 2 for shape in shapes) or len({shape[1] for shape in shapes}) > 1 or shapes[0][1] == 0:
        raise UserError(f"{what}: features have shapes {', '.join(map(str, shapes))}; give matrices of the same width")
    if min(shape[0] for shape in shapes) < least:
        counts = " and ".join(str(shape[0]) for shape in shapes)
        raise UserError(f"{what} of {counts} images: at least {least} of each are needed")
    sets = [features.double() for features in sets]
    for features in sets:
        if bad := int((~(features.abs() <= LARGEST)).any(1).sum()):
            raise UserError(f"{what}: the features of {bad} of {len(features)} images are not finite or too large")
    return sets


def on_device(features: Tensor, device: torch.device | str) -> Tensor:
    """Return features on a device; on the CPU if the device has no float64, in which metrics are computed."""
    return features.to("cpu" if torch.device(device).type == "mps" else device)


def blocks(*sets: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yield blocks of rows of sets (N, ...): views of the same rows of each set."""
    return zip(*(features.split(ROWS) for features in sets), strict=True)


def distances(x: Tensor, y: Tensor) -> Tensor:
    """Return Euclidean distances: float64 (N, D), (M, D) -> (N, M)."""
    of_x, of_y = x.square().sum(1)[:, None], y.square().sum(1)
    squared = torch.addmm(of_y, x, y.T, alpha=-2).add_(of_x)  # (N, M), in place: the time is that of memory
    return squared.masked_fill_(squared <= 2 * ROUNDING * of_x, 0.0).sqrt_()


def radii(x: Tensor, k: int) -> Tensor:
    """Return the distance (N,) of each row to the k-th nearest other row."""
    found = x.new_zeros(len(x))
    for part, radius in blocks(x, found):
        radius[:] = distances(part, x).topk(k + 1, largest=False).values[:, -1]  # the nearest row is the row itself
    return found
