"""Lists of files in folders and zip archives; folders with links, loops, clutter and unusual names; and classes."""

import io
import json
import os
import socket
import sys
import zipfile
from pathlib import Path

import pytest
import torch
from PIL import Image

from gan.data.decoding.decode import Decoder
from gan.data.decoding.reader import ImageError
from gan.data.sources.files import ImageFiles, content, find, read_labels
from gan.images.convert import grid, save_png
from gan.images.files import KEY
from gan.records.record import make, to_text
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


@pytest.mark.parametrize("name", ["../evil.png", "a/../../../../../evil.png", "/evil.png"])
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


# ---- folders


def scan(root: str | os.PathLike[str]) -> list[str]:
    return [file.name for file in find([os.fspath(root)])]


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def test_order_is_that_of_the_bytes(tmp_path):
    names = ["B.png", "a.png", "a/b.png", "a b.png", "\u00e9.png", "z.png", "\U0001f47e.png", "\uffee.png", "10.png"]
    touch(tmp_path, *reversed(names))
    assert scan(tmp_path) == sorted(names, key=lambda name: name.encode())


def test_hidden_and_clutter_are_skipped(tmp_path):
    touch(tmp_path, "a.png", ".b.png", "._a.png", ".cache/c.png", "__MACOSX/d.png", "@eaDir/e.png", "Thumbs.db")
    touch(tmp_path, "desktop.ini", "x/@eaDir/f.png")
    assert scan(tmp_path) == ["a.png"]


def test_what_is_no_regular_file(tmp_path):
    touch(tmp_path, "a.png", "x.png/inside.png")
    os.mkfifo(tmp_path / "fifo.png")
    (tmp_path / "dangling.png").symlink_to("nowhere")
    (tmp_path / "itself.png").symlink_to("itself.png")
    (tmp_path / "to_fifo.png").symlink_to("fifo.png")
    (tmp_path / "null.png").symlink_to("/dev/null")
    with socket.socket(socket.AF_UNIX) as server:
        here = os.getcwd()
        os.chdir(tmp_path)  # the path of a socket must be short
        try:
            server.bind("socket.png")
        finally:
            os.chdir(here)
        assert scan(tmp_path) == ["a.png", "x.png/inside.png"]


@pytest.mark.parametrize("loops", [["loop"], ["loop", "a/loop"]])
@pytest.mark.parametrize("target", ["root", "parent"])
def test_loops_end_and_each_file_is_there_once(tmp_path, loops, target):
    root = tmp_path / "root"
    touch(root, "a/1.png", "b/2.png", "3.png")
    touch(tmp_path, "beside/4.png")
    for loop in loops:
        (root / loop).symlink_to(root if target == "root" else tmp_path)
    assert scan(root) == ["3.png", "a/1.png", "b/2.png"]


def test_links_to_folders(tmp_path):
    root = tmp_path / "root"
    touch(root, "z/1.png")
    touch(tmp_path, "store/2.png", "store/deep/3.png", "deep/4.png")
    (root / "a").symlink_to(root / "z")  # sorts first, but the folder has a name of its own
    (root / "b").symlink_to("../store")
    (root / "c").symlink_to(tmp_path / "store")
    (root / "d").symlink_to(tmp_path / "store" / "deep")
    (tmp_path / "store" / "back").symlink_to(root)
    assert scan(root) == ["b/2.png", "b/deep/3.png", "z/1.png"]


def test_odd_names(tmp_path):
    names = ["a b.png", "quote'\".png", "new\nline.png", "\U0001f0cf/\U0001f47e.png", "back\\slash.png"]
    names += ["a=b,[c].png", "\uffee.png"]
    touch(tmp_path, *names)
    raw = b"\xf5.png"  # sorts after U+FFEE by its bytes, before it as Python's string
    if sys.platform != "darwin":  # which refuses names that are not UTF-8
        (tmp_path / os.fsdecode(raw)).touch()
        names.append(os.fsdecode(raw))
    found = scan(tmp_path)
    assert found == sorted(names, key=os.fsencode)
    assert all((tmp_path / name).is_file() for name in found)


@pytest.mark.parametrize(("name", "said"), [("missing", "there is no folder"), ("a.png", "cannot be read")])
def test_folders_that_cannot_be_read(tmp_path, name, said):
    touch(tmp_path, "a.png")
    with pytest.raises(UserError, match=said):
        scan(tmp_path / name)


# ---- classes

NAMES = ["b/1.png", "b/c/2.png", "a/3.png"]


def test_folders() -> None:
    names, found = read_labels(True, ["b/1.png", "b/c/2.png", "a/3.png", "B/4.png", "\u00e9/5.png"])
    assert names == ["B", "a", "b", "\u00e9"]
    assert found == [2, 2, 1, 0, 3]
    assert read_labels(False, NAMES) == ([], [0, 0, 0])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.png", "b/2.png", "stray.png", "stray2.png"], "'stray.png' is not in a class folder"),
        (["only/1.png", "only/2.png"], "'only'"),
    ],
)
def test_folders_that_make_no_classes(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        read_labels(True, names)


ROWS = [("b/1.png", "cat"), ("b/c/2.png", "dog"), ("a/3.png", "cat")]


@pytest.mark.parametrize(
    ("file", "text"),
    [
        ("t.csv", "file,label\n" + "".join(f"{name},{label}\n" for name, label in ROWS)),
        ("t.csv", "\ufeff" + "".join(f'"{name}", {label}\r\n' for name, label in [*ROWS, ("absent.png", "x")])),
        ("t.json", json.dumps(dict(ROWS))),
        ("t.json", json.dumps([{"file": name, "label": label} for name, label in ROWS])),
        ("t.JSON", json.dumps({"labels": ROWS})),
    ],
)
def test_tables(tmp_path: Path, file: str, text: str) -> None:
    (tmp_path / file).write_text(text, encoding="utf-8")
    assert read_labels(str(tmp_path / file), NAMES) == (["cat", "dog"], [0, 1, 0])
    numbers = text.replace("cat", "10").replace("dog", "9")  # which are sorted as numbers
    (tmp_path / file).write_text(numbers.replace("absent.png,x", "absent.png,9"), encoding="utf-8")
    assert read_labels(str(tmp_path / file), NAMES) == (["9", "10"], [1, 0, 1])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("t.csv", "b/1.png,cat\n", "2 of 3 images are missing, such as 'b/c/2.png'"),
        ("t.csv", "b/1.png,cat\nb/1.png,dog\n", "'b/1.png' has two labels, 'cat' and 'dog'"),
        ("t.csv", "file,label\na,b,c\n", "entry 1 is not a file and a label"),
        ("t.json", '[{"name": "b/1.png"}]', "cannot be read as a table of files and labels"),
    ],
)
def test_bad_tables(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        read_labels(str(tmp_path / file), NAMES)
    with pytest.raises(UserError, match=r"data\.labels=absent\.csv: .*No such file"):
        read_labels("absent.csv", NAMES)


def test_grids_of_the_program_are_no_images_of_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    record = {KEY: to_text(make(format=1, kind="grid", palette="00" * 768, seeds=[[0, 99]]))}
    images = torch.zeros(4, 3, 8, 8, dtype=torch.uint8)
    (tmp_path / "a").mkdir()
    save_png(grid(images), tmp_path / "a" / "grid.png", record)
    save_png(images[0], tmp_path / "a" / "0.png", {KEY: to_text(make(format=1, kind="image", seed=0))})
    save_png(images[0], tmp_path / "grid.png")  # of somebody else
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "grid.png").write_bytes(b"")
    for _ in range(2):  # as commands do that list a folder twice
        assert [file.name for file in find([str(tmp_path)])] == ["a/0.png", "b/grid.png", "grid.png"]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and os.path.join("a", "grid.png") in lines[0]
    root = archive(
        tmp_path / "x.zip", {"grid.png": (tmp_path / "a" / "grid.png").read_bytes(), "0.png": png((1, 0, 0))}
    )
    assert ImageFiles([root]).names == ["0.png"]
    (tmp_path / "a" / "0.png").unlink()
    with pytest.raises(UserError, match="no image"):
        find([str(tmp_path / "a")])
