"""Images from seeds: one seed, one latent, one picture, whatever it is drawn together with."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan.images.convert import to_uint8

CHUNK = 16  # images a forward pass: other batch sizes take other kernels, which round otherwise
FAKES_SEED = 2**32  # of the first image that is measured: others than are looked at
ESTIMATION_IMAGES = 512
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
    shares = counts.cpu().double().numpy()  # in this order: MPS has no float64
    edges = np.cumsum(shares if shares.any() else np.ones_like(shares))
    drawn = np.array([np.random.default_rng((seed, CLASS_STREAM)).random() for seed in seeds])
    return torch.from_numpy(np.searchsorted(edges, drawn * edges[-1], side="right"))


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Latents (N, latent) -> uint8 (N, C, H, W) on the CPU, in fp32; each the same whatever it is drawn with.

    Args:
        label: (N,), of a generator that has classes.
    """
    device = next(generator.parameters()).device
    return in_chunks(lambda *some: to_uint8(generator(*some)), device, z, label)


def in_chunks(
    function: Callable[..., Tensor], device: torch.device, x: Tensor, label: Tensor | None = None, *more: Tensor
) -> Tensor:
    """What function(x, label, *more) gives for rows of x (N, ...), taken CHUNK by CHUNK on the device; on the CPU."""
    parts = []
    for first in range(0, len(x), CHUNK):
        labels = None if label is None else padded(label, first, device)
        further = (padded(each, first, device) for each in more)
        parts.append(function(padded(x, first, device), labels, *further)[: len(x) - first].cpu())
    return torch.cat(parts)


def padded(x: Tensor, first: int, device: torch.device) -> Tensor:
    """CHUNK rows from `first` on, zeros after the last."""
    part = x[first : first + CHUNK]
    return torch.cat([part, part.new_zeros(CHUNK - len(part), *part.shape[1:])]).to(device)


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
    with fresh_statistics(generator) as device:
        if device is not None:
            z, label = fixed_latents(ESTIMATION_IMAGES, size), classes_of(range(ESTIMATION_IMAGES), counts)
            for rows in (slice(first, first + 64) for first in range(0, ESTIMATION_IMAGES, 64)):
                part = z[rows].to(device)
                generator(part) if label is None else generator(part, label[rows].to(device))


@contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[torch.device | None]:
    """Inside, what goes through a network is averaged by BatchNorm, all batches alike; then it is in eval mode.

    Gives the network's device, or None where it has no BatchNorm and nothing needs to go through.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # a cumulative average
        norm.train()
    yield next(network.parameters()).device if norms else None
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
