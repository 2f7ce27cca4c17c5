"""Palettes by name, fitted to images, and in the files of other programs."""

import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan.commands.palette import SUFFIXES
from gan.pixel_art.palettes import WRITERS, fit_palette, palette_of, read_palette, write_palette
from gan.utils.colors import COLORS
from gan.utils.errors import UserError
from tests.conftest import Train

INKS = np.array([[10, 10, 10], [200, 40, 40], [240, 230, 200]], np.uint8)


@pytest.mark.parametrize("name", COLORS)
def test_palettes(name: str) -> None:
    palette = palette_of(name)
    assert palette.shape == (len(np.unique(palette, axis=0)), 3)


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


@pytest.mark.parametrize("suffix", WRITERS)
@pytest.mark.parametrize("palette", [INKS[[2, 0, 1]], palette_of("pico8"), palette_of("nes")])
def test_files_have_the_colors_in_their_order(suffix: str, palette: np.ndarray, tmp_path: Path) -> None:
    write_palette(palette, tmp_path / f"a{suffix}")
    assert np.array_equal(read_palette(str(tmp_path / f"a{suffix}")), palette)
    assert set(SUFFIXES) == set(WRITERS)


def test_files_of_other_programs(tmp_path: Path) -> None:
    """As their specifications describe them, with what we do not write."""
    (tmp_path / "old.act").write_bytes(INKS.tobytes().ljust(768, b"\x07"))
    assert read_palette(str(tmp_path / "old.act"))[:3].tolist() == INKS.tolist()
    group = struct.pack(">HIH", 0xC001, 6, 2) + "A\0".encode("utf-16-be")
    gray = struct.pack(">HIH", 1, 14, 1) + b"\0\0Gray" + struct.pack(">fH", 0.5, 0)
    end = struct.pack(">HI", 0xC002, 0)
    (tmp_path / "a.ase").write_bytes(b"ASEF" + struct.pack(">HHI", 1, 0, 3) + group + gray + end)
    assert read_palette(str(tmp_path / "a.ase")).tolist() == [[128, 128, 128]]
    (tmp_path / "jasc.pal").write_bytes(b"JASC-PAL\r\n0100\r\n2\r\n1 2 3\r\n255 0 9\r\n")
    assert read_palette(str(tmp_path / "jasc.pal")).tolist() == [[1, 2, 3], [255, 0, 9]]


def test_damaged_files_are_one_line(tmp_path: Path) -> None:
    whole = WRITERS[".aseprite"](INKS)
    cmyk = b"ASEF" + struct.pack(">HHI", 1, 0, 1) + struct.pack(">HIH", 1, 24, 1) + b"\0\0CMYK" + bytes(16)
    files = {"cut.aseprite": whole[:170], "head.ase": whole[:130], "cut.ase": b"ASEF\0\1", "cmyk.ase": cmyk}
    files |= {"large.ase": b"ASEF" + struct.pack(">HHI", 1, 0, 1 << 20) + bytes(6 << 20)}
    files |= {"many.ase": b"ASEF" + b"\xff" * 99, "short.act": b"123"}
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        with pytest.raises(UserError, match=rf"^palette .*{name}: cannot be read") as raised:
            read_palette(str(tmp_path / name))
        assert "\n" not in str(raised.value)
    Image.fromarray(np.random.default_rng(0).integers(0, 256, (40, 40, 3), np.uint8)).save(tmp_path / "many.png")
    with pytest.raises(UserError, match="more than 256"):
        read_palette(str(tmp_path / "many.png"))


def test_the_command(gan_command: Train, tmp_path: Path) -> None:
    Image.fromarray(INKS[np.random.default_rng(0).integers(0, 3, (9, 9))]).save(tmp_path / "image.png")
    assert "pico8" in gan_command("palette", "list").stdout
    assert gan_command("palette", "make", "image.png", "made.gpl", "-n", "8").stdout == "made.gpl: 3 colors\n"
    gan_command("palette", "convert", "made.gpl", "made.hex")
    assert (tmp_path / "made.hex").read_text().split() == ["0a0a0a", "c82828", "f0e6c8"]
    assert "use --force" in gan_command("palette", "convert", "pico8", "made.hex", check=2).stderr
    assert "is not a palette file" in gan_command("palette", "convert", "pico8", "made.txt", check=2).stderr
    assert "give 2 to 256 colors" in gan_command("palette", "make", "image.png", "other.gpl", "-n", "1", check=2).stderr
    for count in ("0", "-1", "257", "100000000000"):  # before the images are read
        error = gan_command("palette", "make", "made.gpl", "other.gpl", "-n", count, check=2).stderr
        assert f"-n {count}: give 2 to 256" in error
    assert not (tmp_path / "other.gpl").exists()
