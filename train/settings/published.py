"""What papers say of each recipe's settings, beside what the recipe has and why: a table made from
the recipe itself.

Every field of a recipe is published (by a paper or its authors' code), open (neither says it),
unused, or ours; `unsaid` names those that are none of these and those that differ without a reason,
and a test refuses any.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from spikeport.train.settings.config import TrainConfig
from spikeport.train.settings.tables import flat

OURS = ("seed", "validation", "threads", "precision", "recompute")
"""Fields that no paper has: they fix the last bits, the speed and the memory."""

HELD_OUT = ("training data", "all", "11/12", "a twelfth is kept for validation, which chooses epoch and T'; test data is looked at once")
BEST = ("reported network", "best epoch on test data", "best epoch on validation data", "test data must not choose")
PLAIN: dict[str, Any] = {
    "tdbn_alpha": 0.0,
    "norm_over": "time",
    "input_code": "direct",
    "dropout": 0.0,
    "shift": 0,
    "flip": False,
    "cutout": 0,
    "optimizer.warmup_epochs": 0.0,
    "optimizer.course": "cosine",
    "optimizer.restart_epochs": 0.0,
    "optimizer.clip_norm": 0.0,
    "optimizer.clip_weights": 0.0,
}
"""What a source that mentions none of it has."""
CROP = {"shift": 4, "flip": True}


def of_sgd(rate: float, decay: float = 5e-4) -> dict[str, Any]:
    return {"optimizer.kind": "sgd", "optimizer.learning_rate": rate, "optimizer.weight_decay": decay, "optimizer.momentum": 0.9}


@dataclass(frozen=True, kw_only=True)
class Paper:
    """source: where the values are from. published: values by dotted field, typed off the source.
    open: what the source leaves open, and why ours.

    reasons: why a field differs from what is published. beyond: differences that no field says:
    what, published, here, why.
    """

    source: str
    published: Mapping[str, Any]
    open: Mapping[str, str] = field(default_factory=dict)
    reasons: Mapping[str, str] = field(default_factory=dict)
    beyond: tuple[tuple[str, str, str, str], ...] = ()


@dataclass(frozen=True)
class Row:
    """One line of the table. why: "" where the recipe has what is published."""

    setting: str
    published: str
    here: str
    why: str


def table(config: TrainConfig, paper: Paper) -> list[Row]:
    """Published, here, why: of every field that is used, in the order of the configuration, then of
    what no field says.
    """
    rows = []
    for name, value in _used(config).items():
        if name in paper.published:
            stated = paper.published[name]
            rows.append(Row(name, _text(stated), _text(value), "" if _same(stated, value) else paper.reasons.get(name, "")))
        elif name in paper.open:
            rows.append(Row(name, "open", _text(value), paper.open[name]))
    return [*rows, *(Row(*each) for each in paper.beyond)]


def unsaid(config: TrainConfig, paper: Paper) -> list[str]:
    """What the table keeps quiet about, or says in vain; none in a recipe."""
    used = _used(config)
    silent = [name for name in used if name not in paper.published and name not in paper.open]
    differs = {name for name, value in used.items() if name in paper.published and not _same(paper.published[name], value)}
    return [*silent, *sorted(differs - set(paper.reasons)), *sorted(set(paper.reasons) - differs), *sorted(set(paper.open) - set(used))]


def _used(config: TrainConfig) -> dict[str, Any]:
    """Fields with a part in the training, by dotted name."""
    fields = dict(flat(asdict(config)))
    unused = {*OURS, *(name for name in fields if name.startswith("events.") and config.data not in ("n-mnist", "dvs-cifar10"))}
    unused |= {"optimizer.momentum"} if config.optimizer.kind != "sgd" else set()
    unused |= {"optimizer.restart_epochs"} if config.optimizer.course == "constant" else set()
    unused |= set() if fields["without_spikes_epochs"] else {"without_spikes_epochs", "neuron.percentile"}
    unused |= {"accumulate"} if config.accumulate == 1 else set()
    unused |= {"stem_bias"} if "preact" not in config.arch else set()
    unused |= set() if config.batch_norm else {"norm_over", "tdbn_alpha"}
    unused |= {"neuron.tau", "neuron.dt", "neuron.threshold_gradient"} if fields.get("neuron.kind") == "if" else set()
    return {name: value for name, value in fields.items() if name not in unused}


def _same(stated: Any, value: Any) -> bool:
    both_numbers = isinstance(stated, (int, float)) and isinstance(value, (int, float))
    return abs(stated - value) <= 1e-9 * max(abs(stated), 1) if both_numbers else stated == value


def _text(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else str(value).lower() if isinstance(value, bool) else str(value)
