"""The import commands: JSON on standard output, remarks beside it, and one line for a mistake."""

import json

import pytest
from invoke import Program

import tasks
from kiln import catalog
from tests.unit.fixtures import OFFICIAL, WIDE
from tests.unit.test_import_infra7 import small

DAY = OFFICIAL[0]
FILES = [
    "--source",
    str(DAY / "versions.json"),
    "--parents",
    str(DAY / "parents.json"),
    "--meta",
    str(DAY / "meta.json"),
    "--offline",
]


def invoke(capsys, *words):
    program = Program(namespace=tasks.namespace, name="invoke", binary="invoke")
    program.run(["invoke", *words, "--versions", str(WIDE)], exit=False)
    return capsys.readouterr()


def test_standard_output_is_the_file_and_nothing_else(capsys):
    """What is not carried over is listed beside it."""
    out, err = invoke(capsys, "import.docker-library", *FILES)
    assert catalog.dumps(catalog.loads(out, "out")) == out
    assert json.loads(out)["repository"] == "python"
    assert "get-pip is not carried over" in err


def test_out_names_a_file(tmp_path, capsys):
    """Which then holds the same."""
    path = tmp_path / "versions.json"
    out, _ = invoke(capsys, "import.docker-library", *FILES, "--out", str(path), "--repository", "me/python")
    assert out == f"wrote {path}\n"
    assert catalog.load(path).repository == "me/python"


def test_a_folder_is_a_plain_word(tmp_path, capsys):
    """`invoke import.infra7 DIR`."""
    small(tmp_path)
    out, _ = invoke(capsys, "import.infra7", str(tmp_path), "--default-target", "bookworm", "--offline")
    assert catalog.loads(out, "out").releases[0].version == "3.13.0"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["import.docker-library"], "error: --source is needed"),
        (["import.infra7", "nowhere"], "error: nowhere/targets: cannot be read"),
        (["import.docker-library", *FILES[:2], "--parents", str(DAY / "meta.json")], "meta.json: $"),
    ],
)
def test_a_mistake_is_one_line_and_writes_nothing(tmp_path, capsys, words, message):
    """With exit code 1."""
    path = tmp_path / "versions.json"
    out, err = invoke(capsys, *words, "--out", str(path))
    assert out == ""
    assert message in err
    assert err.count("\n") == 1
    assert not path.exists()
