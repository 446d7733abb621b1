"""The private engine's life: started once, found again by any later process, stopped clean."""

import contextlib
import hashlib
import json
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

from kiln import console, engine_host, engine_network, engine_root, paths
from kiln.errors import EngineError

SCRIPT = Path(__file__).with_name("engine_init.sh")
BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
START_SECONDS = 60
STOP_SECONDS = 40
YOUNG_SECONDS = START_SECONDS
"""How long another home's engine may take to note that it runs."""
# The kernel's struct sockaddr_un has 108 bytes for a path with its end.
_SOCKET_LIMIT = 107
_PROXIES = ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "no_proxy")


def name() -> str:
    """Return this home's name for its engine, which no other home has: `kiln-` and 8 hex digits."""
    return f"kiln-{hashlib.sha256(os.fsencode(paths.home().resolve())).hexdigest()[:8]}"


def address() -> Path:
    """Return the socket's path, through a short link where the real one is too long for a socket."""
    real = _run_folder() / "docker.sock"
    return real if len(os.fsencode(real)) <= _SOCKET_LIMIT else _link() / "docker.sock"


def running() -> int | None:
    """Return the process id of this home's engine, or None; a stale record counts for nothing."""
    try:
        boot, text = (_run_folder() / "init").read_text(encoding="utf-8").split(" ", 1)
        pid, started = identity(text)
        alive = identity(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8")) == (pid, started)
        same_boot = boot == BOOT_ID.read_text(encoding="ascii").strip()
    except (OSError, ValueError, IndexError):
        return None
    return pid if alive and same_boot else None


def answers() -> bool:
    """Tell whether this home's engine accepts connections and answers a ping."""
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as client:
            client.settimeout(5)
            client.connect(str(address()))
            client.sendall(b"GET /_ping HTTP/1.0\r\n\r\n")
            return client.recv(64).split(b" ")[1:2] == [b"200"]
    except OSError:
        return False


def start() -> None:
    """Start this home's engine unless it runs, and return when it answers."""
    with paths.lock("engine"):
        if running() is not None:
            _await(lambda: running() is not None, "runs, but does not answer; `invoke engine.stop` ends it")
            return
        engine_host.check()
        root = engine_root.ensure()
        with console.step("Starting the private Docker engine"):
            first = _launch(root)
            try:
                _await(lambda: first.poll() is None, "does not start")
            except EngineError:
                first.kill()
                first.wait()
                _clear(root)
                raise
        # It outlives this process on purpose, which Popen would warn of.
        first.returncode = 0


def stop() -> bool:
    """Stop this home's engine and remove all traces of it on the host; tell whether it ran."""
    with paths.lock("engine"):
        pid = running() or next((pid for pid, owner in _abandoned().items() if owner == name()), None)
        if pid is not None:
            with console.step("Stopping the private Docker engine"):
                _end(pid)
        _clear(engine_root.current())
    if engine_network.exists(name()):
        console.say(f"the bridge {name()} is left, because iproute2 is not installed; the next start removes it")
    return pid is not None


def identity(stat: str) -> tuple[int, int]:
    """Return the process id and the start time (clock ticks) from a line of /proc/PID/stat.

    The two together name one process only, as long as the machine is up. A zombie has no name.
    """
    # The program's name stands in parentheses and may hold anything.
    fields = stat.rsplit(")", 1)[1].split()
    if fields[0] in "ZX":
        raise ValueError("the process has ended")
    return int(stat.split(" ", 1)[0]), int(fields[19])


def daemon(network: engine_network.Network, data: Path) -> dict[str, object]:
    """Return dockerd's configuration."""
    lower, upper = network.halves
    return {
        "hosts": ["unix:///run/docker.sock"],
        "data-root": str(data),
        "group": "root",
        "pidfile": "/run/docker.pid",
        "features": {"containerd-snapshotter": True},
        "bridge": network.bridge,
        "fixed-cidr": str(lower),
        "default-address-pools": [{"base": str(upper), "size": 26}],
        "cgroup-parent": f"/{network.bridge}",
        "exec-opts": ["native.cgroupdriver=cgroupfs"],
        # Rules and forwarding are Kiln's: see engine_network.
        "iptables": False,
        "ip6tables": False,
        "ip-forward": False,
        "ip-masq": False,
        "shutdown-timeout": 10,
        # A later stop must find nothing to revive.
        "live-restore": False,
    }


def _launch(root: Path) -> subprocess.Popen[bytes]:
    """Clear what a dead engine left, make its network, and start and return the first process."""
    _clear(root)
    engine_root.use(root)
    run = paths.folder("engine", "run")
    run.chmod(0o711)
    if address().parent != run:
        _link().symlink_to(run)
    engine_root.lend_resolver(root)
    network = engine_network.up(root, name(), _network_record())
    paths.write_whole(run / "daemon.json", json.dumps(daemon(network, paths.folder("engine", "data")), indent=1))
    environment = {key: os.environ[key] for key in _PROXIES if key in os.environ}
    environment |= {
        "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "ROOT": str(root), "RUN": str(run),
        "SSL_CERT_FILE": str(engine_root.certificates(root)),
        # dockerd then leaves the host's AppArmor alone; its profile cannot be loaded from here.
        "container": "kiln",
    }  # fmt: skip
    # Mounts of the host reach the engine, its own never the host.
    spaces = ["--mount", "--propagation", "slave", "--pid", "--ipc", "--uts"]
    command = ["unshare", *spaces, "--fork", "--kill-child", "sh", str(SCRIPT), name()]
    with _log().open("w", encoding="utf-8") as log:
        return subprocess.Popen(command, env=environment, cwd="/", stdin=subprocess.DEVNULL,
                                stdout=log, stderr=log, start_new_session=True)  # fmt: skip


def _await(alive: Callable[[], bool], what: str) -> None:
    """Wait until the engine answers; EngineError with `what` it does if it ends or takes too long."""
    deadline = time.monotonic() + START_SECONDS
    while not answers():
        if not alive() or time.monotonic() > deadline:
            raise EngineError(f"the private Docker engine {what}: {_last_words()}; see {_log()}")
        time.sleep(0.05)


def _end(pid: int) -> None:
    """End the engine: containers first, by dockerd; the kernel ends what is left with `pid`."""
    deadline = time.monotonic() + STOP_SECONDS
    wanted, known = signal.SIGTERM, _identity(pid)
    while known and _identity(pid) == known:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, wanted)
        while _identity(pid) == known and time.monotonic() < deadline:
            time.sleep(0.05)
        wanted = signal.SIGKILL


def _identity(pid: int) -> tuple[int, int] | None:
    """Return a process's number and start time, or None if it has ended."""
    try:
        return identity(Path(f"/proc/{pid}/stat").read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _abandoned() -> dict[int, str]:
    """Return the first process of every engine whose folder was deleted under it, with the engine's name."""
    found = {}
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with contextlib.suppress(OSError, ValueError):
            words = path.read_bytes().decode(errors="replace").rstrip("\0").split("\0")
            if [Path(word).name for word in words[:2]] == ["sh", SCRIPT.name] and _deleted(path.parent, words[-1]):
                found[int(path.parent.name)] = words[-1]
    return found


def _deleted(process: Path, owner: str) -> bool:
    """Tell whether the run folder of an engine is gone; another home's engine may be only starting."""
    if owner == name():
        # Its lock is held, so it is not starting; and `running` did not find it.
        return True
    started = identity((process / "stat").read_text(encoding="utf-8"))[1] / os.sysconf("SC_CLK_TCK")
    old = time.clock_gettime(time.CLOCK_BOOTTIME) - started > YOUNG_SECONDS
    return old and not (process / "root/run/init").exists()


def _clear(root: Path) -> None:
    """Remove what engines that do not run any more, or whose folder is gone, have left on the host."""
    left = _abandoned()
    for pid in left:
        _end(pid)
    for owner in {name(), *left.values()}:
        # Only this home's engine has its record here.
        record = _network_record().with_name("network.json" if owner == name() else f"{owner}.json")
        engine_network.down(root if root.is_dir() else None, owner, record)
        if _link(owner).is_symlink():
            _link(owner).unlink()
        for group in [*Path("/sys/fs/cgroup").glob(owner), *Path("/sys/fs/cgroup").glob(f"*/{owner}")]:
            for folder, _, _ in os.walk(group, topdown=False):
                # A group that is in use still costs nothing and goes with the next stop.
                with contextlib.suppress(OSError):
                    Path(folder).rmdir()
    shutil.rmtree(_run_folder(), ignore_errors=True)


def _last_words() -> str:
    text = _log().read_text(encoding="utf-8", errors="replace") if _log().exists() else ""
    lines = text.strip().splitlines()
    return lines[-1] if lines else "it says nothing"


def _run_folder() -> Path:
    return paths.home() / "engine" / "run"


def _network_record() -> Path:
    return paths.folder("engine") / "network.json"


def _link(owner: str = "") -> Path:
    return Path("/run", owner or name())


def _log() -> Path:
    return paths.log("dockerd")
