"""Which of the four built-in kinds a model draws: shares among 1,000 samples, by a linear probe.

    python tests/benchmarks/kinds.py RUN [--checkpoint last]

The probe is a logistic regression on standardised features of EfficientNet-Lite0, fitted to `data=retro` images that
are not in the training set; its accuracy on held-out real ones stands beside the shares.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor, nn

import gan
from gan.common.size import pair
from gan.data.builtin import retro
from gan.data.decoding.decode import Decoder
from gan.data.module import NUM_BUILTIN_IMAGES
from gan.data.sources.builtin import BuiltinImages
from gan.metrics.extractors import features
from gan.metrics.kid import squared_mmd
from gan.metrics.lite0 import Lite0Features
from gan.metrics.prdc import prdc
from gan.metrics.random_conv import RandomConv
from gan.model import Model


def real_images(model: Model, n: int) -> tuple[Tensor, Tensor]:
    """n built-in images past those of the training set, and their kinds."""
    options = model.config["data"]
    decoder, source = Decoder(pair(options["size"]), options["channels"]), BuiltinImages(NUM_BUILTIN_IMAGES + n)
    indices = range(NUM_BUILTIN_IMAGES, NUM_BUILTIN_IMAGES + n)
    images = np.stack([next(source.decode(source.content(index), decoder)).pixels for index in indices])
    return torch.from_numpy(images), torch.tensor([index % len(retro.CLASSES) for index in indices])


def probe(features: Tensor, labels: Tensor) -> nn.Linear:
    """Multinomial logistic regression with a little weight decay, by L-BFGS."""
    torch.manual_seed(0)
    linear = nn.Linear(features.shape[1], len(retro.CLASSES))
    optimizer = torch.optim.LBFGS(linear.parameters(), max_iter=200, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(linear(features), labels) + 1e-3 * linear.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    return linear


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run")
    parser.add_argument("--checkpoint", default="last")
    arguments = parser.parse_args()
    model, extract = gan.load(arguments.run, arguments.checkpoint), Lite0Features()
    images, labels = real_images(model, 2000)
    real = features(extract, images)
    mean, deviation = real[:1000].mean(0), real[:1000].std(0) + 1e-6
    standardised = (real - mean) / deviation
    linear = probe(standardised[:1000], labels[:1000])
    right = (linear(standardised[1000:]).argmax(1) == labels[1000:]).float().mean()
    samples = model.sample(1000, seed=10_000)
    fakes = features(extract, samples)
    found = linear((fakes - mean) / deviation).argmax(1)
    print(f"probe: {right:.1%} right on 1,000 held-out real images")
    for index, kind in enumerate(retro.CLASSES):
        print(f"  {kind:<12} {(found == index).float().mean():.1%} of 1,000 samples")
    manifold = prdc(real[1000:], fakes)
    print(", ".join(f"{name} {value:.3f}" for name, value in manifold.items()))
    for extractor in (extract, RandomConv()):
        halves, drawn = features(extractor, images).split(1000), features(extractor, samples)
        print(f"kid_{extractor.name} to 1,000 held-out real images: {squared_mmd(halves[1], drawn):.5f}")
        print(f"  of two halves of real images: {squared_mmd(halves[1], halves[0]):.5f}")


if __name__ == "__main__":
    main()
