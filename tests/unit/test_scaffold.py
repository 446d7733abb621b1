"""A new package's folder says and starts what was found of it."""

import pytest

from kiln import add_package, brought, paths, scaffold, servers
from kiln.brought import Brought
from kiln.errors import SelectionError, UpdateError
from kiln.index import Offered
from kiln.servers import Server
from tests.unit import family as f
from tests.unit.test_packages import UVICORN
from tests.unit.test_start import BETWEEN, SCRIPTS, shared

FOUND = Brought(
    folder=paths.ROOT, project="my-server", title="My-Server", version="1.0", summary="It's a \"fast\" WSGI server.",
    words="wsgi", scripts=("my-server", "other"), modules=("my_server",),
)  # fmt: skip


def server(*words, protocol="wsgi", options=(), code=0, seconds=0.1):
    return Server(
        script="my-server", protocol=protocol, words=words, options=frozenset(options), code=code, seconds=seconds
    )


def last(files):
    return files["start"].rstrip().splitlines()[-1]


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (
            ("--bind", "{host}:{port}"),
            'exec my-server --bind "$host:${PORT:-80}" $MY_SERVER_EXTRA_FLAGS "$@" "$APP_MODULE"',
        ),
        (
            ("--host", "{host}", "--port", "{port}"),
            'exec my-server --host "${HOST:-0.0.0.0}" --port "${PORT:-80}" $MY_SERVER_EXTRA_FLAGS "$@" "$APP_MODULE"',
        ),
    ],
)
def test_the_last_line_is_what_served(words, line):
    """With variables in place of address and port; an address of its own line has brackets for IPv6."""
    made = scaffold.files(FOUND, server(*words))
    assert last(made) == line
    assert ('host="[$host]"' in made["start"]) == ("$host:" in line)


def test_options_become_variables_only_if_the_help_names_them():
    """And the page describes just those."""
    made = scaffold.files(FOUND, server("--host", "{host}", "--port", "{port}", options=["--workers", "--reload"]))
    assert 'if [ -n "$WORKERS" ]; then set -- --workers "$WORKERS" "$@"; fi' in made["start"]
    assert "LOG_LEVEL" not in made["start"] + made["documentation.md"]
    assert "| `WORKERS` " in made["documentation.md"]
    assert "| `RELOAD` " in made["documentation.md"]


def test_the_shared_part_is_that_of_all_packages():
    """An image is built from its package's folder alone, so each script is whole; what one has, all have."""
    mine = scaffold.files(FOUND, None)["start"]
    assert BETWEEN.findall(mine) == shared(SCRIPTS[0])


@pytest.mark.parametrize("protocol", servers.PROTOCOLS)
def test_the_example_is_of_its_protocol(protocol):
    """It is Python, and tells the project's version under its name."""
    text = scaffold.files(FOUND, server(protocol=protocol))["example/main.py"]
    compile(text, "main.py", "exec")
    assert ("environ" in text) == (protocol == "wsgi")
    assert '"my-server": version("my-server")' in text


def test_the_entry_says_what_is_known(tmp_path):
    """What a project says of itself may not break out of a Dockerfile."""
    like = f.load(tmp_path, f.family(packages={"uvicorn": UVICORN})).packages["uvicorn"]
    entry = scaffold.entry("my-server[fast]", FOUND, like)
    assert entry.description == "My-Server: It s a fast WSGI server"
    assert (entry.requirements, entry.keep, entry.port, entry.test.imports) == (
        ["my-server[fast]"],
        3,
        80,
        ["my_server"],
    )
    assert (entry.pythons, entry.targets) == (like.pythons, like.targets)


def test_what_is_left_to_a_person():
    """No server at all, one that ends badly, and one that ends late."""
    (line,) = scaffold.left(FOUND, None)
    assert line.startswith("my-server: none of its console scripts (my-server, other) served an application here")
    assert scaffold.left(FOUND, server()) == []
    slow = scaffold.left(FOUND, server(code=1, seconds=12))
    assert [text.partition(": ")[2][:34] for text in slow] == [
        "ended with exit code 1 at SIGTERM,",
        "took 12 s to end at SIGTERM; look ",
    ]


def test_forms_are_tried_as_the_help_names_their_options():
    """With the interface, where there is such an option."""
    forms = list(servers._forms(frozenset({"--bind", "--port", "--interface"}), "asgi"))  # noqa: SLF001 - nothing is run
    assert forms == [
        ("--interface", "asgi", "--bind", "{host}:{port}"),
        ("--interface", "asgi", "--bind", "{host}", "--port", "{port}"),
    ]


def test_console_scripts_of_an_entry_points_file():
    """Names are taken as they are; other groups are passed over."""
    text = "[console_scripts]\nServe = a:main\nserve-x=a.b:main [extra]\n\n[gui_scripts]\nno = a:b\n"
    assert brought.scripts(text) == ["Serve", "serve-x"]
    assert brought.scripts("") == []


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("a b", "'a b': pip takes no such name"),
        ("uvicorn==1", "'uvicorn==1': write name and extras alone"),
        ("Uvicorn", "uvicorn: is a package of the family already"),
    ],
)
def test_names_that_do_not_fit(tmp_path, word, message):
    """Are one line, before the index is asked."""
    with pytest.raises(SelectionError) as caught:
        add_package.make(f.load(tmp_path, f.family(packages={"uvicorn": UVICORN})), word, tmp_path)
    assert str(caught.value).startswith(message)


def test_pythons_are_those_that_the_newest_version_is_for(tmp_path):
    """Of the first package's, or of all final series where there is none."""
    data = f.family(releases=[f.release("3.13.5"), f.release("3.12.1"), f.release("3.14.0rc1")])
    found = f.load(tmp_path, data)
    like = add_package._model(found, Offered(version="1", requires=(">=3.13",)), "x")  # noqa: SLF001 - asks no index
    assert (like.pythons, like.targets, like.variants) == (["3.13"], ["alpine3.24", "trixie"], ["full", "slim"])
    with pytest.raises(UpdateError, match=r"^x: 1 needs Python >=3\.15, and the family has none that fits"):
        add_package._model(found, Offered(version="1", requires=(">=3.15",)), "x")  # noqa: SLF001 - asks no index
