"""Color tables: interpolation, `.cube` and HaldCLUT files, and the same colors in another program."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.data.builtin.retro import draw
from gan.data.looks import color_table, is_table
from gan.data.looks.color_table import ColorTable, identity, table_of
from gan.utils.errors import UserError

MIX = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]], np.float32)


def toned(image: np.ndarray) -> np.ndarray:
    """A smooth function of colors that mixes the channels."""
    return np.asarray(0.9 * np.sin(1.5 * image) @ MIX)


def photograph(height: int = 96, width: int = 130) -> np.ndarray:
    return draw(0, 2, height, width)


def test_the_identity_changes_nothing() -> None:
    image = photograph()
    for size in (2, 9, 33):
        assert np.abs(ColorTable(identity(size)).apply(image) - image / 255).max() < 1e-6
    assert identity(3)[0, 0, 1].tolist() == [0.5, 0, 0]  # red changes first


def test_interpolation_against_a_plain_loop() -> None:
    colors = np.random.default_rng(0).random((4, 4, 4, 3), np.float32)
    for color in np.random.default_rng(1).random((20, 3)):
        lower = np.minimum((3 * color).astype(int), 2)
        weight = 3 * color - lower
        expected = sum(
            colors[lower[2] + b, lower[1] + g, lower[0] + r]
            * (weight[0] if r else 1 - weight[0])
            * (weight[1] if g else 1 - weight[1])
            * (weight[2] if b else 1 - weight[2])
            for r in (0, 1)
            for g in (0, 1)
            for b in (0, 1)
        )
        assert ColorTable(colors).apply(color[None]) == pytest.approx(expected[None], abs=1e-5)


def test_tiles_are_the_same_as_the_whole() -> None:
    image, table = photograph(150, 200), table_of(toned, 9)  # more pixels than are looked up at a time
    whole = table.apply(image)
    assert np.array_equal(whole[60:, 90:], table.apply(image[60:, 90:]))
    assert np.array_equal(whole[:1, :1], table.apply(image[:1, :1]))


def test_a_table_is_near_its_function() -> None:
    image = photograph()
    for size, limit in ((17, 0.6), (33, 0.2)):
        assert np.abs(table_of(toned, size).apply(image) - toned(image / 255)).max() < limit / 255


def test_curves_come_first_and_inputs_outside_of_the_domain_get_the_nearest_entry() -> None:
    steps = np.linspace(0, 1, 5, dtype=np.float32)[:, None]
    curves = np.concatenate([steps**2, steps, 1 - steps], 1)
    color = np.array([[0.5, 0.25, 0.75]])
    assert ColorTable(curves=curves).apply(color) == pytest.approx(np.array([[0.25, 0.25, 0.25]]))
    both = ColorTable(table_of(toned, 33).colors, curves)
    assert both.apply(color) == pytest.approx(toned(np.full((1, 3), 0.25)), abs=1e-3)
    assert np.abs(both.sampled(33).apply(color) - both.apply(color)).max() < 1e-3
    narrow = ColorTable(identity(2), domain=((0.25,) * 3, (0.75,) * 3))
    assert narrow.apply(np.array([[0.1, 0.5, 0.9]])) == pytest.approx(np.array([[0, 0.5, 1]]))


# ---- .cube


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parsed(text: str | bytes) -> ColorTable:
    Path("look.cube").write_bytes(text.encode() if isinstance(text, str) else text)
    return color_table.read_table("look.cube")


def test_cube_round_trip() -> None:
    table = table_of(toned, 17, title='a "look"')
    again = parsed(color_table.encode_cube(table, ["first\nline", "x" * 300]))
    assert again.colors is not None and table.colors is not None
    assert np.abs(again.colors - table.colors).max() < 1e-6 and again.title == "a 'look'"
    image = photograph()
    assert np.abs(again.apply(image) - table.apply(image)).max() < 1e-5


CORNERS = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"


def test_files_of_other_programs_are_read() -> None:
    comments = '\ufeff# Created by hand\r\n\r\nTITLE "Kodak # 5"\r\nLUT_3D_SIZE 2\r\nDOMAIN_MAX 2 2 2\r\n'
    table = parsed(comments + CORNERS.replace("1", "1.0e+0").replace("\n", "\t\r\n"))
    assert table.title == "Kodak # 5" and table.domain == ((0, 0, 0), (2, 2, 2))
    assert table.apply(np.array([[1, 0.5, 0]])) == pytest.approx(np.array([[0.5, 0.25, 0]]))
    curves = parsed("LUT_1D_SIZE 3\n0 0 0\n.25 .5 .75\n1 1 1")
    assert curves.apply(np.array([[0.5, 0.5, 0.75]])) == pytest.approx(np.array([[0.25, 0.5, 0.875]]))
    resolve = "LUT_1D_SIZE 2\nLUT_1D_INPUT_RANGE 0 1\nLUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE -1 1\n-1 0 0\n1 1 1\n"
    assert parsed(resolve + CORNERS).apply(np.array([[0.25, 0.5, 1]])) == pytest.approx(np.array([[0.25, 0.75, 1]]))


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no LUT_3D_SIZE"),
        ("LUT_3D_SIZE 2\n" + CORNERS[:-6], "has 7 of 8 rows of numbers"),
        ("LUT_3D_SIZE 2\n0 0 0\nLUT_1D_SIZE 2", "line 3: LUT_1D_SIZE must come once, before the rows of numbers"),
        ("LUT_3D_SIZE 145", "LUT_3D_SIZE 145: give a size from 2 to 144"),
        ("LUT_3D_SIZE 2\n0 0\n", "line 2: 3 numbers from -10000 to 10000 are needed, not '0 0'"),
        ("LUT_3D_SIZE 2\nnan 0 0\n", "line 2: 3 numbers"),
        ("LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 1 0\n" + CORNERS, "each upper limit"),
        ("LUT_3D_SIZE 2\n" + CORNERS.replace("1", "255"), "most of its numbers are above 1"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 255 255 255\n" + CORNERS, "its domain is so wide"),
        (b"\x89PNG\r\n\x1a\n\0\0", "line 1: "),
    ],
)
def test_damaged_cube_files_are_one_line(text: str | bytes, said: str) -> None:
    with pytest.raises(UserError) as raised:
        parsed(text)
    assert said in str(raised.value) and "\n" not in str(raised.value) and str(raised.value).startswith("look.cube")


def test_files_that_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(UserError, match=r"none\.cube: .*no such file"):
        color_table.read_table(tmp_path / "none.cube")
    (tmp_path / "large.cube").write_bytes(bytes(1001))
    monkeypatch.setattr(color_table, "MAX_BYTES", 1000)
    with pytest.raises(UserError, match="more than 1,000 bytes"):
        color_table.read_table(tmp_path / "large.cube")
    assert is_table("looks/Fuji.CUBE") and is_table("a.png") and not is_table("film")


# ---- HaldCLUT


def test_hald_round_trip_with_16_and_8_bits(tmp_path: Path) -> None:
    table = table_of(toned, 16)
    assert table.colors is not None
    path = tmp_path / "look.png"
    path.write_bytes(color_table.encode_hald(table, "no grain"))
    again = color_table.read_table(path)
    assert again.colors is not None and again.title == "look"
    assert np.abs(again.colors - table.colors).max() <= 0.51 / 65535
    with Image.open(path) as image:
        assert image.size == (64, 64) and image.info["Comment"] == "no grain"
        image.convert("RGB").save(path)  # as an image editor with 8 bits does
    again = color_table.read_table(path)
    assert again.colors is not None and np.abs(again.colors - table.colors).max() < 1.01 / 255
    gray = Image.fromarray(np.rint(identity(16).mean(-1) * 255).astype(np.uint8).reshape(64, 64))
    gray.save(path)
    color = np.array([[1, 0, 0.5]])
    assert color_table.read_table(path).apply(color) == pytest.approx(np.full((1, 3), 0.5), abs=0.01)


def test_only_color_tables_are_read(tmp_path: Path) -> None:
    path = tmp_path / "photograph.png"
    grains = np.random.default_rng(0).integers(0, 256, (343, 343, 3), np.uint8)
    for pixels, said in ((grains, "its colors jump as in a photograph"), (grains[1:], "343x342 pixels; a HaldCLUT is")):
        Image.fromarray(pixels).save(path)
        with pytest.raises(UserError, match=said):
            color_table.read_table(path)
    smooth = Image.fromarray(grains[:9, :9]).resize((64, 64), Image.Resampling.BICUBIC)  # a photograph, scaled down
    for image, said in ((smooth, "its colors jump"), (Image.new("RGB", (8, 8), "tan"), "are all the same")):
        image.save(path)
        with pytest.raises(UserError, match=said):
            color_table.read_table(path)
    Image.new("RGB", (8, 8)).save(path, "JPEG")
    with pytest.raises(UserError, match="is a JPEG image of 8x8 pixels"):
        color_table.read_table(path)
    path.write_bytes(color_table.encode_hald(table_of(toned, 16))[:600])
    with pytest.raises(UserError, match="cannot be read as a color table"):
        color_table.read_table(path)
    size = struct.pack(">IIBBBBB", 50_000, 50_000, 8, 2, 0, 0, 0)
    bomb = (
        color_table.SIGNATURE + struct.pack(">I", 13) + b"IHDR" + size + struct.pack(">I", zlib.crc32(b"IHDR" + size))
    )
    path.write_bytes(bomb + color_table.encode_hald(table_of(toned, 4))[33:])
    with pytest.raises(UserError, match="larger than the limit"):
        color_table.read_table(path)


@pytest.mark.parametrize("size", [4, 9, 16, 64])
def test_tables_that_invert_or_solarize_are_read(size: int, tmp_path: Path) -> None:
    path, colors = tmp_path / "look.png", identity(size)
    for table in (1 - colors, np.abs(2 * colors - 1)):
        path.write_bytes(color_table.encode_hald(ColorTable(table.astype(np.float32))))
        assert color_table.read_table(path).colors is not None


# ---- another program


def ffmpeg(pixels: np.ndarray, name: str, options: str, table: Path | None = None) -> np.ndarray:
    """Return the colors, in 0..1, of an image uint8 after a filter of FFmpeg, with 16 bits a channel."""
    av = pytest.importorskip("av")
    frames = [av.VideoFrame.from_ndarray(pixels.astype(np.uint16) * 257, format="rgb48le")]
    if table is not None:
        with av.open(str(table)) as file:
            frames.append(next(file.decode(video=0)).reformat(format="rgb48le"))
    graph = av.filter.Graph()
    changed, sink = graph.add(name, options), graph.add("buffersink")
    for index, frame in enumerate(frames):
        source: Any = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base="1/1")
        source.link_to(changed, 0, index)
        frame.pts = 0
        frames[index] = source, frame
    changed.link_to(sink)
    graph.configure()
    for source, frame in frames:
        source.push(frame)
        source.push(None)
    return np.asarray(sink.pull().to_ndarray(format="rgb48le") / 65535)


@pytest.mark.parametrize("size", [17, 33])
def test_ffmpeg_reads_the_same_colors_from_a_cube_file(size: int, tmp_path: Path) -> None:
    table = table_of(toned, size)
    (tmp_path / "look.cube").write_bytes(color_table.encode_cube(table, ["a comment"]))
    for image in (photograph(), np.rint(255 * identity(16)).astype(np.uint8).reshape(64, 64, 3)):
        seen = ffmpeg(image, "lut3d", f"file={tmp_path / 'look.cube'}:interp=trilinear")
        assert np.abs(seen - table.apply(image)).max() < 0.01 / 255
        assert np.abs(seen - image / 255).max() > 0.1  # the filter has an effect


def test_ffmpeg_reads_the_same_colors_from_a_hald_image(tmp_path: Path) -> None:
    table, image = table_of(toned, 36), photograph()
    (tmp_path / "look.png").write_bytes(color_table.encode_hald(table))
    seen = ffmpeg(image, "haldclut", "interp=trilinear", tmp_path / "look.png")
    assert np.abs(seen - table.apply(image)).max() < 0.01 / 255
