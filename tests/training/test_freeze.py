"""Layers that keep their weights, counted from the input."""

from __future__ import annotations

import pytest

from gan.networks import dcgan
from gan.training.base import freeze, layers
from gan.utils.errors import UserError


def test_layers_are_counted_from_the_input() -> None:
    network = dcgan.Discriminator((32, 32), width=4)
    assert layers(network) == ["from_image", "blocks.0", "blocks.1", "to_logit"]
    freeze(network, "discriminator", 2)
    frozen = {name.rsplit(".", 2)[0] for name, p in network.named_parameters() if not p.requires_grad}
    assert frozen == {"from_image", "blocks.0"}


@pytest.mark.parametrize("number", [9, -1, True, "stem"])
def test_wrong_numbers_are_refused(number: object) -> None:
    with pytest.raises(UserError, match=f"freeze.generator={number}: must be "):
        freeze(dcgan.Generator((16, 16), width=4, latent_dim=8), "generator", number)  # type: ignore[arg-type]
