"""Predict time and memory of a run on GPUs, and what limits it. docs/planning.md explains the model.

    python -m tests.benchmarks.plan [--recipe NAME SIZE] [--option KEY=VALUE ...] [--batch N] [--set NAME=VALUE ...]

The operations, parameters and bytes of a training step are counted: the step of the real networks runs on fake tensors,
with the defaults of a GPU. Everything else is an assumption, a field of `Cluster` that --set changes, for example
`--set between=12e9 gpus=4`. Nothing was measured on a GPU. `tests/benchmarks/plan_measured.py` compares the formulas
with measurements on a CPU.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from functools import cache
from types import SimpleNamespace
from typing import Any, NamedTuple
from unittest import mock

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from torch.utils.flop_counter import flop_registry

from gan.common.live_bytes import SCALARS
from gan.training import rehearsal
from gan.training.callbacks.interrupt import EXCHANGE
from gan.training.disk import checkpoint_bytes
from gan.training.rehearsal import fake_mode, fake_step, rehearse
from tests.fake_step import build

RECIPES = (("dcgan", 64), ("stylegan2_ada", 256), ("fastgan", 256))
GPUS = (1, 2, 4, 8, 16, 64, 256, 1024)
IMAGES = tuple(10**power for power in range(4, 10))
aten = torch.ops.aten
WITHOUT_TRAFFIC = (aten.empty, aten.empty_like, aten.empty_strided, aten.new_empty, aten.new_empty_strided)
FIRST, LAST = 64, 80  # batches of which all lazy penalties are due in the first; 16 is the longest interval
SMALL, LARGE = 8, 16  # batches whose difference is the cost of an image
GB = 1e9


@dataclass(frozen=True)
class Cluster:
    """Machines with GPUs. The numbers are assumptions, for a machine with eight H100."""

    gpus: int = 8  # per machine
    peak: float = 989e12  # FLOP/s of a GPU in bf16, of its data sheet
    utilization: float = 0.2  # fraction of the peak in convolutions and matrix products
    bandwidth: float = 3.35e12  # bytes/s of the memory of a GPU, of its data sheet
    memory: float = 80e9  # bytes of a GPU
    operation: float = 10e-6  # seconds that the host needs for an operation of PyTorch
    within: float = 300e9  # bytes/s from a GPU to the others in its machine
    between: float = 50e9  # bytes/s from a machine to the others: 400 Gbit/s
    latency: float = 20e-6  # seconds of a message between machines; a tenth of it within a machine
    hop: float = 50e-6  # seconds of a message of gloo between two processes
    overlap: float = 0.4  # of the time of a step, in which gradients are reduced while others are computed
    cores: int = 64  # per machine
    ram: float = 1e12  # bytes per machine
    copy: float = 2e9  # bytes/s at which a core collects the images of a batch from memory
    read: float = 3e9  # bytes/s of the disk with the cache, in pieces of an image
    write: float = 1e9  # bytes/s of the disk with the run folder
    decode: float = 170  # photographs of 1,024 pixels that a core decodes in a second
    index: float = 1400  # bytes per image in each process: names, digests, labels, rows, and the order of two epochs


class Step(NamedTuple):
    """What a step takes on one GPU."""

    flops: float
    traffic: float  # bytes that operations read and write in the memory of the GPU
    operations: float


@dataclass(frozen=True)
class Recipe:
    """What is counted for a recipe. A pair has the value at a batch without images, and what each image adds."""

    name: str
    batch: int  # over all GPUs
    pixels: int  # bytes of an image
    flops: tuple[float, float]
    traffic: tuple[float, float]
    operations: tuple[float, float]
    needed: tuple[float, float]  # bytes of a GPU's memory, at most
    parameters: tuple[int, ...]  # of each network that moves
    checkpoint: int  # bytes
    generator_flops: float  # of the generator for an image

    def step(self, images: float) -> Step:
        """Return what a step with a number of images takes on one GPU."""
        return Step(*(a + b * images for a, b in (self.flops, self.traffic, self.operations)))


# ---- counts


class Counts(TorchDispatchMode):
    """Counts FLOPs, bytes read and written, and operations. A fused kernel would move fewer bytes."""

    def __init__(self) -> None:
        super().__init__()
        self.flops = self.traffic = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        if func in SCALARS:
            return 0  # fake tensors have no values
        out = func(*args, **(kwargs or {}))
        self.operations += 1
        if not is_view(func) and func.overloadpacket not in WITHOUT_TRAFFIC:
            self.traffic += sum(each.nbytes for each in tree_leaves((args, kwargs, out)) if isinstance(each, Tensor))
        self.flops += flops_of(func.overloadpacket, args, kwargs or {}, out)
        return out


def is_view(func: Any) -> bool:
    return any(each.alias_info and not each.alias_info.is_write for each in func._schema.arguments)


def flops_of(packet: Any, args: Any, kwargs: Any, out: Any) -> int:
    """Return the FLOPs of an operation. torch's counts for gradients of grouped convolutions are too large."""
    if packet is aten.convolution:
        return convolution(args[0], args[1], out, args[6])
    if packet is aten.convolution_backward:
        return sum(args[10][:2]) * convolution(args[1], args[2], args[0], args[7])
    return flop_registry[packet](*args, **kwargs, out_val=out) if packet in flop_registry else 0


def convolution(given: Tensor, weight: Tensor, out: Tensor, transposed: bool) -> int:
    places = given if transposed else out
    return 2 * weight.numel() * len(places) * math.prod(places.shape[2:])


def count(name: str, size: int, *options: str) -> Recipe:
    """Count a recipe with the defaults of a GPU and bf16."""
    model, batch = build(name, size, *options)
    (images,) = batch.values()
    small, large = (average(model, images[:n]) for n in (SMALL, LARGE))
    need = [rehearse(model, {"image": images[:n]}, torch.device("cpu"), torch.bfloat16).peak for n in (SMALL, LARGE)]
    moved = [sum(p.numel() for p in model.trained(role)) for role in ("generator", "discriminator")]
    return Recipe(
        f"{name}, {size} px",
        len(images),
        images[0].numel(),
        *(line(getattr(small, field), getattr(large, field)) for field in Step._fields),
        line(*need),
        tuple(moved),
        checkpoint_bytes(model),
        generator_flops(model),
    )


def line(small: float, large: float) -> tuple[float, float]:
    """Return value and slope of the line through the values at batches of SMALL and LARGE images."""
    slope = (large - small) / (LARGE - SMALL)
    return small - SMALL * slope, slope


def average(model: Any, images: Tensor) -> Step:
    """Return the mean over the steps of a period of the lazy penalties."""

    @cache
    def counted(due: tuple[str, ...], index: int) -> Step:
        return counts_of(model, images, index)

    first: dict[tuple[str, ...], int] = {}
    steps = []
    for index in range(FIRST, LAST):
        due = tuple(key for key, part in model.penalties.items() if model.is_due(part, SimpleNamespace(batch=index)))
        steps.append(counted(due, first.setdefault(due, index)))
    return Step(*(sum(values) / len(steps) for values in zip(*steps, strict=True)))


def counts_of(model: Any, images: Tensor, index: int) -> Step:
    """Count the step of a batch with this index."""
    with mock.patch.object(rehearsal, "BATCH", index), fake_mode():
        step, _ = fake_step(model, {"image": images}, torch.device("cpu"), torch.bfloat16)
        with Counts():
            step()  # fills caches
        with Counts() as counts:
            step()
    return Step(counts.flops, counts.traffic, counts.operations)


def generator_flops(model: Any) -> float:
    """Return the FLOPs of the generator for an image."""
    generator = model.generator
    with torch.no_grad(), Counts() as counts:
        generator(torch.empty(2, generator.latent_dim, device="meta"))
    return counts.flops / 2


# ---- time of a step


def work(step: Step, cluster: Cluster) -> tuple[float, float]:
    """Return the seconds of the GPU and of its host for a step; they work at the same time."""
    device = step.flops / (cluster.peak * cluster.utilization) + step.traffic / cluster.bandwidth
    return device, step.operations * cluster.operation


def all_reduce(size: float, gpus: int, cluster: Cluster) -> float:
    """Return the seconds in which all GPUs add up `size` bytes: a ring in each machine, and one over the machines."""
    inside = min(gpus, cluster.gpus)
    machines = math.ceil(gpus / cluster.gpus)
    seconds = 2 * size * (inside - 1) / inside / cluster.within + 2 * (inside - 1) * cluster.latency / 10
    return seconds + 2 * size * (machines - 1) / machines / cluster.between + 2 * math.log2(machines) * cluster.latency


def reduction(recipe: Recipe, gpus: int, cluster: Cluster) -> float:
    """Return the seconds in which the gradients of a step are reduced: 4 bytes for each parameter that moves."""
    return sum(all_reduce(4 * count, gpus, cluster) for count in recipe.parameters) if gpus > 1 else 0.0


def agreement(step: float, gpus: int, cluster: Cluster) -> float:
    """Return the seconds of a step in which ranks learn whether one has received a signal: at times, a ring of gloo.

    Args:
        step: seconds of a step without it.
    """
    return 2 * (gpus - 1) * cluster.hop * min(1.0, step / EXCHANGE)


def step_seconds(recipe: Recipe, batch: int, gpus: int, cluster: Cluster) -> float:
    """Return the seconds of a step."""
    alone = max(work(recipe.step(batch / gpus), cluster))
    exposed = max(0.0, reduction(recipe, gpus, cluster) - cluster.overlap * alone)
    return alone + exposed + agreement(alone + exposed, gpus, cluster)


def limit(recipe: Recipe, batch: int, gpus: int, cluster: Cluster) -> str:
    """Return what the time of a step depends on most."""
    device, host = work(recipe.step(batch / gpus), cluster)
    exposed = reduction(recipe, gpus, cluster) - cluster.overlap * max(device, host)
    signal = agreement(max(device, host), gpus, cluster)
    terms = {"GPU": device, "operations": host, "reduction": exposed, "signal": signal}
    return max(terms, key=lambda name: terms[name])


def micro_batch(recipe: Recipe, cluster: Cluster) -> int:
    """Return how many images at a time the memory of a GPU holds."""
    return max(0, int((0.8 * cluster.memory - recipe.needed[0]) / recipe.needed[1]))


# ---- data, checkpoints and evaluation

FEATURES = 4 * (1280 + 896 + 288)  # bytes of an image: Lite0, random_conv, thumbnail


def loader_cores(recipe: Recipe, rate: float, cluster: Cluster) -> float:
    """Return how many cores collect batches at a rate of images/s."""
    return rate * recipe.pixels / cluster.copy


def checkpoint_seconds(recipe: Recipe, cluster: Cluster) -> float:
    """Return the seconds in which rank 0 writes a checkpoint, while training goes on."""
    return recipe.checkpoint / cluster.write


def evaluation(recipe: Recipe, images: int, gpus: int, cluster: Cluster) -> tuple[float, float]:
    """Return the seconds in which all GPUs generate images, and the bytes of their features on rank 0."""
    return images * recipe.generator_flops / (cluster.peak * cluster.utilization) / gpus, images * FEATURES


def cache_bytes(recipe: Recipe, images: int) -> float:
    """Return the bytes of the cache of decoded images."""
    return float(images * recipe.pixels)


def decode_hours(images: int, cores: float, cluster: Cluster) -> float:
    """Return the hours in which some cores decode all images once."""
    return images / cluster.decode / cores / 3600


def data_limit(recipe: Recipe, images: int, cluster: Cluster) -> str:
    """Return what a set of this size exceeds on each machine, from the first limit to the last."""
    found = []
    if cache_bytes(recipe, images) > 0.5 * cluster.ram:
        found.append("pixels in RAM")
    if cluster.gpus * images * cluster.index > 0.5 * cluster.ram:
        found.append("index in RAM")
    if cache_bytes(recipe, images) > 10e12:
        found.append("disk")
    if decode_hours(images, cluster.cores, cluster) > 24:
        found.append("decoding")
    return ", ".join(found) or "nothing"


# ---- tables


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> Iterator[str]:
    yield f"| {' | '.join(headings)} |"
    yield "|" + "---|" * len(headings)
    for row in rows:
        yield f"| {' | '.join(row)} |"


def describe(recipe: Recipe) -> Iterator[str]:
    moved = " + ".join(f"{count / 1e6:.1f}" for count in recipe.parameters)
    step = recipe.step(recipe.batch)
    yield (
        f"{recipe.name}: {recipe.flops[1] / GB:.3g} GFLOP and {recipe.traffic[1] / GB:.3g} GB of memory traffic for an "
        f"image, {step.operations:,.0f} operations in a step, {moved} million parameters, checkpoint of "
        f"{recipe.checkpoint / GB:.2f} GB, {recipe.needed[0] / GB:.2f} GB of memory and {recipe.needed[1] / GB:.3f} GB "
        "for an image"
    )


def speeds(recipe: Recipe, batch: int, run: float, cluster: Cluster) -> Iterator[str]:
    """Yield the table of numbers of GPUs, with the same batch over all GPUs and on each GPU."""
    rows = []
    for gpus in GPUS:
        for whole in sorted({batch, batch * gpus}):
            if whole < gpus:
                continue
            seconds = step_seconds(recipe, whole, gpus, cluster)
            parts = *work(recipe.step(whole / gpus), cluster), reduction(recipe, gpus, cluster), seconds
            row = [str(gpus), f"{whole:,}", f"{whole / gpus:g}", *(f"{1000 * part:.1f}" for part in parts)]
            hours = run * seconds / whole / 3600
            rows.append([*row, f"{whole / seconds:,.0f}", f"{hours:.3g}", limit(recipe, whole, gpus, cluster)])
    headings = [
        "GPUs",
        "batch",
        "per GPU",
        "GPU ms",
        "host ms",
        "reduction ms",
        "step ms",
        "images/s",
        "hours",
        "limit",
    ]
    yield from table(headings, rows)


def sets(recipe: Recipe, cluster: Cluster) -> Iterator[str]:
    """Yield the table of numbers of images."""
    rows = []
    for images in IMAGES:
        values = cache_bytes(recipe, images) / GB, decode_hours(images, cluster.cores, cluster)
        index = images * cluster.index / GB
        shown = [f"{value:,.3g}" for value in (*values, index, index * cluster.gpus)]
        rows.append([f"1e{len(str(images)) - 1}", *shown, data_limit(recipe, images, cluster)])
    headings = ["images", "cache GB", "hours of decoding", "index GB per process", "per machine", "exceeds"]
    yield from table(headings, rows)


def rest(recipe: Recipe, batch: int, cluster: Cluster) -> Iterator[str]:
    yield f"checkpoint: {checkpoint_seconds(recipe, cluster):.2f} s; micro-batch: up to {micro_batch(recipe, cluster)}"
    rate = batch * cluster.gpus / step_seconds(recipe, batch * cluster.gpus, cluster.gpus, cluster)
    yield (
        f"loader of a machine: {rate:,.0f} images/s take {loader_cores(recipe, rate, cluster):.1f} of {cluster.cores} "
        f"cores; a disk gives {cluster.read / recipe.pixels:,.0f} images/s"
    )
    for gpus in (1, 8, 1024):
        seconds, size = evaluation(recipe, 50_000, gpus, cluster)
        yield f"50,000 images on {gpus} GPUs: generated in {seconds:.2f} s; {size / GB:.1f} GB on rank 0"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", nargs=2, action="append", metavar=("NAME", "SIZE"))
    parser.add_argument("--option", nargs="+", default=[], metavar="KEY=VALUE", help="options of gan train")
    parser.add_argument("--batch", type=int, help="images of a batch, instead of the recipe's")
    parser.add_argument("--run", type=float, default=25e6, help="images of the run")
    parser.add_argument("--set", nargs="+", default=[], metavar="NAME=VALUE", help="fields of Cluster")
    given = parser.parse_args()
    kinds = {field.name: type(field.default) for field in fields(Cluster)}
    pairs = (word.partition("=") for word in given.set)
    cluster = replace(Cluster(), **{name: kinds[name](float(value)) for name, _, value in pairs})
    print(cluster)
    for name, size in given.recipe or RECIPES:
        recipe = count(name, int(size), *given.option)
        batch = given.batch or recipe.batch
        for part in (describe(recipe), speeds(recipe, batch, given.run, cluster), rest(recipe, batch, cluster)):
            print("\n".join(part), end="\n\n", flush=True)
        print("\n".join(sets(recipe, cluster)), end="\n\n")


if __name__ == "__main__":
    main()
