"""Interpolation of latents agrees with the formulas."""

import numpy as np
import pytest
import torch

from gan.latent.interpolation import interpolate, lerp, slerp


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
