"""Cells, palettes, dithering, and files of enlarged pixel art."""

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.data.builtin import retro
from gan.data.sources.files import single
from gan.pixel_art.cells import PixelArt, Unscaled, recolored, to_pixel_art, unscale

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


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_generated_images_get_the_colors_of_a_palette(channels: int) -> None:
    pixels = torch.randint(0, 256, (2, channels, 8, 9), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    if channels == 4:
        pixels[:, :3] = torch.minimum(pixels[:, :3], pixels[:, 3:])  # premultiplied
    done = recolored(pixels, INKS, "bayer")
    assert done.shape == (2, max(channels, 3), 8, 9) and done.dtype == torch.uint8
    for image in done:
        color = image[:3] if channels < 4 else image[:3, image[3] == 255].unsqueeze(1)
        assert {tuple(each) for each in color.flatten(1).T.tolist()} <= {tuple(each) for each in INKS.tolist()}
    if channels == 4:
        assert torch.equal(done[:, 3] == 255, pixels[:, 3] >= 128)
        assert not (done[:, :3] * (done[:, 3:] == 0)).any()


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
        assert image.size == (24, 24) and image.n_frames == 3
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
