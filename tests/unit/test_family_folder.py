"""A family owns its folder: what a name means, and when nothing may be written there."""

import pytest

from kiln import family, paths, readme
from kiln.errors import CatalogError
from tests.unit import family as f
from tests.unit.test_packages import UVICORN


def test_a_folder_stands_for_its_file(tmp_path):
    """As it does for many tools; a file is itself."""
    path = f.write(tmp_path / "versions.json", f.family())
    assert family.locate(tmp_path) == family.locate(path) == path
    assert family.load(tmp_path).folder == family.load(path).folder == tmp_path
    assert family.load(path).file == path


def test_a_relative_name_is_known_wherever_the_process_goes(tmp_path, monkeypatch):
    """The family keeps absolute paths: of its folder, and of its packages' folders."""
    f.write(tmp_path / "versions.json", f.family(packages={"uvicorn": UVICORN}))
    monkeypatch.chdir(tmp_path)
    found = family.load("versions.json")
    assert found.file == tmp_path / "versions.json"
    assert {image.installed.folder for image in found.packages} == {tmp_path / "packages/uvicorn"}


def test_commands_that_are_printed_name_the_family(tmp_path):
    """Those of the checkout's own need not."""
    folder = tmp_path / "my family"
    assert family.option(folder / "versions.json") == f" --versions '{folder}'"
    assert family.option(tmp_path / "other.json") == f" --versions {tmp_path}/other.json"
    assert family.option(paths.ROOT / "versions.json") == ""


@pytest.mark.parametrize("name", ["nowhere.json", "nowhere/versions.json", ""])
def test_no_such_file_is_one_line(tmp_path, name):
    """An empty folder is named with the file that it lacks."""
    with pytest.raises(CatalogError, match=r"json: no such file; run from the checkout or name the file"):
        family.load(tmp_path / name)


def test_a_folder_belongs_to_its_versions_json(tmp_path):
    """Whatever that holds: another file's family would overwrite what is generated for it."""
    mine, theirs = f.write(tmp_path / "mine.json", f.family()), tmp_path / "versions.json"
    theirs.write_text("half an edit {")
    with pytest.raises(CatalogError) as caught:
        family.own(family.load(mine))
    assert str(caught.value) == (
        f"{mine}: its folder holds the files of versions.json, which would be overwritten; "
        "move mine.json to a folder of its own"
    )


def test_two_families_without_a_versions_json_are_both_refused(tmp_path):
    """Neither of them owns the folder."""
    files = [f.write(tmp_path / name, f.family()) for name in ("one.json", "two.json")]
    for file in files:
        with pytest.raises(CatalogError, match="a folder of its own"):
            family.own(family.load(file))


def test_other_files_are_no_families(tmp_path):
    """Results, schemas, links to the same file, and what is no JSON at all."""
    mine = f.write(tmp_path / "mine.json", f.family())
    for name, text in {"results.json": '{"images": {}}', "list.json": "[1]", "broken.json": "{"}.items():
        (tmp_path / name).write_text(text)
    (tmp_path / "link.json").symlink_to("mine.json")
    (tmp_path / "dangling.json").symlink_to("nowhere.json")
    assert family.own(family.load(mine)).file == mine
    assert family.own(family.load(tmp_path / "link.json")).folder == tmp_path


def test_versions_json_owns_its_folder(tmp_path):
    """A draft beside it changes nothing."""
    f.write(tmp_path / "draft.json", f.family())
    path = f.write(tmp_path / "versions.json", f.family())
    assert family.own(family.load(path)).file == path


def test_a_family_without_a_readme_gets_a_first_one(tmp_path):
    """With the family's own facts; afterwards only its blocks are rewritten."""
    mine = f.expand(tmp_path, f.family(repository="me/snakes"))
    assert "+# snakes\n" in readme.drift(mine)
    readme.write(mine)
    path = tmp_path / "README.md"
    text = path.read_text()
    assert text.startswith("# snakes\n")
    assert "`3.13.5-slim-trixie`" in text
    path.write_text(text + "\nMore.\n")
    assert readme.write(mine).startswith("0 of ")
    assert path.read_text() == text + "\nMore.\n"
