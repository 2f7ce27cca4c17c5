"""Files with the structure of published weights, made from small networks of ours.

The names follow the authors' code, and are written here a second time, so that the tests compare two tables.
"""

import copyreg
import math
import pickle
import re
import sys
import types
from argparse import Namespace
from collections import OrderedDict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from gan.networks import r3gan, resnet_translator, stylegan2, unet

SIDE = 16
FILTER = torch.outer(torch.tensor([1.0, 3, 3, 1]), torch.tensor([1.0, 3, 3, 1])) / 64
Names = dict[str, Tensor]


def filled(network: nn.Module, seed: int = 0) -> Any:
    """Return the network with random numbers in all parameters and buffers."""
    numbers = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for value in [*network.parameters(), *network.buffers()]:
            value.copy_(torch.randn(value.shape, generator=numbers))
    return network.eval()


def styled(classes: int = 0, architecture: str = "resnet", center: bool = True) -> tuple[Any, Any]:
    """Return a generator and a discriminator with the authors' options."""
    size = (SIDE, SIDE)
    generator = stylegan2.Generator(size, width=4, latent_dim=8, max_channels=8, classes=classes, border="zeros",
                                    center=center)  # fmt: skip
    discriminator = stylegan2.Discriminator(size, width=4, max_channels=8, classes=classes, mapping_layers=2,
                                            architecture=architecture)  # fmt: skip
    return filled(generator), filled(discriminator, 1)


# ---- names of StyleGAN2-ADA


def replaced(name: str, rules: dict[str, str | Callable[[re.Match[str]], str]]) -> str:
    for pattern, by in rules.items():
        if re.match(pattern, name):
            return re.sub(f"^{pattern}", by, name)
    raise AssertionError(name)


LAYERS = {"modulated.convolution.weight": "weight", "modulated.style.weight": "affine.weight", "noise": "noise_const",
          "modulated.style.bias": "affine.bias", "noise_gain": "noise_strength", "bias": "bias"}  # fmt: skip
IMAGES = {"to_image.convolution.weight": "weight", "to_image.style.weight": "affine.weight", "image_bias": "bias",
          "to_image.style.bias": "affine.bias"}  # fmt: skip


def layer(found: re.Match[str]) -> str:
    stage, number, weight = int(found[1]), int(found[2]), found[3]
    return f"synthesis.b{4 * 2**stage}.conv{number if stage else 1}.{LAYERS[weight]}"


def ada_generator(network: nn.Module) -> Names:
    rules: dict[str, Any] = {
        r"mapping\.layers\.": "mapping.fc",
        r"mapping\.embedding": "mapping.embed",
        r"center": "mapping.w_avg",
        r"constant": "synthesis.b4.const",
        r"stages\.(\d)\.layers\.(\d)\.(.+)": layer,
        r"stages\.(\d)\.(.+)": lambda found: f"synthesis.b{4 * 2 ** int(found[1])}.torgb.{IMAGES[found[2]]}",
    }
    weights = {replaced(name, rules): value for name, value in network.state_dict().items()}
    return {name: value[0, 0] if name.endswith("noise_const") else value for name, value in weights.items()}


def ada_discriminator(network: nn.Module) -> Names:
    kinds = {"first": "conv0", "second": "conv1", "shortcut": "skip"}
    rules: dict[str, Any] = {
        r"mapping\.": "mapping.fc",
        r"embedding": "mapping.embed",
        r"from_image": f"b{SIDE}.fromrgb",
        r"blocks\.(\d)\.(\w+)": lambda found: f"b{SIDE // 2 ** int(found[1])}.{kinds[found[2]]}",
        r"last": "b4.conv",
        r"dense": "b4.fc",
        r"to_logit": "b4.out",
    }
    return {replaced(name, rules): value for name, value in network.state_dict().items()}


# ---- files of StyleGAN2-ADA


class Persistent:
    """Reduced as the authors' modules are, with source code that must not run."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        code = "raise SystemExit('the source code in a pickle has run')"
        meta = {"type": "class", "version": 6, "module_src": code, "class_name": "Network", "state": self.state}
        return sys.modules["torch_utils.persistence"]._reconstruct_persistent_obj, (meta,), None


@contextmanager
def made_up(*names: str, kind: Any = None) -> Iterator[None]:
    """Make dotted names importable in the context, so that pickle can write them: functions, or classes."""
    before = set(sys.modules)
    for name in names:
        module, _, last = name.rpartition(".")
        value = kind or (lambda meta: None)
        value.__module__, value.__qualname__, value.__name__ = module, last, last
        for end in range(1, module.count(".") + 2):
            part = ".".join(module.split(".")[:end])
            sys.modules.setdefault(part, types.ModuleType(part))
        setattr(sys.modules[module], last, value)
    yield
    for module in set(sys.modules) - before:
        del sys.modules[module]


def module_tree(weights: Names, attributes: dict[str, Any], wrap: Callable[[dict[str, Any]], Any]) -> Any:
    """Return nested modules with weights by dotted names; attributes are set on those that have a name."""
    own: OrderedDict[str, Any] = OrderedDict()
    inside: dict[str, Names] = {name.partition(".")[0]: {} for name in attributes if "." in name}
    for name, value in weights.items():
        first, _, rest = name.partition(".")
        if rest:
            inside.setdefault(first, {})[rest] = value
        else:
            own[name] = nn.Parameter(value)
    children = {}
    for name, part in inside.items():
        mine = {key.removeprefix(f"{name}."): value for key, value in attributes.items() if key.startswith(f"{name}.")}
        children[name] = module_tree(part, mine, wrap)
    plain = {name: value for name, value in attributes.items() if "." not in name}
    state = {
        "training": False,
        "_parameters": own,
        "_buffers": {"resample_filter": FILTER} if wrap is Persistent else {},
        "_modules": children,
    }
    return wrap(state | plain)


def write_ada(path: Path, generator: nn.Module, discriminator: nn.Module, **attributes: Any) -> Path:
    with made_up("torch_utils.persistence._reconstruct_persistent_obj"):
        of_g = {"mapping.fc0.bias_gain": 0.01, "synthesis.b4.conv1.activation": "lrelu"} | attributes
        tree = module_tree(ada_generator(generator), of_g, Persistent)
        of_d = module_tree(ada_discriminator(discriminator), {"b4.mbstd.group_size": 2}, Persistent)
        path.write_bytes(pickle.dumps({"training_set_kwargs": {}, "G": tree, "D": of_d, "G_ema": tree}))
    return path


# ---- files of TensorFlow and of rosinality


class Network:
    """Reduced as dnnlib.tflib.network.Network is."""

    def __init__(self, state: dict[str, Any]) -> None:
        self.state = state

    def __reduce__(self) -> Any:
        return copyreg.__newobj__, (type(self),), self.state


def tensorflow_name(name: str) -> str:
    weights = {"affine.weight": "mod_weight", "affine.bias": "mod_bias"}
    layers = {"conv0": "Conv0_up", "conv1": "Conv1", "torgb": "ToRGB"}
    if found := re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.noise_const", name):
        return f"synthesis/noise{2 * int(math.log2(int(found[1]))) - (5 if found[2] == 'conv0' else 4)}"
    if found := re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.(.+)", name):
        kind = "Conv" if found[1] == "4" and found[2] == "conv1" else layers[found[2]]
        return f"synthesis/{found[1]}x{found[1]}/{kind}/{weights.get(found[3], found[3])}"
    rules: dict[str, Any] = {
        r"synthesis.b4.const": "synthesis/4x4/Const/const",
        r"mapping\.w_avg": "dlatent_avg",
        r"mapping\.fc(\d)\.": r"mapping/Dense\1/",
        r"mapping\.embed\.": "mapping/LabelEmbed/",
    }
    return replaced(name, rules)


def tensorflow_name_of_d(name: str) -> str:
    kinds = {"conv0": "Conv0", "conv1": "Conv1_down", "skip": "Skip", "fromrgb": "FromRGB"}
    rules: dict[str, Any] = {
        r"b4\.conv\.": "4x4/Conv/",
        r"b4\.fc\.": "4x4/Dense0/",
        r"b4\.out\.": "Output/",
        r"b(\d+)\.(\w+)\.": lambda found: f"{found[1]}x{found[1]}/{kinds[found[2]]}/",
        r"mapping\.fc(\d)\.": r"Mapping\1/",
        r"mapping\.embed\.": "LabelEmbed/",
    }
    return replaced(name, rules)


def array(name: str, value: Tensor) -> Any:
    """Return a weight in TensorFlow's layout."""
    if name.endswith("mod_bias"):
        value = value - 1
    elif value.ndim == 4:
        value = value.permute(2, 3, 1, 0)
        value = value.flip(0, 1) if "Conv0_up" in name else value
    elif "/noise" in name and value.ndim == 2:
        value = value[None, None]
    elif value.ndim == 2:
        value = value.T
    elif name.endswith("Const/const"):
        value = value[None]
    return np.float32(value.item()) if value.ndim == 0 else np.ascontiguousarray(value.numpy())


def write_tensorflow(
    path: Path, generator: nn.Module, discriminator: nn.Module, version: int = 4, **options: Any
) -> Path:
    def network(weights: Names, rename: Callable[[str], str], prefixes: tuple[str, ...]) -> Network:
        arrays = {rename(name): array(rename(name), value) for name, value in weights.items()}
        state = {"version": version, "name": "x", "static_kwargs": options, "components": {}, "build_module_src": "x",
                 "variables": [("lod", np.float32(0))]}  # fmt: skip
        for prefix in prefixes:
            own = [(name.removeprefix(prefix), arrays.pop(name)) for name in [*arrays] if name.startswith(prefix)]
            state["components"][prefix.strip("/")] = Network({"version": 4, "components": {}, "variables": own})
        state["variables"] += [*arrays.items()]
        return Network(state)

    g = network(ada_generator(generator), tensorflow_name, ("mapping/", "synthesis/"))
    d = network(ada_discriminator(discriminator), tensorflow_name_of_d, ())
    with made_up("dnnlib.tflib.network.Network", kind=Network):
        path.write_bytes(pickle.dumps((g, d, g), protocol=4))
    return path


def rosinality(generator: nn.Module, discriminator: nn.Module) -> dict[str, Any]:
    """Return the content of a checkpoint."""
    weights = {
        "weight": "conv.weight",
        "affine.weight": "conv.modulation.weight",
        "affine.bias": "conv.modulation.bias",
        "noise_strength": "noise.weight",
        "bias": "activate.bias",
    }
    g_ema: Names = {"convs.0.conv.blur.kernel": FILTER * 4}
    for name, value in ada_generator(generator).items():
        found = re.fullmatch(r"synthesis\.b(\d+)\.(\w+)\.(.+)", name)
        if found is None:
            if name != "mapping.w_avg":
                key = re.sub(r"mapping\.fc(\d)", lambda found: f"style.{int(found[1]) + 1}", name)
                g_ema[key.replace("synthesis.b4.const", "input.input")] = value[None] if value.ndim == 3 else value
            continue
        doubling, kind, weight = int(math.log2(int(found[1]))) - 2, found[2], found[3]
        number = 2 * doubling + (0 if kind == "conv1" else -1)
        if weight == "noise_const":
            g_ema[f"noises.noise_{number}"] = value[None, None]
        elif kind == "torgb":
            place = f"to_rgbs.{doubling - 1}" if doubling else "to_rgb1"
            own = value.view(1, -1, 1, 1) if weight == "bias" else value[None] if value.ndim == 4 else value
            g_ema[f"{place}.{'bias' if weight == 'bias' else weights[weight]}"] = own
        else:
            place = f"convs.{number - 1}" if doubling else "conv1"
            g_ema[f"{place}.{weights[weight]}"] = (
                value[None] if value.ndim == 4 else value.reshape(-1, *value.shape[1:])
            )
    d: Names = {}
    for name, value in ada_discriminator(discriminator).items():
        if found := re.fullmatch(r"b(\d+)\.(conv0|conv1|skip|fromrgb)\.(\w+)", name):
            block = int(math.log2(SIDE // int(found[1]))) + 1
            first = {"conv0": 0, "conv1": 1, "skip": 1, "fromrgb": 0}[found[2]]
            place = {"conv0": f"{block}.conv1.", "conv1": f"{block}.conv2.", "skip": f"{block}.skip.", "fromrgb": "0."}
            d[f"convs.{place[found[2]]}{first + (found[3] == 'bias')}.{found[3]}"] = value
        else:
            place = {"b4.conv.weight": "final_conv.0.weight", "b4.conv.bias": "final_conv.1.bias"}
            other = name.replace("b4.fc", "final_linear.0").replace("b4.out", "final_linear.1")
            d[place.get(name, other)] = value
    content = {"g": {}, "d": d, "g_ema": g_ema, "args": Namespace(size=SIDE), "ada_aug_p": 0.0}
    return content | {"latent_avg": generator.center.detach().clone()} if hasattr(generator, "center") else content


# ---- R3GAN


def write_r3gan(path: Path, generator: nn.Module, discriminator: nn.Module) -> Path:
    parts = {
        "expand.weight": "LinearLayer1.Layer.weight",
        "expand.bias": "NonLinearity1.Bias",
        "mix.weight": "LinearLayer2.Layer.weight",
        "mix.bias": "NonLinearity2.Bias",
        "project.weight": "LinearLayer3.Layer.weight",
    }
    stages = len(generator.stages)
    blocks = len(generator.stages[0])
    start, trees = "Model.MainLayers", []
    last = f"{start}.{stages - 1}.Layers.{blocks}"
    fixed = [
        {"basis": f"{start}.0.Layers.0.Basis", "modulate.weight": f"{start}.0.Layers.0.LinearLayer.weight",
         "to_image.weight": "Model.AggregationLayer.Layer.weight"},
        {"from_image.weight": "Model.ExtractionLayer.Layer.weight", "pool.weight": f"{last}.Basis.weight",
         "to_logit.weight": f"{last}.LinearLayer.weight"},
    ]  # fmt: skip
    for network, of_d in ((generator, 0), (discriminator, 1)):
        weights: Names = {}
        for name, value in network.state_dict().items():
            if found := re.fullmatch(r"stages\.(\d)\.(\d)\.(.+)", name):
                stage, number = int(found[1]), int(found[2])
                block = number - (stage > 0)
                if found[3] == "convolution.weight":
                    place = f"{start}.{stage - 1}.Layers.{blocks}" if of_d else f"{start}.{stage}.Layers.0"
                    weights[f"{place}.LinearLayer.Layer.weight"] = value
                else:
                    weights[f"{start}.{stage}.Layers.{block + (not of_d)}.{parts[found[3]]}"] = value
            elif name == "embedding.weight":
                weights["Model.EmbeddingLayer.weight"] = value.T.contiguous()
            else:
                weights[fixed[of_d][name]] = value
        trees.append(module_tree(weights, {}, Network))
    with made_up("training.networks.Generator", kind=Network):
        path.write_bytes(pickle.dumps({"G": trees[0], "D": trees[1], "G_ema": trees[0], "cur_nimg": 1000,
                                       "G_opt_state": {"state": {0: {"step": torch.tensor(1.0)}}}}))  # fmt: skip
    return path


def r3gans(classes: int = 0) -> tuple[Any, Any]:
    options: Any = {"width": 16, "blocks_per_stage": 1, "group_width": 8, "classes": classes, "full_stages": 2}
    generator = r3gan.Generator((SIDE, SIDE), latent_dim=8, border="zeros", **options)
    return filled(generator), filled(r3gan.Discriminator((SIDE, SIDE), **options), 1)


# ---- translators


def resnet(network: resnet_translator.Generator, dropout: bool = False) -> Names:
    """Return the state dict of the authors' residual generator."""
    antialias = isinstance(network.down[0].downsample, resnet_translator.Downsample)
    blocks, step = len(network.blocks), 4 if antialias else 3
    first = 4 + 2 * step
    ups = [first + blocks + int(antialias), first + blocks + int(antialias) + step]
    places: dict[str, str] = {"stem.0": "1", "stem.1": "2", "to_image": str(first + blocks + 2 * step + 1)}
    for n in (0, 1):
        places |= {f"down.{n}.convolution": f"{4 + n * step}", f"down.{n}.norm": f"{5 + n * step}"}
        places |= {f"up.{n}.convolution": f"{ups[n]}", f"up.{n}.norm": f"{ups[n] + 1}"}
    for n in range(blocks):
        for ours, theirs in {0: 1, 1: 2, 3: 5 + dropout, 4: 6 + dropout}.items():
            places[f"blocks.{n}.layers.{ours}"] = f"{first + n}.conv_block.{theirs}"
    batch = isinstance(network.stem[1], nn.BatchNorm2d)
    weights: Names = {}
    for name, value in network.state_dict().items():
        module, _, kind = name.rpartition(".")
        is_convolution = module != "to_image" and network.state_dict()[f"{module}.weight"].ndim == 4
        if not (batch and kind == "bias" and is_convolution):
            weights[f"model.{places[module]}.{kind}"] = value
    if antialias:
        weights |= {f"model.{7 + n * step}.filt": torch.ones(4, 1, 3, 3) for n in (0, 1)}
        weights |= {f"model.{ups[n] - 1}.filt": torch.ones(4, 1, 4, 4) for n in (0, 1)}
    return weights


def u_net(network: unet.Generator) -> Names:
    """Return the state dict of the authors' U-Net."""
    depth = len(network.down)
    places = {"down.0.convolution": "model.model.0", "to_image": "model.model.3"}
    start = "model.model"
    for n in range(1, depth):
        start = f"{start}.{1 if n == 1 else 3}.model"
        innermost = n == depth - 1
        places |= {f"down.{n}.convolution": f"{start}.1", f"down.{n}.norm": f"{start}.2"}
        up = f"up.{depth - 1 - n}"
        places |= {
            f"{up}.convolution": f"{start}.{3 if innermost else 5}",
            f"{up}.norm": f"{start}.{4 if innermost else 6}",
        }
    parts = {name: name.rpartition(".") for name in network.state_dict()}
    weights = {f"{places[parts[name][0]]}.{parts[name][2]}": value for name, value in network.state_dict().items()}
    return weights | {f"{start}.2.running_mean": torch.zeros(8)}
