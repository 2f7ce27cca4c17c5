"""Work on all cores: in order, whole, and past a process that dies."""

from __future__ import annotations

import multiprocessing
import os
import signal
import subprocess
import sys
from itertools import chain
from pathlib import Path

import pytest
from PIL import Image

from gan.data import pool


def square(task: int) -> int:
    return task * task


def deadly(task: int) -> int:
    if task in (13, 300) and multiprocessing.parent_process() is not None:
        os.kill(os.getpid(), signal.SIGKILL)
    return task * task


def fail(task: int) -> int:
    raise OSError(28, "No space left on device")


@pytest.mark.parametrize("count", [0, 1, 700])
@pytest.mark.parametrize("alone", [0.0, 60.0])
def test_results_are_in_order(count: int, alone: float, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", alone)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    assert list(chain.from_iterable(pool.spread(square, range(count), square))) == [n * n for n in range(count)]


def test_a_task_that_kills_its_process_is_found_and_the_rest_goes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", 0.0)
    monkeypatch.setattr(pool, "cores", lambda: 2)
    results = list(chain.from_iterable(pool.spread(deadly, range(400), lambda task: -1)))
    assert results == [-1 if n in (13, 300) else n * n for n in range(400)]
    assert not multiprocessing.active_children()


def test_errors_come_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "ALONE", 0.0)
    with pytest.raises(OSError, match="No space"):
        list(pool.spread(fail, range(100), fail))


def test_a_script_without_a_guard_is_told_what_is_missing(tmp_path: Path) -> None:
    """Its processes run it anew while they start, and must not wait for the lock that the first one holds."""
    for number in range(40):
        Image.new("RGB", (8, 8), (number, 0, 0)).save(tmp_path / f"{number}.png")
    script = tmp_path / "script.py"
    lines = ("import sys", "from gan.data import cache, decode, files, pool", "pool.ALONE = 0.0")
    script.write_text("\n".join((*lines, "cache.decoded(files.Files(sys.argv[1:]), decode.Decoder((8, 8)))")))
    environment = os.environ | {"RETRO_GAN_CACHE": str(tmp_path / "cache")}
    words = [sys.executable, str(script), str(tmp_path)]
    result = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=60)
    assert result.returncode == 1
    assert result.stderr.rstrip().endswith('below if __name__ == "__main__":')
