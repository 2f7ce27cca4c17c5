"""The network that enlarges: it starts as the identity, and other factors are refused."""

import pytest
import torch

from gan.networks.enlarge import Generator
from gan.utils.errors import UserError


@pytest.mark.parametrize("factor", [2, 4])
def test_a_new_network_returns_its_input(factor: int) -> None:
    x = torch.randn(2, 4, 16, 24)
    assert torch.equal(Generator(4, factor, 8, 1)(x), x)


def test_another_factor_is_refused() -> None:
    with pytest.raises(UserError, match="factor=3: use 2 or 4"):
        Generator(factor=3)
