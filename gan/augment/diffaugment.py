"""DiffAugment: the same differentiable transformations on real and generated images."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from gan.common.errors import UserError, at_least

POLICIES = ("color", "translation", "cutout")


class DiffAugment(nn.Module):
    """Zhao et al., "Differentiable Augmentation for Data-Efficient GAN Training", 2020, arXiv:2006.10738.

    Brightness, saturation and contrast; translation by up to 1/8 of a side; a hole of half a side. Holes and what moves
    in are 0 for RGB (mid-gray, the paper's) and transparent for premultiplied RGBA; colors change in RGB alone.

    Args:
        policy: which of "color", "translation", "cutout", applied in that order.
        probability: of an image to be changed, by all of the policy; the paper's is 1. It may follow a schedule.
        cell: pixels a side that stay together: shifts and holes are whole cells, so enlarged pixel art keeps its grid.

    Raises:
        UserError: an unknown policy, a probability outside of 0..1, a cell of less than a pixel.
    """

    def __init__(self, policy: Sequence[str] = POLICIES, probability: float = 1.0, cell: int = 1) -> None:
        super().__init__()
        unknown = set(policy) - set(POLICIES)
        if unknown:
            raise UserError(f"augment.policy: {', '.join(sorted(unknown))} is not one of {', '.join(POLICIES)}")
        if not 0 <= probability <= 1:
            raise UserError(f"augment.probability={probability}: from 0 to 1")
        self.policy = [name for name in POLICIES if name in policy]
        self.probability = probability
        self.cell = at_least("augment.cell", cell, 1)

    def draw(self, n: int, size: tuple[int, int], generator: Generator) -> dict[str, Tensor]:
        """Random numbers for n images (U(0, 1), (n, 3) for colors, (n, 2) for places) on the generator's device.

        Raises:
            UserError: cells are so large that nothing could be moved.
        """
        if "translation" in self.policy and _reach(max(size), self.cell) < 1:
            raise UserError(
                f"augment.cell={self.cell}: nothing moves by whole cells within an eighth of {size[0]}x{size[1]} pixels"
            )
        widths = {"color": 3, "translation": 2, "cutout": 2}
        names = [*self.policy, *(["chosen"] if self.probability < 1 else [])]
        return {
            name: torch.rand(n, widths.get(name, 1), generator=generator, device=generator.device) for name in names
        }

    def forward(self, x: Tensor, draws: dict[str, Tensor]) -> Tensor:
        y = x
        for name in self.policy:
            y = _TRANSFORMS[name](y, draws[name], self.cell)  # (N, C, H, W)
        return torch.where(draws["chosen"][:, :, None, None] < self.probability, y, x) if "chosen" in draws else y


def color(x: Tensor, u: Tensor, cell: int = 1) -> Tensor:
    rgb, alpha = x[:, :3], x[:, 3:]
    brightness, saturation, contrast = (u[:, i, None, None, None] for i in range(3))
    rgb = rgb + (brightness - 0.5)
    mean = rgb.mean(1, keepdim=True)
    rgb = mean + (rgb - mean) * (2 * saturation)
    mean = rgb.mean((1, 2, 3), keepdim=True)
    rgb = mean + (rgb - mean) * (0.5 + contrast)
    if alpha.shape[1]:  # premultiplied: no color may shine where nothing is
        rgb = torch.minimum(rgb.clamp_min(-1), alpha)
    return torch.cat([rgb, alpha], 1)


def translation(x: Tensor, u: Tensor, cell: int = 1) -> Tensor:
    height, width = x.shape[2:]
    rows, row_inside = _shifted(height, u[:, 0], cell)  # (N, H)
    columns, column_inside = _shifted(width, u[:, 1], cell)  # (N, W)
    pixels = (rows[:, :, None] * width + columns[:, None, :]).reshape(len(x), 1, -1).expand(-1, x.shape[1], -1)
    moved = x.flatten(2).gather(2, pixels).reshape(x.shape)  # a gather's backward is twice as fast as an index's
    inside = row_inside[:, :, None] & column_inside[:, None, :]  # (N, H, W)
    return torch.where(inside[:, None], moved, _empty(x))


def cutout(x: Tensor, u: Tensor, cell: int = 1) -> Tensor:
    rows = _hole(x.shape[2], u[:, 0], cell)  # (N, H)
    columns = _hole(x.shape[3], u[:, 1], cell)  # (N, W)
    return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], _empty(x), x)


def _reach(side: int, cell: int) -> int:
    """Cells in an eighth of a side."""
    return round(side / 8 / cell)


def _shifted(side: int, u: Tensor, cell: int) -> tuple[Tensor, Tensor]:
    """Source positions (N, side) of a shift by whole cells up to side / 8, clamped, and where they lie inside."""
    reach = _reach(side, cell)
    shift = cell * ((u * (2 * reach + 1)).long().clamp_max(2 * reach) - reach)
    source = torch.arange(side, device=u.device) - shift[:, None]
    return source.clamp(0, side - 1), (source >= 0) & (source < side)


def _hole(side: int, u: Tensor, cell: int) -> Tensor:
    """Mask (N, side), true within side / 4 of a cell drawn over the whole side, in whole cells."""
    cells = side // cell
    center = cell * (u * cells).long().clamp_max(cells - 1)
    reach = side // 4 // cell * cell
    distance = torch.arange(side, device=u.device) - center[:, None]
    return (distance >= -reach) & (distance < reach)


def _empty(x: Tensor) -> Tensor:
    return x.new_full((), -1.0 if x.shape[1] == 4 else 0.0)  # transparent black, or the paper's zero


_TRANSFORMS = {"color": color, "translation": translation, "cutout": cutout}
