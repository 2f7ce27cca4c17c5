"""Points of given pictures: the schedule and the distance against formulas, and pictures found again."""

import numpy as np
import pytest
import torch

from gan.common.errors import UserError
from gan.images.convert import to_float
from gan.inference.sampling import latents
from gan.latent.projection import CANDIDATES, Descent, nearest, pace, passes, project, similarity, small, unlikeness
from gan.latent.space import Space
from gan.metrics.pairs import psnr
from gan.networks import dcgan, r3gan, stylegan2


def mapped() -> Space:
    torch.manual_seed(0)
    return Space(stylegan2.Generator((16, 16), width=4, max_channels=8, latent_dim=8).eval())


def test_the_rate_rises_along_a_line_and_falls_along_a_cosine() -> None:
    assert [pace(at) for at in (0, 0.025, 0.05, 0.5, 0.75)] == [0, 0.5, 1, 1, 1]
    assert pace(0.875) == pytest.approx(0.5) and pace(0.9999) < 1e-5


def test_similarity_is_the_formula() -> None:
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
    assert similarity(x, y).numpy() == pytest.approx(expected)
    assert unlikeness(x, x).numpy() == pytest.approx([0, 0], abs=1e-12)
    sizes = [x - y, (x - y).unflatten(2, (4, 2)).unflatten(4, (6, 2)).mean((3, 5))]
    sizes.append(sizes[1].unflatten(2, (2, 2)).unflatten(4, (3, 2)).mean((3, 5)))
    absolute = torch.stack([each.abs().mean((1, 2, 3)) for each in sizes]).mean(0)
    assert unlikeness(x, y).numpy() == pytest.approx((absolute + 0.2 * (1 - similarity(x, y))).numpy())


def test_a_generators_own_pictures_are_found() -> None:
    torch.manual_seed(0)
    space = Space(dcgan.Generator((16, 16), width=8, latent_dim=6).eval())
    with torch.no_grad():
        for parameter in space.generator.parameters():
            parameter.mul_(4)  # an untrained generator draws gray alone
    points = latents([1, 2, 3], 6)
    targets = space.draw(points)
    done: list[int] = []
    found = project(space, targets, starts=4, steps=20, advance=done.append)
    assert sum(done) == passes(3, 4, 20)
    assert psnr(space.draw(found.points), targets).min() > 35
    assert torch.cosine_similarity(found.points, points).min() > 0.95
    assert found.labels is None and torch.equal(found.way[-1], found.points)
    alone = project(space, targets[1:2], starts=4, steps=20)
    assert torch.equal(alone.points[0], found.points[1])


def test_w_plus_has_a_point_for_each_layer_and_comes_nearer() -> None:
    space = mapped()
    targets = torch.randint(0, 256, (2, 3, 16, 16), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    done: list[int] = []
    found = {layered: project(space, targets, 2, 16, layered, advance=done.append) for layered in (False, True)}
    assert sum(done) == passes(2, 2, 16) + passes(2, 2, 16, layered=True)
    assert found[False].points.shape == (2, 8) and found[True].points.shape == (2, space.layers, 8)
    near = {key: unlikeness(space.seen(each.points), to_float(targets)).sum() for key, each in found.items()}
    assert near[True] < near[False]
    with pytest.raises(UserError, match="without a mapping"):
        project(Space(space.generator, "z"), targets, layered=True)


def test_the_mean_is_among_what_w_starts_from() -> None:
    space = mapped()
    mean = space.statistics[0]
    points, labels = nearest(space, to_float(space.draw(mean)), 3, None, torch.empty(0))
    assert torch.equal(points[0, 0], mean[0]) and points.shape == (1, 3, 8) and labels is None


def test_a_class_is_found_or_kept_to() -> None:
    torch.manual_seed(0)
    space = Space(
        r3gan.Generator((16, 16), width=16, latent_dim=8, blocks_per_stage=1, group_width=4, classes=3).eval()
    )
    with torch.no_grad():
        space.generator.embedding.weight.mul_(100)
        space.generator.to_image.weight.mul_(3)
    counts, label = torch.tensor([5, 5, 5]), torch.tensor([2, 1])
    targets = space.draw(latents([1, 2], 8), label)
    found = project(space, targets, 4, 10, counts=counts)
    assert found.labels is not None and found.labels.tolist() == [2, 1]
    held = project(space, targets, 4, 10, label=torch.tensor([0, 0]), counts=counts)
    assert held.labels is not None and held.labels.tolist() == [0, 0]
    rare = project(space, targets, 8, 10, label=torch.tensor([1, 2]), counts=torch.tensor([2000, 1, 0]))
    assert rare.labels is not None and rare.labels.tolist() == [1, 2]
    starts, kinds = nearest(space, to_float(targets), 8, torch.tensor([2, 1]), counts)
    assert kinds is not None and kinds.tolist() == [[2] * 8, [1] * 8]
    coarse = small(to_float(space.draw(starts.flatten(0, 1), kinds.flatten()))).view(2, 8, -1)
    assert ((coarse - small(to_float(targets))[:, None]).abs().sum(2).diff(dim=1) >= 0).all()


def test_what_was_found_in_z_is_given_in_w() -> None:
    space = mapped()
    targets = space.draw(space.of(latents([1, 2], 8)))
    z = Space(space.generator, "z")
    found = project(z, targets, 2, 10)
    given = found.within(space, z)
    assert torch.equal(space.draw(given.points), z.draw(found.points)) and given.way.shape == found.way.shape
    assert found.within(z, z) is found


def test_numbers_that_cannot_be_are_refused() -> None:
    space = mapped()
    targets = torch.zeros(1, 3, 16, 16, dtype=torch.uint8)
    for options, said in (
        ({"starts": CANDIDATES + 1}, "at most 512"),
        ({"starts": 0}, "starts=0"),
        ({"steps": 9}, "steps=9"),
    ):
        with pytest.raises(UserError, match=said):
            project(space, targets, **options)  # type: ignore[arg-type]


def test_what_is_not_known_does_not_count() -> None:
    space = mapped()
    targets = space.seen(space.of(latents([1], 8)))
    targets[:, :, :4] = torch.nan
    there = targets.clone()
    there[:, :, :4] = 0
    images = space.seen(space.of(latents([2], 8)))
    descent = Descent(space, 0, 4, 4)
    free = descent.distance(images, targets, [])
    images[:, :, :4] = 0
    assert torch.equal(free, descent.distance(images, there, []))
    points, distances, _ = descent(space.of(latents([2], 8)), targets, None)
    assert points.isfinite().all() and distances.isfinite().all()
