"""Whether latents that were found mean what they should: edited and found again, they differ by the edit."""

from __future__ import annotations

from torch import Tensor

from gan.common.errors import UserError

TRIMMED = 0.01  # at either end


def edit_consistency(before: Tensor, after: Tensor, edit: Tensor) -> float:
    """LEC: the mean of ||E(x) - f^-1(E(G(f(E(x)))))|| without its lowest and highest percent; 0 is best.

    Tov, Alaluf, Nitzan, Patashnik, Cohen-Or, "Designing an Encoder for StyleGAN Image Manipulation", 2021,
    arXiv:2102.02766, section 4.3.

    Args:
        before: E(x), points (N, ...) found for images.
        after: E(G(f(E(x)))), found for the pictures of the edited points.
        edit: what f adds to points, of their shape or one for all.

    Raises:
        UserError: no points, of different shapes, or not finite.
    """
    fits = all(n in (1, m) for n, m in zip(edit.shape[::-1], before.shape[::-1], strict=False))
    if not len(before) or before.shape != after.shape or edit.ndim > before.ndim or not fits:
        shapes = ", ".join(str(tuple(each.shape)) for each in (before, after, edit))
        raise UserError(f"edit consistency: points and edits of shape {shapes}; some, and of one shape, are needed")
    distances = (before - (after - edit)).flatten(1).double().norm(dim=1).sort().values
    if not bool(distances.isfinite().all()):
        raise UserError("edit consistency: points or edits are not finite, or too large")
    cut = int(TRIMMED * len(distances))
    return float(distances[cut : len(distances) - cut].mean())
