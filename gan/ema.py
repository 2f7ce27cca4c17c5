"""The averaged generator: what is sampled, measured and exported."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import Tensor, nn


class EMA(nn.Module):
    """Exponential moving average of a network's parameters on the clock of images.

    decay = 0.5^(images since the last update / half-life), so that batch size, n_critic and number of devices do not
    move it; early on the half-life is at most `warmup` of the images seen (Karras et al., 2020, arXiv:2006.06676).

    Args:
        half_life: images after which a weight's share has halved.
        warmup: largest half-life as a fraction of the images seen; 0 keeps no memory at all.
    """

    def __init__(self, model: nn.Module, half_life: float, warmup: float = 0.05) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()  # without gradients DDP leaves it alone
        self.half_life = half_life
        self.warmup = warmup
        self.tensors: tuple[list[Tensor], ...] | None = None  # see gather

    def decay(self, images: int, seen: int) -> float:
        return 0.5 ** (images / max(min(self.half_life, self.warmup * seen), 1e-8))

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, seen: int) -> None:
        """Move towards `model`, `images` after the last update and with `seen` images in all."""
        if self.tensors is None:
            self.tensors = self.gather(model)
        mine, theirs, my_buffers, their_buffers = self.tensors
        torch._foreach_lerp_(mine, theirs, 1 - self.decay(images, seen))
        if my_buffers:
            torch._foreach_copy_(my_buffers, their_buffers)  # BatchNorm's, of the live generator until re-estimated

    def gather(self, model: nn.Module) -> tuple[list[Tensor], ...]:
        """Parameters and buffers of both networks, once: walking the modules costs more than averaging small ones."""
        networks = self.module, model
        parameters = ([parameter.detach() for parameter in network.parameters()] for network in networks)
        return (*parameters, *(list(network.buffers()) for network in networks))

    def _apply(self, *args: Any, **kwargs: Any) -> EMA:
        self.tensors = None  # moving to another device makes new ones
        return super()._apply(*args, **kwargs)
