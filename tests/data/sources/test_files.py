"""Lists of files in folders and zip archives."""

from __future__ import annotations

import io
import os
import zipfile
from pathlib import Path

import pytest
from PIL import Image

from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import ImageFiles, content, find
from gan.utils.errors import UserError


def png(color: tuple[int, int, int]) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", (4, 4), color).save(file, "PNG")
    return file.getvalue()


def archive(path: Path, members: dict[str, bytes]) -> str:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, data in members.items():
            opened.writestr(name, data)
    return str(path)


def colors(source: ImageFiles) -> list[list[int]]:
    decoder = Decoder((2, 2))
    return [next(source.decode(source.content(i), decoder))[:, 0, 0].tolist() for i in range(len(source.files))]


def test_a_zip_is_read_where_it_is(tmp_path: Path) -> None:
    members = {"b/2.PNG": png((2, 0, 0)), "a/1.png": png((1, 0, 0)), "a/read me.txt": b"", "__MACOSX/a/1.png": b"x"}
    root = archive(tmp_path / "cards.ZIP", {**members, ".hidden/3.png": b"x", "a/.4.png": b"x"})
    before = sorted(tmp_path.rglob("*"))
    source = ImageFiles([root])
    assert source.names == ["a/1.png", "b/2.PNG"]
    assert source.classes(True) == (["a", "b"], [0, 1])
    assert colors(source) == [[1, 0, 0], [2, 0, 0]]
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("name", ["../evil.png", "a/../../evil.png", "/evil.png"])
def test_names_that_lead_out_of_the_archive_are_refused(tmp_path: Path, name: str) -> None:
    (tmp_path / "in").mkdir()
    source = ImageFiles([archive(tmp_path / "in" / "x.zip", {name: png((1, 0, 0)), "good.png": png((2, 0, 0))})])
    assert sorted(source.names) == sorted([name, "good.png"])
    assert source.content(source.names.index("good.png"))
    with pytest.raises(ImageError, match="points outside the archive"):
        source.content(source.names.index(name))
    assert [path.name for path in tmp_path.rglob("*.png")] == []


def test_members_that_cannot_be_read(tmp_path: Path) -> None:
    root = archive(tmp_path / "x.zip", {"a.png": png((1, 0, 0)) + os.urandom(500)})
    data = bytearray(Path(root).read_bytes())
    data[300] ^= 255
    Path(root).write_bytes(data)
    with pytest.raises(ImageError, match=r"CRC|decompress"):
        content(find([root])[0])
    data[6] |= 1  # flag of encryption in the member's own header; the directory's is after it
    data[data.rindex(b"PK\x01\x02") + 8] |= 1
    Path(root).write_bytes(data)
    with pytest.raises(ImageError, match="password"):
        content(find([root])[0])


def test_archives_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "x.zip").write_bytes(b"no archive")
    with pytest.raises(UserError, match="cannot be read as a zip archive"):
        find([str(tmp_path / "x.zip")])
    with pytest.raises(UserError, match=r"no image in .*y\.zip"):
        find([archive(tmp_path / "y.zip", {"a.txt": b""})])


def test_several_roots_in_the_order_given(tmp_path: Path) -> None:
    for folder, name, red in (("b", "x/1.png", 1), ("a", "x/1.png", 2), ("a", "y/2.png", 3)):
        path = tmp_path / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(png((red, 0, 0)))
    root = archive(tmp_path / "z.zip", {"y/3.png": png((4, 0, 0))})
    source = ImageFiles([str(tmp_path / "b"), str(tmp_path / "a"), root])
    assert [color[0] for color in colors(source)] == [1, 2, 3, 4]
    assert source.classes(True) == (["x", "y"], [0, 0, 1, 1])
    assert len(set(source.keys)) == 4
    with pytest.raises(UserError, match="is listed twice"):
        find([str(tmp_path / "b"), str(tmp_path / "b") + "/."])
    with pytest.raises(UserError, match="no folder"):
        find([str(tmp_path / "b"), str(tmp_path / "absent")])
