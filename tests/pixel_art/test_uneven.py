"""Cells that differ in size, as image generators draw pixel art."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan.pixel_art import uneven
from tests.conftest import Train


def art(height: int, width: int, rng: np.random.Generator) -> np.ndarray:
    """Return pixel art uint8 (height, width, 4) of areas in a few colors, some of them transparent."""
    field = gaussian_filter(rng.normal(size=(height, width)), 1)
    numbers = np.digitize(field, np.quantile(field, [0.2, 0.4, 0.6, 0.8]))
    colors = rng.integers(0, 256, (5, 4))
    colors[:, 3] = (0, 255, 255, 255, 255)
    colors[0] = 0
    return colors[numbers].astype(np.uint8)


def enlarged(small: np.ndarray, rng: np.random.Generator, spread: float, side: float = 8) -> np.ndarray:
    """Enlarge an image with cells whose sides are between (1 - spread) and (1 + spread) times `side`."""
    for axis in (0, 1):
        ends = np.rint(np.cumsum(side * rng.uniform(1 - spread, 1 + spread, small.shape[axis]))).astype(int)
        small = small.repeat(np.diff(ends, prepend=0), axis)
    return small


@pytest.mark.parametrize("seed", range(6))
def test_cells_are_found_and_keep_their_colors(seed: int) -> None:
    rng = np.random.default_rng(seed)
    small = art(20, 28, rng)
    large = enlarged(small, rng, 0.3)
    cells = uneven.find_cells(large)
    assert cells is not None and np.array_equal(uneven.restore(large, *cells), small)


def test_smoothed_noisy_images() -> None:
    right = 0
    for seed in range(8):
        rng = np.random.default_rng(seed)
        small = art(24, 24, rng)[..., :3]
        large = gaussian_filter(enlarged(small, rng, 0.2).astype(float), (0.8, 0.8, 0))
        noisy = (large + rng.normal(0, 3, large.shape)).clip(0, 255).astype(np.uint8)
        cells = uneven.find_cells(noisy)
        restored = None if cells is None else uneven.restore(noisy, *cells)
        right += (
            restored is not None
            and restored.shape == small.shape
            and bool((np.abs(restored.astype(int) - small) < 16).all(2).mean() > 0.95)
        )
    assert right >= 7


@pytest.mark.parametrize("size", [(1, 1), (1, 300), (20, 20), (64, 64)])
def test_images_without_cells(size: tuple[int, int]) -> None:
    ramp = np.broadcast_to(np.linspace(0, 255, size[1]), size).astype(np.uint8)
    assert uneven.find_cells(np.stack([ramp] * 3, -1)) is None
    noise = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    assert uneven.find_cells(noise) is None


def test_the_command(tmp_path: Path, gan_command: Train) -> None:
    rng = np.random.default_rng(0)
    small = art(20, 28, rng)
    (tmp_path / "in").mkdir()
    Image.fromarray(enlarged(small, rng, 0.3)).save(tmp_path / "in" / "art.png")
    said = gan_command("data", "unscale", "in", "out", "--uneven").stdout
    assert "1 image restored (8" in said
    with Image.open(tmp_path / "out" / "art.png") as image:
        assert np.array_equal(np.asarray(image), small)
    gan_command("data", "unscale", "in", "again", "--uneven", "--cell", "8.2")
    with Image.open(tmp_path / "again" / "art.png") as image:
        assert image.size == (28, 20)
