"""Start a new model from the weights of another one. One rule: weights of equal names keep what their shapes share.

Size, channels and width may differ. What the other model does not have stays as initialized. At another size, the
layers of both networks are counted from the smallest grid, and weights of another grid are interpolated. With other
classes, or none, both networks start from the mean of the classes.
"""

from __future__ import annotations

import inspect
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor, nn
from torch.nn.functional import interpolate

from gan import kinds, settings
from gan.config.init_from import LEFT
from gan.models.address import checkpoint_of, with_addresses
from gan.models.loading import EMA, licenses_of, load_state, network_weights
from gan.networks.layers import with_mean_class
from gan.runs.checkpoint_file import LICENSES
from gan.training.base import NETWORKS, Base, is_in, layers
from gan.utils.errors import UserError
from gan.utils.option_values import flatten
from gan.utils.output import one_line, print_line

# Prefixes of the weights of each network. A shared model has only the EMA generator.
PREFIXES = {"generator": ("generator.", EMA), "discriminator": ("discriminator.",)}
NUMBERED = re.compile(r"(blocks|stages|excitations)\.(\d+)\.(.+)")  # layers of discriminators, from the image on
BACKBONE = "model.discriminator.backbone"


@dataclass
class Copied:
    """The state of a network with weights of another one, and what became of its parameters."""

    state: dict[str, Tensor]
    numbers: int = 0  # how many numbers of the parameters are those of the other network
    resized: list[str] = field(default_factory=list)  # names of parameters that were cut or extended
    new: list[str] = field(default_factory=list)


def copy_weights(network: nn.Module, weights: Mapping[str, Tensor]) -> Copied:
    """Return the state of a network in which weights of equal names have the common slice of their shapes."""
    copied = Copied(dict(network.state_dict()))
    parameters = dict(network.named_parameters())
    for name, value in network.state_dict().items():
        other = weights.get(name)
        shared = other is not None and other.ndim == value.ndim
        if other is not None and shared:
            resampled = on_grid(other, value)
            common = tuple(slice(min(a, b)) for a, b in zip(resampled.shape, value.shape, strict=True))
            copied.state[name] = value.clone()
            copied.state[name][common] = resampled[common].to(value)
        if name in parameters:  # buffers are not counted
            if other is None or other.shape != value.shape:
                (copied.resized if shared else copied.new).append(name)
            copied.numbers += value[common].numel() if shared else 0
    return copied


def on_grid(weight: Tensor, like: Tensor) -> Tensor:
    """Return a weight (..., h, w), which is one of the smallest grid if h and w differ, on the grid of another one."""
    if weight.ndim < 3 or weight.shape[-2:] == like.shape[-2:]:
        return weight
    planes = weight.flatten(0, -3)[None].float()
    return interpolate(planes, like.shape[-2:], mode="bilinear")[0].unflatten(0, weight.shape[:-2])


def counted_from_the_last(weights: Mapping[str, Tensor], discriminator: nn.Module) -> dict[str, Tensor]:
    """Return the weights of another discriminator with the numbers that the layers of equal grids have in this one.

    The numbers count from the image, so at another size they belong to other grids. Without `from_image`, the first
    block is the layer that sees the image, and remains the first.
    """
    names = {name: NUMBERED.fullmatch(name) for name in weights}
    theirs = {int(match[2]) for match in names.values() if match and match[1] != "excitations"}
    blocks: Any = getattr(discriminator, "blocks", None) or getattr(discriminator, "stages", ())
    shift = len(blocks) - len(theirs)
    first = 0 if hasattr(discriminator, "from_image") else 1
    result = {}
    for name, match in names.items():
        if match is None or not shift:
            result[name] = weights[name]
            continue
        before, rest = int(match[2]), match[3]
        after = before + shift if before >= first else before
        if match[1] == "stages":  # of R3GAN; all but the first begin with a transition
            position, rest = rest.split(".", 1)
            rest = f"{int(position) + (before == 0) - (after == 0)}.{rest}"
        if after >= min(before, first):
            result[f"{match[1]}.{after}.{rest}"] = weights[name]
    return result


def start_from(model: Base, source: Path) -> None:
    """Give a new model the weights of a run (its best checkpoint), checkpoint or shared model; print what was kept."""
    shown = f"init_from={with_addresses(str(source))}"
    print_line(f"{shown}: starts from this model (from scratch: init_from=null)")
    other = load_state(checkpoint_of(source))
    model.config[LICENSES] = licenses = licenses_of(other["config"])
    for name, license in licenses.items():
        if settings.LICENSES.get(license) == settings.CREDIT:
            print_line(f"{one_line(name)}: its weights are under {license}; if you share this model, its card names it")
        elif settings.LICENSES.get(license) != settings.FREE:
            print_line(f"{one_line(name)}: its weights are under {license}; share this model under it only")
    options, theirs = flatten(model.config), flatten(other["config"])
    for role in NETWORKS:
        network = getattr(model, role)
        if theirs.get(BACKBONE) != options.get(BACKBONE) and hasattr(network, "load_pretrained"):
            network.load_pretrained()  # the other model does not have these weights
        weights = with_mean_class(network_weights(other["state_dict"], *PREFIXES[role]), network)
        kind = f"model.{role}._target_"
        if not weights or theirs.get(kind) != options.get(kind):
            if role == "generator":
                raise UserError(f"{shown}: its generator has another class; set its model=, or init_from=null")
            if model.frozen.get(role):
                raise UserError(f"freeze.{role}: {shown} has no such {role}; set freeze.{role}=0")
            print_line(f"{shown}: has no such {role}; training starts with an untrained one")
            continue
        check_layers(network, role, options, theirs, shown)
        if role == "discriminator":
            weights = counted_from_the_last(weights, network)
        copied = copy_weights(network, weights)
        check_copied(model, role, copied, shown)
        network.load_state_dict(copied.state)
        before, now = (config.get(f"model.{role}.classes") for config in (theirs, options))
        mean = f"; from the mean of {before} classes" if before and before != now else ""
        print_line(f"{role}: {describe_copied(network, copied)}{mean}")
        if model.frozen.get(role):
            print_line(f"freeze.{role}: {', '.join(model.frozen[role])}")
    averaged = with_mean_class(network_weights(other["state_dict"], EMA, "generator."), model.generator)
    model.ema.module.load_state_dict(copy_weights(model.generator, averaged).state)


def check_layers(
    network: nn.Module, role: str, options: Mapping[str, Any], theirs: Mapping[str, Any], shown: str
) -> None:
    """Raise UserError if an option such as upsampling gives layers of equal names another meaning."""
    for option, parameter in inspect.signature(type(network)).parameters.items():
        name = f"model.{role}.{option}"
        value, ours = theirs.get(name), options.get(name, parameter.default)
        if isinstance(value, str) and ours != value and not name.endswith(LEFT):
            raise UserError(f"{name}={ours}: {shown} has {value}; set {name}={value}, or init_from=null")


def check_copied(model: Base, role: str, copied: Copied, shown: str) -> None:
    """Raise UserError if a network cannot start from the weights that were copied."""
    is_translator = kinds.of_network(model.generator) is kinds.TRANSLATOR
    if is_translator and (copied.resized or copied.new):  # a translation has no new parts
        name = (copied.resized + copied.new)[0]
        raise UserError(f"{shown}: belongs to another model; {role}.{name} does not fit")
    for layer in model.frozen.get(role, ()):
        if any(is_in(name, layer) for name in copied.new):
            raise UserError(f"freeze.{role}: {layer} is new and must be trained; give a smaller number")


def describe_copied(network: nn.Module, copied: Copied) -> str:
    """Return how many parameters were kept, and which layers were resized or are new."""
    total = sum(parameter.numel() for parameter in network.parameters())
    parts = [f"{copied.numbers:,} of {total:,} parameters kept"]
    for title, names in (("cut or extended", copied.resized), ("new", copied.new)):
        touched: Sequence[str] = [layer for layer in layers(network) if any(is_in(name, layer) for name in names)]
        if touched:
            parts.append(f"{title}: {', '.join(touched)}")
    return "; ".join(parts)
