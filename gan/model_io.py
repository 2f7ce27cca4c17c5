"""What a checkpoint holds, built by name and filled: networks of gan.networks, and the data they were trained on."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from gan import runs
from gan.checkpoint_io import load as load_checkpoint
from gan.errors import UserError

DATA = (
    "gan.data.module.Images",
    "gan.data.stream.Stream",
    "gan.data.hub.images",
    "gan.data.downloaded.Downloaded",
    "gan.data.translation.Unpaired",
    "gan.data.translation.Paired",
    "gan.data.translation.Styled",
)


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
    path = runs.find(run, checkpoint)
    network, state = network_of(path, average)
    return translating(path, network, direction), state["config"]


def translating(path: Path, network: Any, direction: str = "a2b") -> Any:
    """The network of one direction that `load_translator` gives, of a checkpoint that has been read."""
    if hasattr(network, "latent"):
        raise UserError(f"{path}: it draws pictures from seeds, and translates none; gan generate does")
    if hasattr(network, "back"):
        network = network.there if direction == "a2b" else network.back
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
    path = runs.find(run, checkpoint)
    state = load_checkpoint(path)
    if str(section(state["config"], ("model",), path).get("_target_")).startswith("gan.translation."):
        raise UserError(f"{path}: is of a translator, whose discriminator knows patches alone")
    node = section(state["config"], ("model", "discriminator"), path)
    networks = []
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(state["config"].get("seed", 0)))
        for _ in range(2):
            networks.append(construct(node, network, "discriminator", path).eval())
    trained, untrained = networks
    fill(trained, state["state_dict"], "discriminator.", path)
    return trained, untrained, state["config"], path


def network_of(path: Path, average: float | None) -> tuple[Any, dict[str, Any]]:
    """The generator of a checkpoint with the weights of an average, and what else the checkpoint holds."""
    state = load_checkpoint(path)
    generator = build(state["config"], path)
    fill(generator, state["state_dict"], prefix_of(average, state["config"], path), path)
    return generator, state


def fill(network: nn.Module, tensors: dict[str, Tensor], prefix: str, path: Path) -> None:
    """Give a network the weights that a checkpoint has under a prefix."""
    weights = {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}
    try:
        network.load_state_dict(weights)
    except RuntimeError as error:
        raise UserError(f"{path}: its weights do not fit its own configuration; is it from another version?") from error


def prefix_of(average: float | None, config: Any, path: Path) -> str:
    """Where a checkpoint has the weights of an average."""
    if average is None:
        return "ema.module."
    widths = list(section(config, ("model",), path).get("power_averages", ()))
    if average not in widths:
        there = ", ".join(map(str, widths)) or "none; model.power_averages=[0.05,0.1] keeps some"
        raise UserError(f"{path}: has no average of width {average}; there are {there}")
    return f"averages.{widths.index(average)}.module."


def build(config: Any, path: Path) -> Any:
    """The generator that a checkpoint's configuration names, if it is one of gan.networks."""
    return construct(section(config, ("model", "generator"), path), network, "generator", path)


def data(config: Any, path: Path) -> Any:
    """The DataModule that a run's configuration names, set up.

    Raises:
        UserError: as `construct`, or its images are no longer there.
    """
    module = construct(section(config, ("data",), path), dataset, "data", path)
    module.setup("fit")
    return module


def section(config: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    try:
        for name in names:
            config = config[name]
        return dict(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: holds no configuration of {names[-1]}") from error


def construct(node: dict[str, Any], allowed: Callable[[str], Any], what: str, path: Path) -> Any:
    """What a configuration's `_target_` and options describe.

    Args:
        allowed: the object of a name, None where it is not to be called.

    Raises:
        UserError: it is not allowed, or cannot be built with these options.
    """
    options = {
        name: construct(value, allowed, f"{what}.{name}", path) if isinstance(value, dict) else value
        for name, value in node.items()
        if not name.startswith("_")
    }
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


def network(target: str) -> Any:
    """A network of gan.networks. A name may lead through a module's own imports to anything, so what counts is where
    the class was written."""
    found = locate(target) if target.startswith("gan.networks.") else None
    ours = isinstance(found, type) and issubclass(found, nn.Module) and found.__module__.startswith("gan.networks.")
    return found if ours else None


def dataset(target: str) -> Any:
    return locate(target) if target in DATA else None


def locate(target: str) -> Any:
    """The object of a dotted name, or None."""
    module, _, name = target.rpartition(".")
    try:
        return getattr(importlib.import_module(module), name, None)
    except ImportError:
        return None
