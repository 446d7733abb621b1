"""Install packages from the index as a user would: runs in a container that has the host's network lent to it.

Prints JSON as the probe does. `GIVEN`, on the line before, says whether C extensions can be built.
"""

import configparser
import importlib
import json
import os
import pathlib
import subprocess
import time
import urllib.request

GIVEN = globals().get("GIVEN", {})
# Plain Python in a wheel; where C can be compiled, it is the tool that the extension's sources build with.
WHEEL, BUILDER, EXTENSION = "iniconfig", "setuptools", "markupsafe"
# Of what is thrown away in a minute, most is never imported.
os.environ |= {"PIP_NO_COMPILE": "1", "PIP_NO_CACHE_DIR": "1"}


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
    name = BUILDER if GIVEN.get("builds") else WHEEL
    run("pip", "install", "--upgrade", "--only-binary=:all:", name)
    return imported(name)


def extension():
    """Tell where a C extension lands that pip builds here from sources."""
    # An isolated build would install the tool a second time, which costs more than the compiler.
    run("pip", "install", "--no-build-isolation", f"--no-binary={EXTENSION}", EXTENSION)
    return imported("markupsafe._speedups")


def imported(name):
    """Return the file of a module that has just been installed, as a process of its own imports it."""
    return run("python3", "-B", "-c", f"import {name} as module; print(module.__file__)")


def https():
    """Tell what Python's own client gets from the index over TLS."""
    with urllib.request.urlopen(index() + "/" + WHEEL + "/", timeout=30) as answer:  # noqa: S310 - what pip uses
        return answer.status


def index():
    """Return the index that pip uses here: the configured one, or pip's own default."""
    config = configparser.RawConfigParser()
    config.read(os.environ.get("PIP_CONFIG_FILE", ""))
    configured = config.get("global", "index-url", fallback="")
    return (configured or importlib.import_module("pip._internal.models.index").PyPI.simple_url).rstrip("/")


def guarded(group):
    """Return (fact, why it failed, seconds) of a group."""
    begin = time.monotonic()
    try:
        fact, error = group(), ""
    except Exception as problem:  # noqa: BLE001 - whatever a broken image does is a fact of it
        fact, error = None, f"{type(problem).__name__}: {problem}"
    return fact, error, time.monotonic() - begin


def wait():
    """Wait until the probe knows all of the image as it was built."""
    end = time.monotonic() + 120
    while GIVEN.get("told") and not pathlib.Path(GIVEN["told"]).exists() and time.monotonic() < end:
        time.sleep(0.02)


def main():
    """Print what was installed and what failed."""
    results = {"https": guarded(https)}
    wait()
    results["wheel"] = guarded(wheel)
    if GIVEN.get("builds"):
        results["extension"] = guarded(extension)
    print(json.dumps({
        "facts": {name: fact for name, (fact, error, _) in results.items() if not error},
        "errors": {name: error for name, (_, error, _) in results.items() if error},
        "seconds": {name: round(took, 2) for name, (_, _, took) in results.items()},
    }))  # fmt: skip


if __name__ == "__main__":
    main()
