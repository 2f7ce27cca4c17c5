"""A translator for looks that are mostly color: tables from color to color, mixed for each picture.

Zeng, Cai, Li, Cao, Zhang, "Learning Image-adaptive 3D Lookup Tables for High Performance Photo Enhancement in
Real-time", 2020, arXiv:2009.14468. What is said of a color holds at any size and has no seams; a vignette and a small
network for texture can follow, which the paper has not.
"""

from __future__ import annotations

from itertools import pairwise

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from gan.networks.place import Place
from gan.networks.precision import full_precision

SMALLEST = 0.5 / 255  # alpha below which a pixel has no color
PACE = 20  # Adam moves all parameters alike: a falloff is to get to a half while the tables move by some hundredths


class Generator(nn.Module):
    """Picture (N, C, H, W) -> picture of the same size, nominally in [-1, 1]; C is 1, 3 or 4, premultiplied.

    At first the picture itself comes out, or what `start` is given.

    Args:
        tables: that are mixed; their weights are read off a thumbnail of the picture.
        points: a side of a table, 33 in the paper; fewer ask for less data.
        width: channels of the network that reads the thumbnail.
        vignette: brightness may also depend on the distance from the center; for data.fit=crop, pad or stretch, where
            the center of what is trained on is that of the picture.
        texture: channels of a network of three layers whose outcome is added; 0 has none.
    """

    grid: Tensor
    side = 64  # pixels of the thumbnail
    multiple = 1  # of which both sides must be
    reach = 3  # pixels around a part that its outcome depends on

    def __init__(
        self,
        channels: int = 3,
        tables: int = 3,
        points: int = 33,
        width: int = 16,
        vignette: bool = False,
        texture: int = 0,
    ) -> None:
        super().__init__()
        steps = torch.linspace(-1, 1, points)
        blue, green, red = torch.meshgrid(steps, steps, steps, indexing="ij")
        # In three axes: those of five cannot be kept with the channels last, as other weights are.
        self.register_buffer("grid", torch.stack([red, green, blue]).flatten(1), persistent=False)  # (3, P^3)
        self.entries = nn.Parameter(torch.cat([self.grid[None], torch.zeros(tables - 1, *self.grid.shape)]))
        self.points = points
        widths = [3, width, 2 * width, 4 * width, 4 * width]
        self.reader = nn.Sequential(
            *(nn.Sequential(nn.Conv2d(before, after, 3, 2, 1), nn.LeakyReLU(0.2)) for before, after in pairwise(widths))
        )
        self.to_weights = nn.Linear(widths[-1], tables)
        nn.init.ones_(self.to_weights.bias)
        nn.init.zeros_(self.to_weights.weight[0])
        self.falloff = nn.Parameter(torch.zeros(2, 3)) if vignette else None  # of r^2 and r^4, per color, by PACE
        self.texture = residue(texture) if texture else None
        self.channels = channels
        self.bytes_per_pixel = 200 + 24 * texture  # of memory, about

    @torch.no_grad()
    def start(self, matrix: Tensor, shift: Tensor) -> None:
        """Begin with matrix @ color + shift, (3, 3) and (3,), or of gray (1, 1) and (1,), of colors in [-1, 1]."""
        if len(shift) == 1:
            matrix, shift = matrix * torch.eye(3).to(matrix), shift.expand(3)
        self.entries[0] = matrix.to(self.entries) @ self.grid + shift.to(self.entries)[:, None]

    @property
    def tables(self) -> Tensor:
        """(T, 3, P, P, P), in [-1, 1]; the last axis is red, the one before green."""
        return self.entries.unflatten(2, (self.points,) * 3)

    def view(self, x: Tensor) -> Tensor:
        """What parts of a picture must know of the whole: the mixture of tables, (N, 3, P, P, P)."""
        color, _ = straight(x)
        small = F.interpolate(color, (self.side, self.side), mode="bilinear", antialias=True)
        weights = self.to_weights(self.reader(small).mean((2, 3)))  # (N, T)
        with full_precision(x):  # half a level would be lost
            return torch.einsum("nt,tcbgr->ncbgr", weights.float(), self.tables)

    def part(self, x: Tensor, place: Place, view: Tensor) -> Tensor:
        """What becomes of the part of a picture that lies there: (N, C, h, w) -> the same."""
        color, alpha = straight(x)
        # The color is the place in the table, so its [-1, 1] is what grid_sample expects.
        y = F.grid_sample(view, color.float().movedim(1, -1)[:, None], padding_mode="border", align_corners=True)
        y = y[:, :, 0]  # (N, 3, 1, h, w) -> (N, 3, h, w)
        if self.falloff is not None:
            r2 = radius(place, y)
            first, second = PACE * self.falloff[..., None, None]  # (3, 1, 1) each
            gain = 1 + first * r2 + second * r2.square()
            y = (y + 1) * gain - 1
        if self.texture is not None:
            y = y + self.texture(y)
        if self.channels == 1:
            return y.mean(1, keepdim=True)
        return torch.cat([(y + 1) * alpha - 1, 2 * alpha - 1], 1) if self.channels == 4 else y

    def forward(self, x: Tensor, label: Tensor | None = None) -> Tensor:
        return self.part(x, Place.whole(x), self.view(x))


def straight(x: Tensor) -> tuple[Tensor, Tensor]:
    """Color (N, 3, H, W) in [-1, 1], of gray three times the same and of RGBA not premultiplied, and alpha in 0..1."""
    if x.shape[1] != 4:
        return x.expand(-1, 3, -1, -1), x.new_ones(())
    alpha = (x[:, 3:] + 1) / 2
    color = (x[:, :3] + 1) / alpha.clamp(min=SMALLEST) - 1
    return color.clamp(-1, 1), alpha


def radius(place: Place, like: Tensor) -> Tensor:
    """(h, w), the squared distance of each pixel of a part from the picture's center; 1 in its corners."""
    rows = torch.arange(like.shape[2], device=like.device, dtype=like.dtype).add(place.top + 0.5) / place.height
    columns = torch.arange(like.shape[3], device=like.device, dtype=like.dtype).add(place.left + 0.5) / place.width
    return 2 * ((rows[:, None] - 0.5).square() + (columns - 0.5).square())


def residue(width: int) -> nn.Module:
    """Three 3x3 layers, 0 at first: (N, 3, h, w) -> the same."""
    layers = nn.Sequential(
        nn.Conv2d(3, width, 3, padding=1, padding_mode="replicate"),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, width, 3, padding=1, padding_mode="replicate"),
        nn.LeakyReLU(0.2),
        nn.Conv2d(width, 3, 3, padding=1, padding_mode="replicate"),
    )
    nn.init.zeros_(layers[-1].weight)  # type: ignore[arg-type]
    nn.init.zeros_(layers[-1].bias)  # type: ignore[arg-type]
    return layers
