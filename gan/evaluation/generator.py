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

from gan.evaluation.memorization import NEIGHBORS, TRUSTED, Originality
from gan.metrics.clipped import clipped_density_coverage
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.kid import kid_of_subsets, squared_mmd
from gan.metrics.prdc import prdc
from gan.metrics.vendi import vendi_score

SUBSETS = 100
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


class Row(NamedTuple):
    name: str
    images: int
    real: int
    values: dict[str, float]  # without those that cannot be had from so few images


def evaluate(
    sets: Sets,
    features: Callable[[Tensor], Tensor],
    remembered: Callable[[Tensor], Tensor],
    copies: float | None = None,
) -> list[Row]:
    """All rows in the features of one extractor, the generated images' first.

    Args:
        features: uint8 (N, C, H, W) -> (N, D).
        remembered: the same for real images, which are asked for at each evaluation.
        copies: their rate, for the first row; left out where precision is so low that it says nothing.
    """
    reference, generated = remembered(sets.reference), features(sets.generated)
    values = measure(reference, generated)
    if copies is not None and values.get("precision", 0.0) >= TRUSTED:
        values["copies"] = copies
    values["vendi"] = vendi_score(generated)
    rows = [Row("generated", len(generated), len(reference), values)]
    images = sets.train[: len(sets.reference)] if sets.held_out else sets.reference[::2]
    own = remembered(images) if sets.held_out else reference[::2]
    real = reference if sets.held_out else reference[1::2]
    for name, made in controls(images, own, features):
        if min(len(made), len(real)) > 1:
            rows.append(Row(name, len(made), len(real), measure(real, made)))
    return rows


def count(sets: Sets) -> int:
    """Images of which `evaluate` needs features."""
    real = len(sets.reference)
    others = 2 * min(len(sets.train), real) if sets.held_out else -(-real // 2)  # as they are and blurred, or blurred
    return len(sets.generated) + real + others


def controls(images: Tensor, own: Tensor, features: Callable[[Tensor], Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Rows made of real images, by name, from these and their features."""
    yield "other real images", own
    yield f"blurred {BLUR}x", features(blurred(images))
    for count in REPEATED:
        if count < len(own):
            # More often than there are neighbors, or the balls of recall would reach to another image.
            times = max(-(-len(own) // count), NEIGHBORS + 1)
            yield f"{count} repeated", own[:count].repeat(times, 1)


def blurred(images: Tensor) -> Tensor:
    """Averaged over 4 x 4 pixels and enlarged again."""
    height, width = images.shape[2:]
    small = avg_pool2d(images.float(), BLUR, ceil_mode=True, count_include_pad=False).round().to(torch.uint8)
    return small.repeat_interleave(BLUR, 2).repeat_interleave(BLUR, 3)[:, :, :height, :width]


def measure(real: Tensor, generated: Tensor) -> dict[str, float]:
    """All distances of one pair of feature matrices; what needs more than NEIGHBORS images is left out below that."""
    kid, deviation = kid_of_subsets(real, generated, SUBSETS)
    values = {
        "kid": squared_mmd(real, generated),
        "kid_subsets": kid,
        "kid_subsets_std": deviation,
        "fd": frechet_distance(real, generated),
    }
    if min(len(real), len(generated)) > NEIGHBORS:
        values |= prdc(real, generated, NEIGHBORS) | clipped_density_coverage(real, generated, NEIGHBORS)
    return values


def pairs(sets: Sets, found: Originality, n: int) -> Tensor:
    """The n generated images nearest to a training image, each followed by that one; uint8 (2n, C, H, W)."""
    chosen = found.distance.argsort(stable=True)[:n]
    sources = sets.train[found.source[chosen]]
    mirrored = found.mirrored[chosen][:, None, None, None]
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
    if "copies" not in row.values and "precision" in row.values:
        found.append("copies: the images resemble real ones too little for a rate, or it is not known what was copied")
    return found


def records(rows: list[Row], extractor: Any, protocol: Mapping[str, Any]) -> list[dict[str, Any]]:
    """One JSON object a number, which says all that it depends on."""
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


def digest_of(image: Tensor) -> bytes:
    """Of the pixels of one."""
    return hashlib.blake2b(image.contiguous().numpy().data, digest_size=16).digest()


def digest(images: Tensor) -> str:
    """Of a set of images, whatever their order."""
    each = sorted(map(digest_of, images))
    return hashlib.sha256(b"".join(each)).hexdigest()
