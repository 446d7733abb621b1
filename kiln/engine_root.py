"""The private engine's root file system: Debian packages of Docker, apart from the host's."""

import hashlib
import os
import shutil
from pathlib import Path

from kiln import apt, console, paths
from kiln.bootstrap import Bootstrap, bootstrap
from kiln.errors import AptError, EngineError

SUITE = "trixie"
PACKAGES = ("ca-certificates", "docker-buildx", "docker-cli", "docker.io", "iproute2", "iptables")
_DPKG = tuple(f"path-exclude=/usr/share/{name}/*" for name in ("doc", "info", "locale", "man"))
_CERTIFICATES = "etc/ssl/certs/ca-certificates.crt"
# systemd-resolved listens on the host's loopback, which is not a container's; this file names
# the servers behind it.
_RESOLVED = Path("/run/systemd/resolve/resolv.conf")
INSTALL = (
    "install Docker yourself: on Debian `apt-get install docker.io` (13 and later: with `docker-cli "
    "docker-buildx`), on Ubuntu `apt-get install docker.io docker-buildx`, elsewhere Docker Desktop; "
    "or set DOCKER_HOST to an engine that runs"
)


def location() -> Path:
    """Return where the root file system is, or will be; the name changes with its recipe."""
    recipe = "\n".join((SUITE, *PACKAGES, *_DPKG))
    return paths.folder("engine") / f"root-{hashlib.sha256(recipe.encode()).hexdigest()[:8]}"


def current() -> Path:
    """Return the root file system of the engine that was started last, else where it will be."""
    link = paths.folder("engine") / "current"
    return link.resolve() if link.exists() else location()


def use(root: Path) -> None:
    """Note that the engine that starts now has this root file system."""
    link = paths.folder("engine") / "current"
    link.unlink(missing_ok=True)
    link.symlink_to(root.name)


def ensure() -> Path:
    """Return the root file system, made first if it is missing; EngineError where it cannot be."""
    root = location()
    if root.is_dir():
        return root
    try:
        with console.step("Making a private Docker engine from Debian packages (once, about a minute)"):
            bootstrap(
                Bootstrap(suite=SUITE, output=root, include=PACKAGES, dpkgopts=_DPKG, log=paths.log("engine-root"))
            )
    except AptError as error:
        raise EngineError(f"no Docker engine answers, and none can be brought: {error}; {INSTALL}") from error
    for old in root.parent.glob("root-*"):
        if old != root:
            shutil.rmtree(old, ignore_errors=True)
    return root


def tools() -> Path:
    """Return a folder with Debian's docker client and buildx plugin, for any Linux user."""
    root = current()
    if root.is_dir():
        return root
    try:
        return apt.unpack_only(SUITE, ("docker-cli", "docker-buildx"))
    except AptError as error:
        raise EngineError(f"docker or its buildx plugin is missing here, and {error}; {INSTALL}") from error


def certificates(root: Path) -> Path:
    """Return the certificate bundle that the host's programs trust, else Debian's own."""
    configured = os.environ.get("SSL_CERT_FILE")
    candidates = [Path(configured)] if configured else []
    candidates.append(Path("/", _CERTIFICATES))
    return next((path for path in candidates if path.is_file()), root / _CERTIFICATES)


def lend_resolver(root: Path) -> None:
    """Copy the host's name servers, as they are now, to where the engine's first process takes them from."""
    source = _resolver()
    text = source.read_text(encoding="utf-8") if source.is_file() else ""
    paths.write_whole(root / "etc/resolv.conf", text)


def name_servers(text: str) -> list[str]:
    """Return the name servers of a resolv.conf."""
    rows = [line.split() for line in text.splitlines()]
    return [row[1] for row in rows if len(row) > 1 and row[0] == "nameserver"]


def _resolver() -> Path:
    """Return the host's resolv.conf that is of use in a container."""
    host = Path("/etc/resolv.conf")
    servers = name_servers(host.read_text(encoding="utf-8")) if host.exists() else []
    local = all(server.startswith("127.") or server == "::1" for server in servers)
    return _RESOLVED if local and _RESOLVED.exists() else host
