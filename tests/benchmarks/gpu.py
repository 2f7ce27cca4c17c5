"""What only a GPU can show; ends at once where there is none.

    python tests/benchmarks/gpu.py [--images 100000]

Trains the default recipe with 16-mixed (gradient scaler, two optimizers) and bf16-mixed through train.py, on one
GPU and, where there are two, on both; prints images/s and the card, and checks that the losses are finite.
"""

from __future__ import annotations

import argparse
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

ROOT = Path(__file__).parents[2]


def train(images: int, folder: str, *options: str) -> list[dict[str, float]]:
    words = [sys.executable, str(ROOT / "train.py"), f"images={images}", "hydra.run.dir=run", *options]
    subprocess.run(words, cwd=folder, check=True)
    return [json.loads(line) for line in (Path(folder) / "run" / "metrics.jsonl").read_text().splitlines()]


def rate(lines: list[dict[str, float]]) -> float:
    """images/s over the second half of the run."""
    losses = [line for line in lines if "loss/generator" in line]
    first, last = losses[len(losses) // 2], losses[-1]
    return (last["images"] - first["images"]) / (last["time"] - first["time"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=100_000)
    images = parser.parse_args().images
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to do")
        return
    print(f"{torch.cuda.get_device_name()}, torch {torch.__version__}, CUDA {torch.version.cuda}")
    for devices in range(1, min(torch.cuda.device_count(), 2) + 1):
        for precision in ("16-mixed", "bf16-mixed", "32-true"):
            with tempfile.TemporaryDirectory() as folder:
                lines = train(images, folder, f"trainer.precision={precision}", f"trainer.devices={devices}")
            assert all(math.isfinite(value) for line in lines for value in line.values())
            print(f"{devices} x {precision}: {rate(lines):,.0f} images/s", flush=True)


if __name__ == "__main__":
    main()
