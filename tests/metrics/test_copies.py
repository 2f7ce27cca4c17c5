"""Copies are found, also after JPEG, shifts, zooms and mirroring; other images are not."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn.functional import avg_pool2d, interpolate

from gan.data.builtin.retro import draw
from gan.evaluation.sets import Sets
from gan.evaluation.tables import nearest_pairs
from gan.metrics import copies
from gan.metrics.copies import CopySearch
from gan.metrics.distances import distances


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


@pytest.fixture(scope="module")
def search(images: Tensor) -> CopySearch:
    return CopySearch(images[:300], images[300:400])


def resized(images: Tensor) -> Tensor:
    return interpolate(images.float(), (32, 32), mode="bilinear").byte()


def blended(images: Tensor) -> Tensor:
    return (0.7 * images.float() + 0.3 * images.roll(1, 0).float()).byte()


def shifted(images: Tensor) -> Tensor:
    """Return images shifted by 1/8 of their sides, with the border of augmented images."""
    filled = torch.full_like(images, 128)
    filled[:, :, 4:, 4:] = images[:, :, :-4, :-4]
    return filled


CHANGES: dict[str, Callable[[Tensor], Tensor]] = {
    "the same": lambda x: x,
    "JPEG": lambda x: after_jpeg(x, 75),
    "shifted by 1/8": shifted,
    "shifted by half a pixel": lambda x: avg_pool2d(x.float(), 2, 1, 1)[:, :, 1:, 1:].byte(),
    "shifted by parts of a cell": lambda x: x.roll((3, -1), (2, 3)),
    "zoomed": lambda x: resized(x[:, :, 3:-3, 3:-3]),
    "cropped": lambda x: resized(x[:, :, 5:-1, 1:-5]),
    "brightened": lambda x: (x.float() + 40).clamp(0, 255).byte(),
    "more contrast": lambda x: (x.float() * 1.3).clamp(0, 255).byte(),
    "mirrored": lambda x: x.flip(3),
    "blended": blended,
}


@pytest.mark.slow
@pytest.mark.parametrize("change", CHANGES)
def test_copies_are_found(change: str, images: Tensor, search: CopySearch) -> None:
    found = search.search(CHANGES[change](images[:100]))
    assert found.rate is not None and found.rate >= 0.9
    assert (found.source == torch.arange(100)).float().mean() >= (0.8 if change == "blended" else 0.9)


def test_other_images_are_no_copies(images: Tensor, search: CopySearch) -> None:
    rate = search.search(images[400:500]).rate
    assert rate is not None and rate <= 0.12
    noise = torch.randint(0, 256, (20, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    assert search.search(noise).rate == 0


def test_training_images_are_compared_with_others_if_few_are_held_out(images: Tensor) -> None:
    search = CopySearch(images[:100], images[100:120])
    assert search.limit > 0.1  # an image itself has distance 0
    rate = search.search(images[:20]).rate
    assert rate is not None and rate >= 0.9


def test_memory_does_not_grow_with_the_number_of_pairs(
    images: Tensor, search: CopySearch, monkeypatch: pytest.MonkeyPatch
) -> None:
    expected = search.search(images[:20])
    monkeypatch.setattr(copies, "PAIRS", 100)  # 5 training images at a time instead of all
    monkeypatch.setattr(copies, "BLOCK", 3)
    found = search.search(images[:20])
    assert torch.equal(found.source, expected.source)
    torch.testing.assert_close(found.distance, expected.distance, atol=1e-3, rtol=0)


def test_copies_are_not_measured_with_few_training_images(images: Tensor) -> None:
    for count in (1, copies.CANDIDATES):
        found = CopySearch(images[:count], images[400:500]).search(images[:5])
        assert found.rate is None and found.source[0] == 0


def test_mirror_images_are_shown_as_their_originals(images: Tensor, search: CopySearch) -> None:
    generated = images[:40].flip(3)
    found = search.search(generated)
    assert found.mirrored.float().mean() > 0.5  # sprites are symmetric
    shown = nearest_pairs(Sets(generated, images[400:], images[:300], True), found, 10)
    assert torch.equal(shown[0::2], shown[1::2])


def test_an_image_has_distance_0_from_itself() -> None:
    x = 1000 + torch.randn(50, 8, generator=torch.Generator().manual_seed(0)).double()
    assert torch.equal(distances(x, x).diagonal(), torch.zeros(50, dtype=torch.float64))
