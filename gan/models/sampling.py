"""Generate images from seeds. Each seed gives one latent and one image, independent of the others in a batch."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan.images.convert import to_uint8

CHUNK = 16  # images in every forward pass, because kernels for other batch sizes round differently
FAKES_SEED = 2**32  # seed of the first image in an evaluation, so that previews show other images
ESTIMATION_IMAGES = 512
CLASS_STREAM = 7  # separates the classes of seeds from their latents
NO_CLASSES = torch.empty(0)
_pads: ContextVar[bool] = ContextVar("pads", default=True)  # whether `padded` pads
ESTIMATION_SEED = 2**40  # larger than seeds that users choose


def latents(seeds: Sequence[int], size: int) -> Tensor:
    """Return standard normal latents (N, size). Each depends only on its seed and is the same on every device.

    NumPy's generator is used because it uses all bits of a seed; torch's generator on the CPU uses the lowest 32.
    """
    rows = [np.random.default_rng(seed).standard_normal(size, np.float32) for seed in seeds]
    return torch.from_numpy(np.stack(rows)) if rows else torch.empty(0, size)


def classes_of(seeds: Sequence[int], counts: Tensor) -> Tensor | None:
    """Return random labels (N,), distributed as in the training images; None without classes.

    Each label depends only on its seed.

    Args:
        counts: (classes,), number of images of each class; all zeros mean a uniform distribution.
    """
    if not len(counts):
        return None
    weights = counts.cpu().double().numpy()  # first to the CPU, because MPS has no float64
    edges = np.cumsum(weights if weights.any() else np.ones_like(weights))
    uniform = np.array([np.random.default_rng((seed, CLASS_STREAM)).random() for seed in seeds])
    return torch.from_numpy(np.searchsorted(edges, uniform * edges[-1], side="right"))


@torch.no_grad()
def generate(generator: nn.Module, z: Tensor, label: Tensor | None = None) -> Tensor:
    """Return images uint8 (N, C, H, W) on the CPU for latents (N, latent_dim), computed in fp32.

    Each image is independent of the others.

    Args:
        label: (N,), the class of each latent, for conditional generators.
    """
    device = next(generator.parameters()).device
    return in_chunks(lambda *chunk: to_uint8(generator(*chunk)), device, z, label)


def in_chunks(
    function: Callable[..., Tensor],
    device: torch.device,
    x: Tensor,
    label: Tensor | None = None,
    *more: Tensor,
    advance: Callable[[int], None] = lambda done: None,
) -> Tensor:
    """Return function(x, label, *more) on the CPU, computed on the device in padded chunks of rows of x (N, ...).

    `advance` is called after each chunk with its number of rows.
    """
    parts = []
    for first in range(0, len(x), CHUNK):
        labels = None if label is None else padded(label, first, device)
        further = [padded(each, first, device) for each in more]
        result = function(padded(x, first, device), labels, *further)
        parts.append(result[: len(x) - first].cpu())
        advance(len(parts[-1]))
    return torch.cat(parts)


def padded(x: Tensor, first: int, device: torch.device) -> Tensor:
    """Return CHUNK rows of x from row `first` on, padded with zeros unless `unpadded`, on the device."""
    part = x[first : first + CHUNK]
    missing = CHUNK - len(part) if _pads.get() else 0
    return torch.cat([part, part.new_zeros(missing, *part.shape[1:])]).to(device)


@contextmanager
def unpadded() -> Iterator[None]:
    """Compute only the rows that are asked for: one image takes the time of one, but depends on the others, slightly.

    Its values differ in their last bits, so that a pixel can differ by 1 of 255.
    """
    token = _pads.set(False)
    try:
        yield
    finally:
        _pads.reset(token)


def fixed_latents(n: int, size: int) -> Tensor:
    """Return the n fixed latents (n, size) for statistics."""
    return torch.from_numpy(np.random.default_rng(ESTIMATION_SEED).standard_normal((n, size), np.float32))


@torch.no_grad()
def reestimate_batch_norm(generator: nn.Module, size: int, counts: Tensor = NO_CLASSES) -> None:
    """Set BatchNorm's statistics to their averages over fixed latents, and set the network to eval mode.

    With classes, labels are distributed as `counts`.

    In a checkpoint, the EMA generator has the statistics of the training generator. For one DCGAN this caused up to
    half of the KID.
    """
    with fresh_statistics(generator) as device:
        if device is not None:
            z, label = fixed_latents(ESTIMATION_IMAGES, size), classes_of(range(ESTIMATION_IMAGES), counts)
            for rows in (slice(first, first + 64) for first in range(0, ESTIMATION_IMAGES, 64)):
                part = z[rows].to(device)
                generator(part) if label is None else generator(part, label[rows].to(device))


@contextmanager
def fresh_statistics(network: nn.Module) -> Iterator[torch.device | None]:
    """Re-estimate BatchNorm's statistics as averages over all batches that pass through a network in the context.

    Afterwards the network is in eval mode. Yield the network's device, or None if it has no BatchNorm and needs no
    passes.
    """
    network.eval()
    norms = [module for module in network.modules() if isinstance(module, _BatchNorm)]
    momenta = [norm.momentum for norm in norms]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # None is a cumulative average
        norm.train()
    yield next(network.parameters()).device if norms else None
    for norm, momentum in zip(norms, momenta, strict=True):
        norm.momentum = momentum
    network.eval()
