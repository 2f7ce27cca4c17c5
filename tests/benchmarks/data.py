"""The data engine against what people use now, side by side in one run.

    python tests/benchmarks/data.py [--photos FOLDER] [--tiles FOLDER] [--blocks 5] [--seconds 4]

1. images/s of batches after the cache, against torchvision's ImageFolder and a DataLoader of 2 workers that decodes,
   resizes and crops to the same size; photographs and tiles, 64 and 256 pixels.
2. Making the cache, which is kept on disk, against Pillow's bare decode and resize in a pool on all cores, which keeps
   its pixels in memory.
3. The share of a DCGAN's training step at 32 pixels that is spent in waiting for data.

Without folders of one's own, photographs are drawn scenes of 256 pixels as JPEG, and tiles drawn sprites of 32 pixels
as PNG with alpha. Prints medians, spreads and the ratios.
"""

from __future__ import annotations

import argparse
import io
import itertools
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch.utils.data import DataLoader
from torchvision.datasets import ImageFolder
from torchvision.transforms import v2

from gan.data.builtin import retro
from gan.data.decoding.pool import cores
from gan.data.module import ImageDataModule

BATCH = 64


def write_copies(folder: Path, pictures: list[Image.Image], count: int, form: str, **options: Any) -> Path:
    """Each picture many times in ten folders: reading and decoding take no less for it."""
    for index, picture in enumerate(pictures):
        encoded = io.BytesIO()
        picture.save(encoded, form, **options)
        for copy in range(index, count, len(pictures)):
            path = folder / str(copy % 10) / f"{copy}.{form.lower()}"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.getvalue())
    return folder


def draw_photographs(folder: Path, count: int) -> Path:
    scenes = [Image.fromarray(retro.draw(1, 4 * index + 2, 256, 256)) for index in range(200)]
    return write_copies(folder, scenes, count, "JPEG", quality=90)


def draw_tiles(folder: Path, count: int) -> Path:
    tiles = []
    for index in range(500):
        picture = Image.fromarray(retro.draw(1, 4 * index + 1, 32, 32)).convert("RGBA")
        picture.putalpha(picture.convert("L").point(lambda level: 255 * (level > 60)))
        tiles.append(picture)
    return write_copies(folder, tiles, count, "PNG")


def images_a_second(batches: Iterator[Any], seconds: float) -> float:
    """After the first batch, which waits for workers to start."""
    next(batches)
    started, seen = time.perf_counter(), 0
    while time.perf_counter() - started < seconds:
        batch = next(batches)
        seen += len(batch["image"] if isinstance(batch, dict) else batch[0])
    return seen / (time.perf_counter() - started)


def quotient(above: list[float], below: list[float]) -> str:
    """Median and range over blocks that were measured side by side."""
    ratios = sorted(a / b for a, b in zip(above, below, strict=True))
    return f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"


def endless(loader: Iterable[Any]) -> Iterator[Any]:
    while True:
        yield from loader


def compare_loaders(folder: Path, size: int, blocks: int, seconds: float) -> None:
    data = ImageDataModule(str(folder), size=size, batch_size=BATCH, resample="lanczos")
    data.setup("fit")
    steps = [v2.Resize(size, v2.InterpolationMode.LANCZOS), v2.CenterCrop(size), v2.PILToTensor()]
    plain = DataLoader(
        ImageFolder(str(folder), v2.Compose(steps)),
        BATCH,
        shuffle=True,
        num_workers=2,
        drop_last=True,
        persistent_workers=True,
    )
    ours, theirs = [], []
    for _ in range(blocks):
        ours.append(images_a_second(iter(data.train_dataloader()), seconds))
        theirs.append(images_a_second(endless(plain), seconds))
    rates = f"{statistics.median(ours):,.0f} against {statistics.median(theirs):,.0f} images/s"
    print(f"  {size} px: {rates}, times {quotient(ours, theirs)}", flush=True)


BUILD = """
import mmap, multiprocessing, os, sys, tempfile, time
import numpy as np
from PIL import Image
from gan.data.decoding import cache
from gan.data.decoding.decode import Decoder
from gan.data.sources.files import ImageFiles
from gan.data.decoding.pool import cores
folder, size = sys.argv[1], int(sys.argv[2])
def bare(task):
    row, path = task
    with Image.open(path) as image:
        if image.mode == "RGBA":
            paper = Image.new("RGB", image.size, "white")
            paper.paste(image, mask=image)
            image = paper
        image = image.convert("RGB")
        side = min(image.size)
        left, top = (image.width - side) / 2, (image.height - side) / 2
        box = (left, top, left + side, top + side)
        pixels = np.asarray(image.resize((size, size), Image.Resampling.LANCZOS, box))
    kept[row] = pixels
source = ImageFiles([folder])
paths = [file.path for file in source.files]
for path in paths:
    open(path, "rb").read()
kept = np.frombuffer(mmap.mmap(-1, len(paths) * size * size * 3), np.uint8).reshape(-1, size, size, 3)
started = time.perf_counter()
with multiprocessing.get_context("fork").Pool(cores()) as pool:
    list(pool.imap(bare, enumerate(paths), chunksize=64))
theirs = time.perf_counter() - started
with tempfile.TemporaryDirectory() as temporary:
    os.environ["RETRO_GAN_CACHE"] = temporary
    started = time.perf_counter()
    cache.load_images(source, Decoder((size, size), resample="lanczos"))
    ours = time.perf_counter() - started
print(ours, theirs, len(paths))
"""


def compare_building(folder: Path, size: int, blocks: int) -> None:
    ours, theirs, count = [], [], "0"
    for _ in range(blocks):
        words = [sys.executable, "-W", "ignore", "-c", BUILD, str(folder), str(size)]
        lines = subprocess.run(words, capture_output=True, text=True, check=True).stdout.splitlines()
        seconds, of_pillow, count = lines[-1].split()
        ours.append(float(seconds))
        theirs.append(float(of_pillow))
    times = f"{statistics.median(ours):.1f} s against {statistics.median(theirs):.1f} s"
    print(f"  {count} files to {size} px: {times}, of its speed {quotient(theirs, ours)}", flush=True)


WAIT = """
import sys, time
import torch
from hydra.utils import instantiate
from gan.config.compose import compose
from gan.data.module import ImageDataModule
waited = 0.0
class Timed:
    def __init__(self, batches): self.batches = iter(batches)
    def __iter__(self): return self
    def __next__(self):
        global waited
        started = time.perf_counter()
        batch = next(self.batches)
        waited += time.perf_counter() - started
        return batch
original = ImageDataModule.train_dataloader
ImageDataModule.train_dataloader = lambda self: Timed(original(self))
from lightning import Trainer
cfg = compose(["data.size=32", f"data.root={sys.argv[1]}", "data.batch_size=64", "images=60000", "data.labels=false"])
data, model = instantiate(cfg.data), instantiate(cfg.model)
trainer = Trainer(max_steps=600, logger=False, enable_checkpointing=False, enable_progress_bar=False,
                  enable_model_summary=False, accelerator="cpu", precision=cfg.trainer.precision)
data.setup("fit")
started = time.perf_counter()
trainer.fit(model, data)
print(f"{waited / (time.perf_counter() - started):.2%}")
"""


def measure_waiting(folder: Path) -> None:
    words = [sys.executable, "-W", "ignore", "-c", WAIT, str(folder)]
    result = subprocess.run(words, capture_output=True, text=True, check=True)
    print(f"  {result.stdout.strip().splitlines()[-1]} of the step", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--photos", type=Path)
    parser.add_argument("--tiles", type=Path)
    parser.add_argument("--blocks", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=4.0)
    arguments = parser.parse_args()
    torch.set_num_threads(cores())
    with tempfile.TemporaryDirectory() as temporary:
        os.environ["RETRO_GAN_CACHE"] = f"{temporary}/cache"
        photos = arguments.photos or draw_photographs(Path(temporary, "photos"), 10000)
        tiles = arguments.tiles or draw_tiles(Path(temporary, "tiles"), 40000)
        sets = {"photographs": photos, "tiles": tiles}
        for (name, folder), size in itertools.product(sets.items(), (64, 256)):
            print(f"batches, {name}")
            compare_loaders(folder, size, arguments.blocks, arguments.seconds)
        print("waiting for data, DCGAN at 32 px, batch 64")
        measure_waiting(tiles)
        for (name, folder), size in itertools.product(sets.items(), (64, 256)):
            print(f"making the cache, {name}")
            compare_building(folder, size, arguments.blocks)


if __name__ == "__main__":
    main()
