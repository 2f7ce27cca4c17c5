"""File names from data: safe names stay unchanged, others stay in the folder, and all are different."""

from pathlib import Path

import pytest

from gan.utils.files import file_name

SAFE = ["0", "sefa0", "image.png", "sub/image.png", "a b/c-d_e.jpeg", "Straße", "写真/一.png", "a..b", "x" * 251]
SAFE += ["~", "-1", "null", "console", "com", "a~b", "é" * 125, "👩‍🎨"]
UNSAFE = [
    "", ".", "..", "../../x", "a/../b", "a/./b", "/etc/passwd", "//host/share", "a//b", "a/", "C:x", "a\\b", "a:b",
    "a\0b", "a\nb", "\x1b[2J", "\x7f", "\u2028", ".hidden", "a/.git/b", "x" * 252, "é" * 126, "a/" * 600 + "b", "con",
    "NUL", "lpt9.txt", "sub/prn", "com²", "nul /x", "x.", "x ", "a. /b", "\ud800", "a\udcffb", "?", "*", "a|b", '"',
    "<", "a\u202egnp.exe", "...", " .",
]  # fmt: skip


@pytest.mark.parametrize("name", SAFE)
def test_safe_names_stay_as_they_are(name: str) -> None:
    assert file_name(name, ".png") == f"{name}.png" and file_name(name[:200]) == name[:200]


@pytest.mark.parametrize("name", UNSAFE, ids=ascii)
def test_other_names_stay_in_the_folder(name: str, tmp_path: Path) -> None:
    made = file_name(name, ".png")
    assert made != f"{name}.png" and "/" not in made and made.endswith(".png")
    path = tmp_path / "out" / made
    path.parent.mkdir()
    path.touch()
    assert path.resolve().parent == (tmp_path / "out").resolve() and path.name.isprintable()
    assert file_name(made.removesuffix(".png"), ".png") != made  # nobody can choose the name of another's file


def test_different_names_give_different_files() -> None:
    names = [*SAFE, *UNSAFE, "..//x", "...//x", ".. /x", "../x", "\\..\\x", "__x", *map(file_name, UNSAFE)]
    names = list(dict.fromkeys(names))
    assert len({file_name(name, ".png") for name in names}) == len(names)
