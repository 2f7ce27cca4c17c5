"""Classes are read from folders and from tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan.common.errors import UserError
from gan.data.sources import labels

NAMES = ["b/1.png", "b/c/2.png", "a/3.png"]


def test_folders() -> None:
    names, found = labels.read(True, ["b/1.png", "b/c/2.png", "a/3.png", "B/4.png", "\u00e9/5.png"])
    assert names == ["B", "a", "b", "\u00e9"]
    assert found == [2, 2, 1, 0, 3]
    assert labels.read(False, NAMES) == ([], [0, 0, 0])


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["a/1.png", "b/2.png", "stray.png", "stray2.png"], "'stray.png' is not in a class folder"),
        (["1.png", "2.png"], "none"),
        (["only/1.png", "only/2.png"], "'only'"),
        ([], "none"),
    ],
)
def test_folders_that_make_no_classes(names: list[str], message: str) -> None:
    with pytest.raises(UserError, match=message):
        labels.read(True, names)


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
    assert labels.read(str(tmp_path / file), NAMES) == (["cat", "dog"], [0, 1, 0])


def test_numbers_are_sorted_as_numbers(tmp_path: Path) -> None:
    (tmp_path / "t.json").write_text(json.dumps({"labels": [["b/1.png", 10], ["b/c/2.png", 9], ["a/3.png", 10]]}))
    assert labels.read(str(tmp_path / "t.json"), NAMES) == (["9", "10"], [1, 0, 1])


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("t.csv", "b/1.png,cat\n", "2 of 3 images are missing, such as 'b/c/2.png'"),
        ("t.csv", "b/1.png,cat\nb/1.png,dog\n", "'b/1.png' has two labels, 'cat' and 'dog'"),
        ("t.csv", "".join(f"{name},x\n" for name in NAMES), "all images have the label 'x'"),
        ("t.csv", "file,label\na,b,c\n", "entry 1 is not a file and a label"),
        ("t.json", "{", "not a table of files and labels"),
        ("t.json", '[{"name": "b/1.png"}]', "not a table of files and labels"),
        ("t.json", "7", "not a table of files and labels"),
    ],
)
def test_bad_tables(tmp_path: Path, file: str, text: str, message: str) -> None:
    (tmp_path / file).write_text(text)
    with pytest.raises(UserError, match=message):
        labels.read(str(tmp_path / file), NAMES)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("t.json", b"[" * 200_000),
        ("t.json", b'{"labels": ' * 100_000),
        ("t.json", bytes(range(256)) * 100),
        ("t.csv", bytes(range(256)) * 100),
        ("t.csv", b'"' + b"x" * 1_000_000),
        ("t.json", b'[{"file": ["a"], "label": {"b": 1}}]'),
        ("t.json", b'{"b/1.png": [1, 2], "b/c/2.png": null, "a/3.png": {}}'),
        ("t.json", b'{"labels": 7}'),
        ("t.json", b'{"labels": [7]}'),
        ("t.json", b"null"),
        ("t.json", b"[" + b"0," * 25_000_000 + b"0]"),
        ("t.csv", b"x" * 200_000_000),
    ],
)
def test_hostile_tables(tmp_path: Path, file: str, content: bytes) -> None:
    (tmp_path / file).write_bytes(content)
    with pytest.raises(UserError) as caught:
        labels.read(str(tmp_path / file), NAMES)
    assert "\n" not in str(caught.value) and len(str(caught.value)) < 1000


def test_a_table_that_never_ends(tmp_path: Path) -> None:
    (tmp_path / "t.csv").symlink_to("/dev/zero")
    with pytest.raises(UserError, match="it is not a regular file"):
        labels.read(str(tmp_path / "t.csv"), NAMES)


def test_a_missing_table() -> None:
    with pytest.raises(UserError, match=r"data\.labels=absent\.csv: No such file"):
        labels.read("absent.csv", NAMES)
