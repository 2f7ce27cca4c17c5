"""What callbacks show and measure of a GAN in training: images of its EMA generator, uint8 (N, C, H, W) on the CPU."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan.models.sampling import FAKES_SEED, classes_of, generate, latents, reestimate_batch_norm

PREVIEW_SEED = 0  # grids show the images of `gan generate --seeds 0-63`


class LatentView:
    """Images that a generator makes of latents.

    Args:
        model: the `GAN`, to which this view belongs.
    """

    estimated_at = -1  # images seen when BatchNorm's statistics of the EMA generator were last estimated

    def __init__(self, model: Any) -> None:
        self.model = model

    def generator(self) -> nn.Module:
        """Return the EMA generator in eval mode, with BatchNorm statistics of its weights."""
        model = self.model
        if self.estimated_at != model.images_seen:
            reestimate_batch_norm(model.ema.module, model.generator.latent_dim, model.class_counts)
            self.estimated_at = model.images_seen
        return model.ema.module

    def preview(self, n: int) -> Tensor:
        """Return at most n images of fixed latents. All classes show the same latents, one class after the other."""
        classes = len(self.model.class_counts)
        if not classes:
            return self.synthesize(range(PREVIEW_SEED, PREVIEW_SEED + n))
        each = max(1, n // classes)
        label = torch.arange(min(n, classes)).repeat_interleave(each)
        z = latents(range(PREVIEW_SEED, PREVIEW_SEED + each), self.model.generator.latent_dim)
        return generate(self.generator(), z.repeat(min(n, classes), 1), label)

    def columns(self, n: int) -> int | None:
        """Return the number of images per row in a grid of `preview`: one class per row; None for a square grid."""
        classes = len(self.model.class_counts)
        return n // classes if classes else None

    def before_evaluation(self, evaluation: int) -> None:
        """Prepare the EMA generator for an evaluation, given by its number, from 1."""

    def num_fakes(self, n: int) -> int:
        """Return the number of images to measure if n are requested."""
        return n

    def fakes(self, n: int, rank: int = 0, ranks: int = 1) -> Tensor:
        """Return images `rank`, `rank + ranks`, ... of n images of the EMA generator, to measure."""
        return self.synthesize(range(FAKES_SEED + rank, FAKES_SEED + n, ranks))

    def fake_labels(self, n: int) -> Tensor | None:
        """Return the classes (n,) of n `fakes`; None without classes."""
        return classes_of(range(FAKES_SEED, FAKES_SEED + n), self.model.class_counts)

    def fake_files(self, n: int) -> Tensor:
        """Return the number of the file from which each of n `fakes` is made (n,); generated images have no file."""
        return torch.arange(n)

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """Return additional scores of all `fakes`, by name."""
        return {}

    def synthesize(self, seeds: range) -> Tensor:
        z = latents(seeds, self.model.generator.latent_dim)
        return generate(self.generator(), z, classes_of(seeds, self.model.class_counts))

    def state_dict(self) -> dict[str, Any]:
        """Return what a checkpoint has of the view."""
        return {}

    def load_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        """Load what `state_dict` has returned."""
