"""Images decoded once into one memory-mapped array, shared by workers, ranks and runs.

Everything lies in one folder that can be removed at any time: $RETRO_GAN_CACHE, else ~/.cache/retro-gan.
"""

from __future__ import annotations

import hashlib
import json
import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from gan.data.decode import ImageError
from gan.errors import UserError
from gan.progress import counting

Work = Callable[[int], np.ndarray]  # index -> uint8 (C, H, W); may raise ImageError; sent to processes, so it pickles
CHUNK = 64  # images a task
SERIAL_BELOW = 512  # images: fewer than this are made before a process has started


def folder() -> Path:
    """Where the cache is; nothing is made here."""
    base = os.environ.get("RETRO_GAN_CACHE")
    return Path(base) if base else Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "retro-gan"


def images(
    key: object, work: Work, count: int, shape: tuple[int, int, int], title: str
) -> tuple[np.ndarray, dict[int, str]]:
    """The array uint8 (count, C, H, W) of `work`'s images, made on all cores unless it is there already.

    Args:
        key: everything that the pixels depend on, as JSON.
        title: shown beside the progress bar.

    Returns:
        The read-only array, and the reason for each index that could not be read (its pixels are 0).
    """
    name = hashlib.sha256(json.dumps(key, sort_keys=True).encode()).hexdigest()[:24]
    entry = folder() / "images" / name
    if not (entry / "errors.json").is_file():
        _make(entry, work, count, shape, title)
    errors = json.loads((entry / "errors.json").read_text())
    array = np.asarray(np.load(entry / "images.npy", mmap_mode="r"))  # np.memmap's own indexing is slow
    return array, {int(index): reason for index, reason in errors.items()}


def _make(entry: Path, work: Work, count: int, shape: tuple[int, int, int], title: str) -> None:
    """Fill a temporary folder and rename it, so that nobody sees half of a cache and two makers do no harm."""
    print(f"cache: {folder()}", flush=True)
    entry.parent.mkdir(parents=True, exist_ok=True)
    temporary = Path(tempfile.mkdtemp(prefix=".making-", dir=entry.parent))
    try:
        path = temporary / "images.npy"
        np.lib.format.open_memmap(path, "w+", np.uint8, (count, *shape)).flush()
        reserve(path)
        errors: dict[int, str] = {}
        with counting(title, count) as advance:
            for done, failed in _fill_all(path, work, count):
                errors.update(failed)
                advance(done)
        (temporary / "errors.json").write_text(json.dumps(errors))
        try:
            os.replace(temporary, entry)
        except OSError:  # another process has finished the same entry meanwhile
            if not (entry / "errors.json").is_file():
                raise
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def reserve(path: Path) -> None:
    """Take the blocks of a file now: a disk that fills up under a memory map ends the process without a word.

    Raises:
        UserError: there is no room for it.
    """
    with open(path, "r+b") as file:
        size = os.fstat(file.fileno()).st_size
        try:
            if hasattr(os, "posix_fallocate"):
                os.posix_fallocate(file.fileno(), 0, size)
        except OSError as error:
            raise UserError(
                f"{folder()}: no room for {size / 1e6:.0f} MB of decoded images ({error.strerror}); "
                "free some, or set RETRO_GAN_CACHE to a folder with room"
            ) from error


def _fill_all(path: Path, work: Work, count: int) -> Iterator[tuple[int, dict[int, str]]]:
    chunks = [range(first, min(first + CHUNK, count)) for first in range(0, count, CHUNK)]
    processes = os.cpu_count() or 1
    if count < SERIAL_BELOW or processes == 1:
        for chunk in chunks:
            yield _fill(path, work, chunk)
        return
    # spawn: a fork would copy the locks of torch's and the progress bar's threads
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, context, initializer=_receive, initargs=(path, work)) as pool:
        yield from pool.map(_fill_received, chunks)


_received: tuple[Path, Work]  # of this worker process: sent once, not with each chunk


def _receive(path: Path, work: Work) -> None:
    global _received
    _received = path, work


def _fill_received(chunk: range) -> tuple[int, dict[int, str]]:
    return _fill(*_received, chunk)


def _fill(path: Path, work: Work, chunk: range) -> tuple[int, dict[int, str]]:
    array = np.load(path, mmap_mode="r+")
    errors = {}
    for index in chunk:
        try:
            array[index] = work(index)
        except ImageError as error:
            errors[index] = str(error)
    array.flush()
    return len(chunk), errors
