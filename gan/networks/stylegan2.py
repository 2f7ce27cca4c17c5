"""StyleGAN2: a mapping network from z to w, convolutions modulated by w, and output skips.

Karras, Laine, Aittala, Hellsten, Lehtinen, Aila, "Analyzing and Improving the Image Quality of StyleGAN", 2020,
arXiv:1912.04958; widths and the two mapping layers are those of the ADA paper, 2020, arXiv:2006.06676. No custom
kernels are needed: a modulated convolution scales its input and its output, which is equal to scaling and demodulating
its weights per image.
"""

from __future__ import annotations

import math
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.losses.heads import at_least_fp32
from gan.networks.grid import base_grid, channels_at
from gan.networks.layers import (
    autocast_dtype,
    clamp_fp16,
    full_precision,
    run_stage,
    stage_activations,
    with_minibatch_std,
)
from gan.networks.resampling import BORDERS, downsample, smooth, upsample
from gan.networks.torus import local
from gan.utils.errors import at_least, choice

SLOPE = 0.2  # slope of the leaky ReLU
GAIN = math.sqrt(2)  # approximately keeps the variance
EPSILON = 1e-8


def activate(x: Tensor) -> Tensor:
    """Apply leaky ReLU, and clamp in fp16. The layer before it multiplies by GAIN, as a factor of its small weights."""
    return clamp_fp16(F.leaky_relu(x, SLOPE))


class EqualizedWeight(nn.Module):
    """A weight from N(0, 1) and a bias, scaled at each use: the equalized learning rate.

    Karras et al., 2018, arXiv:1710.10196, section 4.1.

    Args:
        shape: shape of the weight, outputs first.
        bias: initial value of the bias; None for no bias.
        lr_multiplier: factor on the learning rate.
    """

    def __init__(self, *shape: int, bias: float | None = 0.0, lr_multiplier: float = 1.0) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(shape) / lr_multiplier)
        self.bias = None if bias is None else nn.Parameter(torch.full((shape[0],), bias / lr_multiplier))
        self.scale = lr_multiplier / math.sqrt(math.prod(shape[1:]))
        self.lr_multiplier = lr_multiplier

    def scaled(self, gain: float = 1.0) -> tuple[Tensor, Tensor | None]:
        bias = None if self.bias is None else self.bias * (gain * self.lr_multiplier)
        return self.weight * (gain * self.scale), bias


class EqualizedLinear(EqualizedWeight):
    """Linear layer with an equalized learning rate; `shape` is (outputs, inputs)."""

    def forward(self, x: Tensor, gain: float = 1.0) -> Tensor:
        return F.linear(x, *self.scaled(gain))


class EqualizedConv2d(EqualizedWeight):
    """Convolution with an equalized learning rate and an odd kernel. It keeps the size; `halve` needs a 3x3 kernel."""

    def forward(self, x: Tensor, gain: float = 1.0, halve: bool = False) -> Tensor:
        if halve:
            return smooth_down(x, *self.scaled(gain))  # (N, C, 2h, 2w) -> (N, C', h, w)
        return F.conv2d(x, *self.scaled(gain), padding=self.weight.shape[-1] // 2)


@local(4)
def smooth_down(x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """Filter with [1, 3, 3, 1], then convolve with 3x3: (N, C, 2h, 2w) -> (N, C', h, w)."""
    return F.conv2d(smooth(x, padding=2), weight, bias, stride=2)


@local(2)
def smooth_up(x: Tensor, weight: Tensor) -> Tensor:
    """Convolve with 3x3, transposed, then filter with [1, 3, 3, 1]: (N, C, h, w) -> (N, C', 2h, 2w)."""
    y = F.conv_transpose2d(x, weight, stride=2)  # (N, C', 2h + 1, 2w + 1)
    return smooth(y, padding=1, gain=4)


class ModulatedConv2d(nn.Module):
    """A convolution whose input channels are scaled by w and whose outputs are demodulated: equation 3.

    Args:
        demodulate: scale the outputs to unit variance, times `gain`; False for the layers that return images.
        upsample: upsample by 2, with a transposed convolution and the filter [1, 3, 3, 1].
    """

    def __init__(
        self, before: int, after: int, kernel: int, latent_dim: int, demodulate: bool = True, upsample: bool = False
    ) -> None:
        super().__init__()
        self.style = EqualizedLinear(before, latent_dim, bias=1.0)
        self.convolution = EqualizedConv2d(after, before, kernel, kernel, bias=None)
        self.demodulate = demodulate
        self.upsample = upsample

    def forward(self, x: Tensor, w: Tensor, gain: float = 1.0) -> Tensor:
        weight = self.convolution.scaled()[0]  # (after, before, k, k)
        fp16 = autocast_dtype(x) == torch.float16
        with full_precision(x):
            style = self.style(w)  # (N, before)
            if fp16 and self.demodulate:
                style = style / style.abs().amax(1, keepdim=True)  # demodulation cancels this factor
        x = x * style[:, :, None, None].to(x.dtype)
        if self.upsample:
            y = smooth_up(x, weight.transpose(0, 1))  # (N, after, 2h, 2w)
        else:
            y = F.conv2d(x, weight, padding=weight.shape[-1] // 2)
        if not self.demodulate:
            return clamp_fp16(y)
        with full_precision(x):  # sums of many small squares
            power = style.square() @ weight.square().sum((2, 3)).T  # (N, after)
            scale = gain * (power + EPSILON).rsqrt()
        return y * scale[:, :, None, None].to(y.dtype)


class StyledLayer(nn.Module):
    """Modulated 3x3, noise, bias, leaky ReLU. In eval mode the noise is constant, so the image depends on w only."""

    def __init__(self, before: int, after: int, size: tuple[int, int], latent_dim: int, upsample: bool) -> None:
        super().__init__()
        self.modulated = ModulatedConv2d(before, after, 3, latent_dim, upsample=upsample)
        self.noise_gain = nn.Parameter(torch.zeros(()))
        self.bias = nn.Parameter(torch.zeros(after))
        self.noise = nn.Buffer(torch.randn(1, 1, *size))

    def forward(self, x: Tensor, w: Tensor) -> Tensor:
        y = self.modulated(x, w, GAIN)
        noise = torch.randn(len(y), 1, *y.shape[2:], device=y.device) if self.training else self.noise
        y = y + (GAIN * self.noise_gain * noise).to(y.dtype) + (GAIN * self.bias)[:, None, None].to(y.dtype)
        return activate(y)


class Stage(nn.Module):
    """One resolution of the synthesis network: two layers and a layer to the image. The first layer upsamples.

    The first stage (before=0) has only one of the two layers, without upsampling.
    """

    def __init__(
        self, before: int, after: int, size: tuple[int, int], channels: int, latent_dim: int, border: str
    ) -> None:
        super().__init__()
        self.border = border
        first = [StyledLayer(before, after, size, latent_dim, upsample=True)] if before else []
        self.layers = nn.ModuleList([*first, StyledLayer(after, after, size, latent_dim, upsample=False)])
        self.to_image = ModulatedConv2d(after, channels, 1, latent_dim, demodulate=False)
        self.image_bias = nn.Parameter(torch.zeros(channels))

    def forward(self, x: Tensor, image: Tensor | None, w: Tensor) -> tuple[Tensor, Tensor]:
        """Return features and image. w is (layers + 1, N, latent_dim): one per layer and one for the image."""
        for layer, own in zip(self.layers, w, strict=False):
            x = layer(x, own)
        own_image = self.to_image(x, w[-1]) + self.image_bias[:, None, None]
        return x, own_image if image is None else upsample(image, self.border) + own_image


class Mapping(nn.Module):
    """Map z (N, latent_dim) to w (N, latent_dim): normalization, then linear layers with a learning rate of 0.01.

    With classes, the normalized embedding of the label is concatenated to z.
    """

    def __init__(self, latent_dim: int, layers: int, classes: int = 0) -> None:
        super().__init__()
        inputs = [latent_dim * (2 if classes else 1), *[latent_dim] * (layers - 1)]
        self.layers = nn.ModuleList(EqualizedLinear(latent_dim, before, lr_multiplier=0.01) for before in inputs)
        self.embedding = EqualizedLinear(latent_dim, classes) if classes else None

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        with full_precision(z):
            x = normalize_2nd_moment(z)
            if self.embedding is not None:
                embedding = normalize_2nd_moment(embedded(self.embedding, label))
                x = torch.cat([x, embedding.to(x.dtype)], 1)  # (N, 2 latent_dim)
            for layer in self.layers:
                x = activate(layer(x, GAIN))
            return x


def normalize_2nd_moment(x: Tensor) -> Tensor:
    """Scale each row of (N, C) to a mean square of 1."""
    return x * (x.square().mean(1, keepdim=True) + EPSILON).rsqrt()


def embedded(layer: EqualizedLinear, label: Tensor | None) -> Tensor:
    """Apply a layer to the one-hot vectors of labels (N,)."""
    assert label is not None
    return layer(F.one_hot(label, layer.weight.shape[1]).to(layer.weight.dtype))


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W), nominally in [-1, 1], because there is no tanh.

    Args:
        style_mixing_prob: probability of style mixing in training, where coarse and fine layers get the w of different
            z (section 3.1 of arXiv:1812.04948).
        border: "repeat", or "zeros" as in the authors' code: what is around an image that is upsampled.
        center: keep the mean of w in a buffer, as the authors' code does: the center of truncation.

    Attributes:
        num_ws: number of w that `synthesis` takes: one per layer, and one for the last image.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 256,
        latent_dim: int = 512,
        max_channels: int = 512,
        mapping_layers: int = 2,
        style_mixing_prob: float = 0.9,
        classes: int = 0,
        border: str = "repeat",
        center: bool = False,
    ) -> None:
        super().__init__()
        choice("model.generator.border", border, BORDERS)
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, max_channels, doublings + 1)
        self.latent_dim = latent_dim
        self.classes = classes
        self.style_mixing_prob = style_mixing_prob
        self.mapping = Mapping(latent_dim, mapping_layers, classes)
        self.constant = nn.Parameter(torch.randn(widths[0], rows, columns))
        self.stages = nn.ModuleList(
            Stage(before, after, (rows << n, columns << n), channels, latent_dim, border)
            for n, (before, after) in enumerate(pairwise([0, *widths]))
        )
        self.num_ws = 2 * len(widths)  # one per layer, and one for the last image
        if center:
            self.center = nn.Buffer(torch.zeros(latent_dim))

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        return [*self.stages]

    def latent_weights(self) -> list[Tensor]:
        """Return the weights (outputs, latent_dim) that are applied to w: of each layer, and of the last image."""
        stages: Any = self.stages
        layers = [layer.modulated for stage in stages for layer in stage.layers]
        return [each.style.scaled()[0] for each in (*layers, stages[-1].to_image)]

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        w = self.mapping(z, label)  # (N, latent_dim)
        return self.synthesis(self.style_mixing(w, label) if self.training and self.style_mixing_prob else w)

    def style_mixing(self, w: Tensor, label: Tensor | None) -> Tensor:
        """Return w (num_ws, N, latent_dim) after style mixing: each image has another z from a random layer on."""
        n = len(w)
        other = self.mapping(torch.randn(n, self.latent_dim, device=w.device), label)
        first = torch.randint(1, self.num_ws, (n,), device=w.device)
        first = torch.where(torch.rand(n, device=w.device) < self.style_mixing_prob, first, self.num_ws)
        return torch.where(torch.arange(self.num_ws, device=w.device)[:, None, None] < first[:, None], w, other)

    def synthesis(self, w: Tensor) -> Tensor:
        """Return images (N, C, H, W) for w (N, latent_dim), or (num_ws, N, latent_dim) with one w per layer."""
        w = w.expand(self.num_ws, -1, -1) if w.ndim == 2 else w
        x, image = self.constant.expand(w.shape[1], -1, -1, -1), None  # features (N, width_i, h, w), image (N, C, h, w)
        doublings, at = len(self.stages) - 1, 0
        for n, stage in enumerate(self.stages):
            layers = 2 if n else 1
            x, image = run_stage(stage, x, doublings - n, doublings, image, w[at : at + layers + 1])
            at += layers  # the w of the image is also the w of the next stage's first layer
        assert image is not None
        return image


class Residual(nn.Module):
    """Two 3x3, the second with stride 2, plus a 1x1 shortcut if there is one: (N, C, 2h, 2w) -> (N, C', h, w)."""

    def __init__(self, before: int, after: int, shortcut: bool = True) -> None:
        super().__init__()
        self.first = EqualizedConv2d(before, before, 3, 3)
        self.second = EqualizedConv2d(after, before, 3, 3)
        self.shortcut = EqualizedConv2d(after, before, 1, 1, bias=None) if shortcut else None

    def forward(self, x: Tensor) -> Tensor:
        y = activate(self.first(x, GAIN))
        if self.shortcut is None:
            return activate(self.second(y, GAIN, halve=True))
        y = activate(self.second(y, halve=True))  # GAIN / sqrt(2) = 1
        return y + self.shortcut(downsample(x), 1 / GAIN)


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N,): a residual network with a minibatch standard deviation layer.

    Args:
        classes: number of classes; 0 for an unconditional discriminator. With classes, the logit is the inner product
            of the features and the normalized embedding of the class.
        mapping_layers: number of linear layers after the embedding; eight in the authors' code.
        architecture: "resnet", or "orig" for blocks without shortcuts, which the ADA paper uses for CIFAR-10.
    """

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 256,
        max_channels: int = 512,
        mbstd_group_size: int = 4,
        classes: int = 0,
        mapping_layers: int = 0,
        architecture: str = "resnet",
    ) -> None:
        super().__init__()
        shortcut = choice("model.discriminator.architecture", architecture, ("resnet", "orig")) == "resnet"
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, max_channels, doublings + 1)[::-1]
        at_least("model.discriminator.mbstd_group_size", mbstd_group_size, 1)
        self.mbstd_group_size = self.images_together = mbstd_group_size
        self.from_image = EqualizedConv2d(widths[0], channels, 1, 1)
        self.blocks = nn.ModuleList(Residual(before, after, shortcut) for before, after in pairwise(widths))
        self.last = EqualizedConv2d(widths[-1], widths[-1] + (mbstd_group_size > 1), 3, 3)
        self.dense = EqualizedLinear(widths[-1], widths[-1] * rows * columns)
        self.to_logit = EqualizedLinear(widths[-1] if classes else 1, widths[-1])
        self.embedding = EqualizedLinear(widths[-1], classes) if classes else None
        self.mapping = nn.ModuleList(
            EqualizedLinear(widths[-1], widths[-1], lr_multiplier=0.01) for _ in range(mapping_layers * bool(classes))
        )

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each block, from (N, width_1, H/2, W/2) to (N, width_n, rows, columns)."""
        return stage_activations(activate(self.from_image(x, GAIN)), self.blocks, len(self.blocks))

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        y = at_least_fp32(self.features(x)[-1])
        with full_precision(y):
            y = with_minibatch_std(y, self.mbstd_group_size)  # (N, width_n (+ 1), rows, columns)
            y = activate(self.last(y, GAIN))
            y = activate(self.dense(y.flatten(1), GAIN))  # (N, width_n)
            logit: Tensor = self.to_logit(y)  # (N, 1), or (N, width_n) with classes
            if self.embedding is None:
                return logit.flatten()
            embedding = normalize_2nd_moment(embedded(self.embedding, label)).to(logit.dtype)
            for layer in self.mapping:
                embedding = activate(layer(embedding, GAIN))
            return (logit * embedding).sum(1) / math.sqrt(embedding.shape[1])
