"""Nothing of the user's is lost: who may write where. The rules in words are in docs/files.md."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from spikeport.analysis.pages.kept import folder_of, not_ours
from spikeport.analysis.pages.page import is_page
from spikeport.export.common.errors import InputError
from spikeport.export.common.files import read_json
from spikeport.export.common.lock import locked
from spikeport.export.floating.file import is_float_file
from spikeport.export.nir.file import is_quantized, read_nir
from spikeport.hw.records.record_file import read_made_of
from spikeport.stages.folder.bound import KIND, MADE_OF, Digests, json_digests, network_made_of, stale
from spikeport.stages.folder.workspace import Workspace
from spikeport.train.loop.checkpoint import CONFIG
from spikeport.train.settings.config import read_config

Origin = Callable[[Path], "Digests | None"]
"""What a file was made of, empty where it does not say; None where spikeport did not write it, or
not as this kind.
"""


def network_origin(path: Path) -> Digests | None:
    """Of a quantized network."""
    try:
        return network_made_of(read_nir(path)) if is_quantized(path) else None
    except InputError:
        return None


def onnx_origin(path: Path) -> Digests | None:
    """Of an ONNX model that spikeport exported."""
    import onnx  # noqa: PLC0415  slow to import, seldom needed
    from google.protobuf.message import DecodeError  # noqa: PLC0415

    try:
        model = onnx.load(path, load_external_data=False)
    except (DecodeError, OSError, ValueError):
        return None
    said = {entry.key: entry.value for entry in model.metadata_props}
    return {"network": said.get("spikeport.network", "")} if model.producer_name == "spikeport" else None


def netx_origin(path: Path) -> Digests | None:
    """Of a `.net` file that spikeport exported."""
    from spikeport.export.netx.file import exported_from  # noqa: PLC0415  slow to import, seldom needed

    try:
        digest = exported_from(path)
    except InputError:
        return None
    return None if digest is None else {"network": digest}


def json_origin(kind: type) -> Origin:
    """Of a JSON result of a kind."""
    return lambda path: json_digests(path, kind.__name__)


def page_origin(path: Path) -> Digests | None:
    """Of a page or a picture; neither says more than that spikeport drew it."""
    return {} if is_page(path) else None


def check_output(path: Path, origin: Origin, made_of: Digests, *, force: bool, home: Path | None = None) -> None:
    """Refuse to replace what another network or another program made.

    A file that spikeport wrote as the same kind may be replaced, but in a training directory only
    by what was made of the same, or
    by a stage of this very directory. home: the directory whose stage this is.

    Raises:
        InputError: the file stays; --force replaces it.
    """
    if force or not path.exists():
        return
    kept = origin(path)
    if kept is None:
        reason = "not a file of this kind that spikeport wrote, or is damaged"
        raise InputError(f"{path} is {reason}; choose another place, or --force to replace it")
    at_home = home is not None and home.resolve() == path.parent.resolve()
    if dict(kept) != dict(made_of) and not at_home and Workspace(path.parent).begun:
        reason = stale(kept, made_of) or "it was made of something else"
        raise InputError(f"{path} is a result of {path.parent}, and {reason}; choose another --out, or --force to replace it")


def check_network(path: Path, made_of: Digests, *, force: bool, home: Path | None = None) -> None:
    """The same for a quantized network, of which other results speak: its own directory too
    replaces it only by the same again.

    One that was made of weights that its directory no longer holds, as those of an earlier epoch,
    may be replaced there.
    """
    kept = network_origin(path) if path.exists() else None
    outdated = kept is not None and kept.get("trained") not in (None, made_of.get("trained"))
    check_output(path, network_origin, made_of, force=force, home=home if outdated else None)


def check_ours(work: Workspace, *paths: Path) -> None:
    """Refuse a folder in which a file by one of our names is not ours. paths: only these of them,
    all where none is given.

    Raises:
        InputError: names the file.
    """
    for path, ours in _recognisers(work).items():
        if (not paths or path in paths) and path.exists() and not ours(path):
            raise InputError(
                f"{path} was not written by spikeport, or is damaged; move it away, choose another --out, or --force to replace it"
            )
    if not paths:
        for page in work.pages:
            check_kept(page, force=False)


def check_report(work: Workspace) -> None:
    """The same for the report, its page, and the folder of its figures and tables.

    Raises:
        InputError: names the file.
    """
    page = work.report.with_suffix(".html")
    check_ours(work, work.report, page)
    check_kept(page, force=False)


def check_kept(page: Path, *, force: bool) -> None:
    """Refuse to write a page's figures and tables where one of them is the user's, or was changed
    since spikeport wrote it.

    Raises:
        InputError: names the file.
    """
    if not force and (theirs := not_ours(folder_of(page))):
        raise InputError(
            f"{theirs} was not written by spikeport, or was changed since; move it away, choose another place, or --force to replace it"
        )


def _recognisers(work: Workspace) -> dict[Path, Callable[[Path], Any]]:
    """For every file by one of our names, what tells whether it is ours."""
    model, config, metrics, state = work.trainings
    known: dict[Path, Callable[[Path], Any]] = {
        model: _is_safetensors,
        state: _is_safetensors,
        config: _is_config,
        metrics: _has("task"),
        work.place: _has("data_dir"),
        work.report: _has("semantics"),
        work.source: _has(KIND, MADE_OF),
        work.floating: is_float_file,
        work.samples: _is_record,
    }
    for path in work.results:
        known.setdefault(path, {".nir": _is_network, ".npz": _is_record}.get(path.suffix, _has(KIND, MADE_OF)))
    return known | dict.fromkeys(work.pages, is_page)


def _is_network(path: Path) -> bool:
    """Whether a file is a quantized network."""
    try:
        return is_quantized(path)
    except InputError:
        return False


def _is_record(path: Path) -> bool:
    return read_made_of(path) is not None


def _is_config(path: Path) -> bool:
    try:
        read_config(path)
    except InputError:
        return False
    return True


def _is_safetensors(path: Path) -> bool:
    try:
        with safe_open(path, "pt"):
            return True
    except (SafetensorError, OSError):
        return False


def _has(*names: str) -> Callable[[Path], bool]:
    """Whether a file is a JSON object with these fields."""

    def holds(path: Path) -> bool:
        try:
            value = read_json(path)
        except InputError:
            return False
        return isinstance(value, Mapping) and all(name in value for name in names)

    return holds


def check_place(work: Workspace, *, force: bool, resume: bool | None = None, brought: Digests | None = None) -> None:
    """Refuse to begin where work would be lost.

    resume: whether a training must be there, or None where its own is gone on with. brought: of a
    network that was brought along and its data; a run of the same is gone on with.

    Raises:
        InputError: another run or a file that is not ours is there, or there is no run to resume.
    """
    settings = work.root / CONFIG
    if resume and force:
        raise InputError("--resume goes on with what --force deletes; give one of them")
    if force:
        return
    if resume and not settings.is_file():
        raise InputError(f"{work.root} holds no run to resume (no {CONFIG}); check --out, or begin one without --resume")
    check_ours(work)
    if brought is None and (resume or (resume is None and settings.is_file())):
        return
    if brought is not None and (kept := json_digests(work.source, "Source")):
        if other := stale(kept, brought):
            raise InputError(
                f"{work.root} holds a run already ({work.source.name}), but {other}; --force replaces it, or choose another --out"
            )
        return
    if there := next((path for path in (*work.trainings, *work.imports, *work.results) if path.exists()), None):
        ways = "--resume goes on with it, --force replaces it" if settings.is_file() and brought is None else "--force replaces it"
        raise InputError(f"{work.root} holds a run already ({there.name}); {ways}, or choose another --out")


@contextmanager
def claimed(work: Workspace, *, force: bool = False, resume: bool | None = None, brought: Digests | None = None) -> Iterator[None]:
    """Hold a folder alone while a run and its stages write into it. force: what it holds by our
    names goes first.

    Raises:
        InputError: another process is at work there, or see `check_place`.
    """
    with locked(work.root):
        check_place(work, force=force, resume=resume, brought=brought)
        if force:
            work.forget()
        yield


def forget_run(work: Workspace) -> None:
    """Delete what a folder holds by our names, and the folder where nothing else is in it.

    Raises:
        InputError: another process is at work there.
    """
    with locked(work.root):
        work.forget()
    with suppress(OSError):  # something of the user's lies there
        work.root.rmdir()


@contextmanager
def held(*folders: Path) -> Iterator[None]:
    """Hold those of the folders that are training directories, so that no other process changes
    their networks meanwhile.

    Raises:
        InputError: another process is at work in one of them.
    """
    with ExitStack() as stack:
        for folder in sorted({folder.resolve() for folder in folders}):
            if Workspace(folder).begun:
                stack.enter_context(locked(folder))
        yield
