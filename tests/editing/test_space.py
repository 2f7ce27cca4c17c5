"""Latents give the images of their seeds, of other sizes, mixed and interpolated as the formulas say."""

from collections.abc import Callable

import numpy as np
import pytest
import torch
from torch import nn

from gan.editing.space import STATISTICS_LATENTS, Space, interpolate, lerp, mix, mix_styles, resized, slerp
from gan.models.sampling import fixed_latents, generate, latents
from gan.networks import dcgan, stylegan2
from gan.utils.errors import UserError

from .test_directions import GENERATORS


def mapped(classes: int = 0, side: int = 16) -> stylegan2.Generator:
    torch.manual_seed(0)
    return stylegan2.Generator((side, side), width=4, max_channels=8, latent_dim=8, classes=classes).eval()


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


def test_mixing_all_layers_gives_the_other_latent() -> None:
    place = Space(mapped(side=32))
    points = place.from_z(latents([1, 2], 8))
    other = place.from_z(latents([9], 8))[0]
    assert torch.equal(
        place.render_uint8(mix(place, points, other, (0, place.layers - 1))),
        place.render_uint8(other.expand(2, 8)),
    )
    some = mix_styles(place, points, other, 2, 3)
    assert torch.equal(some[:, 2:4], other.expand(2, 2, 8)) and torch.equal(some[:, 4], points)
    twice = mix_styles(place, some, points[0], 0, 1)
    assert torch.equal(twice[1, :2], points[0].expand(2, 8)) and torch.equal(twice[:, 2:], some[:, 2:])


def test_fine_layers_keep_the_coarse_activations() -> None:
    place = Space(mapped(side=32))
    points = place.from_z(latents(range(16), 8))
    other = place.from_z(latents([99], 8))[0]
    seen: list[torch.Tensor] = []
    place.generator.stages[1].register_forward_hook(lambda module, given, made: seen.append(made[0]))
    for first, last in ((None, None), (0, 1), (place.layers - 2, place.layers - 1)):
        place.render_uint8(points if first is None else mix_styles(place, points, other, first, last))
    plain, coarse, fine = (each.mean((2, 3)) for each in seen)  # what the second stage makes, its means
    assert torch.equal(plain, fine) and not torch.allclose(plain, coarse, rtol=0.1)


def test_blending_goes_from_one_latent_to_the_other() -> None:
    place, plain = Space(mapped(side=32)), Space(dcgan.Generator((16, 16), width=4, latent_dim=8).eval())
    for each in (place, plain):
        points, other = each.from_z(latents([1, 2], 8)), each.from_z(latents([5], 8))[0]
        assert torch.equal(mix(each, points, other, 0.0), points)
        assert torch.equal(mix(each, points, other, 1.0), other.expand(2, 8))
    half = mix(plain, points, other, 0.5)
    assert torch.allclose(half.norm(dim=1), (points.norm(dim=1) + other.norm()) / 2, rtol=0.2)


@pytest.mark.parametrize(
    ("call", "said"),
    [
        (lambda points: Space(dcgan.Generator((16, 16), width=4), "w"), "need a mapping"),
        (lambda points: Space(mapped(), "q"), "choose z, or w"),
        (lambda points: resized(mapped(), (16, 17)), "sides must be multiples of .* up to 4096"),
        (lambda points: resized(mapped(), (16, 8192)), "sides must be multiples of .* up to 4096"),
        (lambda points: mix_styles(Space(mapped()), points, points[0], 6, 9), "has layers 0-5"),
        (lambda points: mix_styles(Space(mapped(), "z"), points, points[0], 0, 1), "blend by a fraction"),
    ],
)
def test_what_a_generator_lacks_is_refused(call: Callable[[torch.Tensor], object], said: str) -> None:
    with pytest.raises(UserError, match=said):
        call(torch.zeros(1, 8))


def test_slerp_turns_by_a_fraction_of_the_angle() -> None:
    random = np.random.default_rng(0)
    a, b = random.normal(size=(2, 5))
    angle = np.arccos(a @ b / np.linalg.norm(a) / np.linalg.norm(b))
    for share in (0.25, 0.5, 0.9):
        expected = (np.sin((1 - share) * angle) * a + np.sin(share * angle) * b) / np.sin(angle)
        found = slerp(torch.tensor(a), torch.tensor(b), torch.tensor([share], dtype=torch.double))
        assert found.numpy() == pytest.approx(expected, abs=1e-12)
    unit = torch.eye(3)
    assert slerp(unit[0], unit[1], torch.tensor([0.3])).norm() == pytest.approx(1)


def test_parallel_vectors_are_interpolated_linearly() -> None:
    a = torch.tensor([1.0, 2.0])
    for b in (3 * a, -a, a):
        assert torch.allclose(slerp(a, b, torch.tensor([0.25])), 0.75 * a + 0.25 * b)


@pytest.mark.parametrize("spherical", [False, True])
def test_interpolation_contains_every_latent_exactly(spherical: bool) -> None:
    points = torch.randn(4, 6)
    way = interpolate(points, 5, spherical=spherical)
    assert way.shape == (16, 6) and torch.equal(way[::5], points)
    step = (slerp if spherical else lerp)(points[1], points[2], torch.tensor([0.4]))
    assert torch.allclose(way[7], step)
    loop = interpolate(points, 5, loop=True, spherical=spherical)
    assert loop.shape == (20, 6) and torch.equal(loop[:15], way[:15])
    assert torch.allclose(loop[17], (slerp if spherical else lerp)(points[3], points[0], torch.tensor([0.4])))
