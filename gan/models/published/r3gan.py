"""R3GAN: snapshots of the authors' code."""

from __future__ import annotations

from itertools import count
from typing import Any

from gan.models.published.result import Published, renamed
from gan.models.published.tensors import of_module

START = "Model.MainLayers."
FILTER = "Resampler.Kernel"  # a constant
BLOCK = {"LinearLayer1.Layer.weight": "expand.weight", "NonLinearity1.Bias": "expand.bias",
         "LinearLayer2.Layer.weight": "mix.weight", "NonLinearity2.Bias": "mix.bias",
         "LinearLayer3.Layer.weight": "project.weight"}  # fmt: skip


def from_modules(snapshot: dict[str, Any]) -> Published:
    """Return the weights of a snapshot: pickled modules G_ema and D."""
    theirs, theirs_of_d = (of_module(snapshot.get(name))[0] for name in ("G_ema", "D"))
    stages = next(n for n in count() if f"{START}{n}.Layers.1.NonLinearity1.Bias" not in theirs)
    blocks = next(n for n in count() if f"{START}0.Layers.{n + 1}.NonLinearity1.Bias" not in theirs)
    weights = {
        role: {
            name: value for name, value in renamed(values, names(stages, blocks, role)).items() if FILTER not in name
        }
        for role, values in (("generator", theirs), ("discriminator", theirs_of_d))
    }
    for values in weights.values():
        if "embedding.weight" in values:
            values["embedding.weight"] = values["embedding.weight"].T  # (C, classes) -> (classes, C)
    generator = weights["generator"]
    widths = [len(generator[f"stages.{n}.{int(n > 0)}.project.weight"]) for n in range(stages)]
    classes, embedded = generator["embedding.weight"].shape if "embedding.weight" in generator else (0, 0)
    size = generator["basis"].shape[-1] << stages - 1
    shared = {
        "size": [size, size],
        "channels": len(generator["to_image.weight"]),
        "width": widths[0],
        "full_stages": widths.count(widths[0]),
        "blocks_per_stage": blocks,
        "group_width": generator["stages.0.0.mix.weight"].shape[1],
        "classes": classes,
    }
    options = {"_target_": "gan.networks.r3gan.Generator", **shared, "border": "zeros"}
    options["latent_dim"] = generator["modulate.weight"].shape[1] - embedded
    of_d = {"_target_": "gan.networks.r3gan.Discriminator", **shared} if theirs_of_d else None
    images = snapshot.get("cur_nimg")
    return Published("R3GAN", size, options, weights, of_d, images=images if type(images) is int else 0)


def names(stages: int, blocks: int, role: str) -> dict[str, str]:
    """Return the names here by the authors'. The first layer of a stage of G, or the last of D, changes the size."""
    found = {
        f"{START}{n}.Layers.{block + (role == 'generator')}.{theirs}": f"stages.{n}.{block + (n > 0)}.{name}"
        for n in range(stages)
        for block in range(blocks)
        for theirs, name in BLOCK.items()
    }
    for n in range(stages - 1):
        layer = f"{n + 1}.Layers.0" if role == "generator" else f"{n}.Layers.{blocks}"
        found[f"{START}{layer}.LinearLayer.Layer.weight"] = f"stages.{n + 1}.0.convolution.weight"
    found["Model.EmbeddingLayer.weight"] = "embedding.weight"
    if role == "generator":
        first = f"{START}0.Layers.0"
        return found | {"Model.AggregationLayer.Layer.weight": "to_image.weight", f"{first}.Basis": "basis",
                        f"{first}.LinearLayer.weight": "modulate.weight"}  # fmt: skip
    last = f"{START}{stages - 1}.Layers.{blocks}"
    return found | {"Model.ExtractionLayer.Layer.weight": "from_image.weight", f"{last}.Basis.weight": "pool.weight",
                    f"{last}.LinearLayer.weight": "to_logit.weight"}  # fmt: skip
