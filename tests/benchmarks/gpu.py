"""Measure recipes on a GPU in ten minutes: speed, memory, waits, bf16 and fp32, torch.compile and CUDA graphs.

    python tests/benchmarks/gpu.py [--out gpu.json] [--minutes 10] [--only NAME ...]

Each measurement is a run of train.py with the defaults of a GPU, in its own process. The JSON file is written after
each run. It contains the name of the GPU, versions and these values for each run:

images_per_second   mean over the timed batches, including those with lazy penalties
ms, ms_lazy         median time of batches without lazy penalties, and of batches in which one is due
peak_gib            peak memory of tensors
waits               lines of code at which the host waited for the device
losses              means of the losses over 200 batches (runs `bf16` and `fp32` only)
error               last line of output of a run without a result

`left_out` lists measurements that did not fit into --minutes.
"""

from __future__ import annotations

import argparse
import io
import json
import multiprocessing
import os
import runpy
import statistics
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from types import SimpleNamespace
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))
os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"  # a process that has initialized CUDA cannot fork

import torch  # noqa: E402
from lightning import Callback  # noqa: E402
from PIL import Image  # noqa: E402

import gan.training.fit  # noqa: E402, F401  (imported once for all forked processes)
from gan.data.builtin.retro import draw  # noqa: E402

WARMUP, TIMED, WATCHED = 20, 48, 16  # numbers of batches; lazy penalties are due in every 4th or 16th batch
GIB = 2**30
NOISE = ["dcgan", "stylegan2_ada", "r3gan", "projected", "fastgan", "sngan", "wgan_gp", "projected_light", "lsgan"]
TRANSLATORS = {"cyclegan": "disjoint", "cut": "disjoint", "fastcut": "disjoint", "lut": "disjoint"}
TRANSLATORS |= {"pix2pix": "paired", "pix2pix_unet": "paired"}
SIZES = (64, 256, 128)
COMPARED = ["dcgan", "stylegan2_ada", "r3gan", "sngan", "cyclegan"]  # losses in bf16 and fp32


class Clock(Callback):
    """Time batches, then record waits, and write the results.

    Args:
        out: JSON file to write.
    """

    def __init__(self, out: str) -> None:
        self.out = Path(out)
        self.steps: list[tuple[Any, Any, bool]] = []  # start, end, whether a lazy penalty was due
        self.waits: set[str] = set()
        self.show = warnings.showwarning

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        if index == WARMUP:
            torch.cuda.synchronize()
            torch.cuda.reset_peak_memory_stats()
            self.started = time.perf_counter()
        elif index == WARMUP + TIMED:
            torch.cuda.synchronize()
            self.seconds = time.perf_counter() - self.started
            self.peak = torch.cuda.max_memory_allocated()
            self.watch("warn")
        elif index == WARMUP + TIMED + WATCHED:
            self.watch("default")
            self.write(module)
        if WARMUP <= index < WARMUP + TIMED:
            self.begin = now()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if WARMUP <= index < WARMUP + TIMED:
            self.steps.append((self.begin, now(), has_lazy(module, index)))

    def watch(self, mode: str) -> None:
        """Start to collect the warnings of CUDA's debug mode, one per wait, if mode is "warn"; otherwise stop."""
        torch.cuda.set_sync_debug_mode(mode)
        collect = mode == "warn"
        warnings.simplefilter("always" if collect else "default")
        warnings.showwarning = self.note if collect else self.show

    def note(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        if "synchroniz" in str(message):
            frames = [f"{f.filename}:{f.lineno}" for f in traceback.extract_stack() if "/gan/" in f.filename]
            self.waits.add(frames[-1].removeprefix(f"{ROOT}/") if frames else f"{filename}:{lineno}")

    def write(self, module: Any) -> None:
        plain, lazy = ([ms(a, b) for a, b, due in self.steps if due is wanted] for wanted in (False, True))
        found = {
            "images_per_second": round(TIMED * module.batch_size / self.seconds, 1),
            "ms": round(statistics.median(plain), 2) if plain else None,
            "ms_lazy": round(statistics.median(lazy), 2) if lazy else None,
            "peak_gib": round(self.peak / GIB, 2),
            "waits": sorted(self.waits),
            "batch": module.batch_size,
            "micro_batch": module.micro_batch,
        }
        self.out.write_text(json.dumps(found))


def has_lazy(module: Any, batch: int) -> bool:
    """Return whether a penalty with an interval is due in a batch."""
    step = SimpleNamespace(batch=batch)
    return any(part.interval > 1 and module.is_due(part, step) for part in module.penalties.values())


def now() -> Any:
    event = torch.cuda.Event(enable_timing=True)
    event.record()
    return event


def ms(start: Any, end: Any) -> float:
    return float(start.elapsed_time(end))


def data_options(recipe: str, size: int) -> list[str]:
    if recipe not in TRANSLATORS:
        return [f"data.size={size}", "data.num_images=1024", "data.split=null", "data.labels=false"]
    pairing = ["data.style=film", f"data.pairing={TRANSLATORS[recipe]}", "data.split=file"]
    return ["data=retro_filter", f"data.root={Path.cwd() / 'images'}", f"data.size={size}", *pairing]


def plan() -> dict[str, list[str]]:
    """Return the options of each measurement by name, the most important first."""
    timed = {(recipe, size): speed(recipe, size) for size in SIZES for recipe in [*NOISE, *TRANSLATORS]}
    at_128 = {f"{recipe}@{size}": options for (recipe, size), options in timed.items() if size == 128}
    others = {f"{recipe}@{size}": options for (recipe, size), options in timed.items() if size != 128}
    compared = {
        f"{recipe}@64 {name}": losses(recipe, 64, precision, 200)
        for recipe in COMPARED
        for name, precision in (("bf16", "bf16-mixed"), ("fp32", "32-true"))
    }
    compiled = {
        f"dcgan@64 {backend}": [*speed("dcgan", 64), f"model.compile={backend}"]
        for backend in ("inductor", "cudagraphs")
    }
    return {**others, **compared, **compiled, **at_128}


def speed(recipe: str, size: int) -> list[str]:
    return [f"model={recipe}", *data_options(recipe, size), "images=1_000_000"]


def losses(recipe: str, size: int, precision: str, batches: int) -> list[str]:
    length = ["data.batch_size=16", f"images={16 * batches}", "model.log_interval=1"]
    return [f"model={recipe}", *data_options(recipe, size), f"trainer.precision={precision}", *length]


def train(folder: Path, options: list[str], clock: bool) -> None:
    """Run train.py in `folder`; called in a new process."""
    os.chdir(folder)
    words = ["hydra.run.dir=run", "callback=[]"]
    if clock:
        words += ["+callback.clock._target_=tests.benchmarks.gpu.Clock", "+callback.clock.out=clock.json"]
    sys.argv = ["train.py", *words, *options]
    printed, failed = io.StringIO(), False
    try:
        with redirect_stdout(printed), redirect_stderr(printed):
            runpy.run_path(str(ROOT / "train.py"), run_name="__main__")
    except SystemExit as end:
        failed = end.code not in (None, 0)
    except Exception:
        failed = True
        traceback.print_exc(file=printed)
    Path("printed").write_text(printed.getvalue())
    os._exit(int(failed))


def measure(options: list[str], clock: bool, seconds: float) -> dict[str, Any]:
    """Run train.py until the clock has written its file, the run has ended or the time is over; return the results."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        process = multiprocessing.get_context("fork").Process(target=train, args=(folder, options, clock))
        process.start()
        deadline = time.monotonic() + seconds
        while process.is_alive() and not (folder / "clock.json").exists() and time.monotonic() < deadline:
            process.join(0.1)
        time.sleep(0.2)
        finished = process.exitcode == 0
        process.kill()
        process.join()
        if (folder / "clock.json").exists():
            return json.loads((folder / "clock.json").read_text())  # type: ignore[no-any-return]
        metrics = folder / "run" / "metrics.jsonl"
        if not clock and finished:
            return {"losses": means([json.loads(line) for line in metrics.read_text().splitlines()])}
        printed = (folder / "printed").read_text().strip().splitlines() if (folder / "printed").exists() else []
        return {"error": printed[-1] if printed else f"no result within {seconds:.0f} s"}


def means(lines: list[dict[str, float]]) -> dict[str, float]:
    names = {name for line in lines for name in line if name.startswith(("loss/", "penalty/"))}
    return {name: round(statistics.mean(line[name] for line in lines if name in line), 4) for name in sorted(names)} | {
        "batches": len(lines)
    }


def card(results: Any) -> None:
    if torch.cuda.is_available():
        results["card"] = torch.cuda.get_device_name()
    results["torch"], results["cuda"] = torch.__version__, torch.version.cuda


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=10)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="measurements such as r3gan@64")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print("no CUDA device: nothing to do")
        return
    out, deadline = given.out.resolve(), time.monotonic() + 60 * given.minutes
    with multiprocessing.Manager() as manager, tempfile.TemporaryDirectory() as name:
        about = manager.dict()
        asking = multiprocessing.get_context("fork").Process(target=card, args=(about,))
        asking.start()
        asking.join()
        results: dict[str, Any] = {**about, "runs": {}, "left_out": []}
        os.chdir(name)
        Path("images").mkdir()
        for index in range(64):
            Image.fromarray(draw(0, index, 256, 256)).save(Path("images") / f"{index}.png")
        for run, options in plan().items():
            if given.only and run not in given.only:
                continue
            left = deadline - time.monotonic()
            if left < 5:
                results["left_out"].append(run)
            else:
                results["runs"][run] = measure(options, not run.endswith(("bf16", "fp32")), min(60, left))
                print(f"{run}: {json.dumps(results['runs'][run])}", flush=True)
            out.write_text(json.dumps(results, indent=1) + "\n")


if __name__ == "__main__":
    main()
