"""Experiments named after papers have the published networks, batch sizes and lengths."""

import pytest
import torch
from hydra.utils import instantiate

from gan.config.compose import compose

TRANSLATORS = ("paper_cyclegan", "paper_cut")
# Weights of the generator in millions (of both for cyclegan), batch size, and length in millions of images.
PAPERS = {
    "paper_dcgan": (12.66, 128, 15),
    "paper_stylegan2_ada": (24.77, 64, 25),
    "paper_r3gan": (23.06, 256, 25),
    "paper_projected": (105.68, 64, 25),
    "paper_fastgan": (29.13, 8, 0.4),
    "paper_sngan": (4.28, 64, 16),
    "paper_cyclegan": (22.76, 1, 0.2668),
    "paper_cut": (11.38, 1, 0.5336),
}


@pytest.mark.slow
@pytest.mark.parametrize("experiment", PAPERS)
def test_an_experiment_has_the_published_settings(experiment: str) -> None:
    folders = ["data.a=PATH", "data.b=PATH"] if experiment in TRANSLATORS else ["data.root=PATH"]
    cfg = compose([f"experiment={experiment}", *folders])
    with torch.device("meta"):
        module = instantiate(cfg.model)
    weights = sum(weight.numel() for weight in module.generator.parameters())
    assert (round(weights / 1e6, 2), cfg.data.batch_size, cfg.images / 1e6) == PAPERS[experiment]
