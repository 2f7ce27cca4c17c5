"""The Vendi score: the effective number of different images in a set."""

from __future__ import annotations

import torch
from torch import Tensor

from gan.metrics.features import checked


def vendi_score(x: Tensor) -> float:
    """Return the Vendi score, from 1 (all images are equal) to N.

    It is exp of the entropy of the eigenvalues of K / N, with K the cosine similarities of all pairs. Friedman and
    Dieng, "The Vendi Score", 2023, arXiv:2210.02410, definition 3.1 (order 1). It needs no real images. Compare it only
    at equal numbers of images.

    Args:
        x: features (N, D).

    Raises:
        UserError: no rows, or features that are not finite.
    """
    (x,) = checked("Vendi score", x, least=1)
    x = torch.nn.functional.normalize(x.cpu(), dim=1)
    gram = x @ x.T if len(x) <= x.shape[1] else x.T @ x  # both have the same nonzero eigenvalues
    values = torch.linalg.eigvalsh(gram / len(x)).clamp_min(0)
    return float(torch.special.entr(values).sum().exp())
