"""Convert a checkpoint of format 3 to the present format.

python tests/benchmarks/zoo/convert.py OLD.ckpt RUN

The run folder RUN gets a checkpoint with the weights, the configuration, the number of images and the classes. Weights
of upsampling=nearest get the layout of Conv2d, and options that networks no longer have are left out. The converted run
generates, starts other runs (init_from=RUN) and can be shared, but cannot be resumed. Models written by gan share need
no conversion.
"""

from __future__ import annotations

import inspect
import sys
from pathlib import Path
from pydoc import locate

import torch
import yaml

from gan.runs import run_folder
from gan.runs.checkpoint_file import FORMAT, KEYS
from gan.runs.checkpoint_io import AtomicCheckpointIO
from gan.runs.checkpoints import checkpoint_path


def convert(old: Path, run: Path) -> Path:
    """Write the converted checkpoint, and return its path."""
    state = torch.load(old, map_location="cpu", weights_only=True)
    if state["format"] != 3:
        sys.exit(f"{old}: format {state['format']}, not 3")
    path = checkpoint_path(run, state["images"])
    path.parent.mkdir(parents=True)
    if state["config"]["model"]["generator"].get("upsampling") == "nearest":
        for name, weight in state["state_dict"].items():
            if name.startswith(("generator.blocks.", "ema.module.blocks.")) and name.endswith(".0.weight"):
                state["state_dict"][name] = weight.flip(2, 3).transpose(0, 1).contiguous()
    for role in ("generator", "discriminator"):
        options = state["config"]["model"][role]
        known = inspect.signature(locate(options["_target_"])).parameters
        state["config"]["model"][role] = {name: options[name] for name in options if name in ("_target_", *known)}
    kept = {key: state[key] for key in (*KEYS, "classes") if key in state}
    AtomicCheckpointIO().save_checkpoint({**kept, "format": FORMAT}, path)
    (run / run_folder.CONFIG).write_text(yaml.safe_dump(state["config"]))
    return path


if __name__ == "__main__":
    print(convert(Path(sys.argv[1]), Path(sys.argv[2])))
