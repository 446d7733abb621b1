"""The private engine on this machine: real dockerd, real mounts, real containers."""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kiln import engine, engine_private, engine_root, paths
from kiln.engine import Engine
from kiln.errors import EngineError

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can start a private engine")

START = "from kiln import engine; engine.start()"
# What makes the root file system large, and is of no use in a container.
DOCKERS_OWN = (
    "usr/libexec/docker",
    "usr/sbin/dockerd",
    "usr/bin/docker",
    "usr/bin/containerd*",
    "usr/bin/ctr",
)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Make a Kiln home of its own, with the root file system copied where this user has one."""
    existing = engine_root.current()
    folder = tmp_path_factory.mktemp("home")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("KILN_HOME", str(folder))
        for name in ("DOCKER_HOST", "DOCKER_CONTEXT"):
            patch.delenv(name, raising=False)
        if existing.is_dir():
            subprocess.run(["cp", "-a", existing, engine_root.location().parent], check=True)
        yield folder
        engine.stop()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def image(home: Path) -> str:
    """Import an image with Debian in it, made of the engine's own root file system."""
    assert engine_private.address().is_relative_to(home)
    return import_image(engine.start())


def import_image(running: Engine) -> str:
    """Return the image's name, imported first if the engine lost it with its folder."""
    if docker(running, "image", "ls", "--quiet", "kiln-test"):
        return "kiln-test"
    exclude = [f"--exclude=./{name}" for name in DOCKERS_OWN]
    with subprocess.Popen(["tar", "-C", engine_root.current(), *exclude, "-c", "."], stdout=-1) as tar:
        subprocess.run(running.docker("import", "-", "kiln-test"), env=call(running), stdin=tar.stdout, check=True)
    assert tar.returncode == 0
    return "kiln-test"


def call(running: Engine) -> dict[str, str]:
    return {**os.environ, **running.env}


def docker(running: Engine, *args: str) -> str:
    return subprocess.run(running.docker(*args), env=call(running), capture_output=True, text=True, check=True).stdout


def traces() -> dict[str, object]:
    """Return what a private engine changes on the host: all of it is as before after a stop."""
    name = engine_private.name()
    rules = subprocess.run(
        ["chroot", engine_root.current(), "iptables-save"], capture_output=True, text=True, check=True
    ).stdout
    return {
        "mounts": [line for line in Path("/proc/self/mountinfo").read_text().splitlines() if not _others(line)],
        "bridges": [path for path in Path("/sys/class/net").iterdir() if path.name == name],
        "rules": [line for line in rules.splitlines() if name in line],
        "groups": list(Path("/sys/fs/cgroup").glob(f"**/{name}")),
        "processes": [path for path in Path("/proc").glob("[0-9]*") if _of(path, str(engine_root.location()))],
        "record": (engine_root.location().parent / "network.json").exists(),
        "folders": [[path.name for path in Path(folder).iterdir()] for folder in ("/etc", "/opt", "/var/lib")],
        "link": Path("/run", name).exists(),
    }


def _others(mount: str) -> bool:
    """Tell whether a line of mountinfo is of another program's, which may work beside this test."""
    place = Path(mount.split()[4])
    return place.is_relative_to(tempfile.gettempdir()) and not place.is_relative_to(paths.home().parent)


def _of(process: Path, root: str) -> bool:
    try:
        return f"ROOT={root}\0" in (process / "environ").read_text(errors="replace")
    except OSError:
        return False


@pytest.mark.usefixtures("home")
def test_an_engine_outlives_a_killed_starter_and_is_found_again() -> None:
    """Whenever Kiln is killed while it starts an engine, the next command has one engine that answers."""
    starter = subprocess.Popen([sys.executable, "-c", START], cwd=Path(__file__).parents[2])
    while engine_private.running() is None and starter.poll() is None:
        time.sleep(0.01)
    starter.send_signal(signal.SIGKILL)
    starter.wait()
    pid = engine_private.running()
    found = engine.find()
    assert found is not None
    assert engine.find() == found
    assert engine_private.running() == pid


@pytest.mark.usefixtures("home")
def test_simultaneous_starts_give_one_engine() -> None:
    """Of several Kilns that start an engine at once, one does and all have it."""
    engine.stop()
    with ThreadPoolExecutor() as pool:
        runs = [
            pool.submit(subprocess.run, [sys.executable, "-c", START], cwd=Path(__file__).parents[2], check=True)
            for _ in range(3)
        ]
        for run in runs:
            run.result()
    daemons = [path for path in Path("/proc").glob("[0-9]*") if _is_dockerd(path)]
    assert len(daemons) == 1


def _is_dockerd(process: Path) -> bool:
    return _of(process, str(engine_root.location())) and (process / "comm").read_text().strip() == "dockerd"


def test_containers_mount_the_hosts_files(image: str, tmp_path: Path) -> None:
    """A file of the host appears in a container that mounts it, wherever it is."""
    running = engine.bring()
    (tmp_path / "here").write_text("seen\n")
    for source in (tmp_path / "here", Path("/etc/hostname"), Path(__file__)):
        out = docker(running, "run", "--rm", "--volume", f"{source}:/there:ro", image, "cat", "/there")
        assert out == source.read_text()


def test_containers_reach_the_hosts_network(image: str) -> None:
    """A container resolves names and fetches package lists, on the default network and on a user's."""
    running = engine.bring()
    docker(running, "network", "create", "kiln-test")
    for network in ("bridge", "kiln-test"):
        out = docker(running, "run", "--rm", "--network", network, image, "apt-get", "update")
        assert "InRelease" in out


def test_buildx_builds_with_the_containerd_store(image: str, tmp_path: Path) -> None:
    """The engine's buildx runs a build whose image it then has."""
    running = engine.bring()
    (tmp_path / "Dockerfile").write_text(f"FROM {image}\nRUN echo built > /built\n")
    subprocess.run(running.buildx("build", "--tag", "kiln-built", tmp_path), env=call(running), check=True)
    assert docker(running, "run", "--rm", "kiln-built", "cat", "/built") == "built\n"
    assert running.containerd_store
    assert running.platforms[0].startswith("linux/")


def test_a_crashed_engine_is_replaced(image: str) -> None:
    """After the engine was killed, the next command clears what is left and starts another."""
    before = engine_private.running()
    assert before is not None
    os.kill(before, signal.SIGKILL)
    while engine_private.running() is not None:
        time.sleep(0.01)
    assert engine.find() is None
    running = engine.bring()
    assert engine_private.running() != before
    assert docker(running, "run", "--rm", image, "echo", "again") == "again\n"


def test_stop_leaves_no_trace(image: str) -> None:
    """After a stop, mounts, processes, bridges, rules and control groups are as before the start."""
    engine.stop()
    before = traces()
    running = engine.start()
    docker(running, "run", "--detach", "--network", "kiln-test", image, "sleep", "1000")
    assert traces()["mounts"] == before["mounts"]
    assert engine.stop()
    assert traces() == before
    assert before["processes"] == []
    assert not engine.stop()


def _kill() -> None:
    pid = engine_private.running()
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    while engine_private.running() is not None:
        time.sleep(0.01)


@pytest.mark.parametrize(
    ("alive", "lost"),
    [
        (True, "engine/run"), (True, "engine/run/init"), (True, "."),
        (False, "engine/run"), (False, "engine/network.json"), (False, "."),
    ],
)  # fmt: skip
def test_an_engine_whose_folder_was_deleted_is_replaced(home: Path, alive: bool, lost: str) -> None:
    """Whatever of its home is deleted, while it runs or after it died, the next start works and leaves no trace."""
    engine.stop()
    before = traces()
    running = engine.start()
    network = f"kiln-{uuid.uuid4().hex[:8]}"
    docker(running, "network", "create", network)
    docker(running, "run", "--detach", "--network", network, import_image(running), "sleep", "1000")
    if not alive:
        _kill()
    kept = home.parent / f"{home.name}-kept"
    engine_root.location().rename(kept)
    subprocess.run(["rm", "-rf", *([home / lost] if lost != "." else home.iterdir())], check=True)
    engine_root.location().parent.mkdir(parents=True, exist_ok=True)
    kept.rename(engine_root.location())
    if not alive or engine_private.running() is None:
        again = engine.start()
        assert docker(again, "version", "--format", "{{.Server.Version}}").strip() == again.server
        assert len([path for path in Path("/proc").glob("[0-9]*") if _is_dockerd(path)]) == 1
    engine.stop()
    assert traces() == before


def test_stop_ends_an_engine_whose_folder_was_deleted(home: Path) -> None:
    """A person who deletes the cache folder and asks for a stop gets one, by the engine's name alone."""
    engine.stop()
    before = traces()
    engine.start()
    shutil.rmtree(home / "engine/run")
    assert engine_private.running() is None
    assert engine.stop()
    assert traces() == before


def test_another_homes_engine_whose_folder_was_deleted_is_ended(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporary home that was deleted has no next start of its own; any other home's start ends its engine."""
    engine.stop()
    monkeypatch.setattr(engine_private, "YOUNG_SECONDS", 0)
    root = engine_root.location()
    other = home.parent / f"{home.name}-other"
    with monkeypatch.context() as patch:
        patch.setenv("KILN_HOME", str(other))
        theirs = engine_root.location()
        root.rename(theirs)
        engine.start()
        name, pid = engine_private.name(), engine_private.running()
        theirs.rename(root)
        shutil.rmtree(other)
    engine.start()
    assert not Path("/proc", str(pid)).exists()
    assert not Path("/sys/class/net", name).exists()


def test_a_socket_path_too_long_for_the_kernel_is_shortened(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A home deep in the file system has an address that fits into a socket's."""
    deep = home.joinpath(*["deep"] * 30)
    monkeypatch.setenv("KILN_HOME", str(deep))
    assert len(str(engine_private.address())) < 108


def test_a_home_on_an_overlay_is_refused(home: Path) -> None:
    """Where image layers cannot lie, the error names the file system and the remedy."""
    script = (
        'cd "$1" && mkdir -p low up work top && '
        'mount -t overlay -o lowerdir=low,upperdir=up,workdir=work o top && KILN_HOME="$1/top" "$2" -c "$3"'
    )
    code = "from kiln import engine_host as h, errors as e\ntry: h.check()\nexcept e.EngineError as x: print(x)"
    command = ["unshare", "--mount", "sh", "-euc", script, "sh", home / "overlay", sys.executable, code]
    (home / "overlay").mkdir()
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    out = subprocess.run(command, env=environment, capture_output=True, text=True, check=True).stdout
    assert "(overlayfs); set KILN_HOME to a folder on a disk" in out


def test_a_named_engine_that_does_not_answer_is_an_error(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """DOCKER_HOST is the user's word: no other engine is taken in its place."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{home}/none.sock")
    with pytest.raises(EngineError, match=r"DOCKER_HOST=.*none\.sock: no Docker engine answers there"):
        engine.bring()
