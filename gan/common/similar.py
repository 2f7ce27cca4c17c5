"""Suggest an existing path for one that does not exist. No torch."""

from __future__ import annotations

import difflib
import os
from itertools import islice
from pathlib import Path

MAX_NAMES = 10_000  # names of a folder that are compared


def path_hint(path: str | os.PathLike[str]) -> str:
    """Return a hint such as `; did you mean runs/first?` for a missing path; an empty string if none is similar."""
    missing = Path(path)
    while not missing.parent.exists() and missing != missing.parent:
        missing = missing.parent
    try:
        with os.scandir(missing.parent) as entries:
            names = [entry.name for entry in islice(entries, MAX_NAMES)]
    except OSError:
        return ""
    by_lower = {name.lower(): name for name in names}
    near = difflib.get_close_matches(missing.name.lower(), by_lower, n=2, cutoff=0.6)
    found = [missing.parent / by_lower[name] / Path(path).relative_to(missing) for name in near]
    existing = [str(each) for each in found if each.exists()] or [str(missing.parent / by_lower[name]) for name in near]
    return f"; did you mean {' or '.join(existing)}?" if existing else ""
