"""Projection: schedule, distance and least squares agree with formulas, and latents of known images are recovered."""

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from gan.editing.projection import (
    NUM_CANDIDATES,
    Descent,
    downsample,
    fast_ssim,
    image_distance,
    initial_latents,
    jacobian,
    levenberg_marquardt,
    lr_schedule,
    num_passes,
    pixels,
    project,
    refine,
)
from gan.editing.space import Space
from gan.images.convert import to_float
from gan.metrics.pairs import psnr
from gan.models.sampling import latents
from gan.networks import dcgan, r3gan, stylegan2
from gan.utils.errors import UserError

from .test_directions import GENERATORS


def mapped() -> Space:
    torch.manual_seed(0)
    return Space(stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8).eval())


def test_the_learning_rate_rises_linearly_and_falls_as_a_cosine() -> None:
    assert [lr_schedule(at) for at in (0, 0.025, 0.05, 0.5, 0.75)] == [0, 0.5, 1, 1, 1]
    assert lr_schedule(0.875) == pytest.approx(0.5) and lr_schedule(0.9999) < 1e-5


def test_ssim_agrees_with_the_formula() -> None:
    x, y = (torch.rand(2, 3, 8, 12, dtype=torch.float64) * 2 - 1 for _ in range(2))
    expected = []
    for a, b in zip(x.numpy(), y.numpy(), strict=True):
        values = []
        for channel in range(3):
            for left in (0, 4):
                p, q = (each[channel, :, left : left + 8] for each in (a, b))
                c1, c2 = 0.02**2, 0.06**2
                covariance = np.mean(p * q) - p.mean() * q.mean()
                values.append(
                    (2 * p.mean() * q.mean() + c1)
                    * (2 * covariance + c2)
                    / ((p.mean() ** 2 + q.mean() ** 2 + c1) * (p.var() + q.var() + c2))
                )
        expected.append(np.mean(values))
    assert fast_ssim(x, y).numpy() == pytest.approx(expected)
    assert image_distance(x, x).numpy() == pytest.approx([0, 0], abs=1e-12)
    sizes = [x - y, (x - y).unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean((3, 5))]
    sizes.append(sizes[1].unflatten(2, (2, 2)).unflatten(4, (3, 2)).mean((3, 5)))
    absolute = torch.stack([each.abs().mean((1, 2, 3)) for each in sizes]).mean(0)
    assert image_distance(x, y).numpy() == pytest.approx((absolute + 0.2 * (1 - fast_ssim(x, y))).numpy())


@pytest.mark.slow
def test_images_of_a_generator_are_projected_to_their_latents() -> None:
    torch.manual_seed(0)
    space = Space(dcgan.Generator((16, 16), width=8, latent_dim=6).eval())
    with torch.no_grad():
        for parameter in space.generator.parameters():
            parameter.mul_(4)  # an untrained generator draws gray alone
    points = latents([1, 2, 3], 6)
    targets = space.render_uint8(points)
    done: list[int] = []
    found = project(space, targets, starts=4, steps=20, advance=done.append)
    assert sum(done) == num_passes(3, 4, 20)
    assert psnr(space.render_uint8(found.latents), targets).min() > 35
    assert torch.cosine_similarity(found.latents, points).min() > 0.95
    assert found.labels is None
    alone = project(space, targets[1:2], starts=4, steps=20)
    assert torch.equal(alone.latents[0], found.latents[1])


@pytest.mark.slow
def test_w_plus_has_a_latent_per_layer_and_a_smaller_distance() -> None:
    space = mapped()
    targets = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    done: list[int] = []
    found = {layered: project(space, targets, 2, 16, layered, advance=done.append) for layered in (False, True)}
    assert sum(done) == num_passes(2, 2, 16) + num_passes(2, 2, 16, per_layer=True)
    assert found[False].latents.shape == (2, 8) and found[True].latents.shape == (2, space.layers, 8)
    near = {key: image_distance(space.render(each.latents), to_float(targets)).sum() for key, each in found.items()}
    assert near[True] < near[False]
    with pytest.raises(UserError, match="needs a generator with a mapping network"):
        project(Space(space.generator, "z"), targets, per_layer=True)


def test_the_mean_of_w_is_a_candidate() -> None:
    space = mapped()
    mean = space.statistics[0]
    points, labels = initial_latents(space, to_float(space.render_uint8(mean)), 3, None, torch.empty(0))
    assert torch.equal(points[0, 0], mean[0]) and points.shape == (1, 3, 8) and labels is None


@pytest.mark.slow
def test_the_class_is_found_or_given() -> None:
    torch.manual_seed(0)
    space = Space(
        r3gan.Generator((16, 16), width=16, latent_dim=8, blocks_per_stage=1, group_width=4, classes=3).eval()
    )
    with torch.no_grad():
        space.generator.embedding.weight.mul_(100)
        space.generator.to_image.weight.mul_(3)
    counts, label = torch.tensor([5, 5, 5]), torch.tensor([2, 1])
    targets = space.render_uint8(latents([1, 2], 8), label)
    found = project(space, targets, 4, 10, counts=counts)
    assert found.labels is not None and found.labels.tolist() == [2, 1]
    held = project(space, targets, 4, 10, label=torch.tensor([0, 0]), counts=counts)
    assert held.labels is not None and held.labels.tolist() == [0, 0]
    rare = project(space, targets, 8, 10, label=torch.tensor([1, 2]), counts=torch.tensor([2000, 1, 0]))
    assert rare.labels is not None and rare.labels.tolist() == [1, 2]
    starts, kinds = initial_latents(space, to_float(targets), 8, torch.tensor([2, 1]), counts)
    assert kinds is not None and kinds.tolist() == [[2] * 8, [1] * 8]
    coarse = downsample(to_float(space.render_uint8(starts.flatten(0, 1), kinds.flatten()))).view(2, 8, -1)
    assert ((coarse - downsample(to_float(targets))[:, None]).abs().sum(2).diff(dim=1) >= 0).all()


def test_invalid_numbers_are_refused() -> None:
    space = mapped()
    targets = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    for options, said in (
        ({"starts": NUM_CANDIDATES + 1}, "at most 512"),
        ({"starts": 0}, "starts=0"),
        ({"steps": 9}, "steps=9"),
    ):
        with pytest.raises(UserError, match=said):
            project(space, targets, **options)


def test_unknown_pixels_are_ignored() -> None:
    space = mapped()
    targets = space.render(space.from_z(latents([1], 8)))
    targets[:, :, :4] = torch.nan
    there = targets.clone()
    there[:, :, :4] = 0
    images = space.render(space.from_z(latents([2], 8)))
    descent = Descent(space, 0, 4, 4)
    free = descent.distance(images, targets, [])
    images[:, :, :4] = 0
    assert torch.equal(free, descent.distance(images, there, []))
    points, distances = descent(space.from_z(latents([2], 8)), targets, None)
    assert points.isfinite().all() and distances.isfinite().all()


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


@pytest.mark.slow
def test_the_jacobian_agrees_with_autograd(generator: nn.Module) -> None:
    space = Space(generator)
    label = torch.ones(1, dtype=torch.long) if space.classes else None
    point = space.from_z(latents([3], 8), label)[0]

    def drawn(x: Tensor) -> Tensor:
        return pixels(space.synthesize(x[None], label))

    expected: Tensor = torch.autograd.functional.jacobian(drawn, point)
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
