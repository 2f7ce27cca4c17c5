"""Records of images: seeds, checks of untrusted values, and the text in each format."""

import json
import shlex
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

import gan
from gan.images import files
from gan.records import record
from gan.utils.errors import UserError

GOOD: dict[str, Any] = {"format": 1, "software": "retro-gan 0.1.0", "kind": "image", "model": "a" * 32, "images": 16}
TEXT = record.to_text(GOOD | {"class": "<\"neon\"> & 'ü'", "seed": 3})


def test_seeds_are_ranges() -> None:
    for seeds in ([0], [0, 1], [0, 1, 2, 3, 9], [5, 4, 3, 3], [7, 8, 9, 0, 1, 2]):
        pairs = (pair if isinstance(pair, list) else [pair, pair] for pair in record.compact(seeds))
        assert [seed for first, last in pairs for seed in range(first, last + 1)] == seeds
    assert record.compact(range(16)) == [[0, 15]] and record.compact([0, 1, 2, 3, 9]) == [[0, 3], 9]


@pytest.mark.parametrize("suffix", ["png", "gif", "jpg", "webp", "avif", "tif"])
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


def test_damaged_and_foreign_texts_are_refused() -> None:
    texts = ["", "{", "[]", "3", '{"format": 1}', "[" * 100_000, '{"seed": 1}']
    changes = [{"kind": ["image"]}, {"software": "\x1b[2J"}, {"model": ["a"]}, {"images": "x"}, {"format": 2}]
    for text in [*texts, *(json.dumps(GOOD | change) for change in changes)]:
        with pytest.raises(UserError, match="metadata"):
            record.parse(text, "image.png")
    assert record.parse(TEXT, "image.png")["class"] == "<\"neon\"> & 'ü'"


def test_a_command_has_only_options_of_the_program() -> None:
    changes = {"class": "a; rm -rf $HOME\n\x1b[2J", "seeds": [[0, 3], 9]}
    command = record.command_of(GOOD | changes)
    assert shlex.split(command)[:5] == ["gan", "generate", "RUN", "--seeds", "0-3,9"] and command.isprintable()
    assert "'a; rm -rf $HOME\\n\\x1b[2J'" in command
    for wrong in ({"settings": [["a", 1], ["--code", "x"]]}, {"mix": [3]}, {"seeds": 1}, {"size": 5}):
        with pytest.raises(UserError, match="stands for no command"):
            record.command_of(GOOD | wrong)


def test_the_command_has_each_field_that_is_an_option() -> None:
    """Regression: an option that no list named was left out, so that the command made another image."""
    command = shlex.split(record.command_of(GOOD | {"seed": 3, "flip": True, "clean": "rims", "tiled": 2}))
    assert command == ["gan", "generate", "RUN", "--seeds", "3", "--clean", "rims", "--flip", "--tiled", "2"]


def test_long_texts_are_ignored(tmp_path: Path) -> None:
    options = files.save_options("PNG", "x" * (files.MAX_TEXT + 1))
    Image.new("RGB", (4, 4)).save(tmp_path / "long.png", **options)
    assert gan.origin(tmp_path / "long.png") is None


def test_records_of_versions_without_autocontrast_keep_the_contrast() -> None:
    old = {"format": 1, "software": "retro-gan 0.1.0", "kind": "translation", "palette": "0f380f9bbc0f"}
    assert record.command_of(old) == "gan translate INPUT OUTPUT --palette PALETTE --autocontrast off"
    assert record.command_of(old | {"autocontrast": "on"}).endswith("--autocontrast on")
    assert "autocontrast" not in record.Records(None, kind="translation", autocontrast="auto").text()
