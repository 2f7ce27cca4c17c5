"""Every generator generates other sizes from the same latents."""

import pytest
import torch
from torch import nn

from gan.common.errors import UserError
from gan.inference.sampling import latents
from gan.latent.size import resized
from gan.latent.space import Space

from .test_directions import GENERATORS


@pytest.fixture(params=GENERATORS)
def generator(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return GENERATORS[request.param]().eval()


def test_other_sizes_are_generated(generator: nn.Module) -> None:
    space = Space(generator)
    label = torch.zeros(2, dtype=torch.long) if space.classes else None
    points = space.from_z(latents([1, 2], 8), label)
    plain = space.render_uint8(points, label)
    assert torch.equal(Space(resized(generator, (16, 16))).render_uint8(points, label), plain)
    other = Space(resized(generator, (32, 24))).render_uint8(points, label)
    assert other.shape == (2, 3, 32, 24)
    assert other.float().std() > 0.5 * plain.float().std()
    assert torch.equal(space.render_uint8(points, label), plain)  # the generator itself is as it was


def test_invalid_sizes_are_refused(generator: nn.Module) -> None:
    with pytest.raises(UserError, match="sides must be multiples of"):
        resized(generator, (16, 17))
    with pytest.raises(UserError, match="up to 4096"):
        resized(generator, (16, 8192))
