"""The published schemas of `report.json` and `comparison.json`: files of the package, made from the
types.

After a change of a type, write them anew: `python -m spikeport.analysis.results.schemas`. A test
says when that was forgotten.
"""

from __future__ import annotations

import json
from importlib import resources
from pathlib import Path
from typing import Any

from spikeport.analysis.common.schema import json_schema
from spikeport.analysis.results.comparison import Comparison
from spikeport.analysis.results.report import VERSION, Report
from spikeport.export.common.files import write_json

MADE_OF: dict[str, Any] = {"type": "object", "additionalProperties": {"type": "string"}}


def schemas() -> dict[str, dict[str, Any]]:
    """By the name of the file that each is of."""
    bound: dict[str, dict[str, Any]] = {"kind": {"const": Comparison.__name__}, "made_of": MADE_OF}
    return {"report": json_schema(Report, {"version": {"const": VERSION}}), "comparison": json_schema(Comparison, bound)}


def published(name: str) -> dict[str, Any]:
    """The schema that ships: of "report" or of "comparison"."""
    place = resources.files("spikeport.analysis.results").joinpath(f"{name}.schema.json")
    return json.loads(place.read_text(encoding="utf-8"))


if __name__ == "__main__":
    for name, schema in schemas().items():
        write_json(Path(__file__).with_name(f"{name}.schema.json"), schema)
