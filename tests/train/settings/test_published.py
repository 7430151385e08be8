"""What recipes say about the papers: nothing that differs is unsaid, and the table is made from the
recipe itself.
"""

import runpy
from dataclasses import replace

import pytest
from support.places import ROOT

from spikeport.cli import main
from spikeport.train.settings.papers import PAPERS
from spikeport.train.settings.published import Paper, table, unsaid
from spikeport.train.settings.recipes import PUBLISHED, published


@pytest.mark.parametrize("name", PUBLISHED)
def test_no_difference_is_unsaid(name):
    assert unsaid(published(name), PAPERS[name]) == []
    assert PAPERS[name].source and any(what == "training data" for what, *_ in PAPERS[name].beyond)


def test_what_would_be_unsaid_is_found():
    config, paper = published("tssl-mnist-t5"), PAPERS["tssl-mnist-t5"]
    assert unsaid(replace(config, epochs=3), paper) == ["epochs"]
    assert unsaid(config, replace(paper, published={k: v for k, v in paper.published.items() if k != "loss"})) == ["loss"]
    assert unsaid(config, replace(paper, reasons={"epochs": "none"})) == ["epochs"]
    assert unsaid(config, replace(paper, open={"events.by": "not used with images"})) == ["events.by"]


def test_the_table_shows_the_recipe():
    config = published("noise-mnist-t5")
    rows = {row.setting: row for row in table(config, PAPERS["noise-mnist-t5"])}
    assert (rows["epochs"].published, rows["epochs"].here, rows["epochs"].why) == ("100", "100", "")
    assert (rows["neuron.decay"].published, rows["neuron.decay"].here) == ("open", "0.5")
    assert rows["batch_norm"].here == "false" and not rows["batch_norm"].why
    changed = table(replace(config, epochs=7), PAPERS["noise-mnist-t5"])
    assert next(row.here for row in changed if row.setting == "epochs") == "7"
    assert all(row.why for row in table(config, Paper(source="none", published={}, open=dict.fromkeys(rows, "why"))))


def test_the_page_is_what_the_recipes_are():
    page = runpy.run_path(str(ROOT / "benchmarks" / "recipes_table.py"))["page"]()
    assert (ROOT / "docs" / "recipes.md").read_text(encoding="utf-8") == page, "run python benchmarks/recipes_table.py docs/recipes.md"


def test_print_config_says_what_differs(tmp_path, capsys):
    words = ["train", "--recipe", "tssl-fashion-mnist-t5", "--epochs", "3", "--out", str(tmp_path / "run")]
    assert main([*words, "--print-config"]) == 0
    text = capsys.readouterr().out
    assert "# epochs: published 100, here 3: said on the command line or in a file\n" in text
    assert "# training data: published all, here 11/12: a twelfth is kept" in text
    (tmp_path / "c.toml").write_text(text)
    assert main(["train", "--config", str(tmp_path / "c.toml"), "--print-config", "--out", str(tmp_path / "run")]) == 0
    assert capsys.readouterr().out == "".join(line for line in text.splitlines(keepends=True) if not line.startswith("#"))
