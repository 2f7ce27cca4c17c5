"""The git revision of this program."""

from __future__ import annotations

import subprocess
from pathlib import Path


def git_revision() -> str | None:
    """Return the git revision of this checkout, with "-dirty" if it was changed; None for an installed package.

    An installed package may be in an environment inside of the user's own repository.
    """
    checkout = Path(__file__).resolve().parents[2]
    if not (checkout / "train.py").is_file():
        return None
    command = ["git", "-C", str(checkout), "describe", "--always", "--dirty", "--abbrev=40"]
    try:
        found = subprocess.run(command, capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return found.stdout.strip() if found.returncode == 0 else None
