"""`python train.py --help`, read off the comments in conf/: a file's first line, and the end of an option's line."""

from __future__ import annotations

import re
from pathlib import Path

CONF = Path(__file__).resolve().parents[2] / "conf"

USAGE = """Train a GAN on a folder of retro images.

    python train.py                                          DCGAN on the built-in images
    python train.py data=folder data.root=PATH data.size=64  your own folder
    python train.py model=dcgan data=retro trainer.devices=2 two devices
    python train.py -m loss=hinge,nonsaturating seed=0,1     a sweep
    python train.py resume=runs/NAME                         go on with a run; resume=auto finds it
    tensorboard --logdir runs                                losses and samples

Any option below is set as NAME=VALUE, a part of a group as GROUP=OPTION. Lists are replaced whole, as in
callback=[progress,samples,checkpoint], penalty=[r1,r2] or metric=[kid] (in quotes in zsh, which takes brackets for
its own). hydra.run.dir=runs/NAME names the run's folder. `--cfg job` prints the whole configuration.
"""


def text() -> str:
    """The whole page."""
    groups = sorted(path for path in CONF.iterdir() if path.is_dir())
    parts = [USAGE, "GROUPS\n", *(describe_group(group) for group in groups)]
    parts += ["OPTIONS\n", describe_options(CONF / "train.yaml", "")]
    for group in groups:
        if group.name == "model":
            parts.append(describe_options(CONF / "gan.yaml", "model.", "every model, where it sets nothing else"))
        if group.name not in ("search", "experiment"):  # these set options of the others
            files = sorted(group.glob("*.yaml"))
            parts += [describe_options(file, f"{group.name}.", f"{group.name}={file.stem}") for file in files]
    return "\n".join(part for part in parts if part)


def describe_group(group: Path) -> str:
    options = [f"  {group.name}={file.stem:<16} {headline(file)}" for file in sorted(group.glob("*.yaml"))]
    return "\n".join(options) + "\n"


def headline(file: Path) -> str:
    """The first comment line of a configuration file."""
    comments = (
        line[1:].strip() for line in file.read_text().splitlines() if line.startswith("#") and "@package" not in line
    )
    return next(comments, "")


def describe_options(file: Path, prefix: str, title: str = "") -> str:
    """`name: default   meaning` for each line of a file that ends in a comment, under a title."""
    rows, parents = [], dict[int, str]()
    for line in file.read_text().splitlines():
        found = re.match(r"^( *)([a-z_0-9]+):\s*(.*?)\s*(?:# (.*))?$", line)
        if not found or found.group(2) == "defaults":
            continue
        indent, name, value, meaning = len(found.group(1)), found.group(2), found.group(3), found.group(4)
        parents = {depth: parent for depth, parent in parents.items() if depth < indent} | {indent: name}
        if meaning:
            path = prefix + ".".join(parents.values())
            rows.append(f"  {path + '=' + shown(value):<58} {meaning}")
    return "\n".join([title] * bool(title) + rows) + "\n" if rows else ""


def shown(value: str) -> str:
    """A value as a reader takes it, without the grammar of what depends on the machine or on other values."""
    value = re.sub(r"\$\{by_size:(\d+)\}", r"\1 at 32 pixels", value)
    value = re.sub(r"\$\{by_side:(\d+),(\d+)\}", r"\1 / side, at most \2", value)
    value = re.sub(r"\$\{unless:[^,]*,(.*)\}$", r"\1", value)
    value = re.sub(r"\$\{by_device:([^,}]+),(.+)\}$", r"\1 (CPU) or \2 (GPU)", value)
    value = re.sub(r"\$\{\w+:.*\}", "(by a rule)", value)
    return re.sub(r"\$\{\.?([\w.]+)\}", r"(as \1)", value)
