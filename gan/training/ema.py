"""The exponential moving average of the generator's weights. All images for users are generated with them."""

from __future__ import annotations

import copy
from typing import Any

import torch
from torch import nn


class EMA(nn.Module):
    """Exponential moving average (EMA) of a network's parameters; time is measured in images seen.

    decay = 0.5^(images since the last update / half-life), independent of batch size, n_critic and number of devices.
    The half-life is at most `warmup` times the images seen (Karras et al., 2020, arXiv:2006.06676).

    Args:
        half_life: images after which the contribution of old weights has halved.
        warmup: largest half-life as a fraction of the images seen; 0 disables averaging.
    """

    module: Any  # nn.Module would hide the members of the generator

    def __init__(self, model: nn.Module, half_life: float, warmup: float = 0.05) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()  # DDP ignores parameters without gradients
        self.half_life = half_life
        self.warmup = warmup

    def decay(self, images: int, seen: int) -> float:
        """Return the factor of the old average at an update."""
        return 0.5 ** (images / max(min(self.half_life, self.warmup * seen), 1e-8))

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, seen: int) -> None:
        """Update the average with the weights of `model`.

        Args:
            images: number of images since the last update.
            seen: total number of images seen.
        """
        torch._foreach_lerp_([*self.module.parameters()], [*model.parameters()], 1 - self.decay(images, seen))
        if buffers := [*self.module.buffers()]:
            # Copy BatchNorm's statistics of the training generator. They are re-estimated before use.
            torch._foreach_copy_(buffers, [*model.buffers()])
