"""Tiny settings of every recipe, built from its configuration and trained for a few batches; used by test_recipes.py.

python -m tests.recipes [RECIPE ...]    write the golden files of these or all recipes again, after a change that is
                                        meant to change losses
"""

import functools
import json
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from hydra.utils import instantiate
from lightning import Trainer
from PIL import Image

from gan.config.compose import CONF, compose
from gan.data.builtin.retro import draw
from gan.training import EXPECTED_WARNINGS

RECIPES = sorted(path.stem for path in (CONF / "model").glob("*.yaml"))
TINY = {
    # At the usual learning rate, different instruction sets give losses that differ by 0.1 after twenty updates.
    "projected": [
        "model.generator.width=4",
        "model.discriminator.width=4",
        "model.discriminator.backbone_resolution=64",
        "model.generator_optimizer.lr=5e-5",
        "model.discriminator_optimizer.lr=5e-5",
    ],
    "r3gan": ["model.generator.width=16", "model.discriminator.width=16"],
    "pix2pix": ["model.generator.width=4", "model.generator.n_blocks=1", "model.discriminator.width=4"],
    "stylegan2": ["model.generator.width=4", "model.discriminator.width=4", "model.generator.latent_dim=8"],
}
TINY["projected_light"] = [option.replace("resolution=64", "resolution=32") for option in TINY["projected"]]
TINY["enlarge"] = TINY["pix2pix"]
TINY["pix2pix_unet"] = ["model.generator.width=4", "model.generator.depth=3", "model.discriminator.width=4"]
TINY["cut"] = [*TINY["pix2pix"], "penalty.patch_nce.layers=[0,4,8,12]"]
TINY["lut"] = ["model.generator.lut_size=5", "model.generator.width=4", "model.discriminator.width=4"]
TINY["style"] = ["model.generator.width=4", "model.generator.carriers=4", "model.discriminator.width=4"]
TINY["fastcut"] = TINY["cut"]
TINY["cyclegan"] = [
    "model.generator.a2b.width=4",
    "model.generator.a2b.n_blocks=1",
    "model.discriminator.a2b.width=4",
    "model.pool_size=6",
]
TINY["stylegan2_ada"] = TINY["stylegan2"]
OTHERS = ["model.generator.width=4", "model.discriminator.width=4"]
BATCH = 4
GOLDEN = Path(__file__).parent / "golden"


# The translators, and the pairing of their data.
TRANSLATORS = dict.fromkeys(("pix2pix", "pix2pix_unet", "enlarge"), "paired")
TRANSLATORS |= dict.fromkeys(("cut", "fastcut", "cyclegan", "lut", "style"), "disjoint")


@functools.cache
def photographs() -> str:
    """Return a folder of 24 built-in images of 32 pixels."""
    folder = tempfile.mkdtemp()
    for index in range(24):
        Image.fromarray(draw(0, index, 32, 32)).save(f"{folder}/{index:02}.png")
    return folder


def configuration(recipe: str, *options: str) -> Any:
    """Return the tiny configuration: 24 built-in images of 16 pixels, or of 32 for translators."""
    given = [f"data.batch_size={BATCH}", "data.size=16", "data.num_images=24", "data.split=null", "data.labels=false"]
    if recipe == "enlarge":
        given = [given[0], "data=reduced", f"data.root={photographs()}", "data.size=16", "data.patches_per_image=2"]
    elif recipe in TRANSLATORS:
        given = [given[0], "data=retro_filter", f"data.root={photographs()}", f"data.pairing={TRANSLATORS[recipe]}"]
        given += ["data.size=32", "data.split=file"]
    return compose([f"model={recipe}", *given, *TINY.get(recipe, OTHERS), "trainer.accelerator=cpu", *options])


def build(recipe: str, *options: str) -> tuple[Any, Any]:
    """Return the module and its data."""
    cfg = configuration(recipe, *options)
    torch.manual_seed(0)
    return instantiate(cfg.model), instantiate(cfg.data)


def fit(built: tuple[Any, Any], batches: int, resume: Path | None = None, save: Path | None = None, **more: Any) -> Any:
    """Train until `batches`, and return the module."""
    module, data = built
    silent = dict.fromkeys(("logger", "enable_checkpointing", "enable_progress_bar", "enable_model_summary"), False)
    settings = {"accelerator": "cpu", "max_steps": batches, "max_epochs": -1, "use_distributed_sampler": False}
    trainer = Trainer(**(settings | silent | more))
    trainer.fit(module, data, ckpt_path=None if resume is None else str(resume), weights_only=True)
    if save is not None:
        trainer.save_checkpoint(save)
    return module


def first_losses(recipe: str) -> dict[str, list[float]]:
    """Return every term of the losses of the first 20 batches, in fp32."""
    module, data = build(recipe)
    if recipe == "style":
        # It begins where its content penalty is 0, and Adam follows the signs of that gradient: of rounding errors,
        # which differ between versions of torch. So begin beside it.
        torch.nn.init.normal_(module.generator.texture.to_image.weight, std=0.1)
    terms = {
        name: values
        for name, values in fit((module, data), 20).loss_log.pending.items()
        if not name.startswith("health/")
    }
    return {name: [round(float(x), 6) for x in values] for name, values in terms.items()}


if __name__ == "__main__":
    for message in EXPECTED_WARNINGS:
        warnings.filterwarnings("ignore", message)
    for name in sys.argv[1:] or RECIPES:
        (GOLDEN / f"{name}.json").write_text(json.dumps(first_losses(name), indent=1) + "\n")
