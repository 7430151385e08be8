"""The pictures of docs/tic.md, from a real run.

spikeport train --data digits --timesteps 8 --epochs 30 --tic-every 1 --seed 0 --out runs/tic
spikeport tic runs/tic
python benchmarks/timesteps/fisher_pictures.py runs/tic
"""

from __future__ import annotations

import sys
from pathlib import Path

from spikeport.analysis.figures.fisher import blocks_figure, centroid_figure, epochs_figure, fisher_figure
from spikeport.analysis.information.fisher import FisherResult
from spikeport.analysis.information.history import FisherHistory
from spikeport.analysis.pages.picture import write_picture
from spikeport.stages.folder.bound import read_result

DOCS = Path(__file__).resolve().parents[2] / "docs"


def main() -> None:
    folder = Path(sys.argv[1])
    fisher, history = read_result(FisherResult, folder / "tic.json"), read_result(FisherHistory, folder / "tic_history.json")
    pictures = {
        "curve": fisher_figure(fisher, proposal=fisher.proposal()),
        "blocks": blocks_figure(fisher),
        "centroid": centroid_figure(history),
        "epochs": epochs_figure(history),
    }
    for name, figure in pictures.items():
        write_picture(figure, DOCS / f"tic-{name}.svg")


if __name__ == "__main__":
    main()
