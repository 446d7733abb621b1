"""KEY=value lines are read as a shell reads them, and nothing of them is executed."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kiln import envfile
from kiln.errors import ImportedError, KilnError


def read(folder, text):
    path = folder / "x.env"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return envfile.read(path)


READ = [
    ("A=1", "1"), ("A=1\n", "1"), ("A=1\r\n", "1"), ("A=", ""), ("A=''", ""), ('A=""', ""), ("\n\n  A=1  \n", "1"),
    ("export A=1", "1"), ("\texport  A=1 # why", "1"), ("A = 1", "1"), ("A=1#2", "1#2"), ("A= # nothing", ""),
    ("A='1 2'", "1 2"), ('A="1 2" # x', "1 2"), ('A=1"2 3"4', "12 34"), (r'A="say \"hi\""', 'say "hi"'), (r"A=1\ 2", "1 2"),
    ("A=\" \\\n    gcc \\\n    make \\\n\"\n", "gcc make"), ("A='$HOME'", "$HOME"), (r'A="\$5"', "$5"),
    ("#!/usr/bin/env bash\n#B=2\nA=1\n# vim: ts=4", "1"), ("A=https://example.org/a?b=c", "https://example.org/a?b=c"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "value"), READ)
def test_values(tmp_path, text, value):
    """Comments, quotes, export, white space, and values that go over lines."""
    file = read(tmp_path, text)
    assert file.values.keys() == {"A"}
    assert file.get("A") == value
    assert file.get("B") == ""


@pytest.mark.parametrize(
    "text", ["A=$HOME", 'A="${B:-1}"', "A=$(touch x)", "A=`touch x`", 'A="$(touch x)"', "A=1'2'$B"]
)
def test_what_a_shell_would_expand_is_refused_where_it_is_needed(tmp_path, monkeypatch, text):
    """Not before: a file may hold much that is not asked for."""
    monkeypatch.chdir(tmp_path)
    file = read(tmp_path, f"B=2\n{text}")
    assert file.get("B") == "2"
    with pytest.raises(ImportedError, match=r"x.env: line 2: A: found .*, which a shell would expand; write the value"):
        file.get("A")
    assert [path.name for path in tmp_path.iterdir()] == ["x.env"]


BAD = [
    ("A=1\nsource other\n", 'line 2: found "source other"; write KEY=value'),
    ("A=1\n\nA=2", 'line 3: found "A"; the key stands twice'),
    ("A=1 2", 'line 1: found " 2"; close the quotes, or quote'),
    ('A="1\nB=2', "close the quotes"),
    ("1A=1", 'found "1A=1"; write KEY=value'),
    (b"A=\xff", "byte 2 is not UTF-8"),
    (b"A=1\n" * 300_000, "has more than 1000000 bytes"),
    ("A='\x1b[2J'", None),
]


@pytest.mark.parametrize(("text", "message"), BAD)
def test_anything_else_is_one_line(tmp_path, text, message):
    """With the line."""
    with pytest.raises(ImportedError) as caught:
        read(tmp_path, text).get("A")
    assert (message or "write printable text") in str(caught.value)
    assert str(caught.value).isprintable()


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(text=st.one_of(st.binary(max_size=40), st.text("AB= \n\"'\\$#`\t\r", max_size=30)))
def test_any_bytes_give_values_or_one_line(tmp_path, text):
    """Never a traceback."""
    said = ""
    try:
        file = read(tmp_path, text)
        said = "".join(file.get(key) for key in file.values)
    except KilnError as error:
        said = str(error)
    assert said.isprintable()
