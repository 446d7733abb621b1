"""Programs of other platforms: Debian's QEMU, registered with this machine's kernel where it is missing."""

import os
import platform as machine
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path

from kiln import apt, console, paths, process
from kiln.errors import AptError, CommandError, EngineError, SelectionError

FOLDER = Path("/proc/sys/fs/binfmt_misc")
SUITE = "trixie"
"""The Debian release that emulators are taken from; they are static, so that any Linux runs them."""
PACKAGES = ("qemu-user", "qemu-user-binfmt")
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
# The kernel's own limits of a registration.
_LONGEST_PATH = 127
_CAP_SYS_ADMIN = 21
_BY_HAND = "install qemu-user-static and binfmt-support"


def emulated(architecture: str, folder: Path = FOLDER) -> bool:
    """Tell whether programs of a Debian architecture run here through an emulator, in any root."""
    try:
        lines = (folder / f"qemu-{_EMULATORS[architecture]}").read_text(encoding="utf-8").splitlines()
    except OSError:
        return False
    # Without the flag F the emulator is looked for inside the new system, where it is not.
    return "enabled" in lines and any(line.startswith("flags:") and "F" in line[6:] for line in lines)


def runs(architecture: str) -> bool:
    """Tell whether programs of a Debian architecture run here, natively or emulated."""
    return architecture in _NATIVE.get(machine.machine(), ()) or emulated(architecture)


def obstacle(architecture: str) -> str:
    """Return why programs of a Debian architecture can neither run here nor be made to, with a remedy, or nothing."""
    if runs(architecture):
        return ""
    cannot = f"{architecture} programs cannot run here"
    if sys.platform != "linux":
        return f"{cannot}; build on a machine with Linux, or with a builder that has a node for them"
    if not shutil.which("apt-get"):
        return f"{cannot}, and there is no apt-get to bring an emulator with; install QEMU's static user emulators"
    if not _may_register():
        return f"{cannot}, and only root on the host may register an emulator; run `invoke doctor --fix` there"
    return ""


def check(platforms: Iterable[str]) -> None:
    """Raise SelectionError for a platform that is none of Debian's."""
    for name in platforms:
        if name not in ARCHITECTURES:
            raise SelectionError(f"--platform {name}: no such platform; use one of {', '.join(ARCHITECTURES)}")


def bring(platforms: Iterable[str]) -> list[str]:
    """Register emulators for the platforms whose programs do not run here, and return those platforms.

    They stay until the machine restarts. EngineError where that cannot be.
    """
    lacking = {
        name: ARCHITECTURES[name] for name in platforms if name in ARCHITECTURES and not runs(ARCHITECTURES[name])
    }
    for architecture in lacking.values():
        if reason := obstacle(architecture):
            raise EngineError(reason)
    if lacking:
        with paths.lock("emulation"):
            _mount()
            for architecture in dict.fromkeys(lacking.values()):
                if not emulated(architecture):
                    _register(_EMULATORS[architecture])
    return list(lacking)


def registration(line: str, interpreter: Path) -> str:
    """Return what the kernel is told of an emulator: Debian's line, for an interpreter that lies elsewhere.

    The flag F makes the kernel open the interpreter at once, so that containers need not have it.
    Raises EngineError for a path that the kernel does not take.
    """
    path = str(interpreter)
    if len(path) > _LONGEST_PATH or ":" in path:
        raise EngineError(
            f"{path}: the kernel takes emulators of at most {_LONGEST_PATH} characters without a colon; set KILN_HOME"
        )
    *rest, _, flags = line.strip().split(":")
    return ":".join([*rest, path, flags if "F" in flags else f"{flags}F"])


def _may_register() -> bool:
    """Tell whether this process may do what only the host's own root may."""
    status = Path("/proc/self/status").read_text(encoding="ascii", errors="replace").splitlines()
    effective = next((int(line.split()[1], 16) for line in status if line.startswith("CapEff:")), 0)
    return os.geteuid() == 0 and bool(effective >> _CAP_SYS_ADMIN & 1)


def _mount() -> None:
    if (FOLDER / "register").exists():
        return
    try:
        process.run(["mount", "-t", "binfmt_misc", "binfmt_misc", FOLDER])
    except CommandError as error:
        raise EngineError(f"{FOLDER}: emulators cannot be registered with this kernel ({error}); {_BY_HAND}") from error
    console.say(f"mounted {FOLDER}, where the kernel is told of emulators")


def _register(cpu: str) -> None:
    """Fetch one emulator and tell the kernel of it."""
    entry = FOLDER / f"qemu-{cpu}"
    if entry.exists():
        raise EngineError(
            f"{entry}: registered, but switched off or not for other root file systems (flag F); "
            f"take it out with `echo -1 > {entry}` as root, and try again"
        )
    # QEMU keeps the program's own name for it where its own ends like this.
    interpreter, line = paths.folder("emulators") / f"{cpu}-binfmt-P", paths.folder("emulators") / f"{cpu}.conf"
    if not (interpreter.exists() and line.exists()):
        _fetch(cpu, interpreter, line)
    try:
        (FOLDER / "register").write_text(registration(line.read_text(encoding="ascii"), interpreter), encoding="ascii")
    except OSError as error:
        raise EngineError(f"{FOLDER}: qemu-{cpu} cannot be registered ({error.strerror}); {_BY_HAND}") from error
    console.say(f"registered {interpreter.name} with this machine's kernel, until it restarts: {entry}")


def _fetch(cpu: str, interpreter: Path, line: Path) -> None:
    """Keep one emulator, and how Debian registers it, of a package with those of forty machines (450 MB)."""
    try:
        tree = apt.unpack_only(SUITE, PACKAGES)
    except AptError as error:
        raise EngineError(f"no emulator can be brought: {error}; {_BY_HAND}") from error
    part = interpreter.with_suffix(".part")
    shutil.copyfile(tree / "usr/bin" / f"qemu-{cpu}", part)
    part.chmod(0o755)
    part.replace(interpreter)
    paths.write_whole(line, (tree / "usr/lib/binfmt.d" / f"qemu-{cpu}.conf").read_text(encoding="ascii"))
    shutil.rmtree(tree)
