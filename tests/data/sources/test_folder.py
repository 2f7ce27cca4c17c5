"""Folders with links, loops, clutter and unusual names."""

import os
import socket
import sys
from pathlib import Path

import pytest

from gan.data.sources.files import find
from gan.utils.errors import UserError


def scan(root: str | os.PathLike[str]) -> list[str]:
    return [file.name for file in find([os.fspath(root)])]


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def message(call: object, *arguments: object) -> str:
    with pytest.raises(UserError) as caught:
        call(*arguments)  # type: ignore[operator]
    text = str(caught.value)
    assert "\n" not in text
    text.encode()  # printable: no lone surrogate
    return text


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
    names = [
        "a b.png",
        "quote'\".png",
        "new\nline.png",
        "\U0001f0cf/\U0001f47e.png",
        "back\\slash.png",
        "a=b,[c].png",
        "\uffee.png",
    ]
    touch(tmp_path, *names)
    raw = b"\xf5.png"  # sorts after U+FFEE by its bytes, before it as Python's string
    if sys.platform != "darwin":  # which refuses names that are not UTF-8
        (tmp_path / os.fsdecode(raw)).touch()
        names.append(os.fsdecode(raw))
    found = scan(tmp_path)
    assert found == sorted(names, key=os.fsencode)
    assert all((tmp_path / name).is_file() for name in found)


def test_folders_that_cannot_be_read(tmp_path):
    touch(tmp_path, "a.png")
    assert "there is no folder" in message(scan, tmp_path / "missing")
    assert "cannot be read" in message(scan, tmp_path / "a.png")
