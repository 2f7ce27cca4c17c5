"""FastGAN: a light generator with skip-layer excitation, and a self-supervised discriminator with decoders.

Liu, Zhu, Song, Elgammal, "Towards Faster and Stabilized GAN Training for High-fidelity Few-shot Image Synthesis", 2021,
arXiv:2101.04775. Projected GAN uses this generator with other options. Stages are counted from the smallest grid, 4x4
in the paper.

If both sides have at least 256 pixels, G has a second output at 128 pixels and D has a second head for it, as in the
official code. For this head, real images are averaged over squares. No settings are published for smaller images; their
networks have no second output or head.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.grid import base_grid
from gan.networks.layers import spectral_norm
from gan.utils.errors import UserError, at_least

# Factors of the width, from the smallest grid: 4, 8, ... 1024 pixels in the paper
MULTIPLES = (16, 8, 4, 2, 2, 1, 0.5, 0.25, 0.125)
SKIP = 4  # number of stages that an excitation skips: from 4 to 64 pixels in the paper
EXCITATIONS = 4  # maximum number of excitations; the stage at 1024 pixels has none
SMALL = 5  # index of the stage of the second output, at 128 pixels in the official code
SLOPE = 0.2  # slope of the discriminator's leaky ReLU
WINDOW = 7  # width of the SSIM window in pixels
C1, C2 = (0.01 * 2) ** 2, (0.03 * 2) ** 2  # SSIM's constants for values from -1 to 1


def channels_at(width: int, stages: int) -> list[int]:
    return [max(4, int(width * multiple)) for multiple in MULTIPLES[:stages]]


class NoiseInjection(nn.Module):
    """x + gain * noise from N(0, 1), one value per pixel. Eval mode has no noise, so that a latent gives one image."""

    def __init__(self) -> None:
        super().__init__()
        self.gain = nn.Parameter(torch.zeros(()))

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        return x + self.gain * torch.randn(len(x), 1, *x.shape[2:], device=x.device, dtype=x.dtype)


class Up(nn.Sequential):
    """Nearest-neighbor upsampling, 3x3, BatchNorm, GLU; `twice` adds a second 3x3, and noise to both."""

    def __init__(self, before: int, after: int, twice: bool) -> None:
        layers: list[nn.Module] = [nn.Upsample(scale_factor=2)]
        for channels in (before, after) if twice else (before,):
            layers.append(convolution(channels, 2 * after, 3, padding=1))
            layers += [NoiseInjection()] * twice
            layers += [nn.BatchNorm2d(2 * after), nn.GLU(1)]
        super().__init__(*layers)


class SkipLayerExcitation(nn.Module):
    """Compute gates (N, C', 1, 1) in [0, 1] for a large feature map from a small one (N, C, h, w): figure 3."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.squeeze = convolution(before, after, 4)
        self.excite = convolution(after, after, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze(F.adaptive_avg_pool2d(x, 4))  # (N, C, h, w) -> (N, C', 1, 1)
        return torch.sigmoid(self.excite(F.silu(y)))


def excitations(widths: list[int]) -> nn.ModuleList:
    """Return an excitation for each of the stages from index SKIP on, but at most EXCITATIONS."""
    excited = widths[SKIP : SKIP + EXCITATIONS]
    return nn.ModuleList(SkipLayerExcitation(before, after) for before, after in zip(widths, excited, strict=False))


def excited_features(x: Tensor, blocks: nn.ModuleList, excitations: nn.ModuleList) -> list[Tensor]:
    """Return x and the output of each block, multiplied by gates from the features SKIP stages earlier."""
    maps = [x]
    for stage, block in enumerate(blocks, start=1):
        y = block(maps[-1])  # (N, width_i, h, w)
        excited = SKIP <= stage < SKIP + len(excitations)
        maps.append(y * excitations[stage - SKIP](maps[stage - SKIP]) if excited else y)
    return maps


class Generator(nn.Module):
    """Latents (N, latent_dim) -> images (N, C, H, W) in [-1, 1]; without tanh, values can be outside of this range.

    Args:
        double_interval: the first of every `double_interval` blocks has two convolutions and noise; 2 in FastGAN, 1 in
            Projected GAN.
        tanh: whether tanh follows the last layer, as in FastGAN. Without it the layer has a bias, as in Projected GAN.
    """

    classes = 0  # unconditional

    def __init__(
        self,
        size: tuple[int, int],
        channels: int = 3,
        width: int = 64,
        latent_dim: int = 256,
        double_interval: int = 2,
        tanh: bool = True,
        small_output: bool = True,
    ) -> None:
        super().__init__()
        at_least("model.generator.double_interval", double_interval, 1)
        rows, columns, doublings = base_grid((size[0], size[1]))
        widths = channels_at(width, doublings + 1)
        self.latent_dim = latent_dim
        self.stem = nn.Sequential(
            spectral_norm(nn.ConvTranspose2d(latent_dim, 2 * widths[0], (rows, columns), bias=False)),
            nn.BatchNorm2d(2 * widths[0]),
            nn.GLU(1),
        )
        self.blocks = nn.ModuleList(
            Up(before, after, twice=stage % double_interval == 0)
            for stage, (before, after) in enumerate(pairwise(widths))
        )
        self.excitations = excitations(widths)
        self.to_image = convolution(widths[-1], channels, 3, padding=1, bias=not tanh)
        self.tanh = tanh
        self.small_output = small_output and doublings > SMALL
        self.to_small_image = convolution(widths[SMALL], channels, 1) if self.small_output else None

    @property
    def synthesis_layers(self) -> list[nn.Module]:
        return [*self.blocks, self.to_image]

    def latent_weights(self) -> list[Tensor]:
        weight: Tensor = self.stem[0].weight  # type: ignore[assignment]
        return [weight.flatten(1).T]

    def forward(self, z: Tensor, label: Tensor | None = None, small: bool = False) -> Any:
        """Return the images. With `small`, also return the second output (N, C, h, w), if there is one."""
        z = F.normalize(z) * self.latent_dim**0.5
        x = self.stem(z[:, :, None, None])  # (N, latent_dim) -> (N, width_0, rows, columns)
        maps = excited_features(x, self.blocks, self.excitations)
        images = self.to_image(maps[-1])  # (N, width_n, H, W) -> (N, C, H, W)
        images = torch.tanh(images) if self.tanh else images
        if not small or self.to_small_image is None:
            return images
        return images, torch.tanh(self.to_small_image(maps[SMALL]))  # (N, width_5, h, w) -> (N, C, h, w)


class Down(nn.Module):
    """Mean of two downsampling branches, 4x4 then 3x3, and mean then 1x1: (N, C, 2h, 2w) -> (N, C', h, w)."""

    def __init__(self, before: int, after: int) -> None:
        super().__init__()
        self.main = nn.Sequential(
            *activated(before, after, 4, stride=2, padding=1), *activated(after, after, 3, padding=1)
        )
        self.direct = nn.Sequential(nn.AvgPool2d(2), *activated(before, after, 1))

    def forward(self, x: Tensor) -> Tensor:
        return (self.main(x) + self.direct(x)) / 2


class SmallHead(nn.Module):
    """Small images (N, C, h, w) -> logits (N, 1, h', w'), one per patch. A decoder reconstructs the images.

    Args:
        width: channels after the second halving; doubled at each further one.
        halvings: number of halvings, from the small image to twice the smallest grid.
    """

    def __init__(self, channels: int, width: int, halvings: int) -> None:
        super().__init__()
        widths = [max(4, width // 2), *(width << n for n in range(halvings - 1))]
        layers = [convolution(channels, widths[0], 4, 2, 1), nn.LeakyReLU(SLOPE)]
        for before, after in pairwise(widths):
            layers += activated(before, after, 4, stride=2, padding=1)
        self.layers = nn.Sequential(*layers)
        self.to_logits = convolution(widths[-1], 1, 4)
        self.decoder = Decoder(widths[-1], channels, halvings)

    def forward(self, x: Tensor) -> Tensor:
        return self.to_logits(self.layers(x))

    def reconstruction(self, x: Tensor) -> Tensor:
        return reconstruction_loss(self.decoder(self.layers(x)), x)


class Decoder(nn.Sequential):
    """Decode features (N, C, h, w) to images in [-1, 1], upsampled `doublings` times by 2."""

    def __init__(self, before: int, channels: int, doublings: int) -> None:
        widths = [before, *(max(8, before >> (n + 1)) for n in range(doublings))]
        blocks = [Up(wide, narrow, twice=False) for wide, narrow in pairwise(widths)]
        super().__init__(*blocks, convolution(widths[-1], channels, 3, padding=1), nn.Tanh())


class Discriminator(nn.Module):
    """Images (N, C, H, W) -> logits (N, 1, h, w), one per patch. Decoders reconstruct the images from its features.

    With the second head, the logits are those of both heads, (N, 2 h w).
    """

    def __init__(self, size: tuple[int, int], channels: int = 3, width: int = 64) -> None:
        super().__init__()
        doublings = base_grid((size[0], size[1]))[2]
        if doublings < 2 or min(size) < 2 * WINDOW:
            raise UserError(f"model=fastgan: data.size={size[0]}x{size[1]} is too small; use at least 16x16")
        widths = [min(8 * width, c) for c in channels_at(width, doublings + 1)[:0:-1]]  # to twice the smallest grid
        self.from_image = nn.Sequential(
            convolution(channels, widths[0], 3, padding=1),
            nn.LeakyReLU(SLOPE),
            convolution(widths[0], widths[0], 3, padding=1),
        )
        self.blocks = nn.ModuleList(Down(before, after) for before, after in pairwise(widths))
        self.excitations = excitations(widths)
        self.to_logits = nn.Sequential(*activated(widths[-1], widths[-1], 1), convolution(widths[-1], 1, 4))
        self.whole = Decoder(widths[-1], channels, len(widths) - 1)
        self.part = Decoder(widths[-2], channels, len(widths) - 2)
        self.small_input = doublings > SMALL
        self.small_factor = 1 << max(0, doublings - SMALL)  # image side / small image side
        self.small = SmallHead(channels, width, SMALL - 1) if self.small_input else None

    def features(self, x: Tensor) -> list[Tensor]:
        """Return the activations after each stage, from (N, width_0, H, W) to (N, width_n, 2 rows, 2 columns)."""
        return excited_features(self.from_image(x), self.blocks, self.excitations)

    def forward(self, x: Tensor, label: Tensor | None = None, small: Tensor | None = None) -> Tensor:
        """Return the logits. `small` is the generator's second output; by default it is x, downsampled."""
        logits: Tensor = self.to_logits(self.features(x)[-1])
        if self.small is None:
            return logits
        second = self.small(self.downsampled(x) if small is None else small)
        return torch.cat([logits.flatten(1), second.flatten(1)], 1)  # (N, 2 h w)

    def downsampled(self, x: Tensor) -> Tensor:
        return F.avg_pool2d(x, self.small_factor)

    def auxiliary(self, real: Tensor) -> dict[str, Tensor]:
        """Return the reconstruction loss of real images: section 3.2.

        The last features are decoded to the whole image, and a random quarter of the second-last features to that
        quarter of the image. The features of the second head are decoded to the small image.
        """
        *_, before, last = self.features(real)
        rows, columns = before.shape[2] // 2, before.shape[3] // 2
        top, left = (int(torch.randint(side + 1, ())) for side in (rows, columns))
        scale = real.shape[2] // before.shape[2]
        quarter = real[:, :, top * scale :, left * scale :][:, :, : rows * scale, : columns * scale]
        part = self.part(before[:, :, top : top + rows, left : left + columns])
        loss = reconstruction_loss(self.whole(last), real) + reconstruction_loss(part, quarter)
        if self.small is not None:
            loss = loss + self.small.reconstruction(self.downsampled(real))
        return {"reconstruction": loss}


def reconstruction_loss(x: Tensor, y: Tensor) -> Tensor:
    """Return the L1 distance plus 1 - SSIM with 7x7 windows. It replaces LPIPS, whose weights need a download.

    Wang et al., "Image Quality Assessment", 2004, equation 13, with equal weights within a window.
    """
    x, y = x.float(), y.float()
    mean_x, mean_y = F.avg_pool2d(x, WINDOW, 1), F.avg_pool2d(y, WINDOW, 1)
    variance_x = F.avg_pool2d(x * x, WINDOW, 1) - mean_x.square()
    variance_y = F.avg_pool2d(y * y, WINDOW, 1) - mean_y.square()
    covariance = F.avg_pool2d(x * y, WINDOW, 1) - mean_x * mean_y
    similarity = (2 * mean_x * mean_y + C1) * (2 * covariance + C2)
    similarity = similarity / ((mean_x.square() + mean_y.square() + C1) * (variance_x + variance_y + C2))
    return (x - y).abs().mean() + 1 - similarity.mean()


def activated(before: int, after: int, kernel: int, stride: int = 1, padding: int = 0) -> list[nn.Module]:
    return [convolution(before, after, kernel, stride, padding), nn.BatchNorm2d(after), nn.LeakyReLU(SLOPE)]


def convolution(
    before: int, after: int, kernel: int, stride: int = 1, padding: int = 0, bias: bool = False
) -> nn.Module:
    return spectral_norm(nn.Conv2d(before, after, kernel, stride, padding, bias=bias))
