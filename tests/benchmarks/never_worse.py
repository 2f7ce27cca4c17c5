"""Whether model=style ends below the color map that it starts from: runs of mixed looks, sizes and numbers of files.

    python tests/benchmarks/never_worse.py PHOTOGRAPHS OUT [--targets FOLDER FOLDER] [--images 12000] [--only 3 7]

PHOTOGRAPHS is a folder of at least 500 photographs, or of fewer for smaller runs. Inputs and targets are different
photographs; the targets are in the look. Each run holds out a fifth of the files of each side; half of these select the
stage and the checkpoint. The row of a run has KIDs x 1000 of windows of the other half, by `gan evaluate`: of the color
map and of what the run returns. A row is worse if the KID in Lite0 features is above that of the color map.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image
from texture import files

from gan.data.looks.registry import make_style

ROOT = Path(__file__).parents[2]
EXTRACTORS = ("lite0", "random_conv")


class Run(NamedTuple):
    """A look or the number of a folder of targets, the size of windows in pixels, and the files of each side."""

    look: str
    size: int
    files: int

    @property
    def is_folder(self) -> bool:
        """Whether targets are those of a folder, not photographs in a look; 1977 is a look."""
        return self.look in ("0", "1")


RUNS = [
    Run("halftone", 64, 20),
    Run("halftone", 96, 100),
    Run("grainy_film", 64, 50),
    Run("grainy_film", 48, 200),
    Run("film", 64, 100),
    Run("engraving", 64, 50),
    Run("woodcut", 96, 20),
    Run("screen_print", 64, 200),
    Run("vhs", 64, 30),
    Run("1977", 128, 40),
    Run("0", 64, 500),
    Run("1", 64, 20),
]


def prepare(run: Run, photographs: list[Path], targets: list[Path], out: Path) -> None:
    """Write the folders a and b of a run into `out`."""
    sides = {"a": photographs[: run.files]}
    sides["b"] = files(targets[int(run.look)])[: run.files] if run.is_folder else photographs[-run.files :]
    apply = None if run.is_folder else make_style(run.look)
    for name, paths in sides.items():
        (out / name).mkdir(parents=True)
        for number, path in enumerate(paths):
            pixels = np.asarray(Image.open(path).convert("RGB"))
            if apply is not None and name == "b":
                pixels = apply(pixels, number)
            Image.fromarray(pixels).save(out / name / f"{number:04}.png")


def measure(run: Run, out: Path, images: int, options: list[str]) -> str:
    """Train and evaluate a run; return its row."""
    data = [f"data.a={out / 'a'}", f"data.b={out / 'b'}", f"data.size={run.size}"]
    words = ["model=style", *data, f"images={images}", f"hydra.run.dir={out / 'run'}", *options]
    subprocess.run([sys.executable, ROOT / "train.py", *words], check=True, stdout=subprocess.DEVNULL)
    for name in EXTRACTORS:
        evaluate = ["-m", "gan", "evaluate", out / "run", "--extractor", name]
        subprocess.run([sys.executable, *evaluate], check=True, stdout=subprocess.DEVNULL)
    lines = [json.loads(line) for line in (out / "run" / "evaluation.jsonl").read_text().splitlines()]
    found = {(line["extractor"], line["row"]): line["value"] for line in lines if line["metric"] == "kid_target_x1000"}
    values = [found[name, row] for name in EXTRACTORS for row in ("stage color", "translated")]
    worse = "worse" if found["lite0", "translated"] > found["lite0", "stage color"] else ""
    return "".join(f"{value:10.1f}" for value in values) + f"  {worse}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--targets", type=Path, nargs=2, help="folders of real targets")
    parser.add_argument("--images", type=int, default=12_000)
    parser.add_argument("--only", type=int, nargs="*", help="numbers of the runs, from 0")
    arguments, options = parser.parse_known_args()
    photographs = files(arguments.photographs)
    print(f"{'':30}{'lite0':>20}{'random_conv':>20}")
    print(f"{'look, size, files':30}" + f"{'color':>10}{'returned':>10}" * 2)
    for number, run in enumerate(RUNS):
        needed = run.files if run.is_folder else 2 * run.files
        if number not in (arguments.only or range(len(RUNS))) or needed > len(photographs):
            continue
        if run.is_folder and not arguments.targets:
            continue
        out = arguments.out / str(number)
        shutil.rmtree(out, ignore_errors=True)
        prepare(run, photographs, arguments.targets or [], out)
        row = measure(run, out.absolute(), arguments.images, options)
        print(f"{run.look + ', ' + str(run.size) + ', ' + str(run.files):30}" + row, flush=True)


if __name__ == "__main__":
    main()
