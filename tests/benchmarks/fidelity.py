"""Compare gan's metrics with torch-fidelity's on the same features and images: values and times.

    pip install 'torch-fidelity>=0.4,<0.6'
    python tests/benchmarks/fidelity.py [--images 1500] [--size 32]

Half of the images are used as real ones; the other half, slightly blurred, as generated ones. It prints both values,
their difference, and the ratio of the times of features and of metrics; above 1, gan is faster.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import TensorDataset
from torch_fidelity import calculate_metrics, register_feature_extractor
from torch_fidelity.feature_extractor_base import FeatureExtractorBase
from torch_fidelity.metric_fid import fid_features_to_statistics, fid_statistics_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric
from torchvision.transforms.v2.functional import gaussian_blur

from gan.data.builtin import retro
from gan.data.decoding.pool import cores
from gan.metrics.extractors import Lite0Features, features
from gan.metrics.frechet_distance import frechet_distance
from gan.metrics.kid import squared_mmd
from gan.metrics.prdc import prdc

SUBSET = 500
SEED = 2020


class Registered(FeatureExtractorBase):
    """gan's extractor for torch-fidelity."""

    def __init__(self, name: str, features_list: list[str], **_: Any) -> None:
        super().__init__(name, features_list)
        self.extract = Lite0Features()

    @staticmethod
    def get_provided_features_list() -> tuple[str]:
        return ("pooled",)

    @staticmethod
    def get_default_feature_layer_for_metric(metric: str) -> str:
        return "pooled"

    @staticmethod
    def can_be_compiled() -> bool:
        return False

    def forward(self, images: Tensor) -> tuple[Tensor]:
        return (features(self.extract, images).double(),)


class Images(TensorDataset):
    def __getitem__(self, index: int) -> Tensor:
        return super().__getitem__(index)[0]


def timed(function: Callable[[], Any]) -> tuple[Any, float]:
    started = time.perf_counter()
    return function(), time.perf_counter() - started


def torch_fidelity_metrics(fake: Tensor, real: Tensor) -> None:
    fid_statistics_to_metric(fid_features_to_statistics(fake), fid_features_to_statistics(real), False)
    kid_features_to_metric(fake, real, kid_subset_size=SUBSET, rng_seed=SEED, verbose=False)
    prc_features_to_metric(fake, real, verbose=False)


def gan_metrics(fake: Tensor, real: Tensor) -> dict[str, float]:
    values = {"fid": frechet_distance(fake, real)}
    random = np.random.RandomState(SEED)  # as in torch-fidelity, so that a seed selects the same subsets
    subsets = ([part[random.choice(len(part), SUBSET, replace=False)] for part in (fake, real)] for _ in range(100))
    kids = torch.tensor([squared_mmd(x, y) for x, y in subsets], dtype=torch.float64)
    values["kid"], values["kid std"] = float(kids.mean()), float(kids.std(correction=0))
    found = prdc(real, fake, k=3, strict=False)
    return values | {name: found[name] for name in ("precision", "recall")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--images", type=int, default=1500)
    parser.add_argument("--size", type=int, default=32)
    arguments = parser.parse_args()
    torch.set_num_threads(cores())
    n, size = arguments.images, arguments.size
    images = torch.from_numpy(np.stack([retro.draw(0, i, size, size).transpose(2, 0, 1) for i in range(2 * n)]))
    real, fake = images[:n], gaussian_blur(images[n:], 5, 0.5)

    register_feature_extractor("lite0", Registered)
    options: dict[str, Any] = {"feature_extractor": "lite0", "fid": True, "kid": True, "prc": True}
    options |= {"kid_subset_size": SUBSET, "rng_seed": SEED, "cuda": False, "cache": False, "verbose": False}
    result, whole = timed(lambda: calculate_metrics(input1=Images(fake), input2=Images(real), **options))
    extract = Lite0Features()
    found, ours = timed(lambda: (features(extract, fake).double(), features(extract, real).double()))
    _, apart = timed(lambda: torch_fidelity_metrics(*found))
    values, distances = timed(lambda: gan_metrics(*found))

    names = {
        "fid": "frechet_inception_distance",
        "kid": "kernel_inception_distance_mean",
        "kid std": "kernel_inception_distance_std",
        "precision": "precision",
        "recall": "recall",
    }
    for name, theirs in names.items():
        print(f"{name:14} {values[name]:.12g} against {result[theirs]:.12g}: {values[name] - result[theirs]:+.2g}")
    print(f"features  {ours:.2f} s against {whole - apart:.2f} s: {(whole - apart) / ours:.2f} times")
    print(f"distances {distances:.2f} s against {apart:.2f} s: {apart / distances:.2f} times")


if __name__ == "__main__":
    main()
