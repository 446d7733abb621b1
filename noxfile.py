"""What CI runs: `nox` runs every check, `nox -s test-images` tests the images that were built."""

import json
import os
import re
import shutil
import sys
from pathlib import Path

import nox

ROOT = Path(__file__).parent
# `./run nox` comes with everything; another nox makes an environment for each session.
OURS = Path(sys.prefix).resolve() == (ROOT / ".venv").resolve()
# What was chosen in this run, by the flags that it was asked for with.
TRIALS: dict[tuple[str, ...], list[str]] = {}

_SHELL = re.compile(rb"#!.*\b(ba)?sh\b")

# What `invoke` needs, and what `nox` adds; the second is locked within the first.
LOCKS = ("requirements", "requirements-nox")

if OURS:
    # `.venv/bin/nox` works without an activated environment too.
    os.environ["PATH"] = os.pathsep.join((str(Path(sys.executable).parent), os.environ["PATH"]))
nox.options.default_venv_backend = "none" if OURS else "virtualenv"
nox.options.reuse_existing_virtualenvs = True
nox.options.error_on_external_run = not OURS
nox.options.sessions = ["lint", "types", "unit", "drift", "fork", "build", "test-images", "engine"]


def _install(session: nox.Session) -> None:
    if not OURS:
        # What is locked is installed, and nothing is resolved: `./run` says why.
        session.install("--no-deps", "--require-hashes", "--only-binary=:all:", *(f"-r{name}.txt" for name in LOCKS))


def _python(session: nox.Session, *args: str) -> None:
    session.run("python", *args)


def _bring(session: nox.Session, program: str) -> None:
    """Have a program: a machine with Python alone has no git, and no index has a shellcheck for each processor."""
    if shutil.which(program) is None:
        found = session.run("python", "-m", "tests.bring", program, silent=True, stderr=None) or ""
        os.environ["PATH"] = os.pathsep.join((found.strip(), os.environ["PATH"]))
        session.env["PATH"] = os.environ["PATH"]


def _trial(session: nox.Session, *flags: str) -> list[str]:
    """Return the ids of what is built as a trial, or end the session as skipped if there is nothing."""
    if flags not in TRIALS:
        found = session.run("invoke", "matrix", "--trial", "--json", *flags, silent=True, stderr=None)
        TRIALS[flags] = [row["id"] for row in json.loads(found or "[]")]
    if not TRIALS[flags]:
        session.skip(
            "NOTHING IS BUILT OR TESTED: nothing of this family can be built from here; `invoke doctor` says why"
        )
    return TRIALS[flags]


@nox.session
def lint(session: nox.Session) -> None:
    """Check the code, the Dockerfiles (or those that are named), the workflows, the actions and their scripts."""
    _install(session)
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    files = session.posargs or sorted(str(path) for path in Path("dockerfiles").rglob("Dockerfile"))
    session.log(f"hadolint on {len(files)} Dockerfiles")
    session.run("hadolint", *files, silent=True, log=False)
    session.run("zizmor", "--offline", "--quiet", ".github")
    session.run("actionlint", "-color")
    _python(session, ".github/lint_actions.py")
    _bring(session, "shellcheck")
    session.run("shellcheck", *_shell_scripts())


def _shell_scripts() -> list[str]:
    places = [Path("run"), Path(".ci/run"), *Path(".github").iterdir(), *Path("packages").glob("*/start")]
    return sorted(str(path) for path in places if path.is_file() and _SHELL.match(path.read_bytes()))


@nox.session
def types(session: nox.Session) -> None:
    """Check the types."""
    _install(session)
    session.run("mypy")


@nox.session
def unit(session: nox.Session) -> None:
    """Run the unit tests, which start no process and open no socket, with a coverage gate."""
    _install(session)
    workers = str(os.cpu_count() or 1)
    _python(session, "-m", "pytest", "tests/unit", "-q", "-n", workers, "--cov", "--cov-report=term", *session.posargs)


@nox.session
def drift(session: nox.Session) -> None:
    """Check that what is generated is up to date."""
    _install(session)
    session.run("invoke", "generate", "--check")
    session.run("invoke", "readme", "--check")
    session.run("invoke", "lock", "--check")


@nox.session
def fork(session: nox.Session) -> None:
    """Make the next releases and several forks of this checkout in clones, and run the checks above in each."""
    _install(session)
    _bring(session, "git")
    workers = str(os.cpu_count() or 1)
    _python(session, "-m", "pytest", "tests/fork", "-v", "-n", workers, "--maxschedchunk=1", *session.posargs)


@nox.session
def build(session: nox.Session) -> None:
    """Build what `invoke build --trial` chooses from the matrix: two series, two targets, two packages; all quick."""
    _install(session)
    session.run("invoke", "build", "--quick", *_trial(session))


@nox.session(name="test-images")
def test_images(session: nox.Session) -> None:
    """Test the images that were built, or those that globs name: `nox -s test-images -- '3.13*'`."""
    _install(session)
    if not session.posargs:
        _trial(session)
    _python(session, "-m", "pytest", "tests/images", "-n", str(os.cpu_count() or 1), *session.posargs)


@nox.session(name="test-packages", default=False)
def test_packages(session: nox.Session) -> None:
    """Build and test each package on one Python, or what globs name; Celery has a real Redis."""
    _install(session)
    globs = session.posargs or _trial(session, "--packages")
    session.run("invoke", "build", "--quick", *globs)
    _python(session, "-m", "pytest", "tests/images", "-n", str(os.cpu_count() or 1), "--force", *globs)
    if not session.posargs:
        names = ("test_package_start", "test_package_copy", "test_broken_packages")
        _python(session, "-m", "pytest", *(f"tests/engine/{name}.py" for name in names))


@nox.session(name="test-platforms", default=False)
def test_platforms(session: nox.Session) -> None:
    """Bring emulation, cross compile a Python, and run all tests of the image; a quarter of an hour at first."""
    _install(session)
    _python(session, "-m", "pytest", "tests/platforms", *session.posargs)


@nox.session
def engine(session: nox.Session) -> None:
    """Test Kiln against a real engine, real archives and real images."""
    _install(session)
    _bring(session, "git")
    # The workflows' scripts need these, which GitHub's machines have.
    _bring(session, "jq")
    _bring(session, "unzip")
    # Those are for `test-packages`: they build images for minutes.
    workers = str(os.cpu_count() or 1)
    ignored = "--ignore=tests/engine/test_broken_packages.py"
    _python(session, "-m", "pytest", "tests/engine", ignored, "-n", workers, "--dist", "loadfile", *session.posargs)


@nox.session(default=False)
def lock(session: nox.Session) -> None:
    """Refresh both locks, and that of `invoke bench.speed`: exact versions with hashes, no URLs."""
    _install(session)
    for name in (*LOCKS, "benchmarks/speed/requirements"):
        session.run(
            "uv", "pip", "compile", "--universal", "--upgrade", "--generate-hashes", "--no-emit-index-url",
            "--no-header", "--no-annotate", "--quiet", "--python-version", "3.11",
            f"{name}.in", "--output-file", f"{name}.txt",
        )  # fmt: skip
