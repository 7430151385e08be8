"""Arguments of the commands that train; apart from the others because they load the training
package.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from spikeport.commands.parts.options import add_data
from spikeport.train.data.own import is_own
from spikeport.train.loop.accelerator import ACCELERATORS
from spikeport.train.settings.config import DATA_DEFAULTS
from spikeport.train.settings.methods import METHODS
from spikeport.train.settings.named_losses import loss_forms
from spikeport.train.settings.recipes import PUBLISHED


def add_training(parser: argparse.ArgumentParser) -> None:
    """What to train and how; everything left out comes from the named recipe, or the data set's."""
    parser.add_argument("--recipe", metavar="NAME", help=f"a published run, overruled by what else is said: {', '.join(PUBLISHED)}")
    parser.add_argument(
        "--data",
        type=_data_set,
        metavar="NAME|OWN.npz",
        help=f"data set (default digits): {', '.join(DATA_DEFAULTS)}; or your own: an .npz, or a folder of .npy files, with x, y and, if you "
        "like, split. events is a folder of recordings per class, counted as [train.events] in a configuration says",
    )
    parser.add_argument("--method", choices=list(METHODS), help="training method")
    parser.add_argument("--arch", metavar="NAME", help="a named network, or the papers' notation such as 15C5-P2-40C5-P2-300")
    parser.add_argument("--loss", metavar="NAME", help=f"default the method's own; {', '.join(loss_forms())}")
    parser.add_argument("--timesteps", type=int, metavar="T")
    parser.add_argument("--epochs", type=int, metavar="N")
    parser.add_argument("--seed", type=int, metavar="S", help="of weights, order of samples, augmentation and splits")
    parser.add_argument(
        "--validation",
        type=int,
        metavar="N",
        help="training samples set aside to choose the epoch and T' (default the data set's own number)",
    )
    add_data(parser)


def _data_set(text: str) -> str:
    """A name, or the place of a user's own, which must be found from any directory later."""
    return str(Path(text).resolve()) if is_own(text) else text


def add_accelerator(parser: argparse.ArgumentParser) -> None:
    """`--accelerator`."""
    parser.add_argument(
        "--accelerator",
        choices=ACCELERATORS,
        default="cpu",
        help="where training runs (default cpu); what was trained on a GPU (cuda) runs anywhere",
    )
