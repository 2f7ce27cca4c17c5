"""Classes are read from folders and from tables."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gan.data.sources.files import read_labels
from gan.utils.errors import UserError

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
