"""Write what differs from the papers in each recipe into docs/recipes.md, from the recipes
themselves.

python benchmarks/recipes_table.py docs/recipes.md
"""

from __future__ import annotations

import sys
from pathlib import Path

from spikeport.train.settings.papers import PAPERS
from spikeport.train.settings.published import table
from spikeport.train.settings.recipes import PUBLISHED

HEAD = """# Published settings, and what differs here

`spikeport train --recipe NAME --out DIR`. Of each recipe: what its paper or its authors' code says, what the recipe has, and why, wherever the two differ or the source
leaves something open. Everything else is as published ([`papers`](../train/settings/papers.py)). Written by `python benchmarks/recipes_table.py docs/recipes.md`; a test
refuses a difference that is not said. `--print-config` prints the same lines below a recipe's settings.
"""


def page() -> str:
    """The whole page: recipes with one table share it."""
    shared: dict[str, list[str]] = {}
    for name, config in PUBLISHED.items():
        rows = [row for row in table(config, PAPERS[name]) if row.why]
        lines = [f"| {row.setting} | {row.published} | {row.here} | {row.why} |" for row in rows]
        text = "\n".join([f"Source: {PAPERS[name].source}.", "", "| setting | published | here | why |", "|---|---|---|---|", *lines])
        shared.setdefault(text, []).append(name)
    return HEAD + "".join(f"\n## {', '.join(names)}\n{text}\n" for text, names in shared.items())


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    Path(sys.argv[1]).write_text(page(), encoding="utf-8")
