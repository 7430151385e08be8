"""The folder of figures and tables beside a page: it says what it was made of, and nothing of the
user's in it is replaced.

`manifest.json` names every file that was written there, with its SHA-256. So a file that is not
named, or was changed since, is the user's.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json, write_json, write_text

MANIFEST, KIND = "manifest.json", "PageFiles"
SUFFIXES = (".svg", ".csv")


def folder_of(page: Path) -> Path:
    """Where the figures and tables of a page lie: `report_files` beside `report.html`."""
    return page.with_name(f"{page.stem}_files")


def write_kept(folder: Path, files: Mapping[str, str], made_of: Mapping[str, str]) -> None:
    """Write texts by name, and remove what an earlier page left there. made_of: content digests, by
    name.

    The manifest names old and new content while files are replaced, so that a run that dies between
    two of them has lost nothing and can be done again.
    """
    before, now = _known(folder) or {}, {name: [_digest(text.encode())] for name, text in files.items()}
    names = sorted({*before, *now})
    _write_manifest(folder, {name: [*before.get(name, []), *now.get(name, [])] for name in names}, made_of)
    for name, text in files.items():
        write_text(folder / name, text)
    for name in before.keys() - now.keys():
        if _is_ours(folder / name, before):
            (folder / name).unlink()
    _write_manifest(folder, now, made_of)


def not_ours(folder: Path) -> Path | None:
    """The first SVG or CSV file, or manifest, in such a folder that spikeport did not write, or
    that was changed since.
    """
    if not folder.exists():
        return None
    if not folder.is_dir():
        return folder
    known = _known(folder)
    if known is None and (folder / MANIFEST).exists():
        return folder / MANIFEST
    files = sorted(path for path in folder.iterdir() if path.suffix in SUFFIXES)
    return next((path for path in files if not _is_ours(path, known or {})), None)


def forget_kept(folder: Path) -> None:
    """Delete what spikeport wrote there, and the folder if nothing else is in it."""
    known = _known(folder)
    if known is None:
        return
    for name in known:
        if _is_ours(folder / name, known):
            (folder / name).unlink()
    (folder / MANIFEST).unlink()
    with suppress(OSError):
        folder.rmdir()


def _write_manifest(folder: Path, known: Mapping[str, list[str]], made_of: Mapping[str, str]) -> None:
    write_json(folder / MANIFEST, {"kind": KIND, "made_of": dict(made_of), "files": dict(known)})


def _known(folder: Path) -> dict[str, list[str]] | None:
    """Digests that a file may have, by its name (none of a page without figures and tables); None
    where no manifest of ours is.
    """
    try:
        manifest: Any = read_json(folder / MANIFEST)
    except InputError:
        return None
    if not isinstance(manifest, dict) or manifest.get("kind") != KIND or not isinstance(manifest.get("files"), dict):
        return None
    files = manifest["files"].items()
    return {name: digests for name, digests in files if Path(name).name == name and name.endswith(SUFFIXES) and isinstance(digests, list)}


def _is_ours(path: Path, known: Mapping[str, list[str]]) -> bool:
    return path.is_file() and not path.is_symlink() and _digest(path.read_bytes()) in known.get(path.name, ())


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
