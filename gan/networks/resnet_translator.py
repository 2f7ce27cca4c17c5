"""The residual image-to-image network of CycleGAN, and a variant of it that keeps tone.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, arXiv:1603.08155, as in
Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
arXiv:1703.10593, section 7.2: c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.closed_form.color_map import ColorMap
from gan.networks.resampling import downsample, upsample
from gan.networks.tile_position import TilePosition, noise_at
from gan.networks.translator_layers import activation, initialize_translator, normalize, output_image
from gan.utils.errors import UserError


class Downsample(nn.Module):
    """(N, C, h, w) -> (N, C, h/2, w/2), with a blur of 4 or 3 taps (Zhang, 2019, arXiv:1904.11486)."""

    def __init__(self, taps: int) -> None:
        super().__init__()
        self.taps = taps

    def forward(self, x: Tensor) -> Tensor:
        if self.taps == 4:
            return downsample(x)
        means = F.avg_pool2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), 2, stride=1)  # (N, C, h + 1, w + 1)
        return F.avg_pool2d(means, 2)  # [1, 2, 1] at every second pixel


class Down(nn.Sequential):
    """3x3, norm, activation, `Downsample`: (N, C, h, w) -> (N, C', h/2, w/2). Or the 3x3 has a stride of 2."""

    def __init__(self, before: int, after: int, norm: str, antialias: bool, taps: int) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, 1 if antialias else 2, 1)
        self.norm = normalize(norm, after)
        self.activation = activation(norm)
        self.downsample = Downsample(taps) if antialias else nn.Identity()


class Up(nn.Module):
    """Upsampling by 2, 3x3, norm, activation. Without `antialias`, a transposed convolution replaces the first two."""

    def __init__(self, before: int, after: int, norm: str, antialias: bool) -> None:
        super().__init__()
        self.convolution = (
            nn.Conv2d(before, after, 3, 1, 1)
            if antialias
            else nn.ConvTranspose2d(before, after, 3, 2, 1, output_padding=1)
        )
        self.norm = normalize(norm, after)
        self.activation = activation(norm)
        self.antialias = antialias

    def forward(self, x: Tensor, noise: Tensor | None = None) -> Tensor:
        """Return (N, C', 2h, 2w). `noise` (N or 1, C' or 1, 2h, 2w) is added before the activation."""
        y = self.norm(self.convolution(upsample(x) if self.antialias else x))  # (N, C, h, w) -> (N, C', 2h, 2w)
        return self.activation(y if noise is None else y + noise.to(y.dtype))


class Residual(nn.Module):
    """x + norm(3x3(activation(norm(3x3(x))))), with reflection padding: (N, C, h, w) -> the same."""

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            normalize(norm, channels),
            activation(norm),
            nn.Conv2d(channels, channels, 3, padding=1, padding_mode="reflect"),
            normalize(norm, channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.layers(x)


class Generator(nn.Module):
    """Images (N, C, H, W) -> translations of the same size, nominally in [-1, 1].

    Height and width must be multiples of 4, at least 16.

    Args:
        norm: "instance" (the paper), "batch", or "none", which keeps absolute tone.
        antialias: blur at each change of size.
        taps: length of the filter of that blur where the size is halved: 4, or 3 as in CUT's code, which moves feature
            maps by half a pixel.
        noise: add noise at the full size, with a learned gain per channel, as a source of grain (Karras et al., 2019,
            arXiv:1812.04948, section 3.2). In eval mode the noise is a function of the position.

    Attributes:
        noise_numbers: numbers of the planes of noise that an image needs: none, or 0.
        receptive_radius: number of pixels around a tile on which its output depends.
        bytes_per_pixel: estimate of the memory of a forward pass.
    """

    multiple = 4  # the size is halved twice
    noise_margin = 0  # pixels around a tile for which it needs noise

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        n_blocks: int = 9,
        norm: str = "instance",
        residual: bool = False,
        antialias: bool = False,
        noise: bool = False,
        init: str = "normal",
        taps: int = 4,
    ) -> None:
        super().__init__()
        if taps not in (3, 4):
            raise UserError(f"model.generator.taps={taps}: must be 3 or 4")
        self.pad = nn.ReflectionPad2d(3)
        self.stem = nn.Sequential(nn.Conv2d(channels, width, 7), normalize(norm, width), activation(norm))
        self.down = nn.ModuleList(Down(width * m, width * m * 2, norm, antialias, taps) for m in (1, 2))
        self.blocks = nn.ModuleList(Residual(4 * width, norm) for _ in range(n_blocks))
        self.up = nn.ModuleList(Up(width * m * 2, width * m, norm, antialias) for m in (2, 1))
        self.to_image = nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect")
        self.start = ColorMap() if residual else None
        # Initial gains from 0 to 1: the sign of a gain does not matter, so that its gradient at 0 vanishes on average.
        self.noise_gain = nn.Parameter(torch.linspace(0, 1, width)[:, None, None]) if noise else None
        self.noise_numbers = range(int(noise))
        # A residual block adds two pixels at a quarter of the size; 28 pixels are enough for all other layers. The
        # statistics of instance normalization are not counted.
        self.receptive_radius = 8 * n_blocks + 28
        self.bytes_per_pixel = 24 * width
        initialize_translator(self, self.to_image, norm, residual, init)

    @property
    def encoder(self) -> list[nn.Module]:
        """The layers before the upsampling, with the numbers of CUT's code.

        0 pads the image, 1 to 3 are the stem, 4 to 7 and 8 to 11 halve the size, starting with a convolution, and the
        others are blocks.
        """
        half, quarter = self.down
        return [self.pad, *self.stem, *half, *quarter, *self.blocks]  # type: ignore[misc]

    def noise(self, x: Tensor, position: TilePosition, given: Tensor | None = None) -> Tensor | None:
        """Return the noise (N or 1, width, H, W) to add at the full size; None without the option `noise`."""
        if self.noise_gain is None:
            return None
        if given is not None:
            return self.noise_gain * given
        if self.training:
            return self.noise_gain * torch.randn(len(x), 1, *x.shape[2:], device=x.device)
        return self.noise_gain * noise_at(position, *x.shape[2:]).to(x.device)

    def forward_tile(self, x: Tensor, position: TilePosition, noise: Tensor | None = None) -> Tensor:
        """Translate tiles (N, C, h, w) at a position of the image.

        Args:
            noise: standard normal (N or 1, 1, h, w), in place of the noise of the position.
        """
        y = self.pad(x)
        for layer in (self.stem, *self.down, *self.blocks):
            y = layer(y)  # at last (N, 4 width, H/4, W/4)
        half, full = self.up
        y = full(half(y), self.noise(x, position, noise))
        return output_image(x, self.to_image(y), self.start, position)  # (N, C, H, W)

    def forward(self, x: Tensor, label: Tensor | None = None, noise: Tensor | None = None) -> Tensor:
        return self.forward_tile(x, TilePosition.whole(x), noise)
