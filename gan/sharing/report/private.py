"""Remove what a reader of a report should not learn: folders above a file, and with them the name of the user."""

from __future__ import annotations

import re
from typing import Any

from gan.common.nested import map_strings

ROOT = re.compile(r"\s*(file://|~|[/\\]|[A-Za-z]:[/\\]|\.\.[/\\])")  # how a path that leads elsewhere begins
STOP = r"\s'\",;=:\[\]{}()<>|/\\"
# A path of at least two parts inside other text. An address such as https://host/name is none.
INSIDE = re.compile(rf"(?<![\w.:/\\~-])(?:~[^{STOP}]*|[A-Za-z]:|(?:\.\.[/\\])*\.\.)?(?:[/\\][^{STOP}]+){{2,}}[/\\]?"
                    rf"|(?<![\w.:/\\~-])(?:~[^{STOP}]*|\.\.|[A-Za-z]:)[/\\][^{STOP}]+")  # fmt: skip
HOME = re.compile(r"(?:[A-Za-z]:)?[/\\](?:root|(?:home|Users)[/\\][^/\\]+)[/\\]?|~[^/\\]*")


def leaf(path: str) -> str:
    """Return the last name of a path; ~ for a home folder."""
    bare = path.strip().strip("'\"").removeprefix("file://")
    if HOME.fullmatch(bare):
        return "~"
    return re.split(r"[/\\]", bare.rstrip("/\\"))[-1] or "/"


def public(value: str) -> str:
    """Return text in which paths that lead elsewhere, such as absolute ones, are only their last name."""
    bare = value.strip()
    if bare[:1] == "[" and bare[-1:] == "]":
        return "[" + ",".join(public(each) for each in bare[1:-1].split(",")) + "]"
    if ROOT.match(bare.lstrip("'\"")):
        return leaf(bare)
    return INSIDE.sub(lambda found: leaf(found[0]), value)


def public_word(word: str) -> str:
    """Return a word of a command line, such as data.root=/home/me/scans, as data.root=scans."""
    key, separator, value = word.partition("=")
    return f"{key}={public(value)}" if separator else public(word)


def public_tree(tree: Any) -> Any:
    """Return nested containers with `public` applied to every string."""
    return map_strings(tree, public)
