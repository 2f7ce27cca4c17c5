"""data=stream with 1,000,000 images: shuffling, start, speed, memory, and the time that training waits for data.

    python tests/benchmarks/stream.py IMAGES SHARDS [--count 1_000_000] [--size 32] [--channels 4] [--seconds 20]
        [--train 30_000] [--only order,start,speed,memory,wait]

IMAGES is a folder of small images with a sub-folder for each class. SHARDS is made if it does not exist: `gan data
pack` packs IMAGES, and shards of 512 of its images, drawn at random, are written in the same format. So the shards have
the size of a set with this number of files, but each image is there many times.

1. order: the shuffling, from the order alone, against a full shuffle. The spread is the number of positions between the
   first and the last image of a shard. Of the pairs of images of a batch, how many are from one shard. The chi-square
   test of pairs counts from which tenths of IMAGES, sorted by name, both images are: for neighbors in the batch, which
   are often from one shard, and for images half a batch apart.
2. start: seconds from a new process to the first batch. Cold: the shards are not in the file system's cache.
3. speed: images/s of the batches alone, with 0 and 1 workers, from a cold cache on.
4. memory: MB of this process and its worker (PSS), over one epoch.
5. wait: the share of the time of training that waits for data, in runs of train.py with 1 and 0 workers.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from gan.data.decoding.decode import Decoder
from gan.data.shards import SHARD_SIZE, pack, read_index, read_shard
from gan.data.stream import StreamingDataModule, shard_groups
from tests.shards import write_shards

BATCH = 64


def make(images: str, shards: Path, count: int, kind: tuple[int, int, int]) -> None:
    """Write `count` images of a folder, each many times, as shards."""
    with tempfile.TemporaryDirectory(dir=shards.parent) as temporary:
        small = Path(temporary) / "small"
        started = time.perf_counter()
        packed = pack([images], small, Decoder(kind[:2], channels=kind[2]), True)
        print(f"gan data pack: {packed / (time.perf_counter() - started):,.0f} images/s", flush=True)
        index = read_index(small / "index.json")
        classes = len(index.classes)
        parts = [read_shard(small / n, size, kind, classes) for n, size in index.shards.items()]
    pixels, labels = (np.concatenate([part[k] for part in parts]) for k in (0, 1))
    random = np.random.default_rng(0)
    chosen = [random.integers(len(pixels), size=min(SHARD_SIZE, count - n)) for n in range(0, count, SHARD_SIZE)]
    counts = np.bincount(labels[np.concatenate(chosen)], minlength=classes).tolist()
    images = ((pixels[rows], labels[rows]) for rows in chosen)
    write_shards(shards, images, dict(zip(index.classes, counts, strict=True)))


# ---- the order


def measure_order(count: int) -> None:
    sizes = [min(SHARD_SIZE, count - first) for first in range(0, count, SHARD_SIZE)]
    first = np.cumsum([0, *sizes])
    batches = count // BATCH
    ids = np.empty((batches, BATCH), np.int64)  # number of each image, by batch and position
    groups = shard_groups(sizes, BATCH, 0)
    each = BATCH // len(groups)
    for number, group in enumerate(groups):
        found = [group.at(place) for place in range(batches * each)]
        ids[:, number * each : (number + 1) * each] = [
            [first[shard] + n for shard, n in found[k : k + each]] for k in range(0, len(found), each)
        ]
    lengths = [group.length for group in groups]
    seen = np.bincount(ids.ravel(), minlength=count)
    print(f"{len(sizes):,} shards in {len(groups)} groups of {min(lengths):,} to {max(lengths):,} images")
    print(f"first {ids.size:,} images: {(seen == 0).sum():,} not seen, {(seen == 1).sum():,} once, "
          f"{(seen == 2).sum():,} twice, {(seen > 2).sum():,} more often")  # fmt: skip
    full = np.random.default_rng(1).permutation(count)[: ids.size].reshape(ids.shape)
    # gan data pack writes the images in a random order: the file of each image, in the order of names
    file = np.random.default_rng(0).permutation(count)
    for name, order in (("stream", ids), ("full shuffle", full)):
        describe_order(name, order // SHARD_SIZE, file[order] * 10 // count)


def describe_order(name: str, shards: np.ndarray, tenths: np.ndarray) -> None:
    """Print how well an order is shuffled, from the shard and the tenth of IMAGES of each image, (batches, BATCH)."""
    flat = shards.ravel()
    spread = [np.ptp(np.flatnonzero(flat == shard)) for shard in range(0, flat.max(), 97)]
    pairs = np.mean([sum(n * (n - 1) / 2 for n in np.unique(row, return_counts=True)[1]) for row in shards[::50]])
    print(f"{name}: spread of a shard {np.median(spread):,.0f} positions (median), {max(spread):,} (maximum); "
          f"{pairs:.1f} of {BATCH * (BATCH - 1) // 2:,} pairs of a batch from one shard")  # fmt: skip
    for label, one, two in (
        ("neighbors", tenths[:, 0::2], tenths[:, 1::2]),
        ("half a batch apart", tenths[:, : BATCH // 2], tenths[:, BATCH // 2 :]),
    ):
        table = np.bincount((10 * one + two).ravel(), minlength=100)
        expected = table.sum() / 100
        value = ((table - expected) ** 2 / expected).sum()
        print(f"  chi-square of tenths, {label}: {value:.0f} (99 degrees of freedom, 5 % limit 123)")


# ---- the stream


def module(shards: Path, kind: tuple[int, int, int], workers: int) -> StreamingDataModule:
    data = StreamingDataModule(str(shards), kind[:2], kind[2], BATCH, num_workers=workers)
    data.setup("fit")
    return data


START = """
import sys, time
from gan.data.stream import StreamingDataModule
imported = time.perf_counter()
data = StreamingDataModule(sys.argv[1], (int(sys.argv[2]), int(sys.argv[3])), int(sys.argv[4]), 64, num_workers=1)
data.setup("fit")
ready = time.perf_counter()
next(iter(data.train_dataloader()))
print(ready - imported, time.perf_counter() - imported)
"""


def measure_start(shards: Path, kind: tuple[int, int, int]) -> None:
    for name in ("cold", "warm"):
        cold = name == "cold" and drop_cache(shards)
        words = [sys.executable, "-c", START, str(shards), *map(str, kind)]
        started = time.perf_counter()
        setup, batch = map(float, subprocess.run(words, capture_output=True, text=True, check=True).stdout.split())
        print(f"start, {'cold' if cold else 'warm'}: {time.perf_counter() - started:.1f} s with Python and imports; "
              f"setup {setup:.2f} s, to the first batch {batch:.2f} s")  # fmt: skip


def drop_cache(shards: Path) -> bool:
    """Drop the shards from the cache of the file system, and return whether the system could."""
    if not hasattr(os, "posix_fadvise"):
        return False
    os.sync()
    for path in shards.iterdir():
        with open(path, "rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    return True


def measure_speed(shards: Path, kind: tuple[int, int, int], seconds: float) -> None:
    for workers in (0, 1):
        drop_cache(shards)
        batches = iter(module(shards, kind, workers).train_dataloader())
        next(batches)
        started, seen = time.perf_counter(), 0
        while time.perf_counter() - started < seconds:
            seen += len(next(batches)["image"])
        print(f"speed, num_workers={workers}: {seen / (time.perf_counter() - started):,.0f} images/s", flush=True)


def measure_memory(shards: Path, kind: tuple[int, int, int]) -> None:
    data = module(shards, kind, 1)
    batches: Iterator[Any] = iter(data.train_dataloader())
    total, found = len(data) // BATCH, []
    started = time.perf_counter()
    for number in range(total):
        next(batches)
        if number % (total // 50) == 0:
            found.append(memory())
    print(f"memory over {total * BATCH:,} images in {time.perf_counter() - started:.0f} s: {found[0]:.0f} MB after the "
          f"first batch, {min(found[1:]):.0f} to {max(found[1:]):.0f} MB after 2 % of the epoch and later, "
          f"{found[-1]:.0f} MB at the end")  # fmt: skip


def memory() -> float:
    """Return the memory of this process and its children in MB, shared pages counted once (PSS)."""
    own = psutil.Process()
    return sum(process.memory_full_info().pss for process in (own, *own.children(recursive=True))) / 1e6


WAIT = """
import atexit, runpy, sys, time
from gan.data.stream import StreamingDataModule
seconds = []
class Timed:
    def __init__(self, batches): self.batches = batches
    def __iter__(self):
        batches = iter(self.batches)
        while True:
            started = time.perf_counter()
            batch = next(batches)
            seconds.append((started, time.perf_counter()))
            yield batch
original = StreamingDataModule.train_dataloader
StreamingDataModule.train_dataloader = lambda self: Timed(original(self))
def report():
    waited, whole = sum(end - start for start, end in seconds[1:]), seconds[-1][1] - seconds[0][1]
    print(f"wait: {waited:.2f} s of {whole:.1f} s in {len(seconds) - 1:,} batches, {100 * waited / whole:.2f} %; "
          f"first batch {seconds[0][1] - seconds[0][0]:.2f} s")
atexit.register(report)
sys.argv[0] = "train.py"
runpy.run_path("train.py", run_name="__main__")
"""


def measure_wait(shards: Path, kind: tuple[int, int, int], images: int) -> None:
    words = ["data=stream", f"data.root={shards}", f"data.size=[{kind[0]},{kind[1]}]", f"data.channels={kind[2]}"]
    words += [f"images={images}", f"data.batch_size={BATCH}", "callback=[progress]", "trainer.threads=1"]
    for workers in (1, 0):
        with tempfile.TemporaryDirectory() as temporary:
            words_here = [*words, f"data.num_workers={workers}", f"hydra.run.dir={temporary}/run"]
            found = subprocess.run([sys.executable, "-c", WAIT, *words_here], capture_output=True, text=True)
            lines = [line for line in found.stdout.splitlines() if line.startswith("wait")] or [found.stderr]
            print(f"num_workers={workers}, {lines[-1]}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("images")
    parser.add_argument("shards", type=Path)
    parser.add_argument("--count", type=int, default=1_000_000)
    parser.add_argument("--size", type=int, default=32)
    parser.add_argument("--channels", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--train", type=int, default=30_000, help="images of the run of train.py")
    parser.add_argument("--only", default="order,start,speed,memory,wait")
    arguments = parser.parse_args()
    kind, parts = (arguments.size, arguments.size, arguments.channels), arguments.only.split(",")
    if not arguments.shards.exists():
        make(arguments.images, arguments.shards, arguments.count, kind)
    if "order" in parts:
        measure_order(arguments.count)
    if "start" in parts:
        measure_start(arguments.shards, kind)
    if "speed" in parts:
        measure_speed(arguments.shards, kind, arguments.seconds)
    if "memory" in parts:
        measure_memory(arguments.shards, kind)
    if "wait" in parts:
        measure_wait(arguments.shards, kind, arguments.train)


if __name__ == "__main__":
    main()
