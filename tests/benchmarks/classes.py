"""Fractions of the four built-in classes among 1,000 samples of a model, by a linear probe.

    python tests/benchmarks/classes.py RUN [--checkpoint last]

The probe is a logistic regression on standardized features of EfficientNet-Lite0, fitted to `data=retro` images that
are not in the training set. Its accuracy on held-out real images is printed too.
"""

from __future__ import annotations

import argparse

import numpy as np
import torch
from sklearn.linear_model import LogisticRegression
from torch import Tensor

import gan
from gan.data.builtin import retro
from gan.data.decoding.decode import Decoder
from gan.data.module import NUM_BUILTIN_IMAGES
from gan.metrics.extractors import Lite0Features, features
from gan.model import Model
from gan.utils.option_values import pair


def real_images(model: Model, n: int) -> tuple[Tensor, Tensor]:
    """Return n built-in images after those of the training set, and their classes."""
    options = model.config["data"]
    decoder, source = Decoder(pair(options["size"]), options["channels"]), retro.BuiltinImages(NUM_BUILTIN_IMAGES + n)
    indices = range(NUM_BUILTIN_IMAGES, NUM_BUILTIN_IMAGES + n)
    images = np.stack([next(source.decode(source.content(index), decoder)) for index in indices])
    return torch.from_numpy(images), torch.tensor([index % len(retro.CLASSES) for index in indices])


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
    probe = LogisticRegression(max_iter=1000).fit(standardized[:1000], labels[:1000])
    accuracy = probe.score(standardized[1000:], labels[1000:])
    samples = features(extract, model.sample(1000, seed=10_000).pixels)
    predicted = probe.predict((samples - mean) / std)
    print(f"probe: accuracy {accuracy:.1%} on 1,000 held-out real images")
    for index, name in enumerate(retro.CLASSES):
        print(f"  {name:<12} {(predicted == index).mean():.1%} of 1,000 samples")


if __name__ == "__main__":
    main()
