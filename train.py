"""Train a GAN on a folder of retro images.

    python train.py                                               DCGAN on the built-in images
    python train.py data=folder data.root=PATH data.size=[96,64]  a folder
    python train.py model=dcgan data=retro trainer.devices=2      two devices
    python train.py -m loss=hinge,nonsaturating seed=0,1          a sweep
    python train.py resume=runs/NAME                              go on

`python train.py --help` lists the parts and options.
"""

from gan.common import signals

if __name__ == "__main__":
    signals.quiet()  # before imports that take a second

import hydra
from omegaconf import DictConfig

from gan.run.launch import errors_in_one_line, launch


@hydra.main(version_base="1.3", config_path="conf", config_name="train")
def main(cfg: DictConfig) -> float:
    """Build, fit, and return the number that a sweep minimizes."""
    with errors_in_one_line():
        import torch  # the heavy imports wait until there is something to train
        from hydra.utils import instantiate

        from gan.common.clock import seed_of
        from gan.run.config import rules
        from gan.run.resume import begin
        from gan.training.fit import fit

        run, notes = begin(cfg), rules(cfg)  # before values take the place of the rules that they come from
        torch.manual_seed(seed_of(cfg.seed, "weights"))
        return fit(cfg, instantiate(cfg.model), instantiate(cfg.data), instantiate(cfg.trainer), run, notes)


if __name__ == "__main__":
    launch(main)
