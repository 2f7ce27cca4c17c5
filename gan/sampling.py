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
ESTIMATION_SEED = 2**40  # far from the seeds that people type


def latents(seeds: Sequence[int], size: int) -> Tensor:
    """Standard normal latents (N, size), each a function of its seed alone, the same on every device.

    NumPy's generator takes all of a seed; torch's on the CPU keeps its lowest 32 bits.
    """
    rows = [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor, truncation: float = 1.0) -> Tensor:
    """Latents (N, latent) -> uint8 (N, C, H, W) on the CPU, in fp32 and in chunks padded to one size.

    Args:
        truncation: how far w goes from its mean, in units of how far it would: 0 draws the mean image alone, 1 all
            that was learnt (Karras et al., 2019, arXiv:1812.04948, section 2.1).

    Raises:
        UserError: truncation is asked for, and the generator has no mapping.
    """
    device = next(generator.parameters()).device
    draw = generator if truncation == 1 else truncated(generator, truncation)
    pictures = []
    for part in z.split(CHUNK):
        padded = torch.cat([part, part.new_zeros(CHUNK - len(part), z.shape[1])]).to(device)
        pictures.append(to_uint8(draw(padded))[: len(part)].cpu())
    return torch.cat(pictures)


def truncated(generator: Any, truncation: float) -> Callable[[Tensor], Tensor]:
    """z -> image, with w drawn towards its mean over fixed latents."""
    if not hasattr(generator, "mapping"):
        raise UserError("truncation: this generator has no mapping; only such as model=stylegan2 can be truncated")
    z = fixed_latents(MEAN_LATENTS, generator.latent)
    mean = generator.mapping(z.to(next(generator.parameters()).device)).mean(0)
    return lambda z: generator.synthesis(mean + truncation * (generator.mapping(z) - mean))


def fixed_latents(n: int, size: int) -> Tensor:
    """The n latents (n, size) that statistics are taken over."""
    return torch.from_numpy(np.random.default_rng(ESTIMATION_SEED).standard_normal((n, size), np.float32))


@torch.no_grad()
def reestimate_batch_norm(generator: nn.Module, size: int) -> None:
    """Set BatchNorm's statistics to the plain averages over fixed latents, and leave the network in eval mode.

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
        for part in fixed_latents(ESTIMATION_IMAGES, size).split(64):
            generator(part.to(device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    generator.eval()
