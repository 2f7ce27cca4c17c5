"""No image of a sheet is lost, and small files cost little."""

import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan.assets import aseprite
from gan.assets.aseprite import Tag
from gan.assets.cut import Piece, by_grid, by_parts
from gan.cli import main
from tests.assets.test_sheets import BLUE, RED, cel, chunk, file, frame, frames_of, layer

DOT = np.full((2, 2, 4), 255, np.uint8)


@pytest.fixture
def cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., list[str]]:
    """Return a function that cuts tmp_path/sheets and returns the paths of the files, whose number is printed."""

    def run(*options: str) -> list[str]:
        assert main(["data", "cut", str(tmp_path / "sheets"), str(tmp_path / "out"), *options]) in (0, None)
        files = sorted(path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.png"))
        assert f"out: {len(files)} image" in capsys.readouterr().out
        return files

    (tmp_path / "sheets").mkdir()
    return run


@pytest.fixture
def refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Callable[..., str]:
    """Return a function that writes a sheet and its description, and returns the error of cutting it."""

    def run(description: str, kind: str = "json", pixels: np.ndarray = DOT) -> str:
        Image.fromarray(pixels).save(tmp_path / "s.png")
        (tmp_path / f"s.{kind}").write_text(description)
        assert main(["data", "cut", str(tmp_path / "s.png"), str(tmp_path / "out")]) == 2
        assert not (tmp_path / "out").exists()
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    return run


def places(*names: str, **changed: Any) -> str:
    place = {"x": 0, "y": 0, "w": 2, "h": 2} | changed
    return json.dumps({"frames": [{"filename": name, "frame": place} for name in names]})


# ---- names


def test_layers_of_one_name_and_of_names_that_become_equal(tmp_path: Path, cut: Callable[..., list[str]]) -> None:
    names = (b"a!", b"a?", b"b", b"b", b"B")
    cels = [cel(number, bytes((number, 0, 0, 255)) * 4) for number in range(5)]
    (tmp_path / "sheets" / "s.aseprite").write_bytes(file(frame(*map(layer, names), *cels)))
    files = cut("--layers")
    assert files == ["B/s-000-3.png", "a_/s-000-2.png", "a_/s-000.png", "b/s-000-2.png", "b/s-000.png"]
    assert {Image.open(tmp_path / "out" / name).convert("RGBA").getpixel((0, 0))[0] for name in files} == set(range(5))
    assert cut("--layers", "--force") == files  # the same names again


def test_sheets_that_differ_in_their_suffix(tmp_path: Path, cut: Callable[..., list[str]]) -> None:
    for suffix in ("png", "webp"):
        Image.fromarray(DOT).save(tmp_path / "sheets" / f"a.{suffix}", lossless=True)
    (tmp_path / "sheets" / "a.aseprite").write_bytes(aseprite.encode(DOT[None], tags=[Tag("run", 0, 0)]))
    (tmp_path / "sheets" / "a.ase").write_bytes(aseprite.encode(DOT[None]))
    assert cut("--cell", "2") == ["a-000-2.png", "a-000-3.png", "a-000.png", "run/a-000.png"]


@pytest.mark.parametrize("kind", ["json", "xml"])
def test_descriptions_that_name_the_same_images(kind: str, tmp_path: Path, cut: Callable[..., list[str]]) -> None:
    for sheet in "ab":
        Image.fromarray(DOT).save(tmp_path / "sheets" / f"{sheet}.png")
        elements = [f'<SubTexture name="{name}.png" x="0" y="0" width="2" height="2"/>' for name in ("hero", "hero-2")]
        text = (
            places("hero.png", "hero-2.png") if kind == "json" else f"<TextureAtlas>{''.join(elements)}</TextureAtlas>"
        )
        (tmp_path / "sheets" / f"{sheet}.{kind}").write_text(text)
    assert cut() == ["hero-2-2.png", "hero-2.png", "hero-3.png", "hero.png"]


def test_one_description_with_names_that_are_equal_or_empty(tmp_path: Path, cut: Callable[..., list[str]]) -> None:
    Image.fromarray(DOT).save(tmp_path / "sheets" / "a.png")
    (tmp_path / "sheets" / "a.json").write_text(places("x.png", "x.webp", "X", " ", "folder/"))
    assert cut() == ["X-3.png", "_.png", "folder/_.png", "x-2.png", "x.png"]


# ---- files of Aseprite


@pytest.mark.parametrize("place", [(-4, 0), (0, -4), (-9, -9), (3, -5), (8, 0), (0, 8)])
def test_a_cel_outside_of_the_canvas_is_an_empty_image(place: tuple[int, int]) -> None:
    sprite = aseprite.read_sprite(file(frame(layer(b"a"), cel(0, RED * 16, place, 4)), side=8))
    assert not frames_of(sprite).any()


def test_a_cel_over_a_border_and_one_without_pixels() -> None:
    image = frames_of(aseprite.read_sprite(file(frame(layer(b"a"), cel(0, RED * 16, (-3, 6), 4)), side=8)))[0]
    assert (image[6:, :1] == (255, 0, 0, 255)).all() and np.count_nonzero(image[..., 3]) == 2
    assert not frames_of(aseprite.read_sprite(file(frame(layer(b"a"), cel(0, b"", side=0))))).any()


def test_a_large_canvas_costs_no_more_than_its_pixels() -> None:
    layers = [layer(b"a") for _ in range(100)]
    data = file(frame(*layers, *(cel(number, BLUE, (5, 5), 1) for number in range(100))), side=1024)
    tracemalloc.start()
    (_, image), *_ = aseprite.read_sprite(data).frames()
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert image[5, 5].tolist() == [0, 0, 255, 255] and peak < 3 * image.nbytes
    with pytest.raises(ValueError, match="pixels"):
        aseprite.read_sprite(file(frame(), side=8192))


def test_the_palette_is_read_without_cels() -> None:
    colors = chunk(0x2019, bytes((1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)) + bytes(8) + bytes((0, 0, 1, 2, 3, 255)))
    data = file(frame(colors, layer(b"a"), cel(0, b"damaged", kind=2)))
    assert aseprite.palette_of(data).tolist() == [[1, 2, 3]]


def test_tags_end_at_the_last_frame(tmp_path: Path, cut: Callable[..., list[str]]) -> None:
    data = aseprite.encode(np.stack([DOT] * 3), tags=[Tag("a", 1, 65_535), Tag("b", 0, 65_535), Tag("c", 9, 9)] * 600)
    (tmp_path / "sheets" / "s.aseprite").write_bytes(data)
    assert cut() == ["a/s-001.png", "a/s-002.png", "b/s-000.png"]
    with pytest.raises(ValueError, match="tags"):
        aseprite.read_sprite(aseprite.encode(DOT[None], tags=[Tag("a", 0, 0)] * 5000))


def test_frames_do_not_overlap() -> None:
    header = bytearray(frame(layer(b"a")))
    header[0] = 16  # the frame ends before its chunk, which the next frame would read again
    with pytest.raises(ValueError, match="damaged"):
        aseprite.read_sprite(file(bytes(header)))


def test_cels_and_links_are_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(aseprite, "MAX_CELS", 10)
    link = chunk(0x2005, bytes((0, 0, 0, 0, 0, 0, 255, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)))
    assert len(aseprite.read_sprite(file(frame(layer(b"a"), cel(0, RED * 4)), frame(link))).durations) == 2
    with pytest.raises(ValueError, match="too large"):
        aseprite.read_sprite(file(frame(layer(b"a"), cel(0, RED * 4)), frame(link), frame(link)))


# ---- sheets


@pytest.mark.parametrize(
    "description",
    ['{"frames": 5}', '{"frames": true}', places("a", w=float("inf")), places("a").replace('"w": 2', '"w": 1e999')],
)
def test_damaged_descriptions(description: str, refused: Callable[..., str]) -> None:
    assert "is damaged" in refused(description)


def test_an_xml_file_has_no_entities(refused: Callable[..., str]) -> None:
    element = '<SubTexture name="&a;" x="0" y="0" width="2" height="2"/>'
    assert "is damaged" in refused(f'<!DOCTYPE t [<!ENTITY a "aaaa">]><t>{element}</t>', "xml")
    assert "is damaged" in refused(f"<SubTexture {'a' * 1_000_000}>", "xml")


def test_places_of_many_times_the_sheet(refused: Callable[..., str]) -> None:
    assert "images" in refused(places(*["a"] * 5000))
    large = np.full((512, 512, 4), 255, np.uint8)
    assert "pixels" in refused(places(*map(str, range(300)), w=512, h=512), pixels=large)


def test_many_dots() -> None:
    sheet = np.kron(np.ones((64, 64, 1), np.uint8), np.pad(DOT, ((0, 1), (0, 1), (0, 0))))
    parts = by_parts(sheet)
    assert parts == [Piece(3 * row, 3 * column, 2, 2) for row in range(64) for column in range(64)]
    assert by_grid(sheet, (3, 3)) == [part._replace(height=3, width=3) for part in parts]
    assert len(by_parts(sheet, gap=1_000_000_000)) == 1


def test_the_cell_is_named_in_its_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(DOT).save(tmp_path / "s.png")
    for cell in ("0", "64,64"):
        assert main(["data", "cut", str(tmp_path / "s.png"), str(tmp_path / "out"), "--cell", cell]) == 2
        error = capsys.readouterr().err
        assert f"--cell {cell}" in error and "--size" not in error


def test_out_is_not_the_name_of_a_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Image.fromarray(DOT).save(tmp_path / "s.png")
    assert main(["export", str(tmp_path), "--to", "aseprite", "--out", str(tmp_path / "x.aseprite")]) == 2
    assert "give a folder" in capsys.readouterr().err and not (tmp_path / "x.aseprite").exists()
