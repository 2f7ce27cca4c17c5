"""Thumbnails take images of any number of channels."""

import torch

from gan.metrics.pixels import thumbnails


def test_thumbnails_of_any_channels() -> None:
    images = torch.randint(0, 256, (3, 3, 32, 40), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert thumbnails(images).shape == (3, 288)
    gray = images[:2, :1]
    assert torch.equal(thumbnails(gray), thumbnails(gray.expand(-1, 3, -1, -1)))
    assert float(thumbnails(gray)[:, 256:].abs().max()) < 1e-5  # no color
