"""Start scripts of packages: where they find the application, what they do with variables, and with process 1."""

import shlex
import time
from pathlib import Path

import pytest

from kiln import container
from kiln.errors import EngineError
from tests.engine.command import docker

SERVES = "Uvicorn running on"


@pytest.fixture(scope="module")
def token(engine):
    with container.lease(engine) as found:
        yield found


def ended(running, sign, count):
    """Return the exit code of a container that ends by itself, or is stopped when it has said so often that it serves."""
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            return running.wait(0.2)
        except EngineError:
            if running.logs().count(sign) >= count:
                return running.stop()
    pytest.fail(f"neither ended nor served: {running.logs()[-500:]}")


@pytest.fixture
def run(engine, token, uvicorn):
    """Return a function that runs the start script with variables and files, and returns exit code and output."""

    def started(*command, files=(), sign=SERVES, count=1, **variables):
        options = [word for name, value in variables.items() for word in ("--env", f"{name}={value}")]
        # The files are written by the container itself, so that an engine elsewhere sees them too.
        writes = [
            f"mkdir -p {Path(path).parent}; printf %s {shlex.quote(text)} > {path}"
            for path, text in dict(files).items()
        ]
        script = "; ".join([*writes, 'exec "$@"'])
        with container.running(
            engine, uvicorn.reference, token=token, platform=uvicorn.platform, options=options,
            command=("sh", "-c", script, "sh", *(command or ("start",))),
        ) as running:  # fmt: skip
            return ended(running, sign, count), running.logs()

    return started


def test_an_application_in_a_package_goes_first(run):
    """`/app/app/main.py` is taken before `/app/main.py`, which the image has itself."""
    code, output = run(files={"/app/app/main.py": "raise SystemExit(42)"})
    assert (code, output) == (42, "")


def test_nothing_to_start_is_one_line(run):
    """Without any application, the places are named where it was looked for."""
    code, output = run("sh", "-c", "rm /app/main.py; exec start")
    assert (code, len(output.splitlines())) == (1, 1)
    assert "found neither /app/app/main.py nor /app/main.py" in output


@pytest.mark.parametrize("name", ["no_such", "main.py", "main.other", ".main", "", "json.no_such"])
def test_a_missing_module_is_one_line(run, name):
    """Wrong names of any kind are told before the server starts, and not by a traceback."""
    code, output = run(APP_MODULE=f"{name}:app")
    assert (code, len(output.splitlines())) == (1, 1), output
    assert f"found no module {name} " in output


def test_a_module_that_is_broken_tells_itself(run):
    """The traceback of an application is its own."""
    code, output = run(files={"/app/app/main.py": "import no_such_library"})
    assert code == 1
    assert "ModuleNotFoundError: No module named" in output
    assert "no_such_library" in output


def test_names_of_module_and_variable(run):
    """Both can be named, or both at once, which goes before."""
    files = {"/app/other.py": "class there: pass\nprint('other', flush=True)"}
    found = [
        run(files=files, MODULE_NAME="other", VARIABLE_NAME="missing"),
        run(files=files, APP_MODULE="other:missing", MODULE_NAME="none", VARIABLE_NAME="there"),
    ]
    for code, output in found:
        assert code, output
        assert "other" in output.splitlines()
        assert 'Attribute "missing" not found in module "other"' in output


def test_prestart_is_part_of_the_start(run):
    """What the script exports, the server sees; it may be written for bash."""
    files = {
        "/app/before.sh": "if [[ $APP_MODULE == main:app ]]; then export ANSWER=42 APP_MODULE=other:app; fi",
        "/app/other.py": 'import os; raise SystemExit(int(os.environ["ANSWER"]))',
    }
    assert run(files=files, PRE_START_PATH="/app/before.sh") == (42, "start: running /app/before.sh")


def test_a_prestart_that_fails_ends_the_container(run):
    """Nothing is served on half a migration."""
    code, output = run(files={"/app/prestart.sh": "(exit 7)\necho reached"})
    assert (code, output) == (7, "start: running /app/prestart.sh")


def test_a_missing_prestart_is_told(run):
    """A path that names nothing is most likely a mistake; the application starts all the same."""
    code, output = run(PRE_START_PATH="/app/none.sh")
    assert code == 143
    assert "start: there is no /app/none.sh" in output
    assert SERVES in output


def test_variables_reach_the_server(run):
    """Address, port and level are those of the variables; words behind `start` are flags as well."""
    code, output = run(
        "start", "--workers", "2", HOST="127.0.0.1", PORT="8123", LOG_LEVEL="trace",
        UVICORN_EXTRA_FLAGS="--workers 3  --no-access-log", sign="Application startup complete", count=2,
    )  # fmt: skip
    assert code in {0, 143}
    assert f"{SERVES} http://127.0.0.1:8123" in output
    assert "TRACE: " in output
    # The last one of two equal flags stands; each process says that it has started.
    assert output.count("Started parent process") == 1
    assert output.count("Started server process") == 2


def test_reload(run):
    """With `RELOAD=true`, and no other word, Uvicorn watches files."""
    assert "Started reloader process" in run(RELOAD="true")[1]
    assert "Started reloader process" not in run(RELOAD="false")[1]


@pytest.mark.parametrize("value", ["$(touch /tmp/made)", "`touch /tmp/made`", "; touch /tmp/made", "/etc/*"])
@pytest.mark.parametrize("name", ["UVICORN_EXTRA_FLAGS", "APP_MODULE", "VARIABLE_NAME", "HOST", "LOG_LEVEL"])
def test_values_are_never_run(run, name, value):
    """A value is one word, or some between spaces: no command, no wildcard."""
    script = "start; test ! -e /tmp/made && echo not made"
    code, output = run("sh", "-c", script, **{name: value})
    assert code == 0
    assert "not made" in output.splitlines()
    assert "/etc/passwd" not in output


@pytest.mark.parametrize("signal", ["INT", "TERM"])
@pytest.mark.parametrize("moment", ["serving", "before"])
def test_process_1_passes_signals_on(engine, token, uvicorn, signal, moment):
    """Ctrl-C and SIGTERM end the server, and a script that runs before it."""
    script = "echo 'echo waiting; exec sleep 60' > /app/prestart.sh; exec start"
    command, mark = (("start",), SERVES) if moment == "serving" else (("sh", "-c", script), "waiting")
    with container.running(
        engine, uvicorn.reference, token=token, platform=uvicorn.platform, command=command, options=()
    ) as running:
        while mark not in running.logs():
            time.sleep(0.1)
        docker(engine, "kill", f"--signal={signal}", running.name)
        assert running.wait(5) == 143
