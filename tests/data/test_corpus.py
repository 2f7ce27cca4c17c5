"""A folder with many kinds of files: each has the expected pixels or message in training."""

from __future__ import annotations

import io
import os
import sys
import zipfile
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from PIL import Image

from gan.data.module import ImageDataModule

RED = (200, 40, 40)  # survives JPEG within a few levels


class Case(NamedTuple):
    data: bytes
    pixel: tuple[int, ...] | None = None  # RGB in the middle
    message: str = ""
    near: int = 0  # levels that it may be off


def file(image: Image.Image, form: str, **options: object) -> bytes:
    encoded = io.BytesIO()
    image.save(encoded, form, **options)
    return encoded.getvalue()


def flat(mode: str, color: object) -> Image.Image:
    return Image.new(mode, (24, 24), color)  # type: ignore[arg-type]


NOISE = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
FRAMES = [flat("RGB", RED), flat("RGB", (0, 0, 250))]
CORPUS = {
    "modes/RGB.bmp": Case(file(flat("RGB", RED), "BMP"), RED),
    "modes/CMYK.jpg": Case(file(flat("CMYK", (0, 204, 204, 55)), "JPEG", quality=95), (200, 40, 40), near=4),
    "several/animation.gif": Case(file(FRAMES[0], "GIF", save_all=True, append_images=FRAMES[1:]), RED),
    "several/animation.webp": Case(
        file(FRAMES[0], "WEBP", save_all=True, append_images=FRAMES[1:], lossless=True), RED
    ),
    "several/pages.tif": Case(file(FRAMES[0], "TIFF", save_all=True, append_images=FRAMES[1:]), RED),
    "odd/new\nline.png": Case(file(flat("RGB", RED), "PNG"), RED),
    "odd/quote'\"s and spaces.png": Case(file(flat("RGB", RED), "PNG"), RED),
    "odd/\U0001f0cf.png": Case(file(flat("RGB", RED), "PNG"), RED),
    "odd/PNG inside.jpg": Case(file(flat("RGB", RED), "PNG"), RED),
    "bad/cut.jpg": Case(file(NOISE, "JPEG")[:-2000], message="damaged, truncated"),
    "bad/cut.png": Case(file(NOISE, "PNG")[:-2000], message="damaged, truncated"),
    "bad/text.jpg": Case(b"<html>no image</html>", message="not a PNG, JPEG"),
    "bad/zero.png": Case(b"", message="the file is empty"),
}
IN_ZIP = {"../outside.png": Case(file(flat("RGB", RED), "PNG"), message="points outside the archive")}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("corpus")
    for name, case in CORPUS.items():
        path = root / "folder" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(case.data)
    os.mkfifo(root / "folder" / "pipe.png")
    (root / "folder" / "directory.png").mkdir()
    (root / "folder" / ".hidden.png").write_bytes(b"")
    os.symlink("..", root / "folder" / "odd" / "loop")
    os.symlink("../modes", root / "folder" / "odd" / "loop too")
    os.symlink("nowhere.png", root / "folder" / "odd" / "dangling.png")
    if sys.platform != "darwin":  # which refuses names that are not UTF-8
        (root / "folder" / os.fsdecode(b"odd/\xf5.png")).write_bytes(CORPUS["modes/RGB.bmp"].data)
    with zipfile.ZipFile(root / "more.zip", "w") as archive:
        for name, case in IN_ZIP.items():
            archive.writestr(name, case.data)
        archive.writestr("inside.png", CORPUS["odd/PNG inside.jpg"].data)
    return root


def expected() -> dict[str, Case]:
    odd = {os.fsdecode(b"odd/\xf5.png"): Case(b"", RED)} if sys.platform != "darwin" else {}
    return CORPUS | IN_ZIP | odd | {"inside.png": Case(b"", RED)}


def test_every_file_has_its_pixels_or_its_message(corpus: Path, capsys: pytest.CaptureFixture[str]) -> None:
    data = ImageDataModule([str(corpus / "folder"), str(corpus / "more.zip")], size=[24, 16], batch_size=4)
    data.setup("fit")
    said = capsys.readouterr().out
    cases = expected()
    bad = [name for name, case in cases.items() if case.message]
    assert f"{len(bad)} of {len(cases)} images" in said
    for name in bad:
        (line,) = (line for line in said.splitlines() if line.startswith(f"  {name!r}: "))
        assert cases[name].message in line

    names = sorted((name for name in CORPUS | {k: v for k, v in cases.items() if k.startswith("odd")}), key=os.fsencode)
    good = [name for name in [*names, "inside.png"] if not cases[name].message]
    read_frames = data.pixels[data.rows]
    assert len(read_frames) == len(good)
    for name, picture in zip(good, read_frames, strict=True):
        pixel, near = cases[name].pixel, cases[name].near
        assert pixel is not None and np.abs(picture[12, 8].astype(int) - pixel).max() <= near, (name, picture[12, 8])
