"""The help page of `python train.py --help`, generated from the comments in conf/."""

from __future__ import annotations

import re
from pathlib import Path

from gan.run.paths import CONF

USAGE = """Train a GAN on a folder of retro images.

    python train.py                                          DCGAN on the built-in images
    python train.py data=folder data.root=PATH data.size=64  your own folder
    python train.py model=dcgan data=retro trainer.devices=2 two devices
    python train.py -m loss=hinge,nonsaturating seed=0,1     a sweep
    python train.py resume=runs/NAME                         resume a run; resume=auto finds it
    tensorboard --logdir runs                                losses and samples

Set an option with NAME=VALUE and choose a file of a group with GROUP=FILE. A list replaces the whole list, for example
callback=[progress,samples,checkpoint], penalty=[r1,r2] or metric=[kid]. In zsh, quote arguments that contain
brackets. hydra.run.dir=runs/NAME names the run folder. `--cfg job` prints the whole configuration.
"""


def help_page() -> str:
    """Return the help page."""
    groups = sorted(path for path in CONF.iterdir() if path.is_dir())
    parts = [USAGE, "GROUPS\n", *(describe_group(group) for group in groups)]
    parts += ["OPTIONS\n", describe_options(CONF / "train.yaml", "")]
    for group in groups:
        if group.name == "model":
            parts.append(
                describe_options(CONF / "gan.yaml", "model.", "all models, unless the model sets another value")
            )
        if group.name not in ("search", "experiment", "debug"):  # they set options of other groups
            files = sorted(group.glob("*.yaml"))
            parts += [describe_options(file, f"{group.name}.", f"{group.name}={file.stem}") for file in files]
    return "\n".join(part for part in parts if part)


def describe_group(group: Path) -> str:
    """Return the lines of the help page about a group: one per file."""
    options = [f"  {group.name}={file.stem:<16} {headline(file)}" for file in sorted(group.glob("*.yaml"))]
    return "\n".join(options) + "\n"


def headline(file: Path) -> str:
    """Return the first comment line of a configuration file."""
    comments = (
        line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#") and "@package" not in line
    )
    return next(comments, "")


def describe_options(file: Path, prefix: str, title: str = "") -> str:
    """Return the lines of the help page about a file: a title, and a line per option that has a comment."""
    rows, parents = [], dict[int, str]()
    for line in file.read_text().splitlines():
        found = re.match(r"^( *)([a-z_0-9]+):\s*(.*?)\s*(?:# (.*))?$", line)
        if not found or found.group(2) == "defaults":
            continue
        indent, name, value, meaning = len(found.group(1)), found.group(2), found.group(3), found.group(4)
        parents = {depth: parent for depth, parent in parents.items() if depth < indent} | {indent: name}
        if meaning:
            path = prefix + ".".join(parents.values())
            rows.append(f"  {path + '=' + readable(value):<58} {meaning}")
    return "\n".join([title] * bool(title) + rows) + "\n" if rows else ""


def readable(value: str) -> str:
    """Return a value of conf/ as text, with its resolvers replaced by descriptions."""
    value = re.sub(r"\$\{by_size:(\d+)\}", r"\1 at 32 pixels", value)
    value = re.sub(r"\$\{by_side:(\d+),(\d+)\}", r"\1 / side, at most \2", value)
    value = re.sub(r"\$\{unless:[^,]*,(.*)\}$", r"\1", value)
    value = re.sub(r"\$\{by_device:([^,}]+),(.+)\}$", r"\1 (CPU) or \2 (GPU)", value)
    value = re.sub(r"\$\{\w+:.*\}", "(computed)", value)
    return re.sub(r"\$\{\.?([\w.]+)\}", r"(same as \1)", value)
