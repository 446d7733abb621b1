"""What `./run` makes `.venv` with: pure functions; `tests/engine/test_run.py` runs it."""

import re
from types import SimpleNamespace

import pytest

from kiln import environment_pip as pip
from kiln import environment_progress as progress
from kiln import environment_scripts as scripts
from kiln import paths

SHORT = b"#!/a/.venv/bin/python\nimport sys\n"
LONG = b"#!/bin/sh\n'''exec' \"/a b/.venv/bin/python3\" \"$0\" \"$@\"\n' '''\nimport sys\n"


@pytest.mark.parametrize(
    ("script", "before", "after", "expected"),
    [
        (SHORT, "/a/.venv", "/b/.venv", b"#!/b/.venv/bin/python\nimport sys\n"),
        (SHORT, "/a/.venv", "/a b/.venv", LONG.replace(b"python3", b"python")),
        (LONG, "/a b/.venv", "/b/.venv", b"#!/b/.venv/bin/python3\nimport sys\n"),
        (SHORT, "/other/.venv", "/b/.venv", SHORT),
        (b"#!/bin/sh\necho\n", "/a/.venv", "/b/.venv", b"#!/bin/sh\necho\n"),
        (b"VIRTUAL_ENV='/a/.venv'\n", "/a/.venv", "/b/.venv", b"VIRTUAL_ENV='/b/.venv'\n"),
        # Done twice, as after an interruption: the new place ends like the old one.
        (b"VIRTUAL_ENV=/b/a/.venv\n", "/a/.venv", "/b/a/.venv", b"VIRTUAL_ENV=/b/a/.venv\n"),
        (b"x = /a/.venv.part\n", "/a/.venv", "/b/.venv", b"x = /a/.venv.part\n"),
        (b"\xff/a/.venv/bin", "/a/.venv", "/b/.venv", b"\xff/b/.venv/bin"),
        (b"", "/a/.venv", "/b/.venv", b""),
    ],
)  # fmt: skip
def test_a_script_follows_its_environment(script, before, after, expected):
    """Its first lines and each path in it; nothing else changes."""
    assert scripts.moved(script, before, after) == expected


def test_a_path_that_is_too_long_for_a_kernel():
    """Up to 127 bytes are read of a first line."""
    assert scripts.shebang(b"/" + b"x" * 120).startswith(b"#!/x")
    assert scripts.shebang(b"/" + b"x" * 124).startswith(b"#!/bin/sh\n")


def test_every_script_of_an_environment_follows(tmp_path):
    """Programs and links stay as they are; a script may still be run."""
    folder = tmp_path / "bin"
    folder.mkdir()
    (folder / "tool").write_bytes(SHORT)
    (folder / "tool").chmod(0o755)
    (folder / "program").write_bytes(b"\x7fELF" + b"/a/.venv/bin\0" * 20_000)
    (folder / "python").symlink_to("/nonexistent/python3")
    (tmp_path / "pyvenv.cfg").write_text("command = python3 -m venv /a/.venv\n")
    scripts.settle(tmp_path, "/a/.venv", "/b/.venv")
    assert (folder / "tool").read_bytes().startswith(b"#!/b/")
    assert (folder / "tool").stat().st_mode & 0o777 == 0o755
    assert b"/b/" not in (folder / "program").read_bytes()
    assert (tmp_path / "pyvenv.cfg").read_text() == "command = python3 -m venv /b/.venv\n"
    assert sorted(path.name for path in folder.iterdir()) == ["program", "python", "tool"]


CONNECTION = "WARNING: Retrying (...) after connection broken by 'NewConnectionError(...)': /simple/rich/\n"
NONE = "ERROR: Could not find a version that satisfies the requirement rich==15.0.0 (from versions: 14.0)\nERROR: No matching distribution found for rich==15.0.0\n"


@pytest.mark.parametrize(
    ("log", "expected"),
    [
        (
            "ERROR: Could not install packages due to an OSError: [Errno 28] No space left on device\n",
            "the disk is full; make room, and run the same again",
        ),
        (
            "ERROR: ... a suitable TLS CA certificate bundle, invalid path: /etc/ca.crt\n",
            ("/etc/ca.crt: no such file of certificates; correct PIP_CERT, REQUESTS_CA_BUNDLE, CURL_CA_BUNDLE, "
            "or `cert` in pip's configuration"),
        ),
        (
            'Traceback (most recent call last):\n  File "x"\nFileNotFoundError: [Errno 2] No such file or directory\n',
            "there are no certificates; install them (Debian: apt-get install ca-certificates), or name a file in PIP_CERT",
        ),
        (
            ("WARNING: Retrying (...) after connection broken by 'SSLError(SSLCertVerificationError(1, "
            f"'[SSL: CERTIFICATE_VERIFY_FAILED] ...\n{NONE}"),
            "the certificate of the package index is not trusted; if your network inspects TLS, name its file in PIP_CERT",
        ),
        (
            CONNECTION + NONE,
            "the package index does not answer; check the network, or name another index in PIP_INDEX_URL",
        ),
        (
            NONE,
            ("the package index has no wheel of rich==15.0.0 for this Python and machine; use Python 3.11 to 3.14, "
            "or name another index in PIP_INDEX_URL"),
        ),
        (
            NONE.replace("14.0", "none"),
            ("the package index does not answer, or has no rich==15.0.0; check the network, or name another index in "
            "PIP_INDEX_URL"),
        ),
        ("Collecting rich\nERROR: something else\nmore\n", "pip failed: something else"),
        ("", "pip failed: exit code 2"),
    ],
)  # fmt: skip
def test_what_pip_complains_of_is_one_line(log, expected):
    """With what to do about it."""
    assert pip.explain(log, 2) == expected


def test_settings_that_lead_elsewhere_are_left_out():
    """Index, proxy and certificates are the user's."""
    user = {"PIP_INDEX_URL": "u", "PIP_CERT": "c", "PIP_TARGET": "t", "PIP_CONSTRAINT": "x", "HOME": "h"}
    assert pip.settings(user) == {"PIP_INDEX_URL": "u", "PIP_CERT": "c", "PIP_CONSTRAINT": "/dev/null", "HOME": "h"}


@pytest.mark.parametrize(
    ("environment", "machine", "expected"),
    [({}, True, ""), ({"PIP_CERT": "/c"}, False, ""), ({"CURL_CA_BUNDLE": "/c"}, False, ""),
     ({"SSL_CERT_FILE": "/s"}, False, "/s"), ({}, False, "own")],
)  # fmt: skip
def test_certificates_come_from_the_user_then_the_machine_then_pip(
    tmp_path, monkeypatch, environment, machine, expected
):
    """Those that come with pip are used only where there are no others."""
    own, system = tmp_path / "pip" / pip.CERTIFI, tmp_path / "machine.crt"
    own.parent.mkdir(parents=True)
    own.touch()
    nothing = SimpleNamespace(cafile=None, capath=None)
    monkeypatch.setattr(pip, "BUNDLE", system)
    monkeypatch.setattr(pip, "_configured", lambda *_: False)
    monkeypatch.setattr(pip.ssl, "get_default_verify_paths", lambda: nothing)
    if machine:
        system.touch()
    assert pip.certificates(tmp_path, [], environment) == (str(own) if expected == "own" else expected)


def test_progress_counts_what_is_fetched_then_what_is_installed():
    """Packages that are for other machines do not count."""
    texts = [
        "a==1 \\\n    --hash=sha256:0\nb==1 ; sys_platform == 'win32' \\\n    --hash=sha256:0\n",
        "a==1 \\\nc==1\n",
    ]
    assert (wanted := progress.locked(texts)) == 3
    log = "Ignoring b: markers 'sys_platform == \"win32\"' don't match your environment\n"
    assert progress.state("", wanted, 0) == ""
    log += "Collecting a==1 (from -r x)\n  Downloading a-1.whl\n"
    assert progress.state(log, wanted, 0) == "1 of 2 packages fetched"
    log += "Requirement already satisfied: c==1 in x\nInstalling collected packages: a\n"
    assert progress.state(log, wanted, 1) == "1 of 1 packages installed"


# The locks


def locked(name):
    """Return the packages of a lock, each with its version."""
    found = re.findall(r"^([a-z0-9][a-z0-9-]*)==(\S+)", (paths.ROOT / f"{name}.txt").read_text("utf-8"), re.MULTILINE)
    return set(found)


@pytest.mark.parametrize("name", ["requirements", "requirements-nox", "benchmarks/speed/requirements"])
def test_a_lock_covers_what_it_is_made_from(name):
    """With versions and hashes, and without addresses; `nox -s lock` was run after the last change."""
    wanted = {
        re.split(r"[^a-zA-Z0-9-]", line)[0].lower()
        for line in (paths.ROOT / f"{name}.in").read_text("utf-8").splitlines()
        if line and not line.startswith(("#", "-"))
    }
    assert wanted <= {package for package, _ in locked(name)}
    text = (paths.ROOT / f"{name}.txt").read_text("utf-8")
    entries = list(re.split(r"\n(?=\S)", text.strip()))
    assert all(re.fullmatch(r"[a-z0-9-]+==\S+(?: ; [^\\]+)? \\\n(?:    --hash=sha256:[0-9a-f]{64}(?: \\\n)?)+", entry)
               for entry in entries)  # fmt: skip
    assert "://" not in text


def test_the_second_lock_is_within_the_first():
    """What stands in both has one version."""
    first, second = dict(locked("requirements")), dict(locked("requirements-nox"))
    assert {name: first[name] for name in first.keys() & second.keys()} == {
        name: second[name] for name in first.keys() & second.keys()
    }
