"""OmegaConf resolvers: values in conf/ that depend on the machine or on other options. No torch at import."""

from __future__ import annotations

import functools
import importlib
import re
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, OmegaConf

from gan.common.errors import UserError, did_you_mean
from gan.common.nested import flatten
from gan.common.processes import DDP, started_externally
from gan.run import checkpoints, secrets


def by_device(cpu: Any, gpu: Any, *, _root_: DictConfig) -> Any:
    """Return the first value on a CPU, the second on a GPU."""
    return cpu if device_of(str(_root_.trainer.accelerator)) == "cpu" else gpu


def by_size(at_32: int, *, _root_: DictConfig) -> int:
    """Return number of channels on a CPU: `at_32` up to 32 pixels; above, divided by the square root of side / 32."""
    height, width = sides(_root_.data.size)
    return min(at_32, 8 * round(at_32 * (32 * 32 / (height * width)) ** 0.25 / 8))


def by_side(channels: int, max_channels: int, *, _root_: DictConfig) -> int:
    """Return number of channels at the full size: channels / side, at most `max_channels`, as in StyleGAN2-ADA."""
    height, width = sides(_root_.data.size)
    return min(max_channels, max(8, 8 * round(channels / max(height, width) / 8)))


def halvings(maximum: int, *, _root_: DictConfig) -> int:
    """Return how often both sides can be halved, at most `maximum`."""
    return min(maximum, *((side & -side).bit_length() - 1 for side in sides(_root_.data.size)))


_composing = ContextVar("_composing", default=False)


@contextmanager
def composing() -> Iterator[None]:
    """Leave values that depend on the device unresolved, because finding the device imports torch.

    OmegaConf resolves an interpolation that another file replaces, although the result is not used.
    """
    token = _composing.set(True)
    try:
        yield
    finally:
        _composing.reset(token)


def device_of(accelerator: str) -> str:
    """Return the device "cuda", "mps" or "cpu" of trainer.accelerator.

    Raises:
        UserError: the accelerator is unknown, or this machine does not have it.
    """
    if _composing.get():
        raise RuntimeError("not needed to compose")  # OmegaConf leaves the value unresolved
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    available = {"auto": True, "cpu": True, "cuda": cuda, "mps": mps, "gpu": cuda or mps}
    if accelerator not in available:
        raise UserError(f"trainer.accelerator={accelerator}: {did_you_mean(accelerator, available)}")
    if not available[accelerator]:
        raise UserError(
            f"trainer.accelerator={accelerator}: torch {torch.__version__} finds none on this machine; "
            "use trainer.accelerator=auto or trainer=cpu"
        )
    if accelerator in ("auto", "gpu"):
        return "cuda" if cuda else "mps" if mps else "cpu"
    return accelerator


def precision(accelerator: str) -> str:
    """Return the precision: bf16 if the hardware supports it, fp16 on older CUDA devices, otherwise fp32."""
    import torch

    device = device_of(accelerator)
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    native = device == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"


def cudnn_benchmark(deterministic: Any, *, _root_: DictConfig) -> bool | None:
    """Return True on CUDA, so that cuDNN measures its algorithms; None on other devices and with `deterministic`."""
    return True if device_of(str(_root_.trainer.accelerator)) == "cuda" and not deterministic else None


def several(devices: Any) -> bool:
    """Return whether trainer.devices means more than one device."""
    if devices in ("auto", "-1", -1):
        import torch

        return torch.cuda.device_count() > 1
    return len(devices) > 1 if OmegaConf.is_list(devices) else str(devices) != "1"


def unless(given: Any, otherwise: Any) -> Any:
    """Return `otherwise` if `given` is null, else null."""
    return otherwise if given is None else None


def shorter(images: int, run: Any) -> int:
    """Return the length of a published schedule in images, or the length of the run if it is known and shorter."""
    return images if run is None else min(images, run)


def gamma(size: Any, batch_size: int) -> float:
    """Return the weight of R1 by the rule of StyleGAN2-ADA: 0.0002 x height x width / batch size."""
    height, width = sides(size)
    return 0.0002 * height * width / batch_size


def classes(*, _root_: DictConfig) -> int:
    """Return the number of classes of the networks: that of data.labels, or 0 without labels."""
    return _classes_in(OmegaConf.to_yaml(_root_.data, resolve=True)) if _root_.data.get("labels") else 0


@functools.lru_cache(maxsize=8)
def _classes_in(data: str) -> int:
    """Return the number of classes of a data module, given as YAML. This reads the folder."""
    from hydra.utils import instantiate

    return len(instantiate(OmegaConf.create(data)).class_names())


def cubic(at_64: float, size: Any) -> float:
    """Return a weight that is `at_64` at 64 pixels and grows with the cube of the side, about as R3GAN's gammas do."""
    height, width = sides(size)
    return at_64 * (height * width) ** 1.5 / 64**3


RULES = {  # printed when a run uses them
    "gamma": "0.0002 x height x width / batch size, the rule of StyleGAN2-ADA",
    "cubic": "(side / 64)^3 x the value published for 64 pixels, a heuristic; try values from 1/4 to 4 times as large",
}


def describe_rules(cfg: DictConfig) -> list[str]:
    """Return a line for each value of an unresolved configuration that is computed by one of RULES."""
    found: dict[str, str] = {}
    for path, value in flatten(OmegaConf.to_container(cfg, resolve=False)).items():
        rule = re.match(r"\$\{(\w+):", value) if isinstance(value, str) else None
        if rule and rule[1] in RULES:
            found.setdefault(value, f"{path}={OmegaConf.select(cfg, path):.4g}: {RULES[rule[1]]}")
    return list(found.values())


def head_of_loss(*, _root_: DictConfig) -> str | None:
    """Return the discriminator head that the loss needs (`requires_head` of its class); None if it needs none."""
    module, _, name = str((_root_.get("loss") or {}).get("_target_") or "").rpartition(".")
    try:
        head: str | None = getattr(getattr(importlib.import_module(module), name), "requires_head", None)
    except Exception:  # raised by a custom module
        return None  # instantiating the loss raises the error again
    return head


def objective_for(data: str, *, _root_: DictConfig) -> str:
    """Return the score that selects the best checkpoint: CIEDE2000 with predictable ground truth, otherwise KID-Lite0.

    Unpaired data has no ground truth. With random grain, a correct translation differs from the ground truth.

    Args:
        data: name of the class of the data module.
    """
    kind = data.rpartition(".")[2]
    if kind == "StyledDataModule" and _root_.data.pairing == "paired":
        from gan.data.styles import registry

        style = _root_.data.style
        predictable = registry.predictable(style) == registry.filter_names(style)
    else:
        predictable = kind == "PairedDataModule"
    return "eval/ciede2000" if predictable else "eval/kid_x1000_lite0"


def strategy(devices: Any) -> str:
    """Return the strategy: on several devices DDP with a reducer for each network."""
    return DDP if several(devices) or started_externally() else "auto"


def sync_batchnorm(devices: Any, accelerator: str) -> bool:
    """Return whether to synchronize BatchNorm: True on several GPUs; torch cannot synchronize it on CPUs."""
    return (several(devices) or started_externally()) and device_of(accelerator) == "cuda"


def fused(precision: str, *, _root_: DictConfig) -> bool:
    """Return whether to use fused Adam.

    It is not used with fp16, where it unscales gradients only after they were checked, or on MPS, where it applies
    gradients that are not finite.
    """
    return precision != "16-mixed" and device_of(str(_root_.trainer.accelerator)) != "mps"


def sides(size: Any) -> list[int]:
    """Return [height, width] of data.size."""
    from gan.common.option_values import pair

    return list(pair(OmegaConf.to_container(size) if OmegaConf.is_config(size) else size))


def debug_suffix(choice: str | None) -> str:
    """Return the end of the name of a run folder with debug=CHOICE, such as _debug-fast; empty without."""
    return f"_debug-{choice}" if choice and choice != "null" else ""


def images_at(checkpoint: str | None) -> int | None:
    """Return the number of images seen at the checkpoint to resume from; None for a new run."""
    return checkpoints.images_of(Path(checkpoint)) if checkpoint else None


def register() -> None:
    """Register the resolvers with OmegaConf."""
    for resolver in (
        by_device, by_size, by_side, precision, cudnn_benchmark, strategy, sync_batchnorm, fused, halvings, sides,
        images_at, debug_suffix, unless, shorter, gamma, classes, head_of_loss, cubic, objective_for,
    ):  # fmt: skip
        OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)
    OmegaConf.register_new_resolver("oc.env", secrets.env, replace=True)
