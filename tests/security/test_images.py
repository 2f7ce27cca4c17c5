"""Hostile image files: no code runs, memory and time are limited, other files are read, and there is no traceback."""

import json
import struct
import subprocess
import sys
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tests.conftest import ROOT
from tests.patience import PATIENCE

from ..commands.test_translate import run as trained_run  # noqa: F401 (a fixture)
from .conftest import limited, snapshot

pytestmark = pytest.mark.slow

GOOD = ("good.png", "later.jpg")


def saved(kind: str, size: tuple[int, int] = (24, 18), **options: Any) -> bytes:
    file = BytesIO()
    pixels = np.random.default_rng(0).integers(0, 256, (*size[::-1], 3), np.uint8)
    Image.fromarray(pixels).save(file, kind, **options)
    return file.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))


def png(width: int, height: int, *before: bytes, pixels: bytes = b"\0" * 8) -> bytes:
    """Return a one-bit PNG with chunks before its pixels; its header may be wrong."""
    head = struct.pack(">IIBBBBB", width, height, 1, 0, 0, 0, 0)
    body = b"".join((chunk(b"IHDR", head), *before, chunk(b"IDAT", zlib.compress(pixels)), chunk(b"IEND", b"")))
    return b"\x89PNG\r\n\x1a\n" + body


def bomb(side: int) -> bytes:
    return png(side, side, pixels=bytes(side * (1 + -(-side // 8))))


def gif(frames: int) -> bytes:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0) + b"\x02\x02\x44\x01\x00"
    return b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + b"\0\0\0\xff\xff\xff" + frame * frames + b";"


def webp(frames: int) -> bytes:
    file = BytesIO()
    images = [Image.new("RGB", (1, 1), (shade, 0, 0)) for shade in (0, 255)]
    images[0].save(file, "WEBP", save_all=True, append_images=images[1:], lossless=True)
    data = file.getvalue()
    first = data.index(b"ANMF")
    frame = data[first : first + 8 + int.from_bytes(data[first + 4 : first + 8], "little")]
    body = data[12:first] + frame * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def tiff(tags: dict[int, tuple[int, int, int]], following: int = 0, pages: int = 1) -> bytes:
    """Return a TIFF of pages without pixels and with these tags (type, count, value); the last points to another."""
    size = 2 + 12 * len(tags) + 4
    out = b"II*\0" + struct.pack("<I", 8)
    for page in range(pages):
        out += struct.pack("<H", len(tags))
        for tag, (kind, count, value) in sorted(tags.items()):
            out += struct.pack("<HHII", tag, kind, count, value)
        out += struct.pack("<I", 8 + (page + 1) * size if page + 1 < pages else following)
    return out + bytes(64)


def tags(width: int = 4, height: int = 4, **more: tuple[int, int, int]) -> dict[int, tuple[int, int, int]]:
    known = {256: (4, 1, width), 257: (4, 1, height), 258: (3, 1, 8), 259: (3, 1, 1), 262: (3, 1, 1)}
    known |= {273: (4, 1, 8), 277: (3, 1, 1), 278: (4, 1, height), 279: (4, 1, min(width * height, 1 << 31))}
    return known | {int(name[1:]): value for name, value in more.items()}


def exif_in_a_circle() -> bytes:
    """Return a JPEG with an EXIF table that points to itself."""
    table = b"MM\0*\0\0\0\x08" + struct.pack(">HHHII", 1, 0x8769, 4, 1, 8) + struct.pack(">I", 8)
    data = saved("JPEG")
    segment = b"Exif\0\0" + table
    return data[:2] + b"\xff\xe1" + struct.pack(">H", 2 + len(segment)) + segment + data[2:]


def pcx(right: int, bottom: int, line: int = 24) -> bytes:
    """Return the header of a PCX with these last column and row, and this number of bytes of a line."""
    corners = 0, 0, right % 65_536, bottom % 65_536
    return struct.pack("<BBBBHHHHHH49xBHH58x", 10, 5, 1, 8, *corners, 72, 72, 3, line, 1)


POSTSCRIPT = b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n(canary) (w) file closefile\nshowpage\n"
MEGABYTES = 1 << 20
LIMIT = "limit of"
BROKEN = r"damaged|not a PNG"
HOSTILE: dict[str, tuple[Callable[[], bytes], str | None]] = {  # what is said of it; None: it can be read
    "bomb 13000.png": (lambda: bomb(13_000), LIMIT),
    "bomb 14000.png": (lambda: bomb(14_000), LIMIT),
    "header of a billion.png": (lambda: png(1 << 30, 1 << 30), LIMIT),
    "long and thin.png": (lambda: png((1 << 31) - 1, 1), LIMIT),
    "text of 200 MB.png": (
        lambda: png(9, 9, chunk(b"zTXt", b"k\0\0" + zlib.compress(bytes(200 * MEGABYTES)))),
        BROKEN,
    ),
    "profile of 200 MB.png": (
        lambda: png(9, 9, chunk(b"iCCP", b"k\0\0" + zlib.compress(bytes(200 * MEGABYTES)))),
        BROKEN,
    ),
    "no profile.jpg": (lambda: saved("JPEG", icc_profile=b"nothing" * 10_000), None),
    "EXIF of 20 MB.png": (
        lambda: png(9, 9, chunk(b"eXIf", b"MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 20 * MEGABYTES), pixels=bytes(27)),
        None,
    ),
    "EXIF in a circle.jpg": (exif_in_a_circle, None),
    "100,000 frames.gif": (lambda: gif(100_000), "frames are more"),
    "100,000 frames.webp": (lambda: webp(100_000), "frames are more"),
    "two billion frames.png": (
        lambda: png(9, 9, chunk(b"acTL", struct.pack(">II", (1 << 31) - 1, 0)), pixels=bytes(27)),
        "frames are more",
    ),
    "20,000 pages.tif": (lambda: tiff(tags(), pages=20_000), "frames are more"),
    "wide.tif": (lambda: tiff(tags(width=(1 << 32) - 1)), LIMIT),
    "no width.tif": (lambda: tiff({257: (4, 1, 4)}), BROKEN),
    "endless strips.tif": (lambda: tiff(tags(t273=(4, (1 << 32) - 1, 8), t279=(4, (1 << 32) - 1, 8))), ""),
    "strips beyond the end.tif": (lambda: tiff(tags(t273=(4, 1, 0xFFFFFF00))), BROKEN),
    "wide.bmp": (
        lambda: b"BM" + struct.pack("<IIIIiiHHIIiiII", 99, 0, 54, 40, 1 << 30, 1 << 30, 1, 24, 0, 0, 0, 0, 0, 0),
        LIMIT,
    ),
    "wide.jpg": (lambda: saved("JPEG").replace(struct.pack(">HH", 18, 24), struct.pack(">HH", 65_500, 65_500)), LIMIT),
    "wide.pcx": (lambda: pcx(65_535, 65_535), LIMIT),
    "short lines.pcx": (lambda: pcx(23, 17, line=1) + b"\xff\0" * 900, BROKEN),
    "wide.ppm": (lambda: b"P6 1000000000 1000000000 255\n", LIMIT),
    "long number.ppm": (lambda: b"P6 " + b"9" * 20 * MEGABYTES, BROKEN),
    "long comment.ppm": (lambda: b"P6 #" + b" " * 20 * MEGABYTES, BROKEN),
    "text.ppm": (lambda: b"P3 4000 4000 255\n" + b"x " * 99, BROKEN),
    "empty.png": (lambda: b"", "the file is empty"),
    "noise.png": (lambda: np.random.default_rng(0).bytes(100_000), BROKEN),
    "cut.png": (lambda: saved("PNG")[:200], BROKEN),
    "program.png": (lambda: POSTSCRIPT, BROKEN),
    "drawing.png": (lambda: b"<svg><image href='file:///etc/passwd'/></svg>", BROKEN),
    "document.tif": (lambda: b"%PDF-1.4\n1 0 obj<</Type/Catalog/OpenAction<</S/Launch/F(canary)>>>>endobj", BROKEN),
    "\x1b[2J\nerror: all is lost.png": (lambda: b"", "the file is empty"),
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("hostile") / "in"
    folder.mkdir()
    for name in GOOD:
        (folder / name).write_bytes(saved("JPEG" if name.endswith("jpg") else "PNG"))
    for name, (data, _) in HOSTILE.items():
        (folder / name).write_bytes(data())
    return folder


@pytest.fixture(scope="module")
def report(folder: Path) -> dict[str, Any]:
    """Return the report of `gan data check`."""
    before = snapshot(folder.parent)
    result = limited("data", "check", "in", "--json", folder=folder.parent, check=0)
    assert snapshot(folder.parent) == before
    report: dict[str, Any] = json.loads(result.stdout)
    return report


def test_all_valid_files_are_read_and_the_report_is_complete(report: dict[str, Any]) -> None:
    assert report["files"] == len(GOOD) + len(HOSTILE)
    assert not report["unreadable"].keys() & {*GOOD}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_one_line_of_the_report(name: str, report: dict[str, Any]) -> None:
    said, expected = report["unreadable"].get(name), HOSTILE[name][1]
    if expected is None:
        assert said is None
    elif expected:
        assert said is not None and "crashed" not in said and "\n" not in said
        assert any(part in said for part in expected.split("|"))


@pytest.fixture(scope="module")
def translated(folder: Path, trained_run: Path) -> tuple[Path, list[str]]:  # noqa: F811
    """Return the outputs and the messages of `gan translate`."""
    before = snapshot(folder)
    words = ("translate", str(trained_run), "in", "out")
    result = limited(*words, folder=folder.parent, check=3, memory=3 << 30)
    assert snapshot(folder) == before
    assert {path.name for path in folder.parent.iterdir()} == {"in", "out"}
    return folder.parent / "out", result.stderr.splitlines()


@pytest.mark.parametrize("name", [*HOSTILE, *GOOD])
def test_a_hostile_file_is_not_translated(name: str, translated: tuple[Path, list[str]]) -> None:
    out, lines = translated
    expected = HOSTILE[name][1] if name in HOSTILE else None
    if expected is None:
        assert (out / name).exists()
    elif expected:
        assert not (out / name).exists()
    assert len(lines) <= 21 and lines[-1].endswith("files could not be translated")


def test_a_file_that_becomes_a_pipe_after_the_scan_is_not_waited_for(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(saved("PNG"))
    script = ["import os, sys", "from gan.data.decoding.reader import ImageError"]
    script += ["from gan.data.sources.files import content, find", "(file,) = find([sys.argv[1]])"]
    script += ["os.unlink(file.path)", "os.mkfifo(file.path)", "try:", "    content(file)"]
    script += ["except ImageError as error:", "    print(error)"]
    words = [sys.executable, "-c", "\n".join(script), str(tmp_path)]
    result = subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=PATIENCE)
    assert result.stdout == "it is not a regular file\n"
