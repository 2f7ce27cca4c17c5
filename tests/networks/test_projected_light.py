"""The light projected discriminator: sizes, frozen weights and scales."""

from __future__ import annotations

import pytest
import torch

from gan.common.errors import UserError
from gan.networks.projected_light import Discriminator

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


def test_only_the_heads_are_trained_and_images_have_gradients(network: Discriminator) -> None:
    x = (torch.rand(2, 3, 16, 16) * 2 - 1).requires_grad_()
    sum(logits.mean() for logits in network(x)).backward()  # type: ignore[union-attr]
    learning = {name.split(".")[0] for name, p in network.named_parameters() if p.requires_grad}
    assert learning == {"heads"}
    assert all(p.grad is not None for p in network.heads.parameters())
    assert x.grad is not None and x.grad.abs().sum(1).gt(0).float().mean() > 0.9


def test_finer_scales_depend_on_coarser_ones(network: Discriminator) -> None:
    """Scales are mixed from coarse to fine, so the first value of the finest projection depends on the whole image."""
    x = (torch.rand(1, 3, 16, 16) * 2 - 1).requires_grad_()
    (gradient,) = torch.autograd.grad(network.features(x)[0][..., :1, :1].sum(), x)
    assert gradient[..., -2:, -2:].abs().sum() > 0
