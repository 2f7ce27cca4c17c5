"""Rates of copies among changed training images: python tests/benchmarks/copies.py FOLDER [SIDE]."""

from __future__ import annotations

import sys

import torch
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from gan.data.module import ImageDataModule
from gan.metrics.copies import CopySearch


def moved(x: Tensor, zoom: float, reach: float, padding: str = "border") -> Tensor:
    """Zoom images (N, 3, H, W) and shift them by up to `reach` of a side."""
    places = torch.eye(2, 3).repeat(len(x), 1, 1) / zoom
    places[:, :, 2] = 2 * reach * (2 * torch.rand(len(x), 2) - 1)
    grid = affine_grid(places, list(x.shape), align_corners=False)
    return grid_sample(x, grid, padding_mode=padding, align_corners=False)


if __name__ == "__main__":
    data = ImageDataModule(sys.argv[1], size=int(sys.argv[2] if sys.argv[2:] else 64), split="prefix", validation=1 / 3)
    data.setup("fit")
    train, held_out = data.reals(2_000), data.reals(1_000, held_out=True)
    torch.manual_seed(0)
    held_out = held_out[torch.randperm(len(held_out))]
    search = CopySearch(train, held_out[::2])
    x = train[torch.randperm(len(train))[:100]].float()
    cases = {"same": x, "shifted": moved(x, 1, 1 / 8), "on gray": moved(x - 128, 1, 1 / 8, "zeros") + 128}
    cases |= {"by a pixel": x.roll((1, 1), (2, 3)), "mirrored": x.flip(3), "zoomed": moved(x, 1.25, 0)}
    cases |= {"crop 0.9": moved(x, 1 / 0.9, 0.055), "crop 0.8": moved(x, 1.25, 1 / 8), "+40": x + 40, "x 1.3": 1.3 * x}
    cases |= {"contrast 0.6": 0.6 * x + 51, "blend": 0.7 * x + 0.3 * x.roll(1, 0), "others": held_out[1::2]}
    for name, images in cases.items():
        print(f"{name} {search.search(images.clamp(0, 255).byte()).rate:.2f}")
