"""The help page of `gan train --help`, from the comments in conf/. No torch."""

from __future__ import annotations

import re
from pathlib import Path

from gan.config.paths import CONF, group_files, groups
from gan.utils.errors import train_command

DERIVED = {"stylegan2_width": "16384 / side, at most 512", "retro_labels": "true"}  # on the help page
EXAMPLES = {
    "TRAIN": "DCGAN on the built-in images",
    "TRAIN data=folder data.root=PATH data.size=64": "your own folder",
    "TRAIN model=dcgan data=retro trainer.devices=2": "two devices",
    "TRAIN -m loss=hinge,nonsaturating seed=0,1": "a sweep",
    "TRAIN resume=runs/NAME": "resume a run; resume=auto finds it",
    "tensorboard --logdir runs": "losses and samples",
}
USAGE = """usage: TRAIN [NAME=VALUE ...] [-m] [--config-dir DIR] [--code DIR]

Train a GAN on a folder of retro images.

EXAMPLES

Set an option with NAME=VALUE and choose a file of a group with GROUP=FILE. A list replaces the whole list, for example
callback=[progress,samples,checkpoint], penalty=[r1,r2] or metric=[kid]. In zsh, quote arguments that contain
brackets. hydra.run.dir=runs/NAME names the run folder. `--cfg job` prints the whole configuration.
--config-dir DIR adds your own configurations: experiment=NAME reads DIR/experiment/NAME.yaml. --code DIR adds your own
Python code, which a configuration may name: `_target_: MODULE.CLASS`. Type both again to resume.
"""


def help_page() -> str:
    """Return the help page."""
    parts = [usage(), "GROUPS\n", *map(describe_group, groups())]
    parts += ["OPTIONS\n", describe_options(CONF / "train.yaml", "")]
    for group in groups():
        if group == "model":
            parts.append(
                describe_options(CONF / "gan.yaml", "model.", "all models, unless the model sets another value")
            )
        if group not in ("search", "experiment", "debug"):  # they set options of other groups
            parts += [describe_options(file, prefix_of(file), f"{group}={file.stem}") for file in group_files(group)]
    return "\n".join(part for part in parts if part)


def usage() -> str:
    """Return the first part of the help page, with the command that the user typed."""
    command = train_command()
    examples = {line.replace("TRAIN", command): meaning for line, meaning in EXAMPLES.items()}
    width = max(map(len, examples))
    lines = "\n".join(f"    {line:<{width}}  {meaning}" for line, meaning in examples.items())
    return USAGE.replace("TRAIN", command).replace("EXAMPLES", lines)


def describe_group(group: str) -> str:
    """Return the lines of the help page about a group: one per file."""
    options = [f"  {group}={file.stem:<16} {headline(file)}" for file in group_files(group)]
    return "\n".join(options) + "\n"


def headline(file: Path) -> str:
    """Return the first comment line of a configuration file."""
    comments = (
        line[1:].strip()
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("#") and "@package" not in line
    )
    return next(comments, "")


def prefix_of(file: Path) -> str:
    """Return the beginning of the names of a file's options: its package, which is the group unless the file says."""
    found = re.search(r"^# @package (\S+)$", file.read_text(encoding="utf-8"), re.M)
    package = found[1] if found else file.parent.name
    return "" if package == "_global_" else f"{package}."


def describe_options(file: Path, prefix: str, title: str = "") -> str:
    """Return the lines of the help page about a file: a title, and a line per option that has a comment."""
    rows, parents = [], dict[int, str]()
    for line in file.read_text(encoding="utf-8").splitlines():
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
    value = re.sub(r"\$\{width:([^,}]+),(.+)\}$", r"\1 at 32 pixels (CPU) or \2 (GPU)", value)
    for name, meaning in DERIVED.items():
        value = value.replace(f"${{derived:{name}}}", meaning)
    value = re.sub(r"\$\{(?:by_device|length):([^,}]+),(.+)\}$", r"\1 (CPU) or \2 (GPU)", value)
    value = re.sub(r"\$\{\w+:.*\}", "(computed)", value)
    return re.sub(r"\$\{\.*([\w.]+)\}", r"(same as \1)", value)
