"""Layers that keep their weights: by number, counted from the input, or by name."""

from __future__ import annotations

import pytest

from gan.common.errors import UserError
from gan.networks import dcgan
from gan.training.freeze import freeze, layers


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


@pytest.mark.parametrize(
    ("given", "message"),
    [
        (["stm"], "there is no layer stm; did you mean stem"),
        (9, "must be a number from 0 to 2, or names: stem, blocks.0, to_image"),
        (-1, "must be a number from 0 to 2"),
        (True, "give a number of layers, or a list of names"),
        ("stm", "there is no layer stm; did you mean stem"),
        (["stem", "blocks", "to_image"], "freezes all"),
    ],
)
def test_wrong_layers_are_one_line(given: object, message: str) -> None:
    with pytest.raises(UserError, match=message):
        freeze(dcgan.Generator((16, 16), width=4, latent_dim=8), "generator", given)  # type: ignore[arg-type]
