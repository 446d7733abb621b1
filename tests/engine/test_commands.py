"""What every command has in common, as users type it: closed pipes, narrow terminals, flags that exclude each other."""

import os
import pty
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kiln import engine, paths
from kiln.engine import Engine
from tests.engine.command import FAMILY
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

COMMANDS = (
    "--list", "--complete", "--help build", "build --help", "matrix", "matrix --json", "lock --check", "doctor",
    "generate --check", "engine.status", "build --all --dry-run", "build --all --dry-run --json", "library",
)  # fmt: skip


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """Describe a family with a package, of which nothing can be built from here."""
    package = {**UVICORN, "versions": ["0.18.3", "0.9.0"], "pythons": ["3.13"]}
    # No archive is looked into, which takes a minute at first.
    data = f.family(packages={"uvicorn": package}, sources={"debian": [], "mirrors": []})
    return f.write(tmp_path / "versions.json", data)


def line(words: str, file: Path) -> list[str]:
    """Return the command line of a command on a family."""
    takes = not words.startswith(("--", "engine.")) and "--help" not in words
    return [sys.executable, "-m", "invoke", *shlex.split(words), *(["--versions", str(file)] if takes else [])]


def environment(home: Path, **changes: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**kept, "KILN_HOME": str(home), "DOCKER_HOST": "unix:///nowhere", **changes}


@pytest.mark.parametrize("words", COMMANDS)
def test_a_closed_pipe_ends_a_command_quietly(tmp_path: Path, file: Path, words: str) -> None:
    """As `| head` and `| true` close it; standard error has no word of it."""
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        line(words, file), cwd=paths.ROOT, env=environment(tmp_path), stdout=write, stderr=subprocess.PIPE, text=True,
        check=False,
    )  # fmt: skip
    os.close(write)
    assert "Broken pipe" not in done.stderr
    assert "BrokenPipe" not in done.stderr
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    # 1: with nothing to build from, a command may end in its own error.
    assert done.returncode in (0, 1), done.stderr


def test_a_closed_standard_error_ends_a_command_quietly(tmp_path: Path, file: Path) -> None:
    """As `2>&1 | head` closes both."""
    read, write = os.pipe()
    os.close(read)
    command = line("matrix", file)
    done = subprocess.run(command, cwd=paths.ROOT, env=environment(tmp_path), stdout=write, stderr=write, check=False)
    os.close(write)
    assert done.returncode == 0


@pytest.mark.parametrize("width", [60, 80])
@pytest.mark.parametrize("words", ["matrix", "doctor", "build --help", "--list", "lock --check", "engine.status"])
def test_no_line_is_wider_than_the_terminal(tmp_path: Path, file: Path, words: str, width: int) -> None:
    """But one of a single word, such as a path, or one to be copied."""
    leader, follower = pty.openpty()
    subprocess.run(["stty", "cols", str(width), "rows", "50"], stdin=follower, check=True)
    with subprocess.Popen(
        line(words, file), cwd=paths.ROOT, env=environment(tmp_path, TERM="xterm"), stdin=follower, stdout=follower,
        stderr=subprocess.DEVNULL,
    ) as child:  # fmt: skip
        os.close(follower)
        text = _read(leader)
    assert child.returncode in (0, 1)
    # Usage is invoke's own line; a path has no place to wrap at.
    lines = [one for one in text.splitlines() if not one.startswith("Usage: ")]
    assert [one for one in lines if len(one) > width and len(one.split()) > 1] == []


def _read(leader: int) -> str:
    """Read a terminal to its end."""
    found = b""
    while True:
        try:
            part = os.read(leader, 65536)
        except OSError:
            part = b""
        if not part:
            os.close(leader)
            return found.decode().replace("\r\n", "\n")
        found += part


def test_what_goes_to_a_pipe_is_complete(tmp_path: Path, file: Path) -> None:
    """One line for each image with all columns, unless COLUMNS asks for less."""

    def printed(**changes: str) -> list[str]:
        done = subprocess.run(
            line("matrix", file), cwd=paths.ROOT, env=environment(tmp_path, **changes), capture_output=True, text=True,
            check=True,
        )  # fmt: skip
        return done.stdout.splitlines()

    whole, narrow = printed(), printed(COLUMNS="60")
    assert whole[0].split()[-1] == "TAGS"
    assert whole[1].split()[0] == "3.13.5-trixie"
    assert whole[1].endswith("3.13.5 3.13 3 latest")
    assert max(map(len, narrow)) <= 60
    assert "compile key" in " ".join(narrow)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("build --all '3.13*'", "error: --all '3.13*': all images, or those that are named? leave one out"),
        ("build --all --trial", "error: --all --trial: all images, or a few of them? leave one out"),
        ("matrix --packages", "error: --packages: is of what is tried; give --trial too"),
        ("build --json '3.13*'", "error: --json: is of the plan; give --dry-run too"),
        ("lock --check --upgrade", "error: --check --upgrade: look at the locks, or write them? leave one out"),
        (
            "update uvicorn --python-org https://example.org",
            "error: --python-org: uvicorn is not asked for there; name python too, or leave it out",
        ),
        ("bench size cli --recorded", "error: --recorded: no use for size, cli; leave it out"),
        ("add target forky --like trixie --announced", "error: --announced: is about releases, and none is named; leave"),
        ("add package hypercorn --like trixie", "error: --like: is about releases and targets, and none is named; leave"),
        ("drop 3.12 --discard", "error: --discard: is about packages, and none is named; leave it out"),
        (
            "import.infra7 /nowhere --offline --python-org https://example.org",
            "error: --offline --python-org: ask python.org, or nobody? leave one out",
        ),
        ("readme --out x.md", "error: --out, --values, --package and --no-toc are of a page; name a template with"),
    ],
)  # fmt: skip
def test_no_flag_is_ignored_in_silence(tmp_path: Path, file: Path, words: str, message: str) -> None:
    """One line says which two exclude each other."""
    done = subprocess.run(
        line(words, file), cwd=paths.ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith(message)
    assert done.stderr.count("\n") == 1


def test_locks_of_nothing_are_found_and_removed_without_network(tmp_path: Path) -> None:
    """They are named by `--check`, and gone after `lock`; neither asks anybody."""
    family = tmp_path / "family"
    shutil.copytree(FAMILY.parent, family)
    held = next(family.glob("packages/*/locks/*/py*.txt"))
    orphan = held.parent.with_name("0.0.1") / held.name
    orphan.parent.mkdir()
    shutil.copy(held, orphan)

    def locked(*words: str) -> subprocess.CompletedProcess[str]:
        command = ["unshare", "--net", *line(f"lock {shlex.join(words)}", family / "versions.json")]
        return subprocess.run(
            command, cwd=paths.ROOT, env=environment(tmp_path), capture_output=True, text=True, check=False
        )

    found = locked("--check")
    assert found.returncode == 1
    assert f"{orphan.relative_to(family)}: is the lock of nothing in the family" in found.stdout
    assert locked().returncode == 0
    assert not orphan.parent.exists()
    assert held.exists()
    assert locked("--check").returncode == 0


def test_a_docker_context_is_the_engine_in_use(tmp_path: Path, file: Path) -> None:
    """The status and the doctor say the same of it."""
    running: Engine = engine.bring()
    host = running.env.get("DOCKER_HOST") or os.environ.get("DOCKER_HOST") or f"unix://{engine.DEFAULT_SOCKET}"
    # Kiln's own home has buildx already.
    changes = {"DOCKER_CONFIG": str(tmp_path / "docker"), "KILN_HOME": str(paths.home())}
    env = {name: value for name, value in environment(tmp_path, **changes).items() if name != "DOCKER_HOST"}
    for words in (["create", "mine", "--docker", f"host={host}"], ["use", "mine"]):
        subprocess.run(running.docker("context", *words), env=env, capture_output=True, check=True)
    title = f"Docker {running.server} (context mine), {running.platform}"

    def printed(words: str) -> str:
        done = subprocess.run(line(words, file), cwd=paths.ROOT, env=env, capture_output=True, text=True, check=False)
        return done.stdout

    assert printed("engine.status").splitlines()[0] == f"in use: {title}"
    assert printed("doctor").splitlines()[0].split(maxsplit=2) == ["ok", "engine", title]
