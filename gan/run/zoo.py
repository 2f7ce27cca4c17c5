"""The models that come with the package, in place of a run: zoo:NAME. No torch.

Each is a folder written by `gan share`, with weights in half precision and a model card.
"""

from __future__ import annotations

import difflib
import os
from pathlib import Path

from gan.common.errors import UserError
from gan.run.shared_folder import CONFIG

SCHEME = "zoo:"
FOLDER = Path(__file__).resolve().parents[1] / "sharing" / "models"


def names() -> list[str]:
    """Return the names of all models, sorted."""
    return sorted(path.parent.name for path in FOLDER.glob(f"*/{CONFIG}"))


def folder_of(address: str) -> Path:
    """Return the folder of a model, from zoo:NAME.

    Raises:
        UserError: there is no such model.
    """
    name = address.removeprefix(SCHEME)
    if name in names():
        return FOLDER / name
    raise UserError(f"{address}: no such model; choose from {', '.join(names())}")


def hint(name: str) -> str:
    """Return a hint such as `; did you mean zoo:press?` for a similar name; an empty string if none is similar."""
    near = difflib.get_close_matches(name.lower(), names(), n=1, cutoff=0.8)
    return f"; did you mean {SCHEME}{near[0]}?" if near else ""


def with_addresses(text: str) -> str:
    """Return a path or a message in which the folders of these models are named zoo:NAME."""
    return text.replace(f"{FOLDER}{os.sep}", SCHEME)
