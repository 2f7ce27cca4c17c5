"""Select the best of many generated images, by the discriminator or by their likeness to the training images.

A score depends on the image alone, not on the other images. Images are generated in batches and not kept.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import torch
from torch import Tensor

from gan.evaluation.feature_cache import cached_features
from gan.images.convert import to_float
from gan.losses.heads import per_image
from gan.metrics.distances import distances
from gan.metrics.extractors import Lite0Features, features
from gan.model import Model
from gan.models.loading import load_data, load_discriminator
from gan.models.sampling import FAKES_SEED, fresh_statistics, in_chunks
from gan.utils.output import counting

NEIGHBORS = 5  # nearest training images of an image
MAX_REAL = 10_000  # training images to compare with
ESTIMATION_IMAGES, ESTIMATION_BATCH = 256, 64  # generated images for BatchNorm's statistics, and in a pass

Score = Callable[[Tensor, Tensor | None], Tensor]  # uint8 (N, C, H, W) and labels (N,) -> (N,), high is good


def select(
    seeds: Sequence[int],
    k: int,
    generate: Callable[[list[int]], tuple[Tensor, Tensor | None]],
    score: Score,
    batch: int,
    advance: Callable[[int], None] = lambda done: None,
) -> list[int]:
    """Return the k best seeds, the best first. Of equal images, the first is better.

    With classes, the fraction of each class stays the same.

    Args:
        generate: returns the images and labels of seeds.
        batch: number of images in memory at a time.
        advance: called with the number of images just scored.
    """
    scores, labels = torch.empty(len(seeds), dtype=torch.float64), torch.zeros(len(seeds), dtype=torch.long)
    for first in range(0, len(seeds), batch):
        part = slice(first, first + batch)
        images, own = generate(list(seeds[part]))
        scores[part] = score(images, own).double()
        if own is not None:
            labels[part] = own
        advance(len(images))
    return [seeds[place] for place in ranking(scores, labels)[:k].tolist()]


def ranking(scores: Tensor, labels: Tensor) -> Tensor:
    """Return the indices (N,) of scores (N,), the best first; any first k have the same fraction of each class."""
    order = scores.nan_to_num(nan=-torch.inf).argsort(descending=True, stable=True)
    place = torch.empty(len(scores), dtype=torch.float64)  # rank in its class, as a fraction
    for label in labels.unique():
        own = order[labels[order] == label]
        place[own] = (torch.arange(len(own), dtype=torch.float64) + 0.5) / len(own)
    return order[place[order].argsort(stable=True)]


def by_discriminator(model: Model, checkpoint: Path, device: str) -> Score:
    """Return a score: the discriminator's logit, averaged within each of its heads and summed over them.

    BatchNorm's statistics are those of generated images, as in training. A discriminator that compares the images of a
    batch (minibatch standard deviation) sees each image alone.
    """
    network = load_discriminator(checkpoint)[0].to(device)
    together = getattr(network, "images_together", 1) > 1

    @torch.no_grad()
    def logits(images: Tensor, labels: Tensor | None) -> Tensor:
        return per_image(network(to_float(images), labels))

    with fresh_statistics(network) as normalized:
        for first in range(0, ESTIMATION_IMAGES, ESTIMATION_BATCH) if normalized is not None else ():
            seeds = list(range(FAKES_SEED + first, FAKES_SEED + first + ESTIMATION_BATCH))
            labels = model.sample_z(seeds)[1]
            logits(model.generate(seeds).pixels.to(device), None if labels is None else labels.to(device))

    def score(images: Tensor, labels: Tensor | None) -> Tensor:
        if not together:
            return in_chunks(logits, torch.device(device), images, labels)
        rows = [slice(n, n + 1) for n in range(len(images))]
        each = (logits(images[n].to(device), None if labels is None else labels[n].to(device)) for n in rows)
        return torch.cat([logit.cpu() for logit in each])

    return score


def by_likeness(model: Model, checkpoint: Path, device: str) -> Score:
    """Return a score: minus the mean distance to the NEIGHBORS nearest training images, in features of Lite0.

    With classes, only training images of the same class count, if there are any.
    """
    data = load_data(model.config, checkpoint)
    extractor = Lite0Features().eval().to(device)
    images = data.reals(MAX_REAL)
    with counting("features of training images", len(images)) as advance:
        real = cached_features(extractor, images, advance).double()
    classes = data.real_labels(MAX_REAL) if model.classes else torch.zeros(len(real), dtype=torch.long)

    def score(images: Tensor, labels: Tensor | None) -> Tensor:
        found = features(extractor, images).double()
        own = torch.zeros(len(images), dtype=torch.long) if labels is None else labels
        likeness = torch.empty(len(images), dtype=torch.float64)
        for label in own.unique():
            same = real[classes == label] if bool((classes == label).any()) else real
            between = distances(found[own == label], same)
            likeness[own == label] = -between.topk(min(NEIGHBORS, len(same)), largest=False).values.mean(1)
        return likeness

    return score
