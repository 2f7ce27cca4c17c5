"""Distances over feature matrices, and the networks that give the features."""

from gan.metrics.clipped import clipped_density_coverage
from gan.metrics.copies import copy_rate
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.kid import kernel_distance, squared_mmd
from gan.metrics.nearest_neighbors import nearest
from gan.metrics.prdc import prdc
from gan.metrics.vendi import vendi_score

__all__ = [
    "clipped_density_coverage",
    "copy_rate",
    "frechet_distance",
    "kernel_distance",
    "nearest",
    "prdc",
    "squared_mmd",
    "vendi_score",
]
