"""Minibatch standard deviation: groups, their sizes, and the additional channel."""

from __future__ import annotations

import pytest
import torch

from gan.common.errors import UserError
from gan.networks import dcgan, stylegan2
from gan.networks.layers import minibatch_std, with_minibatch_std


def test_it_is_computed_within_groups() -> None:
    x = torch.randn(8, 3, 2, 2)
    groups = x.reshape(4, 2, 3, 2, 2)  # image n is in group n mod 2
    expected = groups.std(0, correction=0).mean((1, 2, 3))
    found = minibatch_std(x, 4)
    assert found.shape == (8, 1, 2, 2)
    torch.testing.assert_close(found[:, 0, 0, 0], expected.repeat(4), rtol=1e-4, atol=1e-5)
    assert minibatch_std(x[:5], 4).abs().max() < 1e-3  # five images have no group but each alone
    torch.testing.assert_close(minibatch_std(x[:6], 4), minibatch_std(x[:6], 3))


def test_it_is_the_last_channel() -> None:
    x = torch.randn(8, 3, 2, 2)
    assert with_minibatch_std(x, 1) is x
    torch.testing.assert_close(with_minibatch_std(x, 4), torch.cat([x, minibatch_std(x, 4)], 1))


@pytest.mark.parametrize("network", [dcgan.Discriminator, stylegan2.Discriminator])
def test_discriminators_compare_the_images_of_a_group(network: type) -> None:
    torch.manual_seed(0)
    x = torch.randn(8, 3, 16, 16)
    changed = x.clone()
    changed[0] = 0
    for size, same in ((1, [0]), (4, [0, 2, 4, 6])):  # images 0, 2, 4 and 6 are a group of four
        options = {"norm": "none"} if network is dcgan.Discriminator else {}
        discriminator = network((16, 16), width=4, mbstd_group_size=size, **options)
        differ = discriminator(x) != discriminator(changed)
        assert differ.nonzero().flatten().tolist() == same
    with pytest.raises(UserError, match="mbstd_group_size=0"):
        network((16, 16), width=4, mbstd_group_size=0)
