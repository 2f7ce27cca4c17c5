"""What only a GPU can show; ends at once where there is none.

    python tests/benchmarks/gpu.py [--minutes 1] [RECIPE ...]

Trains each recipe through train.py in bf16 at the size that its paper has figures for, with the recipe's own width and
the data's batch, and `dcgan` in each precision, compiled, and on two devices, where there are two. Prints the card,
images/s over the second half of the run and the most memory that tensors took on a device, and stops where a loss is
not finite.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import os
import runpy
import sys
import tempfile
from pathlib import Path

import torch
from PIL import Image

from gan.data.builtin.retro import draw

ROOT = Path(__file__).parents[2]
SIZES = {
    "dcgan": 64,
    "seed": 28,
    "lsgan": 112,
    "wgan_gp": 64,
    "sngan": 32,
    "fastgan": 256,
    "stylegan2": 256,
    "stylegan2_ada": 256,
    "r3gan": 64,
    "projected": 256,
    "projected_light": 256,
}
TRANSLATORS = dict.fromkeys(("pix2pix", "pix2pix_unet"), "paired")
TRANSLATORS |= dict.fromkeys(("cyclegan", "cut", "fastcut", "lut"), "disjoint")
TRANSLATED = 256  # pixels a side, of all of them


def train(folder: Path, options: list[str]) -> None:
    """What `python train.py` does, and then a note of the memory it took; the work of a process of its own."""
    os.chdir(folder)
    sys.argv = ["train.py", "hydra.run.dir=run", "callback=[progress,health]", *options]
    runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    (folder / "memory").write_text(str(torch.cuda.max_memory_allocated()))


def rate(lines: list[dict[str, float]]) -> float:
    """images/s over the second half of the run; nan where that was too short to say."""
    losses = [line for line in lines if "loss/generator" in line]
    if len(losses) < 2:
        return math.nan
    first, last = losses[len(losses) // 2 - 1], losses[-1]
    return (last["images"] - first["images"]) / (last["time"] - first["time"])


def data(recipe: str, folder: Path) -> list[str]:
    """Options of a recipe's data: built-in images, with a look where it translates."""
    if recipe in SIZES:
        return [f"data.size={SIZES[recipe]}"]
    (folder / "pictures").mkdir()
    for index in range(64):
        picture = Image.fromarray(draw(0, index, TRANSLATED, TRANSLATED))
        picture.save(folder / "pictures" / f"{index}.png")
    pairing = ["data.style=film", f"data.pairing={TRANSLATORS[recipe]}", "data.split=file"]
    return ["data=retro_filter", f"data.root={folder / 'pictures'}", f"data.size={TRANSLATED}", *pairing]


def report(recipe: str, *options: str) -> None:
    """Train, and print a line."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        words = [f"model={recipe}", "model.log_interval=500", *data(recipe, folder), *options]
        process = multiprocessing.get_context("spawn").Process(target=train, args=(folder, words))
        process.start()
        process.join()
        if not (folder / "memory").exists():
            print(f"{' '.join(words)}: ended with {process.exitcode}", flush=True)
            return
        lines = [json.loads(line) for line in (folder / "run" / "metrics.jsonl").read_text().splitlines()]
        memory = int((folder / "memory").read_text()) / 2**30
    assert all(math.isfinite(value) for line in lines for value in line.values())
    print(f"{' '.join(words)}: {rate(lines):,.0f} images/s, {memory:.1f} GiB", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", metavar="RECIPE", default=[*SIZES, *TRANSLATORS],
                        help=", ".join([*SIZES, *TRANSLATORS]))  # fmt: skip
    parser.add_argument("--minutes", type=float, default=1, help="of training, for each line")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to do")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    length = "images=null", f"minutes={given.minutes}"
    for recipe in given.recipes:
        report(recipe, "trainer.precision=bf16-mixed", *length)
    for precision in ("16-mixed", "32-true"):
        report("dcgan", f"trainer.precision={precision}", *length)
    report("dcgan", "trainer.precision=bf16-mixed", "model.compile=inductor", *length)
    if torch.cuda.device_count() > 1:
        report("dcgan", "trainer.devices=2", *length)


if __name__ == "__main__":
    main()
