"""Images from seeds: one seed, one latent, one picture, whatever it is drawn together with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan.images import to_uint8

CHUNK = 16  # images a forward pass: other batch sizes take other kernels, which round otherwise
FAKES_SEED = 2**32  # of the first image that is measured: others than are looked at
ESTIMATION_IMAGES = 512
ESTIMATION_SEED = 2**40  # far from the seeds that people type


def latents(seeds: Sequence[int], size: int) -> Tensor:
    """Standard normal latents (N, size), each a function of its seed alone, the same on every device.

    NumPy's generator takes all of a seed; torch's on the CPU keeps its lowest 32 bits.
    """
    rows = [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor) -> Tensor:
    """Latents (N, latent) -> uint8 (N, C, H, W) on the CPU, in fp32 and in chunks padded to one size."""
    device = next(generator.parameters()).device
    pictures = []
    for part in z.split(CHUNK):
        padded = torch.cat([part, part.new_zeros(CHUNK - len(part), z.shape[1])]).to(device)
        pictures.append(to_uint8(generator(padded))[: len(part)].cpu())
    return torch.cat(pictures)


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
        z = np.random.default_rng(ESTIMATION_SEED).standard_normal((ESTIMATION_IMAGES, size), np.float32)
        for part in torch.from_numpy(z).split(64):
            generator(part.to(device))
        for norm, momentum in zip(norms, momenta, strict=True):
            norm.momentum = momentum
    generator.eval()
