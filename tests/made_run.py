"""A run folder with the files that a report reads, made without training."""

import json
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from gan.runs import run_folder

KID = "eval/kid_x1000_lite0"
LINES: list[dict[str, Any]] = [
    {"images": 0, "seconds": 0.0, KID: 900.0, "eval/recall_lite0": 0.0},
    {"images": 2000, "seconds": 40.0, "loss/discriminator": 1.1, "loss/generator": 2.0, "health/accuracy": 0.8},
    {"images": 4000, "seconds": 80.0, KID: 300.0, "eval/recall_lite0": 0.2, "health/diversity": 0.1},
    {"images": 6000, "seconds": 120.0, KID: 350.0, "eval/recall_lite0": 0.3, "penalty/r1": 0.5},
]


def made(folder: Path, lines: list[dict[str, Any]] = LINES, **config: Any) -> Path:
    """Return a run folder with the files that a report reads."""
    (folder / "samples").mkdir(parents=True)
    (folder / "checkpoints").mkdir()
    full = {"objective": KID, "images": 6000, "data": {"root": None, "size": 32, "split": "file"}, **config}
    full.setdefault("model", {"generator": {"_target_": "gan.networks.dcgan.Generator"}})
    (folder / run_folder.CONFIG).write_text(yaml.safe_dump(full))
    (folder / run_folder.OVERRIDES).write_text("[loss=hinge, data.root=/home/jane/scans]")
    start = {"command": ["/home/jane/venv/bin/gan", "train", "data.root=/home/jane/My scans", "--code", "/home/jane/c"]}
    (folder / run_folder.ENVIRONMENT).write_text(json.dumps(start | {"machine": "Linux", "git": "a" * 40}) + "\n")
    (folder / run_folder.METRICS).write_text("".join(json.dumps(line) + "\n" for line in lines))
    records = [("generated", 300.0), ("other real images", 2.5)]
    (folder / run_folder.EVALUATION).write_text("".join(json.dumps(
        {"metric": "kid_x1000", "value": value, "row": row, "extractor": "lite0", "images": 500, "real": 250,
         "reference": "/home/jane/runs/a:val"}) + "\n" for row, value in records))  # fmt: skip
    for name in ("000002000.png", "000006000.png", "reals.png", "copies-000006000.png"):
        Image.effect_noise((64, 64), 80).convert("RGB").save(folder / "samples" / name)
    (folder / "checkpoints" / "images-000006000.ckpt").write_bytes(b"x")
    record = {"sha256": "0", "bytes": 1, "images": 6000, "seconds": 120.0,
              "best": {"checkpoint": "images-000006000.ckpt", "monitor": KID, "score": 300.0}}  # fmt: skip
    (folder / "checkpoints" / "images-000006000.json").write_text(json.dumps(record))
    return folder
