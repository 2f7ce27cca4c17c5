"""Gain of trained translators on known looks, beside that of the color map they start from.

    python tests/benchmarks/color_learned.py PHOTOGRAPHS OUT [--models cut lut] [--looks film] [--minutes 10]

A model may also be an experiment such as paper_cut. --options are options of train.py for all models, such as
--minutes null --options images=4000. Two fifths of the photographs are inputs, two fifths are targets in the look, and
one fifth is held out from training. Looks are applied to the files, which are then scaled to 64 pixels. A fifth of
inputs and targets select the best checkpoint. The gain is 1 - dE00(translation, truth) / dE00(photograph, truth) of the
held-out photographs. OUT gets the images and runs; runs that are there already are measured, not trained again.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
from pathlib import Path

import numpy as np
import torch
from color import SIDE, stacked
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gan.api import load
from gan.config.paths import CONF
from gan.evaluation.translations import recolored
from gan.images.convert import to_float, to_uint8
from gan.looks import registry
from gan.metrics.pairs import ground_truth_scores
from gan.models.loading import select_direction
from gan.networks.closed_form.choose import choose
from gan.translation.tiling import translate_each

ROOT = Path(__file__).resolve().parents[2]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--models", nargs="+", default=["cut", "cyclegan", "lut"])
    parser.add_argument("--looks", nargs="+", default=["film", "1977", "poster"])
    parser.add_argument("--minutes", default="10")
    parser.add_argument("--options", nargs="*", default=[])
    given = parser.parse_args()
    paths = sorted(path for path in given.photographs.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    for look in given.looks:
        folder = given.out.absolute() / look
        a, b, photographs, truths = prepare(paths, look, folder)
        chosen = choose(a, b)
        with torch.inference_mode():
            mapped = to_uint8(chosen.color_map(to_float(photographs)))
        kind = f"{chosen.kind} {chosen.position or ''}".strip()
        print(f"{look}: color map ({kind}) {gain(photographs, mapped, truths):.3f}", flush=True)
        for model in given.models:
            run = folder / model
            if not (run / "checkpoints").is_dir():
                train(model, folder, run, [f"minutes={given.minutes}", *given.options])
            found = []
            for which in ("best", "last"):
                translator = load(run, checkpoint=which)
                network = select_direction(run, translator.network)
                if not found and network.start is not None:
                    found.append(f"start {gain(photographs, recolored(network.start, photographs, False), truths):.3f}")
                made = translate_each(network, photographs)
                found.append(f"{which} {gain(photographs, made, truths):.3f} at {translator.images:,} images")
            print(f"{look}: {model}: {', '.join(found)}", flush=True)


def prepare(paths: list[Path], look: str, folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return inputs, targets, held-out photographs and their ground truth, uint8 (N, 3, SIDE, SIDE).

    Write the first two to the folders a and b.
    """
    order = torch.from_numpy(np.random.default_rng(0).permutation(len(paths)))
    part = 2 * len(order) // 5
    files, style = [np.asarray(Image.open(path).convert("RGB")) for path in paths], registry.make_style(look)
    photographs, styled = stacked(files), stacked([style(file, number) for number, file in enumerate(files)])
    a, b, held_out = photographs[order[:part]], styled[order[part : 2 * part]], order[2 * part :]
    for name, images in {"a": a, "b": b}.items():
        (folder / name).mkdir(parents=True, exist_ok=True)
        for number, image in enumerate(images):
            Image.fromarray(image.permute(1, 2, 0).numpy()).save(folder / name / f"{number:04}.png")
    return a, b, photographs[held_out], styled[held_out]


def train(model: str, folder: Path, run: Path, options: list[str]) -> None:
    """Train a model, or an experiment of that name, on the folders a and b of `folder`."""
    name = f"experiment={model}" if (CONF / "experiment" / f"{model}.yaml").is_file() else f"model={model}"
    data = [
        "data=unpaired",
        f"data.a={folder / 'a'}",
        f"data.b={folder / 'b'}",
        f"data.size={SIDE}",
        "data.fit=stretch",
    ]
    data += ["data.split=file", "data.validation=0.2", "callback=[progress,checkpoint,evaluate]"]
    command = [sys.executable, str(ROOT / "train.py"), name, *data, f"hydra.run.dir={run}", *options]
    subprocess.run(command, check=True)


def gain(photographs: Tensor, made: Tensor, truths: Tensor) -> float:
    return ground_truth_scores(photographs, made, truths)["gain"]


if __name__ == "__main__":
    main()
