"""Kiln's commands as users type them, on the tests' own family: `tests/families/debian` alone names its versions."""

import json
import os
import signal
import subprocess
import sys
import time
import uuid
from functools import cache
from pathlib import Path

from kiln import catalog, matrix, paths, records

FAMILY = paths.ROOT / "tests/families/debian/versions.json"
"""Two releases that the archives of Debian's stable releases keep, and packages on the newer one."""
PYTHON, OLD = (release.version for release in catalog.load(FAMILY).releases)
SERIES = PYTHON.rpartition(".")[0]
SLIM, FULL = f"{PYTHON}-slim-trixie", f"{PYTHON}-trixie"
GONE = f"{SERIES}.99"
SITE = f"/usr/local/lib/python{SERIES}/site-packages"


class Family:
    """A family file of its own repository: the newer release on trixie, whose compile all tests share."""

    def __init__(self, folder: Path, *, variants=("full", "slim"), **changes):
        data = json.loads(FAMILY.read_text("utf-8"))
        data["targets"] = {"trixie": data["targets"]["trixie"]}
        data["releases"] = [data["releases"][0] | {"flavours": ["default"]}]
        del data["packages"]
        data["repository"] = f"kiln-test-{uuid.uuid4().hex[:8]}/python"
        self.data = data | changes
        self.trixie = data["targets"]["trixie"]
        self.trixie["variants"] = {name: self.trixie["variants"][name] for name in variants}
        self.file = folder / f"{uuid.uuid4().hex[:8]}.json"

    @property
    def repository(self):
        """Return the repository with its registry."""
        return "/".join(part for part in (self.data["registry"], self.data["repository"]) if part)

    def repository_of(self, package):
        """Return the repository of a package's images with its registry."""
        return f"{self.repository.rpartition('/')[0]}/{package}"

    def add_missing_release(self):
        """Add a release whose sources nobody has."""
        artifact = {"file": f"Python-{GONE}.tar.xz", "sha256": "0" * 64}
        self.data["releases"].append(self.data["releases"][0] | {"version": GONE, "artifacts": [artifact]})
        self.data["sources"] = {"debian": [], "mirrors": []}

    def write(self):
        """Write the family's file as the family is now."""
        self.file.write_text(json.dumps(self.data), "utf-8")

    def command(self, *words):
        """Return the command line of `invoke build --quick` for this family."""
        self.write()
        return _invoke("build", "--quick", "--versions", str(self.file), *words)

    def build(self, *words, env=None, prefix=()):
        """Run `invoke build` to its end."""
        return _run([*prefix, *self.command(*words)], env)

    def invoke(self, name, *words):
        """Run another command on this family to its end."""
        self.write()
        return _run(_invoke(name, "--versions", str(self.file), *words))

    def start(self, *words, env=None):
        """Start `invoke build` as a terminal does, in a process group of its own."""
        return subprocess.Popen(
            # A shell's background job, such as CI's, ignores SIGINT, and so do its children.
            ["env", "--default-signal=INT", *self.command(*words)], cwd=paths.ROOT, env=environment(env),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
        )  # fmt: skip

    def runs(self, home=None):
        """Return the folders of this family's runs, oldest first."""
        folders = sorted((home or paths.home()).joinpath("builds").glob("2*/definition.json"))
        return [path.parent for path in folders if f"={self.repository}:" in path.read_text("utf-8")]

    def record(self, image=SLIM):
        """Return an image's last build, on whichever platform."""
        return next((record for record in records.every(self.repository) if record.id == image), None)

    def forget(self, engine):
        """Remove this family's images and records."""
        packages = [self.repository_of(name) for name in self.data.get("packages", {})]
        for repository in (self.repository, *packages):
            for record in records.every(repository):
                docker(engine, "rmi", "--force", record.reference, check=False)
                records._record(repository, record.id, record.platform).unlink(missing_ok=True)  # noqa: SLF001 - Kiln itself never forgets
            records._records(repository).rmdir()  # noqa: SLF001 - Kiln itself never forgets


@cache
def debian():
    """Return the tests' family, expanded."""
    return matrix.expand(catalog.load(FAMILY), str(FAMILY))


def recorded(engine, glob):
    """Return the record of an image of the tests' family, which is built now unless it is up to date."""
    (image,) = debian().select([glob])
    done = _run(_invoke("build", "--quick", "--versions", str(FAMILY), image.id))
    assert done.returncode == 0, done.stdout + done.stderr
    return records.find(debian().repository_of(image), image.id, engine.platform)


def _invoke(*words):
    return [sys.executable, "-m", "invoke", *words]


def _run(command, env=None):
    return subprocess.run(
        command, cwd=paths.ROOT, env=environment(env), capture_output=True, text=True, check=False, timeout=3600
    )


def environment(changes=None):
    # Output is read as a pipe gets it, whatever width somebody's shell asks for.
    kept = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    return {**kept, "CI": "1"} | (changes or {})


def docker(engine, *words, check=True):
    done = subprocess.run(
        engine.docker(*words), env={**os.environ, **engine.env}, capture_output=True, text=True, check=check
    )
    return done.stdout.strip()


def await_line(child, text):
    """Read a child's standard error up to the line with some text, and return what was read."""
    lines = []
    for line in child.stderr:
        lines.append(line)
        if text in line:
            return lines
    raise AssertionError(f"ended with {child.wait()} before {text!r}:\n{''.join(lines)}")


def interrupt(child):
    """Press Ctrl-C, and return the exit code and what it printed last."""
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=60)
    return child.returncode, out + err


def await_end(text, seconds=60):
    """Wait until no process has some text in its command line; tell whether that came true."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if not any(text in line for line in _command_lines()):
            return True
        time.sleep(0.2)
    return False


def _command_lines():
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            yield file.read_text("utf-8", errors="replace").replace("\0", " ")
        except OSError:
            continue


def error_of(done):
    """Return the one line of an error, of a command that failed without a traceback."""
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1, done.stderr
    return lines[0]


def summary(done):
    """Return the summary's words by build: result, time, size, digest or error."""
    lines = [line.split(maxsplit=2) for line in done.stdout.splitlines()]
    return {line[0]: line[2] for line in lines if len(line) == 3 and line[1].startswith("linux/")}
