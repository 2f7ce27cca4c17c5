"""Seconds until help is there and until `gan generate` ends, and seconds of CPU, which depend less on other programs.

python tests/benchmarks/startup.py [--repeats 5]
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]


def seconds(words: list[str], folder: str, code: int = 0) -> tuple[float, float]:
    """Return the seconds, and the seconds of CPU, of a command that exits with a code."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != code:
        raise SystemExit(f"{words} ended with {run.returncode}: {run.stderr}")
    return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    with tempfile.TemporaryDirectory() as folder:
        train = [
            str(ROOT / "train.py"),
            "hydra.run.dir=run",
            "images=64",
            "data.num_images=64",
            "callback=[checkpoint]",
        ]
        seconds(train, folder)
        generate = ["-m", "gan.cli", "generate", "run", "--seeds", "0", "--out", "out", "--force"]
        for name, words, code in (
            ("python -c 'import torch'", ["-c", "import torch"], 0),
            ("python -c 'import gan'", ["-c", "import gan"], 0),
            ("python train.py --help", [str(ROOT / "train.py"), "--help"], 0),
            ("gan --help", ["-m", "gan.cli", "--help"], 0),
            ("gan generate of one image", generate, 0),
            ("gan generate with a wrong path", ["-m", "gan.cli", "generate", "none", "--out", "out"], 2),
        ):
            values = [seconds(words, folder, code) for _ in range(repeats)]
            wall, cpu = zip(*values, strict=True)
            print(f"{name}: median {statistics.median(wall):.2f} s, most {max(wall):.2f} s; "
                  f"CPU median {statistics.median(cpu):.2f} s", flush=True)  # fmt: skip


if __name__ == "__main__":
    main()
