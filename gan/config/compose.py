"""Compose the configuration from conf/. No torch at import."""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import hydra
from hydra.core.global_hydra import GlobalHydra
from omegaconf import DictConfig, OmegaConf, open_dict

from gan.config import resolvers, secrets
from gan.config.paths import CONF, group_names, own, quote
from gan.utils.errors import UserError, at_least, install
from gan.utils.nested import flatten, without_home

ONE = ("model", "data", "trainer", "loss", "augment", "schedule", "stop")  # groups with one part, not a list of them

resolvers.register()


def compose(overrides: list[str]) -> DictConfig:
    """Return the configuration that Hydra composes from these overrides, including Hydra's own part.

    It reads conf/ and the folder that --config-dir names.

    Raises:
        HydraException: an unknown option, group or value.
    """
    GlobalHydra.instance().clear()
    searched = [f"hydra.searchpath=[{quote(f'file://{folder}')}]" for folder in own()]
    with hydra.initialize_config_dir(str(CONF), version_base="1.3"), resolvers.composing():
        return hydra.compose("train", [*searched, *overrides], return_hydra_config=True)


def options(groups: list[str]) -> dict[str, Any]:
    """Return all options of the configuration with these choices of groups: {dotted key: unresolved value}."""
    return unresolved(compose(groups))


def unresolved(cfg: DictConfig) -> dict[str, Any]:
    """Return the options of a configuration: {dotted key: unresolved value}."""
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
    if cfg.minutes is not None and (isinstance(cfg.minutes, str) or not 0 < cfg.minutes < math.inf):
        raise UserError(f"minutes={cfg.minutes}: must be a number greater than 0")
    at_least("seed", cfg.seed, 0)
    check_packages(cfg.logger)
    if cfg.objective_mode not in ("best", "last"):
        raise UserError(f"objective_mode={cfg.objective_mode}: must be best or last")


def check_packages(loggers: DictConfig) -> None:
    """Raise UserError if the package of a logger is not installed: each function of `loggers.services` has its name."""
    for name in map(str, loggers):
        module, _, package = str(loggers[name].get("_target_", "")).rpartition(".")
        if module == "gan.training.loggers.services" and importlib.util.find_spec(package) is None:
            raise UserError(f"logger={name}: {package} is not installed; {install(package)}")
