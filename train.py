"""Train a GAN on a folder of retro images, as `gan train` does.

    python train.py                                               DCGAN on the built-in images
    python train.py data=folder data.root=PATH data.size=[96,64]  a folder
    python train.py model=dcgan data=retro trainer.devices=2      two devices
    python train.py -m loss=hinge,nonsaturating seed=0,1          a sweep
    python train.py resume=runs/NAME                              resume

`python train.py --help` lists the groups and options. gan/commands/train.py is the program.
"""

import os
import sys

if sys.flags.safe_path:  # in the process of a further device, Python does not add the folder of this file by itself
    sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from gan.utils import processes

if __name__ == "__main__":
    processes.end_silently()  # before the slow imports
    processes.skip_at_exit()

    from gan.commands import train
    from gan.utils.errors import SCRIPT

    train.main(sys.argv[1:], SCRIPT)
