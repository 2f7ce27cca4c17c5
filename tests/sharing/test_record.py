"""Records of images: seeds, checks of untrusted values, and the text in each format."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gan
from gan.common.errors import UserError
from gan.images import files
from gan.sharing import record

GOOD: dict[str, Any] = {"format": 1, "software": "retro-gan 0.1.0", "kind": "image", "model": "a" * 32, "images": 16}
TEXT = record.to_text(GOOD | {"class": "<\"neon\"> & 'ü'", "seed": 3})


def test_seeds_are_ranges() -> None:
    for seeds in ([0], [0, 1], [0, 1, 2, 3, 9], [5, 4, 3, 3], [7, 8, 9, 0, 1, 2]):
        assert record.is_seeds(record.compact(seeds))
    assert record.compact(range(16)) == [[0, 15]] and record.compact([0, 1, 2, 3, 9]) == [[0, 3], 9]


@pytest.mark.parametrize("suffix", ["png", "gif", "jpg", "webp", "tif"])
def test_each_format_keeps_the_text(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"image.{suffix}"
    image = Image.radial_gradient("L").convert("RGB")
    kind = Image.registered_extensions()[path.suffix]
    image.save(path, kind, **files.save_options(kind, TEXT))
    assert gan.origin(path) == json.loads(TEXT)
    image.save(path, kind)
    assert gan.origin(path) is None


def test_a_tiff_keeps_its_artist_beside_the_text(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x013B] = "an artist"
    exif.get_ifd(0x8769)[0x829A] = 0.5  # an exposure, in a table that Pillow cannot write into a compressed TIFF
    exif[0x8769] = 0
    options = files.save_options("TIFF", TEXT, exif.tobytes())
    Image.new("RGB", (9, 9)).save(tmp_path / "image.tif", compression="tiff_deflate", **options)
    assert gan.origin(tmp_path / "image.tif") == json.loads(TEXT)
    with Image.open(tmp_path / "image.tif") as image:
        assert image.getexif()[0x013B] == "an artist"


@pytest.mark.parametrize(
    "changes",
    [
        {"seed": -1}, {"seed": True}, {"seed": 1.0}, {"seed": 2**63}, {"seeds": [[3, 1]]}, {"seeds": [[0, 10**9]]},
        {"seeds": []}, {"seeds": [[0, 1, 2]]}, {"model": "../../model"}, {"model": ["a"]}, {"images": -5},
        {"class": ""}, {"class": "x" * 2000}, {"class": None}, {"truncation": float("nan")}, {"truncation": 1e300},
        {"settings": [["a", "b"]]}, {"settings": {"a": 1}}, {"settings": [["a", 1]] * 2000}, {"size": [0, 5]},
        {"size": [5]}, {"mix": [{"seed": 1}]}, {"mix": [{"seed": 1, "layers": [0, 1], "fraction": 0.5}]},
        {"mix": [{"seed": 1, "fraction": 0.5, "path": "x"}]}, {"palette": "12345"}, {"palette": "123456" * 300},
        {"strength": 2}, {"cell": 0}, {"tile": 10**9}, {"kind": "os.system"}, {"kind": ["image"]}, {"saved_as": "EPS"},
        {"software": "retro-gan; rm"}, {"frames": 0}, {"fps": float("inf")}, {"file": "a.png"}, {"loop": 1},
        {"device": "cpu:/x"}, {"format": 0}, {"format": "1"},
    ],
    ids=str,
)  # fmt: skip
def test_impossible_values_are_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(UserError, match="metadata"):
        record.parse(json.dumps(GOOD | changes), "image.png")


def test_damaged_texts_are_refused() -> None:
    for text in ("", "{", "[]", "3", '{"format": 1}', "[" * 100_000, '{"seed": 1}'):
        with pytest.raises(UserError, match="metadata"):
            record.parse(text, "image.png")
    assert record.parse(TEXT, "image.png")["class"] == "<\"neon\"> & 'ü'"


def test_long_texts_are_ignored(tmp_path: Path) -> None:
    options = files.save_options("PNG", "x" * (files.MAX_TEXT + 1))
    Image.new("RGB", (4, 4)).save(tmp_path / "long.png", **options)
    assert gan.origin(tmp_path / "long.png") is None
