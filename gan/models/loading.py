"""Load the networks of a checkpoint or of a shared model, and the data that they were trained on."""

from __future__ import annotations

import hashlib
import importlib
import math
import os
import pkgutil
import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.module import (
    register_module_buffer_registration_hook,
    register_module_parameter_registration_hook,
)
from torch.overrides import TorchFunctionMode

from gan import kinds, networks
from gan.contracts import DataModule, Discriminator, Generator, Translator, check
from gan.data import sources
from gan.looks import is_table
from gan.models import card, shared_model
from gan.models.address import HUB, ZOO, checkpoint_of, is_address, locate, name_of
from gan.models.sampling import NO_CLASSES
from gan.networks.torus import make_seamless
from gan.runs import checkpoint_file
from gan.runs.checkpoint_file import LICENSES
from gan.settings import DATA_PATHS, DIRECTION
from gan.utils import code
from gan.utils.errors import UserError
from gan.utils.option_values import pair, with_home
from gan.utils.output import one_line
from gan.utils.untrusted import MAX_OPTION, read_tensors

EMA = "ema.module."  # prefix of the generator in checkpoints
COUNTS = "class_counts"
CONTRACTS = {kinds.GENERATOR: Generator, kinds.TRANSLATOR: Translator}


def select_direction(path: Path | str, network: nn.Module, direction: str = "a2b") -> Any:
    """Return the translator for one direction, in eval mode, from a network loaded by `load_generator`."""
    if kinds.of_network(network) is kinds.GENERATOR:
        raise UserError(f"{path}: is not a translator; use gan generate")
    networks = dict(zip(DIRECTION.words, kinds.directions(network), strict=False))
    if direction not in networks:
        raise UserError(f"--direction {direction}: this translator has only a2b; model=cyclegan has both directions")
    return networks[direction].eval()


def load_discriminator(run: str | os.PathLike[str], checkpoint: str = "best") -> tuple[Any, Any, dict[str, Any], Path]:
    """Return the discriminator of a run, an untrained copy, the configuration of the run, and the checkpoint's path.

    Both networks are in eval mode on the CPU. The untrained one is initialized with the run's seed.
    """
    path = checkpoint_of(run, checkpoint)
    state = load_state(path)
    if kinds.of(state["config"]) is kinds.TRANSLATOR:
        raise UserError(f"{path}: is a translator; its discriminator sees patches only and has no features of images")
    if not any(name.startswith("discriminator.") for name in state["state_dict"]):
        advice = "; its author can share it with gan share --discriminator" if state.get("shared") else ""
        raise UserError(f"{path}: has no discriminator{advice}")
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed_of(state["config"]))
        trained = load_network(state, "discriminator", "discriminator.", path)
        untrained = network_builder(state["config"], "discriminator", path)().eval()
    if hasattr(untrained, "load_pretrained"):  # the pretrained weights are in the checkpoint
        untrained.backbone.load_state_dict(trained.backbone.state_dict())
    if not hasattr(trained, "features"):
        raise UserError(f"{path}: its discriminator has no features of images")
    return trained, untrained, state["config"], path


def load_generator(path: Path) -> tuple[Any, dict[str, Any]]:
    """Return the generator of a checkpoint with the weights of its EMA, in eval mode, and what `load_state` returns."""
    state = load_state(path)
    return load_network(state, "generator", EMA, path), state


def load_network(state: dict[str, Any], role: str, prefix: str, path: Path) -> Any:
    """Return the network of a role, in eval mode, with the weights of a checkpoint whose names start with a prefix."""
    check_data(state["config"], path)
    build = network_builder(state["config"], role, path)
    weights = network_weights(state["state_dict"], prefix)
    with at_most(sum(value.numel() for value in weights.values() if isinstance(value, Tensor))):
        network = build().eval()
    try:
        network.load_state_dict(weights)
    except (RuntimeError, TypeError, AttributeError) as error:
        reason = one_line(" ".join(str(error).split()))
        raise UserError(f"{path}: its weights do not fit its configuration ({reason})") from error
    for name, value in network.state_dict().items():
        if not bool(value.isfinite().all()):
            raise UserError(f"{path}: its weights are not finite ({name}); use an earlier checkpoint")
    contract = Discriminator if role == "discriminator" else CONTRACTS[kinds.of_network(network)]
    check(network, contract, f"{path}: its {role}")
    axes = section(state["config"], ("model",), path).get("seamless")
    if axes is not None:
        make_seamless(network, axes)
    return network.to(memory_format=torch.channels_last)  # on a CPU up to 1.4 times as fast


def network_weights(state: Mapping[str, Tensor], *prefixes: str) -> dict[str, Tensor]:
    """Return the weights whose names start with the first prefix that any name has, without the prefix."""
    for prefix in prefixes:
        weights = {name.removeprefix(prefix): value for name, value in state.items() if name.startswith(prefix)}
        if weights:
            return weights
    return {}


def move(network: nn.Module, device: str) -> None:
    """Move a network to a device; raise UserError if torch cannot use the device here."""
    try:
        network.to(device)
    except (RuntimeError, AssertionError) as error:
        raise UserError(f"device {device}: torch cannot use it here; gan info lists the devices") from error


def load_state(path: Path) -> dict[str, Any]:
    """Return the contents of a checkpoint file, or those of a shared model, which has the suffix .safetensors."""
    return load_shared(path) if path.suffix == ".safetensors" else checkpoint_file.load(path)


def load_shared(path: Path) -> dict[str, Any]:
    """Return the contents of a shared model as those of a checkpoint, from the path of its model.safetensors.

    The keys "shared" and "kind" show that it is a shared model. BatchNorm's statistics are final.
    """
    about, weights = read_shared(path)
    config = {name: about[name] for name in ("seed", "data", "model", "kind")}
    config[LICENSES] = {name_of(path.parent): card.license_of(path.parent)}
    if about["format"] == shared_model.DELTA:
        base, base_weights = read_base(about["base"])
        if base["sha256"] != about["base_sha256"]:
            raise UserError(f"{path}: is a delta of another version of {about['base']}")
        weights |= {name: value for name, value in base_weights.items() if name in about["kept"]}
        config["init_from"] = about["base"]
        config[LICENSES][about["base"]] = card.license_of(locate(about["base"]))
    state = {
        "format": checkpoint_file.FORMAT,
        "state_dict": {re.sub(r"^generator\.", EMA, name): value for name, value in weights.items()},
        "config": config,
        "images": about["images"],
        "classes": about["classes"],
        "shared": True,
        "kind": about["kind"],
    }
    checkpoint_file.check_content(state, path)
    return state


def licenses_of(config: Mapping[str, Any], seen: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the licenses of the shared models from which the weights of a model come, by name.

    Args:
        config: of a run or of a shared model. That of a run of an older version has only the name of its start.
        seen: starts that led here.
    """
    if isinstance(config.get(LICENSES), dict):
        return {str(name): str(license) for name, license in config[LICENSES].items()}
    start = config.get("init_from")
    if not isinstance(start, str) or not start:
        return {}
    if start not in seen and (start.startswith(ZOO) or not is_address(start)):  # a file must not cause a download
        with suppress(UserError):
            path = checkpoint_of(with_home(str(locate(start))))
            return licenses_of(load_state(path)["config"], (*seen, start))
    return {start if is_address(start) else Path(start).name: card.UNKNOWN}


def read_shared(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return the content of config.json and the weights in the file of a shared model, from the path of the file."""
    about = shared_model.read_about(path.parent)
    weights, _ = read_tensors(path)
    with open(path, "rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    if digest != about["sha256"]:
        raise UserError(f"{path}: damaged; its checksum differs from the one in {shared_model.CONFIG}; copy or "
                        "download it again")  # fmt: skip
    return about, weights


def read_base(base: str) -> tuple[dict[str, Any], dict[str, Tensor]]:
    """Return `read_shared` of the base of a delta; raise UserError unless it is a whole model that others have too."""
    if base.startswith((ZOO, HUB)):
        about, weights = read_shared(shared_model.weights_of(locate(base)))
        if about["format"] == shared_model.FORMAT:
            return about, weights
    raise UserError(f"{one_line(base)}: the base of a delta must be zoo:NAME or hf://USER/NAME, and no delta")


def check_data(config: Any, path: Path) -> None:
    """Raise UserError if a configuration does not describe images."""
    data = section(config, ("data",), path)
    pair(data.get("size"))
    if data.get("channels") not in (1, 3, 4):
        raise UserError(f"{path}: its data.channels does not describe images of 1, 3 or 4 channels")


def checked_counts(state: dict[str, Any], generator: Any, path: Path) -> Tensor:
    """Return the number of training images per class (classes,) of a checkpoint; raise UserError if they do not fit."""
    counts, classes = state["state_dict"].get(COUNTS, NO_CLASSES), generator.classes
    fits = isinstance(counts, Tensor) and tuple(counts.shape) == (classes,) and len(state.get("classes", [])) == classes
    if not fits or not bool(((counts >= 0) & counts.isfinite()).all()):
        raise UserError(f"{path}: its generator has {classes} classes, but the names or counts of classes do not match")
    return counts


def seed_of(config: Any) -> int:
    """Return the seed of a run, or 0 if its configuration has no seed that torch accepts."""
    seed = config.get("seed", 0)
    return seed if isinstance(seed, int) and 0 <= seed < 2**63 else 0


def has_data(config: Mapping[str, Any]) -> bool:
    """Return whether a model's configuration describes its training images; that of a shared model does not."""
    return "_target_" in config["data"]


def load_data(config: Any, path: Path) -> Any:
    """Set up the DataModule that the configuration of a run describes, and return it."""
    node = section(config, ("data",), path)
    if not has_data(config):
        raise UserError(f"{path}: a shared model has no training images")
    if read := [f"data.{name}={node[name]}" for name in DATA_PATHS if reads_path(name, node.get(name))]:
        print(one_line(f"reading {', '.join(read)}, as {path} says"))  # an untrusted file may name any folder
    module = construct(node, data_class, "data", path, largest=2**63 - 1)
    check(module, DataModule, f"{path}: its data")
    try:
        module.setup("fit")
    except (TypeError, ValueError, AttributeError, OverflowError) as error:  # options of an unexpected type
        raise UserError(f"{path}: its data cannot be set up: {' '.join(str(error).split())}") from error
    return module


def reads_path(name: str, value: object) -> bool:
    words = value if isinstance(value, list) else [value]
    return isinstance(value, str | list) and (name != "style" or any(is_table(str(word)) for word in words))


def load_folder(path: str, options: Mapping[str, Any], **more: Any) -> Any:
    """Set up the DataModule of a folder of images, and return it.

    Args:
        options: data options of a run; only those that decode images are used.
        more: other data options. All of them are used.
    """
    from gan.data.module import ImageDataModule

    data = ImageDataModule(path, **{name: options[name] for name in shared_model.DATA if name in options}, **more)
    data.setup("fit")
    return data


# ---- networks and data by name, from a configuration that may be untrusted

DATA = (
    "gan.data.module.ImageDataModule",
    "gan.data.stream.StreamingDataModule",
    "gan.data.sources.huggingface.data_module",
    "gan.data.translation.UnpairedDataModule",
    "gan.data.translation.PairedDataModule",
    "gan.data.translation.ReducedDataModule",
    "gan.data.translation.StyledDataModule",
)
MAX_UNSAVED = 1 << 26  # numbers in the buffers of a network that checkpoints do not have


def section(config: Any, names: tuple[str, ...], path: Path) -> dict[str, Any]:
    """Return a section of a checkpoint's configuration; raise UserError if there is none."""
    try:
        for name in names:
            config = config[name]
        return dict(config)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: has no configuration of {names[-1]}") from error


def network_builder(config: Any, role: str, path: Path) -> Callable[[], Any]:
    return partial(construct, section(config, ("model", role), path), partial(network_class, role), role, path)


TOO_LARGE = "its weights do not fit its configuration, which describes a larger network"
MAX_NUMBERS = 1 << 25  # of one tensor
FACTORIES = (torch.empty, torch.randn, torch.zeros, torch.ones, torch.full)


class Limited(TorchFunctionMode):
    """A context that refuses a tensor of more than MAX_NUMBERS numbers before it has memory."""

    def __torch_function__(self, function: Any, types: object, args: Any = (), kwargs: Any = None) -> Any:
        size = args[0] if args and isinstance(args[0], tuple | list) else args
        if function in FACTORIES and math.prod(size) > MAX_NUMBERS:
            raise UserError(TOO_LARGE)
        return function(*args, **(kwargs or {}))


@contextmanager
def at_most(numbers: int) -> Iterator[None]:
    """Raise UserError if networks that are built in the context have more numbers than the weights of their file.

    The configuration of an untrusted file may describe a network of any size. A layer is counted when it has memory,
    before it is initialized.
    """
    left = 2 * numbers + MAX_UNSAVED  # a parametrization registers a weight again

    def count(module: nn.Module, name: str, tensor: Tensor | None) -> None:
        nonlocal left
        left -= 0 if tensor is None else tensor.numel()
        if left < 0:
            raise UserError(TOO_LARGE)

    with register_module_parameter_registration_hook(count), register_module_buffer_registration_hook(count), Limited():
        yield


def construct(
    node: dict[str, Any], allowed: Callable[[str], Any], what: str, path: Path, largest: int = MAX_OPTION
) -> Any:
    """Build the object that `_target_` and options in a configuration describe.

    Args:
        allowed: returns the object with a name, or None if it must not be called.
        largest: largest number that is allowed as an option.
    """
    options = {}
    for name, value in node.items():
        if isinstance(value, dict):
            options[name] = construct(value, allowed, f"{what}.{name}", path, largest)
        elif not name.startswith("_"):
            options[name] = value
            for number in value if isinstance(value, list | tuple) else [value]:
                if isinstance(number, int | float) and not abs(number) <= largest:
                    raise UserError(f"{path}: its {what}.{name} is out of range: the largest number is {largest:,}")
    target = str(node.get("_target_"))
    factory = allowed(target)
    if factory is None:
        raise UserError(f"{path}: names {one_line(target)} as its {what}; {reason_to_refuse(one_line(target))}")
    try:
        return factory(**options)
    except Exception as error:  # options of the wrong type cause any kind of error
        raise UserError(f"{path}: its {what} cannot be built: {one_line(' '.join(str(error).split()))}") from error


def reason_to_refuse(target: str) -> str:
    """Return why a class is not built, and what to do if it is the user's own."""
    if code.is_own(target):
        return f"it is not a network or a source of {code.described()}"
    if target.partition(".")[0] in ("gan", "None", "") or "." not in target:
        return "only classes of gan itself are built"
    return f"only classes of gan itself are built; {code.advice(target)}"


def network_class(role: str, target: str) -> Any:
    """Return a class of gan.networks, or a network in the user's own code, that can have a role; otherwise None.

    A dotted name could lead to any object through the imports of a module. Therefore only classes defined in the module
    itself are returned, and only modules of gan.networks and of --code are imported.
    """
    if (own := code.own_class(target)) is not None:
        return own if issubclass(own, nn.Module) else None
    module, _, name = target.rpartition(".")
    return class_in(networks, module, name) if name in (role.capitalize(), "Bidirectional") else None


def data_class(target: str) -> Any:
    """Return a class of DATA, of the user's own code, or of gan.data.sources that reads no untrusted files, or None."""
    if (own := code.own_class(target)) is not None:
        return own
    module, _, name = target.rpartition(".")
    if target in DATA:
        return pkgutil.resolve_name(f"{module}:{name}")
    found = class_in(sources, module, name)
    return found if getattr(found, "trusted", False) is True else None


def class_in(package: Any, module: str, name: str) -> type | None:
    """Return the class of this name that a module directly in a package defines; None if there is none."""
    if module not in {f"{package.__name__}.{each.name}" for each in pkgutil.iter_modules(package.__path__)}:
        return None
    found = getattr(importlib.import_module(module), name, None)
    return found if isinstance(found, type) and found.__module__ == module else None
