"""Describe the training images: the options of the data, and what `gan data check` finds if the folder is there."""

from __future__ import annotations

import os
import sys
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from gan.common.errors import UserError
from gan.common.nested import with_home
from gan.common.output import counting, first_few
from gan.sharing.report.facts import Facts
from gan.sharing.report.markup import Content, Html, note, pairs, tag
from gan.sharing.report.private import leaf, public_tree

MAX_CHECKED = 3000  # files
MAX_LISTED = 8
OPTIONS = ("size", "channels", "fit", "resample", "flip", "split", "validation", "labels", "frames", "max_images",
           "num_images", "style")  # fmt: skip


def options_table(facts: Facts) -> Html:
    """Return the names of the data and the options that decide what the network sees."""
    rows: list[tuple[Content, Content]] = [("data", ", ".join(facts.data[:MAX_LISTED]))]
    tree = facts.tree.get("data")
    data: dict[str, Any] = public_tree(tree) if isinstance(tree, dict) else {}
    for name in OPTIONS:
        if data.get(name) is not None and (name != "validation" or data.get("split", True)):
            rows.append((name.replace("_", " "), facts.size if name == "size" else plain(data[name])))
    if isinstance(data.get("classes"), list) and data["classes"]:
        rows.append(("classes", f"{len(data['classes']):,}: {first_few([str(n) for n in data['classes']], 12)}"))
    return pairs(rows)


def plain(value: object) -> str:
    """Return a value of an option as a user types it."""
    if isinstance(value, bool):
        return str(value).lower()
    return ", ".join(map(plain, value)) if isinstance(value, list) else str(value)


def check(facts: Facts) -> list[Html]:
    """Return the report on each folder of images; a note for one that is not there."""
    return [part for root in facts.roots[:4] for part in check_root(root, facts)]


def check_root(root: str, facts: Facts) -> list[Html]:
    title, path = tag("h3", leaf(root)), with_home(root)
    if reason := refusal(path):
        return [title, note(f"The images are not checked: {reason}.")]
    try:
        with redirect_stdout(sys.stderr):
            found, total = inspect(path, facts.sides)
    except (UserError, OSError) as error:
        return [title, note(f"The images are not checked: {type(error).__name__}, the folder has no readable images.")]
    few = note(f"{found['files']:,} of {total:,} files were checked.") if found["files"] < total else None
    return [title, pairs(rows_of(found, total)), *([few] if few else [])]


def refusal(path: str) -> str | None:
    """Return why a folder is not checked. The path comes from the run folder, which may be someone else's."""
    real, home = os.path.realpath(path), os.path.realpath(os.path.expanduser("~"))
    if not os.path.exists(path):
        return "the folder is not on this machine"
    if not os.path.isabs(path):
        return "the run names it relative to another folder"
    if Path(home).is_relative_to(real):
        return "the folder contains your home folder"
    return None


def inspect(path: str, size: tuple[int, int] | None) -> tuple[dict[str, Any], int]:
    """Return the report of `gan data check` on at most MAX_CHECKED files, evenly spaced, and the number of files."""
    from gan.data.checks import inspect_files, summarize
    from gan.data.sources.files import find

    files = find([path])
    count = len(files)
    if count > MAX_CHECKED:
        files = [files[n * count // MAX_CHECKED] for n in range(MAX_CHECKED)]
    with counting(f"checking {leaf(path)}", len(files)) as advance:
        facts = inspect_files(files, advance)
    return summarize(files, facts, size), count


def rows_of(found: dict[str, Any], total: int) -> list[tuple[Content, Content]]:
    rows: list[tuple[Content, Content]] = [
        ("files", f"{total:,}"),
        ("readable", f"{found['readable']:,} of {found['files']:,} checked"),
    ]
    if not found["readable"]:
        return rows
    duplicates = {kind: sum(map(len, groups)) - len(groups) for kind, groups in found["duplicates"].items()}
    width, height = found["sides"]["width"], found["sides"]["height"]
    rows += [
        ("formats", counts(found["formats"])),
        ("modes", counts(found["modes"])),
        ("width", f"{width['min']:g} to {width['max']:g}, median {width['median']:g} pixels"),
        ("height", f"{height['min']:g} to {height['max']:g}, median {height['median']:g} pixels"),
        ("transparent / gray / pixel art", f"{found['transparent']:,} / {found['gray']:,} / {found['sprites']:,}"),
        ("duplicates", f"{duplicates['exact']:,} identical, {duplicates['near']:,} nearly identical"),
        ("blank", f"{len(found['blank']):,}"),
        ("smaller than the training size", f"{len(found['smaller']):,}"),
    ]
    if found["animations"]:
        rows.append(("animations", f"{len(found['animations']):,}"))
    if found["classes"]:
        rows.append(("sub-folders", f"{len(found['classes']):,}: {counts(found['classes'])}"))
    return rows


def counts(table: dict[str, int]) -> str:
    return first_few([f"{name} {count:,}" for name, count in table.items()], MAX_LISTED)
