"""Evaluate a generator: the rows of the table, the metrics of a row, and the record of each metric.

For comparison, the table has rows of known quality: other real images (the best possible), blurred real images, and 20
or 100 repeated real images, which have a low KID but also a low recall.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.common import digest
from gan.evaluation.memorization import MIN_SIMILARITY, NEIGHBORS, Memorization
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.kid import KID_SCALE, kid_of_subsets, squared_mmd
from gan.metrics.prdc import prdc

SUBSETS = 100
REPEATED = (20, 100)  # numbers of repeated real images, for rows that look like mode collapse
BLUR = 4  # side of the squares that are averaged, in pixels
MIN_FD_IMAGES = 2048  # with fewer images, the Fréchet distance is mostly bias for any features


class Sets(NamedTuple):
    """The images of one evaluation, uint8 (N, C, H, W).

    Attributes:
        generated: images to evaluate.
        reference: real images to compare them with.
        train: training images in which to search for the originals of copies; empty if they are unknown.
        held_out: whether `reference` is from the same dataset as `train`, but was held out.
        flips: whether training flips images.
    """

    generated: Tensor
    reference: Tensor
    train: Tensor
    held_out: bool
    flips: bool


class Row(NamedTuple):
    """One row of the table. `values` omits metrics that need more images."""

    name: str
    images: int
    real: int
    values: dict[str, float]


def evaluate(
    sets: Sets,
    features: Callable[[Tensor], Tensor],
    cached: Callable[[Tensor], Tensor],
    copies: float | None = None,
) -> list[Row]:
    """Return all rows of the table for one extractor. The first is that of the generated images.

    Args:
        features: function that maps uint8 (N, C, H, W) to (N, D).
        cached: the same with a cache, for real images that each evaluation needs.
        copies: rate of copies for the first row. It is omitted if a low precision makes it meaningless.
    """
    reference, generated = cached(sets.reference), features(sets.generated)
    values = measure(reference, generated)
    if copies is not None and values.get("precision", 0.0) >= MIN_SIMILARITY:
        values["copies"] = copies
    rows = [Row("generated", len(generated), len(reference), values)]
    images = sets.train[: len(sets.reference)] if sets.held_out else sets.reference[::2]
    own = cached(images) if sets.held_out else reference[::2]
    real = reference if sets.held_out else reference[1::2]
    for name, made in controls(images, own, features):
        if min(len(made), len(real)) > 1:
            rows.append(Row(name, len(made), len(real), measure(real, made)))
    return rows


def num_images(sets: Sets) -> int:
    """Return the number of images whose features `evaluate` needs."""
    real = len(sets.reference)
    others = 2 * min(len(sets.train), real) if sets.held_out else -(-real // 2)  # blurred, or blurred and originals
    return len(sets.generated) + real + others


def controls(images: Tensor, own: Tensor, features: Callable[[Tensor], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield the names and features of the rows for comparison, which consist of real images."""
    yield "other real images", own
    yield f"blurred {BLUR}x", features(blurred(images))
    for count in REPEATED:
        if count < len(own):
            # Repeat more often than NEIGHBORS; otherwise the neighborhoods of recall contain another image.
            times = max(-(-len(own) // count), NEIGHBORS + 1)
            yield f"{count} repeated", own[:count].repeat(times, 1)


def blurred(images: Tensor) -> Tensor:
    """Return images averaged over squares of BLUR x BLUR pixels."""
    height, width = images.shape[2:]
    small = avg_pool2d(images.float(), BLUR, ceil_mode=True, count_include_pad=False).round().to(torch.uint8)
    return small.repeat_interleave(BLUR, 2).repeat_interleave(BLUR, 3)[:, :, :height, :width]


def measure(real: Tensor, generated: Tensor) -> dict[str, float]:
    """Return all metrics of two feature matrices. Some are omitted if there are at most NEIGHBORS images."""
    kid, std = kid_of_subsets(real, generated, SUBSETS)
    values = {
        "kid_x1000": KID_SCALE * squared_mmd(real, generated),
        "kid_subsets_x1000": KID_SCALE * kid,
        "kid_subsets_std_x1000": KID_SCALE * std,
        "fd": frechet_distance(real, generated),
    }
    if min(len(real), len(generated)) > NEIGHBORS:
        values |= prdc(real, generated, NEIGHBORS)
    return values


def nearest_pairs(sets: Sets, found: Memorization, n: int) -> Tensor:
    """Return uint8 (2n, C, H, W): the n generated images nearest to a training image, each followed by that image."""
    chosen = found.distance.argsort(stable=True)[:n]
    sources = sets.train[found.source[chosen]]
    mirrored = found.mirrored[chosen][:, None, None, None]
    sources = torch.where(mirrored, sources.flip(3), sources)
    return torch.stack([sets.generated[chosen], sources], 1).flatten(0, 1)


def warnings(row: Row, dimension: int) -> list[str]:
    """Return notes on the numbers of a row."""
    found = []
    if min(row.images, row.real) < max(dimension, MIN_FD_IMAGES):
        found.append(
            f"FD of {row.images:,} and {row.real:,} images in {dimension:,} dimensions is mostly bias; "
            "compare it only at equal numbers of images, or use KID"
        )
    if "copies" not in row.values and "precision" in row.values:
        found.append("no rate of copies: the images are too unlike real ones, or the training images are unknown")
    return found


def records(rows: list[Row], extractor: Any, protocol: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Return a JSON object for each number, with all settings on which it depends."""
    about = {
        "extractor": extractor.name,
        "weights_sha256": getattr(extractor, "weights", ""),
        "resize": getattr(extractor, "resize", ""),
        "k": NEIGHBORS,
        "subsets": SUBSETS,
        **protocol,
    }
    return [
        {"metric": metric, "value": value, "row": row.name, "images": row.images, "real": row.real, **about}
        for row in rows
        for metric, value in row.values.items()
    ]


def digest_of_set(images: Tensor) -> str:
    """Return a digest of a set of images, independent of their order."""
    return hashlib.sha256(b"".join(sorted(bytes.fromhex(digest.of_tensor(image)) for image in images))).hexdigest()
