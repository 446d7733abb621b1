"""`invoke build` on a real engine: what it does, what it leaves alone, and what it survives."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import termios
import time
from pathlib import Path

import pytest

from kiln import engine as engines
from kiln import engine_private, engine_root, oci, paths, workspace
from tests.engine.command import FULL, GONE, SLIM, Family, await_end, await_line, docker, error_of, interrupt, summary

ROOT_ONLY = pytest.mark.skipif(os.geteuid() != 0, reason="only root makes mounts and private engines")


@pytest.fixture
def family(tmp_path, engine):
    """Return a family whose images and records are removed at the end."""
    made = Family(tmp_path)
    yield made
    made.forget(engine)


@pytest.fixture(scope="module")
def built(tmp_path_factory, engine):
    """Return a family whose two images have been built, and how the command ended."""
    made = Family(tmp_path_factory.mktemp("built"))
    done = made.build("*")
    assert done.returncode == 0, done.stdout + done.stderr
    yield made, done
    made.forget(engine)


def logs(run):
    return {path.stem: path.read_text("utf-8") for path in run.joinpath("logs").iterdir()}


def steps(log, stage):
    """Return the RUN steps of a stage in a log, and those of them that came from the cache."""
    lines = re.findall(rf"^== (\[(?:[\w/-]+ )*{stage} +\d+/\d+\] RUN .*?\))(: CACHED)?$", log, re.MULTILINE)
    return {name for name, _ in lines}, {name for name, cached in lines if cached}


def test_full_and_slim_run_one_compile(built):
    """The plan says so, one compile target ran, and both images took its steps from the cache."""
    made, done = built
    assert "plan: 2 builds, 1 compile\n" in done.stderr
    found = logs(made.runs()[0])
    assert len([name for name in found if name.startswith("compile-")]) == 1
    assert len(found) == 3
    for name, log in found.items():
        if not name.startswith("compile-"):
            ran, cached = steps(log, "compile")
            assert ran
            assert ran == cached, name


def test_phases_are_plain_lines_in_ci(built):
    """Without a terminal each change is a line, and nothing moves the cursor."""
    _, done = built
    for phase in ("export", "load", "built"):
        assert re.search(rf"^{SLIM} linux/\w+: {phase}( \(\w+\))?$", done.stderr, re.MULTILINE), phase
    assert "\x1b" not in done.stderr + done.stdout


def test_the_summary_is_what_the_engine_holds(built, engine):
    """Result, time, size and digest of each image; the record and the engine say the same."""
    made, done = built
    for image in (FULL, SLIM):
        record = made.record(image)
        size = f"{record.size / 1e6:.1f} MB"
        line = summary(done)[image]
        assert re.fullmatch(rf"built +\w+ +{re.escape(size)}  {record.digest}", line), line
        assert docker(engine, "image", "inspect", "--format", "{{.Id}}", record.reference) == record.digest


def test_no_archive_stays(built):
    """The engine has the image, so the archive is gone; definition and logs stay."""
    run = built[0].runs()[0]
    assert sorted(path.name for path in run.iterdir()) == ["definition.json", "dockerfiles", "logs"]


def test_nothing_changed_nothing_done(built):
    """The second run says so and starts no build."""
    made, _ = built
    before = made.runs()
    done = made.build("*")
    assert done.returncode == 0
    assert [line.split("  ")[0] for line in summary(done).values()] == ["up to date", "up to date"]
    assert made.runs() == before


def test_an_image_that_the_engine_lost_is_built_again(built, engine):
    """A record alone is not an image; the live table of a terminal shows the phases on the way."""
    made, _ = built
    record = made.record()
    docker(engine, "rmi", "--force", record.reference)
    code, screen = on_terminal(made.command(SLIM))
    assert code == 0, screen
    for phase in ("export", "load", "built"):
        assert phase in screen
    assert "\x1b[" in screen
    assert made.record().digest == record.digest
    assert made.record().built > record.built


def on_terminal(command):
    """Run a command on a pseudo-terminal, and return its exit code and what was on the screen."""
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (40, 160))
    env = {key: value for key, value in os.environ.items() if key != "CI"} | {"TERM": "xterm"}
    child = subprocess.Popen(command, cwd=paths.ROOT, env=env, stdin=theirs, stdout=theirs, stderr=theirs)
    os.close(theirs)
    screen = b""
    try:
        while part := os.read(ours, 1 << 16):
            screen += part
    except OSError:
        pass  # Linux says so when the last one has closed the other side.
    os.close(ours)
    return child.wait(), screen.decode()


def bake(engine, definition, target, *words):
    """Run bare bake."""
    env = {**os.environ, **engine.env, "BUILDX_BAKE_ENTITLEMENTS_FS": "0"}
    command = engine.buildx("bake", "--file", definition, *words, target)
    subprocess.run(command, env=env, check=True, capture_output=True)


def layers(archive):
    """Return the digests of the layers of a saved image."""
    names = subprocess.run(["tar", "-xOf", archive, "index.json"], capture_output=True, check=True).stdout
    digest = json.loads(names)["manifests"][0]["digest"].replace(":", "/")
    found = subprocess.run(["tar", "-xOf", archive, f"blobs/{digest}"], capture_output=True, check=True).stdout
    return [layer["digest"] for layer in json.loads(found)["layers"]]


def test_a_build_is_reproducible(built, engine, tmp_path):
    """The final stage made anew gives the same manifest, and another release's day the same base layer."""
    made, _ = built
    definition = made.runs()[0] / "definition.json"
    target = f"{SLIM.replace('.', '_')}-linux-{engine.platform.split('/')[1]}"
    (output,) = json.loads(definition.read_text("utf-8"))["target"][target]["output"]
    again, base = tmp_path / "again.tar", tmp_path / "base.tar"
    words = ["--set", f"{target}.output={re.sub('dest=[^,]+', f'dest={again}', output)}"]
    bake(engine, definition, target, *words, "--set", f"{target}.no-cache-filter=python")
    assert oci.images(again)[0].digest == made.record().digest
    later = re.sub(r"dest=[^,]+(.*epoch=)\d+", rf"dest={base}\g<1>{int(time.time())}", output)
    bake(engine, definition, target, "--set", f"{target}.output={later}", "--set", f"{target}.target=base")
    assert layers(again)[:1] == layers(base)[:1]


def test_one_failure_does_not_cancel_the_others(family):
    """The summary has all; who failed names the reason and a log with apt's words."""
    family.trixie["packages"]["full"] = ["kiln-no-such-package"]
    family.add_missing_release()
    done = family.build("*")
    assert done.returncode == 1
    lines = summary(done)
    assert set(lines) == {FULL, SLIM, f"{GONE}-trixie", f"{GONE}-slim-trixie"}
    assert re.search(r"^built +\w+ +[\d.]+ MB  sha256:[0-9a-f]{64}$", lines[SLIM])
    assert lines[f"{GONE}-trixie"].endswith(f"  {GONE}: its sources cannot be had from anywhere")
    assert done.stdout.count(f"Python-{GONE}.tar.xz: ") == 1
    failed = re.fullmatch(
        r"failed +\w+ +E: Unable to locate package kiln-no-such-package \(exit code: 100\); see (\S+)", lines[FULL]
    )
    assert "Unable to locate package kiln-no-such-package" in Path(failed[1]).read_text("utf-8")
    assert family.record(FULL) is None


def test_two_builds_of_one_image_at_once(family, built, engine):
    """Both succeed with one digest, which another repository's is too; an engine may be named."""
    named = {"DOCKER_HOST": engine.env.get("DOCKER_HOST", os.environ.get("DOCKER_HOST", ""))}
    children = [family.start(SLIM), family.start(SLIM, env={key: value for key, value in named.items() if value})]
    ended = [child.communicate(timeout=600) for child in children]
    assert [child.returncode for child in children] == [0, 0], ended
    assert all(f"  {built[0].record().digest}" in out for out, _ in ended)


def test_an_interrupted_build_carries_on(family):
    """Ctrl-C is 130 and a line; after it and after `kill -9` the next run finds its steps cached."""
    child = family.start(SLIM)
    before = await_line(child, ": export")
    code, text = interrupt(child)
    assert (code, text) == (130, "interrupted; the same command carries on from here\n"), before
    (run,) = family.runs()
    assert family.record() is None
    assert not (run / workspace.ARCHIVES).exists()
    assert await_end(str(run), 1)

    child = family.start(SLIM)
    await_line(child, ": export")
    child.kill()
    child.communicate(timeout=600)
    killed = family.runs()[-1]
    assert family.record() is None

    done = family.build(SLIM)
    assert done.returncode == 0, done.stderr
    log = logs(family.runs()[-1])[next(name for name in logs(family.runs()[-1]) if name.startswith("3_13"))]
    ran, cached = steps(log, "python")
    assert ran == cached != set()
    assert await_end(str(killed))
    # The next build of anything removes what the killed one left.
    with workspace.workspace():
        assert not (killed / workspace.ARCHIVES).exists()


@ROOT_ONLY
def test_a_full_disk_is_told(family):
    """The archive finds no room: the error says so, and no image or record comes of it."""
    script = f'mount -t tmpfs -o size=8m tmpfs "{workspace.home()}" && exec "$@"'
    full = script.replace("&&", f'&& fallocate --length 8m "{workspace.home()}/file" &&')
    done = family.build(SLIM, prefix=["unshare", "--mount", "sh", "-c", full, "sh"])
    assert re.search("the disk is full .*; make room, or set KILN_HOME", error_of(done))
    done = family.build(SLIM, prefix=["unshare", "--mount", "sh", "-c", script, "sh"])
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert re.match(
        r"failed .*no space left on device: the disk is full; make room, or set KILN_HOME", summary(done)[SLIM]
    )
    assert family.record() is None
    assert family.runs() == []


def test_a_dry_run_shows_all_and_needs_no_engine(built):
    """The definition is that of the build, with the base that is at hand; no engine is asked."""
    made, _ = built
    before = made.runs()
    done = made.build("*", "--dry-run", env={"DOCKER_HOST": "unix:///nowhere"})
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plan: 2 builds, 1 compile\n")
    assert f"    {FULL} {SLIM}\n" in done.stdout
    assert "{" not in done.stdout
    document = json.loads(made.build("*", "--dry-run", "--json", env={"DOCKER_HOST": "unix:///nowhere"}).stdout)
    assert [one["id"] for one in document["plan"]] == [FULL, SLIM]
    shown, real = document["definition"], json.loads(before[0].joinpath("definition.json").read_text("utf-8"))
    assert shown["target"].keys() == real["target"].keys()
    for name, target in shown["target"].items():
        assert target["contexts"] == real["target"][name]["contexts"]
        assert Path(target["context"], "Dockerfile").is_file()
    assert made.runs() == before


def test_a_dry_run_shows_what_cannot_be_built(family):
    """As the build would: the others go on."""
    family.add_missing_release()
    done = family.build("*", "--dry-run")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("plan: 2 builds, 1 compile\n")
    assert f"\n  not built: 2 builds of {GONE}: no sources to be had" in done.stdout
    assert "no sources to be had from here" in error_of(family.build(f"{GONE}*", "--dry-run"))


def test_no_cache_compiles_once(built):
    """With --no-cache the compile target is made anew, and the images take what it made."""
    made, _ = built
    targets = json.loads(made.build("*", "--dry-run", "--json", "--no-cache").stdout)["definition"]["target"]
    anew = {name: target.get("no-cache", target.get("no-cache-filter")) for name, target in targets.items()}
    assert sorted(anew.values(), key=str) == [True, ["python"], ["python"]]
    assert next(name for name, value in anew.items() if value is True).startswith("compile-")


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["3.99*"], "error: '3.99*' matches no image; "),
        ([SLIM, "--platform", "linux/mips"], f"error: {SLIM} is not offered for linux/mips; there is linux/amd64"),
        ([SLIM, "--jobs", "0"], "error: --jobs 0: at least one build must run; give 1 or more"),
        ([SLIM, "--jobs", "0", "--dry-run"], "error: --jobs 0: at least one build must run; give 1 or more"),
        ([SLIM, "--sources", "/nowhere"], "error: /nowhere: no such folder; --sources takes a folder of source"),
        (["--platform", "linux/mips"], "error: --platform needs the images it is for; name them, or give --all"),
    ],
)
def test_mistakes_are_one_line_before_anything_starts(tmp_path, words, message):
    """Exit code 1, what to do, and no engine in a home that has none."""
    done = Family(tmp_path).build(*words, env={"KILN_HOME": str(tmp_path / "home")})
    assert error_of(done).startswith(message)
    assert not (tmp_path / "home" / "engine").exists()


def test_a_builder_that_does_not_exist_is_one_line(family):
    """It is looked for before anything is built."""
    done = family.build(SLIM, "--builder", "kiln-nosuch")
    assert error_of(done).startswith("error: --builder kiln-nosuch: ")
    assert family.runs() == []


def test_a_home_that_cannot_be_made(tmp_path):
    """A file stands where the folder should be."""
    (tmp_path / "file").write_text("")
    done = Family(tmp_path).build(SLIM, env={"KILN_HOME": str(tmp_path / "file" / "home")})
    assert "cannot make Kiln's folder (Not a directory); set KILN_HOME" in error_of(done)


@ROOT_ONLY
def test_a_home_that_cannot_be_written_to(tmp_path):
    """Its disk is mounted for reading only."""
    script = f'mount -t tmpfs -o ro tmpfs "{tmp_path}/home" && exec "$@"'
    (tmp_path / "home").mkdir()
    done = Family(tmp_path).build(
        SLIM, env={"KILN_HOME": str(tmp_path / "home")}, prefix=["unshare", "--mount", "sh", "-c", script, "sh"]
    )
    assert "Read-only file system" in error_of(done)


@pytest.fixture
def other_home(tmp_path_factory, monkeypatch):
    """Make a home with an engine of its own, and with the base and the sources of this one."""
    here = paths.home()
    home = tmp_path_factory.mktemp("home")
    for name in ("bases", "sources", "apt/unpacked"):
        if (here / name).is_dir():
            shutil.copytree(here / name, home / name, symlinks=True)
    root = engine_root.current()
    monkeypatch.setenv("KILN_HOME", str(home))
    for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
        monkeypatch.delenv(name, raising=False)
    if root.is_dir():
        subprocess.run(["cp", "-a", root, engine_root.location().parent], check=True)
    yield home
    engines.stop()
    shutil.rmtree(home, ignore_errors=True)


@ROOT_ONLY
def test_an_engine_that_dies_comes_back(other_home, tmp_path):
    """Killed half way, it is an error that names the log; the next run starts it again and gets as far."""
    if engines.DEFAULT_SOCKET.exists():
        pytest.skip("another engine answers here")
    made = Family(tmp_path)
    child = made.start(SLIM)
    lines = await_line(child, ": packages")
    os.kill(engine_private.running(), signal.SIGKILL)
    out, err = child.communicate(timeout=60)
    assert child.returncode == 1, (lines, out, err)
    assert "Traceback" not in err
    found = re.search(rf"^{SLIM} .* failed .*; see (\S+)$", out, re.MULTILINE)
    assert found, out
    assert Path(found[1]).is_relative_to(other_home)
    assert Path(found[1]).is_file()
    child = made.start(SLIM)
    await_line(child, ": packages")
    assert engine_private.running() is not None
    assert interrupt(child)[0] == 130
