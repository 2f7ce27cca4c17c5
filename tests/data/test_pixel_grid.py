"""The grid of built-in sprites is found after enlarging, and in no other image."""

from io import BytesIO

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import gaussian_filter

from gan.data.builtin import retro
from gan.data.pixel_grid import Axis, Grid, find_grid, grid_of_side, restore

SPRITE, PHOTOGRAPH = 1, 2  # places of the classes in the cycle of indices


def sprite(number: int, side: int = 24) -> np.ndarray:
    return retro.draw(7, 4 * number + SPRITE, side, side)


def cut_out(pixels: np.ndarray) -> np.ndarray:
    """Return a sprite as RGBA whose most frequent color is transparent, with other colors below."""
    colors, counts = np.unique(pixels.reshape(-1, 3), axis=0, return_counts=True)
    alpha = np.where((pixels == colors[counts.argmax()]).all(2), 0, 255).astype(np.uint8)
    noise = np.random.default_rng(0).integers(0, 256, pixels.shape, dtype=np.uint8)
    return np.dstack([np.where(alpha[..., None] > 0, pixels, noise), alpha])


def enlarged(pixels: np.ndarray, factor: int) -> np.ndarray:
    return pixels.repeat(factor, 0).repeat(factor, 1)


def jpeg(pixels: np.ndarray) -> np.ndarray:
    file = BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=80)
    return np.asarray(Image.open(file))


def blurred(pixels: np.ndarray, sigma: float) -> np.ndarray:
    return np.rint(gaussian_filter(pixels.astype(float), (sigma, sigma, 0), mode="nearest")).astype(np.uint8)


def is_right(grid: Grid | None, factor: float, columns: float = 0.0, rows: float = 0.0) -> bool:
    return grid is not None and (grid.columns, grid.rows) == (Axis(factor, columns), Axis(factor, rows))


@pytest.mark.parametrize("factor", [2, 3, 5, 16])
def test_sprites_without_smoothing_come_back(factor: int) -> None:
    for number in range(4):
        small = sprite(number)
        large = enlarged(small, factor)
        grid = find_grid(large)
        assert grid is not None and grid.exact and is_right(grid, factor)
        assert np.array_equal(restore(large, grid), small)


def test_a_cropped_sprite_has_an_offset_and_loses_cells_whose_center_is_outside() -> None:
    small = sprite(0)
    large = enlarged(small, 5)[4:-1, 7:]  # a fifth of the first row is left, and three fifths of the second column
    grid = find_grid(large)
    assert grid is not None and is_right(grid, 5, 3, 1)
    assert grid.size(*large.shape[:2]) == (23, 23)
    assert np.array_equal(restore(large, grid), small[1:, 1:])


def test_colors_below_transparent_pixels_do_not_count() -> None:
    small = cut_out(sprite(1))
    large = enlarged(small, 3)
    hidden = large[..., 3] == 0
    large[hidden, :3] = np.random.default_rng(1).integers(0, 256, (hidden.sum(), 3))
    grid = find_grid(large)
    assert grid is not None and is_right(grid, 3)
    restored = restore(large, grid)
    seen = small[..., 3] > 0
    assert np.array_equal(restored[..., 3], small[..., 3]) and np.array_equal(restored[seen], small[seen])


def test_a_blurred_sprite_gets_its_colors_back() -> None:
    small = sprite(2)
    large = blurred(enlarged(small, 6), 6 / 4)
    grid = find_grid(large)
    assert grid is not None and is_right(grid, 6) and not grid.exact and grid.blur > 0
    error = np.abs(restore(large, grid).astype(int) - small)
    assert error.mean() < 1.5 < np.abs(large[3::6, 3::6].astype(int) - small).mean()  # the center alone is mixed


def test_a_jpeg_and_a_soft_alpha() -> None:
    small = cut_out(sprite(3))
    large = Image.fromarray(small).convert("RGBa").resize((24 * 7, 24 * 7), Image.Resampling.BICUBIC).convert("RGBA")
    grid = find_grid(np.asarray(large))
    assert grid is not None and is_right(grid, 7)
    restored = restore(np.asarray(large), grid)
    assert np.mean((restored[..., 3] > 127) == (small[..., 3] > 127)) > 0.98
    assert not restored[restored[..., 3] == 0].any()
    grid = find_grid(jpeg(enlarged(sprite(3), 4)))
    assert is_right(grid, 4)


def test_cells_of_fractions_of_pixels_and_rectangles() -> None:
    small = Image.fromarray(sprite(4, 31))
    for size in ((109, 109), (124, 155)):  # 3.5 by 3.5, and 4 by 5 pixels
        large = np.asarray(small.resize(size, Image.Resampling.NEAREST))
        grid = find_grid(large)
        assert grid is not None
        assert (grid.columns.period, grid.rows.period) == pytest.approx((size[0] / 31, size[1] / 31), rel=0.01)
        assert np.mean((restore(large, grid) == np.asarray(small)).all(2)) > 0.99


def test_other_images_have_no_grid() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    stripes = np.broadcast_to(np.arange(64)[:, None, None] % 2 * 255, (64, 64, 3)).astype(np.uint8)
    blank, dot = np.zeros((40, 30, 4), np.uint8), np.ones((1, 1, 3), np.uint8)
    square = enlarged(np.eye(2, dtype=np.uint8)[..., None].repeat(3, 2) * 255, 8)  # two edges are on many grids
    for image in (noise, stripes, blank, dot, square, np.zeros((1, 500, 3), np.uint8)):
        assert find_grid(image) is None
    for number in range(5):
        assert find_grid(sprite(number)) is None
        photograph = retro.draw(7, 4 * number + PHOTOGRAPH, 96, 96)
        assert find_grid(photograph) is None and find_grid(jpeg(photograph)) is None


def test_the_side_of_cells_may_be_given() -> None:
    small = sprite(5)
    large = blurred(enlarged(small, 4), 1.0)[2:, 1:]
    grid = grid_of_side(large, 4)
    assert is_right(grid, 4, 3, 2)
    assert grid_of_side(np.zeros((9, 9, 3), np.uint8), 4).size(9, 9) == (2, 2)


def test_edges_rise_from_start_to_end() -> None:
    assert Axis(4.0, 1.0).all_edges(10).tolist() == [0, 1, 5, 9, 10] and Axis(4.0, 1.0).edges(10).tolist() == [0, 5, 10]
    for axis in (Axis(2.0, 1.0), Axis(3.7, 3.6), Axis(5.0, 2.0), Axis(40.0, 3.0)):
        for length in (1, 2, 9, 31):
            edges = axis.edges(length)
            assert edges[0] == 0 and edges[-1] == length and (np.diff(edges) > 0).all()
