"""What is hostile is given to the commands in a process of its own, within limits, as a stranger's file would be."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from ..conftest import ROOT, environment

MEMORY = 1 << 30  # bytes that each process may take: a sound file needs less, and a bomb more
SECONDS = 120  # until a command counts as one that never ends; sound files take one or two
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
from gan.cli import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""

Gan = Callable[..., subprocess.CompletedProcess[str]]


def snapshot(folder: Path) -> dict[str, int]:
    """All files below a folder and when they changed; a link counts itself."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def limited(*words: str, folder: Path, check: int, memory: int = MEMORY) -> subprocess.CompletedProcess[str]:
    """The `gan` command; it must end with that code, in time, in memory and without a traceback."""
    script = LIMITED.format(memory=memory)
    paths = os.pathsep.join(filter(None, (str(ROOT), os.environ.get("PYTHONPATH"))))
    result = subprocess.run(
        [sys.executable, "-c", script, *words],
        cwd=folder,
        env=environment() | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        timeout=SECONDS,
    )
    assert result.returncode == check, f"exit {result.returncode}\n{result.stdout}\n{result.stderr}"
    assert "Traceback" not in result.stdout + result.stderr
    return result


@pytest.fixture(autouse=True)
def only_on_linux() -> None:
    if sys.platform != "linux":
        pytest.skip("other systems do not limit the memory of a process")
