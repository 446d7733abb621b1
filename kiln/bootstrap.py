"""Make a root file system of a Debian suite from the host's own archive, with mmdebstrap."""

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kiln import apt, paths, process
from kiln.errors import AptError, CommandError

UNSTABLE = ("sid", "unstable", "experimental")
"""Suites without updates of their own."""
_TEMPORARY = "etc/apt/apt.conf.d/00kiln-host"


@dataclass(frozen=True, kw_only=True)
class Bootstrap:
    """What is made; `output` ends as a folder, or as a tar file where its name ends in `.tar`."""

    suite: str
    output: Path
    log: Path
    architecture: str | None = None
    """A Debian architecture; the host's own if not given. Foreign ones need emulation."""
    variant: str = "minbase"
    include: Sequence[str] = ()
    aptopts: Sequence[str] = ()
    """Lines for apt's configuration; they stay in the result."""
    dpkgopts: Sequence[str] = ()
    """Lines for dpkg's configuration; they stay in the result."""
    hooks: Sequence[str] = ()
    """Whole options: `--customize-hook=rm -r "$1"/var/log/apt`."""
    epoch: int | None = None
    """`SOURCE_DATE_EPOCH`: seconds since 1970 that no file time in a tar exceeds."""


def bootstrap(wanted: Bootstrap) -> Path:
    """Make the root file system and return its path, which appears whole or not at all.

    AptError if there is no Debian archive or mmdebstrap fails; the message names the log.
    """
    output = wanted.output
    with paths.lock(f"bootstrap-{output.name}"), _scratch(output) as scratch:
        result = scratch / output.name
        tree = apt.unpack(["mmdebstrap", "arch-test"])
        try:
            process.run(_arguments(wanted, tree, scratch, result), env=_environment(wanted, tree, scratch),
                        log=wanted.log)  # fmt: skip
        except CommandError as error:
            raise AptError(f"{wanted.suite}: no root file system could be made; {error}") from error
        if output.is_dir():
            shutil.rmtree(output)
        result.replace(output)
    return output


def sources(suite: str) -> list[str]:
    """Return the source lines of a suite with its updates and security fixes, as far as it has them."""
    keyring = apt.mirrors().keyring
    return [f"deb [signed-by={keyring}] {uri} {name} main" for uri, name in archives(suite)]


def archives(suite: str) -> list[tuple[str, str]]:
    """Return address and name of a suite, of its updates and of its security fixes, as far as it has them."""
    mirrors = apt.mirrors()
    found = [(mirrors.main, suite)]
    if suite not in UNSTABLE:
        if apt.has_suite(mirrors.main, f"{suite}-updates"):
            found.append((mirrors.main, f"{suite}-updates"))
        if mirrors.security and apt.has_suite(mirrors.security, f"{suite}-security"):
            found.append((mirrors.security, f"{suite}-security"))
    return found


def perl_path(tree: Path) -> list[Path]:
    """Return the folders below `tree` that hold Perl modules."""
    patterns = ("usr/share/perl5", "usr/share/perl/5*", "usr/lib/*/perl5/5*", "usr/lib/*/perl/5*",
                "usr/lib/*/perl-base")  # fmt: skip
    return [path for pattern in patterns for path in sorted(tree.glob(pattern))]


def _arguments(wanted: Bootstrap, tree: Path, scratch: Path, result: Path) -> list[str]:
    """Return mmdebstrap's command line."""
    own = tree / "usr/bin/mmdebstrap"
    perl = tree / "usr/bin/perl"
    command = [
        str(perl) if perl.exists() else "perl",
        str(own if own.exists() else shutil.which("mmdebstrap")),
    ]
    options = [f"--variant={wanted.variant}", f"--format={'tar' if result.suffix == '.tar' else 'directory'}"]
    if wanted.architecture:
        # arch-test looks for its helpers below /usr only; Kiln has looked itself whether programs run.
        options += [f"--architectures={wanted.architecture}", "--skip=check/qemu"]
    if wanted.include:
        options.append(f"--include={','.join(wanted.include)}")
    options += [f"--aptopt={line}" for line in wanted.aptopts]
    options += [f"--dpkgopt={line}" for line in wanted.dpkgopts]
    options += [*_host_configuration(scratch), *wanted.hooks]
    return [*_isolation(), *command, *options, wanted.suite, str(result), *sources(wanted.suite)]


def _isolation() -> list[str]:
    """Return a prefix under which mounts are not the host's, and all ends when this process does.

    Users other than root need none, for mmdebstrap makes them namespaces anyhow.
    """
    prefix = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--pid", "--fork", "--kill-child"]
    if os.geteuid() != 0:
        return []
    try:
        process.run([*prefix, "--mount-proc", "true"])
    except CommandError:
        # Containers without privileges can do without: mmdebstrap then mounts nothing.
        return []
    return [*prefix, "--mount-proc"]


def _host_configuration(scratch: Path) -> list[str]:
    """Return hooks that lend the host's network settings (proxies, date checks) to the work.

    They are the host's, not the result's, so they are gone from it.
    """
    settings = process.run(["apt-config", "dump", "Acquire"])
    # Which lists are fetched and how they are kept is the result's own business.
    own = ("Acquire::GzipIndexes", "Acquire::IndexTargets", "Acquire::Languages")
    kept = [line for line in settings.splitlines() if not line.startswith(own)]
    file = scratch / "apt.conf"
    file.write_text("\n".join(kept) + "\n", encoding="utf-8")
    return [
        f'--setup-hook=cp "{file}" "$1"/{_TEMPORARY}',
        f'--customize-hook=rm -f "$1"/{_TEMPORARY}',
    ]


def _environment(wanted: Bootstrap, tree: Path, scratch: Path) -> dict[str, str]:
    """Return what mmdebstrap's process needs beside this process's own environment."""
    temporary = scratch / "tmp"
    temporary.mkdir()
    libraries = [str(path) for path in sorted(tree.glob("usr/lib/*-linux-gnu*"))]
    # The distribution's own programs: a user's PATH may lead to others, and lacks /usr/sbin.
    folders = ["/usr/sbin", "/usr/bin", "/sbin", "/bin", f"{tree}/usr/bin", f"{tree}/usr/sbin"]
    environment = {
        "PATH": ":".join(folders),
        "PERL5LIB": ":".join(str(path) for path in perl_path(tree)),
        "TMPDIR": str(temporary),
        "LC_ALL": "C.UTF-8",
    }
    if (tree / "usr/bin/perl").exists():
        environment["LD_LIBRARY_PATH"] = ":".join(libraries)
    if wanted.epoch is not None:
        environment["SOURCE_DATE_EPOCH"] = str(wanted.epoch)
    return environment


@contextmanager
def _scratch(output: Path) -> Iterator[Path]:
    """Make a folder beside `output`, gone at the end; those of killed runs are cleared first."""
    output.parent.mkdir(parents=True, exist_ok=True)
    prefix = f".{output.name}."
    for stale in output.parent.glob(f"{prefix}*.part"):
        shutil.rmtree(stale, ignore_errors=True)
    folder = Path(tempfile.mkdtemp(prefix=prefix, suffix=".part", dir=output.parent))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
