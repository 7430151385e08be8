"""The folder beside a page: what spikeport wrote there is known again, and what anybody else wrote
or changed stays.
"""

from __future__ import annotations

import pytest

from spikeport.analysis.pages import kept
from spikeport.analysis.pages.kept import forget_kept, not_ours, write_kept

FIRST, SECOND = {"a.svg": "1", "b.csv": "2"}, {"b.csv": "3", "c.csv": "4"}


def here(folder) -> dict[str, str]:
    return {path.name: path.read_text() for path in folder.iterdir() if path.name != kept.MANIFEST}


def test_a_second_page_leaves_nothing_of_the_first(tmp_path):
    folder = tmp_path / "files"
    assert not_ours(folder) is None
    write_kept(folder, FIRST, {})
    assert here(folder) == FIRST and not_ours(folder) is None
    write_kept(folder, SECOND, {})
    assert here(folder) == SECOND and not_ours(folder) is None
    forget_kept(folder)
    assert not folder.exists()


@pytest.mark.parametrize(("name", "text"), [("a.svg", "changed"), ("mine.csv", "2"), ("manifest.json", "{}")])
def test_what_is_not_ours_is_named_and_survives_forgetting(tmp_path, name, text):
    folder = tmp_path / "files"
    write_kept(folder, FIRST, {})
    (folder / name).write_text(text)
    assert not_ours(folder) == folder / name
    forget_kept(folder)
    assert (folder / name).read_text() == text


def test_other_things_in_the_folder_are_left_alone(tmp_path):
    folder = tmp_path / "files"
    write_kept(folder, FIRST, {})
    (folder / "notes.txt").write_text("mine")
    assert not_ours(folder) is None
    write_kept(folder, SECOND, {})
    forget_kept(folder)
    assert here(folder) == {"notes.txt": "mine"}


def test_a_file_in_the_folders_place_is_not_ours(tmp_path):
    (tmp_path / "files").write_text("mine")
    assert not_ours(tmp_path / "files") == tmp_path / "files"


def test_a_manifest_reaches_no_file_outside(tmp_path):
    (tmp_path / "out.svg").write_text("1")
    folder = tmp_path / "files"
    write_kept(folder, {"a.svg": "1"}, {})
    (folder / kept.MANIFEST).write_text((folder / kept.MANIFEST).read_text().replace("a.svg", "../out.svg"))
    forget_kept(folder)
    assert (tmp_path / "out.svg").read_text() == "1"


@pytest.mark.parametrize("dies_at", range(5))
def test_a_run_that_dies_at_any_file_can_be_done_again(tmp_path, monkeypatch, dies_at):
    """Writes: manifest, two files, manifest; none happens from the given one on."""
    folder, done = tmp_path / "files", []
    write_kept(folder, FIRST, {})

    def dying(write):
        def wrapped(*arguments):
            if len(done) == dies_at:
                raise KeyboardInterrupt
            done.append(arguments)
            write(*arguments)

        return wrapped

    with monkeypatch.context() as patch:
        for name in ("write_text", "write_json"):
            patch.setattr(kept, name, dying(getattr(kept, name)))
        if dies_at < 4:
            with pytest.raises(KeyboardInterrupt):
                write_kept(folder, SECOND, {})
        else:
            write_kept(folder, SECOND, {})
    assert not_ours(folder) is None
    write_kept(folder, SECOND, {})
    assert here(folder) == SECOND and not_ours(folder) is None


def test_a_page_without_figures_is_written_again_and_forgotten(tmp_path):
    """An empty manifest is ours, too."""
    write_kept(tmp_path / "p_files", {}, {})
    assert not_ours(tmp_path / "p_files") is None
    forget_kept(tmp_path / "p_files")
    assert not (tmp_path / "p_files").exists()
