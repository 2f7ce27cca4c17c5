"""Style mixing changes what its layers control, and nothing else. Interpolation agrees with the formulas."""

import numpy as np
import pytest
import torch

from gan.editing.mixing import blend, interpolate, lerp, mix_styles, per_layer, slerp
from gan.editing.space import Space
from gan.models.sampling import latents
from gan.networks import dcgan, stylegan2
from gan.utils.errors import UserError


def space() -> Space:
    torch.manual_seed(0)
    return Space(stylegan2.Generator((32, 32), width=4, max_channels=8, latent_dim=8).eval())


def test_mixing_all_layers_gives_the_other_latent() -> None:
    place = space()
    points = place.from_z(latents([1, 2], 8))
    other = place.from_z(latents([9], 8))[0]
    assert torch.equal(place.render_uint8(per_layer(place, points)), place.render_uint8(points))
    assert torch.equal(
        place.render_uint8(mix_styles(place, points, other, 0, place.layers - 1)),
        place.render_uint8(other.expand(2, 8)),
    )
    some = mix_styles(place, points, other, 2, 3)
    assert torch.equal(some[:, 2:4], other.expand(2, 2, 8)) and torch.equal(some[:, 4], points)
    twice = mix_styles(place, some, points[0], 0, 1)
    assert torch.equal(twice[1, :2], points[0].expand(2, 8)) and torch.equal(twice[:, 2:], some[:, 2:])


def test_fine_layers_keep_the_coarse_activations() -> None:
    place = space()
    points = place.from_z(latents(range(16), 8))
    other = place.from_z(latents([99], 8))[0]
    seen: list[torch.Tensor] = []
    place.generator.stages[1].register_forward_hook(lambda module, given, made: seen.append(made[0]))
    for first, last in ((None, None), (0, 1), (place.layers - 2, place.layers - 1)):
        place.render_uint8(points if first is None else mix_styles(place, points, other, first, last))
    plain, coarse, fine = (each.mean((2, 3)) for each in seen)  # what the second stage makes, its means
    assert torch.equal(plain, fine) and not torch.allclose(plain, coarse, rtol=0.1)


def test_blending_goes_from_one_latent_to_the_other() -> None:
    place, plain = space(), Space(dcgan.Generator((16, 16), width=4, latent_dim=8).eval())
    for each in (place, plain):
        points, other = each.from_z(latents([1, 2], 8)), each.from_z(latents([5], 8))[0]
        assert torch.equal(blend(each, points, other, 0.0), points)
        assert torch.equal(blend(each, points, other, 1.0), other.expand(2, 8))
    half = blend(plain, points, other, 0.5)
    assert torch.allclose(half.norm(dim=1), (points.norm(dim=1) + other.norm()) / 2, rtol=0.2)


def test_missing_layers_raise_a_user_error() -> None:
    place = space()
    points = place.from_z(latents([1], 8))
    with pytest.raises(UserError, match="has layers 0-7"):
        mix_styles(place, points, points[0], 6, 9)
    with pytest.raises(UserError, match="blend by a fraction"):
        mix_styles(Space(place.generator, "z"), points, points[0], 0, 1)


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
