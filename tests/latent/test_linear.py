"""Linear edits, which the demo page shows while a slider moves."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from gan.latent.linear import LinearEdit
from gan.latent.space import Space
from gan.metrics.attributes import ATTRIBUTES, brightness, contrast
from gan.networks.dcgan import Generator

CHOSEN = {name: ATTRIBUTES[name] for name in ("brightness", "contrast")}


@pytest.fixture(scope="module")
def space() -> Space:
    torch.manual_seed(0)
    generator = Generator((16, 16), 3, 4, 8).eval()
    with torch.no_grad():
        for module in generator.modules():
            if isinstance(module, (nn.Linear, nn.Conv2d, nn.ConvTranspose2d)):
                module.weight.mul_(8)  # images of an untrained network hardly vary
    return Space(generator)


def test_without_changes_the_image_is_that_of_the_latent(space: Space) -> None:
    latents = space.fixed_sample(1)
    edited = LinearEdit(space, latents, CHOSEN)({})
    assert (edited.int() - space.render_uint8(latents).int()).abs().max() <= 1  # another batch size rounds differently


def test_small_changes_are_nearly_as_asked(space: Space) -> None:
    images = space.render(space.fixed_sample(64))
    half = 0.5 * float(brightness(images).std())
    after = LinearEdit(space, space.fixed_sample(1), CHOSEN)({"brightness": half, "contrast": 0.0}).float() / 127.5 - 1
    assert float(brightness(after) - brightness(images[:1])) == pytest.approx(half, rel=0.3)
    assert float(contrast(after) - contrast(images[:1])) == pytest.approx(0, abs=half)


def test_large_changes_stay_in_the_range_of_latents(space: Space) -> None:
    latents = space.fixed_sample(1)
    edit = LinearEdit(space, latents, CHOSEN)
    assert torch.equal(edit({"brightness": 1e6}), edit({"brightness": 1e5}))


def test_a_latent_of_each_layer_and_other_changes(space: Space) -> None:
    latents, moved = space.fixed_sample(2).split(1)
    assert not torch.equal(LinearEdit(space, latents, CHOSEN)({}), LinearEdit(space, latents, CHOSEN)({}, moved))
