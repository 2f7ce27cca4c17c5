"""The features that `gan recognize fit` compares."""

from __future__ import annotations

from typing import Any

from gan.metrics.extractors import features
from gan.metrics.lite0 import Lite0Features
from gan.recognition.features import LayerFeatures, Memoized, color_histogram, raw_pixels
from gan.recognition.patches import Patches
from gan.recognition.protocol import Baseline

DISCRIMINATOR = "discriminator"
MAJORITY = "most frequent class"


def baselines(network: Any, untrained: Any, only_discriminator: bool) -> dict[str, Baseline]:
    """Return the features of a discriminator and of its baselines, by their names in the table.

    Args:
        network: trained discriminator.
        untrained: the same network with its initial weights.
        only_discriminator: omit the baselines.
    """
    own = {DISCRIMINATOR: Baseline(lambda images: LayerFeatures(network, images))}
    if only_discriminator:
        return own
    lite0 = Lite0Features().eval()
    memoized = Memoized(lambda images: features(lite0, images))
    return own | {
        "untrained network": Baseline(lambda images: LayerFeatures(untrained, images)),
        "pixels": Baseline(lambda images: raw_pixels, scaled=False),
        "color histogram": Baseline(lambda images: color_histogram, scaled=False),
        "k-means of patches": Baseline(Patches),
        "lite0 (ImageNet)": Baseline(lambda images: memoized),
    }
