"""Compose the configuration from conf/, with the resolvers that conf/train.yaml describes. No torch at import."""

from __future__ import annotations

import functools
import importlib.util
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, ListConfig, OmegaConf, open_dict
from omegaconf.errors import InterpolationResolutionError

from gan import kinds
from gan.config import secrets
from gan.config.paths import CONF, group_names, own
from gan.runs import checkpoints
from gan.utils.errors import UserError, at_least, choice, install
from gan.utils.option_values import flatten, pair, quote, without_home
from gan.utils.processes import DDP, num_external_ranks

ONE = ("model", "data", "trainer", "loss", "augment", "schedule", "stop")  # groups with one part, not a list of them
# Options of the Trainer that `fit` sets, or that would end a run beside `images` and `minutes` -> their values.
SET_BY_RUN = {"max_epochs": -1, "limit_val_batches": 0} | dict.fromkeys(
    ("max_steps", "max_time", "limit_train_batches", "enable_checkpointing")
)
_composing = ContextVar("_composing", default=False)
DERIVED: dict[str, Callable[..., Any]] = {}  # functions of the configuration, by the NAME in ${derived:NAME}


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


def compose(overrides: list[str]) -> DictConfig:
    """Return the configuration that Hydra composes from these overrides, including Hydra's own part.

    It reads conf/ and the folder that --config-dir names.

    Raises:
        HydraException: an unknown option, group or value.
    """
    GlobalHydra.instance().clear()
    searched = [f"hydra.searchpath=[{quote(f'file://{folder}')}]" for folder in own()]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"), composing():
        return hydra.compose("train", [*searched, *overrides], return_hydra_config=True)


def options(groups: list[str]) -> dict[str, Any]:
    """Return all options of the configuration with these choices of groups: {dotted key: unresolved value}."""
    return unresolved(compose(groups))


def unresolved(cfg: DictConfig) -> dict[str, Any]:
    return flatten(OmegaConf.to_container(cfg, resolve=False))


def literals(cfg: DictConfig) -> dict[str, Any]:
    """Return the options whose values do not depend on the machine or on other options: {dotted key: value}."""
    values = unresolved(cfg).items()
    return {key: value for key, value in values if not key.startswith("hydra.") and "${" not in str(value)}


def to_plain(cfg: DictConfig) -> dict[str, Any]:
    """Return a configuration without Hydra's part, as resolved plain containers to store.

    The home folder is ~, and there are no secrets.
    """
    stored = cfg.copy()
    with open_dict(stored):
        stored.pop("hydra", None)
    return {key: without_home(value) for key, value in secrets.to_plain(stored).items()}


def check_options(cfg: DictConfig) -> None:
    """Raise UserError if an option of train.yaml is out of range. The default of `images` is not computed."""
    for group in ONE:  # Hydra leaves a group that is set to a list out of its choices
        if "hydra" in cfg and group not in cfg.hydra.runtime.choices:
            raise UserError(f"{group}: give one name, not a list; choose from {', '.join(group_names(group))}")
    if not OmegaConf.is_interpolation(cfg, "images"):
        if cfg.images is None and cfg.minutes is None:
            raise UserError("images and minutes are both null; set one of them to limit the run")
        if cfg.images is not None:
            at_least("images", cfg.images, 1)
    if cfg.minutes is not None and not (isinstance(cfg.minutes, int | float) and 0 < cfg.minutes < math.inf):
        raise UserError(f"minutes={cfg.minutes}: must be a number greater than 0")
    at_least("seed", cfg.seed, 0)
    check_packages(cfg.logger)
    for name, value in SET_BY_RUN.items():
        if cfg.trainer.get(name, value) != value:
            raise UserError(f"trainer.{name}: the run sets it itself; set the length with images=N or minutes=N")


def check_packages(loggers: DictConfig) -> None:
    """Raise UserError if the package of a logger is not installed: each function of `loggers.services` has its name."""
    for name in map(str, loggers):
        module, _, package = str(loggers[name].get("_target_", "")).rpartition(".")
        if module == "gan.training.loggers.services" and importlib.util.find_spec(package) is None:
            raise UserError(f"logger={name}: {package} is not installed; {install(package)}")


def recipe_rates(choices: Mapping[str, Any], device: object) -> dict[str, float]:
    """Return the learning rates of the recipe of a run by dotted names.

    Args:
        choices: what was typed, by option.
        device: "cpu", "cuda" or "mps", on which recipes have other rates.

    Nothing is returned if this program does not have the recipe, or this machine not the device.
    """
    chosen = {group: str(choices[group]) for group in ("model", "experiment") if group in choices}
    if device not in ("cpu", "cuda", "mps") or any(name not in group_names(group) for group, name in chosen.items()):
        return {}
    model = compose([*(f"{group}={name}" for group, name in chosen.items()), f"trainer.accelerator={device}"]).model
    names = (f"{network}_optimizer" for network in ("generator", "discriminator"))
    try:
        return {f"model.{name}.lr": model[name].lr for name in names}
    except InterpolationResolutionError:
        return {}


# ---- the device


def device_of(accelerator: str) -> str:
    """Return the device "cuda", "mps" or "cpu" of trainer.accelerator; raise UserError if this machine has none."""
    if _composing.get():
        raise RuntimeError("not needed to compose")  # OmegaConf leaves the value unresolved
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    available = {"auto": True, "cpu": True, "cuda": cuda, "mps": mps, "gpu": cuda or mps}
    choice("trainer.accelerator", accelerator, available)
    if not available[accelerator]:
        found = f"torch {torch.__version__} finds none on this machine"
        raise UserError(f"trainer.accelerator={accelerator}: {found}; use trainer.accelerator=auto or trainer=cpu")
    if accelerator in ("auto", "gpu"):
        return "cuda" if cuda else "mps" if mps else "cpu"
    return accelerator


def device(cfg: DictConfig) -> str:
    return device_of(str(cfg.trainer.accelerator))


def by_device(cpu: Any, gpu: Any, *, _root_: DictConfig) -> Any:
    return cpu if device(_root_) == "cpu" else gpu


def width(cpu: int, gpu: int, *, _root_: DictConfig) -> int:
    """Return a number of channels: `gpu` on a GPU; on a CPU `cpu`, above 32 pixels divided by sqrt(side / 32)."""
    if device(_root_) != "cpu":
        return gpu
    height, width = sides(_root_.data.size)
    return min(cpu, 8 * round(cpu * (32 * 32 / (height * width)) ** 0.25 / 8))


def length(cpu: int, gpu: int, *, _root_: DictConfig) -> int | None:
    return by_device(cpu, gpu, _root_=_root_) if _root_.minutes is None else None


def several_devices(cfg: DictConfig) -> bool:
    """Return whether a run has several devices: of this process, or of processes that torchrun or SLURM started."""
    devices = cfg.trainer.devices
    if num_external_ranks() > 1:
        return True
    if devices in ("auto", "-1", -1):
        import torch

        return torch.cuda.device_count() > 1
    return len(devices) > 1 if OmegaConf.is_list(devices) else str(devices) != "1"


# ---- numbers


def at_most(limit: int, value: Any) -> int:
    return limit if value is None else min(limit, value)


def sides(size: object) -> ListConfig:
    return OmegaConf.create(list(pair(OmegaConf.to_container(size) if OmegaConf.is_config(size) else size)))


# ---- ${derived:NAME}


def derived(name: str, *values: object, _root_: DictConfig) -> Any:
    return DERIVED[name](_root_, *values)


def by_name(function: Callable[..., Any]) -> Callable[..., Any]:
    DERIVED[function.__name__] = function
    return function


@by_name
def precision(cfg: DictConfig) -> str:
    """Return the precision: bf16 if the hardware supports it, fp16 on older CUDA devices, otherwise fp32."""
    import torch

    kind = device(cfg)
    if kind == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    known = hasattr(torch.cpu, "get_capabilities")  # torch 2.10 does not have it
    native = known and kind == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"


@by_name
def strategy(cfg: DictConfig) -> str:
    return DDP if several_devices(cfg) else "auto"


@by_name
def sync_batchnorm(cfg: DictConfig) -> bool:
    """Return whether to synchronize BatchNorm: True on several GPUs; torch cannot synchronize it on CPUs."""
    return several_devices(cfg) and device(cfg) == "cuda"


@by_name
def cudnn_benchmark(cfg: DictConfig) -> bool | None:
    """Return True on CUDA, so that cuDNN measures its algorithms; None on other devices and if deterministic."""
    return True if device(cfg) == "cuda" and not cfg.trainer.deterministic else None


@by_name
def fused_adam(cfg: DictConfig) -> bool:
    """Return whether to use fused Adam.

    It is not used with fp16, where it unscales gradients only after they were checked, or on MPS, where it applies
    gradients that are not finite.
    """
    return cfg.trainer.precision != "16-mixed" and device(cfg) != "mps"


@by_name
def stylegan2_width(cfg: DictConfig) -> int:
    """Return the number of channels at the full size of StyleGAN2-ADA's networks: 16384 / side, at most 512."""
    return min(512, max(8, 8 * round(16384 / max(sides(cfg.data.size)) / 8)))


@by_name
def unet_depth(cfg: DictConfig) -> int:
    """Return how often both sides can be halved, at most 8."""
    return min(8, *((side & -side).bit_length() - 1 for side in sides(cfg.data.size)))


@by_name
def classes(cfg: DictConfig) -> int:
    """Return the number of classes of the networks: that of data.labels, or 0 without labels."""
    return _classes_in(OmegaConf.to_yaml(cfg.data, resolve=True)) if cfg.data.get("labels") else 0


@functools.lru_cache(maxsize=8)
def _classes_in(data: str) -> int:
    from hydra.utils import instantiate

    return len(instantiate(OmegaConf.create(data)).class_names())


@by_name
def retro_labels(cfg: DictConfig) -> bool | None:
    """Return whether data=retro has labels: True for the built-in images, None for a folder in their place."""
    return True if cfg.data.root is None else None


@by_name
def gamma(cfg: DictConfig) -> float:
    """Return the weight of R1 by the rule of StyleGAN2-ADA: 0.0002 x height x width / batch size."""
    height, width = sides(cfg.data.size)
    return 0.0002 * height * width / at_least("data.batch_size", cfg.data.batch_size, 1)


@by_name
def r3gan_gamma(cfg: DictConfig, at_64: float) -> float:
    """Return a weight that is `at_64` at 64 pixels and grows with the cube of the side, about as R3GAN's gammas do."""
    height, width = sides(cfg.data.size)
    return at_64 * (height * width) ** 1.5 / 64**3


@by_name
def objective(cfg: DictConfig) -> str:
    """Return the score that selects the best checkpoint: CIEDE2000 with predictable ground truth, otherwise KID-Lite0.

    Unpaired data has no ground truth. With random grain, a correct translation differs from the ground truth.
    """
    kind = str(cfg.data._target_).rpartition(".")[2]
    if kind == "StyledDataModule" and cfg.data.pairing == "paired":
        from gan.looks import registry

        style = cfg.data.style
        predictable = registry.predictable(style) == registry.filter_names(style)
    else:
        predictable = kind == "PairedDataModule"
    return "eval/ciede2000" if predictable else "eval/kid_x1000_lite0"


@by_name
def kind(cfg: DictConfig) -> str:
    return kinds.of_class(str(cfg.model.get("_target_"))).name


@by_name
def with_start(cfg: DictConfig, value: int) -> int:
    """Return a number of layers that a start for RGB has; 0 for other channels, and from scratch (init_from=null)."""
    return value if cfg.init_from and cfg.data.channels == 3 else 0


@by_name
def by_length(cfg: DictConfig, cpu: int, gpu: int) -> int:
    """Return a number of images as by_device; in a short run in proportion to its length, but at least an eighth.

    A run of 10 minutes counts as long: its number of images is not known, and equal runs shall have equal values.
    """
    long = by_device(100_000, 1_000_000, _root_=cfg)
    fraction = min((cfg.images or math.inf) / long, (cfg.minutes or math.inf) / 10)
    return round(by_device(cpu, gpu, _root_=cfg) * min(1, max(1 / 8, fraction)))


@by_name
def resumed_at(cfg: DictConfig) -> int | None:
    return checkpoints.images_of(Path(cfg.resume)) if cfg.resume else None


for _resolver in (by_device, width, length, at_most, sides, derived):
    OmegaConf.register_new_resolver(_resolver.__name__, _resolver, replace=True)
