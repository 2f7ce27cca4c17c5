"""Spectral normalization: the largest singular value, in fp32 under autocast, one iteration per update."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import nn
from torch.nn.utils import parametrizations, parametrize

from gan.networks.spectral import apply_spectral_norm, spectral_norm

LAYERS = [nn.Linear(20, 30), nn.Conv2d(6, 8, 3), nn.ConvTranspose2d(6, 8, 3)]


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_the_largest_singular_value_is_1(layer: nn.Module) -> None:
    layer = spectral_norm(copy.deepcopy(layer))
    for _ in range(100):
        weight = layer.weight
    assert torch.linalg.matrix_norm(layer.parametrizations.weight[0].matrix(weight), 2).item() == pytest.approx(1, 1e-3)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: type(layer).__name__)
def test_weights_and_gradients_equal_those_of_torch(layer: nn.Module) -> None:
    ours, theirs = spectral_norm(copy.deepcopy(layer)), parametrizations.spectral_norm(copy.deepcopy(layer))
    theirs.parametrizations.weight[0]._u.copy_(ours.parametrizations.weight[0].u)
    theirs.parametrizations.weight[0]._v.copy_(ours.parametrizations.weight[0].v)
    for _ in range(2):
        one, other = ours.weight, theirs.weight
        torch.testing.assert_close(one, other)
        grads = [
            torch.autograd.grad(weight.sin().sum(), layer.parametrizations.weight.original)
            for weight, layer in ((one, ours), (other, theirs))
        ]
        torch.testing.assert_close(grads[0], grads[1])


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
