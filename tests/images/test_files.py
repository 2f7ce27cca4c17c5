"""Durations, pages, resolution and EXIF are kept; unsupported formats raise."""

from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.data.decoding.reader import ImageError
from gan.images.files import read_contents, write

ARTIST = 0x013B


def frames(n: int, size: tuple[int, int] = (12, 9), mode: str = "RGB") -> list[Image.Image]:
    random = np.random.default_rng(0)
    return [Image.fromarray(random.integers(0, 256, (3, 4, 4), np.uint8)).resize(size).convert(mode) for _ in range(n)]


def saved(pictures: list[Image.Image], kind: str, **options: Any) -> bytes:
    file = BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if len(pictures) > 1 else {}
    pictures[0].save(file, kind, **more, **options)
    return file.getvalue()


def convert(data: bytes, path: Path, change: Any, format: str | None = None) -> Image.Image:
    contents = read_contents(data, format)
    write(contents, path, change, format)
    return Image.fromarray(contents.images[0])


def same(picture: Image.Image) -> Image.Image:
    return picture


@pytest.mark.parametrize("kind", ["GIF", "PNG", "WEBP"])
def test_animations_keep_durations_and_loop(kind: str, tmp_path: Path) -> None:
    data = saved(frames(4), kind, duration=[30, 70, 90, 50], loop=2)
    convert(data, tmp_path / "out", same)
    with Image.open(tmp_path / "out") as image:
        durations = []
        for frame in range(image.n_frames):
            image.seek(frame)
            image.load()
            durations.append(image.info["duration"])
        assert durations == [30, 70, 90, 50] and image.info["loop"] == 2 and image.format == kind


def test_pages_of_a_tiff(tmp_path: Path) -> None:
    pages = [*frames(2), *frames(1, (20, 5))]
    convert(saved(pages, "TIFF"), tmp_path / "out", same)
    with Image.open(tmp_path / "out") as image:
        for index, page in enumerate(pages):
            image.seek(index)
            assert np.array_equal(image.convert("RGB"), page)


@pytest.mark.parametrize("mode", ["L", "1", "P", "CMYK", "RGBA", "I;16", "YCbCr"])
@pytest.mark.parametrize("kind", ["TIFF", "PNG", "JPEG"])
def test_the_output_opens_and_looks_the_same(kind: str, mode: str, tmp_path: Path) -> None:
    if (kind, mode) in [("PNG", "CMYK"), ("PNG", "YCbCr"), ("JPEG", "P"), ("JPEG", "RGBA"), ("JPEG", "I;16"),
                        ("TIFF", "YCbCr")]:  # fmt: skip
        pytest.skip("there is no such file")
    picture = Image.fromarray(np.full((9, 12), 40_000, np.uint16)) if mode == "I;16" else frames(1, mode=mode)[0]
    exif = Image.Exif()
    exif[ARTIST] = "somebody"
    before = convert(saved([picture], kind, dpi=(300, 300), exif=exif), tmp_path / "out", same)
    with Image.open(tmp_path / "out") as after:
        assert after.format == kind and after.size == (12, 9)
        assert after.getexif()[ARTIST] == "somebody" and round(after.info["dpi"][0]) == 300
        difference = np.asarray(after.convert("RGB"), np.int32) - np.asarray(before.convert("RGB"), np.int32)
    assert np.abs(difference).mean() < (6 if kind == "JPEG" else 0.01)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_exif_is_kept(kind: str, tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[ARTIST] = "somebody"
    exif.get_ifd(0x8769).update({0x9003: "1977:05:25 12:00:00", 0x829A: 0.01, 0xA002: 999})
    exif.get_ifd(0x8825).update({1: "N", 2: (59.0, 20.0, 0.0)})
    convert(saved(frames(1), kind, exif=exif), tmp_path / "out", same)
    with Image.open(tmp_path / "out") as image:
        after = image.getexif()
        assert after[ARTIST] == "somebody" and after.get_ifd(0x8769)[0x9003] == "1977:05:25 12:00:00"
        assert 0xA002 not in after.get_ifd(0x8769) and after.get_ifd(0x8825)[1] == "N"


def test_exif_that_a_format_rejects_is_omitted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exif = Image.Exif()
    exif[0x010E] = "x" * 70_000  # a description that no segment of a JPEG holds
    convert(saved(frames(1), "PNG", exif=exif), tmp_path / "out.jpg", same, "JPEG")
    with Image.open(tmp_path / "out.jpg") as image:
        assert image.format == "JPEG" and not image.getexif()


def test_images_that_cannot_be_encoded_raise_an_image_error(tmp_path: Path) -> None:
    with pytest.raises(ImageError, match="cannot be written as WEBP"):
        convert(saved([Image.new("RGB", (17_000, 1))], "PNG"), tmp_path / "out", same, "WEBP")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("kind", ["PCX", "PPM"])
def test_formats_of_old_programs(kind: str, tmp_path: Path) -> None:
    """PCX and PPM have no alpha: what a translator makes transparent becomes white."""
    before = convert(saved(frames(1, mode="RGB"), kind), tmp_path / "out", lambda image: image.convert("RGBA"))
    with Image.open(tmp_path / "out") as after:
        assert (after.format, after.mode) == (kind, "RGB")
        assert np.array_equal(np.asarray(after.convert("RGB")), before)
