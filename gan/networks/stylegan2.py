"""StyleGAN2: a mapping from z to w, convolutions modulated by w, images summed over the stages.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2020,
arXiv:1912.04958; widths and the two layers of mapping are those of its ADA paper, 2020, arXiv:2006.06676. No kernels of
its own: a modulated convolution scales its input and its output, which is what scaling its weights for each image and
bringing them back to unit norm comes to.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import Sliced
from gan.networks.features import activations
from gan.networks.grid import base_grid, channels_at
from gan.networks.precision import full_precision
from gan.networks.resample import blur, downsample, upsample
from gan.networks.san import SlicedHead

SLOPE = 0.2  # of the leaky ReLU
GAIN = math.sqrt(2)  # keeps the variance through it, nearly
SMALL = 1e-8


def activate(x: Tensor) -> Tensor:
    return GAIN * F.leaky_relu(x, SLOPE)


class Equalized(nn.Module):
    """A weight from N(0, 1) that is scaled at each use, so that all layers learn at one pace.

    Karras et al., 2018, arXiv:1710.10196, section 4.1.

    Args:
        shape: of the weight, outputs first.
        bias: what biases start at; None has none.
        pace: learning rate in units of the others'.
    """

    def __init__(self, *shape: int, bias: float | None = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.bias = None if bias is None else nn.Parameter(torch.full((shape[0],), bias / lr_multiplier))
        self.scale = lr_multiplier / math.sqrt(math.prod(shape[1:]))
        self.lr_multiplier = lr_multiplier

    def scaled(self) -> tuple[Tensor, Tensor | None]:
        return self.weight * self.scale, None if self.bias is None else self.bias * self.lr_multiplier


class Linear(Equalized):
    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, *self.scaled())


class Convolution(Equalized):
    """Of odd kernels, the size kept."""

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(x, *self.scaled(), padding=self.weight.shape[-1] // 2)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels w scales, and whose outputs are brought back to unit variance: equation 3.

    Args:
        demodulate: off where an image comes out.
        doubles: twice the size, through a transposed convolution and the filter [1, 3, 3, 1].
    """

    def __init__(
        self, before: int, after: int, kernel: int, latent_dim: int, demodulate: bool = True, upsample: bool = False
    ) -> None:
        super().__init__()
        self.style = Linear(before, latent_dim, bias=1.0)
        self.convolution = Convolution(after, before, kernel, kernel, bias=None)
        self.demodulate = demodulate
        self.upsample = upsample

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        style = self.style(w)  # (N, before)
        weight = self.convolution.scaled()[0]  # (after, before, k, k)
        x = x * style[:, :, None, None].to(x.dtype)
        if self.upsample:
            y = F.conv_transpose2d(x, weight.transpose(0, 1), stride=2)  # (N, after, 2h + 1, 2w + 1)
            y = 4 * blur(F.avg_pool2d(y, 2, stride=1))  # (N, after, 2h, 2w)
        else:
            y = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return y
        with full_precision(x):  # squares of many small weights
            power = style.float().square() @ weight.float().square().sum((2, 3)).T  # (N, after)
        return y * (power + SMALL).rsqrt()[:, :, None, None].to(y.dtype)


class StyledLayer(nn.Module):
    """Modulated 3x3, noise, bias, leaky ReLU. In eval mode all images have the same noise, so that w is one image."""

    noise: Tensor

    def __init__(self, before: int, after: int, size: tuple[int, int], latent_dim: int, upsample: bool) -> None:
        super().__init__()
        self.modulated = ModulatedConv2d(before, after, 3, latent_dim, upsample=upsample)
        self.noise_gain = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))
        self.register_buffer("noise", torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        y = self.modulated(x, w)
        noise = torch.randn(len(y), 1, *y.shape[2:], device=y.device) if self.training else self.noise
        y = y + (self.noise_gain * noise).to(y.dtype) + self.bias[:, None, None].to(y.dtype)
        return activate(y)


class Stage(nn.Module):
    """Two layers, the first doubling the size (at the grid one, and no doubling), and an image of what they make."""

    def __init__(self, before: int, after: int, size: tuple[int, int], channels: int, latent_dim: int) -> None:
        super().__init__()
        doubling = [StyledLayer(before, after, size, latent_dim, upsample=True)] if before else []
        self.layers = nn.ModuleList([*doubling, StyledLayer(after, after, size, latent_dim, upsample=False)])
        self.to_image = ModulatedConv2d(after, channels, 1, latent_dim, demodulate=False)
        self.image_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """w is (layers + 1, N, latent): one for each layer, and one for the image."""
        for layer, own in zip(self.layers, w, strict=False):
            x = layer(x, own)
        own_image = self.to_image(x, w[-1]) + self.image_bias[:, None, None]
        return x, own_image if image is None else upsample(image) + own_image


class Mapping(nn.Module):
    """z (N, latent) -> w (N, latent): normalized, then dense layers that learn at a hundredth of the pace.

    With classes, the normalized embedding of the label follows z into the first layer.
    """

    def __init__(self, latent_dim: int, layers: int, classes: int = 0) -> None:
        super().__init__()
        inputs = [latent_dim * (2 if classes else 1), *[latent_dim] * (layers - 1)]
        self.layers = nn.ModuleList(Linear(latent_dim, before, lr_multiplier=0.01) for before in inputs)
        self.embedding = Linear(latent_dim, classes) if classes else None

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        x = normalize_2nd_moment(z)
        if self.embedding is not None:
            x = torch.cat([x, normalize_2nd_moment(embedded(self.embedding, label)).to(x.dtype)], 1)  # (N, 2 latent)
        for layer in self.layers:
            x = activate(layer(x))
        return x


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """(N, C) of mean square 1 in each row."""
    return x * (x.square().mean(1, keepdim=True) + SMALL).rsqrt()


def embedded(layer: Linear, label: Tensor | None) -> Tensor:
    """What a layer makes of one-hot labels (N,)."""
    assert label is not None
    return layer(F.one_hot(label, layer.weight.shape[1]).to(layer.weight.dtype))


class Generator(nn.Module):
    """Latent (N, latent) -> image (N, C, H, W), nominally in [-1, 1]: there is no tanh.

    Args:
        width: channels at the full size; twice as many at each halving.
        most: channels, at most.
        layers: of the mapping.
        mixing: share of images whose coarse and fine layers have different z in training (section 3.1 of
            arXiv:1812.04948).
        classes: that the mapping is told; 0 takes no labels.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 256,
        latent_dim: int = 512,
        max_channels: int = 512,
        layers: int = 2,
        mixing: float = 0.9,
        classes: int = 0,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, max_channels, doublings + 1)
        self.latent_dim = latent_dim
        self.classes = classes
        self.mixing = mixing
        self.mapping = Mapping(latent_dim, layers, classes)
        self.constant = nn.Parameter(torch.randn(widths[0], rows, columns))
        self.stages = nn.ModuleList(
            Stage(before, after, (rows << n, columns << n), channels, latent_dim)
            for n, (before, after) in enumerate(pairwise([0, *widths]))
        )
        self.styles = 2 * len(widths)  # layers, and the last image

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        """The layers from the smallest grid to the image."""
        return [*self.stages]

    def latent_weights(self) -> list[Tensor]:
        """Weights (outputs, latent) by which w comes in: of each layer, and of the last image."""
        stages: Any = self.stages
        layers = [layer.modulated for stage in stages for layer in stage.layers]
        return [each.style.scaled()[0] for each in (*layers, stages[-1].to_image)]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        w = self.mapping(z, label)  # (N, latent)
        return self.synthesis(self.mix(w, label) if self.training and self.mixing else w)

    def mix(self, w: Tensor, label: Tensor | None) -> Tensor:
        """w (N, latent) -> (styles, N, latent): from a layer on that is drawn for each image, the w of another z."""
        n = len(w)
        other = self.mapping(torch.randn(n, self.latent_dim, device=w.device), label)
        first = torch.randint(1, self.styles, (n,), device=w.device)
        first = torch.where(torch.rand(n, device=w.device) < self.mixing, first, self.styles)
        return torch.where(torch.arange(self.styles, device=w.device)[:, None, None] < first[:, None], w, other)

    def synthesis(self, w: Tensor) -> Tensor:
        """w (N, latent), or (styles, N, latent) with one a layer -> image (N, C, H, W)."""
        w = w.expand(self.styles, -1, -1) if w.ndim == 2 else w
        x, image = self.constant.expand(w.shape[1], -1, -1, -1), None
        at = 0
        for stage, layers in zip(self.stages, [1] + [2] * (len(self.stages) - 1), strict=True):
            x, image = stage(x, image, w[at : at + layers + 1])  # (N, width_i, 2h, 2w), (N, C, 2h, 2w)
            at += layers  # the image's w is that of the next stage's first layer
        assert image is not None
        return image


class Residual(nn.Module):
    """Two 3x3, the second halving, beside a 1x1: (N, C, 2h, 2w) -> (N, C', h, w), variance kept."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.first = Convolution(before, before, 3, 3)
        self.second = Convolution(after, before, 3, 3)
        self.shortcut = Convolution(after, before, 1, 1, bias=None)

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.first(x))
        y = activate(self.second(downsample(y)))
        return (y + self.shortcut(downsample(x))) / GAIN


class Discriminator(nn.Module):
    """Image (N, C, H, W) -> logits (N,), residual, with the deviation within groups of a batch as one more channel.

    Args:
        width: channels at the full size; twice as many at each halving.
        most: channels, at most.
        group: images whose deviation is taken together (Karras et al., 2018, arXiv:1710.10196, section 3); 1: none.
        classes: with them the logit is the product of so many features with the normalized embedding of the class;
            the paper's authors put eight dense layers between the two. 0 takes no labels.
        san: `SlicedHead` in place of the last layer.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 256,
        max_channels: int = 512,
        mbstd_group_size: int = 4,
        classes: int = 0,
        san: bool = False,
    ) -> None:
        super().__init__()
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, max_channels, doublings + 1)[::-1]
        self.mbstd_group_size = mbstd_group_size
        self.from_image = Convolution(widths[0], channels, 1, 1)
        self.blocks = nn.ModuleList(Residual(before, after) for before, after in pairwise(widths))
        self.last = Convolution(widths[-1], widths[-1] + (mbstd_group_size > 1), 3, 3)
        self.dense = Linear(widths[-1], widths[-1] * rows * columns)
        self.sliced = san
        self.to_logit = SlicedHead(widths[-1], classes) if san else Linear(widths[-1] if classes else 1, widths[-1])
        self.embedding = Linear(widths[-1], classes) if classes and not san else None

    def features(self, x: Tensor) -> list[Tensor]:
        """Activations after each block, from (N, width_1, H/2, W/2) to (N, width_n, rows, columns)."""
        return activations(activate(self.from_image(x)), self.blocks)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor | Sliced:
        y = self.features(x)[-1]
        if self.mbstd_group_size > 1:
            y = torch.cat([y, minibatch_std(y, self.mbstd_group_size)], 1)
        y = activate(self.last(y))
        y = activate(self.dense(y.flatten(1)))  # (N, width_n)
        if self.sliced:
            return self.to_logit(y, label)
        logit = self.to_logit(y)  # (N, 1), or (N, width_n) with classes
        if self.embedding is None:
            return logit.flatten()
        fit = normalize_2nd_moment(embedded(self.embedding, label)).to(logit.dtype)
        return (logit * fit).sum(1) / math.sqrt(fit.shape[1])


def minibatch_std(x: Tensor, mbstd_group_size: int) -> Tensor:
    """(N, C, h, w) -> (N, 1, h, w): within groups of images the mean deviation, the same for all places of a group.

    The largest group up to `group` is taken that N can be cut into.
    """
    n = next(size for size in range(min(mbstd_group_size, len(x)), 0, -1) if len(x) % size == 0)
    groups = x.float().reshape(n, -1, *x.shape[1:])  # (n, N/n, C, h, w)
    spread = (groups.var(0, correction=0) + SMALL).sqrt().mean((1, 2, 3))  # (N/n,)
    return spread.to(x.dtype).repeat(n)[:, None, None, None].expand(-1, 1, *x.shape[2:])
