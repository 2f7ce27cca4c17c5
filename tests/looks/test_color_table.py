"""Color tables: interpolation, `.cube` files, and the same colors in another program."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from scipy.ndimage import map_coordinates

from gan.data.builtin.retro import draw
from gan.data.decoding.decode import Decoder
from gan.data.pairs import StyledFiles
from gan.looks import color_table, is_table
from gan.looks.color_table import ColorTable, table_of
from gan.looks.registry import filter_names, make_style, predictable
from gan.utils.errors import UserError

MIX = np.array([[0.7, 0.2, 0.1], [0.1, 0.6, 0.3], [0.3, 0.3, 0.4]], np.float32)


def toned(image: np.ndarray) -> np.ndarray:
    """A smooth function of colors that mixes the channels."""
    return np.asarray(0.9 * np.sin(1.5 * image) @ MIX)


def photograph(height: int = 96, width: int = 130) -> np.ndarray:
    return draw(0, 2, height, width)


def test_interpolation_is_that_of_scipy() -> None:
    table, colors = np.random.default_rng(0).random((4, 4, 4, 3), np.float32), np.random.default_rng(1).random((20, 3))
    places = 3 * colors.T[::-1]  # blue, green, red
    expected = np.stack([map_coordinates(table[..., channel], places, order=1) for channel in range(3)], -1)
    assert ColorTable(table).apply(colors) == pytest.approx(expected, abs=1e-5)


def test_tiles_are_the_same_as_the_whole() -> None:
    image, table = photograph(150, 200), table_of(toned, 9)  # more pixels than are looked up at a time
    whole = table.apply(image)
    assert np.array_equal(whole[60:, 90:], table.apply(image[60:, 90:]))
    assert np.array_equal(whole[:1, :1], table.apply(image[:1, :1]))


# ---- .cube


@pytest.fixture(autouse=True)
def own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def parsed(text: str) -> ColorTable:
    Path("look.cube").write_bytes(text.encode())
    return color_table.read_table("look.cube")


def test_cube_round_trip() -> None:
    table = table_of(toned, 17, title='a "look"')
    text = color_table.encode_cube(table, ["first\nline", "x" * 300]).decode()
    again = parsed(text)
    assert np.abs(again.colors - table.colors).max() < 1e-6 and "\nTITLE \"a 'look'\"\n" in text
    image = photograph()
    assert np.abs(again.apply(image) - table.apply(image)).max() < 1e-5


CORNERS = "0 0 0\n1 0 0\n0 1 0\n1 1 0\n0 0 1\n1 0 1\n0 1 1\n1 1 1\n"


def test_files_of_other_programs_are_read() -> None:
    comments = '\ufeff# Created by hand\r\n\r\nTITLE "Kodak # 5"\r\nLUT_3D_SIZE 2\r\nDOMAIN_MAX 1 1.0 1\r\n'
    table = parsed(comments + CORNERS.replace("1", "1.0e+0").replace("\n", "\t\r\n"))
    assert table.apply(np.array([[1, 0.5, 0]])) == pytest.approx(np.array([[1, 0.5, 0]]))
    assert parsed("LUT_3D_SIZE 2\nLUT_3D_INPUT_RANGE 0.0 1.0\n" + CORNERS).apply(np.ones((1, 3))).min() == 1


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "has no LUT_3D_SIZE"),
        ("LUT_3D_SIZE 2\n" + CORNERS[:-6], "has 7 of 8 rows of numbers"),
        ("LUT_1D_SIZE 2\n0 0 0\n1 1 1", r"line 1: curves (LUT_1D_SIZE) are not supported"),
        ("LUT_3D_SIZE 145", "LUT_3D_SIZE 145: give a size from 2 to 144"),
        ("LUT_3D_SIZE 2\n0 0\n", "line 2: 3 numbers from -10000 to 10000 are needed, not '0 0'"),
        ("LUT_3D_SIZE 2\nnan 0 0\n", "line 2: 3 numbers"),
        ("LUT_3D_SIZE 2\nDOMAIN_MAX 2 2 2\n" + CORNERS, "line 2: DOMAIN_MAX: only inputs from 0 to 1 are supported"),
    ],
)
def test_damaged_cube_files_are_one_line(text: str, said: str) -> None:
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
    assert is_table("looks/Fuji.CUBE") and not is_table("a.png")


def test_ffmpeg_reads_the_same_colors(tmp_path: Path) -> None:
    av = pytest.importorskip("av")
    path, image = tmp_path / "look.cube", photograph()
    path.write_bytes(color_table.encode_cube(table_of(toned, 17)))
    frame = av.VideoFrame.from_ndarray(image.astype(np.uint16) * 257, format="rgb48le")
    graph = av.filter.Graph()
    source = graph.add_buffer(width=frame.width, height=frame.height, format=frame.format, time_base="1/1")
    graph.link_nodes(source, graph.add("lut3d", f"file={path}:interp=trilinear"), graph.add("buffersink")).configure()
    frame.pts = 0
    graph.push(frame)
    seen = graph.pull().to_ndarray(format="rgb48le") / 65535
    expected = color_table.read_table(path).apply(image)
    assert np.abs(seen - expected).max() < 0.01 / 255 and np.abs(seen - image / 255).max() > 0.1


# ---- a file as a style of photographs

TABLE = table_of(lambda image: image[..., ::-1] ** 2, 16)


def test_a_file_is_a_style(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "a:b, c.cube").write_bytes(color_table.encode_cube(TABLE))
    (tmp_path / "look.cube").write_bytes(color_table.encode_cube(TABLE))
    image = photograph(40, 50)
    for name in (str(tmp_path / "a:b, c.cube"), "~/look.cube"):
        assert np.array_equal(make_style(name)(image, 0), np.rint(255 * TABLE.apply(image)))
    mixed = [str(tmp_path / "look.cube"), "grain"]
    assert filter_names(mixed) == mixed and predictable(mixed) == mixed[:1]
    (tmp_path / "bad.cube").write_text("LUT_3D_SIZE 2\n0 0\n")
    with pytest.raises(UserError, match=r"bad\.cube: .*line 2: 3 numbers"):
        make_style(["fade", str(tmp_path / "bad.cube")])


def test_a_changed_file_is_another_style(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    image = photograph(40, 50)
    Image.fromarray(image).save(tmp_path / "photos" / "a.png")
    path = tmp_path / "look.cube"
    path.write_bytes(color_table.encode_cube(TABLE))
    before = StyledFiles([str(tmp_path / "photos")], str(path))
    assert before.identity == StyledFiles([str(tmp_path / "photos")], str(path)).identity
    (decoded,) = before.decode(before.content(0), Decoder((40, 50), 3, "stretch"))
    assert np.array_equal(decoded[3:].transpose(1, 2, 0), make_style(str(path))(image, 0))
    path.write_bytes(color_table.encode_cube(table_of(lambda image: 1 - image, 17)))
    assert before.identity != StyledFiles([str(tmp_path / "photos")], str(path)).identity
    assert np.array_equal(make_style(str(path))(image, 0), 255 - image)
