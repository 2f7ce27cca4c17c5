"""Path length agrees with its closed form and average, and is refused where it is not defined."""

import pytest
import torch
from torch import Tensor, nn

from gan.contracts import LatentStep
from gan.penalties.path_length import PathLength


class Linear(nn.Module):
    """image = sum over layers of A w. The Jacobian is A for each layer."""

    num_ws = 3

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.randn(48, 5))
        self.gain = nn.Parameter(torch.ones(()))

    def mapping(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        return self.gain * z

    def synthesis(self, w: Tensor) -> Tensor:
        return (w.sum(0) @ self.a.T).reshape(-1, 3, 4, 4)


def step(generator: nn.Module) -> LatentStep:
    image = torch.zeros(6, 3, 4, 4)
    nothing = nn.Identity()
    return LatentStep(
        batch=0, real=image, fake=image, z=torch.randn(6, 5), generator=generator, discriminator=nothing,
        augmented=nothing,
    )  # fmt: skip


def test_value_average_and_gradient_follow_the_formula() -> None:
    generator, penalty = Linear(), PathLength(weight=2.0, decay=0.25)
    average = 0.0
    for seed in range(3):
        torch.manual_seed(seed)
        at = step(generator)
        torch.manual_seed(seed + 10)
        value = penalty(at)
        torch.manual_seed(seed + 10)
        noise = torch.randn(3, 3, 4, 4).flatten(1) / 4  # of half the batch, 16 pixels
        lengths = (noise @ generator.a).norm(dim=1)  # the same for each of the layers
        average += 0.25 * (lengths.mean().item() - average)
        expected = 2 * (lengths - average).square().mean()
        assert value.item() == pytest.approx(expected.item(), rel=1e-4)
        (got,) = torch.autograd.grad(value, generator.a)
        (wanted,) = torch.autograd.grad(expected, generator.a)
        torch.testing.assert_close(got, wanted, rtol=1e-3, atol=1e-5)
    assert penalty.state_dict()["average"].item() == pytest.approx(average, rel=1e-4)
