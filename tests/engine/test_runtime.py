"""A container runtime that fails now and then, or always: a real engine whose runc sometimes starts nothing."""

import shutil
import subprocess
import sys

import pytest

from kiln import buildx, container, engine_root, paths, records, runtime, workspace
from kiln import engine as engines
from kiln.errors import BuildError, RuntimeFailedError
from tests.engine.command import FAMILY, SLIM, docker, environment, recorded

REASON = "unable to start container process: read init-p: connection reset by peer"
WRAPPER = f"""\
#!/bin/sh
# Start nothing in every so many calls, which /run/kiln-fail says, and report it as the real runc does.
every=$(cat /run/kiln-fail 2> /dev/null || echo 0)
command= log=/dev/null
for word in "$@"; do
    [ "$before" != --log ] || log=$word
    case $word in create | exec | run) command=${{command:-$word}} ;; esac
    before=$word
done
if [ -n "$command" ] && [ "$every" -gt 0 ]; then
    exec 9> /run/kiln-lock
    flock 9
    count=$(($(cat /run/kiln-count 2> /dev/null || echo 0) + 1))
    echo "$count" > /run/kiln-count
    exec 9>&-
    if [ $((count % every)) -eq 0 ]; then
        echo "runc $command failed: {REASON}" >&2
        printf '{{"level":"error","msg":"runc %s failed: {REASON}"}}\\n' "$command" >> "$log"
        exit 1
    fi
fi
exec /usr/sbin/runc.real "$@"
"""
TESTS = ("tests/images", "-p", "no:cacheprovider", "--force")


@pytest.fixture(scope="module")
def record():
    """Return a slim image of the tests' family, built by the engine that all tests share."""
    return recorded(engines.bring(), SLIM)


@pytest.fixture(scope="module")
def engine(record, tmp_path_factory):
    """Yield a private engine of its own, whose runc can be told to fail; it has the image and its record."""
    shared, root, home = engines.bring(), engine_root.current(), tmp_path_factory.mktemp("home")
    if not root.is_dir():
        root = engine_root.ensure()
    archive = home / "image.tar"
    docker(shared, "save", "--output", str(archive), record.reference)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_HOME", str(home))
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
            patch.delenv(name, raising=False)
        subprocess.run(["cp", "-a", root, engine_root.location()], check=True)
        program = engine_root.location() / "usr/sbin/runc"
        program.rename(program.with_name("runc.real"))
        program.write_text(WRAPPER)
        program.chmod(0o755)
        started = engines.start()
        docker(started, "load", "--input", str(archive))
        records.save(record)
        yield started
        engines.stop()
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def fails(engine):  # noqa: ARG001 - it is the engine that fails
    """Return what makes the runtime fail in every so many calls; never again after the test."""
    file = paths.home() / "engine/run/kiln-fail"
    runtime.repeats.clear()
    yield lambda every: file.write_text(str(every))
    file.unlink(missing_ok=True)
    runtime.repeats.clear()


def run_tests(*words):
    command = [sys.executable, "-m", "pytest", *TESTS, "--versions", str(FAMILY), *words, SLIM]
    return subprocess.run(command, cwd=paths.ROOT, env=environment(), capture_output=True, text=True, check=False)


def test_one_failure_in_fifty_is_not_noticed(engine, record, fails, capsys):
    """What was not started is started again, and each time is reported with the runtime's words."""
    fails(50)
    with container.lease(engine) as token:
        options = {"token": token, "platform": record.platform}
        with container.running(engine, record.reference, **options) as running:
            answers = [running.ask("print(GIVEN['number'])", {"number": number}) for number in range(110)]
    assert answers == list(range(110))
    assert len(runtime.repeats) == 2
    assert all(REASON in reason for reason in runtime.repeats)
    assert capsys.readouterr().err.count("the container runtime did not start it") == 2


def test_a_build_goes_on_where_the_runtime_failed(engine, record, fails, tmp_path):
    """BuildKit's steps are run by the same runtime; those that had ended are not run again."""
    fails(50)
    steps = "".join(f"RUN echo {number} >> /steps\n" for number in range(55))
    check = f'RUN test "$(wc -l < /steps)" = 55 && rm /steps # {tmp_path.name}\n'
    (tmp_path / "Dockerfile").write_text(f"FROM {record.reference}\nRUN echo {tmp_path.name}\n{steps}{check}")
    (tmp_path / "bake.json").write_text(
        f'{{"target": {{"steps": {{"context": "{tmp_path}", "output": ["type=cacheonly"]}}}}}}'
    )
    with workspace.workspace() as place:
        buildx.Buildx(engine, tmp_path / "bake.json", place).bake("steps", lambda _: None)
        log = place.log("steps").read_text("utf-8")
    assert len(runtime.repeats) == 1
    # Each run has its line with the command, and the second one takes what had ended from the cache.
    assert log.count("$ ") >= 2
    assert "CACHED" in log.rpartition("\n$ ")[2]


def test_a_build_names_a_runtime_that_always_fails(engine, record, fails, tmp_path):
    """The error says that the image is not at fault, with the whole reason and the log."""
    fails(1)
    (tmp_path / "Dockerfile").write_text(f"FROM {record.reference}\nRUN echo {tmp_path.name}\n")
    (tmp_path / "bake.json").write_text(
        f'{{"target": {{"steps": {{"context": "{tmp_path}", "output": ["type=cacheonly"]}}}}}}'
    )
    with workspace.workspace() as place, pytest.raises(BuildError) as caught:
        buildx.Buildx(engine, tmp_path / "bake.json", place).bake("steps", lambda _: None)
    assert "container runtime fails, the image is not at fault" in str(caught.value)
    assert REASON in str(caught.value)
    assert f"{runtime.ATTEMPTS} times in a row; see " in str(caught.value)


def test_the_tests_of_an_image_count_what_was_started_again(record, fails):
    """The image passes, and its result says how often the runtime failed."""
    fails(3)
    done = run_tests()
    assert done.returncode == 0, done.stdout + done.stderr
    assert f"{SLIM}: started again, because the container runtime failed: " in done.stdout
    result = records.result(record.digest)
    assert result.failed == ()
    assert result.repeats > 0


def test_an_image_is_not_failed_for_a_runtime_that_always_fails(record, fails):
    """The run is red and names the runtime; what is known of the image stays as it was."""
    before = records.result(record.digest)
    fails(1)
    done = run_tests()
    assert done.returncode == 1, done.stdout + done.stderr
    assert "container runtime fails, the image is not at fault" in done.stdout
    assert REASON in done.stdout
    assert records.result(record.digest) == before


@pytest.mark.usefixtures("fails")
def test_a_program_that_an_image_lacks_is_the_images_fault(engine, record):
    """Nothing is repeated, and the runtime is not blamed."""
    with pytest.raises(engines.EngineError, match="executable file not found") as caught:
        engine.run("run", "--rm", "--pull", "never", record.reference, "no-such-program")
    assert not isinstance(caught.value, RuntimeFailedError)
    assert runtime.repeats == []
