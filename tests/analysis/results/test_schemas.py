"""The published schemas are those of the types, and agree with the reader on what is a report and
what is not.
"""

from __future__ import annotations

import copy
import random
from dataclasses import replace

import pytest
from support.oracles.compared import run_at
from support.pages.reports import full_report

from spikeport.analysis.common.jsonable import from_json, to_json
from spikeport.analysis.results.comparison import Comparison, compare
from spikeport.analysis.results.report import Report
from spikeport.analysis.results.schemas import published, schemas
from spikeport.export.common.errors import InputError
from spikeport.stages.folder.bound import bound

jsonschema = pytest.importorskip("jsonschema", reason="checks JSON against the schemas: pip install jsonschema")

REPORT = to_json(full_report())
COMPARISON = bound(compare([run_at("a", 1, 0.5), run_at("b", 2, 0.7)]), {"a": "0", "b": "1"})


def complaints(name: str, value) -> list[str]:
    return [error.message for error in jsonschema.Draft202012Validator(published(name)).iter_errors(value)]


@pytest.mark.parametrize("name", ["report", "comparison"])
def test_what_ships_is_made_from_the_types(name):
    assert published(name) == schemas()[name], "a type changed; write the schemas anew: python -m spikeport.analysis.results.schemas"
    jsonschema.Draft202012Validator.check_schema(published(name))


def test_what_is_written_is_valid():
    assert complaints("report", REPORT) == [] and complaints("comparison", COMPARISON) == []
    bare = full_report()
    assert complaints("report", to_json(Report("t", "s", bare.network, bare.semantics))) == []
    assert complaints("report", to_json(replace(bare, cost=None, truncation=None, samples=()))) == []


@pytest.mark.parametrize("change", [{"version": 1}, {"title": None}, {"more": 0}])
def test_a_report_that_is_none_is_not_valid(change):
    assert complaints("report", {**REPORT, **change})


@pytest.mark.parametrize("missing", ["kind", "made_of", "runs"])
def test_a_comparison_names_its_kind_and_its_networks(missing):
    assert complaints("comparison", {name: value for name, value in COMPARISON.items() if name != missing})
    assert complaints("comparison", {**COMPARISON, "kind": "Report"})


def damaged(value, rng: random.Random):
    """The same JSON with one field of any depth taken away, added, or of another type."""
    value = copy.deepcopy(value)
    at = value
    while True:
        key = rng.choice(list(at)) if isinstance(at, dict) else rng.randrange(len(at))
        deeper = isinstance(at[key], (dict, list)) and at[key]
        if not deeper or rng.random() < 0.2:
            break
        at = at[key]
    what = rng.choice(["take", "add", "other"])
    if what == "take" and isinstance(at, dict):
        del at[key]
    elif what == "add" and isinstance(at, dict):
        at["surprise"] = 1
    else:
        at[key] = rng.choice([None, True, 3, 0.5, "text", [], {}, [1, 2], {"a": 1}])
    return value


@pytest.mark.parametrize("seed", range(300))
def test_schema_and_reader_agree_on_damaged_reports(seed):
    value = damaged(REPORT, random.Random(seed))
    if value.get("version") != REPORT["version"]:
        return  # told by the reader of the file, before the fields
    try:
        from_json(Report, value)
        readable = True
    except InputError:
        readable = False
    assert readable == (complaints("report", value) == []), (complaints("report", value)[:3], readable)


@pytest.mark.parametrize("seed", range(60))
def test_schema_and_reader_agree_on_damaged_comparisons(seed):
    fields = {name: value for name, value in COMPARISON.items() if name not in ("kind", "made_of")}
    value = damaged(fields, random.Random(seed))
    try:
        from_json(Comparison, value)
        readable = True
    except InputError:
        readable = False
    assert readable == (complaints("comparison", {**value, "kind": "Comparison", "made_of": {}}) == [])
