"""Files of enlarged pixel art are written at their own size, whatever their format."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan.data.builtin import retro
from gan.data.sources.files import single
from gan.pixel_art.cells import Unscaler


def sprite(number: int) -> np.ndarray:
    return retro.draw(7, 4 * number + 1, 24, 24)


def large(number: int, factor: int = 4) -> Image.Image:
    return Image.fromarray(sprite(number).repeat(factor, 0).repeat(factor, 1))


def unscale(path: Path, **options: object) -> tuple[object, Path]:
    target = path.with_name(f"{path.stem} done.png")
    return Unscaler(**options)((single(path), target)), target  # type: ignore[arg-type]


def test_an_image(tmp_path: Path) -> None:
    large(0).save(tmp_path / "a.bmp")
    done, target = unscale(tmp_path / "a.bmp")
    assert done == ("", "4x")
    with Image.open(target) as image:
        assert image.format == "PNG" and np.array_equal(np.asarray(image), sprite(0))


def test_frames_have_the_grid_of_the_first(tmp_path: Path) -> None:
    frames = [large(0), large(1), Image.new("RGB", (96, 96), "red")]
    frames[0].save(tmp_path / "a.png", save_all=True, append_images=frames[1:], duration=[40, 60, 80])
    _, target = unscale(tmp_path / "a.png")
    with Image.open(target) as image:
        assert image.size == (24, 24) and image.n_frames == 3  # type: ignore[attr-defined]
        image.seek(1)
        assert np.array_equal(np.asarray(image.convert("RGB")), sprite(1)) and image.info["duration"] == 60


def test_images_without_a_grid_stay(tmp_path: Path) -> None:
    alpha = Image.fromarray(np.tri(24, dtype=np.uint8) * 255)
    image = Image.fromarray(sprite(2))
    image.putalpha(alpha)
    image.save(tmp_path / "a.png")
    done, target = unscale(tmp_path / "a.png")
    assert done == ("", "")
    with Image.open(target) as written:
        assert np.array_equal(np.asarray(written), np.asarray(image))


def test_the_cell_may_be_given(tmp_path: Path) -> None:
    large(3, 6).save(tmp_path / "a.png")
    done, target = unscale(tmp_path / "a.png", side=3.0)  # half of the found one
    assert done == ("", "3x")
    with Image.open(target) as image:
        assert image.size == (48, 48)


@pytest.mark.parametrize(("content", "reason"), [(b"hello", "not a PNG"), (b"", "empty")])
def test_unreadable_files(content: bytes, reason: str, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(content)
    done, target = unscale(tmp_path / "a.png")
    assert reason in done.error and not target.exists()  # type: ignore[attr-defined]
