"""The class of each image, from its folder or from a table in a file."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gan.common.errors import UserError, reason, to_line
from gan.common.untrusted import read_bytes

LARGEST = 128 << 20  # maximum size of a table in bytes; enough for some millions of files


def read(option: bool | str, names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return the names of the classes, and the label (index of the class) of each file.

    Args:
        option: False for no classes, True for sub-folders as classes, or the path of a table.
        names: paths of the files, with "/" as the separator.
    """
    if option is False:
        return [], [0] * len(names)
    return from_folders(names) if option is True else from_table(str(option), names)


def from_folders(names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return classes and labels from sub-folders. Classes are sorted by the bytes of their names.

    A class has all images below its sub-folder.

    Raises:
        UserError: a file is in no sub-folder, or there are fewer than two classes.
    """
    owners = [name.partition("/")[0] if "/" in name else None for name in names]
    found = {owner for owner in owners if owner is not None}
    if found and None in owners:
        stray = names[owners.index(None)]
        raise UserError(f"{stray!r} is not in a class folder: move it into one, or out of the folder")
    check_number(found)
    classes = sorted(found, key=os.fsencode)
    labels = {name: label for label, name in enumerate(classes)}
    return classes, [labels[name.partition("/")[0]] for name in names]


def check_number(folders: set[str]) -> None:
    """Raise UserError if there are fewer than two sub-folders for classes."""
    if len(folders) < 2:
        only = f"only one, {next(iter(folders))!r}" if folders else "none"
        raise UserError(f"data.labels=true needs a sub-folder for each class, but there is {only}: create two or more")


def from_table(path: str, names: Sequence[str]) -> tuple[list[str], list[int]]:
    """Return classes and labels from a table. Classes are sorted as numbers if all are integers, else by their bytes.

    CSV has the columns file and label, with or without a header. JSON is {file: label}, [{"file": ..., "label":
    ...}], or {"labels": [[file, label], ...]} as in StyleGAN's datasets. Files are relative to the data folder.

    Raises:
        UserError: the table cannot be read, an image is missing or has two labels, or there is only one label.
    """
    table: dict[str, str] = {}
    for file, label in _rows(path):
        if table.setdefault(file, label) != label:
            raise UserError(f"{path}: {file!r} has two labels, {table[file]!r} and {label!r}")
    without = [name for name in names if name not in table]
    if without:
        raise UserError(
            f"{path}: {len(without)} of {len(names)} images are missing, such as {without[0]!r}; "
            "use paths relative to data.root, with / between folders"
        )
    used = {table[name] for name in names}
    if len(used) < 2:
        raise UserError(f"{path}: all images have the label {used.pop()!r}; at least two classes are needed")
    whole = all(label.lstrip("-").isdecimal() for label in used)
    classes = sorted(used, key=int) if whole else sorted(used, key=os.fsencode)
    labels = {name: label for label, name in enumerate(classes)}
    return classes, [labels[table[name]] for name in names]


def _rows(path: str) -> Iterator[tuple[str, str]]:
    try:
        text = read_bytes(Path(path), LARGEST).decode("utf-8-sig", "surrogateescape")
        if path.lower().endswith(".json"):
            pairs = _pairs(json.loads(text))
        else:
            pairs = [row for row in csv.reader(io.StringIO(text, newline="")) if row]
            if pairs and [cell.strip().lower() for cell in pairs[0]] == ["file", "label"]:
                del pairs[0]
        for number, pair in enumerate(pairs, 1):
            if len(pair) != 2 or any(isinstance(cell, list | dict) for cell in pair):
                raise ValueError(f"entry {number} is not a file and a label")
            yield str(pair[0]).strip(), str(pair[1]).strip()
    except OSError as error:
        raise UserError(
            f"data.labels={path}: {reason(error)}; use true, false or a table of files and labels"
        ) from error
    except (ValueError, KeyError, TypeError, RecursionError, csv.Error) as error:
        raise UserError(f"data.labels={path}: not a table of files and labels ({to_line(error)})") from error


def _pairs(table: Any) -> list[Any]:
    if isinstance(table, dict) and isinstance(table.get("labels"), list):
        return table["labels"]
    if isinstance(table, dict):
        return list(table.items())
    return [(row["file"], row["label"]) for row in table]
