"""SeFa is compared with NumPy, GANSpace with random directions, and named effects with a generator of known ones."""

from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from gan.editing.directions import activations, effects, factorize, ganspace, principal_components, sefa
from gan.editing.space import Space
from gan.models.sampling import fixed_latents, latents
from gan.networks import dcgan, fastgan, r3gan, resnet, stylegan2, tutorial

MAPPED = {"width": 4, "max_channels": 8, "latent_dim": 8}
GENERATORS = {
    "dcgan": lambda: dcgan.Generator((16, 16), width=4, latent_dim=8),
    "dcgan-nearest": lambda: dcgan.Generator((16, 16), width=4, latent_dim=8, upsampling="nearest"),
    "fastgan": lambda: fastgan.Generator((16, 16), width=2, latent_dim=8),
    "resnet": lambda: resnet.Generator((16, 16), width=2, latent_dim=8),
    "tutorial": lambda: tutorial.Generator((16, 16), width=2, latent_dim=8),
    "r3gan": lambda: r3gan.Generator((16, 16), width=16, latent_dim=8, blocks_per_stage=1, group_width=4),
    "r3gan-classes": lambda: r3gan.Generator(
        (16, 16), width=16, latent_dim=8, blocks_per_stage=1, group_width=4, classes=3
    ),
    "stylegan2": lambda: stylegan2.Generator((16, 16), **MAPPED),
}


@pytest.fixture(params=GENERATORS)
def generator(request: pytest.FixtureRequest) -> nn.Module:
    torch.manual_seed(0)
    return GENERATORS[request.param]().eval()


def test_sefa_returns_the_eigenvectors_of_the_weights(generator: nn.Module) -> None:
    vectors = factorize(generator.latent_weights())
    weights = np.concatenate([weight.detach().double().numpy() for weight in generator.latent_weights()])
    assert weights.shape[1] == 8
    weights /= np.linalg.norm(weights, axis=1, keepdims=True)
    right = np.linalg.svd(weights, full_matrices=False)[2]
    assert np.abs((vectors.numpy() * right).sum(1)) == pytest.approx(np.ones(8), abs=1e-4)
    assert (vectors.gather(1, vectors.abs().argmax(1, keepdim=True)) > 0).all()


def test_latent_weights_contain_all_uses_of_the_latent(generator: nn.Module) -> None:
    """A latent dimension with zero weights in all `latent_weights` has no effect."""
    space = Space(generator)
    kept: Any = generator.latent_weights
    styles = [each.style.weight for each in generator.modules() if isinstance(each, stylegan2.ModulatedConv2d)]
    if any(parametrize.is_parametrized(module) for module in generator.modules()):
        pytest.skip("its weights are computed")
    with torch.no_grad():
        for weight in (*styles, *kept()):
            weight[:, 3] = 0
    assert len(kept()) == space.layers and not any(weight[:, 3].any() for weight in kept())
    points = space.from_z(latents(range(4), 8))
    moved = points.clone()
    moved[:, 3] += 1
    label = torch.zeros(4, dtype=torch.long) if space.classes else None
    assert torch.allclose(space.synthesize(points, label), space.synthesize(moved, label), atol=1e-5)
    moved[:, 4] += 1
    assert not torch.allclose(space.synthesize(points, label), space.synthesize(moved, label), atol=1e-5)


def test_standard_deviations_of_sefa() -> None:
    torch.manual_seed(0)
    network = stylegan2.Generator((16, 16), **MAPPED).eval()
    space = Space(network)
    found, vectors = sefa(space), factorize(network.latent_weights())
    torch.testing.assert_close(nn.functional.normalize(found), vectors)
    points = space.from_z(fixed_latents(2_000, 8))
    assert (points @ vectors.T).std(0).tolist() == pytest.approx(found.norm(dim=1).tolist(), rel=0.05)
    unmapped = Space(GENERATORS["dcgan"]().eval())
    assert sefa(unmapped).norm(dim=1).tolist() == pytest.approx([1] * 8, abs=0.05)


@pytest.mark.parametrize("shape", [(60, 8), (12, 40)])
def test_principal_components_agree_with_the_singular_value_decomposition(shape: tuple[int, int]) -> None:
    x = np.random.default_rng(0).normal(size=shape) * np.linspace(3, 0.1, shape[1])
    vectors, deviations, coordinates = principal_components(torch.from_numpy(x), 5)
    singular, right = np.linalg.svd(x - x.mean(0), full_matrices=False)[1:]
    assert deviations.numpy() == pytest.approx(singular[:5] / np.sqrt(len(x) - 1))
    assert np.abs((vectors.numpy() * right[:5]).sum(1)) == pytest.approx(np.ones(5))
    assert coordinates.numpy() == pytest.approx((x - x.mean(0)) @ vectors.numpy().T)


def test_components_of_w_explain_more_variance_than_random_directions() -> None:
    torch.manual_seed(0)
    space = Space(stylegan2.Generator((16, 16), **MAPPED).eval())
    found = ganspace(space, 3)
    vectors, lengths = nn.functional.normalize(found), found.norm(dim=1)
    points = space.from_z(fixed_latents(2_000, 8))
    random = nn.functional.normalize(torch.randn(50, 8))
    assert (points @ vectors.T).std(0).tolist() == pytest.approx(lengths.tolist(), rel=0.05)
    assert (points @ vectors[0]).std() > (points @ random.T).std(0).max()
    assert lengths.diff().max() <= 0


@pytest.mark.parametrize("name", ["dcgan", "dcgan-nearest"])
def test_in_z_the_first_direction_changes_activations_most(name: str) -> None:
    torch.manual_seed(0)
    space = Space(GENERATORS[name]().eval())
    vectors = nn.functional.normalize(ganspace(space, 8))
    z = latents(range(64), 8)

    def moved(vector: torch.Tensor) -> float:
        return (activations(space, z + vector, None) - activations(space, z - vector, None)).square().mean().item()

    random = nn.functional.normalize(torch.randn(30, 8))
    assert moved(vectors[0]) > max(moved(vector) for vector in random)


class Plain(nn.Module):
    """The elements of a latent are brightness, warmth, the kind of a pattern, and one that has no effect."""

    latent_dim = 4
    classes = 0

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.tensor(0.1))

    def forward(self, z: Tensor, label: Tensor | None = None) -> Tensor:
        brightness, warmth, kind, _ = (self.scale * z)[:, :, None, None].unbind(1)
        colors = torch.stack([brightness + warmth, brightness, brightness - warmth], 1)  # (N, 3, 1, 1)
        stripes = torch.tensor([-0.1, 0.1]).repeat(8)
        pattern = torch.where(kind[:, None] > 0, stripes[:, None], stripes)  # rows or columns
        return colors + pattern.expand(-1, 3, -1, -1)


def test_a_direction_is_named_by_what_it_changes_in_most_images() -> None:
    one = torch.eye(4)
    vectors = {"a": one[0], "b": one[1], "c": one[2], "d": one[3], "e": -one[1], "f": one[0] + 2 * one[1], "g": -one[1]}
    found = effects(Space(Plain().eval()), vectors)
    assert found == {"a": "brightness", "b": "warmth", "e": "less warmth", "f": "warmth 2", "g": "less warmth 2"}
    assert effects(Space(Plain().eval()), {"a": 0.1 * one[0]}) == {}  # weak
