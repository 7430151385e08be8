"""Fisher information during training: what was found after some epochs."""

from __future__ import annotations

from dataclasses import dataclass, replace

from spikeport.analysis.information.fisher import FisherResult


@dataclass(frozen=True)
class FisherHistory:
    """Results by epoch (1-based, ascending); `epochs[i]` belongs to `results[i]`."""

    epochs: tuple[int, ...] = ()
    results: tuple[FisherResult, ...] = ()

    @property
    def informative(self) -> FisherHistory:
        """Without the epochs after which there was no information."""
        kept = [(epoch, result) for epoch, result in zip(self.epochs, self.results) if result.informative]
        return FisherHistory(tuple(epoch for epoch, _ in kept), tuple(result for _, result in kept))

    @property
    def centroids(self) -> tuple[float, ...]:
        """The information centroid after each of the epochs with information."""
        return tuple(centroid for result in self.results if (centroid := result.centroid) is not None)

    def with_result(self, epoch: int, result: FisherResult) -> FisherHistory:
        """With one more; what is there of this epoch and later ones belongs to a run that was taken
        up before them.
        """
        before = sum(e < epoch for e in self.epochs)
        return replace(self, epochs=(*self.epochs[:before], epoch), results=(*self.results[:before], result))
