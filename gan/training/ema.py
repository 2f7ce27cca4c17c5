"""Exponential moving averages of the generator's weights. All images for users are generated with them."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.utils.errors import UserError


class EMA(nn.Module):
    """Exponential moving average (EMA) of a network's parameters; time is measured in images seen.

    decay = 0.5^(images since the last update / half-life), independent of batch size, n_critic and number of devices.
    The half-life is at most `warmup` times the images seen (Karras et al., 2020, arXiv:2006.06676).

    Args:
        half_life: images after which the contribution of old weights has halved.
        warmup: largest half-life as a fraction of the images seen; 0 disables averaging.
    """

    def __init__(self, model: nn.Module, half_life: float, warmup: float = 0.05) -> None:
        super().__init__()
        self.module = copy.deepcopy(model).requires_grad_(False).eval()  # DDP ignores parameters without gradients
        self.half_life = half_life
        self.warmup = warmup
        self.tensors: tuple[list[Tensor], ...] | None = None  # see `gather`

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
        if self.tensors is None:
            self.tensors = self.gather(model)
        mine, theirs, my_buffers, their_buffers = self.tensors
        torch._foreach_lerp_(mine, theirs, 1 - self.decay(images, seen))
        if my_buffers:
            # Copy BatchNorm's statistics of the training generator. They are re-estimated before use.
            torch._foreach_copy_(my_buffers, their_buffers)

    def gather(self, model: nn.Module) -> tuple[list[Tensor], ...]:
        """Return the parameters and buffers of both networks.

        They are stored, because collecting them takes longer than averaging a small network.
        """
        networks = self.module, model
        parameters = ([parameter.detach() for parameter in network.parameters()] for network in networks)
        return (*parameters, *(list(network.buffers()) for network in networks))

    def _apply(self, *args: Any, **kwargs: Any) -> EMA:
        self.tensors = None  # moving to another device creates new tensors
        return super()._apply(*args, **kwargs)


class PowerEMA(EMA):
    """Average whose weights are proportional to t^gamma, with t the images seen, so that its length grows with the run.

    Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models", 2024, arXiv:2312.02696, section
    3.1: beta(t) = (1 - images / t)^(gamma + 1). Each width needs a copy of the network. The best width is selected
    after the run.

    Args:
        width: sigma_rel, the standard deviation of the profile as a fraction of the run; published: 0.05, 0.10.
    """

    def __init__(self, model: nn.Module, width: float) -> None:
        super().__init__(model, 0.0)
        self.width = width
        self.gamma = exponent(width)

    def decay(self, images: int, seen: int) -> float:
        return (1 - images / seen) ** (self.gamma + 1)


def exponent(width: float) -> float:
    """Return the gamma of a width: sigma^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3))."""
    if not 0 < width < 12**-0.5:
        raise UserError(f"model.power_ema: {width} is not between 0 and 0.28; published widths are [0.05,0.1]")
    t = width**-2  # gamma^3 + 7 gamma^2 + (16 - t) gamma + 12 - t = 0
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())
