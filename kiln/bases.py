"""Base images, from one of two origins: a registry, or the distribution's own signed packages."""

import hashlib
import os
import platform as machine
import re
import shutil
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from kiln import apt, console, oci, paths, registry, rootfs
from kiln.bootstrap import Bootstrap, bootstrap
from kiln.errors import AptError, BaseError
from kiln.model import Target

FRESH_SECONDS = 6 * 3600
"""How long a bootstrapped base is used without asking the archive for newer packages."""
KEPT_SECONDS = 7 * 24 * 3600
"""How long a base that newer packages have replaced stays, for builds that may still use it."""
ARCHITECTURES = {
    "linux/386": "i386",
    "linux/amd64": "amd64",
    "linux/arm/v5": "armel",
    "linux/arm/v7": "armhf",
    "linux/arm64": "arm64",
    "linux/arm64/v8": "arm64",
    "linux/mips64le": "mips64el",
    "linux/ppc64le": "ppc64el",
    "linux/riscv64": "riscv64",
    "linux/s390x": "s390x",
}
"""Debian's name for each platform."""
_NATIVE = {
    "x86_64": ("amd64", "i386"),
    "aarch64": ("arm64",),
    "armv7l": ("armhf", "armel"),
    "i686": ("i386",),
    "ppc64le": ("ppc64el",),
    "riscv64": ("riscv64",),
    "s390x": ("s390x",),
    "mips64": ("mips64el",),
}
_EMULATORS = {
    "amd64": "x86_64",
    "arm64": "aarch64",
    "armel": "arm",
    "armhf": "arm",
    "i386": "i386",
    "mips64el": "mips64el",
    "ppc64el": "ppc64le",
    "riscv64": "riscv64",
    "s390x": "s390x",
}
# Debian's own images carry it beyond `minbase`: debootstrap takes every alternative of apt's dependencies.
_INCLUDE = ("adduser",)
_HOOKS = "usr/share/mmdebstrap/hooks/maybe-merged-usr"


@dataclass(frozen=True, kw_only=True)
class Base:
    """A base image that a build can use."""

    context: str
    """A bake context: `docker-image://...@sha256:...` or `oci-layout://FOLDER@sha256:...`."""
    digest: str
    """`sha256:...` of the manifest or of the index."""
    name: str
    """The reference that people know it by: `debian:trixie-slim`."""
    origin: str
    """Where it is from, for people."""


def resolve(target: Target, platform: str, *, engine: registry.Client) -> Base:
    """Return the base of a target for a platform, bootstrapped now if no registry has it.

    `KILN_BASES` set to `registry` or `bootstrap` allows one origin only. BaseError: neither works.
    """
    image, found = target.base.image, None
    if _allowed("registry"):
        found = registry.look(registry.reference(target.base), engine)
        if found.digest:
            context = f"docker-image://{image}@{found.digest}"
            return Base(context=context, digest=found.digest, name=image, origin="registry")
    reason = found.reason if found else "KILN_BASES=bootstrap"
    obstacle = _obstacle(target, platform)
    if obstacle:
        raise BaseError(f"{image} for {platform}: not from its registry ({reason}); {obstacle}")
    return _bootstrapped(target, platform)


def available(target: Target, platform: str, *, engine: registry.Client | None = None) -> str | None:
    """Return the origin that `resolve` would use, `registry` or `bootstrap`, without doing it.

    Without an engine, a registry counts if it was seen in the last minutes. None: neither works.
    """
    if _allowed("registry"):
        reference = registry.reference(target.base)
        found = registry.look(reference, engine) if engine else registry.known(reference)
        if found and found.digest:
            return "registry"
    return None if _obstacle(target, platform) else "bootstrap"


def emulated(architecture: str, folder: Path = Path("/proc/sys/fs/binfmt_misc")) -> bool:
    """Tell whether programs of a Debian architecture run here through an emulator, in any root."""
    try:
        lines = (folder / f"qemu-{_EMULATORS[architecture]}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # Without the flag F the emulator is looked for inside the new system, where it is not.
    return "enabled" in lines and any(line.startswith("flags:") and "F" in line[6:] for line in lines)


def simulated(log: str) -> list[str]:
    """Return the packages (`name version`, sorted) that an `apt-get --simulate` says it would install."""
    return sorted({f"{name} {version}" for name, version in re.findall(r"^Inst (\S+) \((\S+)", log, re.MULTILINE)})


def _allowed(origin: str) -> bool:
    chosen = os.environ.get("KILN_BASES", "")
    if chosen not in ("", "registry", "bootstrap"):
        raise BaseError(f"KILN_BASES={chosen}: no such origin; set it to registry or bootstrap, or unset it")
    return chosen in ("", origin)


def _obstacle(target: Target, platform: str) -> str:
    """Return why the base cannot be bootstrapped here and what to do, or nothing if it can."""
    architecture = ARCHITECTURES.get(platform)
    if not _allowed("bootstrap"):
        return "KILN_BASES=registry rules out a bootstrap; unset it, or make the registry reachable"
    if target.distribution != "debian":
        return "only Debian bases can be bootstrapped; make the registry reachable, or choose a Debian target"
    if architecture is None:
        return f"Debian has no architecture for {platform}; choose one of {', '.join(ARCHITECTURES)}"
    if not shutil.which("apt-get"):
        return "a bootstrap needs Debian's apt-get on this machine; make the registry reachable"
    if architecture not in _NATIVE.get(machine.machine(), ()) and not emulated(architecture):
        return (
            f"{architecture} programs cannot run here; install qemu-user-static and binfmt-support, "
            f"or build on an {architecture} machine"
        )
    return ""


def _bootstrapped(target: Target, platform: str) -> Base:
    suite, architecture = target.release, ARCHITECTURES[platform]
    folder = paths.folder("bases", suite, platform.replace("/", "-"))
    with paths.lock(f"base-{suite}-{platform.replace('/', '-')}"):
        layout = _current(folder)
        if layout is None or time.time() - (folder / "current").stat().st_mtime > FRESH_SECONDS:
            layout = _refreshed(folder, layout, target, platform)
            paths.write_whole(folder / "current", layout.name)
            _prune(folder, layout)
    digest = oci.images(layout)[0].digest
    day = datetime.fromtimestamp((layout / "index.json").stat().st_mtime, UTC).date()
    origin = f"bootstrapped from Debian's signed packages on {day}"
    if target.base.digest:
        origin += f", because the pinned {target.base.digest} cannot be pulled"
    return Base(context=f"oci-layout://{layout}@{digest}", digest=digest, name=target.base.image, origin=origin)


def _current(folder: Path) -> Path | None:
    """Return the layout that is in use, if it is whole."""
    try:
        layout = folder / (folder / "current").read_text(encoding="utf-8").strip()
    except OSError:
        return None
    return layout if (layout / "index.json").is_file() else None


def _refreshed(folder: Path, layout: Path | None, target: Target, platform: str) -> Path:
    """Return the layout for the archive's packages of now, made if there is none."""
    try:
        packages = _packages(target, platform)
    except AptError as error:
        if layout is None:
            raise
        console.say(f"{target.base.image}: cannot ask for newer packages, so the base stays as it is; {error}")
        return layout
    recipe = "\n".join((str(rootfs.RECIPE), platform, *packages))
    fresh = folder / hashlib.sha256(recipe.encode()).hexdigest()[:16]
    if not (fresh / "index.json").is_file():
        with console.step(f"Bootstrapping {target.base.image} for {platform} from signed packages"):
            _make(fresh, target, platform)
    return fresh


def _packages(target: Target, platform: str) -> list[str]:
    """Return what a bootstrap would install now, by letting mmdebstrap simulate one (5 s)."""
    log = paths.log(f"base-{target.release}-{ARCHITECTURES[platform]}-check")
    log.unlink(missing_ok=True)
    skeleton = paths.folder("tmp") / f"base-{target.release}-{ARCHITECTURES[platform]}"
    bootstrap(_wanted(target, platform, output=skeleton, log=log, hooks=("--simulate", "--verbose")))
    shutil.rmtree(skeleton)
    packages = simulated(log.read_text(encoding="utf-8", errors="replace"))
    if not packages:
        raise BaseError(f"{target.base.image}: mmdebstrap named no packages; see {log}")
    return packages


def _make(layout: Path, target: Target, platform: str) -> None:
    log = paths.log(f"base-{target.release}-{ARCHITECTURES[platform]}")
    started = time.time()
    archive = layout.parent / "rootfs.tar"
    hooks = _hooks(target.release)
    bootstrap(_wanted(target, platform, output=archive, log=log, hooks=hooks))
    with oci.writing(layout) as part:
        layer = rootfs.pack(archive, part / "layer.part", started=started)
        oci.write_index(part, [rootfs.write_image(part, layer, platform=platform)])
    archive.unlink()


def _wanted(target: Target, platform: str, *, output: Path, log: Path, hooks: tuple[str, ...]) -> Bootstrap:
    return Bootstrap(
        suite=target.release, output=output, log=log, architecture=ARCHITECTURES[platform],
        include=_INCLUDE, dpkgopts=rootfs.DPKG_FILTERS, hooks=hooks,
    )


def _hooks(suite: str) -> tuple[str, ...]:
    """Return mmdebstrap's options beyond the package set."""
    tree = apt.unpack(["mmdebstrap", "arch-test"])
    folder = next(root / _HOOKS for root in (tree, Path("/")) if (root / _HOOKS).is_dir())
    # What mmdebstrap itself would write for the suite, not what this host has: only that may stay.
    default = (
        "env -u APT_CONFIG perl \"$(command -v mmdebstrap)\" --quiet --simulate --skip=update --variant=custom "
        f'{suite} "$1"/tmp/default && cp "$1"/tmp/default/etc/apt/sources.list "$1"/{rootfs.DEFAULT_SOURCES}'
    )
    # As in Debian's own images: nothing counts as asked for, so `apt-mark showmanual` starts empty.
    auto = 'chroot "$1" apt-mark auto $(chroot "$1" dpkg-query --show --showformat "\\${Package} ") > /dev/null'
    return (
        f"--hook-directory={folder}", f"--customize-hook={default}", f"--customize-hook={auto}",
        "--skip=output/dev,output/mknod",
    )


def _prune(folder: Path, layout: Path) -> None:
    """Remove bases that newer packages replaced a while ago, and what killed processes left."""
    for path in folder.iterdir():
        old = time.time() - path.stat().st_mtime > KEPT_SECONDS
        if path.is_dir() and path != layout and (old or path.name.endswith(".part")):
            shutil.rmtree(path, ignore_errors=True)
