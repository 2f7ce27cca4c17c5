"""z and w: latents give the images of their seeds, alone or in a batch, and of other sizes."""

import pytest
import torch
from torch import nn

from gan.editing.space import STATISTICS_LATENTS, Space, resized
from gan.models.sampling import fixed_latents, generate, latents
from gan.networks import dcgan, stylegan2
from gan.utils.errors import UserError

from .test_directions import GENERATORS


def mapped(classes: int = 0) -> stylegan2.Generator:
    torch.manual_seed(0)
    return stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8, classes=classes).eval()


def test_a_seed_is_the_same_image_in_z_and_in_w() -> None:
    network, z = mapped(), latents(range(20), 8)
    for name in ("z", "w"):
        space = Space(network, name)
        assert torch.equal(space.render_uint8(space.from_z(z)), generate(network, z))
        assert torch.equal(space.from_z(z)[17:18], space.from_z(z[17:18]))
    assert Space(network).name == "w" and Space(dcgan.Generator((16, 16), width=4)).name == "z"


def test_each_layer_can_have_its_own_w() -> None:
    space = Space(mapped())
    w = space.from_z(latents(range(2), 8))
    each = w[:, None].repeat(1, space.layers, 1)  # (N, layers, latent)
    assert torch.equal(space.render_uint8(each), space.render_uint8(w))
    each[0, -1] = w[1]
    assert not torch.equal(space.render_uint8(each)[0], space.render_uint8(w)[0])
    each.requires_grad_()
    (slope,) = torch.autograd.grad(space.synthesize(each).sum(), each)
    assert slope.abs().sum((0, 2)).all()


def test_statistics_are_of_each_class() -> None:
    network = mapped(classes=2)
    space = Space(network)
    means, parallel_map = space.statistics
    label = torch.ones(STATISTICS_LATENTS, dtype=torch.long)
    points = network.mapping(fixed_latents(STATISTICS_LATENTS, 8), label).detach()
    torch.testing.assert_close(means[1], points.mean(0))
    torch.testing.assert_close(parallel_map[1, 0], (points - points.mean(0)).square().mean().sqrt())
    z, labels = latents(range(3), 8), torch.tensor([0, 1, 1])
    points = space.from_z(z, labels)
    torch.testing.assert_close(space.truncate(points, 0, labels), means[labels])
    assert space.truncate(points, 1, labels) is points
    zeros, ones = Space(network, "z").statistics
    assert not zeros.any() and ones.item() == 1


def test_truncation_interpolates_from_the_mean_image_to_the_unchanged_image() -> None:
    space = Space(mapped())
    points = space.from_z(latents(range(6), 8))
    none, half, whole = (space.render_uint8(space.truncate(points, share)).float() for share in (0.0, 0.5, 1.0))
    assert torch.equal(none, none[:1].expand_as(none))
    assert 0 < (half - none).abs().mean() < (whole - none).abs().mean()


def test_missing_spaces_raise_a_user_error() -> None:
    for name, said in (("w", "need a mapping"), ("q", "choose z, or w")):
        with pytest.raises(UserError, match=said):
            Space(dcgan.Generator((16, 16), width=4), name)


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


def test_invalid_sizes_are_refused() -> None:
    for size in ((16, 17), (16, 8192)):
        with pytest.raises(UserError, match=r"sides must be multiples of .* up to 4096"):
            resized(mapped(), size)
