"""Layers that keep their weights: by number, counted from the input, or by name."""

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


def test_layers_are_named() -> None:
    network = dcgan.Generator((32, 32), width=4, latent_dim=8)
    freeze(network, "generator", "stem")
    freeze(network, "generator", ["stem", "blocks"])
    assert {name for name, p in network.named_parameters() if p.requires_grad} == {"to_image.weight"}


@pytest.mark.parametrize("given", [["stm"], 9, -1, True, "stm", ["stem", "blocks", "to_image"]])
def test_wrong_layers_are_one_line(given: object) -> None:
    with pytest.raises(UserError, match="must be a number from 0 to 2, or names of some of these layers: stem"):
        freeze(dcgan.Generator((16, 16), width=4, latent_dim=8), "generator", given)  # type: ignore[arg-type]
