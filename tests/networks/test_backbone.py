"""The backbone of projected discriminators: sizes, values and transparent images."""

from __future__ import annotations

import pytest
import torch
from torch.nn.functional import interpolate

from gan.common.errors import UserError
from gan.networks.projected import Backbone, opaque


@pytest.mark.parametrize(
    ("size", "resolution", "resized"),
    [
        ((32, 32), None, (224, 224)),  # smaller images are enlarged to 224 pixels, larger ones keep their size
        ((256, 256), None, (256, 256)),
        ((256, 384), None, (256, 384)),
        ((96, 64), None, (320, 224)),
        ((256, 256), 64, (64, 64)),
        ((64, 96), 64, (64, 96)),
    ],
)
def test_images_are_resized(size: tuple[int, int], resolution: int | None, resized: tuple[int, int]) -> None:
    assert Backbone(size, resolution).resized == resized


def test_resolutions_that_are_not_multiples_of_32_are_refused() -> None:
    for resolution, message in ((0, "must be an integer of at least 32"), (100, "must be a multiple of 32")):
        with pytest.raises(UserError, match=f"backbone_resolution={resolution}: {message}"):
            Backbone((64, 64), resolution)


def test_features_of_enlarged_images_at_four_scales() -> None:
    backbone, x = Backbone((32, 32), 64, normalize=False), torch.rand(2, 3, 32, 32) * 2 - 1
    enlarged = interpolate(x, size=(64, 64), mode="bilinear", align_corners=False)
    expected = backbone.frozen.features(enlarged * 128 + 127)
    found = backbone(x)
    assert [tuple(y.shape[1:]) for y in found] == [(24, 16, 16), (40, 8, 8), (112, 4, 4), (320, 2, 2)]
    for y, tap in zip(found, (2, 4, 10, 15), strict=True):
        torch.testing.assert_close(y, expected[tap], rtol=1e-3, atol=1e-4)
    assert not any(p.requires_grad for p in backbone.parameters())


def test_transparent_images_show_a_checkerboard() -> None:
    clear = -torch.ones(1, 4, 32, 32)
    ground = opaque(clear)
    assert ground.shape == (1, 3, 32, 32) and ground.unique().numel() == 2 and ground.abs().max() <= 0.4001
    solid = torch.cat([torch.rand(1, 3, 32, 32) * 2 - 1, torch.ones(1, 1, 32, 32)], 1)
    torch.testing.assert_close(opaque(solid), solid[:, :3])
    half = torch.full((1, 4, 32, 32), 0.0)  # premultiplied white at half
    torch.testing.assert_close(opaque(half), 0.5 + 0.5 * ground)
    assert opaque(torch.rand(1, 1, 8, 8)).shape == (1, 3, 8, 8)
