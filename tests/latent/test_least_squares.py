"""Levenberg-Marquardt agrees with NumPy's least squares and autograd, and recovers latents of known images."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.inference.sampling import latents
from gan.latent.least_squares import jacobian, levenberg_marquardt, pixels, refine
from gan.latent.space import Space

from .test_directions import GENERATORS


@pytest.fixture(params=GENERATORS)
def generator(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return GENERATORS[request.param]().eval()


def test_a_linear_fit_agrees_with_numpy() -> None:
    rng = np.random.default_rng(0)
    matrix, target = rng.standard_normal((20, 4)), rng.standard_normal(20)
    found = levenberg_marquardt(
        lambda x: torch.from_numpy(matrix) @ x, torch.zeros(4).double(), torch.from_numpy(target)
    )
    assert found.numpy() == pytest.approx(np.linalg.lstsq(matrix, target)[0], rel=0.002)


def test_rosenbrocks_function_is_minimized() -> None:
    """Rosenbrock's function as two residuals."""

    def residuals(x: Tensor) -> Tensor:
        return torch.stack([1 - x[0], 10 * (x[1] - x[0] ** 2)])

    found = levenberg_marquardt(residuals, torch.tensor([-1.2, 1.0]).double(), torch.zeros(2).double(), 100)
    assert found.numpy() == pytest.approx([1, 1], abs=1e-4)


@pytest.mark.slow
def test_the_jacobian_agrees_with_autograd(generator: nn.Module) -> None:
    space = Space(generator)
    label = torch.ones(1, dtype=torch.long) if space.classes else None
    point = space.from_z(latents([3], 8), label)[0]

    def drawn(x: Tensor) -> Tensor:
        return pixels(space.synthesize(x[None], label))

    expected: Tensor = torch.autograd.functional.jacobian(drawn, point)  # type: ignore[no-untyped-call]
    assert torch.allclose(jacobian(drawn, point), expected.T, atol=1e-5)


@pytest.mark.slow
def test_a_generators_own_images_are_found(generator: nn.Module) -> None:
    space = Space(generator)
    label = torch.tensor([0, 2]) if space.classes else None
    points = space.from_z(latents([3, 4], 8), label)
    with torch.no_grad():
        targets = space.synthesize(points, label)
        starts = points + 0.1 * torch.randn(2, 8) * points.std()
        before = (space.synthesize(starts, label) - targets).square().sum()
        found = refine(space, starts, targets, label)
        after = (space.synthesize(found, label) - targets).square().sum()
        alone = refine(space, starts[1:], targets[1:], None if label is None else label[1:])
    assert after < 0.01 * before
    assert torch.equal(alone[0], found[1])


def test_large_images_are_downsampled() -> None:
    assert pixels(torch.ones(1, 3, 256, 128)).shape == (3 * 64 * 32,)
    assert pixels(torch.ones(1, 1, 48, 96)).shape == (48 * 96,)
