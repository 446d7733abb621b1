"""Commands take globs as plain words, and end in one line where a user can mend something."""

import io
import json
from pathlib import Path

import pytest
from invoke import Collection, Program

from kiln import cli
from kiln.errors import KilnError
from tests.unit import family as f


def program(function):
    return Program(namespace=Collection(function), name="invoke", binary="invoke")


def test_any_number_of_plain_words_are_globs(capsys):
    """`invoke build A B --flag C` gives the task three globs."""

    @cli.command()
    def build(_, globs, platform, flag=False):
        print(json.dumps([list(globs), list(platform), flag]))

    def run(*words):
        program(build).run(["invoke", "build", *words], exit=False)
        return json.loads(capsys.readouterr().out)

    assert run() == [[], [], False]
    assert run("3.13*", "--flag", "*-slim-*") == [["3.13*", "*-slim-*"], [], True]
    assert run("--platform", "linux/amd64", "x", "--platform", "linux/arm64") == [
        ["x"], ["linux/amd64", "linux/arm64"], False,
    ]  # fmt: skip


def test_words_behind_two_hyphens_are_globs_too(capsys):
    """None is dropped in silence, which would select everything."""

    @cli.command()
    def build(_, globs):
        print(json.dumps(list(globs)))

    @cli.command()
    def stop(_):
        print("stopped")

    program(build).run(["invoke", "build", "a", "--", "b", "c"], exit=False)
    assert json.loads(capsys.readouterr().out) == ["a", "b", "c"]
    program(stop).run(["invoke", "stop", "--", "b"], exit=False)
    assert capsys.readouterr() == ("", "error: -- b: this command takes no words; leave them out\n")


def test_what_is_no_number_is_one_line(capsys):
    """Invoke itself ends in a traceback there."""

    @cli.command()
    def build(_, globs, jobs=2):
        raise AssertionError(globs, jobs)

    for words in (["--jobs", "many", "x"], ["x", "--jobs=many"]):
        with pytest.raises(SystemExit) as caught:
            program(build).run(["invoke", "build", *words])
        assert caught.value.code == 1
        assert capsys.readouterr().err == "error: --jobs many: not a number; give one\n"


def test_the_checkouts_own_family_is_the_default():
    """A command works in any folder of the checkout, as invoke finds tasks.py from there."""
    assert Path(cli.VERSIONS).samefile(Path(__file__).parents[2] / "versions.json")


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (KilnError("x: found y; do z"), "error: x: found y; do z\n"),
        (
            OSError(28, "No space left on device", "file"),
            "error: file: No space left on device; make room on that disk\n",
        ),
        (KeyboardInterrupt(), "interrupted; the same command carries on from here\n"),
    ],
)
def test_what_a_user_can_mend_is_one_line(capsys, error, message):
    """No traceback, and exit code 1 (130 for Ctrl-C)."""

    @cli.command()
    def fail(_):
        raise error

    with pytest.raises(SystemExit) as caught:
        program(fail).run(["invoke", "fail"])
    assert caught.value.code == (130 if isinstance(error, KeyboardInterrupt) else 1)
    assert capsys.readouterr().err == message


def test_versions_and_folders(tmp_path):
    """--versions and --sources are checked where they are read."""
    assert len(cli.matrix(str(f.write(tmp_path / "v.json", f.family()))).images) == 3
    assert cli.folder("") is None
    assert cli.folder(str(tmp_path)) == tmp_path
    with pytest.raises(KilnError, match="no such folder; --sources takes"):
        cli.folder(str(tmp_path / "none"))


def test_a_terminal_without_a_character_shows_its_number(monkeypatch):
    """A narrow locale is no reason for a traceback."""
    narrow = io.TextIOWrapper(io.BytesIO(), encoding="ascii")
    monkeypatch.setattr("sys.stdout", narrow)
    cli.out("Target \u2193")
    assert narrow.buffer.getvalue() == b"Target \\u2193\n"
