"""Folders of samples with a sub-folder per class, whose label is its name's place in the alphabet."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from typing import TypeAlias

import numpy as np

from spikeport.export.common.errors import InputError

Labelled: TypeAlias = "tuple[list[str], np.ndarray]"
"""Paths `CLASS/.../NAME` below a folder, in order, and their labels, int64 `(files,)`."""


def labelled_files(folders: Sequence[Path], suffixes: tuple[str, ...]) -> tuple[int, list[Labelled]]:
    """Number of classes, and the files of every folder.

    Only a sub-folder that holds files with one of the suffixes, in lower case, is a class.

    Raises:
        InputError: fewer than two classes, or not the same ones in all folders.
    """
    splits = [_by_class(folder, suffixes) for folder in folders]
    classes = splits[0].keys()
    for folder, here in zip(folders, splits):
        if here.keys() != classes:
            name = min(here.keys() ^ classes)
            has, lacks = (folder, folders[0]) if name in here else (folders[0], folder)
            raise InputError(f"{lacks} has no folder {name} with files, which {has} has; sort both into the same classes")
    if len(classes) < 2:
        raise InputError(f"{folders[0]}: no files ({', '.join(suffixes)}) in two sub-folders or more, one per class; put them there")
    return len(classes), [_labelled(here) for here in splits]


def _labelled(files: dict[str, list[str]]) -> Labelled:
    return list(chain.from_iterable(files.values())), np.repeat(np.arange(len(files)), [len(each) for each in files.values()])


def _by_class(folder: Path, suffixes: tuple[str, ...]) -> dict[str, list[str]]:
    """Files by class, both in order.

    What is hidden is no sample: macOS leaves `._NAME` beside what it packs.
    """
    classes = sorted(entry.name for entry in os.scandir(folder) if entry.is_dir() and not entry.name.startswith("."))
    files_of = {name: sorted(_below(folder, name, suffixes), key=lambda file: file.split("/")) for name in classes}
    return {name: files for name, files in files_of.items() if files}


def _below(folder: Path, name: str, suffixes: tuple[str, ...]) -> list[str]:
    paths = []
    for at, inner, files in os.walk(folder / name):
        inner[:] = [each for each in inner if not each.startswith(".")]
        place = Path(at).relative_to(folder).as_posix()
        paths += [f"{place}/{file}" for file in files if file.lower().endswith(suffixes) and not file.startswith(".")]
    return paths
