"""Trained models made without training: checkpoints, and in a folder all files that commands read for a model."""

import copy
import functools
import json
import os
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
import yaml
from omegaconf import OmegaConf
from PIL import Image
from safetensors.torch import save_file

import gan
from gan.config.compose import compose, to_plain
from gan.editing.space import Space
from gan.editing.vector_files import fingerprint
from gan.export import share
from gan.models import loading, shared_files
from gan.recognition.classifier import LayerFeatures
from gan.runs import checkpoints, run_folder
from gan.runs.checkpoint_file import FORMAT
from gan.runs.checkpoint_io import AtomicCheckpointIO

SMALL = ["data.size=16", "model.generator.width=4", "model.discriminator.width=4"]
DCGAN = [*SMALL, "model=dcgan", "model.generator.full_size_channels=0", "model.generator.latent_dim=8"]
STYLEGAN2 = [*SMALL, "model=stylegan2", "model.generator.latent_dim=8", "model.generator.max_channels=8"]
STYLEGAN2 += ["model.discriminator.max_channels=8"]
LUT = ["model=lut", "data=unpaired", "data.a=a", "data.b=b", "data.size=16", "model.generator.lut_size=5"]
LUT += ["model.discriminator.width=4"]
BATCH_NORM = [*DCGAN, "model.discriminator.norm=batch", "penalty=[]"]  # its statistics are stored with a classifier
LATENT = 8  # length of a latent vector of all of them
METRICS = '{"images": 8, "loss/generator": 1.5, "time/images_per_second": 4.0, "eval/kid_x1000_lite0": 0.5}\n'


def configuration(options: Sequence[str]) -> dict[str, Any]:
    """Return the sections of a configuration that build networks and data, as in a checkpoint."""
    return copy.deepcopy(composed_once(tuple(options)))


@functools.cache
def composed_once(options: tuple[str, ...]) -> dict[str, Any]:
    composed = compose(list(options))
    raw: Any = OmegaConf.to_container(composed, resolve=False)
    whole: Any = OmegaConf.create({name: value for name, value in raw.items() if name != "hydra"})

    def plain(node: Any) -> Any:
        return OmegaConf.to_container(node, resolve=True)

    model = {part: plain(whole.model[part]) for part in ("generator", "discriminator")}
    target = whole.model.get("_target_", "gan.training.module.GAN")
    return {"seed": 0, "model": {"_target_": target, **model}, "data": plain(whole.data)}


def checkpoint(options: Sequence[str] = DCGAN, classes: Sequence[str] = ()) -> dict[str, Any]:
    """Return a checkpoint as saved by training."""
    return copy.deepcopy(made_once(tuple(options), tuple(classes)))


@functools.cache
def made_once(options: tuple[str, ...], classes: tuple[str, ...]) -> dict[str, Any]:
    config = configuration(options)
    for part in ("generator", "discriminator"):
        if "classes" in config["model"][part]:
            config["model"][part]["classes"] = len(classes)
    torch.manual_seed(0)
    state: dict[str, Any] = {}
    for role, prefix in (("generator", "ema.module."), ("discriminator", "discriminator.")):
        network = loading.network_builder(config, role, Path("made"))()
        state |= {prefix + name: value for name, value in network.state_dict().items()}
    state["class_counts"] = torch.ones(len(classes))
    made = {
        "format": FORMAT,
        "state_dict": state,
        "config": config,
        "images": 64,
        "global_step": 4,
        "pending": {},
        "division": {},
    }
    return made | ({"classes": list(classes)} if classes else {})


class Bomb:
    """An object whose pickle calls os.system."""

    def __init__(self, canary: Path) -> None:
        self.canary = canary

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.system, (f"touch {self.canary}",)


def write_run(folder: Path, options: Sequence[str] = DCGAN, classes: Sequence[str] = (), **data: Any) -> Path:
    """Write a run folder whose checkpoint has these options of its data, and return the path of the checkpoint."""
    (folder / run_folder.CHECKPOINTS).mkdir(parents=True)
    made = checkpoint(options, classes)
    few = {"num_images": 24, "batch_size": 4, "split": None, "labels": False}
    made["config"]["data"] |= (few if "num_images" in made["config"]["data"] else {}) | data
    path = checkpoints.checkpoint_path(folder, 64)
    AtomicCheckpointIO().save_checkpoint(made, path)
    (folder / run_folder.CONFIG).write_text(whole_configuration())
    (folder / run_folder.OVERRIDES).write_text("[seed=1]\n")
    (folder / run_folder.ENVIRONMENT).write_text("{}\n")
    (folder / run_folder.METRICS).write_text(METRICS)
    return path


@functools.cache
def whole_configuration() -> str:
    """Return the configuration of a run with the override seed=1, as training writes it."""
    return yaml.safe_dump(to_plain(compose(["seed=1", "logger=[]", "callback=[]"])))


def write_shared(folder: Path) -> Path:
    """Write a shared model with two classes and its discriminator."""
    path = folder.parent / "shared.ckpt"
    torch.save(checkpoint(DCGAN, ("a", "b")), path)
    shared_files.write(folder, share.collect(path, name="shared", license="mit", discriminator=True, samples=False))
    return folder


def write_classifier(folder: Path, tensors: dict[str, Any] | None = None, **about: Any) -> None:
    """Write model.ckpt, image.png and a classifier of two classes; tensors and keys of its JSON can be replaced."""
    torch.save(checkpoint(BATCH_NORM), folder / "model.ckpt")
    Image.new("RGB", (16, 16)).save(folder / "image.png")
    (folder / "classifier").mkdir(exist_ok=True)
    network, *_ = loading.load_discriminator(folder / "model.ckpt")
    size = LayerFeatures(network)(torch.zeros(1, 3, 16, 16, dtype=torch.uint8)).shape[1]
    whole = {"weight": torch.randn(size, 2), "bias": torch.zeros(2)}
    whole |= {f"statistics.{name}": value.clone() for name, value in network.named_buffers()}
    save_file(whole | (tensors or {}), folder / "classifier" / "classifier.safetensors")
    said = {"classes": ["cat", "dog"], "classifier": "logistic", "discriminator": fingerprint(network)} | about
    (folder / "classifier" / "classifier.json").write_text(json.dumps(said))


def write_latents(folder: Path, vectors: dict[str, Any], **about: Any) -> None:
    """Write dcgan.ckpt and x.safetensors with latents of it; metadata can be replaced, or removed with None."""
    torch.save(checkpoint(DCGAN), folder / "dcgan.ckpt")
    space = Space(gan.load(folder / "dcgan.ckpt").generator)
    said = {"space": space.name, "generator": fingerprint(space.generator), "labels": "{}"} | about
    text = json.dumps({name: value for name, value in said.items() if value is not None})
    save_file(vectors, folder / "x.safetensors", {"about": text})
