"""File names from data: safe names stay unchanged, others stay in the folder, and all are different."""

from __future__ import annotations

from pathlib import Path

import pytest

from gan.common.files import cleaned, file_name
from gan.common.output import one_line

SAFE = ["0", "sefa0", "image.png", "sub/image.png", "a b/c-d_e.jpeg", "Straße", "写真/一.png", "a..b", "x" * 251]
SAFE += ["~", "-1", "null", "console", "com", "a~b", "é" * 125, "👩‍🎨"]
UNSAFE = [
    "",
    ".",
    "..",
    "../x",
    "../../x",
    "a/../b",
    "a/./b",
    "/etc/passwd",
    "//host/share",
    "a//b",
    "a/",
    "C:x",
    "C:\\x",
]
UNSAFE += [
    "a\\b",
    "..\\x",
    "a:b",
    "a\0b",
    "\0",
    "a\nb",
    "a\rb",
    "\x1b[2J",
    "\x7f",
    "\x85",
    "\u2028",
    ".hidden",
    "a/.git/b",
]
UNSAFE += [
    "x" * 252,
    "é" * 126,
    "a/" * 600 + "b",
    "con",
    "NUL",
    "com1",
    "lpt9.txt",
    "Aux.png",
    "sub/prn",
    "com²",
    "nul /x",
]
UNSAFE += [
    "x.",
    "x ",
    "a. /b",
    "a ./b",
    "\ud800",
    "a\udcffb",
    "?",
    "*",
    "a|b",
    '"',
    "<",
    ">",
    "a\u202egnp.exe",
    "...",
    " .",
]


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
    names = [*SAFE, *UNSAFE, "..//x", "...//x", ".. /x", "../x", "\\..\\x", "__x", *map(cleaned, UNSAFE)]
    names = list(dict.fromkeys(names))
    assert len({file_name(name, ".png") for name in names}) == len(names)


def test_a_line_of_text_has_no_control_characters() -> None:
    assert one_line("a\nb\x1b[2J\ud800\u202e") == "a\\nb\\x1b[2J\\ud800\\u202e"
    assert one_line("Straße 写真") == "Straße 写真"
    assert len(one_line("x" * 10**6)) <= 2000
