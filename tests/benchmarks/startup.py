"""Seconds until help is there, until `gan generate` ends, and until the first optimizer step and sample grid; memory.

    python tests/benchmarks/startup.py [--repeats 5] [--commands]

Commands are also measured in seconds of CPU, which depend less on other programs. The first step and grid are those of
bare `python train.py`, once with an empty cache and then with a warm one.
"""

from __future__ import annotations

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
FIRST_STEP = "model.log_interval=1"  # metrics.jsonl appears with the first batch


def seconds(words: list[str], folder: str, code: int = 0) -> tuple[float, float]:
    """Return the seconds, and the seconds of CPU, of a command that exits with a code."""
    started, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    run = subprocess.run([sys.executable, *words], cwd=folder, capture_output=True, text=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if run.returncode != code:
        raise SystemExit(f"{words} ended with {run.returncode}: {run.stderr}")
    return time.perf_counter() - started, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def until(path: str, options: list[str], environment: dict[str, str]) -> tuple[float, float]:
    """Seconds until a file matching `path` is in the run folder, and the most memory (PSS, MB) of all processes."""
    with tempfile.TemporaryDirectory() as folder:
        words = [sys.executable, str(ROOT / "train.py"), "hydra.run.dir=run", *options]
        started, peak = time.perf_counter(), 0.0
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=subprocess.DEVNULL, start_new_session=True
        )
        try:
            while not list((Path(folder) / "run").glob(path)):
                if process.poll() is not None:
                    raise SystemExit(f"train.py ended with {process.returncode}")
                peak = max(peak, memory(process.pid))
                time.sleep(0.1)
            return time.perf_counter() - started, peak
        finally:
            process.kill()
            process.wait()


def memory(session: int) -> float:
    """Proportional set size of a session's processes, in MB."""
    total = 0
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if os.getsid(int(process.name)) == session:
                rollup = (process / "smaps_rollup").read_text().splitlines()
                total += next(int(line.split()[1]) for line in rollup if line.startswith("Pss:"))
        except (OSError, StopIteration):
            continue  # it has ended meanwhile
    return total / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--commands", action="store_true", help="measure commands only")
    given = parser.parse_args()
    repeats = given.repeats
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
    if given.commands:
        return
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "RETRO_GAN_CACHE": cache}
        grid = "samples/0*.png"
        cold, peak = until(grid, [], environment)
        print(
            f"first sample grid with an empty cache: {cold:.1f} s; at most {peak:.0f} MB (PSS) until then", flush=True
        )
        for name, path, options in (
            ("first optimizer step", "metrics.jsonl", [FIRST_STEP]),
            ("first sample grid", grid, []),
        ):
            found = [until(path, options, environment) for _ in range(repeats)]
            values = [value for value, _ in found]
            print(
                f"{name} with a warm cache: median {statistics.median(values):.1f} s, most {max(values):.1f} s",
                flush=True,
            )


if __name__ == "__main__":
    main()
