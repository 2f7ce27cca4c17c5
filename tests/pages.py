"""Parse README and the pages of docs/: their commands, options, links and files."""

from __future__ import annotations

import argparse
import functools
import importlib
import re
from pathlib import Path
from typing import Any

import yaml

from gan.cli import COMMANDS
from gan.config.compose import CONF
from tests.conftest import ROOT

PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
PROGRAMS = ("python ", "gan ", "torchrun ", "srun ", "tensorboard ", "pip ", "python3 ", ".venv/bin/pip ")
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
FILE = re.compile(r"`((?:gan|conf)/[\w/]+\.(?:py|yaml))`[^\n]*\n+```(?:python|yaml)\n(.*?)^```", re.S | re.M)


def blocks(page: Path, language: str) -> list[str]:
    return [code for name, code in FENCE.findall(page.read_text()) if name == language]


def commands(page: Path) -> list[str]:
    """Return the commands of a page in order: lines in code blocks without a language, and commands in tables."""
    text = page.read_text()
    found = [
        (match.start(), line)
        for match in FENCE.finditer(text)
        if not match[1]
        for line in match[2].splitlines()
        if line.startswith(PROGRAMS)
    ]
    found += [(match.start(), match[1]) for match in re.finditer(r"^\|.*\| `(gan \w+ runs/[^`]*)` \|", text, re.M)]
    return [line for _, line in sorted(found, key=lambda pair: pair[0])]


def files(page: Path) -> dict[str, str]:
    """Return the files that the page shows in full below their paths."""
    return dict(FILE.findall(page.read_text()))


def spans(page: Path) -> list[str]:
    """Inline code."""
    return [span.replace("\n", " ") for span in re.findall(r"`([^`]+)`", FENCE.sub("", page.read_text()))]


def sections(page: Path) -> dict[str, str]:
    """Return the text below each heading by its anchor, as GitHub and MyST name it."""
    parts = re.split(r"^#+ (.*)$", FENCE.sub("", page.read_text()), flags=re.M)[1:]
    return {
        re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-"): text
        for title, text in zip(parts[::2], parts[1::2], strict=True)
    }


def links(page: Path) -> list[str]:
    """Return relative links and images, with their anchors."""
    text = FENCE.sub("", page.read_text())
    found = re.findall(r"\]\(([^)]+)\)", text) + re.findall(r'<img src="([^"]+)"', text)
    return [re.sub(r"\s", "", link) for link in found if "://" not in link]


@functools.cache
def options() -> set[str]:
    """Return every dotted option of conf/."""
    found = set()
    for path in CONF.rglob("*.yaml"):
        group = path.parent.relative_to(CONF).as_posix()
        content = yaml.safe_load(path.read_text()) or {}
        prefix = f"{group}." if group != "." else "model." if path.stem == "gan" else ""
        if "@package _global_" in path.read_text():
            prefix = ""
        found |= {prefix + name for name in flat(content)}
    return found


def flat(content: dict[str, Any]) -> list[str]:
    names = []
    for key, value in content.items():
        names += [key, *(f"{key}.{name}" for name in flat(value))] if isinstance(value, dict) else [key]
    return names


def exists(override: str) -> bool:
    """Return whether conf/ has the option, or the files of the group, that an override names."""
    key, _, value = override.partition("=")
    if (CONF / key).is_dir():
        chosen = value.strip("[]").split(",")
        return all((CONF / key / f"{name}.yaml").exists() for name in chosen if name != "NAME")
    return key in options() or key.startswith("hydra.launcher.") or key == "hydra/launcher"


@functools.cache
def flags() -> set[str]:
    """Return every flag of the `gan` command."""
    found: set[str] = set()

    def walk(parser: argparse.ArgumentParser) -> None:
        for action in parser._actions:
            found.update(action.option_strings)
            if isinstance(action, argparse._SubParsersAction):
                for child in action.choices.values():
                    walk(child)

    for name in COMMANDS:
        parser = argparse.ArgumentParser()
        importlib.import_module(f"gan.commands.{name}").add_arguments(parser)
        walk(parser)
    return found
