"""Give hostile files to the commands, and check the conditions that hold for all of them.

`limited` runs a command in a process of its own, within limits of memory; a `Cage` runs it here, beside files that must
stay as they are.
"""

import contextlib
import io
import os
import resource
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gan.cli import main
from tests.conftest import ROOT, environment

SECRET = "hunter2-and-no-other"
GROWTH = 400 << 20  # bytes by which a command that is refused may grow, of which torch takes some at its first use

MEMORY = 1 << 30  # bytes that each process may take: a sound file needs less, and a bomb more
SECONDS = 120  # until a command counts as one that never ends; sound files take one or two
LIMITED = """
import resource, sys
resource.setrlimit(resource.RLIMIT_DATA, ({memory}, {memory}))
from gan.cli import main
if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
"""


def snapshot(folder: Path) -> dict[str, int]:
    """Return all files below a folder with their modification times; links are not followed."""
    return {str(path): path.lstat().st_mtime_ns for path in sorted(folder.rglob("*"))}


def limited(*words: str, folder: Path, check: int, memory: int = MEMORY) -> subprocess.CompletedProcess[str]:
    """Run the `gan` command, which must end with the given code, in limited time and memory, without a traceback."""
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


class Cage:
    """A folder for running commands, beside a folder that they must not change.

    Attributes:
        folder: the current folder of the commands.
        canary: a file that code in a hostile file would make.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self.folder = root / "cage"
        self.canary = root / "canary"
        (root / "outside").mkdir()
        (root / "outside" / "precious").write_text("precious")
        self.folder.mkdir()

    def run(self, *words: str, check: int = 2) -> str:
        """Return the output of a command. If it must be refused, check that this is one line, fast and harmless."""
        before, grown = self.files(), peak()
        out, error = io.StringIO(), io.StringIO()
        with contextlib.chdir(self.folder), contextlib.redirect_stdout(out), contextlib.redirect_stderr(error):
            code = main(words)
        said = out.getvalue() + error.getvalue()
        assert code == check, said
        if check == 2:
            last = error.getvalue().splitlines()[-1]
            assert last.startswith("error: ") and len(last) < 3000 and said.count("error: ") == 1, said
        assert peak() - grown < GROWTH
        assert "Traceback" not in said and SECRET not in said
        after = self.files()
        outside = {path: content for path, content in after.items() if self.folder / "out" not in path.parents}
        assert outside == {path: content for path, content in before.items() if self.folder / "out" not in path.parents}
        assert not any(SECRET.encode() in content for content in after.values())
        assert not self.canary.exists()
        return said

    def files(self) -> dict[Path, bytes]:
        """Return the contents of each file below the root."""
        return {path: path.read_bytes() for path in self.root.rglob("*") if path.is_file()}


def peak() -> int:
    """Return the peak memory of this process in bytes."""
    return 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


@pytest.fixture
def cage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Cage]:
    monkeypatch.setenv("SECRET_TOKEN", SECRET)
    monkeypatch.setenv("COLUMNS", "200")
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # code that the user allows would leave its compiled form
    made = Cage(tmp_path)
    yield made
    assert not made.canary.exists() and os.environ["SECRET_TOKEN"] == SECRET
