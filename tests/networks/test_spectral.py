"""Spectral normalization: the outputs of each kind of layer, fp32 under autocast, one iteration per update."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrize

from gan.networks.spectral import apply_spectral_norm, spectral_norm


@pytest.mark.parametrize(
    ("layer", "outputs"), [(nn.Linear(20, 30), 0), (nn.Conv2d(6, 8, 3), 0), (nn.ConvTranspose2d(6, 8, 3), 1)]
)
def test_the_largest_singular_value_is_1(layer: nn.Module, outputs: int) -> None:
    layer = spectral_norm(copy.deepcopy(layer))
    for _ in range(100):
        weight = layer.weight
    matrix = weight.transpose(0, outputs).flatten(1)
    assert torch.linalg.matrix_norm(matrix, 2).item() == pytest.approx(1, 1e-3)


def test_weights_are_computed_in_fp32_under_autocast() -> None:
    torch.manual_seed(0)
    layer = spectral_norm(nn.Linear(64, 64))
    other = copy.deepcopy(layer)
    with torch.autocast("cpu", torch.bfloat16):
        weight = layer.weight
    assert weight.dtype == torch.float32 and torch.equal(weight, other.weight)


def test_passes_within_one_update_share_a_weight() -> None:
    network = nn.Sequential(nn.Linear(8, 8), nn.ReLU(), nn.Linear(8, 1))
    apply_spectral_norm(network)
    with parametrize.cached():
        assert network[0].weight is network[0].weight
    assert network[0].weight is not network[0].weight
