"""Cells, palettes and nearest colors."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.builtin import retro
from gan.pixel_art.cells import PixelArt, converter, fit_palette, read_palette, to_pixel_art
from gan.utils.errors import UserError

INKS = np.array([[10, 10, 10], [200, 40, 40], [240, 230, 200]], np.uint8)


def test_a_cell_has_its_mean_and_the_last_cells_are_cropped() -> None:
    picture = np.arange(3 * 5 * 7, dtype=np.uint8).reshape(3, 5, 7).transpose(1, 2, 0)
    done = to_pixel_art(picture, 2)
    assert done.shape == picture.shape
    assert done[0, 0, 0] == done[1, 1, 0] == np.rint(np.mean([0, 1, 7, 8]))
    assert done[4, 6, 1] == picture[4, 6, 1]
    assert np.array_equal(to_pixel_art(picture), picture)


def test_transparent_pixels_do_not_count_and_a_cell_may_exceed_the_image() -> None:
    picture = np.broadcast_to(np.array([[[200], [0], [90], [30]]], np.uint8), (2, 4, 3))
    alpha = np.array([[255, 0, 0, 0], [255, 0, 0, 0]], np.uint8)
    assert to_pixel_art(picture, 2, alpha=alpha)[0, :, 0].tolist() == [200, 200, 60, 60]
    assert (to_pixel_art(picture, 100_000) == 80).all()


def test_each_color_becomes_the_nearest() -> None:
    picture = np.array([[[30, 0, 20], [180, 60, 60], [255, 255, 255]]], np.uint8)
    assert to_pixel_art(picture, 1, INKS)[0].tolist() == INKS.tolist()


def test_a_sets_own_colors_are_found() -> None:
    choice = np.random.default_rng(0).integers(0, 3, (4, 20, 20))
    images = torch.from_numpy(INKS[choice]).permute(0, 3, 1, 2)
    for colors in (3, 8):  # no more than there are
        assert np.abs(fit_palette(images, colors).astype(int) - INKS).max() <= 1


def test_palettes_from_files(tmp_path: Path) -> None:
    Image.fromarray(INKS[None]).save(tmp_path / "inks.png")
    (tmp_path / "inks.hex").write_text("; facade\n#0a0a0a\nFFc82828\nF0E6C8 sand\nno color\n")
    (tmp_path / "inks.gpl").write_text("GIMP Palette\n# 3\n 10  10 10 black\n200 40 40\n240 230 200\tsand\n")
    for name in ("inks.png", "inks.hex", "inks.gpl"):
        assert read_palette(str(tmp_path / name)).tolist() == INKS.tolist()
    (tmp_path / "empty.txt").touch()
    (tmp_path / "long.txt").write_text("1b2a41\n" * 200_000)
    for name, said in (("none.png", "No such file"), ("empty.txt", "has no colors"), ("long.txt", "has no colors")):
        with pytest.raises(UserError, match=said):
            read_palette(str(tmp_path / name))


def test_a_palette_by_its_name_and_an_unknown_one() -> None:
    assert read_palette("cga1").tolist() == [[0, 0, 0], [85, 255, 255], [255, 85, 255], [255, 255, 255]]
    with pytest.raises(UserError, match="gameboy, gameboy_pocket, pico8"):
        read_palette("gamebay")


def test_auto_cells_are_those_of_the_input() -> None:
    source = retro.draw(7, 1, 24, 24).repeat(4, 0).repeat(4, 1)[3:, 2:]
    translation = np.random.default_rng(0).integers(0, 256, source.shape, dtype=np.uint8)
    done = PixelArt("auto")(translation, source)
    assert (done[1:5, 2:6] == np.rint(translation[1:5, 2:6].mean((0, 1)))).all()
    assert (done[0, :2] == np.rint(translation[0, :2].mean(0))).all()  # a part of a cell
    assert done.shape == source.shape and (done[1::4, 2:6] == done[4::4, 2:6]).all()
    photograph = retro.draw(7, 2, 48, 48)
    assert np.array_equal(PixelArt("auto")(photograph, photograph), photograph)
    assert converter() is None


def test_transparent_pixels_take_no_part_in_dithering() -> None:
    source = np.full((8, 8, 4), 120, np.uint8)
    source[..., 3] = np.tri(8, dtype=np.uint8) * 255
    art = PixelArt(2, np.array([[0, 0, 0], [255, 255, 255]], np.uint8), "floyd_steinberg")
    other = source.copy()
    other[source[..., 3] == 0] = 0
    seen = source[..., 3] > 0
    assert np.array_equal(art(source[..., :3], source)[seen], art(other[..., :3], other)[seen])
