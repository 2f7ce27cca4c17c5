"""Copies are found, also after JPEG and mirroring; held-out images are not; noise has no rate; nearest neighbors."""

from __future__ import annotations

import io

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from gan.data.builtin.retro import draw
from gan.evaluation.sets import Sets
from gan.evaluation.tables import nearest_pairs
from gan.metrics import distances
from gan.metrics.copies import CopySearch, thumbnails, to_others
from gan.metrics.distances import nearest


@pytest.fixture(scope="module")
def images() -> Tensor:
    made = torch.from_numpy(np.stack([draw(0, i, 32, 32).transpose(2, 0, 1) for i in range(700)]))
    return made[torch.randperm(700, generator=torch.Generator().manual_seed(0))]


def after_jpeg(images: Tensor, quality: int) -> Tensor:
    found = []
    for image in images:
        encoded = io.BytesIO()
        Image.fromarray(image.permute(1, 2, 0).numpy()).save(encoded, "JPEG", quality=quality)
        found.append(np.array(Image.open(encoded)))
    return torch.from_numpy(np.stack(found)).permute(0, 3, 1, 2)


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [True, False])
def test_copies_are_found_and_others_are_not(images: Tensor, held_out: bool) -> None:
    search = CopySearch(images[:400], images[400:550] if held_out else None, flips=False)
    for generated, low, high in (
        (images[:100], 1, 1),
        (after_jpeg(images[:100], 75), 0.9, 1),
        (images[550:], 0, 0.15),
    ):
        found = search.search(generated)
        assert found.rate is not None and low <= found.rate <= high
    assert search.search(images[:100]).source.tolist() == list(range(100))


@pytest.mark.slow
def test_noise_and_few_images_have_no_rate(images: Tensor) -> None:
    noise = torch.randint(0, 256, (60, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    search = CopySearch(images[:400], images[400:], flips=False)
    assert search.search(noise).rate is None
    assert search.search(images[:5]).rate is None


@pytest.mark.slow
@pytest.mark.parametrize("flips", [True, False])
def test_mirror_images_are_copies_where_training_flips(flips: bool, images: Tensor) -> None:
    train, rest = images[:400], images[400:]
    generated = train[:100].flip(3)
    found = CopySearch(train, rest, flips).search(generated)
    assert found.rate is not None and (found.rate > 0.99) == flips
    if flips:
        assert found.mirrored.float().mean() > 0.5  # sprites are symmetric
        shown = nearest_pairs(Sets(generated, rest, train, True, True), found, 10)
        assert torch.equal(shown[0::2], shown[1::2])


def test_thumbnails_of_any_channels(images: Tensor) -> None:
    assert thumbnails(images[:3]).shape == (3, 288) and thumbnails(images[:0]).shape == (0, 288)
    gray = images[:2, :1]
    assert torch.equal(thumbnails(gray), thumbnails(gray.expand(-1, 3, -1, -1)))
    assert float(thumbnails(gray)[:, 256:].abs().max()) < 1e-5  # no color


@pytest.fixture
def real() -> Tensor:
    return torch.randn(2000, 8, generator=torch.Generator().manual_seed(0))


def test_nearest_are_those_of_all_pairs(real: Tensor, monkeypatch: pytest.MonkeyPatch) -> None:
    x, y = real[:100].double(), real[100:300].double()
    expected = (x[:, None] - y).norm(dim=2).min(1)
    monkeypatch.setattr(distances, "ROWS", 33)
    found, which = nearest(x, y)
    assert torch.allclose(found, expected.values, atol=1e-12)
    assert torch.equal(which, expected.indices)


def test_an_image_has_distance_0_from_itself(real: Tensor) -> None:
    x = 1000 + real[:50].double()
    found, which = nearest(x, x)
    assert torch.equal(found, torch.zeros(50, dtype=torch.float64))
    assert torch.equal(which, torch.arange(50))


def test_an_image_and_its_mirror_image_are_one() -> None:
    train = torch.tensor([[0.0], [1.0], [10.0]])
    mirrored = torch.tensor([[0.1], [1.3], [7.0]])
    found = to_others(torch.cat([train, mirrored]), views=2)
    torch.testing.assert_close(found, torch.tensor([1.0, 0.9, 8.7]))
