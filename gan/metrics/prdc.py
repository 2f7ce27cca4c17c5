"""Precision, recall, density and coverage: how much of each set lies in the neighborhoods of the other."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.common.errors import at_least
from gan.metrics.features import blocks, checked
from gan.metrics.nearest_neighbors import distances, radii


def prdc(x: Tensor, y: Tensor, k: int = 5, strict: bool = True) -> dict[str, float]:
    """What a generated set y lacks beside a real set x. A ball around each image reaches to its k-th nearest neighbor.

    - precision: the share of y in some ball of x, "looks real";
    - recall: the share of x in some ball of y, "nothing is missing" (Kynkäänniemi et al., 2019, arXiv:1904.06991);
    - density: in how many balls of x an image of y lies, divided by k; above 1 where y sits in the thick of x;
    - coverage: the share of x whose ball holds an image of y (Naeem et al., 2020, arXiv:2002.09797).

    Args:
        x, y: real features (N, D) and generated ones (M, D).
        strict: whether an image on the rim of a ball is outside, as in Naeem et al.; in Kynkäänniemi et al. not.

    Raises:
        UserError: not more than k rows, or features that are not finite.
    """
    x, y = checked("precision and recall", x, y, least=at_least("k", k, 1) + 1)
    of_x, of_y = radii(x, k), radii(y, k)
    within = torch.lt if strict else torch.le
    balls = torch.zeros(len(y), dtype=torch.int64, device=x.device)  # of x, that hold each image of y
    recalled = covered = 0
    for part, radius in zip(blocks(x), blocks(of_x), strict=True):
        between = distances(part, y)  # (rows, M)
        balls += within(between, radius[:, None]).sum(0)
        recalled += int(within(between, of_y).any(1).sum())
        covered += int(within(between.min(1).values, radius).sum())
    return {
        "precision": float((balls > 0).double().mean()),
        "recall": recalled / len(x),
        "density": float(balls.double().mean()) / k,
        "coverage": covered / len(x),
    }


class PrecisionRecall:
    """The metrics `precision` and `recall` for the Evaluate callback.

    Args:
        k: neighbors that an image's ball reaches to; as many images and one more are needed.
    """

    def __init__(self, k: int = 5) -> None:
        self.k = at_least("metric.precision_recall.k", k, 1)

    def compute(self, real_features: Tensor, fake_features: Tensor) -> dict[str, float]:
        values = prdc(real_features, fake_features, self.k)
        return {name: values[name] for name in ("precision", "recall")}
