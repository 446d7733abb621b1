"""The image tests can fail: images that are broken on purpose fail exactly the checks that they should."""

import os
import subprocess
import sys
import xml.etree.ElementTree as ET

import pytest

from kiln import catalog, matrix, network, paths, records
from kiln import engine as engines

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


@pytest.fixture(scope="session")
def engine():
    """Return the engine that holds what was built."""
    return engines.bring()


@pytest.fixture(scope="session")
def family():
    return matrix.expand(catalog.load(paths.ROOT / "versions.json"))


@pytest.fixture(scope="session")
def record(family, engine):
    """Return the build that is broken: 3.13.5 on trixie, or another slim one of Debian."""
    found = {
        record.id: record
        for record in records.every(family.repository)
        if (image := family.get(record.id)) and image.variant == "slim"
        and image.target.distribution == "debian" and record.platform == engine.platforms[0]
    }  # fmt: skip
    if not found:
        pytest.fail("no slim Debian image is recorded: ./run invoke build --quick 3.13.5-slim-trixie", pytrace=False)
    return found.get("3.13.5-slim-trixie") or next(iter(found.values()))


@pytest.fixture
def derive(engine, record, tmp_path):
    """Return a function that builds an image upon the recorded one; the images are removed at the end."""
    made = []

    def build(name, lines):
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


def failing(reference, image_id, tmp_path):
    """Return the names of the checks that an image fails when it is to pass for another."""
    report = tmp_path / "report.xml"
    command = [
        sys.executable, "-m", "pytest", "tests/images", "--image", reference, "--as", image_id,
        "--junit-xml", str(report), "-q", "-p", "no:cacheprovider",
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


def test_sound_image_passes(record, tmp_path):
    """The image that the others are made from fails nothing."""
    assert failing(record.reference, record.id, tmp_path) == set()


@pytest.mark.parametrize("name", BREAK)
def test_broken_image_fails_exactly(name, derive, record, tmp_path):
    """What was broken is found, and nothing else is called broken."""
    lines, expected = BREAK[name]
    assert failing(derive(name, lines), record.id, tmp_path) == expected


def test_wrong_version_fails_exactly(family, record, tmp_path):
    """An image that passes for another release of its series differs in what tells the version, nowhere else."""
    mine = family.get(record.id)
    other = next(
        image.id
        for image in family.images
        if image.release.series == mine.release.series and image.release != mine.release
        and image.flavour == mine.flavour and (image.target_name, image.variant) == (mine.target_name, mine.variant)
    )  # fmt: skip
    expected = {"test_version", "test_commands_answer", "test_environment", "test_labels"}
    assert failing(record.reference, other, tmp_path) == expected
