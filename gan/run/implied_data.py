"""Choose the data group from the paths that were typed: data.root=PATH is enough. No torch."""

from __future__ import annotations

from gan.common.errors import UserError
from gan.common.output import print_line
from gan.run.config import compose
from gan.run.early_checks import GAN, PIX2PIX
from gan.run.overrides import alternatives, is_group, key_of, value_of

DEFAULT = "retro"  # the data of conf/train.yaml, which needs no path
PATHS = ("data.root", "data.a", "data.b")


def with_data(typed: list[str], quiet: bool = False) -> list[str]:
    """Return the overrides with `data=` added, if they give paths of data and neither they nor an experiment set it.

    Print a line that names the choice, unless `quiet`.

    Raises:
        UserError: the model does not train on what the paths are.
        HydraException: a group has no such file.
    """
    given = [path for path in PATHS if value_of(typed, path) not in (None, "", "null")]
    if not given or any(key_of(word) == "data" for word in typed):
        return typed
    cfg = compose([alternatives(word)[0] for word in typed if is_group(key_of(word))])
    if cfg.hydra.runtime.choices.data != DEFAULT:
        return typed
    name = data_for(given, cfg.model.get("_target_"), cfg.hydra.runtime.choices.model)
    if not quiet:
        print_line(f"using data={name}, because {given[0]} is set")
    return [f"data={name}", *typed]


def data_for(given: list[str], target: str | None, model: str) -> str:
    """Return the data group for the options `given` and a class of models."""
    if target == PIX2PIX:
        return "paired"
    if target == GAN:
        if given == ["data.root"]:
            return "folder"
        raise UserError(
            f"{given[-1]} is for translators, but model={model} generates images; add model=cyclegan, "
            "or write data.root=PATH, for several folders data.root=[PATH,PATH]"
        )
    if "data.root" in given:
        raise UserError(
            f"model={model} needs two folders: write data.a=PATH data.b=PATH instead of data.root, "
            "or add data=retro_filter to learn a built-in style"
        )
    return "unpaired"
