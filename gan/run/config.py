"""What stands around Hydra: resolvers, composing, one process a sweep's job. No torch at import."""

from __future__ import annotations

import functools
import importlib
import os
import re
import sys
from pathlib import Path
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf, read_write

from gan.common.errors import UserError, did_you_mean
from gan.run import run_folder

CONF = Path(__file__).resolve().parents[2] / "conf"


# ---- resolvers: the values that depend on the machine or on other values


def by_device(cpu: Any, gpu: Any, *, _root_: DictConfig) -> Any:
    """The first value on a CPU, the second on a GPU: what was measured to be good on each."""
    return cpu if device_of(str(_root_.trainer.accelerator)) == "cpu" else gpu


def by_size(at_32: int, *, _root_: DictConfig) -> int:
    """Channels for a CPU: as given up to 32 pixels; above, fewer by the root of the side."""
    height, width = sides(_root_.data.size)
    return min(at_32, 8 * round(at_32 * (32 * 32 / (height * width)) ** 0.25 / 8))


def by_side(channels: int, most: int, *, _root_: DictConfig) -> int:
    """Channels at the full size, fewer the larger it is: channels / side, at most `most`, as in StyleGAN2-ADA."""
    height, width = sides(_root_.data.size)
    return min(most, max(8, 8 * round(channels / max(height, width) / 8)))


def halvings(most: int, *, _root_: DictConfig) -> int:
    """How often both sides can be halved, at most that often."""
    return min(most, *((side & -side).bit_length() - 1 for side in sides(_root_.data.size)))


def device_of(accelerator: str) -> str:
    """ "cuda", "mps" or "cpu" for trainer.accelerator.

    Raises:
        UserError: unknown, or this machine does not have it.
    """
    import torch

    cuda, mps = torch.cuda.is_available(), torch.backends.mps.is_available()
    there = {"auto": True, "cpu": True, "cuda": cuda, "mps": mps, "gpu": cuda or mps}
    if accelerator not in there:
        raise UserError(f"trainer.accelerator={accelerator}: {did_you_mean(accelerator, there)}")
    if not there[accelerator]:
        raise UserError(
            f"trainer.accelerator={accelerator}: there is none here that torch {torch.__version__} can use; "
            "take trainer.accelerator=auto"
        )
    if accelerator in ("auto", "gpu"):
        return "cuda" if cuda else "mps" if mps else "cpu"
    return accelerator


def precision(accelerator: str) -> str:
    """bf16 where the hardware has it, fp16 with a scaler on older CUDA, else fp32."""
    import torch

    device = device_of(accelerator)
    if device == "cuda":
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "16-mixed"
    native = device == "cpu" and torch.cpu.get_capabilities().get("avx512_bf16", False)
    return "bf16-mixed" if native else "32-true"


def several(devices: Any) -> bool:
    if devices in ("auto", "-1", -1):
        import torch

        return torch.cuda.device_count() > 1
    return len(devices) > 1 if OmegaConf.is_list(devices) else str(devices) != "1"


def unless(given: Any, otherwise: Any) -> Any:
    """`otherwise`, or null where something else is given."""
    return otherwise if given is None else None


def shorter(images: int, run: Any) -> int:
    """The length of a published schedule, or of the run where that is shorter and known."""
    return images if run is None else min(images, run)


def gamma(size: Any, batch_size: int) -> float:
    """R1's weight by StyleGAN2-ADA's rule: .0002 x height x width / batch."""
    height, width = sides(size)
    return 0.0002 * height * width / batch_size


def classes(*, _root_: DictConfig) -> int:
    """How many classes the networks are told of: those of data.labels, 0 without."""
    return _classes_in(OmegaConf.to_yaml(_root_.data, resolve=True)) if _root_.data.get("labels") else 0


@functools.lru_cache(maxsize=8)
def _classes_in(data: str) -> int:
    """Of a data module, given as YAML: it looks through the folder."""
    from hydra.utils import instantiate

    return len(instantiate(OmegaConf.create(data)).class_names())


def cubic(at_64: float, size: Any) -> float:
    """A weight that grows as the cube of the side, from what it is at 64 pixels: near R3GAN's published gammas."""
    height, width = sides(size)
    return at_64 * (height * width) ** 1.5 / 64**3


RULES = {  # what the papers leave to a table, said where it is used
    "gamma": ".0002 x height x width / batch, StyleGAN2-ADA's rule",
    "cubic": "(side / 64)^3 x the value published for 64 pixels, a heuristic: try a quarter to four times as much",
}


def rules(cfg: DictConfig) -> list[str]:
    """Lines about the values in a configuration that follow a rule."""
    found: dict[str, str] = {}
    for path, value in run_folder.flatten(OmegaConf.to_container(cfg, resolve=False)).items():
        rule = re.match(r"\$\{(\w+):", value) if isinstance(value, str) else None
        if rule and rule[1] in RULES:
            found.setdefault(value, f"{path}={OmegaConf.select(cfg, path):.4g}: {RULES[rule[1]]}")
    return list(found.values())


def head_of_loss(*, _root_: DictConfig) -> str | None:
    """The discriminator's head that the loss needs, its class's `requires_head`; None if it needs none."""
    module, _, name = str((_root_.get("loss") or {}).get("_target_") or "").rpartition(".")
    try:
        head: str | None = getattr(getattr(importlib.import_module(module), name), "requires_head", None)
    except Exception:  # of the user's own module
        return None  # instantiating the loss raises it again
    return head


def objective_for(data: str, *, _root_: DictConfig) -> str:
    """What decides which checkpoint is best, by the class of the data: the truth where it is learned from, else
    likeness, for who has no pairs cannot choose by them, and grain that is right is not where the truth has it."""
    kind = data.rpartition(".")[2]
    if kind == "StyledDataModule" and _root_.data.pairing == "paired":
        from gan.data import styles

        needs_real_logits = styles.STOCHASTIC.isdisjoint(styles.filter_names(_root_.data.style))
    else:
        needs_real_logits = kind == "PairedDataModule"
    return "eval/ciede2000" if needs_real_logits else "eval/kid_lite0"


def strategy(devices: Any) -> str:
    """DDP must look for unused parameters: each phase uses one of two networks (Lightning #20328)."""
    return "ddp_find_unused_parameters_true" if several(devices) or externally() else "auto"


def externally() -> bool:
    """Whether torchrun or SLURM has started several processes, maybe of one device each."""
    return int(os.environ.get("WORLD_SIZE", 1)) > 1 or int(os.environ.get("SLURM_NTASKS", 1)) > 1


def sync_batchnorm(devices: Any, accelerator: str) -> bool:
    """On several GPUs; torch has no synchronised BatchNorm on the CPU."""
    return (several(devices) or externally()) and device_of(accelerator) == "cuda"


def fused(precision: str, *, _root_: DictConfig) -> bool:
    """Not under fp16: fused Adam unscales gradients inside its step, after everyone else has looked at them; nor on
    Apple's GPUs, where it moves weights by gradients that are not finite whatever it is told."""
    return precision != "16-mixed" and device_of(str(_root_.trainer.accelerator)) != "mps"


def sides(size: Any) -> list[int]:
    from gan.common.size import pair

    return list(pair(OmegaConf.to_container(size) if OmegaConf.is_config(size) else size))


def images_at(checkpoint: str | None) -> int | None:
    """Images seen at the checkpoint to go on from, None for a new run."""
    return run_folder.images_of(Path(checkpoint)) if checkpoint else None


for resolver in (
    by_device,
    by_size,
    by_side,
    precision,
    strategy,
    sync_batchnorm,
    fused,
    halvings,
    sides,
    images_at,
    unless,
    shorter,
    gamma,
    classes,
    head_of_loss,
    cubic,
    objective_for,
):
    OmegaConf.register_new_resolver(resolver.__name__, resolver, replace=True)


# ---- composing


def compose(overrides: list[str]) -> DictConfig:
    """The configuration that Hydra will compose, with its own part in it.

    Raises:
        HydraException: an unknown option, group or value.
    """
    GlobalHydra.instance().clear()
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"):
        return hydra.compose("train", overrides, return_hydra_config=True)


def options(groups: list[str]) -> dict[str, Any]:
    """Every option of the configuration that the groups choose, dotted, before it is resolved."""
    return run_folder.flatten(OmegaConf.to_container(compose(groups), resolve=False))


def plain(cfg: DictConfig) -> dict[str, Any]:
    """The run's part of a configuration as plain containers, everything resolved that does not need Hydra's job."""
    container = OmegaConf.to_container(cfg, resolve=False)
    assert isinstance(container, dict)
    keys = [key for key in container if key != "hydra"]
    return {
        str(key): OmegaConf.to_container(cfg[key], resolve=True) if OmegaConf.is_config(cfg[key]) else cfg[key]
        for key in keys
    }


# ---- processes


def is_child() -> bool:
    """Whether Lightning started this process as a further rank: its parent has prepared everything."""
    return "LOCAL_RANK" in os.environ and "TORCHELASTIC_RUN_ID" not in os.environ and "RANK" not in os.environ


def global_rank() -> int:
    """This process's rank under torchrun, SLURM or Lightning, before any of them is asked."""
    ranks = (os.environ.get(name) for name in ("RANK", "SLURM_PROCID", "LOCAL_RANK"))
    return int(next((rank for rank in ranks if rank), 0))


def say(message: str) -> None:
    if global_rank() == 0:
        print(message, flush=True)


def isolate_job() -> None:
    """In a sweep, let DDP's child processes run this job alone, not the sweep (Lightning #11300)."""
    job = HydraConfig.get()
    if job.mode is RunMode.MULTIRUN:
        for key in ("LOCAL_RANK", "NODE_RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT"):
            os.environ.pop(key, None)  # left by the job before
        sys.argv[1:] = job.overrides.task
        with read_write(job):  # type: ignore[arg-type]
            job.run.dir = job.runtime.output_dir
