"""Compare settings for a long run on the images of gather.py, and go on where the last call stopped.

python tests/benchmarks/zoo/study.py DATA RUNS [SETTING ...]

The settings (by default all) are trained in turns: each to 250,000 images, then each to 1,000,000, 3,000,000,
10,000,000 and 20,000,000, with constant learning rates. At the end of each turn, a copy is trained for a fifth as many
images with rates that fall to 0. RUNS gets a folder per run, curves.csv with the scores on held-out images, and
curves.png. A run that was killed goes on at its last checkpoint; RUNS can be copied to another machine.
"""

from __future__ import annotations

import csv
import os
import shutil
import subprocess
import sys
from pathlib import Path

STAGES = (250_000, 1_000_000, 3_000_000, 10_000_000, 20_000_000)
BASE = """
data=folder data.size=64 data.labels=true data.split=prefix data.validation=0.06 data.report_half=true
callback.evaluate.num_images=1000 callback.checkpoint.interval=50000 model.generator.upsampling=nearest
logger=csv trainer.threads=1
"""
SETTINGS = {
    "today": "",
    "relativistic": "loss=relativistic penalty=[r1_lazy,r2] penalty.r2.weight=0.0128 penalty.r2.interval=16",
    "r1_ten_times": "penalty.r1.weight=0.5",
    "r1_thirty_times": "penalty.r1.weight=1.5",
    "relativistic_ten_times": "loss=relativistic penalty=[r1_lazy,r2] penalty.r1.weight=0.5 penalty.r2.weight=0.128 "
    "penalty.r2.interval=16",
    "wide": "model.generator.width=48 model.discriminator.width=48",
    "wide_generator": "model.generator.width=48",
    "slow_discriminator": "model.discriminator_optimizer.lr=2.0e-4",
    "half_rates": "model.generator_optimizer.lr=6.0e-4 model.discriminator_optimizer.lr=3.0e-4",
    "long_average": "model.ema_half_life=100000",
    # Only the warmup limits the half-life, to 0.05 of the images seen: the power-function average of Karras et al.
    # (2024, arXiv:2312.02696) with gamma = ln 2 / 0.05 - 1 = 12.9, or a relative width of 0.063
    "power_average": "model.ema_half_life=1.0e+12",
    "large_batch": "data.batch_size=128",
    "ada": "augment=ada",
    "transposed": "model.generator.upsampling=transposed",
    "widest": "model.generator.width=64 model.discriminator.width=64",
}
# Settings of the copies whose rates fall; these start from a run above
LATE = {"large_batch_late": ("today", "data.batch_size=128")}


def main(data: str, runs: str, *names: str) -> None:
    folder = Path(runs)
    folder.mkdir(parents=True, exist_ok=True)
    for stage in STAGES:
        for name in names or [*SETTINGS, *LATE]:
            constant, late = LATE.get(name, (name, ""))
            words = f"{SETTINGS[constant]} {late}".split()
            if train(folder / constant, data, SETTINGS[constant].split(), stage):
                train(folder / f"{name}_{stage}_falling", data, words, stage // 5, start=folder / constant)
            write_curves(folder)


def train(run: Path, data: str, settings: list[str], images: int, start: Path | None = None) -> bool:
    """Train a run to a number of images, and return whether it has seen them; go on at its last checkpoint."""
    done = run / "study_images.txt"
    if done.exists() and int(done.read_text()) >= images:
        return True
    if any(run.glob("**/*.ckpt")):
        words = [f"resume={run}", f"images={images}", f"data.root={data}", "resume_force=true"]
    else:
        shutil.rmtree(run, ignore_errors=True)  # killed before its first checkpoint
        words = [
            *BASE.split(),
            f"data.root={data}",
            f"hydra.run.dir={run}",
            f"images={images}",
            *settings,
        ]
        interval = images if start else STAGES[0]
        words += [f"callback.evaluate.interval={interval}"]
        words += [f"init_from={start}", "schedule=linear_decay"] if start else []
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    with (run.parent / f"{run.name}.log").open("a") as log:
        command = [sys.executable, "-m", "gan.cli", "train", *words]
        failed = subprocess.run(command, stdout=log, stderr=log, env=environment).returncode
    if failed:
        print(f"{run.name}: exit status {failed}; see {run.name}.log", flush=True)
    else:
        done.write_text(str(images))
    return not failed


def scores(run: Path) -> list[tuple[int, float, float]]:
    """Return images seen, KID x 1,000 and recall of each evaluation of a run."""
    with (run / "metrics.csv").open() as file:
        rows = list(csv.DictReader(file))
    if not any("kid_x1000" in name for row in rows[:1] for name in row):
        return []  # not evaluated yet
    images, kid, recall = (column(rows, word) for word in ("images", "kid_x1000", "recall"))
    return [(round(float(row[images])), float(row[kid]), float(row[recall])) for row in rows if row.get(kid)]


def column(rows: list[dict[str, str]], word: str) -> str:
    return min((name for name in rows[0] if word in name), key=len)


def write_curves(folder: Path) -> None:
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(1, 2, figsize=(11, 4.5))
    lines = []
    for file in sorted(folder.glob("*/metrics.csv")):
        name = file.parent.name
        points = scores(file.parent)
        lines += [(name, *point) for point in points]
        if points:
            for axis, values in zip(axes, list(zip(*points, strict=True))[1:], strict=True):
                axis.plot([point[0] for point in points], values, "o-", label=name)
    for axis, title in zip(axes, ("KID-Lite0 x 1,000", "recall"), strict=True):
        axis.set(title=title, xlabel="images seen", xscale="log")
    axes[0].legend(fontsize=6)
    figure.savefig(folder / "curves.png", dpi=120)
    plt.close(figure)
    with (folder / "curves.csv").open("w", newline="") as table:
        csv.writer(table).writerows([("run", "images", "kid_x1000", "recall"), *lines])


if __name__ == "__main__":
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    main(*sys.argv[1:])
