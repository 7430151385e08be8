"""What the documentation site is made of beside the pages: help of every command, public names,
notebooks, and links to files that are not pages.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Any

from mkdocs.structure.files import File
from nbconvert import MarkdownExporter

import spikeport
from spikeport.cli import COMMANDS, command_parser
from spikeport.commands.parts.modules import command_module

GROUPS = {
    "Data": ["load_data", "dataset", "Dataset", "Split", "Task"],
    "Networks and training": ["build", "train", "lower", "evaluate", "prune", "Trained", "TrainConfig", "SpikingNetwork"],
    "Layers and stages": ["Architecture", "ConvLayer", "DenseLayer", "AveragePool", "MaxPool", "Skip", "Stage", "Projection"],
    "From other frameworks": ["from_snntorch", "from_spikingjelly", "import_nir", "deploy"],
    "Integers and backends": ["quantize", "encode", "simulate", "simulate_float", "verify", "backend", "check_network", "lava_processes"],
    "Decisions and costs": ["fisher_information", "truncate", "device", "estimate_cost", "accuracy_over_time", "correct_over_time"],
    "Reports": ["report", "read_report"],
    "Files": ["read_nir", "write_nir", "read_netx", "write_netx", "write_onnx", "write_float_onnx"],
    "Parts of your own": [
        "add_surrogate",
        "add_loss",
        "add_method",
        "add_data",
        "Method",
        "NeuronConfig",
        "Neuron",
        "LoweredNeuron",
        "Surrogate",
    ],
}
"""The reference's order; what is in no group comes last."""
OUTSIDE = re.compile(r"\[([^\]]*)\]\(((?:\.\./)+[^)#]+)(?:#[^)]*)?\)")


def on_files(files: Any, config: Any, **_: Any) -> Any:
    """Called by mkdocs once: every notebook becomes a page, and stays a file to take along."""
    for notebook in [f for f in files if f.src_uri.endswith(".ipynb")]:
        page, _ = MarkdownExporter().from_filename(notebook.abs_src_path)
        name = Path(notebook.src_uri).name
        content = f"{page}\n[This page as a notebook]({name})\n"
        files.append(File.generated(config, str(Path(notebook.src_uri).with_suffix(".md")), content=content))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, **_: Any) -> str:
    """Called by mkdocs for every page."""
    text = markdown.replace("<!-- commands -->", commands()) if "<!-- commands -->" in markdown else markdown
    text = text.replace("<!-- names -->", names()) if "<!-- names -->" in text else text
    return OUTSIDE.sub(lambda link: _kept(link, Path(config.docs_dir, page.file.src_uri).parent, Path(config.docs_dir)), text)


def commands() -> str:
    """Every command with its help."""
    os.environ["COLUMNS"] = "110"
    parts = []
    for name, summary in COMMANDS.items():
        parser = command_parser(command_module(name), name)
        parts.append(f"## spikeport {name}\n\n{summary[:1].upper()}{summary[1:]}.\n\n```text\n{parser.format_help()}```\n")
    return "\n".join(parts)


def names() -> str:
    """Every public name, by what it is for."""
    grouped = {name for group in GROUPS.values() for name in group}
    rest = [name for name in spikeport.__all__ if name not in grouped]
    parts = []
    for title, group in {**GROUPS, "Values and errors": rest}.items():
        parts.append(f"## {title}\n\n" + "\n\n".join(f"::: {spikeport._HOME[name]}.{name}" for name in group))
    return "\n\n".join(parts)


def _kept(link: re.Match[str], here: Path, docs: Path) -> str:
    """A link to another page as it is; of one to a file of the repository its words, which name the
    file.
    """
    target = (here / link[2]).resolve()
    return link[0] if target.is_relative_to(docs.resolve()) else link[1]
