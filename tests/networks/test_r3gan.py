"""R3GAN: parameter counts and initialization of the paper, and blocks that are initially the identity."""

import pytest
import torch
from torch import nn

from gan.networks.r3gan import Block, Discriminator, Generator
from gan.utils.errors import UserError


def millions(network: nn.Module) -> float:
    return round(sum(parameter.numel() for parameter in network.parameters()) / 1e6, 1)


@pytest.mark.parametrize(("size", "generator", "discriminator"), [(64, 22.4, 22.4), (256, 23.1, 23.0)])
def test_parameter_counts_agree_with_the_paper(size: int, generator: float, discriminator: float) -> None:
    with torch.device("meta"):
        assert millions(Generator((size, size))) == generator
        assert millions(Discriminator((size, size))) == discriminator


def test_a_block_is_initially_the_identity_and_keeps_the_variance() -> None:
    torch.manual_seed(0)
    x = torch.randn(4, 64, 8, 8)
    assert torch.equal(Block(64, 16, 8)(x), x)
    block = Block(64, 16, num_blocks=1)
    inside = nn.functional.leaky_relu(block.expand(x), 0.2)
    assert inside.square().mean().item() == pytest.approx(1, rel=0.05)
    assert block.mix.groups == 8
    fixup = Block(64, 16, num_blocks=16).expand.weight.std() / block.expand.weight.std()
    assert fixup.item() == pytest.approx(16 ** (-1 / 4), rel=0.02)


def test_a_width_that_cannot_be_grouped_is_named() -> None:
    with pytest.raises(UserError, match="group_width=16: does not divide"):
        Generator((16, 16), width=25)


@torch.no_grad()
def test_the_discriminator_equals_that_of_the_authors() -> None:
    """The authors' network gave these logits with the same weights."""
    discriminator = Discriminator((16, 16), width=8, blocks_per_stage=1, group_width=4)
    generator = torch.Generator().manual_seed(0)
    for weight in discriminator.parameters():
        weight.copy_(0.3 * torch.randn(weight.shape, generator=generator))
    x = torch.randn(4, 3, 16, 16, generator=torch.Generator().manual_seed(1))
    logits = torch.tensor([-0.0508246, 0.0478730, -0.0184524, -0.0586039])
    torch.testing.assert_close(discriminator(x), logits, rtol=1e-5, atol=1e-5)
