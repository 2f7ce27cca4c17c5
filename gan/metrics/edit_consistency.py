"""Latent editing consistency (LEC): whether editing an image and projecting it again recovers the edited latent."""

from __future__ import annotations

from torch import Tensor

from gan.common.errors import UserError

TRIMMED = 0.01  # fraction of values that is removed at either end


def edit_consistency(before: Tensor, after: Tensor, edit: Tensor) -> float:
    """Return LEC: the mean of ||E(x) - f^-1(E(G(f(E(x)))))|| without the lowest and the highest percent. 0 is best.

    Tov, Alaluf, Nitzan, Patashnik, Cohen-Or, "Designing an Encoder for StyleGAN Image Manipulation", 2021,
    arXiv:2102.02766, section 4.3.

    Args:
        before: E(x), latents (N, ...) of images.
        after: E(G(f(E(x)))), latents of the images of the edited latents.
        edit: the vector that f adds to each latent: one per latent, or one for all.

    Raises:
        UserError: no latents, different shapes, or values that are not finite.
    """
    fits = all(n in (1, m) for n, m in zip(edit.shape[::-1], before.shape[::-1], strict=False))
    if not len(before) or before.shape != after.shape or edit.ndim > before.ndim or not fits:
        shapes = ", ".join(str(tuple(each.shape)) for each in (before, after, edit))
        raise UserError(f"edit consistency: latents and edits have shapes {shapes}; they must be equal and not empty")
    distances = (before - (after - edit)).flatten(1).double().norm(dim=1).sort().values
    if not bool(distances.isfinite().all()):
        raise UserError("edit consistency: latents or edits are not finite, or too large")
    cut = int(TRIMMED * len(distances))
    return float(distances[cut : len(distances) - cut].mean())
