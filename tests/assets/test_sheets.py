"""Images become sheets, files of Aseprite and tilesets of Tiled, and are cut back to the same pixels."""

import json
import struct
import zlib
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest
from PIL import Image

from gan.assets import aseprite, terrain
from gan.assets.aseprite import Tag
from gan.assets.cut import Piece, by_grid, by_parts
from tests.conftest import Train

COLORS = np.array([[0, 0, 0, 0], [200, 40, 40, 255], [10, 10, 10, 255], [240, 230, 200, 255]], np.uint8)


def sprite(number: int, height: int = 8, width: int = 6) -> np.ndarray:
    """Return a sprite uint8 (H, W, 4) with a transparent border."""
    choice = np.random.default_rng(number).integers(0, 4, (height - 2, width - 2))
    choice[0, 0] = choice[-1, -1] = 1 + number % 3
    return np.pad(COLORS[choice], ((1, 1), (1, 1), (0, 0)))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Return a folder of five images in two classes."""
    for number in range(5):
        path = tmp_path / "tiles" / ("wall" if number < 3 else "floor") / f"{number}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(sprite(number)).save(path)
    return tmp_path / "tiles"


def frames_of(sprite: aseprite.Sprite, layers: Sequence[aseprite.Layer] | None = None) -> np.ndarray:
    """Return all frames uint8 (F, H, W, 4); those without cels are empty."""
    frames = np.zeros((len(sprite.durations), sprite.height, sprite.width, 4), np.uint8)
    for number, image in sprite.frames(layers):
        frames[number] = image
    return frames


def pixels(path: Path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image.convert("RGBA"))


def test_a_sheet_has_the_place_of_each_image_and_is_cut_back(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("export", "tiles", "--to", "sheet", "--out", "kit")
    about = json.loads((tmp_path / "kit" / "sheet.json").read_text())
    sheet = pixels(tmp_path / "kit" / about["meta"]["image"])
    for frame in about["frames"]:
        x, y, w, h = frame["frame"].values()
        assert np.array_equal(sheet[y : y + h, x : x + w], pixels(folder / frame["filename"]))
    assert [(tag["name"], tag["from"], tag["to"]) for tag in about["meta"]["frameTags"]] == [
        ("floor", 0, 1),
        ("wall", 2, 4),
    ]
    assert gan_command("data", "cut", "kit/sheet.png", "cut", "--cell", "8x6").stdout == "cut: 5 images of 1 sheet\n"
    assert np.array_equal(pixels(tmp_path / "cut" / "sheet-002.png"), sprite(0))
    gan_command("data", "cut", "kit/sheet.png", "named")
    for number in range(5):
        path = f"{'wall' if number < 3 else 'floor'}/{number}.png"
        assert np.array_equal(pixels(tmp_path / "named" / path), sprite(number))
    assert "use --force" in gan_command("data", "cut", "kit/sheet.png", "cut", check=2).stderr
    assert "are not a grid" in gan_command("data", "cut", "kit/sheet.png", "other", "--cell", "5", check=2).stderr
    assert "use --force" in gan_command("export", "tiles", "--to", "sheet", "--out", "kit", check=2).stderr


def test_a_file_of_aseprite_has_tags_and_a_palette(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("export", "tiles", "--to", "aseprite", "--out", "kit")
    data = (tmp_path / "kit" / "images.aseprite").read_bytes()
    read = aseprite.read_sprite(data)
    assert read.tags == [Tag("floor", 0, 1), Tag("wall", 2, 4)]
    assert sorted(read.palette.tolist()) == sorted(COLORS.tolist())
    assert np.array_equal(frames_of(read), np.stack([sprite(number) for number in (3, 4, 0, 1, 2)]))
    gan_command("data", "cut", "kit/images.aseprite", "cut")
    assert np.array_equal(pixels(tmp_path / "cut" / "wall" / "images-003.png"), sprite(1))
    gan_command("data", "cut", "kit", "layers", "--layers", "--force")
    assert (tmp_path / "layers" / "Images" / "images-004.png").exists()


def test_a_tileset_of_tiled(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("export", "tiles", "--to", "tiled", "--out", "kit")
    root = ElementTree.parse(tmp_path / "kit" / "tiles.tsx").getroot()
    assert [root.get(name) for name in ("tilewidth", "tileheight", "tilecount", "columns")] == ["6", "8", "5", "3"]
    assert [tile.get("type") for tile in root.iter("tile")] == ["floor", "floor", "wall", "wall", "wall"]
    Image.fromarray(sprite(0, 9)).save(folder / "large.png")
    assert "differ in size" in gan_command("export", "tiles", "--to", "tiled", "--out", "new", check=2).stderr
    assert "give a folder of images" in gan_command("export", "--to", "tiled", "--out", "new", check=2).stderr
    assert not (tmp_path / "new").exists()


def test_tiles_of_a_terrain_fit_where_their_corners_agree() -> None:
    first, second = np.random.default_rng(0).integers(0, 256, (2, 16, 16, 3), dtype=np.uint8)
    tiles = terrain.tiles_of(first, second).astype(int)
    inside = np.abs(np.diff(tiles, axis=2)).mean(), np.abs(np.diff(tiles, axis=1)).mean()
    for (a, left), (b, right) in product(enumerate(terrain.CORNERS), repeat=2):
        if (left[1], left[3]) == (right[0], right[2]):  # b is to the right of a
            assert np.abs(tiles[a][:, -1] - tiles[b][:, 0]).mean() < 1.2 * inside[0]
        if left[2:] == right[:2]:  # b is below a
            assert np.abs(tiles[a][-1] - tiles[b][0]).mean() < 1.2 * inside[1]
    known = {tuple(color) for color in (*first.reshape(-1, 3).tolist(), *second.reshape(-1, 3).tolist())}
    assert {tuple(color) for color in tiles.reshape(-1, 3).tolist()} <= known


def test_a_terrain_of_tiled(folder: Path, gan_command: Train, tmp_path: Path) -> None:
    gan_command("export", "tiles/floor", "--to", "terrain", "--out", "kit")
    root = ElementTree.parse(tmp_path / "kit" / "terrain.tsx").getroot()
    ids = [tile.get("wangid") for tile in root.iter("wangtile")]
    assert len(set(ids)) == 16 and ids[1] == "0,1,0,2,0,1,0,1"  # the second texture at the lower right
    assert [color.get("name") for color in root.iter("wangcolor")] == ["3", "4"]
    assert pixels(tmp_path / "kit" / "terrain.png").shape == (32, 24, 4)
    assert "needs two" in gan_command("export", "tiles/wall", "--to", "terrain", "--out", "new", check=2).stderr


def test_many_colors_and_half_transparent_pixels_are_not_indexed() -> None:
    frames = np.random.default_rng(0).integers(0, 256, (2, 20, 20, 4), dtype=np.uint8)
    frames[frames[..., 3] == 0] = 0
    assert np.array_equal(frames_of(aseprite.read_sprite(aseprite.encode(frames))), frames)


# ---- parts


def test_parts_are_separated_by_transparent_pixels() -> None:
    sheet = np.zeros((20, 30, 4), np.uint8)
    places = [Piece(1, 2, 8, 6), Piece(2, 12, 7, 6), Piece(11, 1, 6, 9), Piece(12, 20, 5, 5)]
    for part in places:
        part.of(sheet)[:] = 255
    sheet[4, 4] = 0  # a hole
    sheet[19, 29] = 255  # a speck
    assert by_parts(sheet) == places
    sheet[5, 8:12] = 0
    sheet[5, 9] = 255
    assert len(by_parts(sheet, gap=1)) == 4 and len(by_parts(sheet, gap=2)) == 2  # 1, 2 and 2 pixels between them
    with pytest.raises(ValueError, match="no transparent pixels"):
        by_parts(np.full((4, 4, 4), 255, np.uint8))


def test_a_grid_with_a_margin_and_spacing() -> None:
    sheet = np.zeros((2 + 2 * 4 + 1, 2 + 3 * 5 + 2, 4), np.uint8)
    sheet[1:5, 7:12] = sheet[6:10, 1:6] = 255
    assert by_grid(sheet, (4, 5), margin=1, spacing=1) == [Piece(1, 7, 4, 5), Piece(6, 1, 4, 5)]
    with pytest.raises(ValueError, match="19x11 pixels are not a grid of cells of 5x4"):
        by_grid(sheet, (4, 5))


def test_descriptions_of_other_programs(tmp_path: Path, gan_command: Train) -> None:
    sheet = np.zeros((16, 16, 4), np.uint8)
    sheet[0:8, 0:6], sheet[8:14, 0:8] = sprite(0), np.rot90(sprite(1), -1)
    Image.fromarray(sheet).save(tmp_path / "a.png")
    frames = {"../a/one.png": {"frame": {"x": 0, "y": 0, "w": 6, "h": 8}, "rotated": False},
              "two": {"frame": {"x": 0, "y": 8, "w": 6, "h": 8}, "rotated": True}}  # fmt: skip
    (tmp_path / "a.json").write_text(json.dumps({"frames": frames}))
    gan_command("data", "cut", "a.png", "json")
    assert np.array_equal(pixels(tmp_path / "json" / "__" / "a" / "one.png"), sprite(0))
    assert np.array_equal(pixels(tmp_path / "json" / "two.png"), sprite(1))
    (tmp_path / "a.json").unlink()
    (tmp_path / "a.xml").write_text(
        '<TextureAtlas><SubTexture name="b.png" x="0" y="0" width="6" height="8"/></TextureAtlas>'
    )
    gan_command("data", "cut", "a.png", "xml")
    assert np.array_equal(pixels(tmp_path / "xml" / "b.png"), sprite(0))
    for text, said in (('x="12"', "outside"), ('x="-1"', "outside"), ('x="a"', "is damaged"), ("", "is damaged")):
        (tmp_path / "a.xml").write_text(f'<SubTexture name="b" {text} y="0" width="6" height="8"/>')
        assert said in gan_command("data", "cut", "a.png", "none", check=2).stderr
    assert not (tmp_path / "none").exists()


# ---- files of Aseprite that we do not write


def chunk(kind: int, content: bytes) -> bytes:
    return struct.pack("<IH", len(content) + 6, kind) + content


def frame(*chunks: bytes) -> bytes:
    body = b"".join(chunks)
    return struct.pack("<I3H2xI", len(body) + 16, 0xF1FA, len(chunks), 100, 0) + body


def file(*frames: bytes, depth: int = 32, side: int = 2, flags: int = 1) -> bytes:
    body = b"".join(frames)
    head = struct.pack("<I5HIH8xB3xH94x", len(body) + 128, 0xA5E0, len(frames), side, side, depth, flags, 100, 1, 0)
    return head + body


def layer(name: bytes, flags: int = 1, kind: int = 0, depth: int = 0, blend: int = 0, opacity: int = 255) -> bytes:
    return chunk(0x2004, struct.pack("<6HB3xH", flags, kind, depth, 0, 0, blend, opacity, len(name)) + name)


def cel(
    number: int, pixels: bytes, place: tuple[int, int] = (0, 0), side: int = 2, kind: int = 0, opacity: int = 255
) -> bytes:
    return chunk(0x2005, struct.pack("<HhhBHh5xHH", number, *place, opacity, kind, 0, side, side) + pixels)


RED, BLUE = bytes((255, 0, 0, 255)), bytes((0, 0, 255, 255))


def test_layers_groups_links_and_opacity() -> None:
    first = frame(
        layer(b"back"), layer(b"hidden", flags=0, kind=1), layer(b"inside", depth=1), layer(b"front", opacity=128),
        cel(0, RED * 4), cel(2, BLUE * 4), cel(3, BLUE, (1, -1), 1), cel(3, BLUE, (1, 1), 1),
    )  # fmt: skip
    link = chunk(0x2005, struct.pack("<HhhBHh5xH", 0, 0, 0, 255, 1, 0, 0))
    sprite = aseprite.read_sprite(file(first, frame(link)))
    assert [each.name for each in sprite.layers] == ["back", "inside", "front"] and sprite.durations == [100, 100]
    frames = frames_of(sprite)
    assert frames[0, 0, 0].tolist() == [255, 0, 0, 255] and frames[0, 1, 1].tolist() == [127, 0, 128, 255]
    assert (frames[1] == (255, 0, 0, 255)).all()
    assert (frames_of(sprite, [sprite.layers[1]])[0] == (0, 0, 255, 255)).all()


def test_indexed_and_gray_images() -> None:
    palette = chunk(
        0x2019, struct.pack("<3I8x", 3, 0, 2) + b"".join(struct.pack("<H4B", 0, *c) for c in COLORS[1:].tolist())
    )
    packed = zlib.compress(bytes((0, 1, 2, 0)))
    read = frames_of(aseprite.read_sprite(file(frame(palette, layer(b"a"), cel(0, packed, kind=2)), depth=8)))[0]
    assert read.reshape(4, 4).tolist() == [[200, 40, 40, 255], [0, 0, 0, 0], [240, 230, 200, 255], [200, 40, 40, 255]]
    gray = frames_of(aseprite.read_sprite(file(frame(layer(b"a"), cel(0, bytes((9, 255) * 4))), depth=16)))[0]
    assert (gray == (9, 9, 9, 255)).all()


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (file(frame(layer(b"a"), cel(0, RED * 4)))[:-3], "cut short"),
        (file(frame(layer(b"a"), cel(0, RED * 3))), "cut short"),
        (file(frame(layer(b"a"), cel(0, zlib.compress(bytes(1 << 20)), kind=2))), "cut short"),
        (file(frame(layer(b"a"), cel(0, b"", side=60_000, kind=2))), "too large"),
        (file(frame(layer(b"a"), cel(7, RED * 4))), "cut short"),
        (file(frame(layer(b"map", kind=2))), "tile map"),
        (file(frame(layer(b"a", blend=1))), "blend mode"),
        (file(frame(), side=60_000), "pixels"),
        (file(*[frame()] * 5000), "frames"),
        (file(frame(chunk(0x2019, struct.pack("<3I8x", 1 << 31, 0, 1 << 30)))), "256 colors"),
        (file(frame(), depth=5), "damaged"),
    ],
)  # fmt: skip
def test_damaged_and_unknown_files(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        aseprite.read_sprite(data)
