"""Find the parts of the program by looking through its packages and conf/, so that a new part is tested too."""

import importlib
import inspect
import pkgutil
from typing import Any

from gan.config.compose import CONF, compose


def classes_of(package: str, *methods: str) -> list[type]:
    """Return the public classes of a package that are defined in its files and have the methods."""
    folder = importlib.import_module(package)
    modules = [importlib.import_module(f"{package}.{each.name}") for each in pkgutil.iter_modules(folder.__path__)]
    return [
        each
        for module in modules
        for name, each in vars(module).items()
        if inspect.isclass(each)
        and each.__module__ == module.__name__
        and not name.startswith("_")
        and all(callable(getattr(each, method, None)) for method in methods)
    ]


def choices(group: str) -> list[str]:
    """Return the names of a group of conf/."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def targets(config: Any) -> set[str]:
    """Return every `_target_` in a configuration."""
    if not hasattr(config, "values"):
        return set()
    own = {config["_target_"]} if "_target_" in config else set()
    return own.union(*(targets(value) for value in config.values()))


def configured(group: str, *options: str) -> dict[str, Any]:
    """Return the configuration of each choice of a group that is not null."""
    found = {}
    for name in choices(group):
        value = f"[{name}]" if group in ("penalty", "metric") else name
        if (config := compose([f"{group}={value}", *options])[group]) is not None:
            found[name] = config
    return found


def unreached(package: str, configs: Any, *methods: str) -> set[str]:
    """Return the names of classes of a package that no configuration names."""
    named = set().union(*map(targets, configs))
    return {f"{each.__module__}.{each.__name__}" for each in classes_of(package, *methods)} - named
