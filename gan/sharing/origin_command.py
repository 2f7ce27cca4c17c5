"""The command that makes an image again, from the record in its file. No torch."""

from __future__ import annotations

import shlex
from typing import Any

from gan.sharing.record import Record

COMMANDS = {"interpolation": "interpolate", "projection": "project", "optimization": "project"}
COMMANDS |= {"translation": "translate", "comparison": "translate"}
INPUTS = {"translate": ["INPUT", "OUTPUT"], "project": ["INPUT"]}  # a record has only digests of files
LATENTS = ("latent", "latents")
# Options that have the name and the value of their field.
COPIED = ("truncation", "class", "frames", "fps", "scale", "space", "direction", "strength", "cell", "dither", "tile",
          "starts", "steps", "device")  # fmt: skip
SWITCHES = ("loop", "steady")


def command_of(record: Record) -> str:
    """Return the command that made the image of a record. RUN, INPUT and other words in capitals are to be replaced."""
    changed = record.keys() & {"mix", "settings", "size", *LATENTS}
    command = COMMANDS.get(record["kind"], "edit" if changed else "generate")
    words = ["gan", command, *translator_of(record), *INPUTS.get(command, [])]
    if "look" in record:
        words += option("seed", record.get("seed"))
    elif "seed" in record or "seeds" in record:
        words += option("seeds", ",".join(map(range_of, record.get("seeds", [record.get("seed")]))))
    elif command != "project" and record.keys() & set(LATENTS):
        words += ["--latents", "LATENTS.safetensors"]
    words += option("set", *(f"{name}={value}" for name, value in record.get("settings", [])))
    words += option("mix", *(f"{mix['seed']}:{layers_of(mix)}" for mix in record.get("mix", [])))
    words += option("size", "x".join(map(str, record.get("size", []))))
    words += option("palette", "PALETTE" if "palette" in record else "")
    # Latents, and the seeds of a mix, have classes of their own.
    own = record.keys() & set(LATENTS) or any(mix.get("class") != record.get("class") for mix in record.get("mix", []))
    for name in COPIED:
        words += option(name, None if name == "class" and own else record.get(name))
    words += [f"--{name}" for name in SWITCHES if record.get(name)]
    return " ".join([*words, *(["--grid"] if record["kind"] == "grid" else [])])


def translator_of(record: Record) -> list[str]:
    """Return the words that name what made the image: a look, a fitted color map, or a run."""
    if "look" in record:
        return [shlex.quote("look:" + ",".join(record["look"]))]
    return ["--fit", "PHOTOGRAPHS", "RETRO"] if "closed_form" in record else ["RUN"]


def range_of(seeds: int | list[int]) -> str:
    """Return a seed, or a pair of the first and the last one, as they are typed: 9 or 0-3."""
    return "-".join(map(str, seeds)) if isinstance(seeds, list) else str(seeds)


def layers_of(mix: dict[str, Any]) -> str:
    """Return the layers of a style mixing as they are typed: 0-2, or a fraction."""
    first, last = mix.get("layers", (0, 0))
    return f"{mix['fraction']}" if "fraction" in mix else f"{first}-{last}"


def option(name: str, *values: Any) -> list[str]:
    """Return an option with its values; nothing if there is no value."""
    written = [shlex.quote(str(value)) for value in values if value not in (None, "")]
    return [f"--{name}", *written] if written else []
