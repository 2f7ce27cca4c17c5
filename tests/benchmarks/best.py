"""Scores of the best images of a run, selected as by `gan generate --best`, at equal numbers of images.

A row has KID x 1000, precision, recall, coverage and the rate of copies in features of Lite0, by which `likeness`
selects, and KID x 1000, precision and recall in features of random_conv.

python tests/benchmarks/best.py RUN
"""

from __future__ import annotations

import sys
from pathlib import Path

import torch

from gan.evaluation.selection import by_discriminator, by_likeness, ranking
from gan.metrics.copies import CopySearch, describe
from gan.metrics.extractors import Lite0Features, RandomConv, features
from gan.metrics.kid import KID_SCALE, squared_mmd
from gan.metrics.prdc import prdc
from gan.model import load_model as load
from gan.models.address import checkpoint_of
from gan.models.loading import load_data

KEPT = 500
ONE_OF = (2, 10)


def measure(real: torch.Tensor, generated: torch.Tensor) -> dict[str, float]:
    return {"kid_x1000": KID_SCALE * squared_mmd(real, generated), **prdc(real, generated)}


def main(run: str) -> None:
    model, path = load(run), checkpoint_of(run)
    data = load_data(model.config, path)
    extractor, held_out = Lite0Features().eval(), data.reals(KEPT, held_out=True)
    real = features(extractor, held_out)
    seeds = list(range(KEPT * max(ONE_OF)))
    images, labels = model.generate(seeds).pixels, model.sample_z(seeds)[1]
    found = features(extractor, images)
    others, copies = RandomConv(), CopySearch(data.reals(10_000), held_out, data.flips)
    rows = {"all": torch.arange(KEPT)}
    for name, score in (("discriminator", by_discriminator), ("likeness", by_likeness)):
        scores = score(model, path, "cpu")(images, labels)
        for one_of in ONE_OF:
            part = slice(0, KEPT * one_of)
            classes = torch.zeros(len(seeds), dtype=torch.long) if labels is None else labels
            rows[f"best of {one_of} by {name}"] = ranking(scores[part], classes[part])[:KEPT]
    print(f"{len(real)} real images, {KEPT} generated images a row")
    for name, chosen in rows.items():
        values, other = (
            measure(real, found[chosen]),
            measure(features(others, held_out), features(others, images[chosen])),
        )
        rate = copies.search(describe(images[chosen])).rate
        shown = [values["kid_x1000"], values["precision"], values["recall"], values["coverage"], rate]
        shown += [other["kid_x1000"], other["precision"], other["recall"]]
        print(f"{name:28}" + "".join(f"{value:10.3f}" for value in shown), flush=True)


if __name__ == "__main__":
    main(str(Path(sys.argv[1])))
