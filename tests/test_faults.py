"""Data that goes wrong while a run is going on: an error that says what, soon, and nothing left behind."""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from PIL import Image

from .conftest import ROOT, TINY, environment

LONG = [option for option in TINY if not option.startswith("data.images")] + ["images=1000000"]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    for index in range(12):
        Image.new("RGB", (20, 20), (index, 0, 0)).save(tmp_path / "images" / f"{index}.png")
    return tmp_path / "images"


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def running(folder: Path, *options: str, cache: str = "") -> Iterator[subprocess.Popen[str]]:
    """A run that has saved its first checkpoint."""
    words = [sys.executable, str(ROOT / "train.py"), *LONG, "data=folder", f"data.root={folder}", *options]
    run = folder.parent / "run"
    process = subprocess.Popen(
        [*words, f"hydra.run.dir={run}"],
        cwd=folder.parent,
        env=environment() | ({"RETRO_GAN_CACHE": cache} if cache else {}),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
    )
    try:
        deadline = time.monotonic() + 120
        while not list((run / "checkpoints").glob("*.ckpt")):
            assert process.poll() is None and time.monotonic() < deadline, process.communicate()[0]
            time.sleep(0.05)
        yield process
    finally:
        process.kill()
        process.communicate()


def ending(process: subprocess.Popen[str]) -> str:
    """The last line of a run that ends by itself within 30 seconds, with exit code 2 and no traceback."""
    started = time.monotonic()
    said = process.communicate(timeout=60)[0]
    assert time.monotonic() - started < 30
    assert process.returncode == 2, said
    assert "Traceback" not in said, said
    return said.strip().splitlines()[-1]


def resume(folder: Path, cache: str = "") -> str:
    saved = max(
        int(re.findall(r"\d+", path.stem)[0]) for path in (folder.parent / "run" / "checkpoints").glob("*.ckpt")
    )
    words = [sys.executable, str(ROOT / "train.py"), f"resume={folder.parent / 'run'}", f"images={saved + 400}"]
    kept = environment() | ({"RETRO_GAN_CACHE": cache} if cache else {})
    result = subprocess.run(words, cwd=folder.parent, env=kept, capture_output=True, text=True, timeout=120)
    assert result.returncode == 0, result.stdout + result.stderr
    return result.stdout + result.stderr


@pytest.mark.parametrize("workers", [0, 2])
def test_a_file_that_turns_bad_without_a_cache(folder: Path, tmp_path: Path, workers: int) -> None:
    (tmp_path / "blocked").touch()  # a file where the folder of the cache should be
    good = (folder / "7.png").read_bytes()
    with running(folder, f"data.workers={workers}", cache=str(tmp_path / "blocked")) as process:
        (folder / "7.png").write_bytes(good[:40])
        line = ending(process)
        assert line.startswith(f"error: '{folder}/7.png': could be read when the run began, but no more")
        assert not Path(f"/proc/{process.pid}").exists()
    (folder / "7.png").write_bytes(good)
    assert "every image is decoded anew each time" in resume(folder, cache=str(tmp_path / "blocked"))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def test_a_worker_that_dies(folder: Path) -> None:
    with running(folder, "data.workers=2") as process:
        workers = children(process.pid)
        killed = next(pid for pid in workers if "multiprocessing" not in Path(f"/proc/{pid}/cmdline").read_text())
        os.kill(killed, signal.SIGKILL)
        assert "a process that gathers batches died" in ending(process)
        deadline = time.monotonic() + 60
        while any(map(alive, workers)) and time.monotonic() < deadline:  # some end after the one that started them
            time.sleep(0.05)
        assert not any(map(alive, workers))
    resume(folder)


def test_a_folder_that_is_deleted_while_the_cache_has_its_pixels(folder: Path) -> None:
    with running(folder) as process:
        shutil.rmtree(folder)
        time.sleep(2)
        assert process.poll() is None
        process.send_signal(signal.SIGTERM)
        said = process.communicate(timeout=60)[0]
        assert process.returncode == 143, said
    # the set is gone, so the run can't be gone on with, and says so
    words = [sys.executable, str(ROOT / "train.py"), f"resume={folder.parent / 'run'}"]
    result = subprocess.run(words, cwd=folder.parent, capture_output=True, text=True, timeout=120)
    assert result.returncode == 2 and "there is no folder" in result.stderr
