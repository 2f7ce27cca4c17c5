"""Compare the formulas of `tests.benchmarks.plan` with measurements on a CPU.

    python -m tests.benchmarks.plan_measured [steps] [ranks] [metrics] [data] [network]

steps    time of a training step, from its counts and the rates of a convolution, an addition and an empty operation;
         bytes of a checkpoint; memory
ranks    time of a step on two gloo ranks, from that on one rank
metrics  time of the metrics of 50,000 images on one rank and on two
data     rates of decoding, of collecting batches and of a permutation; bytes in memory for each file
network  all-reduce between two network namespaces with limited bandwidth and delay (Linux, root)

Times are CPU times of one thread, so that other programs of the machine matter less; those of `network` are not.
"""

from __future__ import annotations

import io
import os
import subprocess
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.distributed as dist
from hydra.utils import instantiate
from lightning import Callback, Trainer
from PIL import Image
from torch import nn

from gan.data.builtin.retro import draw
from gan.data.decoding.decode import Decoder
from gan.data.module import ImageDataModule  # noqa: F401 (of the processes that `files` starts)
from gan.metrics.kid import KID
from gan.metrics.lite0 import Lite0Features
from gan.metrics.prdc import PrecisionRecall
from gan.metrics.rows import ALL, RankRows, Rows
from gan.run.config import compose
from gan.training.disk import checkpoint_bytes
from gan.training.memory import estimate, example
from gan.training.strategy import DDPPerNetwork
from tests.benchmarks.plan import LARGE, SMALL, Cluster, Counts, Step, all_reduce, average, line

CASES = (("dcgan", 64, 16), ("dcgan", 32, 16), ("sngan", 64, 16), ("stylegan2_ada", 64, 8), ("fastgan", 64, 8))
WARM_UP, TIMED = 16, 32  # batches: whole periods of the lazy penalties
CHANNELS, SIDE = 32, 32  # of the convolution: those of small networks
CHAIN = 50  # operations of the chain


# ---- steps


class Timed(Callback):
    """Measure the CPU time of TIMED batches, with optimizers and EMA, without loggers, grids and evaluations."""

    def on_train_batch_start(self, trainer: Any, module: Any, batch: Any, index: int) -> None:
        if index == WARM_UP:
            self.start, self.wall = time.process_time(), time.perf_counter()

    def on_train_batch_end(self, trainer: Any, module: Any, outputs: Any, batch: Any, index: int) -> None:
        if index == WARM_UP + TIMED - 1:
            self.seconds = (time.process_time() - self.start) / TIMED
            self.wall = (time.perf_counter() - self.wall) / TIMED


def configured(recipe: str, size: int, batch: int) -> Any:
    options = [f"model={recipe}", f"data.size={size}", f"data.batch_size={batch}", "data.num_images=256"]
    return compose([*options, "data.labels=false", "data.split=null", "trainer.accelerator=cpu"])


def trained(cfg: Any, **more: Any) -> tuple[Any, Timed, Any]:
    """Train for WARM_UP + TIMED batches."""
    timed, silent = Timed(), ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = dict.fromkeys(silent, False) | {"accelerator": "cpu", "max_epochs": -1, **more}
    trainer = Trainer(max_steps=WARM_UP + TIMED, precision=cfg.trainer.precision, callbacks=[timed], **settings)
    model = instantiate(cfg.model)
    trainer.fit(model, instantiate(cfg.data))
    return model, timed, trainer


def rates(precision: str) -> tuple[float, float, float]:
    """Return FLOP/s of a convolution with its gradients, bytes/s of an addition, and seconds of a tiny operation."""
    layer = nn.Conv2d(CHANNELS, CHANNELS, 3, padding=1).to(memory_format=torch.channels_last)
    images = torch.randn(16, CHANNELS, SIDE, SIDE).to(memory_format=torch.channels_last).requires_grad_()
    one, many = torch.ones(1, requires_grad=True), torch.zeros(2**20)

    def convolve() -> None:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed"):
            out = layer(images)
        out.backward(out.detach())

    def chain() -> None:
        found = one
        for _ in range(CHAIN):
            found = found * one + one
        found.backward()

    with Counts() as counts:
        chain()
    flops = 3 * 2 * layer.weight.numel() * 16 * SIDE**2
    operation = cpu_seconds(chain) / counts.operations
    return flops / cpu_seconds(convolve), 12 * 2**20 / cpu_seconds(lambda: many + many), operation


def most_memory() -> int:
    """Return the largest number of bytes that this process has had in memory. getrusage includes its parent's."""
    (line,) = (line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return 1024 * int(line.split()[1])


def cpu_seconds(act: Callable[[], Any], least: float = 1.0) -> float:
    """Return the CPU time of a call, as the mean over at least `least` seconds of CPU time."""
    act()
    calls, start = 0, time.process_time()
    while (spent := time.process_time() - start) < least:
        act()
        calls += 1
    return spent / calls


def steps(name: str, size: int, batch: int) -> None:
    cfg = configured(name, size, batch)
    before = most_memory()
    model, timed, trainer = trained(cfg)
    memory = most_memory() - before
    with tempfile.TemporaryDirectory() as folder:
        trainer.save_checkpoint(path := Path(folder, "a.ckpt"))
        saved = path.stat().st_size
    model = instantiate(cfg.model)
    images = torch.empty(LARGE, 3, size, size, dtype=torch.uint8, device="meta")
    small, large = (average(model, images[:n]) for n in (SMALL, LARGE))
    step = Step(*(a + b * batch for a, b in (line(getattr(small, f), getattr(large, f)) for f in Step._fields)))
    convolution, addition, operation = rates(cfg.trainer.precision)
    parts = step.flops / convolution, step.traffic / addition, step.operations * operation
    needed = estimate(model, example(model, instantiate(cfg.data), batch), torch.device("cpu"), torch.bfloat16).peak
    columns = [
        f"`{name}`, {size} px, {batch}",
        f"{step.flops / 1e9:.2f}, {step.traffic / 1e9:.2f}, {step.operations:,.0f}",
        f"{convolution / 1e9:.0f}, {addition / 1e9:.0f}, {1e6 * operation:.1f}",
        f"{' + '.join(f'{1000 * part:.0f}' for part in parts)} = {1000 * sum(parts):.0f}",
        f"{1000 * timed.seconds:.0f}",
        f"{sum(parts) / timed.seconds:.2f}",
        f"{checkpoint_bytes(model) / 1e6:.2f}, {saved / 1e6:.2f}",
        f"{needed / 2**20:.0f}, {memory / 2**20:.0f}",
    ]
    print(f"| {' | '.join(columns)} |", flush=True)


# ---- ranks


def ranks() -> None:
    """Train on one rank with the whole and with half of the batch, then on two, and reduce gradients alone."""
    for name, size, batch in (("dcgan", 64, 32), ("stylegan2_ada", 64, 16)):
        whole, half = (trained(configured(name, size, n))[1].seconds for n in (batch, batch // 2))
        seconds, reducing = on_two_ranks("rank", name, size, batch)[0]
        print(
            f"{name}, {size} px, batch {batch}: {1000 * whole:.0f} ms on one rank, {1000 * half:.0f} ms with half of "
            f"the batch, all-reduce {1000 * reducing:.0f} ms; two ranks predicted {1000 * (half + reducing):.0f} ms, "
            f"measured {1000 * seconds:.0f} ms",
            flush=True,
        )


def on_two_ranks(*words: object) -> list[list[float]]:
    """Run a part of this file on two gloo ranks, with a folder as last argument; return what each rank wrote there."""
    command = [sys.executable, "-W", "ignore", "-m", "tests.benchmarks.plan_measured", *map(str, words)]
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29517", "NODE_RANK": "0"}
        started = [
            subprocess.Popen([*command, folder], env=environment | {"LOCAL_RANK": str(rank)}, stderr=subprocess.DEVNULL)
            for rank in range(2)
        ]
        assert [process.wait() for process in started] == [0, 0]
        return [[float(text) for text in Path(folder, str(rank)).read_text().split()] for rank in range(2)]


def rank(name: str, size: str, batch: str, folder: str) -> None:
    """Train on one of two ranks, and write the CPU times of a step and of its reductions alone."""

    class Reducing(Timed):
        def on_train_end(self, trainer: Any, module: Any) -> None:
            gradients = [
                torch.zeros(sum(p.numel() for p in module.trained(each))) for each in ("generator", "discriminator")
            ]
            start = time.process_time()
            for _ in range(20):
                for each in gradients:
                    dist.all_reduce(each)
            self.reducing = (time.process_time() - start) / 20

    cfg, timed = configured(name, int(size), int(batch)), Reducing()
    silent = ("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary")
    settings: dict[str, Any] = dict.fromkeys(silent, False) | {"accelerator": "cpu", "max_epochs": -1}
    settings |= {"devices": 2, "strategy": DDPPerNetwork(), "use_distributed_sampler": False}
    trainer = Trainer(max_steps=WARM_UP + TIMED, precision=cfg.trainer.precision, callbacks=[timed], **settings)
    trainer.fit(instantiate(cfg.model), instantiate(cfg.data))
    Path(folder, str(trainer.global_rank)).write_text(f"{timed.seconds} {timed.reducing}")


# ---- metrics


def metric_seconds(count: int, rows: Rows) -> list[float]:
    """Return the CPU times of KID and of precision and recall of `count` real and generated images."""
    generator, seconds = torch.Generator().manual_seed(0), []
    real, generated = torch.rand(2, count, Lite0Features.dimension, generator=generator)
    for metric in (KID(), PrecisionRecall()):
        start = time.process_time()
        metric.compute(real, generated, rows)
        seconds.append(time.process_time() - start)
    return seconds


def metrics(count: int = 50_000) -> None:
    alone = metric_seconds(count, ALL)
    shared = [max(each) for each in zip(*on_two_ranks("metric_rank", count), strict=True)]
    for name, one, two in zip(("KID", "precision and recall"), alone, shared, strict=True):
        print(f"{name} of {count:,} images: {one:.0f} s on one rank, {two:.0f} s on two ranks", flush=True)


def metric_rank(count: str, folder: str) -> None:
    dist.init_process_group("gloo", rank=int(os.environ["LOCAL_RANK"]), world_size=2)
    seconds = metric_seconds(int(count), RankRows())
    Path(folder, str(dist.get_rank())).write_text(" ".join(map(str, seconds)))
    dist.barrier()


# ---- data


def data() -> None:
    for side, size in ((256, 64), (256, 256), (1024, 256)):
        encoded = io.BytesIO()
        Image.fromarray(draw(1, 2, 256, 256)).resize((side, side)).save(encoded, "JPEG", quality=90)
        decoder, content = Decoder((size, size), resample="lanczos"), encoded.getvalue()
        seconds = cpu_seconds(lambda: [*decoder(io.BytesIO(content))])  # noqa: B023
        print(f"decoding: {1 / seconds:,.0f} photographs/s of {side} pixels to {size} pixels", flush=True)
    for size in (64, 256):
        print(f"batches: {batch_rate(size) / 1e9:.2f} GB/s at {size} pixels", flush=True)
    for count in (10**6, 10**7, 10**8):
        start = time.process_time()
        np.random.default_rng((0, 0)).permutation(count)
        print(f"permutation of {count:.0e}: {time.process_time() - start:.2f} s", flush=True)
    files()


def batch_rate(size: int) -> float:
    """Return bytes/s at which a core collects batches of 64 random images from 1 GiB of pixels."""
    pixels = np.ones((2**30 // (3 * size * size), size, size, 3), np.uint8)
    random = np.random.default_rng(0)
    return 64 * 3 * size * size / cpu_seconds(lambda: pixels[random.integers(len(pixels), size=64)])


def files(count: int = 50_000) -> None:
    """Print the memory of a data module with a warm cache for each file."""
    code = (
        "import sys, time; from tests.benchmarks.plan_measured import ImageDataModule, most_memory\n"
        "before, start = most_memory(), time.process_time()\n"
        "data = ImageDataModule(sys.argv[1], size=16); data.setup('fit')\n"
        "print((most_memory() - before) / len(data), (time.process_time() - start) / len(data))"
    )
    with tempfile.TemporaryDirectory() as folder:
        encoded = io.BytesIO()
        Image.new("RGB", (16, 16)).save(encoded, "PNG")
        for index in range(count):
            path = Path(folder, "images", str(index // 1000), f"{index:09}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(encoded.getvalue() + index.to_bytes(4, "big"))
        environment = os.environ | {"RETRO_GAN_CACHE": f"{folder}/cache"}
        for what in ("first start", "next start"):
            words = [sys.executable, "-W", "ignore", "-c", code, f"{folder}/images"]
            said = subprocess.run(words, env=environment, capture_output=True, text=True, check=True).stdout
            size, seconds = map(float, said.split()[-2:])
            print(f"{count:,} files, {what}: {size:,.0f} bytes and {1e6 * seconds:.0f} us for each file", flush=True)


# ---- network

NAMESPACES = """
set -e
mount -t tmpfs tmpfs /run
for n in 0 1; do ip netns add rank$n; ip -n rank$n link set lo up; done
ip link add wire0 netns rank0 type veth peer name wire1 netns rank1
for n in 0 1; do
  ip -n rank$n addr add 10.9.0.$((n + 1))/24 dev wire$n
  ip -n rank$n link set wire$n up
  ip netns exec rank$n tc qdisc add dev wire$n root tbf rate RATEmbit burst 256kb latency 50ms
done
for n in 1 0; do
  GLOO_SOCKET_IFNAME=wire$n MASTER_ADDR=10.9.0.1 MASTER_PORT=29518 RANK=$n WORLD_SIZE=2 \
    ip netns exec rank$n PYTHON -W ignore -m tests.benchmarks.plan_measured wire RATE &
done
wait
"""


def network() -> None:
    """Reduce gradients between two network namespaces in a namespace of their own."""
    for rate in (100, 1000):
        script = NAMESPACES.replace("RATE", str(rate)).replace("PYTHON", sys.executable)
        subprocess.run(["unshare", "--net", "--mount", "bash", "-c", script], check=True)


def wire(rate: str) -> None:
    dist.init_process_group("gloo")
    cluster = Cluster(gpus=1, between=int(rate) * 1e6 / 8, latency=1e-4)
    for size in (1_000_000, 6_400_000):
        values = torch.zeros(size)
        dist.all_reduce(values)
        dist.barrier()
        start = time.perf_counter()
        for _ in range(3):
            dist.all_reduce(values)
        seconds, expected = (time.perf_counter() - start) / 3, all_reduce(4 * size, 2, cluster)
        if dist.get_rank() == 0:
            print(
                f"{rate} Mbit/s, {4 * size / 1e6:.0f} MB: predicted {expected:.3f} s, measured {seconds:.3f} s",
                flush=True,
            )
    dist.barrier()


def main(words: list[str]) -> None:
    warnings.simplefilter("ignore")
    torch.set_num_threads(1)
    if words[:1] == ["rank"]:
        rank(*words[1:])
    elif words[:1] == ["metric_rank"]:
        metric_rank(*words[1:])
    elif words[:1] == ["wire"]:
        wire(*words[1:])
    elif words[:1] == ["steps"] and len(words) > 1:
        steps(words[1], int(words[2]), int(words[3]))
    else:
        if not words or "steps" in words:
            for case in CASES:  # each in its own process, for its memory
                subprocess.run(
                    [sys.executable, "-m", "tests.benchmarks.plan_measured", "steps", *map(str, case)], check=True
                )
        for part in (ranks, metrics, data, network):
            if not words or part.__name__ in words:
                part()


if __name__ == "__main__":
    main(sys.argv[1:])
