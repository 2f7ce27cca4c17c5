"""Fractions of the four built-in classes among 1,000 samples of a model, by a linear probe.

    python tests/benchmarks/classes.py RUN [--checkpoint last]

The probe is a logistic regression on standardized features of EfficientNet-Lite0, fitted to `data=retro` images that
are not in the training set. Its accuracy on held-out real images is printed too.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from torch import Tensor, nn

import gan
from gan.data.builtin import retro
from gan.data.decoding.decode import Decoder
from gan.data.module import NUM_BUILTIN_IMAGES
from gan.metrics.extractors import Lite0Features, RandomConv, features
from gan.metrics.kid import squared_mmd
from gan.metrics.prdc import prdc
from gan.model import Model
from gan.utils.option_values import pair


def real_images(model: Model, n: int) -> tuple[Tensor, Tensor]:
    """Return n built-in images after those of the training set, and their classes."""
    options = model.config["data"]
    decoder, source = Decoder(pair(options["size"]), options["channels"]), retro.BuiltinImages(NUM_BUILTIN_IMAGES + n)
    indices = range(NUM_BUILTIN_IMAGES, NUM_BUILTIN_IMAGES + n)
    images = np.stack([next(source.decode(source.content(index), decoder)).pixels for index in indices])
    return torch.from_numpy(images), torch.tensor([index % len(retro.CLASSES) for index in indices])


def probe(features: Tensor, labels: Tensor) -> nn.Linear:
    """Fit a multinomial logistic regression with a little weight decay by L-BFGS."""
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
    mean, std = real[:1000].mean(0), real[:1000].std(0) + 1e-6
    standardized = (real - mean) / std
    linear = probe(standardized[:1000], labels[:1000])
    accuracy = (linear(standardized[1000:]).argmax(1) == labels[1000:]).float().mean()
    samples = model.sample(1000, seed=10_000).pixels
    fakes = features(extract, samples)
    found = linear((fakes - mean) / std).argmax(1)
    print(f"probe: accuracy {accuracy:.1%} on 1,000 held-out real images")
    for index, name in enumerate(retro.CLASSES):
        print(f"  {name:<12} {(found == index).float().mean():.1%} of 1,000 samples")
    print(", ".join(f"{name} {value:.3f}" for name, value in prdc(real[1000:], fakes).items()))
    for extractor in (extract, RandomConv()):
        halves, generated = features(extractor, images).split(1000), features(extractor, samples)
        print(
            f"kid_x1000_{extractor.name} to 1,000 held-out real images: {1000 * squared_mmd(halves[1], generated):.2f}"
        )
        print(f"  of two halves of real images: {squared_mmd(halves[1], halves[0]):.5f}")


if __name__ == "__main__":
    main()
