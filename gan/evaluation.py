"""What an evaluation is made of: the rows of its table, the numbers of a row, and the record of each number.

Beside generated images stand rows that say what the numbers mean: other real images (the floor), the same blurred, and
20 and 100 real images repeated, whose kernel distance is low and whose recall gives them away.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d

from gan.metrics import (
    clipped_density_coverage,
    copy_rate,
    frechet_distance,
    kernel_distance,
    nearest,
    prdc,
    squared_mmd,
    vendi_score,
)

NEIGHBOURS = 5  # as in Naeem et al., 2020
SUBSETS = 100
FEWEST = 50  # held-out images: fewer are no sample
TRUSTED = 0.3  # precision below which images are too far from all real ones for a rate of copies to mean anything
REPEATED = (20, 100)  # real images, of the rows that show collapse
BLUR = 4  # pixels a side that are averaged
ENOUGH = 2048  # images, below which the Fréchet distance is mostly bias whatever the features


class Sets(NamedTuple):
    """Images of one evaluation, uint8 (N, C, H, W)."""

    generated: Tensor
    reference: Tensor  # real ones that generated images are compared with
    train: Tensor  # those among which copies are looked for; none where it is not known what was trained on
    held_out: bool  # whether the reference is of the same kind as `train` and was kept out of training
    flips: bool  # whether training mirrors images


class Copied(NamedTuple):
    """What the rate of copies is made of, by generated image."""

    distance: Tensor  # (N,) to the nearest training image
    source: Tensor  # (N,) which that is
    mirrored: Tensor  # (N,) whether it is its mirror image that is near


class Row(NamedTuple):
    name: str
    images: int
    real: int
    values: dict[str, float]  # without those that cannot be had from so few images


def evaluate(
    sets: Sets, features: Callable[[Tensor], Tensor], remembered: Callable[[Tensor], Tensor]
) -> tuple[list[Row], Copied | None]:
    """All rows in the features of one extractor, the generated images' first, and what each of these is nearest to.

    Args:
        features: uint8 (N, C, H, W) -> (N, D).
        remembered: the same for real images, which are asked for at each evaluation.
    """
    train = remembered(sets.train)
    first = sets.train[: len(sets.reference)]
    reference = train[: len(first)] if torch.equal(first, sets.reference) else remembered(sets.reference)
    generated = features(sets.generated)
    values, copied = measure(reference, generated), None
    if len(train):
        seen = torch.cat([train, remembered(sets.train.flip(3))]) if sets.flips else train
        copied = nearest_originals(seen, generated, len(train))
        if values.get("precision", 0.0) >= TRUSTED:
            held_out = reference if sets.held_out and len(reference) >= FEWEST else None
            values["copies"] = copy_rate(seen, held_out, generated, len(seen) // len(train))
    values["vendi"] = vendi_score(generated)
    rows = [Row("generated", len(generated), len(reference), values)]
    if sets.held_out:
        images, own, real = sets.train[: len(reference)], train[: len(reference)], reference
    else:
        images, own, real = sets.reference[::2], reference[::2], reference[1::2]
    for name, made in controls(images, own, features):
        if min(len(made), len(real)) > 1:
            rows.append(Row(name, len(made), len(real), measure(real, made)))
    return rows, copied


def count(sets: Sets) -> int:
    """Images of which `evaluate` needs features."""
    own = len(sets.train) * (2 if sets.flips else 1)
    reference = 0 if torch.equal(sets.train[: len(sets.reference)], sets.reference) else len(sets.reference)
    blurry = min(len(sets.train), len(sets.reference)) if sets.held_out else -(-len(sets.reference) // 2)
    return len(sets.generated) + own + reference + blurry


def controls(images: Tensor, own: Tensor, features: Callable[[Tensor], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Rows made of real images, by name, from these and their features."""
    yield "other real images", own
    yield f"blurred {BLUR}x", features(blurred(images))
    for count in REPEATED:
        if count < len(own):
            # More often than there are neighbours, or the balls of recall would reach to another image.
            times = max(-(-len(own) // count), NEIGHBOURS + 1)
            yield f"{count} repeated", own[:count].repeat(times, 1)


def blurred(images: Tensor) -> Tensor:
    """Averaged over 4 x 4 pixels and enlarged again."""
    height, width = images.shape[2:]
    small = avg_pool2d(images.float(), BLUR, ceil_mode=True, count_include_pad=False).round().to(torch.uint8)
    return small.repeat_interleave(BLUR, 2).repeat_interleave(BLUR, 3)[:, :, :height, :width]


def measure(real: Tensor, generated: Tensor) -> dict[str, float]:
    """All distances of one pair of feature matrices; what needs more than NEIGHBOURS images is left out below that."""
    kid, deviation = kernel_distance(real, generated, SUBSETS)
    values = {
        "kid": squared_mmd(real, generated),
        "kid_subsets": kid,
        "kid_subsets_std": deviation,
        "fd": frechet_distance(real, generated),
    }
    if min(len(real), len(generated)) > NEIGHBOURS:
        values |= prdc(real, generated, NEIGHBOURS) | clipped_density_coverage(real, generated, NEIGHBOURS)
    return values


def nearest_originals(seen: Tensor, generated: Tensor, originals: int) -> Copied:
    """`seen` holds features of the originals and, where training mirrors, after them those of their mirror images."""
    distance, row = nearest(generated.double(), seen.double())
    return Copied(distance, row % originals, row >= originals)


def pairs(sets: Sets, copied: Copied, n: int) -> Tensor:
    """The n generated images nearest to a training image, each followed by that one; uint8 (2n, C, H, W)."""
    chosen = copied.distance.argsort(stable=True)[:n]
    sources = sets.train[copied.source[chosen]]
    mirrored = copied.mirrored[chosen][:, None, None, None]
    sources = torch.where(mirrored, sources.flip(3), sources)
    return torch.stack([sets.generated[chosen], sources], 1).flatten(0, 1)


def warnings(row: Row, dimension: int) -> list[str]:
    """What the reader of its numbers should know."""
    fewest = min(row.images, row.real)
    found = []
    if fewest < max(dimension, ENOUGH):
        found.append(
            f"fd of {row.images:,} and {row.real:,} images in {dimension:,} dimensions is mostly bias: "
            "compare it at equal counts alone, and take kid"
        )
    if "copies" not in row.values and "precision" in row.values and row.values["precision"] < TRUSTED:
        found.append(f"copies: precision is below {TRUSTED}, the images are too far from all real ones to be copies")
    return found


def records(rows: list[Row], extractor: Any, protocol: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One JSON object a number, which says all that it depends on."""
    about = {
        "extractor": extractor.name,
        "weights_sha256": getattr(extractor, "weights", ""),
        "resize": getattr(extractor, "resize", ""),
        "k": NEIGHBOURS,
        "subsets": SUBSETS,
        **protocol,
    }
    return [
        {"metric": metric, "value": value, "row": row.name, "images": row.images, "real": row.real, **about}
        for row in rows
        for metric, value in row.values.items()
    ]


def digest(images: Tensor) -> str:
    """Of a set of images, whatever their order."""
    each = sorted(hashlib.blake2b(image.contiguous().numpy().data, digest_size=16).digest() for image in images)
    return hashlib.sha256(b"".join(each)).hexdigest()
