"""Images/s of Trainer.fit, with default logger and callbacks, against a plain loop over the same networks.

    python tests/benchmarks/train_step.py [--blocks 9] [--seconds 5]

The plain loop has the same batch, precision, memory format and data in memory, and does what any GAN loop must: one
pass of G for both updates, fused Adam, EMA. Both run in one process and in turn, half a second each, so that what else
the machine does hits both. Blocks of several seconds of each give a ratio, in which evaluations, grids and checkpoints
count where they fall. Prints the median and the spread, and bf16 against fp32 of the plain loop.
"""

from __future__ import annotations

import argparse
import itertools
import math
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Callback, Trainer
from omegaconf import OmegaConf
from torch import nn

from gan.config.compose import compose
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.training.callbacks.loop import Interrupt
from gan.training.loggers.files import JSONLines

CASES = [("64 px, width 64", 64, 64, 0.97), ("32 px, width 16", 32, 16, 0.90)]  # name, size, width, least ratio
SLICE = 0.5  # seconds that one loop runs before the other has its turn
WARM_UP = 6  # slices of each that do not count


def configured(size: int, width: int, precision: str, run: Path) -> Any:
    cfg = compose(
        [
            f"data.size={size}",
            f"model.generator.width={width}",
            f"model.discriminator.width={width}",
            "data.batch_size=64",
            "data.num_images=1024",
            "augment=none",
            "data.labels=false",
            f"trainer.precision={precision}",
            "images=1000000000",
        ]
    )
    OmegaConf.set_struct(cfg, False)
    cfg.hydra = None
    text = OmegaConf.to_yaml(cfg).replace("${hydra:runtime.output_dir}", str(run))
    return OmegaConf.create(text)


class Slices(Callback):
    """Hand control to the other loop after each slice of time, in the middle of `fit`."""

    def __init__(self, between: Callable[[], bool]) -> None:
        self.between = between
        self.done: list[tuple[int, float]] = []  # images and seconds of each slice
        self.batches = 0
        self.started = 0.0

    def on_train_start(self, *_: object) -> None:
        self.started = time.perf_counter()

    def on_train_batch_end(self, trainer: Trainer, pl_module: Any, *_: object) -> None:
        self.batches += 1
        elapsed = time.perf_counter() - self.started
        if elapsed >= SLICE:
            self.done.append((self.batches * pl_module.batch_size, elapsed))
            trainer.should_stop = self.between()
            self.batches, self.started = 0, time.perf_counter()


def plain_loop(model: Any, data: Any, precision: str) -> Iterator[None]:
    """One batch a `next`."""
    generator, discriminator, ema = model.generator, model.discriminator, model.ema.module
    adam_g, adam_d = (
        torch.optim.Adam(n.parameters(), 2e-4, (0.5, 0.999), fused=True) for n in (generator, discriminator)
    )
    softplus = nn.functional.softplus
    images = torch.from_numpy(data.pixels[data.rows]).permute(0, 3, 1, 2)  # (N, C, H, W), channels last in memory
    batch = model.batch_size
    g_params, d_params = list(generator.parameters()), list(discriminator.parameters())
    for step in itertools.count():
        rows = torch.randint(0, len(images), (batch,))
        real = images[rows].to(torch.float32, memory_format=torch.channels_last).div_(127.5).sub_(1)
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16-mixed", cache_enabled=False):
            fake = generator(torch.randn(batch, generator.latent_dim))
            real_logits, fake_logits = discriminator(real), discriminator(fake.detach())
            loss = softplus(-real_logits.float()).mean() + softplus(fake_logits.float()).mean()
            adam_d.zero_grad()
            loss.backward()
            adam_d.step()
            for parameter in d_params:
                parameter.requires_grad_(False)
            loss = softplus(-discriminator(fake).float()).mean()
            adam_g.zero_grad()
            loss.backward()
            adam_g.step()
            for parameter in d_params:
                parameter.requires_grad_(True)
        decay = 0.5 ** (batch / max(min(5000, 0.05 * (step + 1) * batch), 1e-8))
        with torch.no_grad():
            torch._foreach_lerp_(list(ema.parameters()), [p.detach() for p in g_params], 1 - decay)
        yield


def run_slice(loop: Iterator[None], batch: int) -> tuple[int, float]:
    """Images and seconds of a slice of the plain loop."""
    started, batches, elapsed = time.perf_counter(), 0, 0.0
    while elapsed < SLICE:
        next(loop)
        batches += 1
        elapsed = time.perf_counter() - started
    return batches * batch, elapsed


def rates(slices: list[tuple[int, float]], blocks: int) -> list[float]:
    """images/s of each of `blocks` blocks of consecutive slices."""
    each = len(slices) // blocks
    parts = [slices[block * each : (block + 1) * each] for block in range(blocks)]
    return [sum(images for images, _ in part) / sum(seconds for _, seconds in part) for part in parts]


def compare(size: int, width: int, precision: str, blocks: int, seconds: float) -> tuple[list[float], list[float]]:
    """images/s of `fit` and of the plain loop, block by block."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder)
        cfg = configured(size, width, precision, run)
        data = instantiate(cfg.data)
        data.setup("fit")
        loop = plain_loop(instantiate(cfg.model), data, precision)
        theirs: list[tuple[int, float]] = []
        wanted = blocks * math.ceil(seconds / SLICE) + WARM_UP

        def other() -> bool:
            theirs.append(run_slice(loop, data.batch_size))
            return len(theirs) == wanted

        ours = Slices(other)
        trainer = instantiate(cfg.trainer)(
            max_steps=-1,
            callbacks=[Interrupt(), *(instantiate(c) for c in cfg.callback.values()), ours],
            logger=[*(instantiate(logger) for logger in cfg.logger.values()), JSONLines(str(run), time.monotonic)],
            plugins=[AtomicCheckpointIO()],
            default_root_dir=folder,
        )
        trainer.fit(instantiate(cfg.model), data)
        return rates(ours.done[WARM_UP:], blocks), rates(theirs[WARM_UP:], blocks)


def summary(values: list[float]) -> str:
    return f"median {statistics.median(values):.3g} (from {min(values):.3g} to {max(values):.3g})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--blocks", type=int, default=9)
    parser.add_argument("--seconds", type=float, default=5)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    for name, size, width, least in CASES:
        plain = {}
        for precision in ("bf16-mixed", "32-true"):
            ours, theirs = compare(size, width, precision, arguments.blocks, arguments.seconds)
            ratios = [a / b for a, b in zip(ours, theirs, strict=True)]
            plain[precision] = statistics.median(theirs)
            print(f"{name}, {precision}: fit / plain loop {summary(ratios)}; at least {least} is wanted")
            print(f"    fit {summary(ours)} images/s, plain loop {summary(theirs)} images/s", flush=True)
        print(f"{name}: bf16 is {plain['bf16-mixed'] / plain['32-true']:.2f} x the speed of fp32 in the plain loop")


if __name__ == "__main__":
    main()
