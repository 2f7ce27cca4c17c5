"""Images from seeds: one seed, one latent, one picture, whatever it is drawn together with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan.errors import UserError
from gan.images import to_uint8

CHUNK = 16  # images a forward pass: other batch sizes take other kernels, which round otherwise
FAKES_SEED = 2**32  # of the first image that is measured: others than are looked at
ESTIMATION_IMAGES = 512
MEAN_LATENTS = 4096  # whose w are averaged
CLASS_STREAM = 7  # keeps the classes of seeds apart from their latents
NO_CLASSES = torch.empty(0)
ESTIMATION_SEED = 2**40  # far from the seeds that people type


def latents(seeds: Sequence[int], size: int) -> Tensor:
    """Standard normal latents (N, size), each a function of its seed alone, the same on every device.

    NumPy's generator takes all of a seed; torch's on the CPU keeps its lowest 32 bits.
    """
    rows = [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)


def classes_of(seeds: Sequence[int], counts: Tensor) -> Tensor | None:
    """Labels (N,), each a function of its seed, as frequent as the images of each class; None without classes.

    Args:
        counts: (classes,) images of each; all zero is all alike.
    """
    if not len(counts):
        return None
    shares = counts.double().cpu().numpy()
    edges = np.cumsum(shares if shares.any() else np.ones_like(shares))
    drawn = np.array([np.random.default_rng((seed, CLASS_STREAM)).random() for seed in seeds])
    return torch.from_numpy(np.searchsorted(edges, drawn * edges[-1], side="right"))


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor, label: Tensor | None = None, truncation: float = 1.0) -> Tensor:
    """Latents (N, latent) -> uint8 (N, C, H, W) on the CPU, in fp32 and in chunks padded to one size.

    Args:
        label: (N,), of a generator that has classes.
        truncation: how far w goes from its mean, in units of how far it would: 0 draws the mean image alone, 1 all
            that was learnt (Karras et al., 2019, arXiv:1812.04948, section 2.1).

    Raises:
        UserError: truncation is asked for, and the generator has no mapping.
    """
    device = next(generator.parameters()).device
    draw = generator if truncation == 1 else truncated(generator, truncation)
    pictures = []
    for first in range(0, len(z), CHUNK):
        labels = None if label is None else padded(label, first, device)
        pictures.append(to_uint8(draw(padded(z, first, device), labels))[: len(z) - first].cpu())
    return torch.cat(pictures)


def padded(x: Tensor, first: int, device: torch.device) -> Tensor:
    """CHUNK rows from `first` on, zeros after the last."""
    part = x[first : first + CHUNK]
    return torch.cat([part, part.new_zeros(CHUNK - len(part), *x.shape[1:])]).to(device)


def truncated(generator: Any, truncation: float) -> Callable[[Tensor, Tensor | None], Tensor]:
    """(z, label) -> image, with w drawn towards its mean over fixed latents, that of its class where there are some."""
    if not hasattr(generator, "mapping"):
        raise UserError("truncation: this generator has no mapping; only such as model=stylegan2 can be truncated")
    fixed = fixed_latents(MEAN_LATENTS, generator.latent).to(next(generator.parameters()).device)
    of_each = [fixed.new_full((MEAN_LATENTS,), label, dtype=torch.long) for label in range(generator.classes)]
    means = [generator.mapping(fixed, label).mean(0) for label in of_each or (None,)]  # (latent,) each

    def draw(z: Tensor, label: Tensor | None) -> Tensor:
        mean = means[0] if label is None else torch.stack(means)[label]
        image: Tensor = generator.synthesis(mean + truncation * (generator.mapping(z, label) - mean))
        return image

    return draw


def fixed_latents(n: int, size: int) -> Tensor:
    """The n latents (n, size) that statistics are taken over."""
    return torch.from_numpy(np.random.default_rng(ESTIMATION_SEED).standard_normal((n, size), np.float32))


@torch.no_grad()
def reestimate_batch_norm(generator: nn.Module, size: int, counts: Tensor = NO_CLASSES) -> None:
    """Set BatchNorm's statistics to the plain averages over fixed latents, and leave the network in eval mode.

    With classes, labels are as frequent as `counts` has them.

    An averaged generator's own statistics belong to the live one: measured on one DCGAN they cost up to half of the
    kernel distance.
    """
    norms = [module for module in generator.modules() if isinstance(module, _BatchNorm)]
    if norms:
        device = next(generator.parameters()).device
        momenta = [norm.momentum for norm in norms]
        for norm in norms:
            norm.reset_running_stats()
            norm.momentum = None  # a cumulative average
        generator.eval()
        for norm in norms:
            norm.train()
        z, label = fixed_latents(ESTIMATION_IMAGES, size), classes_of(range(ESTIMATION_IMAGES), counts)
        for rows in (slice(first, first + 64) for first in range(0, ESTIMATION_IMAGES, 64)):
            part = z[rows].to(device)
            generator(part) if label is None else generator(part, label[rows].to(device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    generator.eval()
