"""The averaged generator: what is sampled, measured and exported."""

from __future__ import annotations

import copy
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.common.errors import UserError


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


class PowerEMA(EMA):
    """An average whose memory grows with the run: its weights lie over the images seen as t^gamma does.

    Karras et al., "Analyzing and Improving the Training Dynamics of Diffusion Models", 2024, arXiv:2312.02696, section
    3.1: beta(t) = (1 - images / t)^(gamma + 1). Several widths at once cost a copy of the network each, and which is
    best is seen after the run.

    Args:
        width: sigma_rel, the standard deviation of the weights as a share of the run; published: .05 and .10.

    Raises:
        UserError: a width that is not above 0 and below .28, that of a plain mean.
    """

    def __init__(self, model: nn.Module, width: float) -> None:
        super().__init__(model, 0.0)
        self.width = width
        self.gamma = exponent(width)

    def decay(self, images: int, seen: int) -> float:
        return (1 - images / seen) ** (self.gamma + 1)


def exponent(width: float) -> float:
    """The gamma whose profile has that width: sigma^2 = (gamma + 1) / ((gamma + 2)^2 (gamma + 3))."""
    if not 0 < width < 12**-0.5:
        raise UserError(f"model.power_ema: {width} is not a width between 0 and .28; published: [0.05,0.1]")
    t = width**-2  # gamma^3 + 7 gamma^2 + (16 - t) gamma + 12 - t = 0
    return float(np.roots([1, 7, 16 - t, 12 - t]).real.max())
