"""Debian bases, bootstrapped from the archive's signed packages and kept until those change."""

import hashlib
import re
import shutil
import time
from dataclasses import dataclass
from pathlib import Path

from kiln import apt, console, oci, paths, rootfs, slim
from kiln.bootstrap import Bootstrap, bootstrap
from kiln.errors import AptError, BaseError

FRESH_SECONDS = 6 * 3600
"""How long a base is used without asking the archive for newer packages."""
KEPT_SECONDS = 7 * 24 * 3600
"""How long a base that newer packages have replaced stays, for builds that may still use it."""
# Debian's own images carry it beyond `minbase`: debootstrap takes every alternative of apt's dependencies.
_INCLUDE = ("adduser",)
_HOOKS = "usr/share/mmdebstrap/hooks/maybe-merged-usr"


@dataclass(frozen=True, kw_only=True)
class System:
    """A Debian release on a platform."""

    suite: str
    platform: str
    """As Docker writes it: `linux/arm/v7`."""
    architecture: str
    """As Debian writes it: `armhf`."""

    @property
    def name(self) -> str:
        """Return what its files and logs are called: `trixie-linux-arm-v7`."""
        return f"{self.suite}-{self.platform.replace('/', '-')}"


def layout(system: System) -> Path:
    """Return the OCI layout of a system's base; it is made if there is none or packages are newer.

    AptError if there is no Debian archive, or mmdebstrap fails and no older base can do.
    """
    folder = paths.folder("bases", system.name)
    with paths.lock(f"base-{system.name}"):
        current = _current(folder)
        if current is None or not _fresh(folder):
            current = _refreshed(folder, current, system)
            paths.write_whole(folder / "current", current.name)
            _prune(folder, current)
    return current


def at_hand(system: System) -> Path | None:
    """Return the layout that `layout` would return without asking the archive, if there is one."""
    folder = paths.folder("bases", system.name)
    current = _current(folder)
    return current if current and _fresh(folder) else None


def simulated(log: str) -> list[str]:
    """Return the packages (`name version`, sorted) that an `apt-get --simulate` says it would install."""
    return sorted({f"{name} {version}" for name, version in re.findall(r"^Inst (\S+) \((\S+)", log, re.MULTILINE)})


def _fresh(folder: Path) -> bool:
    return time.time() - (folder / "current").stat().st_mtime <= FRESH_SECONDS


def _current(folder: Path) -> Path | None:
    """Return the layout that is in use, if it is whole."""
    try:
        layout = folder / (folder / "current").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return layout if (layout / "index.json").is_file() else None


def _refreshed(folder: Path, current: Path | None, system: System) -> Path:
    """Return the layout for the archive's packages of now, made if there is none."""
    try:
        packages = _packages(system)
    except AptError as error:
        if current is None:
            raise
        console.say(f"{system.name}: cannot ask for newer packages, so the base stays as it is; {error}")
        return current
    recipe = "\n".join((str(rootfs.RECIPE), system.platform, *packages))
    fresh = folder / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    if not (fresh / "index.json").is_file():
        with console.step(f"Bootstrapping {system.name} from signed packages"):
            _make(fresh, system)
    return fresh


def _packages(system: System) -> list[str]:
    """Return what a bootstrap would install now, by letting mmdebstrap simulate one (5 s)."""
    log = paths.log(f"base-{system.name}-check")
    log.unlink(missing_ok=True)
    skeleton = paths.folder("tmp") / f"base-{system.name}"
    bootstrap(_wanted(system, output=skeleton, log=log, hooks=("--simulate", "--verbose")))
    shutil.rmtree(skeleton)
    packages = simulated(log.read_text(encoding="utf-8", errors="replace"))
    if not packages:
        raise BaseError(f"{system.name}: mmdebstrap named no packages; see {log}")
    return packages


def _make(layout: Path, system: System) -> None:
    log = paths.log(f"base-{system.name}")
    started = time.time()
    archive = layout.parent / "rootfs.tar"
    hooks = _hooks(system.suite)
    bootstrap(_wanted(system, output=archive, log=log, hooks=hooks))
    with oci.writing(layout) as part:
        layer = rootfs.pack(archive, part / "layer.part", started=started)
        oci.write_index(part, [rootfs.write_image(part, layer, platform=system.platform)])
    archive.unlink()


def _wanted(system: System, *, output: Path, log: Path, hooks: tuple[str, ...]) -> Bootstrap:
    return Bootstrap(
        suite=system.suite,
        output=output,
        log=log,
        architecture=system.architecture,
        include=_INCLUDE,
        dpkgopts=slim.DPKG_FILTERS,
        hooks=hooks,
    )


def _hooks(suite: str) -> tuple[str, ...]:
    """Return mmdebstrap's options beyond the package set."""
    tree = apt.unpack(["mmdebstrap", "arch-test"])
    folder = next(root / _HOOKS for root in (tree, Path("/")) if (root / _HOOKS).is_dir())
    # What mmdebstrap itself would write for the suite, not what this host has: only that may stay.
    default = (
        'env -u APT_CONFIG perl "$(command -v mmdebstrap)" --quiet --simulate --skip=update --variant=custom '
        f'{suite} "$1"/tmp/default && cp "$1"/tmp/default/etc/apt/sources.list "$1"/{rootfs.DEFAULT_SOURCES}'
    )
    # As in Debian's own images: nothing counts as asked for (`apt-mark showmanual` starts empty), and
    # nothing is there that nothing needs (usr-is-merged where the suite is merged without it).
    auto = (
        'chroot "$1" apt-mark auto $(chroot "$1" dpkg-query --show --showformat "\\${Package} ") > /dev/null && '
        'chroot "$1" apt-get autoremove --purge --yes'
    )
    return (f"--hook-directory={folder}", f"--customize-hook={default}", f"--customize-hook={auto}")


def _prune(folder: Path, layout: Path) -> None:
    """Remove bases that newer packages replaced a while ago, and what killed processes left."""
    for path in folder.iterdir():
        old = time.time() - path.stat().st_mtime > KEPT_SECONDS
        if path.is_dir() and path != layout and (old or path.name.endswith(".part")):
            shutil.rmtree(path, ignore_errors=True)
