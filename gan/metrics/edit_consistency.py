"""Whether latents that were found mean what they should: edited and found again, they differ by the edit."""

from __future__ import annotations

from torch import Tensor

TRIMMED = 0.01  # at either end


def edit_consistency(before: Tensor, after: Tensor, edit: Tensor) -> float:
    """LEC: the mean of ||E(x) - f^-1(E(G(f(E(x)))))|| without its lowest and highest percent; 0 is best.

    Tov, Alaluf, Nitzan, Patashnik, Cohen-Or, "Designing an Encoder for StyleGAN Image Manipulation", 2021,
    arXiv:2102.02766, section 4.3.

    Args:
        before: E(x), points (N, ...) found for images.
        after: E(G(f(E(x)))), found for the pictures of the edited points.
        edit: what f adds to points, of their shape or one for all.
    """
    distances = (before - (after - edit)).flatten(1).norm(dim=1).sort().values
    cut = int(TRIMMED * len(distances))
    return float(distances[cut : len(distances) - cut].mean())
