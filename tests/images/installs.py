"""Install packages from the index as a user would: runs in a container that has the host's network lent to it.

Prints JSON as the probe does. `GIVEN`, on the line before, says whether C extensions can be built.
"""

# ruff: noqa: T201 - its output is its answer

import concurrent.futures
import configparser
import json
import os
import subprocess
import time
import urllib.request

GIVEN = globals().get("GIVEN", {})
PYTHON = ["python3", "-B"]
# The one is plain Python in a wheel; the other comes as sources with C code and builds in a second.
WHEEL, EXTENSION = "iniconfig", "markupsafe"


def run(*command):
    """Run a command and return its output; a failure says its last line that is not a hint."""
    done = subprocess.run(
        command, capture_output=True, text=True, errors="replace", stdin=subprocess.DEVNULL, check=False
    )
    if done.returncode:
        lines = [line for line in (done.stderr or done.stdout).strip().splitlines() if line.strip()]
        errors = [line.strip() for line in lines if "error" in line.lower()]
        raise RuntimeError((errors or lines or [f"ended with code {done.returncode}"])[-1][:400])
    return done.stdout.strip()


def wheel():
    """Tell where a package lands that pip installs as a wheel."""
    run("pip", "install", "--no-cache-dir", "--no-compile", "--only-binary=:all:", WHEEL)
    return run(*PYTHON, "-c", "import iniconfig; print(iniconfig.__file__)")


def extension():
    """Tell what a C extension answers that pip built here from sources."""
    run("pip", "install", "--no-cache-dir", "--no-compile", "--no-binary=" + EXTENSION, EXTENSION)
    return run(*PYTHON, "-c", "import markupsafe._speedups as s; print(s.__file__)")


def https():
    """Tell what Python's own client gets from the index over TLS."""
    with urllib.request.urlopen(index() + "/" + WHEEL + "/", timeout=30) as answer:  # noqa: S310 - what pip uses
        return answer.status


def index():
    """Return the index that pip uses here: the configured one, or pip's own default."""
    config = configparser.RawConfigParser()
    config.read(os.environ.get("PIP_CONFIG_FILE", ""))
    configured = config.get("global", "index-url", fallback="")
    return (configured or run(*PYTHON, "-c", DEFAULT)).rstrip("/")


DEFAULT = "from pip._internal.models.index import PyPI; print(PyPI.simple_url)"


def guarded(group):
    """Return (fact, why it failed, seconds) of a group."""
    begin = time.monotonic()
    try:
        fact, error = group(), ""
    except Exception as problem:  # noqa: BLE001 - whatever a broken image does is a fact of it
        fact, error = None, f"{type(problem).__name__}: {problem}"
    return fact, error, time.monotonic() - begin


def main():
    """Print what was installed and what failed."""
    groups = [https, wheel] + ([extension] if GIVEN.get("builds") else [])
    with concurrent.futures.ThreadPoolExecutor(3) as pool:
        results = dict(zip([group.__name__ for group in groups], pool.map(guarded, groups), strict=True))
    print(json.dumps({
        "facts": {name: fact for name, (fact, error, _) in results.items() if not error},
        "errors": {name: error for name, (_, error, _) in results.items() if error},
        "seconds": {name: round(took, 2) for name, (_, _, took) in results.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
