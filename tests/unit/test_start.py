"""The start scripts of packages hold together."""

import re

import pytest

from kiln import generated
from tests.unit import family as f
from tests.unit.fixtures import ROOT, WIDE

SCRIPTS = sorted((WIDE.parent / "packages").glob("*/start"))
BETWEEN = re.compile(r"^# From here .*?^# To here\.$", re.MULTILINE | re.DOTALL)
VARIABLE = re.compile(r"\$\{?([A-Z][A-Z_]+)")
# The shell's own, what the example of the scheduler needs, and what is for Python.
OTHERS = {"BASH_VERSION", "PYTHONPATH"}


def shared(path):
    """Return the text of a script that all of them share."""
    return BETWEEN.findall(path.read_text("utf-8"))


def test_there_are_scripts():
    """An empty list would make the others pass."""
    assert [path.parent.name for path in SCRIPTS] == ["celery", "gunicorn", "uvicorn"]


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_the_shared_part_is_that_of_the_template(path):
    """An image is built from its package's folder alone, so each script is whole; what one has, all have."""
    assert shared(path) == shared(ROOT / generated.START)
    assert len(shared(path)) == 1


def test_generating_brings_the_shared_part_up_to_date(tmp_path):
    """And nothing else of a script; a script without the two lines is its author's."""
    package = {"command": ["start"], "targets": ["trixie"], "variants": ["slim"], "pythons": ["3.13"]}
    package |= {"description": "it serves", "versions": ["1.0"], "port": 80}
    package["test"] = {"kind": "http", "imports": ["x"]}
    names = ("changed", "free", "whole")
    family = f.family(packages={name: {**package, "requirements": [name]} for name in names})
    found, folder = f.expand(tmp_path, family), tmp_path / "packages"
    before = SCRIPTS[0].read_text()
    texts = {"changed": before.replace("child=$!\n", "child=1\n"), "free": "#!/bin/sh\nexec free\n", "whole": before}
    for name, text in texts.items():
        (folder / name).mkdir(parents=True)
        (folder / name / "start").write_text(text)
        (folder / name / "start").chmod(0o755)
    generated.write(found)
    assert {name: (folder / name / "start").read_text() for name in texts} == {**texts, "changed": before}
    assert (folder / "changed/start").stat().st_mode & 0o777 == 0o755
    (folder / "whole/start").write_text(texts["changed"])
    assert "+    child=$!\n" in generated.drift(found)
    assert generated.write(found).startswith("packages/whole/start\n1 of")


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_every_variable_is_described(path):
    """What the script reads, the package's page tells; what the page tells, the script reads."""
    read = set(VARIABLE.findall(path.read_text("utf-8"))) - OTHERS
    page = (path.parent / "documentation.md").read_text("utf-8")
    table = page[page.index("## Environment Variables") :]
    described = set(re.findall(r"^\| `([A-Z_]+)`", table, re.MULTILINE))
    assert described <= read
    assert read - described <= set(re.findall(r"[A-Z][A-Z_]+", page))


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_values_are_not_run(path):
    """No value is handed to a shell as text."""
    code = re.sub(r"^\s*#.*$", "", path.read_text("utf-8"), flags=re.MULTILINE)
    assert not re.search(r"\beval\b|\bsh -c\b|`", code)


@pytest.mark.parametrize("path", SCRIPTS, ids=lambda path: path.parent.name)
def test_the_server_takes_the_place_of_the_script(path):
    """The last command is `exec`, so that signals reach the server; the file can be run."""
    last = path.read_text("utf-8").rstrip().replace("\\\n", "").splitlines()[-1]
    assert last.startswith("exec ")
    assert path.stat().st_mode & 0o111 == 0o111
