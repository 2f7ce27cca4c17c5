"""Screens that differ from window to window are found with their template."""

import math

import pytest
import torch
from torch import Tensor

from gan.networks.transfer.carriers import carrier_planes
from gan.networks.transfer.varying_carriers import explained, find_carrier_sets, turned
from tests.networks.transfer.test_carriers import SIDE, scenes


def screens(mains: Tensor, seed: int) -> Tensor:
    """Return square lattices (N, 1, SIDE, SIDE) with the main frequencies (N, 2), at random places."""
    phase = torch.rand(len(mains), 2, generator=torch.Generator().manual_seed(seed))
    lattice = turned(torch.tensor([[1.0, 0.0], [0.0, 1.0]]), mains)
    return carrier_planes(lattice, 0, 0, SIDE, SIDE, phase)[:, :2].sum(1, keepdim=True)


@pytest.mark.slow
def test_each_set_is_the_lattice_of_a_window() -> None:
    n, random = 100, torch.Generator().manual_seed(0)
    pitch, angle = 4 + 4 * torch.rand(n, generator=random), math.pi * torch.rand(n, generator=random)
    mains = torch.stack([angle.sin(), angle.cos()], 1) / pitch[:, None]
    found = find_carrier_sets(scenes(n, 1), scenes(n, 2) + 0.3 * screens(mains, 3), 4, 64)
    assert len(found) == 64
    first, second = found[:, 0], found[:, 1]
    length = first.norm(dim=1)
    wanted = torch.cat([mains, turned(torch.tensor([[0.0, 1.0]]), mains)[:, 0]])
    distance = torch.cdist(first, torch.cat([wanted, -wanted])).amin(1)
    assert float((distance < 0.2 / SIDE).float().mean()) > 0.9  # a fifth of a bin
    used = (second != 0).any(1)
    assert float(((first * second).sum(1) / length.square())[used].abs().max()) < 0.05  # a right angle
    assert second[used].norm(dim=1) / length[used] == pytest.approx(torch.ones(int(used.sum())), abs=0.05)
    assert float(length[0]) == pytest.approx(float(length.median()), rel=0.05)


@pytest.mark.slow
def test_a_shared_screen_is_one_set_and_photographs_have_none() -> None:
    n = 60
    shared = screens(torch.tensor([[0.14, 0.1]]).expand(n, -1), 4)
    assert len(find_carrier_sets(scenes(n, 1), scenes(n, 2) + 0.3 * shared, 4, 64)) == 1
    assert find_carrier_sets(scenes(n, 1), scenes(n, 2), 4, 64).shape == (1, 0, 2)
    assert find_carrier_sets(scenes(n, 1), scenes(n, 2), 0, 64).shape == (1, 0, 2)


def test_main_peaks_of_windows_can_be_harmonics_and_sums_of_shared_carriers() -> None:
    shared = torch.tensor([[0.14, 0.14], [0.19, -0.05]])  # the screens of two inks
    mains = torch.tensor([[0.15, 0.15], [0.28, 0.0], [0.14, 0.42], [0.33, 0.09], [0.42, 0.42], [0.05, 0.1]])
    assert explained(mains, shared, SIDE).tolist() == [True, True, True, True, True, False]
    assert not explained(mains, shared[:0], SIDE).any()


def test_turning_scales_and_drops_what_a_grid_of_pixels_cannot_have() -> None:
    found = turned(torch.tensor([[1.0, 0.0], [0.0, 1.0], [0.0, 3.0]]), torch.tensor([[0.0, 0.2]]))
    assert torch.allclose(found, torch.tensor([[[0.0, 0.2], [-0.2, 0.0], [0.0, 0.0]]]))
