"""The help page of `gan train --help`, from the files in conf/. No torch."""

from __future__ import annotations

from pathlib import Path

from gan.config.paths import CONF, group_files, groups
from gan.utils.errors import train_command

USAGE = """usage: TRAIN [NAME=VALUE ...] [-m] [--config-dir DIR] [--code DIR]

Train a GAN on a folder of retro images.

    TRAIN                                            DCGAN on the built-in images
    TRAIN data=folder data.root=PATH data.size=64    your own folder
    TRAIN model=dcgan data=retro trainer.devices=2   two devices
    TRAIN -m loss=hinge,nonsaturating seed=0,1       a sweep
    TRAIN resume=runs/NAME                           resume a run; resume=auto finds it
    tensorboard --logdir runs                        losses and samples

Set an option with NAME=VALUE and choose a file of a group with GROUP=FILE. A list replaces the whole list, for example
callback=[progress,samples,checkpoint], penalty=[r1,r2] or metric=[kid]. In zsh, quote arguments that contain
brackets. hydra.run.dir=runs/NAME names the run folder. `--cfg job` prints the whole configuration.
--config-dir DIR adds your own configurations: experiment=NAME reads DIR/experiment/NAME.yaml. --code DIR adds your own
Python code, which a configuration may name: `_target_: MODULE.CLASS`. Type both again to resume.
"""
OPTIONS = """OPTIONS

The names below GROUP=FILE begin with the group: `size` of data=folder is data.size, and `lr` below
`generator_optimizer` of a model is model.generator_optimizer.lr. `# @package NAME` replaces the group.
"""


def help_page() -> str:
    """Return the help page: usage, the names of all groups, and the files with the options, as they are."""
    usage = USAGE.replace("TRAIN", train_command())
    parts = [usage, "GROUPS\n", *map(describe_group, groups()), OPTIONS, content(CONF / "train.yaml")]
    for group in groups():
        if group == "model":
            parts += ["---- all models, unless the model sets another value", content(CONF / "gan.yaml")]
        if group not in ("search", "experiment", "debug"):  # they set options of other groups
            parts += [f"---- {group}={file.stem}\n{content(file)}" for file in group_files(group)]
    return "\n".join(parts)


def content(file: Path) -> str:
    return file.read_text(encoding="utf-8")


def describe_group(group: str) -> str:
    """Return the lines of the help page about a group: one per file."""
    options = [f"  {group}={file.stem:<16} {headline(file)}" for file in group_files(group)]
    return "\n".join(options) + "\n"


def headline(file: Path) -> str:
    """Return the first comment line of a configuration file."""
    lines = content(file).splitlines()
    return next((line[1:].strip() for line in lines if line.startswith("#") and "@package" not in line), "")
