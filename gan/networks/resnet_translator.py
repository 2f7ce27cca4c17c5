"""The residual image-to-image network of CycleGAN, and a form of it that keeps tone.

Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution", 2016, arXiv:1603.08155, as in
Zhu, Park, Isola, Efros, "Unpaired Image-to-Image Translation using Cycle-Consistent Adversarial Networks", 2017,
arXiv:1703.10593, section 7.2: c7s1-64, d128, d256, R256 x blocks, u128, u64, c7s1-3.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from gan.networks.features import activations
from gan.networks.normalize import Base, activation, begin, end, normalize
from gan.networks.place import Place, noise_at
from gan.networks.resample import downsample, upsample


class Down(nn.Module):
    """3x3, norm, activation, half the size; `antialias` blurs before (Zhang, 2019, arXiv:1904.11486)."""

    def __init__(self, before: int, after: int, norm: str, antialias: bool) -> None:
        super().__init__()
        self.convolution = nn.Conv2d(before, after, 3, 1 if antialias else 2, 1)
        self.norm = normalize(norm, after)
        self.activation = activation(norm)
        self.antialias = antialias

    def forward(self, x: Tensor) -> Tensor:
        x = self.activation(self.norm(self.convolution(x)))
        return downsample(x) if self.antialias else x  # (N, C, h, w) -> (N, C', h/2, w/2)


class Up(nn.Module):
    """Twice the size, 3x3, norm, activation; without `antialias` a transposed convolution does the first two in one."""

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
        """noise: (N or 1, C' or 1, 2h, 2w), that is added before the activation."""
        y = self.norm(self.convolution(upsample(x) if self.antialias else x))  # (N, C, h, w) -> (N, C', 2h, 2w)
        y = self.activation(y if noise is None else y + noise.to(y.dtype))
        return y


class Residual(nn.Module):
    """x + norm(3x3(activation(norm(3x3(x))))), edges padded by reflection: (N, C, h, w) -> the same."""

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
        y: Tensor = x + self.layers(x)
        return y


class Generator(nn.Module):
    """Picture (N, C, H, W) -> picture of the same size, nominally in [-1, 1]; sides are multiples of 4, at least 16.

    Args:
        width: channels at the full size; four times as many at a quarter of it.
        blocks: residual ones; the paper has 6 at 128 pixels and 9 from 256 on.
        norm: "instance" is the paper's; "none" keeps absolute tone.
        residual: what the network says is added to the picture, or to what `start` makes of it, and nothing at first,
            in place of tanh at the end.
        antialias: sizes change with a blur, as in CUT.
        noise: a plane of noise is added at the full size, each channel taking as much as it learns to: from where grain
            may come (Karras et al., 2019, arXiv:1812.04948, section 3.2). In eval mode it is a function of the place.
    """

    multiple = 4  # of which both sides must be: the size is halved twice

    def __init__(
        self,
        channels: int = 3,
        width: int = 64,
        blocks: int = 9,
        norm: str = "instance",
        residual: bool = False,
        antialias: bool = False,
        noise: bool = False,
    ) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(channels, width, 7, padding=3, padding_mode="reflect"),
            normalize(norm, width),
            activation(norm),
        )
        self.down = nn.ModuleList(Down(width * m, width * m * 2, norm, antialias) for m in (1, 2))
        self.blocks = nn.ModuleList(Residual(4 * width, norm) for _ in range(blocks))
        self.up = nn.ModuleList(Up(width * m * 2, width * m, norm, antialias) for m in (2, 1))
        self.to_image = nn.Conv2d(width, channels, 7, padding=3, padding_mode="reflect")
        self.base = Base(channels) if residual else None
        # From none to much: at none in all of them, more and less would look alike, and nothing would be learned.
        self.noise_gain = nn.Parameter(torch.linspace(0, 1, width)[:, None, None]) if noise else None
        # Pixels around a part that its outcome depends on, but for the statistics of instance normalization: a residual
        # block's two layers see one pixel each at a quarter of the size, and 28 are enough for all others.
        self.reach = 8 * blocks + 28
        self.bytes_per_pixel = 24 * width  # of memory, about
        begin(self, self.to_image, norm, residual)

    def features(self, x: Tensor) -> list[Tensor]:
        """The picture, and what stem, both halvings and each block make of it; CUT compares patches of some."""
        return [x, *activations(x, [self.stem, *self.down, *self.blocks])]

    def start(self, matrix: Tensor, shift: Tensor) -> None:
        """Begin with a map of colors, see `Base`; the published form begins with nothing."""
        if self.base is not None:
            self.base.start(matrix, shift)

    def noise(self, x: Tensor, place: Place) -> Tensor | None:
        """What is added at the full size (N or 1, width, H, W), where something is."""
        if self.noise_gain is None:
            return None
        if self.training:
            return self.noise_gain * torch.randn(len(x), 1, *x.shape[2:], device=x.device)
        return self.noise_gain * noise_at(place, *x.shape[2:]).to(x.device)

    def part(self, x: Tensor, place: Place) -> Tensor:
        """What becomes of the part of a picture that lies there: (N, C, h, w) -> the same."""
        y = self.features(x)[-1]  # (N, 4 width, H/4, W/4)
        half, full = self.up
        y = full(half(y), self.noise(x, place))
        return end(x, self.to_image(y), self.base)  # (N, C, H, W)

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.part(x, Place.whole(x))
