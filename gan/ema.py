"""The averaged generator: what is sampled, measured and exported."""

from __future__ import annotations

import copy

import torch
from torch import nn


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

    def decay(self, images: int, seen: int) -> float:
        return 0.5 ** (images / max(min(self.half_life, self.warmup * seen), 1e-8))

    @torch.no_grad()
    def update(self, model: nn.Module, images: int, seen: int) -> None:
        """Move towards `model`, `images` after the last update and with `seen` images in all."""
        weight = 1 - self.decay(images, seen)
        torch._foreach_lerp_(list(self.module.parameters()), [p.detach() for p in model.parameters()], weight)
        for mine, theirs in zip(self.module.buffers(), model.buffers(), strict=True):
            mine.copy_(theirs)  # BatchNorm's are those of the live generator until they are re-estimated
