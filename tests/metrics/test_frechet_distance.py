"""The Fréchet distance agrees with values from other programs and decompositions, and with closed forms."""

import numpy as np
import pytest
import torch
from torch import Tensor

from gan.data.decoding import cache
from gan.metrics import pretrained
from gan.metrics.extractors import extractor, features
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.pretrained import MissingWeights


def few(n: int, d: int) -> tuple[Tensor, Tensor]:
    random = np.random.RandomState(2023)
    return torch.tensor(random.randn(n, d)), torch.tensor(random.randn(n, d) * 1.1 + 0.1)


def test_golden_value(golden: tuple[Tensor, Tensor]) -> None:
    assert frechet_distance(*golden) == pytest.approx(4.0734464208, abs=1e-9)
    assert frechet_distance(*reversed(golden)) == pytest.approx(4.0734464208, abs=1e-9)


def test_equal_covariances_give_the_squared_difference_of_means() -> None:
    x = torch.randn(300, 2048, generator=torch.Generator().manual_seed(0))
    assert frechet_distance(x, x + 1) == pytest.approx(2048, abs=1e-3)  # float32 features


def test_two_normal_distributions_in_one_dimension() -> None:
    x = torch.tensor([[-1.0], [0.0], [1.0]])  # deviation 1
    assert frechet_distance(x, 3 * x + 5) == pytest.approx(5**2 + (1 - 3) ** 2, rel=1e-12)


@pytest.mark.parametrize(("n", "d"), [(64, 256), (500, 32)])
def test_a_set_and_itself(n: int, d: int) -> None:
    x, _ = few(n, d)
    assert frechet_distance(x, x) == pytest.approx(0, abs=1e-10)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 31), (30, 40, 29), (40, 20, 21)])
def test_both_forms_are_the_definition(n: int, m: int, d: int) -> None:
    x, y = few(max(n, m), d)
    x, y = x[:n], y[:m]
    s, t = torch.cov(x.T), torch.cov(y.T)
    root = torch.linalg.eigvals(s @ t).sqrt().real.sum()  # of the product, which is not symmetric
    expected = (x.mean(0) - y.mean(0)).square().sum() + s.trace() + t.trace() - 2 * root
    assert frechet_distance(x, y) == pytest.approx(float(expected), rel=1e-6)


@pytest.mark.weights
def test_fid_of_256_and_256_images_of_cifar10() -> None:
    try:
        pretrained.find("inception")
    except MissingWeights as error:
        pytest.skip(str(error))
    from torchvision.datasets import CIFAR10

    found = []
    extract = extractor("inception")
    for train in (True, False):
        try:
            pictures = CIFAR10(cache.folder() / "downloads", train=train, download=True).data  # (N, 32, 32, 3)
        except (OSError, RuntimeError) as error:
            pytest.skip(f"CIFAR-10 is not here: {error}")
        chosen = np.random.RandomState(2020).choice(len(pictures), 256, replace=False)
        found.append(features(extract, torch.from_numpy(pictures[chosen]).permute(0, 3, 1, 2)))
    # torch-fidelity 0.4's own test of these images, to its tolerance
    assert frechet_distance(*found) == pytest.approx(110.28082617202443, abs=1e-2)
