"""Runs with planted failures, and healthy ones: how often gan doctor names the failure, and how often it is wrong.

python tests/benchmarks/doctor.py WORK SEEDS FOLDER ...

Each FOLDER has at least 350 images of one kind. WORK gets a run for each folder, failure and seed, and doctor.csv with
all values. Runs that are complete are not trained again. Choose limits with some folders, and judge them with others.
"""

from __future__ import annotations

import csv
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

from gan.data.sources.files import find, first_image
from gan.runs.health import RULES

IMAGES = 350  # of a folder
SIDE = 64
BASE = (
    "data.size=32 data.split=file images=21000 logger=csv trainer.threads=1 callback.evaluate.num_images=500 "
    "callback.samples.interval=1000000 data.validation=0.15 model.generator.upsampling=nearest"
)


def plain(image: Image.Image) -> Image.Image:
    return image.resize((SIDE, SIDE), Image.Resampling.LANCZOS)


def beside(image: Image.Image) -> Image.Image:
    """Return an image of twice the width, whose center shows a half of the content."""
    return image.resize((2 * SIDE, SIDE), Image.Resampling.LANCZOS)


def with_margin(image: Image.Image) -> Image.Image:
    page = Image.new("RGB", (SIDE, SIDE), (244, 240, 230))
    page.paste(image.resize((SIDE * 5 // 8, SIDE * 5 // 8), Image.Resampling.LANCZOS), (SIDE * 3 // 16, SIDE * 3 // 16))
    return page


def enlarged(image: Image.Image) -> Image.Image:
    """Return an image as pixel art of 32 pixels and 16 colors, each pixel a square of 5."""
    small = image.resize((32, 32), Image.Resampling.BOX).quantize(16).convert("RGB")
    return small.resize((160, 160), Image.Resampling.NEAREST)


COLLAPSE = (
    "loss=wasserstein penalty=[] augment=none model.discriminator.mbstd_group_size=1 "
    "model.generator_optimizer.lr=4.8e-3 model.discriminator_optimizer.lr=1.5e-4"
)
LEAK = "augment=ada augment.target=-1 augment.adjustment_images=500 augment.max_probability=1"
# Failure: the names of findings that are right, options, and how images are drawn
FAILURES: dict[str, tuple[tuple[str, ...], str, Callable[[Image.Image], Image.Image]]] = {
    "healthy": ((), "", plain),
    "healthy relativistic": ((), "loss=relativistic penalty=[r1_lazy,r2]", plain),
    "healthy ada": ((), "augment=ada", plain),
    "healthy start": ((), "init_from=zoo:start64", plain),
    "collapsed": (("mode collapse", "diverged"), COLLAPSE, plain),
    "strong discriminator": (("too strong", "overfitting"), "penalty=[] model.n_critic=5 model.generator.width=4",
                             plain),
    "strong generator": (("too weak",), "model.discriminator.width=4 model.n_critic=1", plain),
    "memorized": (("few images", "copies"), "data.max_images=20 data.split=null", plain),
    "checkered": (("checkered texture",), "model.generator.upsampling=transposed", plain),
    "high rate": (("learning rate",), "model.generator_optimizer.lr=1.2e-2 model.discriminator_optimizer.lr=6e-3",
                  plain),
    "low rate": (("learning rate",), "model.generator_optimizer.lr=4e-5 model.discriminator_optimizer.lr=2e-5",
                 plain),
    "crop": (("wrong crop",), "", beside),
    "enlarged": (("enlarged pixel art",), "data.resample=lanczos", enlarged),
    "margins": (("constant border",), "", with_margin),
    "one class": (("one class dominates",), "", plain),
    "short": (("too short",), "images=6000", plain),
    "leak": (("inverted colors", "washed-out colors", "maximal augmentation"), LEAK, plain),
}  # fmt: skip


def main(work: str, seeds: str, *folders: str) -> None:
    rows = []
    for seed in range(int(seeds)):
        for failure, (right, options, draw) in FAILURES.items():
            for number, folder in enumerate(folders):
                place = Path(work) / Path(folder).name / failure.replace(" ", "_")
                images = place / "images"
                if not images.exists():
                    write_images(folders, number, draw, images, failure == "one class")
                run = place / f"run{seed}"
                train(run, images, f"{options} seed={seed}")
                rows.append(diagnose(run, failure, right) | {"folder": Path(folder).name, "seed": seed})
                print(rows[-1]["failure"], rows[-1]["folder"], seed, rows[-1]["findings"], flush=True)
                write_table(rows, Path(work) / "doctor.csv")
    summarize(rows)


def write_table(rows: list[dict[str, object]], path: Path) -> None:
    names = list(dict.fromkeys(name for row in rows for name in row))
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names)
        writer.writeheader()
        writer.writerows(rows)


def write_images(folders: tuple[str, ...], number: int, draw: Callable[[Image.Image], Image.Image], out: Path,
                 two_classes: bool) -> None:  # fmt: skip
    """Draw the images of a folder; with two classes, a twentieth are those of the next folder."""
    new = out.with_name("new")
    shutil.rmtree(new, ignore_errors=True)
    for name, source, count in (
        ("a", folders[number], IMAGES - IMAGES // 20 * two_classes),
        ("b", folders[(number + 1) % len(folders)], IMAGES // 20 * two_classes),
    ):
        files = find([source])
        for n, place in enumerate(np.linspace(0, len(files) - 1, count).astype(int)):
            target = new / name / f"{n:04d}.png" if two_classes else new / f"{n:04d}.png"
            target.parent.mkdir(parents=True, exist_ok=True)
            draw(first_image(files[place]).convert("RGB")).save(target)
    new.rename(out)


def train(run: Path, images: Path, options: str) -> None:
    if (run / "done").exists():
        return
    shutil.rmtree(run, ignore_errors=True)
    words = [*BASE.split(), *options.split(), f"data.root={images}", f"hydra.run.dir={run}"]
    words = list({word.partition("=")[0]: word for word in words}.values())
    call("train", *words)
    (run / "done").touch()


def diagnose(run: Path, failure: str, right: tuple[str, ...]) -> dict[str, object]:
    found = json.loads(call("doctor", str(run), "--json"))
    names = [finding["name"] for finding in found["findings"]]
    named = not names if not right else bool(set(names[:2]) & set(right))
    return {"failure": failure, "right": named, "findings": ", ".join(names), **found["values"]}


def call(*words: str) -> str:
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "gan.cli", *words]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, env=environment, text=True).stdout


def summarize(rows: list[dict[str, object]]) -> None:
    for failure in FAILURES:
        of_failure = [row for row in rows if row["failure"] == failure]
        print(f"{failure:22} {sum(bool(row['right']) for row in of_failure):3} of {len(of_failure)}")
    healthy = [row for row in rows if str(row["failure"]).startswith("healthy")]
    alarms = sum(len(names_of(row["findings"])) for row in healthy)
    print(f"alarms of healthy runs: {alarms} of {len(healthy) * len(RULES)} pairs of rule and run")


def names_of(findings: object) -> list[str]:
    return str(findings).split(", ") if findings else []


if __name__ == "__main__":
    main(*sys.argv[1:])
