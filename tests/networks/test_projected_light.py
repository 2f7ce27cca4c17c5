"""The light projected discriminator: sizes, frozen weights and scales."""

from __future__ import annotations

import pytest
import torch

from gan.networks.projected_light import Discriminator
from gan.utils.errors import UserError

LOGITS = [(5, 5), (5, 5), (1, 1), (1, 1)]  # from features with sides of 16, 8, 4 and 2


@pytest.fixture(scope="module")
def network() -> Discriminator:
    torch.manual_seed(0)
    return Discriminator((16, 16), width=8, backbone_resolution=64)


def test_four_scales_and_every_size(network: Discriminator) -> None:
    x = torch.rand(2, 3, 16, 16) * 2 - 1
    assert [tuple(logits.shape) for logits in network(x)] == [(2, 1, *size) for size in LOGITS]
    assert [y.shape[-1] for y in network.features(x)] == [16, 8, 4, 2]
    wide = Discriminator((64, 96), width=8, backbone_resolution=64)
    assert wide.backbone.resized == (64, 96) and len(wide(torch.rand(1, 3, 64, 96))) == 4
    with pytest.raises(UserError, match="multiple of 32"):
        Discriminator((64, 64), backbone_resolution=100)
