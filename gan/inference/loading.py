"""What a checkpoint holds, built by name and filled: networks of gan.networks, and the data they were trained on."""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan import networks
from gan.common.errors import UserError
from gan.common.names import one_line
from gan.common.size import pair
from gan.inference import blueprint
from gan.inference.tiling import LEAST
from gan.run import run_folder
from gan.run.checkpoint_io import load as load_checkpoint

DATA = (
    "gan.data.module.ImageDataModule",
    "gan.data.shards.stream.StreamingDataModule",
    "gan.data.sources.huggingface.data_module",
    "gan.data.sources.torchvision.TorchvisionDataset",
    "gan.data.translation.UnpairedDataModule",
    "gan.data.translation.PairedDataModule",
    "gan.data.translation.StyledDataModule",
)
FOLDERS = ("root", "a", "b", "name", "labels")  # options of data that may name what is read
LIMITS = {
    "num_images": 10**6,
    "num_workers": 64,
    "batch_size": 2**16,
    "patches_per_image": 10**4,
    "max_pixels": 10**9,
}  # of others' data
ROLES = {
    "generator": ("Generator", "Bidirectional"),
    "discriminator": ("Discriminator", "Bidirectional"),
}  # names of classes


def load_translator(
    run: str | os.PathLike[str], checkpoint: str = "best", average: float | None = None, direction: str = "a2b"
) -> tuple[Any, dict[str, Any]]:
    """The averaged translator of a run in eval mode, on the CPU, and its configuration.

    Args:
        direction: "a2b", or "b2a" of one that goes both ways.

    Raises:
        UserError: there is none, it is damaged, comes from elsewhere, or names a network that is not gan's; it draws
            from seeds and translates nothing, or goes one way only.
    """
    path = run_folder.find(run, checkpoint)
    network, state = network_of(path, average)
    return translating(path, network, direction), state["config"]


def translating(path: Path, network: Any, direction: str = "a2b") -> Any:
    """The network of one direction that `load_translator` gives, of a checkpoint that has been read."""
    if hasattr(network, "latent_dim"):
        raise UserError(f"{path}: it draws pictures from seeds, and translates none; gan generate does")
    if hasattr(network, "b2a"):
        network = network.a2b if direction == "a2b" else network.b2a
    elif direction != "a2b":
        raise UserError(
            f"--direction {direction}: this translator goes from a to b only; model=cyclegan goes both ways"
        )
    return network.eval()


def load_discriminator(run: str | os.PathLike[str], checkpoint: str = "best") -> tuple[Any, Any, dict[str, Any], Path]:
    """The discriminator of a run in eval mode, on the CPU, and one as it could have begun, another for each seed; the
    run's configuration, and the path of the checkpoint.

    Raises:
        UserError: as `load_translator`; it has no features of images, as those of translators.
    """
    path = run_folder.find(run, checkpoint)
    state = load_checkpoint(path)
    if str(section(state["config"], ("model",), path).get("_target_")).startswith("gan.training.translation."):
        raise UserError(f"{path}: is of a translator, whose discriminator knows patches alone")
    build = building(state["config"], "discriminator", path)
    weights = weights_of(state, "discriminator.", build, check_discriminator, path)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(state["config"]))
        trained, untrained = (build().eval() for _ in range(2))
    trained.load_state_dict(weights)
    return trained, untrained, state["config"], path


def network_of(path: Path, average: float | None) -> tuple[Any, dict[str, Any]]:
    """The generator of a checkpoint with the weights of an average, and what else the checkpoint holds."""
    state = load_checkpoint(path)
    build = building(state["config"], "generator", path)
    weights = weights_of(state, prefix_of(average, state["config"], path), build, check_generator, path)
    generator = build()
    generator.load_state_dict(weights)
    return generator, state


def weights_of(
    state: dict[str, Any],
    prefix: str,
    build: Callable[[], nn.Module],
    check: Callable[[Any, tuple[int, int, int]], None],
    path: Path,
) -> dict[str, Tensor]:
    """The weights that a checkpoint has under a prefix, of the network that `build` makes; before it is made.

    Args:
        check: UserError where a network does not go with images of (channels, height, width).

    Raises:
        UserError: they are not those of such a network, or it does not fit the data that the configuration has.
    """
    tensors = state["state_dict"]
    weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    shape = shape_of_images(state["config"], path)
    network = blueprint.planned(build, f"{path}: its network")
    blueprint.check_weights(network, weights, path.stat().st_size, path)
    try:
        check(network, shape)
    except UserError as error:
        raise UserError(f"{path}: its network does not go with its images: {error}") from error
    return weights


def shape_of_images(config: Any, path: Path) -> tuple[int, int, int]:
    """Channels, height and width of the images that a configuration has."""
    data = section(config, ("data",), path)
    try:
        height, width = pair(data.get("size"))
    except UserError as error:
        raise UserError(f"{path}: its configuration cannot be used: {error}") from error
    channels = data.get("channels")
    if channels not in (1, 3, 4) or isinstance(channels, bool) or max(height, width) > blueprint.LARGEST_NUMBER:
        raise UserError(f"{path}: its configuration has no images of 1, 3 or 4 channels in data.channels and data.size")
    return channels, height, width


def check_generator(network: Any, shape: tuple[int, int, int]) -> None:
    """UserError where a planned generator does not draw, or translate, images of that shape."""
    if hasattr(network, "latent_dim"):
        label = torch.zeros(1, dtype=torch.long, device="meta") if getattr(network, "classes", 0) else None
        z = torch.zeros(1, network.latent_dim, device="meta")
        expect(network, network, shape, shape, z, label)
        return
    channels, height, width = shape
    for one in translators(network):
        sides = (-(-max(LEAST, side) // one.multiple) * one.multiple for side in (height, width))
        padded = (channels, *sides)
        expect(one, one, padded, shape, torch.zeros(1, *padded, device="meta"))


def translators(network: Any) -> Iterator[Any]:
    """The networks of each direction."""
    for one in (network.a2b, network.b2a) if hasattr(network, "b2a") else (network,):
        if hasattr(one, "latent_dim") or not hasattr(one, "multiple"):
            raise UserError(f"{type(one).__module__}.{type(one).__name__} translates no images")
        yield one


def expect(network: Any, function: Any, shape: tuple[int, ...], images: tuple[int, int, int], *given: Any) -> None:
    """UserError where what is given does not become one image of a shape, or does not fit into memory."""
    found, needed = blueprint.shape_of(network, function, *given)
    if not isinstance(found, Tensor) or found.shape[1:] != shape:
        raise UserError(f"it gives {tuple(getattr(found, 'shape', ()))[1:]}, and they are {images}")
    blueprint.check_memory(needed, f"images of {images[2]}x{images[1]} pixels")


def check_discriminator(network: Any, shape: tuple[int, int, int]) -> None:
    """UserError where a planned discriminator has no features of images of that shape."""
    if not hasattr(network, "features"):
        raise UserError("it has no features of images")
    found, needed = blueprint.shape_of(network, network.features, torch.zeros(1, *shape, device="meta"))
    if not found or not all(isinstance(layer, Tensor) and layer.ndim == 4 for layer in found):
        raise UserError("it has no features of images")
    blueprint.check_memory(needed, f"images of {shape[2]}x{shape[1]} pixels")


def seed_of(config: Any) -> int:
    """The seed of a run; 0 where its configuration has none that torch takes."""
    seed = config.get("seed", 0)
    return seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0


def prefix_of(average: float | None, config: Any, path: Path) -> str:
    """Where a checkpoint has the weights of an average."""
    if average is None:
        return "ema.module."
    found = section(config, ("model",), path).get("power_averages") or ()
    widths = list(found) if isinstance(found, list | tuple) else []
    if average not in widths:
        there = ", ".join(map(str, widths)) or "none; model.power_averages=[0.05,0.1] keeps some"
        raise UserError(f"{path}: has no average of width {average}; there are {there}")
    return f"averages.{widths.index(average)}.module."


def building(config: Any, role: str, path: Path) -> Callable[[], Any]:
    """A function that makes the network of a role that a checkpoint's configuration names, one of gan.networks."""
    return partial(construct, section(config, ("model", role), path), partial(network, role), role, path)


def data(config: Any, path: Path) -> Any:
    """The DataModule that a run's configuration names, set up.

    Raises:
        UserError: as `construct`, or its images are no longer there.
    """
    node = section(config, ("data",), path)
    for name, most in LIMITS.items():
        value = node.get(name)
        if isinstance(value, int | float) and not 0 <= value <= most:
            raise UserError(f"{path}: its data.{name}={value} is out of range: from 0 to {most:,}")
    if read := [f"data.{name}={node[name]}" for name in FOLDERS if isinstance(node.get(name), str | list)]:
        print(one_line(f"reading {', '.join(read)}, as {path} says"))  # a file that comes from elsewhere may name any
    module = construct(node, dataset, "data", path, largest=2**63 - 1)
    try:
        module.setup("fit")
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # options of a kind that nobody types
        raise UserError(f"{path}: its data cannot be read as it says: {' '.join(str(error).split())}") from error
    return module


def section(config: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    try:
        for name in names:
            config = config[name]
        return dict(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: holds no configuration of {names[-1]}") from error


def construct(
    node: dict[str, Any],
    allowed: Callable[[str], Any],
    what: str,
    path: Path,
    largest: int = blueprint.LARGEST_NUMBER,
) -> Any:
    """What a configuration's `_target_` and options describe.

    Args:
        allowed: the object of a name, None where it is not to be called.
        largest: whole number that an option can have.

    Raises:
        UserError: it is not allowed, or cannot be built with these options.
    """
    if what.count(".") > blueprint.DEEPEST:
        raise UserError(f"{path}: its {what} lies too deep")
    options = {}
    for name, value in node.items():
        if isinstance(value, dict):
            options[name] = construct(value, allowed, f"{what}.{name}", path, largest)
        elif reason := blueprint.plain_option(f"{what}.{name}", value, largest):
            raise UserError(f"{path}: its {reason}")
        elif not name.startswith("_"):
            options[name] = value
    target = str(node.get("_target_"))
    found = allowed(target)
    if found is None:
        raise UserError(f"{path}: names {target} as its {what}; only what gan itself has is built")
    try:
        return found(**options)
    except UserError:
        raise
    except Exception as error:
        raise UserError(f"{path}: its {what} cannot be built: {' '.join(str(error).split())}") from error


def network(role: str, target: str) -> Any:
    """A network of gan.networks that can have a role. A name may lead through a module's own imports to anything, so
    what counts is where the class was written; and no module is imported but one of that folder."""
    module, _, name = target.rpartition(".")
    ours = {f"gan.networks.{found.name}" for found in pkgutil.iter_modules(networks.__path__)}
    if module not in ours or name not in ROLES[role]:
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None


def dataset(target: str) -> Any:
    """One of DATA, or None."""
    if target not in DATA:
        return None
    module, _, name = target.rpartition(".")
    return getattr(importlib.import_module(module), name)
