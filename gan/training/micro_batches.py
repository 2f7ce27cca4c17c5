"""Choose the number of images that a device processes at a time."""

from __future__ import annotations

import math
from typing import Any

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from gan.common.errors import UserError
from gan.training.rehearsal import Need


def images_together(*networks: nn.Module) -> int | None:
    """Return the smallest allowed micro-batch, which divides all others; None if a layer uses the whole batch.

    BatchNorm uses the whole batch. Other layers that combine images have the member `images_together`.
    """
    modules: list[Any] = [module for network in networks for module in network.modules()]
    if any(isinstance(module, _BatchNorm) for module in modules):
        return None
    return math.lcm(*(getattr(module, "images_together", 1) for module in modules))


def describe_batch_norm(model: Any, batch: int) -> str | None:
    """Return a note if micro-batches that the user has set change the statistics of BatchNorm; otherwise None.

    Args:
        batch: images per batch on a device.

    Raises:
        UserError: a micro-batch has one image, for which BatchNorm has no statistics.
    """
    size = model.micro_batch
    if size is None or size >= batch or images_together(model.generator, model.discriminator) is not None:
        return None
    if size == 1 or batch % size == 1:
        raise UserError(
            f"model.micro_batch={size}: a micro-batch of a batch of {batch} images has one image, but BatchNorm needs "
            f"several; use model.checkpoint_blocks=true to save memory"
        )
    return f"note: model.micro_batch={size}: BatchNorm uses the statistics of each micro-batch, not of the batch"


def choose_micro_batch(need: Need, images: int, memory: float, batch: int, together: int | None) -> int | None:
    """Return the largest micro-batch that fits, or the smallest possible one; None if the batch cannot be divided.

    Args:
        need: bytes of a step with micro-batches of `images`.
        memory: bytes that may be used.
        batch: images per batch on this device; micro-batches are divisors of it.
        together: result of `images_together`.
    """
    if together is None:
        return None
    sizes = [size for size in range(together, batch, together) if batch % size == 0]
    return max((size for size in sizes if predict(need, images, size) <= memory), default=min(sizes, default=None))


def predict(need: Need, images: int, size: int) -> float:
    """Return the bytes of a step with micro-batches of `size`. Bytes that are not resident are proportional to it."""
    return need.resident + (need.peak - need.resident) / images * size
