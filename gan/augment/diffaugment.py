"""DiffAugment: differentiable augmentation of real and generated images."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence

import torch
from torch import Generator, Tensor, nn

from gan.networks.torus import wrapped_dimensions
from gan.utils.errors import UserError, at_least, choice, fraction

POLICIES = ("color", "translation", "cutout")


class DiffAugment(nn.Module):
    """Augment images as in Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020,
    arXiv:2006.10738.

    "color": brightness, saturation and contrast; "translation": by up to 1/8 of a side; "cutout": a rectangle that
    covers half of each side, or another fraction. The fill value is 0 (mid-gray) as in the paper, or transparent for
    premultiplied RGBA, whose alpha "color" does not change.

    Args:
        policy: any of "color", "translation", "cutout"; they are applied in this order.
        probability: probability of applying the policy to an image; 1 in the paper. A schedule may change it.
        cell: unit of translations and cutouts in pixels, so that enlarged pixel art stays on its grid.
        cutout: fraction of each side that "cutout" covers, in 0..1, rounded down to an even number of cells; 0.5 in the
            paper, 0.2 in Projected GAN.
        wrap: axes of seamless images, "x", "y" or "both", along which translations wrap around, by up to a whole side.
    """

    def __init__(
        self,
        policy: Sequence[str] = POLICIES,
        probability: float = 1.0,
        cell: int = 1,
        cutout: float = 0.5,
        wrap: str | None = None,
    ) -> None:
        super().__init__()
        for name in policy:
            choice("augment.policy", name, POLICIES)
        self.policy = [name for name in POLICIES if name in policy]
        self.probability = fraction("augment.probability", probability)
        self.cell = at_least("augment.cell", cell, 1)
        self.cutout = fraction("augment.cutout", cutout)
        self.wrapped = wrapped_dimensions(wrap)

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        """Return random numbers for n images from U(0, 1), (n, 3) or (n, 2), on the generator's device."""
        if "translation" in self.policy and _max_shift(max(size), self.cell) < 1:
            raise UserError(f"augment.cell={self.cell}: larger than an eighth of {size[0]}x{size[1]} pixels; reduce it")
        widths = {"color": 3, "translation": 2, "cutout": 2}
        names = [*self.policy, *(["chosen"] if self.probability < 1 else [])]
        return {
            name: torch.rand(n, widths.get(name, 1), generator=generator, device=generator.device) for name in names
        }

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        transforms: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
            "color": color,
            "translation": functools.partial(translation, cell=self.cell, wrapped=self.wrapped),
            "cutout": functools.partial(cutout, cell=self.cell, fraction=self.cutout),
        }
        y = x
        for name in self.policy:
            y = transforms[name](y, draws[name])  # (N, C, H, W)
        return torch.where(draws["chosen"][:, :, None, None] < self.probability, y, x) if "chosen" in draws else y


def color(x: Tensor, u: Tensor) -> Tensor:
    rgb, alpha = x[:, :3], x[:, 3:]
    brightness, saturation, contrast = (u[:, i, None, None, None] for i in range(3))
    rgb = rgb + (brightness - 0.5)
    mean = rgb.mean(1, keepdim=True)
    rgb = mean + (rgb - mean) * (2 * saturation)
    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = mean + (rgb - mean) * (0.5 + contrast)
    if alpha.shape[1]:  # premultiplied colors are at most alpha
        rgb = torch.minimum(rgb.clamp_min(-1), alpha)
    return torch.cat([rgb, alpha], 1)


def translation(x: Tensor, u: Tensor, cell: int = 1, wrapped: Sequence[int] = ()) -> Tensor:
    """Move images by whole pixels, without a value that the host must wait for.

    Args:
        wrapped: dimensions of (N, C, H, W) along which images wrap around.
    """
    height, width = x.shape[2:]
    rows, rows_inside = _sources(height, u[:, 0], cell, 2 in wrapped)  # (N, H)
    columns, columns_inside = _sources(width, u[:, 1], cell, 3 in wrapped)  # (N, W)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).flatten(1)[..., None].expand(-1, -1, x.shape[1])
    moved = x.permute(0, 2, 3, 1).flatten(1, 2).gather(1, pixels)  # its backward is twice as fast as that of indexing
    inside = rows_inside[:, :, None] & columns_inside[:, None, :]  # (N, H, W)
    return torch.where(inside[:, None], moved.unflatten(1, (height, width)).permute(0, 3, 1, 2), _fill_value(x))


def cutout(x: Tensor, u: Tensor, cell: int = 1, fraction: float = 0.5) -> Tensor:
    rows = _cutout_mask(x.shape[2], u[:, 0], cell, fraction)  # (N, H)
    columns = _cutout_mask(x.shape[3], u[:, 1], cell, fraction)  # (N, W)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], _fill_value(x), x)


def _max_shift(side: int, cell: int) -> int:
    """Return the largest translation along a side, an eighth of it, in cells."""
    return round(side / 8 / cell)


def _sources(side: int, u: Tensor, cell: int, wraps: bool) -> tuple[Tensor, Tensor]:
    """Return the source positions (N, side) of translations by whole cells, and a mask of those inside.

    Translations are up to side / 8, or up to the side if images wrap around.
    """
    reach = 0 if wraps else _max_shift(side, cell)
    count = side // cell if wraps else 2 * reach + 1
    shift = cell * ((u * count).long().clamp_max(count - 1) - reach)
    source = torch.arange(side, device=u.device) - shift[:, None]
    if wraps:
        source = source % side
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def _cutout_mask(side: int, u: Tensor, cell: int, fraction: float) -> Tensor:
    """Return a mask (N, side) that is true within fraction * side / 2 of a random center, in whole cells."""
    cells = side // cell
    center = cell * (u * cells).long().clamp_max(cells - 1)
    reach = int(fraction * side / 2) // cell * cell
    distance = torch.arange(side, device=u.device) - center[:, None]
    return (distance >= -reach) & (distance < reach)


def _fill_value(x: Tensor) -> Tensor:
    return x.new_full((), -1.0 if x.shape[1] == 4 else 0.0)  # transparent black, or the paper's zero
