"""Cells, palettes, dithering, and files of enlarged pixel art."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.builtin import retro
from gan.data.sources.files import single
from gan.pixel_art import (
    Nearest,
    PixelArt,
    Unscaled,
    bayer_matrix,
    dithered,
    fit_palette,
    floyd_steinberg,
    palette_of,
    read_palette,
    to_light,
    to_pixel_art,
    unscale,
)
from gan.utils.colors import COLORS, DITHERS, MONOCHROME
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


def test_transparent_pixels_take_no_part_in_dithering() -> None:
    source = np.full((8, 8, 4), 120, np.uint8)
    source[..., 3] = np.tri(8, dtype=np.uint8) * 255
    art = PixelArt(2, np.array([[0, 0, 0], [255, 255, 255]], np.uint8), "floyd_steinberg")
    other = source.copy()
    other[source[..., 3] == 0] = 0
    seen = source[..., 3] > 0
    assert np.array_equal(art(source[..., :3], source)[seen], art(other[..., :3], other)[seen])


# ---- dithering

RAMP = np.broadcast_to(np.linspace(0, 255, 64)[None, :, None], (48, 64, 3)).astype(np.uint8)


def noise(height: int, width: int) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (height, width, 3), dtype=np.uint8)


@pytest.mark.parametrize("name", COLORS)
def test_palettes(name: str) -> None:
    palette = palette_of(name)
    assert palette.shape == (len(np.unique(palette, axis=0)), 3)


@pytest.mark.parametrize("method", DITHERS)
def test_colors_of_the_palette_stay(method: str) -> None:
    palette = palette_of("nes")
    image = palette[np.random.default_rng(0).integers(0, len(palette), (9, 11))]
    assert np.array_equal(dithered(image, palette, method), image)


@pytest.mark.parametrize(
    ("method", "most"), [("floyd_steinberg", 0.01), ("bayer2", 0.1), ("bayer", 0.03), ("bayer8", 0.01)]
)
def test_the_mean_light_stays(method: str, most: float) -> None:
    palette = np.array([[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 0, 255]], np.uint8)
    done = dithered(RAMP, palette, method)
    error = np.abs(to_light(done).mean((0, 1)) - to_light(RAMP).mean((0, 1))).max()
    plain = np.abs(to_light(dithered(RAMP, palette)).mean((0, 1)) - to_light(RAMP).mean((0, 1))).max()
    assert error < most < plain


def test_floyd_and_steinberg_pixel_by_pixel() -> None:
    image, palette = noise(7, 10), palette_of("pico8")
    seen = np.random.default_rng(1).random((7, 10)) > 0.2
    nearest, colors, light = Nearest(palette), to_light(palette), np.zeros((8, 12, 3), np.float32)
    light[:7, 1:-1] = to_light(image)
    expected = np.zeros((7, 10), int)
    for row in range(7):
        for column in range(10):
            wanted = light[row, column + 1].clip(-0.5, 1.5)
            expected[row, column] = best = nearest(wanted.clip(0, 1))
            for down, right, weight in ((0, 1, 7), (1, -1, 3), (1, 0, 5), (1, 1, 1)):
                light[row + down, column + 1 + right] += (wanted - colors[best]) * seen[row, column] * (weight / 16)
    assert np.mean(floyd_steinberg(image, palette, seen) == expected) > 0.98  # sums are in another order


@pytest.mark.parametrize(("method", "side"), [("bayer2", 2), ("bayer", 4), ("bayer8", 8)])
def test_ordered_dithering_depends_on_place_and_color_only(method: str, side: int) -> None:
    image, palette = noise(24, 24), palette_of("c64")
    whole = dithered(image, palette, method)
    assert np.array_equal(dithered(image[side:, 2 * side :], palette, method), whole[side:, 2 * side :])
    changed = image.copy()
    changed[5, 6] = 255 - changed[5, 6]
    differs = (dithered(changed, palette, method) != whole).any(2)
    differs[5, 6] = False
    assert not differs.any()
    assert sorted(bayer_matrix(side).reshape(-1)) == list(range(side * side))
    assert bayer_matrix(4).tolist() == [[0, 8, 2, 10], [12, 4, 14, 6], [3, 11, 1, 9], [15, 7, 13, 5]]


@pytest.mark.parametrize("name", MONOCHROME)
def test_monochrome_palettes_show_lightness(name: str) -> None:
    palette = palette_of(name)
    done = dithered(RAMP, palette)[0]
    tones = to_light(done).sum(1)
    assert {tuple(color) for color in done} == {tuple(color) for color in palette}
    assert (np.diff(tones) >= 0).all()


# ---- enlarged pixel art gets its own size, whatever the format of its file


def sprite(number: int) -> np.ndarray:
    return retro.draw(7, 4 * number + 1, 24, 24)


def large(number: int, factor: int = 4) -> Image.Image:
    return Image.fromarray(sprite(number).repeat(factor, 0).repeat(factor, 1))


def unscaled(path: Path, side: float | None = None) -> tuple[Unscaled, Path]:
    target = path.with_name(f"{path.stem} done.png")
    return unscale((single(path), target), side), target


def test_a_file_gets_its_own_size(tmp_path: Path) -> None:
    large(0).save(tmp_path / "a.bmp")
    done, target = unscaled(tmp_path / "a.bmp")
    assert done == ("", "4x")
    with Image.open(target) as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), sprite(0))


def test_frames_have_the_grid_of_the_first(tmp_path: Path) -> None:
    frames = [large(0), large(1), Image.new("RGB", (96, 96), "red")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=[40, 60, 80])
    _, target = unscaled(tmp_path / "a.png")
    with Image.open(target) as image:
        assert image.size == (24, 24) and image.n_frames == 3  # type: ignore[attr-defined]
        image.seek(1)
        assert np.array_equal(np.asarray(image.convert("RGB")), sprite(1)) and image.info["duration"] == 60


def test_images_without_a_grid_stay(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.tri(24, dtype=np.uint8) * 255)
    image = Image.fromarray(sprite(2))
    image.putalpha(alpha)
    image.save(tmp_path / "a.png")
    done, target = unscaled(tmp_path / "a.png")
    assert done == ("", "")
    with Image.open(target) as written:
        assert np.array_equal(np.asarray(written), np.asarray(image))


def test_the_cell_may_be_given(tmp_path: Path) -> None:
    large(3, 6).save(tmp_path / "a.png")
    done, target = unscaled(tmp_path / "a.png", side=3.0)  # half of the found one
    assert done == ("", "3x")
    with Image.open(target) as image:
        assert image.size == (48, 48)


@pytest.mark.parametrize(("content", "reason"), [(b"hello", "not a PNG"), (b"", "empty")])
def test_unreadable_files_are_not_restored(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    done, target = unscaled(tmp_path / "a.png")
    assert reason in done.error and not target.exists()
