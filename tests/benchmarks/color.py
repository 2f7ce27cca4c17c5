"""Compare closed-form color maps on known looks, fitted to different photographs on the two sides.

    python tests/benchmarks/color.py PHOTOGRAPHS [--looks film 1977 poster] [--splits 3]

Each split divides the photographs by chance: two fifths are the inputs of the fit, two fifths are the targets in the
look, and one fifth is held out. Looks are applied to the files, which are then scaled to 64 pixels. The gain is
1 - dE00(mapped, truth) / dE00(photograph, truth) of the held-out photographs. The oracle is fitted to pairs: the
inputs of the fit and the same photographs in the look.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from statistics import fmean

import numpy as np
import torch
from PIL import Image
from torch import Tensor

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from gan.images.convert import to_float, to_uint8
from gan.looks import registry
from gan.metrics.pairs import ground_truth_scores
from gan.networks.closed_form.choose import UNCHANGED, choose
from gan.networks.closed_form.color_map import ColorMap
from gan.networks.closed_form.fit import COLOR_MAPS, draw_pixels, fit_kinds, linear, smooth_table, with_position

SIDE = 64
POSITIONS = (None, "radial")
NO_POSITION = "none"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("photographs", type=Path)
    parser.add_argument("--looks", nargs="+", default=["film", "1977", "poster"])
    parser.add_argument("--splits", type=int, default=3)
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.photographs.iterdir() if path.suffix.lower() in (".jpg", ".png"))
    photographs = [np.asarray(Image.open(path).convert("RGB")) for path in paths]
    small = stacked(photographs)
    print(f"{len(paths)} photographs, {arguments.splits} splits; mean gains of the held-out photographs")
    for look in arguments.looks:
        style = registry.make_style(look)
        styled = stacked([style(photograph, number) for number, photograph in enumerate(photographs)])
        found: dict[str, list[float]] = defaultdict(list)
        choices = []
        for split in range(arguments.splits):
            gains, choice = measure(small, styled, split)
            choices.append(choice)
            for name, gain in gains.items():
                found[name].append(gain)
        means = {name: fmean(gains) for name, gains in found.items()}
        closed = {name: gain for name, gain in means.items() if name.split()[0] in (*COLOR_MAPS, UNCHANGED)}
        best = max(closed, key=lambda name: closed[name])
        print(f"{look}: chosen {means['chosen']:.3f} ({'; '.join(choices)}), best {closed[best]:.3f} ({best})")
        print("   " + ", ".join(f"{name} {gain:.3f}" for name, gain in means.items()), flush=True)


def measure(photographs: Tensor, styled: Tensor, split: int) -> tuple[dict[str, float], str]:
    """Return the gain of each map on the held-out photographs of a split, and the chosen map."""
    order = torch.from_numpy(np.random.default_rng(split).permutation(len(photographs)))
    part = 2 * len(order) // 5
    inputs, targets, held_out = order[:part], order[part : 2 * part], order[2 * part :]

    def gain(change: ColorMap) -> float:
        with torch.inference_mode():
            mapped = to_uint8(change(to_float(photographs[held_out])))
        return ground_truth_scores(photographs[held_out], mapped, styled[held_out])["gain"]

    a, b = draw_pixels(photographs[inputs], split), draw_pixels(styled[targets], split + 1)
    gains = {f"{UNCHANGED} {NO_POSITION}": 0.0}
    for kind, change in fit_kinds(a.levels, b.levels).items():
        for position in POSITIONS:
            gains[f"{kind} {position or NO_POSITION}"] = gain(with_position(change, a, b, position))
    chosen = choose(photographs[inputs], styled[targets], split)
    gains["chosen"] = gain(chosen.color_map)
    pairs = draw_pixels(photographs[inputs], split), draw_pixels(styled[inputs], split)  # the same pixels
    start = linear(pairs[0].levels, pairs[1].levels)
    table = smooth_table(start(pairs[0].levels).clip(0, 255), pairs[1].levels, smoothness=0.5)
    for position in POSITIONS:
        oracle = with_position(lambda x: table(start(x).clip(0, 255)), *pairs, position)
        gains[f"oracle {position or NO_POSITION}"] = gain(oracle)
    return gains, f"{chosen.kind} {chosen.position or NO_POSITION}"


def stacked(images: list[np.ndarray]) -> Tensor:
    """Return images (H, W, 3) of any size as uint8 (N, 3, SIDE, SIDE)."""
    scaled = [np.asarray(Image.fromarray(each).resize((SIDE, SIDE), Image.Resampling.LANCZOS)) for each in images]
    return torch.from_numpy(np.stack(scaled)).permute(0, 3, 1, 2).contiguous()


if __name__ == "__main__":
    main()
