"""The pip that fills .venv: where it comes from, its settings, and what it complains of. Standard library only."""

import os
import re
import shutil
import ssl
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

from kiln.errors import KilnError

INSTALL = (
    "install", "--no-deps", "--require-hashes", "--only-binary=:all:", "--no-compile", "--no-input",
    "--disable-pip-version-check", "--no-warn-script-location", "--progress-bar=off", "--no-user",
)  # fmt: skip
"""What is locked and nothing else: dependencies, extras and what a source archive is built with are never resolved."""
CERTIFI = "pip/_vendor/certifi/cacert.pem"
"""The certificates that come with pip."""
BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")
"""Debian's file of certificates."""
_NAMED = ("PIP_CERT", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_SETTINGS = f"{', '.join(_NAMED)}, or `cert` in pip's configuration"
_UNWANTED = ("TARGET", "PREFIX", "ROOT", "USER", "PYTHON", "QUIET", "VERBOSE", "DRY_RUN", "REQUIRE_VIRTUALENV")
"""Settings by which pip installs elsewhere, nothing at all, or without a line for each package."""


def base() -> str:
    """Return the program of this Python by its own name: `python3` may be another one after an upgrade."""
    return os.path.realpath(getattr(sys, "_base_executable", sys.executable))


def find(part: Path, python: str, fetch: Callable[[str], Path]) -> list[str]:
    """Return the command of a pip that installs into the environment at `part`.

    It is the one that comes with this Python, the distribution's, or in the package that `fetch` unpacks.
    """
    if not (wheel := _wheel()):
        if find_spec("pip"):
            return [base(), "-I", "-m", "pip", "--python", python]
        wheel = next(fetch("python3-pip-whl").glob("usr/share/python-wheels/pip-*.whl"))
    # It runs faster from files than from the wheel.
    zipfile.ZipFile(wheel).extractall(part / "pip")
    vendored = part / "pip" / CERTIFI
    if not BUNDLE.exists():
        # Debian's pip reads that file before it looks at any setting, though it comes with certificates as well.
        core = vendored.with_name("core.py")
        core.write_text(core.read_text("utf-8").replace(str(BUNDLE), str(vendored)), "utf-8")
    return [python, "-I", str(part / "pip/pip")]


def settings(environment: Mapping[str, str]) -> dict[str, str]:
    """Return the user's environment for pip: their index, proxy and cache, but nothing that leads elsewhere."""
    unwanted = {f"PIP_{name}" for name in _UNWANTED}
    kept = {name: value for name, value in environment.items() if name not in unwanted}
    # What is locked fits together; a constraint could only keep it from being installed.
    return kept | {"PIP_CONSTRAINT": os.devnull}


def certificates(part: Path, pip: Sequence[str], environment: Mapping[str, str]) -> str:
    """Return a file of certificates for pip where it would find none, or nothing.

    What the user named counts, then what the machine has, then what comes with pip.
    """
    found = ssl.get_default_verify_paths()
    machine = BUNDLE.exists() or found.cafile or (found.capath and any(Path(found.capath).iterdir()))
    if machine or any(environment.get(name) for name in _NAMED) or _configured(pip, environment):
        return ""
    places = (part / "pip", *part.glob("lib/python*/site-packages"))
    vendored = [place / CERTIFI for place in places if (place / CERTIFI).exists()]
    return environment.get("SSL_CERT_FILE") or "".join(map(str, vendored[:1]))


def download(part: Path, package: str, log: Path) -> Path:
    """Return a folder with a Debian package unpacked in it; the host and its apt stay as they are."""
    folder = part / "apt"
    (folder / "partial").mkdir(parents=True, exist_ok=True)
    options = [f"Dir::State::lists={folder}", f"Dir::Cache={folder}", "APT::Sandbox::User=root"]
    apt = ["apt-get", "-qq", *(word for option in options for word in ("-o", option))]
    try:
        with log.open("ab") as file:

            def run(*command: str, check: bool = True) -> None:
                subprocess.run(command, cwd=folder, stdin=subprocess.DEVNULL, stdout=file, stderr=file, check=check)

            # A single source that does not answer is no reason to give up.
            run(*apt, "update", check=False)
            run(*apt, "download", package)
            run("dpkg-deb", "-x", str(next(folder.glob(f"{package}_*.deb"))), str(folder))
    except (OSError, StopIteration, subprocess.CalledProcessError) as error:
        said = f"{error}\n{log.read_text('utf-8', errors='replace')}"
        # A log on the same disk may have no room for the reason.
        if re.search(_FULL, said) or shutil.disk_usage(part).free < _ROOM:
            raise KilnError(_REASONS[0][1]) from None
        remedy = "install it (Debian: apt-get install python3-venv)"
        raise KilnError(f"there is no pip, and {package} cannot be fetched with apt; {remedy}") from None
    return folder


def explain(log: str, code: int, program: str = "pip") -> str:
    """Return why pip, or what came before it, failed and what to do about it, in one line, from what it printed."""
    for pattern, remedy in _REASONS:
        if found := re.search(pattern, log, re.MULTILINE):
            return found.expand(remedy)
    lines = [line for line in log.splitlines() if line.strip()]
    errors = [line for line in lines if re.match(r"ERROR:|error:|\w*(?:Error|Exception)\b", line)] or lines
    return f"{program} failed: {errors[-1].removeprefix('ERROR: ') if errors else f'exit code {code}'}"


_ROOM = 2**20
"""Bytes below which a disk counts as full."""
_FULL = r"No space left on device|Disk quota exceeded|enough free space"
_INDEX = "or name another index in PIP_INDEX_URL"
_REASONS = (
    (_FULL, "the disk is full; make room, and run the same again"),
    (r"invalid path: (\S+)", rf"\1: no such file of certificates; correct {_SETTINGS}"),
    (
        r"^FileNotFoundError: \[Errno 2\] No such file or directory$",
        "there are no certificates; install them (Debian: apt-get install ca-certificates), or name a file in PIP_CERT",
    ),
    (
        r"(?i)certificate.verify.failed|SSLError",
        "the certificate of the package index is not trusted; if your network inspects TLS, name its file in PIP_CERT",
    ),
    (
        r"DO NOT MATCH THE HASHES",
        f"a file of the package index is not the one that was locked; restore the locks with git, {_INDEX}",
    ),
    (
        r"(?i)connection (?:broken|refused)|connectionerror|timed out|name resolution|unreachable|proxyerror|httperror",
        f"the package index does not answer; check the network, {_INDEX}",
    ),
    (
        # All that pip prints of an index that it asks once only.
        r"\(from versions: none\)\nERROR: No matching distribution found for (\S+)",
        rf"the package index does not answer, or has no \1; check the network, {_INDEX}",
    ),
    (
        r"No matching distribution found for (\S+)",
        rf"the package index has no wheel of \1 for this Python and machine; use Python 3.11 to 3.14, {_INDEX}",
    ),
)
"""What pip prints, and what a user can do about it; the first that is found counts."""


def _wheel() -> Path | None:
    """Return the wheel of pip that Python or the distribution keeps for new environments."""
    ensurepip = find_spec("ensurepip")
    folders = [Path(ensurepip.origin).parent / "_bundled"] if ensurepip and ensurepip.origin else []
    folders += [Path(sysconfig.get_config_var("WHEEL_PKG_DIR") or "/usr/share/python-wheels")]
    return next((wheel for folder in folders for wheel in sorted(folder.glob("pip-*.whl"))), None)


def _configured(pip: Sequence[str], environment: Mapping[str, str]) -> bool:
    """Tell whether pip's configuration names certificates."""
    # Not `config get`, which reads the user's file alone.
    done = subprocess.run([*pip, "config", "list"], env=environment, capture_output=True, text=True, check=False)
    return bool(re.search(r"^(?:global|install)\.cert=", done.stdout, re.MULTILINE))
