"""Images of the EMA generator during training, which callbacks show and measure."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from gan.models.sampling import FAKES_SEED, classes_of, generate, latents, reestimate_batch_norm
from gan.training.ema import EMA

PREVIEW_SEED = 0  # grids show the images of `gan generate --seeds 0-63`


class Previews:
    """The part of `GAN` that generates images for callbacks; uint8 (N, C, H, W) on the CPU."""

    generator: Any
    ema: EMA
    class_counts: Tensor
    trainer: Any
    images_seen: Any
    estimated_at = -1  # images seen when BatchNorm's statistics of the EMA generator were last estimated

    @property
    def data(self) -> Any:
        return self.trainer.datamodule

    def averaged_generator(self, average: EMA | None = None) -> nn.Module:
        """Return the EMA generator, or another average, in eval mode, with BatchNorm statistics of its weights."""
        if average is not None:
            reestimate_batch_norm(average.module, self.generator.latent_dim, self.class_counts)
            return average.module
        if self.estimated_at != self.images_seen:
            reestimate_batch_norm(self.ema.module, self.generator.latent_dim, self.class_counts)
            self.estimated_at = self.images_seen
        return self.ema.module

    def preview(self, n: int) -> Tensor:
        """Return at most n images of fixed latents. With classes, each class in turn has the same latents."""
        classes = len(self.class_counts)
        if not classes:
            return self.synthesize(range(PREVIEW_SEED, PREVIEW_SEED + n), self.averaged_generator())
        each = max(1, n // classes)
        label = torch.arange(min(n, classes)).repeat_interleave(each)
        z = latents(range(PREVIEW_SEED, PREVIEW_SEED + each), self.generator.latent_dim).repeat(min(n, classes), 1)
        return generate(self.averaged_generator(), z, label)

    def columns(self, n: int) -> int | None:
        """Return the number of images per row in a grid of `preview`: one class per row; None for a square grid."""
        classes = len(self.class_counts)
        return n // classes if classes else None

    def fakes(self, n: int, rank: int = 0, ranks: int = 1, average: EMA | None = None) -> Tensor:
        """Return images `rank`, `rank + ranks`, ... of n images of the EMA generator or another average, to measure."""
        return self.synthesize(range(FAKES_SEED + rank, FAKES_SEED + n, ranks), self.averaged_generator(average))

    def fake_labels(self, n: int) -> Tensor | None:
        """Return the classes (n,) of n `fakes`; None without classes."""
        return classes_of(range(FAKES_SEED, FAKES_SEED + n), self.class_counts)

    def before_scores(self, look: int) -> None:
        """Prepare the EMA generator for an evaluation; `look` is its number, from 1."""

    def num_eval_images(self, n: int) -> int:
        """Return the number of images to measure if n are requested."""
        return n

    def fake_files(self, n: int) -> Tensor:
        """Return the number of the file from which each of n `fakes` is made (n,); generated images have no file."""
        return torch.arange(n)

    has_scores = False  # whether `scores` returns any

    def scores(self, fakes: Tensor) -> dict[str, float]:
        """Return additional scores of all `fakes`, by name."""
        return {}

    def synthesize(self, seeds: range, network: nn.Module) -> Tensor:
        """Return the images that a network generates for seeds."""
        return generate(network, latents(seeds, self.generator.latent_dim), classes_of(seeds, self.class_counts))
