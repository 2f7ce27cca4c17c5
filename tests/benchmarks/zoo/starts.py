"""Compare starts: train each set of images from each start, and score the last checkpoint against held-out images.

    python tests/benchmarks/zoo/starts.py SETS RUNS --starts none zoo:start64 PATH [--seeds 0 1 2] [--images 150000]

SETS has one folder per set, with the sub-folders `train` and `held_out`; no file, object or scan may be in both. Sets
of at most 150 training images are trained with `experiment=few_shot` for two thirds of the images. A start is what
`init_from` accepts, or `none`. RUNS gets a folder per run, and scores.csv with a row per run. Runs with a row are
skipped, and a run that was killed resumes at its last checkpoint, so you can rerun an interrupted program. It prints
the scores of each set and start as means over seeds, and the geometric means over sets of the KID divided by that of
the first start.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from statistics import fmean, geometric_mean

FEW = 150  # training images of the largest set that is trained with experiment=few_shot
OPTIONS = "data=folder data.size=64 callback=[progress,checkpoint] callback.checkpoint.interval=20000 trainer.threads=1"
SCORES = ("kid_x1000 lite0", "kid_x1000 random_conv", "recall lite0", "copies lite0")
COLUMNS = ("set", "start", "seed", "images", *SCORES)
ENVIRONMENT = os.environ | {"OMP_NUM_THREADS": "1"}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("sets", type=Path)
    parser.add_argument("runs", type=Path)
    parser.add_argument("--starts", nargs="+", default=["none", "zoo:start64"])
    parser.add_argument("--seeds", nargs="+", default=["0"])
    parser.add_argument("--images", type=int, default=150_000)
    options = parser.parse_args()
    options.runs.mkdir(parents=True, exist_ok=True)
    table = options.runs / "scores.csv"
    if not table.exists():
        table.write_text(",".join(COLUMNS) + "\n")
    sets = sorted(path for path in options.sets.iterdir() if (path / "train").is_dir())
    for seed in options.seeds:
        for folder in sets:
            few = len(list((folder / "train").iterdir())) <= FEW
            images = options.images * 2 // 3 if few else options.images
            for start in options.starts:
                key = [folder.name, start, seed, str(images)]
                if not any(list(row.values())[:4] == key for row in rows_of(table)):
                    run = options.runs / "-".join([folder.name, Path(start).name.replace(":", "-"), seed, str(images)])
                    train(run, folder, ["experiment=few_shot"] if few else [], start, seed, images)
                    with table.open("a", newline="") as file:
                        csv.writer(file).writerow([*key, *evaluate(run, folder)])
                    print(f"{run.name} is evaluated", flush=True)
    print_table(rows_of(table), options.starts)


def rows_of(table: Path) -> list[dict[str, str]]:
    with table.open() as file:
        return list(csv.DictReader(file))


def train(run: Path, folder: Path, experiment: list[str], start: str, seed: str, images: int) -> None:
    if any(run.glob("**/*.ckpt")):
        words = [f"resume={run}", f"images={images}"]
    else:
        shutil.rmtree(run, ignore_errors=True)  # killed before its first checkpoint
        words = [*experiment, *OPTIONS.split(), f"data.root={folder / 'train'}", f"images={images}"]
        words += [f"seed={seed}", f"hydra.run.dir={run}"]
        words += ["init_from=null"] if start == "none" else [f"init_from={start}", "freeze.discriminator=2"]
    with run.with_suffix(".log").open("a") as log:
        command = [sys.executable, "-m", "gan.cli", "train", *words]
        subprocess.run(command, stdout=log, stderr=log, env=ENVIRONMENT, check=True)


def evaluate(run: Path, folder: Path) -> list[float]:
    """Return the scores of 1,000 images of the last checkpoint of a run, in the order of SCORES."""
    command = [sys.executable, "-m", "gan.cli", "evaluate", str(run), "--checkpoint", "last", "--images", "1000"]
    command += ["--reference", str(folder / "held_out"), "--extractor", "lite0,random_conv", "--json"]
    result = subprocess.run(command, stdout=subprocess.PIPE, env=ENVIRONMENT, check=True)
    lines = [json.loads(line) for line in result.stdout.splitlines()]
    lines = [line for line in lines if line["row"] == "generated"]  # the other rows are of real images
    values = {f"{line['metric']} {line['extractor']}": line["value"] for line in lines}
    return [values[score] for score in SCORES]


def print_table(rows: list[dict[str, str]], starts: list[str]) -> None:
    def mean(name: str, start: str, score: str) -> float:
        return fmean(float(row[score]) for row in rows if (row["set"], row["start"]) == (name, start))

    names = sorted({row["set"] for row in rows})
    print("| set | start |", " | ".join(SCORES), "|")
    for name in names:
        for start in starts:
            print(f"| {name} | {start} |", " | ".join(f"{mean(name, start, score):.3f}" for score in SCORES), "|")
    for start in starts[1:]:
        ratios = [mean(name, start, SCORES[0]) / mean(name, starts[0], SCORES[0]) for name in names]
        print(f"{start} / {starts[0]}: {geometric_mean(ratios):.2f} times the KID in Lite0")


if __name__ == "__main__":
    main()
