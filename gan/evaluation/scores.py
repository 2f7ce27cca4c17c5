"""Compute all numbers of an evaluation with one extractor, and search for copies."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import torch

from gan.common.errors import writing
from gan.common.progress import counting
from gan.evaluation import generator, translator
from gan.evaluation.feature_cache import cached_features
from gan.evaluation.generator import Row
from gan.evaluation.memorization import CopySearch
from gan.evaluation.sets import Subject
from gan.images.convert import grid, save_png
from gan.metrics import pretrained
from gan.metrics.distances import on_device
from gan.metrics.extractors import extractor, features

PAIRS = 24  # number of generated images to save beside their nearest training images


class Scores(NamedTuple):
    extractor: Any
    rows: list[Row]
    records: list[dict[str, Any]]
    warnings: list[str]


def search_copies(subject: Subject, pairs: Path | None) -> float | None:
    """Return the rate of copies, and save the generated images nearest to training images as a PNG."""
    sets = subject.sets
    with counting(f"searching {len(sets.train):,} training images for copies", len(sets.generated)) as advance:
        search = CopySearch(sets.train, sets.reference if sets.held_out else None, sets.flips)
        found = search.search(sets.generated)
        advance(len(sets.generated))
    if pairs:
        with writing(pairs):
            save_png(grid(generator.nearest_pairs(sets, found, PAIRS), columns=8), pairs)
        print(f"generated images nearest to training images, each beside its training image: {pairs}")
    return found.rate


def score(
    name: str, subject: Subject, copies: float | None, device: str, weights: str | None = None, download: bool = False
) -> Scores:
    """Return all rows for one extractor.

    Args:
        copies: the rate of copies, or None.
        weights: file or folder of the extractor's weights.
        download: download missing weights.
    """
    options: dict[str, Any] = {"weights": weights, "download": download} if name in pretrained.KNOWN else {}
    made = extractor(name, **options)
    if isinstance(made, torch.nn.Module):
        made.to(device)
    with counting(f"features in {made.name}", generator.num_images(subject.sets)) as advance:
        rows = generator.evaluate(
            subject.sets,
            lambda images: on_device(features(made, images, advance), device),
            lambda images: on_device(cached_features(made, images, advance), device),
            copies,
        )
    dimension = getattr(made, "dimension", 0)
    records = generator.records(rows, made, subject.protocol)
    return Scores(made, rows, records, generator.warnings(rows[0], dimension))


def score_translations(subject: Subject, extractor: Any) -> list[Row]:
    """Return the rows of the evaluation of a translator; an empty list for a generator."""
    if subject.translations is None:
        return []
    return translator.evaluate(subject.translations, lambda images: features(extractor, images))
