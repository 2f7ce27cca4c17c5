"""The table of an evaluation: its rows, the metrics of a row, and the record of each number.

For comparison, the table has rows of known quality: other real images (the best possible), blurred real images, and 20
or 100 repeated real images, which have a low KID but also a low recall.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.evaluation import registry
from gan.evaluation.feature_cache import cached_features
from gan.evaluation.registry import Row
from gan.evaluation.sets import Sets
from gan.metrics import pretrained
from gan.metrics.copies import CopySearch, Memorization
from gan.metrics.distances import on_device
from gan.metrics.extractors import extractor, features
from gan.metrics.prdc import NEIGHBORS

REPEATED = (20, 100)  # numbers of repeated real images, for rows that look like mode collapse
BLUR = 4  # side of the squares that are averaged, in pixels
MIN_FD_IMAGES = 2048  # with fewer images, the Fréchet distance is mostly bias for any features
PAIRS = 24  # number of generated images to save beside their nearest training images

Features = Callable[[Tensor], Tensor]  # uint8 (N, C, H, W) -> (N, D)


class Table(NamedTuple):
    extractor: Any
    rows: list[Row]


def evaluate(
    sets: Sets, name: str, copies: float | None, device: str, weights: str | None = None, download: bool = False
) -> Table:
    """Return the table of images for the extractor `name`, with the metrics of conf/metric and the rate of copies.

    `weights` and `download` are as for `gan.metrics.pretrained.find`.
    """
    options: dict[str, Any] = {"weights": weights, "download": download} if name in pretrained.KNOWN else {}
    network = extractor(name, **options)
    if isinstance(network, torch.nn.Module):
        network.to(device)
    print(f"computing features in {network.name} ...")
    rows = compare(
        sets,
        lambda images: on_device(features(network, images), device),
        lambda images: on_device(cached_features(network, images), device),
        registry.create(registry.registered()),
        copies,
    )
    return Table(network, rows)


def compare(
    sets: Sets, features: Features, cached: Features, metrics: Sequence[Any], copies: float | None = None
) -> list[Row]:
    """Return all rows of the table. The first is that of the generated images, with the rate of copies.

    `cached` is the same as `features` with a cache, for real images that each evaluation needs.
    """
    reference, generated = cached(sets.reference), features(sets.generated)
    values = measure(metrics, reference, generated)
    if copies is not None:
        values["copies"] = copies
    rows = [Row("generated", len(generated), len(reference), values)]
    images = sets.train[: len(sets.reference)] if sets.held_out else sets.reference[::2]
    others = cached(images) if sets.held_out else reference[::2]
    real = reference if sets.held_out else reference[1::2]
    for name, control in controls(images, others, features):
        if min(len(control), len(real)) > 1:
            rows.append(Row(name, len(control), len(real), measure(metrics, real, control)))
    return rows


def controls(images: Tensor, others: Tensor, features: Features) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and features of the rows for comparison, which consist of real images with features `others`."""
    yield "other real images", others
    yield f"blurred {BLUR}x", features(blurred(images))
    for count in REPEATED:
        if count < len(others):
            # Repeat more often than NEIGHBORS; otherwise the neighborhoods of recall contain another image.
            times = max(-(-len(others) // count), NEIGHBORS + 1)
            yield f"{count} repeated", others[:count].repeat(times, 1)


def blurred(images: Tensor) -> Tensor:
    """Return images averaged over squares of BLUR x BLUR pixels."""
    height, width = images.shape[2:]
    small = avg_pool2d(images.float(), BLUR, ceil_mode=True, count_include_pad=False).round().to(torch.uint8)
    return small.repeat_interleave(BLUR, 2).repeat_interleave(BLUR, 3)[:, :, :height, :width]


def measure(metrics: Sequence[Any], real: Tensor, generated: Tensor) -> dict[str, float]:
    """Return the values of two feature matrices, without those of metrics that need more images."""
    values: dict[str, float] = {}
    for metric in metrics:
        if min(len(real), len(generated)) >= metric.min_images:
            values |= registry.compute(metric, real, generated)
    return values


def search_copies(sets: Sets) -> tuple[float | None, Tensor]:
    """Return the rate of copies, and the `nearest_pairs`."""
    print(f"searching {len(sets.train):,} training images for copies ...")
    memorization = CopySearch(sets.train, sets.reference if sets.held_out else None).search(sets.generated)
    return memorization.rate, nearest_pairs(sets, memorization, PAIRS)


def nearest_pairs(sets: Sets, memorization: Memorization, n: int) -> Tensor:
    """Return uint8 (2n, C, H, W): the n generated images nearest to a training image, each followed by that image."""
    chosen = memorization.distance.argsort(stable=True)[:n]
    sources = sets.train[memorization.source[chosen]]
    mirrored = memorization.mirrored[chosen][:, None, None, None]
    sources = torch.where(mirrored, sources.flip(3), sources)
    return torch.stack([sets.generated[chosen], sources], 1).flatten(0, 1)


def warnings(row: Row, dimension: int) -> list[str]:
    """Return notes on the numbers of a row."""
    notes = []
    if "fd" in row.values and min(row.images, row.real) < max(dimension, MIN_FD_IMAGES):
        notes.append(
            f"FD of {row.images:,} and {row.real:,} images in {dimension:,} dimensions is mostly bias; "
            "compare it only at equal numbers of images, or use KID"
        )
    if "copies" not in row.values and "precision" in row.values:
        notes.append("copies: not measured, because the training images are unknown or too few")
    return notes


def records(rows: list[Row], extractor: Any, protocol: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a JSON object for each number, with all settings on which it depends."""
    settings = {
        "extractor": extractor.name,
        "weights_sha256": extractor.weights,
        "resize": extractor.resize,
        "k": NEIGHBORS,
        **protocol,
    }
    return [
        {"metric": metric, "value": value, "row": row.name, "images": row.images, "real": row.real, **settings}
        for row in rows
        for metric, value in row.values.items()
    ]
