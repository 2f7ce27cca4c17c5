"""Print versions, devices, threads, cache and packages, for bug reports. It prints no user names.

For an image that this program made, print the record of its origin, and the command that makes it again.
"""

from __future__ import annotations

import argparse
import getpass
import os
import platform
import re
import sys
from pathlib import Path
from typing import Any

from gan.commands import options
from gan.config.paths import CONF
from gan.data.decoding import cache
from gan.data.decoding.pool import cores
from gan.records.record import command_of, origin, to_text
from gan.runs.run_folder import git_revision, version_of
from gan.utils.errors import UserError
from gan.utils.output import one_line
from gan.utils.processes import available_memory

PACKAGES = ("torchvision", "lightning", "torchmetrics", "hydra-core", "omegaconf", "numpy", "scipy", "pillow", "rich",
            "scikit-image", "tensorboard", "safetensors", "filelock", "scikit-learn", "av", "gradio", "onnxruntime",
            "optuna", "wandb", "mlflow")  # fmt: skip
VARIABLES = ("OMP_NUM_THREADS", "CUDA_VISIBLE_DEVICES", "RETRO_GAN_CACHE", "PYTORCH_ENABLE_MPS_FALLBACK")
GIB = 1 << 30
MISSING = "not installed"  # in place of a version


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", nargs="?", type=options.existing_path, metavar="FILE", help="image, to print what made "
                        "it")  # fmt: skip


def run(arguments: argparse.Namespace) -> None:
    lines = environment() if arguments.file is None else describe_image(arguments.file)
    for name, value in lines.items():
        print(f"{name + ':':<13}{anonymous(value)}")


def describe_image(file: Path) -> dict[str, str]:
    """Return the origin of an image by name; raise UserError if its file has none."""
    record = origin(file)
    if record is None:
        raise UserError(f"{file}: has no metadata of retro-gan, so what made it is unknown (it was written with "
                        "--no-metadata, its format holds none, or another program removed it)")  # fmt: skip
    lines = {"software": record["software"]}
    if "model" in record:
        lines["model"] = f"digest {record['model']}, after {record['images']:,} images"
    return lines | {"command": command_of(record), "record": one_line(to_text(record))}


def environment() -> dict[str, str]:
    import torch

    revision = git_revision()
    own = (version_of("retro-gan") or MISSING, f"git {revision}" if revision else "", str(CONF.parent))
    return {
        "retro-gan": ", ".join(filter(None, own)),
        "python": f"{platform.python_version()} {platform.python_implementation()}, {sys.executable}",
        "system": f"{platform.platform()}, {platform.machine()}",
        "torch": f"{torch.__version__}, {build_of(torch)}",
        "packages": ", ".join(f"{name} {version_of(name) or MISSING}" for name in PACKAGES),
        "devices": ", ".join(devices(torch)),
        "cpu": f"{os.cpu_count()} cores, {cores()} usable; {torch.get_num_threads()} threads of torch",
        "memory": f"{available_memory() / GIB:.1f} GiB available",
        "cache": f"{cache.folder()}, {cache.total_size() / GIB:.2f} GiB",
        "environment": ", ".join(f"{name}={os.environ[name]}" for name in VARIABLES if name in os.environ) or "-",
    }


def build_of(torch: Any) -> str:
    if torch.version.cuda:
        return f"CUDA {torch.version.cuda}, cuDNN {torch.backends.cudnn.version()}"
    return f"ROCm {torch.version.hip}" if getattr(torch.version, "hip", None) else "built without CUDA"


def devices(torch: Any) -> list[str]:
    found = ["cpu"]
    for index in range(torch.cuda.device_count()):
        about = torch.cuda.get_device_properties(index)
        found.append(f"cuda:{index} {about.name} {about.total_memory / GIB:.0f} GiB")
    return found + ["mps"] * torch.backends.mps.is_available()


def anonymous(text: str) -> str:
    """Return text with ~ for the home folder and USER for the name of the user in other paths."""
    text = text.replace(str(Path.home()), "~") if Path.home() != Path("/") else text
    try:
        user = getpass.getuser()
    except (KeyError, OSError, ImportError):  # a process without a user
        return text
    return re.sub(rf"(?<=[/\\]){re.escape(user)}(?=[/\\]|$)", "USER", text)
