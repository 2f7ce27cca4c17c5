"""Measure training on a GPU in thirty minutes: speed, memory, waits, precisions, two devices, and whether it learns.

    python tests/benchmarks/gpu.py [--out gpu.json] [--minutes 30] [--only NAME ...] [--cpu]

Each step has its own process and a limit. A step that fails or takes too long is one row of the table. The JSON file is
written after each step. --cpu runs every step with tiny networks on the CPU, to test this script. Values of a step:

images_per_second, ms   mean over the timed batches, including those with lazy penalties
host_ms                 time of the host per batch; if it is nearly `ms`, launches are the limit
kernels, busy           kernels per batch, and their time divided by `ms`, from a profile of other batches
top                     the kernels that take most time, and their part of it
peak_gib, reserved_gib  memory of tensors, and with the workspaces of cuDNN and fragments that is reserved
waits                   lines of code at which the host waited for the device
r1_fp32, r1_bf16        relative error of the gradients of R1 in the discriminator, against fp32 on the CPU
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT))

import torch  # noqa: E402
from hydra.utils import instantiate  # noqa: E402
from lightning import Callback  # noqa: E402
from PIL import Image  # noqa: E402
from torch.nn import functional as F  # noqa: E402
from torch.profiler import ProfilerActivity, profile  # noqa: E402

from gan.data.builtin.retro import draw  # noqa: E402
from gan.losses.heads import per_image  # noqa: E402
from gan.penalties.gradients import SecondDerivatives  # noqa: E402
from tests.recipes import OTHERS, TINY, TRANSLATORS, configuration  # noqa: E402

GIB = 2**30
NOISE = ["dcgan", "stylegan2_ada", "r3gan", "projected", "fastgan", "sngan", "wgan_gp", "projected_light", "lsgan"]
PAIRED = ["cyclegan", "cut", "fastcut", "lut", "pix2pix", "pix2pix_unet", "style"]
LARGE = ["stylegan2_ada", "r3gan", "projected", "fastgan", "cut", "style"]  # also measured at 256 pixels
LIMITS = {"style": 240}  # seconds; it fits color and drawings to the images before the first batch
ON_CPU = "--cpu" in sys.argv
TINY_RUN = ["data.batch_size=4", "trainer.accelerator=cpu", "trainer.threads=1", "callback.evaluate.num_images=8"]
TINY_RUN += ["callback.evaluate.extractors=[random_conv]", "objective=eval/kid_x1000_random_conv"]
FIGURES = ("images_per_second", "ms", "host_ms", "kernels", "busy", "peak_gib", "reserved_gib")


@dataclass
class Step:
    """A run of train.py with options, or a function of this file without. `clock` measures batches and ends the run."""

    options: list[str]
    limit: int = 90  # seconds
    clock: bool = True
    needs: int = 0  # number of GPUs


class Clock(Callback):
    """Time batches, then profile some, then record waits; write the results and end the run.

    Args:
        out: JSON file to write.
        warmup, timed, watched: numbers of batches; lazy penalties are due in every 4th or 16th batch.
    """

    def __init__(self, out: str, warmup: int = 20, timed: int = 48, watched: int = 16) -> None:
        self.out, self.warmup, self.timed, self.watched = Path(out), warmup, timed, watched
        self.host, self.result, self.waits = 0.0, dict[str, Any](), set[str]()
        self.cuda = torch.cuda.is_available()
        self.profile = profile(activities=[ProfilerActivity.CUDA if self.cuda else ProfilerActivity.CPU])
        self.show = warnings.showwarning

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        index -= self.warmup
        if index in (0, self.timed):
            self.synchronize()
        if index == 0:
            if self.cuda:
                torch.cuda.reset_peak_memory_stats()
            self.started = time.perf_counter()
        elif index == self.timed:
            self.measure(module, (time.perf_counter() - self.started) / self.timed)
            self.profile.start()
        elif index == self.timed + self.watched:
            self.synchronize()
            self.profile.stop()
            self.summarize()
            self.watch(True)
        self.begin = time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        index -= self.warmup
        if 0 <= index < self.timed:
            self.host += time.perf_counter() - self.begin
        elif index == self.timed + 2 * self.watched:
            self.watch(False)
            if trainer.is_global_zero:
                self.out.write_text(json.dumps(self.result | {"waits": sorted(self.waits)}))
            trainer.should_stop = True

    def synchronize(self) -> None:
        if self.cuda:
            torch.cuda.synchronize()

    def measure(self, module: Any, seconds: float) -> None:
        speed = {"images_per_second": round(module.batch_size / seconds, 1), "ms": round(1e3 * seconds, 2)}
        self.result |= speed | {"host_ms": round(1e3 * self.host / self.timed, 2)}
        self.result |= {"batch": module.batch_size, "micro_batch": module.micro_batch}
        if self.cuda:
            self.result["peak_gib"] = round(torch.cuda.max_memory_allocated() / GIB, 2)
            self.result["reserved_gib"] = round(torch.cuda.max_memory_reserved() / GIB, 2)

    def summarize(self) -> None:
        """Add what the profiled batches have: on a GPU its kernels, otherwise operations of the CPU."""
        kind = "self_device_time_total" if self.cuda else "self_cpu_time_total"
        rows = [(row.key, getattr(row, kind), row.count) for row in self.profile.key_averages() if getattr(row, kind)]
        total = sum(row[1] for row in rows) or 1
        self.result["kernels"] = round(sum(row[2] for row in rows) / self.watched)
        self.result["busy"] = round(total / self.watched / 1e3 / self.result["ms"], 2)
        rows.sort(key=lambda row: -row[1])
        self.result["top"] = [[name[:70], round(spent / total, 3)] for name, spent, _ in rows[:8]]

    def watch(self, collect: bool) -> None:
        """Start or stop to collect the warnings of CUDA's debug mode, one per wait."""
        if self.cuda:
            torch.cuda.set_sync_debug_mode("warn" if collect else "default")
        warnings.simplefilter("always" if collect else "default")
        warnings.showwarning = self.note if collect else self.show

    def note(self, message: Any, category: Any, filename: str, lineno: int, *_: Any) -> None:
        if "synchroniz" in str(message):
            frames = [f"{f.filename}:{f.lineno}" for f in traceback.extract_stack() if "/gan/" in f.filename]
            self.waits.add(frames[-1].removeprefix(f"{ROOT}/") if frames else f"{filename}:{lineno}")


def versions() -> dict[str, Any]:
    """Return the GPUs, and versions of what runs on them."""
    cards = [torch.cuda.get_device_name(index) for index in range(torch.cuda.device_count())]
    return {
        "cards": cards,
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "cudnn": torch.backends.cudnn.version(),
    }


def depthwise() -> dict[str, Any]:
    """Return ms of a 3x3 depthwise convolution and its derivatives, by precision and memory format."""
    device, found = "cuda" if torch.cuda.is_available() else "cpu", {}
    shape, calls = ((32, 256, 64, 64), 20) if device == "cuda" else ((2, 16, 16, 16), 2)
    for dtype in (torch.float32, torch.bfloat16):
        for name, memory in (("nchw", torch.contiguous_format), ("nhwc", torch.channels_last)):
            x = torch.randn(shape, device=device, dtype=dtype).to(memory_format=memory).requires_grad_()
            weight = torch.randn(shape[1], 1, 3, 3, device=device, dtype=dtype, requires_grad=True)
            for calls_now in (3, calls):  # the first are not counted
                started = time.perf_counter()
                for _ in range(calls_now):
                    F.conv2d(x, weight, padding=1, groups=shape[1]).sum().backward()
                float(x.grad.sum())  # waits
            found[f"{str(dtype)[6:]} {name}"] = round(1e3 * (time.perf_counter() - started) / calls, 3)
    return found


def agree(recipe: str) -> dict[str, Any]:
    """Return the relative errors of the gradients of R1 against fp32 on the CPU."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.manual_seed(0)
    network, gradients = instantiate(configuration(recipe).model.discriminator).eval(), []
    images, device = torch.rand(4, 3, 16, 16) * 2 - 1, "cuda" if torch.cuda.is_available() else "cpu"
    for place, bf16 in (("cpu", False), (device, False), (device, True)):
        network.to(place).zero_grad()
        x = images.to(place).requires_grad_()
        with torch.autocast(place, torch.bfloat16, enabled=bf16), SecondDerivatives():
            logits = network(x)
        (slope,) = torch.autograd.grad(per_image(logits).sum(), x, create_graph=True)
        slope.float().square().sum().backward()
        parts = [each.grad.float().cpu().flatten() for each in network.parameters() if each.grad is not None]
        gradients.append(torch.cat(parts))
    exact, *others = gradients
    return {
        f"r1_{name}": float((each - exact).norm() / exact.norm())
        for name, each in zip(("fp32", "bf16"), others, strict=True)
    }


def options(recipe: str, size: int, *more: str) -> list[str]:
    """Return the options of a run; with --cpu those of a tiny one."""
    tiny = [*TINY.get(recipe, OTHERS), *TINY_RUN, "data.num_images=64"] if ON_CPU else []
    size = (32 if recipe in TRANSLATORS else 16) if ON_CPU else size
    return [f"model={recipe}", f"data.size={size}", *tiny, *more]


def speed(recipe: str, size: int, *more: str) -> list[str]:
    """Return the options of a run without evaluation."""
    data = [f"data.num_images={64 if ON_CPU else 1024}", "data.split=null"]
    if recipe in TRANSLATORS:
        data = ["data=retro_filter", "data.root=../images", "data.style=film", "data.split=file"]
        data.append(f"data.pairing={TRANSLATORS[recipe]}")
    unused = ("callback.", "objective=", "data.num_images=")
    chosen = [each for each in options(recipe, size, *more) if not each.startswith(unused)]
    return [*chosen, *data, "images=1_000_000", "callback=[]"]


def plan() -> dict[str, Step]:
    """Return the steps by name, the most important first."""
    steps = {"versions": Step([]), "depthwise filters": Step([])}
    steps |= {f"{name}@64": Step(speed(name, 64), LIMITS.get(name, 90)) for name in (*NOISE, *PAIRED)}
    steps |= {f"{name}@256": Step(speed(name, 256), LIMITS.get(name, 90)) for name in LARGE}
    steps |= {f"r1 {name}": Step([]) for name in ("r3gan", "stylegan2_ada", "sngan")}
    for model in ("dcgan", "r3gan", "stylegan2_ada", "projected", "fastgan"):
        steps[f"{model} on two devices"] = Step(speed(model, 64, "trainer.devices=2"), needs=2)
    steps["no cuDNN search"] = Step(speed("stylegan2_ada", 256, "trainer.benchmark=false"))
    for backend in ("inductor", "cudagraphs"):
        steps[f"compile {backend}"] = Step(speed("dcgan", 64, f"model.compile={backend}"), 240, needs=1)
    images = 64 if ON_CPU else 20_000
    for precision in ("bf16-mixed", "16-mixed", "32-true"):
        chosen = options("stylegan2_ada", 64, f"images={images}", f"trainer.precision={precision}")
        steps[precision] = Step(chosen, 120, clock=False, needs=int(precision == "16-mixed"))
    steps["resume"] = Step(["resume=../bf16-mixed/run", f"images={2 * images}"], 120, clock=False)
    steps["odd size with alpha"] = Step(speed("stylegan2_ada", 64, "data.size=[96,64]", "data.channels=4"))
    steps["classes"] = Step(speed("r3gan", 64, "data.labels=true"))
    steps["deterministic"] = Step(speed("dcgan", 64, "trainer.deterministic=true"))
    length = f"images={images}" if ON_CPU else "minutes=4"
    for model in ("dcgan", "stylegan2_ada"):
        steps[f"learn {model}"] = Step(options(model, 64, length), 330, clock=False)
    return steps


def run(name: str, step: Step, folder: Path, limit: float) -> dict[str, Any]:
    """Run a step in a process and a folder of its own, and return its values, or its error."""
    folder.mkdir()
    words = [str(Path(__file__).resolve()), "--function", name]
    if step.options:
        words = [str(ROOT / "train.py"), *step.options]
        words += [] if step.options[0].startswith("resume") else ["hydra.run.dir=run"]
        if step.clock:
            clock = {"_target_": "tests.benchmarks.gpu.Clock", "out": folder / "values.json"}
            clock |= {"warmup": 1, "timed": 4, "watched": 2} if ON_CPU else {}
            words += [f"+callback.clock.{key}={value}" for key, value in clock.items()]
    paths = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    environment = os.environ | {"PYTHONPATH": paths} | ({"CUDA_VISIBLE_DEVICES": ""} if ON_CPU else {})
    with open(folder / "printed", "w+") as printed:
        process = subprocess.Popen([sys.executable, *words], cwd=folder, env=environment, stdout=printed,
                                   stderr=subprocess.STDOUT, start_new_session=True)  # fmt: skip
        try:
            code = process.wait(limit)
        except subprocess.TimeoutExpired:
            return {"error": f"no result within {limit:.0f} s"}
        finally:
            with suppress(ProcessLookupError):  # also what the step has started
                os.killpg(process.pid, signal.SIGKILL)
        printed.seek(0)
        lines = [line.strip() for line in printed if line.strip()]
    last = [*lines[-1:], *(line for line in lines if "error" in line.lower())][-1:]  # others may follow an error
    if (folder / "values.json").exists():
        return json.loads((folder / "values.json").read_text())  # type: ignore[no-any-return]
    if code or step.clock:
        return {"error": f"exit code {code}: {' '.join(last)}"}
    return last_values((folder.parent / "bf16-mixed" if name == "resume" else folder) / "run" / "metrics.jsonl")


def last_values(metrics: Path) -> dict[str, Any]:
    """Return the last value of each loss, score and speed of a run."""
    values: dict[str, Any] = {}
    for line in metrics.read_text().splitlines():
        values |= json.loads(line)
    wanted = ("images", "loss/", "health/skipped", "eval/kid", "time/images_per_second")
    return {name: round(value, 4) for name, value in values.items() if name.startswith(wanted)}


def row(name: str, values: dict[str, Any]) -> str:
    """Return a line of the table."""
    shown = {key: value for key, value in values.items() if key in FIGURES} or values
    text = ", ".join(f"{key} {value}" for key, value in shown.items())
    return f"{name:28} {text}" + (f", {len(values['waits'])} waits" if values.get("waits") else "")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("gpu.json"))
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--only", nargs="+", metavar="NAME", help="steps such as r3gan@64")
    parser.add_argument("--cpu", action="store_true", help="run tiny steps on the CPU, to test this script")
    parser.add_argument("--function", help=argparse.SUPPRESS)  # in the process of a step
    given = parser.parse_args()
    if given.function:
        kind, _, recipe = given.function.partition(" ")
        values = {"versions": versions, "depthwise": depthwise, "r1": lambda: agree(recipe)}[kind]()
        Path("values.json").write_text(json.dumps(values))
        return
    deadline, results, cards = time.monotonic() + 60 * given.minutes, dict[str, Any](), 0
    with tempfile.TemporaryDirectory() as name:
        (Path(name) / "images").mkdir()
        for index in range(64):
            Image.fromarray(draw(0, index, 256, 256)).save(Path(name) / "images" / f"{index}.png")
        for step_name, step in plan().items():
            left = deadline - time.monotonic()
            if given.only and step_name not in ("versions", *given.only):
                continue
            if step.needs > cards and not (ON_CPU and step.needs == 2):  # --cpu has two processes in place of two GPUs
                results[step_name] = {"skipped": "needs CUDA" if not cards else f"needs {step.needs} GPUs"}
            elif left < 5:
                results[step_name] = {"skipped": "no time left"}
            else:
                folder = Path(name) / step_name.replace(" ", "_")
                results[step_name] = run(step_name, step, folder, min(step.limit, left))
            print(row(step_name, results[step_name]), flush=True)
            given.out.write_text(json.dumps(results, indent=1) + "\n")
            cards = len(results["versions"].get("cards", ()))
            if not cards and not given.cpu:
                sys.exit("no CUDA device: nothing to measure; --cpu tests this script")


if __name__ == "__main__":
    main()
