"""Load the networks of a checkpoint, and the data that they were trained on."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan.common.errors import UserError
from gan.common.output import one_line
from gan.data.styles import is_table
from gan.inference import blueprint
from gan.inference.checks import check_discriminator, check_generator, image_shape
from gan.inference.construct import construct, data_class, network_builder, section
from gan.inference.resolve import checkpoint_of
from gan.inference.sampling import NO_CLASSES
from gan.run import shared_model
from gan.run.checkpoint_file import load as load_checkpoint

FOLDERS = ("root", "a", "b", "name", "labels", "style")  # data options that may name files and folders to read
DECODING = tuple(shared_model.DATA)  # data options that determine the decoded pixels
LIMITS = {  # largest values of untrusted data options
    "num_images": 10**6,
    "num_workers": 64,
    "batch_size": 2**16,
    "patches_per_image": 10**4,
    "max_pixels": 10**9,
}


def load_translator(
    run: str | os.PathLike[str], checkpoint: str = "best", ema: float | None = None, direction: str = "a2b"
) -> tuple[Any, dict[str, Any]]:
    """Return the EMA translator of a run, in eval mode on the CPU, and the configuration of the run.

    Args:
        direction: "a2b", or "b2a" for a translator with both directions.

    Raises:
        UserError: the run does not exist, its checkpoint is damaged or not from gan, or its network does not translate
            in this direction.
    """
    path = checkpoint_of(run, checkpoint)
    network, state = load_generator(path, ema)
    return select_direction(path, network, direction), state["config"]


def select_direction(path: Path | str, network: Any, direction: str = "a2b") -> Any:
    """Return the translator for one direction, in eval mode, from a network loaded by `load_generator`."""
    if hasattr(network, "latent_dim"):
        raise UserError(f"{path}: is not a translator; use gan generate")
    if hasattr(network, "b2a"):
        network = network.a2b if direction == "a2b" else network.b2a
    elif direction != "a2b":
        raise UserError(f"--direction {direction}: this translator has only a2b; model=cyclegan has both directions")
    return network.eval()


def load_discriminator(run: str | os.PathLike[str], checkpoint: str = "best") -> tuple[Any, Any, dict[str, Any], Path]:
    """Return the discriminator of a run, an untrained copy, the configuration of the run, and the checkpoint's path.

    Both networks are in eval mode on the CPU. The untrained one is initialized with the run's seed.

    Raises:
        UserError: as `load_translator`, or the discriminator has no features of images, such as that of a translator.
    """
    path = checkpoint_of(run, checkpoint)
    state = load_state(path)
    if str(section(state["config"], ("model",), path).get("_target_")).startswith("gan.training.translation."):
        raise UserError(f"{path}: is a translator; its discriminator sees patches only and has no features of images")
    if not any(name.startswith("discriminator.") for name in state["state_dict"]):
        advice = "; its author can share it with gan share --discriminator" if state.get("shared") else ""
        raise UserError(f"{path}: has no discriminator{advice}")
    build = network_builder(state["config"], "discriminator", path)
    weights = checked_weights(state, "discriminator.", build, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(state["config"]))
        trained, untrained = (build().eval() for _ in range(2))
    trained.load_state_dict(weights)
    check_images(trained, check_discriminator, state["config"], path)
    return trained, untrained, state["config"], path


def load_generator(path: Path, ema: float | None) -> tuple[Any, dict[str, Any]]:
    """Return the generator of a checkpoint with the weights of an EMA, in eval mode, and the checkpoint's contents.

    Args:
        path: a checkpoint file, or the model.safetensors of a shared model.
    """
    state = load_state(path)
    if ema is not None and state.get("shared"):
        raise UserError(f"{path}: a shared model has one EMA only; omit --ema")
    build = network_builder(state["config"], "generator", path)
    weights = checked_weights(state, ema_prefix(ema, state["config"], path), build, path)
    generator = build().eval()
    generator.load_state_dict(weights)
    check_images(generator, check_generator, state["config"], path)
    kind = shared_model.GENERATOR if hasattr(generator, "latent_dim") else shared_model.TRANSLATOR
    if state.get("kind", kind) != kind:
        raise UserError(f"{path}: its network is a {kind}, but its configuration says {state['kind']}")
    return generator, state


def move(network: nn.Module, device: str) -> None:
    """Move a network to a device; raise UserError if torch cannot use the device here."""
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device}: torch cannot use it here; gan info lists the devices") from error


def load_state(path: Path) -> dict[str, Any]:
    """Return the contents of a checkpoint file, or those of a shared model, which has the suffix .safetensors.

    Raises:
        UserError: the file is missing or damaged, or was not written by this program.
    """
    if path.suffix != ".safetensors":
        return load_checkpoint(path)
    from gan.inference import shared_weights

    return shared_weights.load(path)


def checked_weights(
    state: dict[str, Any], prefix: str, build: Callable[[], nn.Module], path: Path
) -> dict[str, Tensor]:
    """Return the weights of a checkpoint whose names start with a prefix, without the prefix.

    They are checked before the network that `build` returns allocates memory.

    Raises:
        UserError: the weights do not fit the network, or the configuration describes no images.
    """
    image_shape(state["config"], path)
    tensors = state["state_dict"]
    weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    blueprint.check_weights(blueprint.plan(build, f"{path}: its network"), weights, path)
    return weights


def checked_counts(state: dict[str, Any], generator: Any, path: Path) -> Tensor:
    """Return the number of training images per class (classes,) of a checkpoint.

    Raises:
        UserError: the counts, or the names of the classes, do not fit the generator.
    """
    counts, names = state["state_dict"].get("class_counts", NO_CLASSES), state.get("classes", [])
    expected = getattr(generator, "classes", 0)
    fits = isinstance(counts, Tensor) and counts.dtype in blueprint.FLOATS and tuple(counts.shape) == (expected,)
    if not fits or len(names) != expected or not bool(((counts >= 0) & counts.isfinite()).all()):
        raise UserError(
            f"{path}: its generator has {expected} classes, but the names or counts of classes do not match"
        )
    return counts


def check_images(
    network: nn.Module, check: Callable[[Any, tuple[int, int, int]], None], config: Any, path: Path
) -> None:
    """Raise UserError if a network does not fit the images of a configuration.

    Args:
        check: raises UserError if a network does not fit images of (channels, height, width).
    """
    try:
        check(network, image_shape(config, path))
    except UserError as error:
        raise UserError(f"{path}: its network does not fit its images: {error}") from error


def seed_of(config: Any) -> int:
    """Return the seed of a run, or 0 if its configuration has no seed that torch accepts."""
    seed = config.get("seed", 0)
    return seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0


def ema_prefix(ema: float | None, config: Any, path: Path) -> str:
    """Return the prefix of the weights of an EMA in a checkpoint.

    Args:
        ema: a width in model.power_ema; None for the EMA of model.ema_half_life.
    """
    if ema is None:
        return "ema.module."
    found = section(config, ("model",), path).get("power_ema") or ()
    widths = list(found) if isinstance(found, list | tuple) else []
    if ema not in widths:
        kept = ", ".join(map(str, widths)) or "none; train with model.power_ema=[0.05,0.1] to keep some"
        raise UserError(f"{path}: has no EMA of width {ema}; its widths: {kept}")
    return f"power_ema.{widths.index(ema)}.module."


def has_data(config: Mapping[str, Any]) -> bool:
    """Return whether a model's configuration describes its training images; that of a shared model does not."""
    return "_target_" in config["data"]


def load_data(config: Any, path: Path) -> Any:
    """Set up the DataModule that the configuration of a run describes, and return it.

    Raises:
        UserError: as `construct`, or the images no longer exist.
    """
    node = section(config, ("data",), path)
    if not has_data(config):
        raise UserError(f"{path}: a shared model has no training images")
    for name, largest in LIMITS.items():
        value = node.get(name)
        if isinstance(value, int | float) and not 0 <= value <= largest:
            raise UserError(f"{path}: its data.{name}={value} is out of range: give 0 to {largest:,}")
    if read := [f"data.{name}={node[name]}" for name in FOLDERS if reads_path(name, node.get(name))]:
        print(one_line(f"reading {', '.join(read)}, as {path} says"))  # an untrusted file may name any folder
    module = construct(node, data_class, "data", path, largest=2**63 - 1)
    try:
        module.setup("fit")
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # options of an unexpected type
        raise UserError(f"{path}: its data cannot be set up: {' '.join(str(error).split())}") from error
    return module


def reads_path(name: str, value: Any) -> bool:
    """Return whether a data option of FOLDERS names a path to read."""
    words = value if isinstance(value, list) else [value]
    return isinstance(value, str | list) and (name != "style" or any(is_table(str(word)) for word in words))


def load_folder(path: str, options: Mapping[str, Any], **more: Any) -> Any:
    """Set up the DataModule of a folder of images, and return it.

    Args:
        options: data options of a run; only those in DECODING are used.
        more: other data options. All of them are used.
    """
    from gan.data.module import ImageDataModule

    data = ImageDataModule(path, **{name: options[name] for name in DECODING if name in options}, **more)
    data.setup("fit")
    return data
