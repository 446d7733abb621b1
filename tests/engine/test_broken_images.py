"""The image tests can fail: images that are broken on purpose fail exactly the checks that they should."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from kiln import network, paths
from tests.engine.command import FAMILY, GONE, SLIM, Family

APT = """RUN --mount=type=cache,target=/var/cache/kiln --mount=type=tmpfs,target=/var/lib/apt/lists \\
    --mount=type=secret,id=apt.conf,target=/etc/apt/apt.conf.d/zz-kiln \\
    --mount=type=secret,id=ca.crt,target=/run/kiln/ca.crt \\
    mkdir -p /var/cache/kiln/partial && apt-get update && \\
    apt-get install -y --no-install-recommends -o Dir::Cache::archives=/var/cache/kiln gcc libc6-dev && \\
    rm -rf /var/log/apt /var/log/*.log /var/cache/debconf/*-old /var/cache/ldconfig/aux-cache /var/lib/dpkg/*-old
"""

BREAK = {
    # The compiler, its package, its runtime library as an archive, the C library's headers.
    "gcc": (
        APT,
        {"test_no_compiler_commands", "test_no_compiler_packages", "test_no_headers", "test_no_static_libraries"},
    ),
    # The module itself, and all that needs TLS.
    "ssl": (
        "RUN rm /usr/local/lib/python3*/lib-dynload/_ssl.*\n",
        {"test_modules", "test_ssl", "test_https", "test_pip_installs_wheel"},
    ),
    # A library that three checks look at from three sides: the loader, the module, a database.
    "library": (
        "RUN rm /usr/lib/*-linux-gnu/libsqlite3.so.*\n",
        {"test_modules", "test_shared_libraries", "test_sqlite"},
    ),
    "careless": (
        """RUN chmod u+s /usr/bin/env && touch /usr/local/open && chmod 666 /usr/local/open \\
    && touch /etc/pip.conf && echo list > /var/lib/apt/lists/some_Packages \\
    && rm -r /usr/local/lib/python3*/json/__pycache__ /usr/share/zoneinfo/Europe
ENV TOKEN=secret
LABEL further=label
CMD ["bash"]
""",
        {
            "test_no_new_setuid", "test_no_world_writable", "test_no_secrets", "test_no_leftovers", "test_bytecode",
            "test_bytecode_used", "test_zoneinfo", "test_environment", "test_labels", "test_command",
        },
    ),
}  # fmt: skip


@pytest.fixture
def derive(engine, tmp_path):
    """Return a function that builds an image upon a recorded one; the images are removed at the end."""
    made = []

    def build(name, record, lines):
        reference = f"kiln-broken:{name}-{os.getpid()}"
        (tmp_path / "Dockerfile").write_text(f"FROM {record.reference}\n{lines}")
        secrets = [word for key, file in network.secrets().items() for word in ("--secret", f"id={key},src={file}")]
        command = engine.buildx("build", "--load", "--provenance=false", "--tag", reference, *secrets, str(tmp_path))
        done = subprocess.run(command, env={**os.environ, **engine.env}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        made.append(reference)
        return reference

    yield build
    if made:
        command = engine.docker("image", "rm", "--force", *made)
        subprocess.run(command, env={**os.environ, **engine.env}, capture_output=True, check=True)


def failing(reference, image_id, tmp_path, versions=FAMILY):
    """Return the names of the checks that an image fails when it is to pass for another."""
    report = tmp_path / "report.xml"
    command = [
        sys.executable, "-m", "pytest", "tests/images", "--image", reference, "--as", image_id,
        "--versions", str(versions), "--junit-xml", str(report), "-q", "-p", "no:cacheprovider",
    ]  # fmt: skip
    done = subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)
    assert report.exists(), done.stdout + done.stderr
    cases = list(ET.parse(report).iter("testcase"))  # noqa: S314 - pytest has just written it
    assert len(cases) > 30, done.stdout
    assert not [line for line in done.stdout.splitlines() if "INTERNALERROR" in line], done.stdout
    return {
        case.get("name").partition("[")[0]
        for case in cases
        if case.find("failure") is not None or case.find("error") is not None
    }


def test_sound_image_passes(slim, tmp_path):
    """The image that the others are made from fails nothing."""
    assert failing(slim.reference, SLIM, tmp_path) == set()


@pytest.mark.parametrize("name", BREAK)
def test_broken_image_fails_exactly(name, derive, slim, tmp_path):
    """What was broken is found, and nothing else is called broken."""
    lines, expected = BREAK[name]
    assert failing(derive(name, slim, lines), SLIM, tmp_path) == expected


def test_wrong_version_fails_exactly(slim, tmp_path):
    """An image that passes for another release of its series differs in what tells the version, nowhere else."""
    family = Family(tmp_path)
    family.add_missing_release()
    family.write()
    expected = {"test_version", "test_commands_answer", "test_environment", "test_labels"}
    assert failing(slim.reference, f"{GONE}-slim-trixie", tmp_path, family.file) == expected
