"""Train a GAN on a folder of retro images.

    python train.py                                               DCGAN on the built-in images
    python train.py data=folder data.root=PATH data.size=[96,64]  a folder
    python train.py model=dcgan data=retro trainer.devices=2      two devices
    python train.py -m loss=hinge,nonsaturating seed=0,1          a sweep
    python train.py resume=runs/NAME                              resume

`python train.py --help` lists the groups and options.
"""

from gan.common import signals

if __name__ == "__main__":
    signals.end_silently()  # before the slow imports

import hydra
from omegaconf import DictConfig

from gan.run.launch import errors_in_one_line, launch


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Train a model, and return the objective of a sweep."""
    with errors_in_one_line():
        import torch  # imported late, so that errors in options are printed quickly
        from hydra.utils import instantiate

        from gan.common.clock import seed_of
        from gan.run.job import start_run
        from gan.run.resolvers import describe_rules
        from gan.training.fit import fit

        run, notes = start_run(cfg), describe_rules(cfg)  # before instantiate resolves the rules
        torch.manual_seed(seed_of(cfg.seed, "weights"))
        return fit(cfg, instantiate(cfg.model), instantiate(cfg.data), instantiate(cfg.trainer), run, notes)


if __name__ == "__main__":
    launch(main)
