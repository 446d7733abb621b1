"""buildx's rawjson becomes phases, a log and a table."""

import base64
import io
import json

import pytest

from kiln.progress import Board, Trace

NOW = "2026-11-21T14:00:00.123456789Z"


def vertex(name, **changes):
    return json.dumps({"vertexes": [{"digest": name, "name": name, "started": NOW, **changes}]})


def output(text, name="v"):
    data = base64.b64encode(text.encode()).decode()
    return json.dumps({"logs": [{"vertex": name, "stream": 1, "timestamp": NOW, "data": data}]})


@pytest.fixture
def trace():
    """Return a trace whose log is a string."""
    return Trace(io.StringIO())


def test_marks_of_the_templates_are_phases(trace):
    """`set -x` prints the no-op that names a step."""
    trace.feed(vertex("[compile 4/7] RUN <<'EOF' (set -eux...)"))
    assert trace.phase == "compile 4/7"
    trace.feed(output("+ set\n+ : 'kiln: con"))
    trace.feed(output("figure'\nchecking for gcc\n"))
    assert trace.phase == "configure"


def test_the_last_mark_is_the_phase(trace):
    """A step may print much at once."""
    trace.feed(output("make: x\n+ : 'kiln: instrument'\nmore\n+ : kiln: train\nmore\n"))
    assert trace.phase == "train"


def test_a_step_that_was_announced_is_a_phase_when_it_starts(trace):
    """Each step is named before any runs."""
    trace.feed(vertex("[python 2/4] RUN x", started=None))
    assert (trace.phase, trace.log.getvalue()) == ("starting", "")
    trace.feed(vertex("[python 2/4] RUN x"))
    assert (trace.phase, trace.log.getvalue()) == ("python 2/4", "== [python 2/4] RUN x\n")


def test_what_nobody_waits_for_is_no_phase(trace):
    """Loading the Dockerfile takes no time; exporting does."""
    trace.feed(vertex("[internal] load build definition from Dockerfile"))
    trace.feed(vertex("[base 1/1] FROM debian"))
    assert trace.phase == "starting"
    trace.feed(vertex("exporting to oci image format"))
    assert trace.phase == "export"


def test_the_log_is_for_people(trace):
    """Steps, their output and their errors, decoded."""
    trace.feed(vertex("[compile 1/7] RUN x"))
    trace.feed(output("hello\n"))
    trace.feed(vertex("[compile 1/7] RUN x", completed=NOW, error="exit code: 2"))
    trace.feed("ERROR: failed to solve: exit code: 2\n")
    assert trace.log.getvalue().splitlines() == [
        "== [compile 1/7] RUN x", "hello", "== [compile 1/7] RUN x: exit code: 2",
        "ERROR: failed to solve: exit code: 2",
    ]  # fmt: skip
    assert trace.error == "failed to solve: exit code: 2"


def test_the_error_is_what_the_failed_step_said_last(trace):
    """Not the script that buildx repeats, and not what other steps said."""
    trace.feed(vertex("[python 1/4] RUN x"))
    trace.feed(output("E: Unable to loc", "[python 1/4] RUN x"))
    trace.feed(output("ate package nosuch\n\n", "[python 1/4] RUN x"))
    trace.feed(output("other\n", "[compile 1/7] RUN y"))
    trace.feed(vertex("[compile 1/7] RUN y", error="context canceled"))
    script = 'process "/bin/sh -c set -eux\napt-get" did not complete successfully: exit code: 100'
    trace.feed(vertex("[python 1/4] RUN x", error=script))
    trace.feed(f"ERROR: failed to solve: {script}\n")
    assert trace.error == "E: Unable to locate package nosuch (exit code: 100)"


def test_the_log_says_what_was_cached(trace):
    """Once, however often buildx tells of the step."""
    for _ in range(2):
        trace.feed(vertex("[compile 1/7] RUN x", completed=NOW, cached=True))
    assert trace.log.getvalue().splitlines() == ["== [compile 1/7] RUN x", "== [compile 1/7] RUN x: CACHED"]


def test_events_over_many_lines_are_read_too(trace):
    """Version 0.13 of buildx indents its events."""
    event = json.loads(vertex("exporting to oci image format"))
    for line in json.dumps(event, indent=2).splitlines(keepends=True):
        trace.feed(line)
    assert trace.phase == "export"


@pytest.mark.parametrize("line", ["", "null", "[]", "5", '"x"', "{", "{}"])
def test_other_lines_are_no_traceback(trace, line):
    """Whatever buildx prints beside events is kept."""
    trace.feed(line)


def test_plain_lines_where_nobody_watches(capsys, monkeypatch):
    """One line for each change, none for the same again."""
    monkeypatch.setenv("CI", "1")
    with Board(["a", "b"]) as board:
        board.phase(["a", "b"], "configure")
        board.phase(["a", "b"], "configure")
        board.phase(["a"], "export")
        board.done("a", "built")
        board.done("b", "failed")
    assert capsys.readouterr().err.splitlines() == [
        "a, b: configure (0s)", "a: export (0s)", "a: built (0s)", "b: failed (0s)",
    ]  # fmt: skip


def test_the_table_has_a_row_for_each_build():
    """A terminal sees every build with its phase."""
    from rich.console import Console

    board = Board(["one", "two"])
    board.phase(["one"], "training")
    console = Console(file=io.StringIO(), width=80)
    console.print(board)
    text = console.file.getvalue()
    assert text.split() == ["one", "training", "(0s)", "two", "waiting"]
