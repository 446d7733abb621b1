"""Distroless images for real: the same bytes each time, layers that are shared, applications that move in, scanners."""

import json
import os
import re
import subprocess
import sys

import pytest

from kiln import container, contents, network, oci, paths
from kiln.model import DISTROLESS
from tests.engine.command import PYTHON, SERIES, SLIM, Family, docker, environment
from tests.engine.test_broken_images import failing
from tests.engine.test_build import bake

PLAIN, DEBUG = (f"{PYTHON}-{name}-trixie" for name in DISTROLESS)
APPLICATION = """FROM {slim} AS build
RUN python -m venv /app
RUN --mount=type=secret,id=pip.conf,target=/etc/pip.conf --mount=type=secret,id=ca.crt,target=/run/kiln/ca.crt \\
    PIP_CERT=/run/kiln/ca.crt /app/bin/pip install --no-cache-dir --only-binary=:all: greenlet
FROM {plain}
COPY --from=build /app /app
ENV PATH=/app/bin:$PATH
CMD ["python", "-c", "import greenlet, sys; print(greenlet.__version__, sys.prefix)"]
"""
# Root, some of all that must not be there, and without some of what must be. As root, wheels land elsewhere.
BREAK = """FROM {plain}
USER 0
COPY --from={slim} /usr/bin/dash /usr/bin/sh
COPY --from={slim} /usr/bin/apt-get /usr/bin/apt-get
COPY --from={slim} /usr/lib/{triplet}/libapt-pkg.so.* /usr/lib/{triplet}/libsystemd.so.* /usr/lib/{triplet}/
COPY --from={slim} /usr/local/lib/python{series}/ensurepip/ /usr/local/lib/python{series}/ensurepip/
COPY --from={slim} /usr/local/include/ /usr/local/include/
RUN ["python3", "-c", "import os; os.remove('/usr/lib/{triplet}/libstdc++.so.6'); os.chmod('/tmp', 0o755)"]
"""


@pytest.fixture(scope="module")
def built(tmp_path_factory, engine):
    """Return a family whose slim and distroless images have been built."""
    made = Family(tmp_path_factory.mktemp("distroless"), variants=("full", "slim", *DISTROLESS))
    done = made.build(SLIM, PLAIN, DEBUG)
    assert done.returncode == 0, done.stdout + done.stderr
    yield made
    made.forget(engine)


@pytest.fixture
def derive(engine, built, tmp_path):
    """Return a function that builds an image of a Dockerfile in which the family's images stand; removed at the end."""
    reference = f"kiln-distroless:{os.getpid()}"

    def build(dockerfile):
        triplet = {"linux/amd64": "x86_64", "linux/arm64": "aarch64"}[engine.platform] + "-linux-gnu"
        names = {
            "slim": built.record(SLIM).reference,
            "plain": built.record(PLAIN).reference,
            "triplet": triplet,
            "series": SERIES,
        }
        (tmp_path / "Dockerfile").write_text(dockerfile.format(**names))
        files = network.secrets(pip=True).items()
        secrets = [word for key, file in files for word in ("--secret", f"id={key},src={file}")]
        command = engine.buildx("build", "--load", "--provenance=false", "--tag", reference, *secrets, str(tmp_path))
        done = subprocess.run(command, env={**os.environ, **engine.env}, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-2000:]
        return reference

    yield build
    docker(engine, "rmi", "--force", reference)


def layers(engine, record):
    return json.loads(docker(engine, "image", "inspect", "--format", "{{json .RootFS.Layers}}", record.reference))


@pytest.mark.parametrize("image", [PLAIN, DEBUG])
def test_a_build_is_reproducible(built, engine, tmp_path, image):
    """Put together anew, from packages that are installed anew, an image has the same manifest."""
    definition = built.runs()[0] / "definition.json"
    target = f"{image.replace('.', '_')}-linux-{engine.platform.split('/')[1]}"
    (output,) = json.loads(definition.read_text("utf-8"))["target"][target]["output"]
    again = tmp_path / "again.tar"
    words = ["--set", f"{target}.output={re.sub('dest=[^,]+', f'dest={again}', output)}"]
    words += [word for stage in ("python", "shell") for word in ("--set", f"{target}.no-cache-filter={stage}")]
    bake(engine, definition, target, *words)
    assert oci.images(again)[0].digest == built.record(image).digest


def test_debugging_adds_a_layer(built, engine):
    """Whoever has the image pulls BusyBox only."""
    plain, debug = (layers(engine, built.record(image)) for image in (PLAIN, DEBUG))
    assert debug[:2] == plain[:2]
    assert (len(plain), len(debug)) == (3, 4)


def test_an_application_moves_in(derive, engine):
    """A virtual environment of the slim image runs, with a module in C++, without network and rights, on a read-only disk."""
    words = ("run", "--rm", "--network=none", "--read-only", "--cap-drop=ALL", derive(APPLICATION))
    assert re.fullmatch(r"\d[\d.]+ /app", docker(engine, *words))


def test_its_packages_are_known(built, engine):
    """`invoke stale` reads the database that is in single files, and judges the image."""
    record = built.record(PLAIN)
    with container.lease(engine) as token:
        found = contents.look(engine, record.digest, record.platform, token=token, key=record.digest)
    names = {package.name for package in found.packages}
    assert found.system == "dpkg"
    assert {"base-files", "ca-certificates", "libc6", "libssl3t64", "libstdc++6", "tzdata"} <= names
    assert not {"apt", "bash", "dash", "dpkg", "util-linux"} & names
    command = [sys.executable, "-m", "invoke", "stale", "--json", "--versions", str(built.file), PLAIN]
    done = subprocess.run(command, cwd=paths.ROOT, env=environment(), capture_output=True, text=True, check=True)
    (verdict,) = json.loads(done.stdout)
    assert verdict["state"] in {"fresh", "stale"}, verdict
    assert verdict["reasons"] == []


def test_a_sound_image_passes(built, tmp_path):
    """The image that the other one is made from fails nothing."""
    assert failing(built.record(PLAIN).reference, PLAIN, tmp_path, built.file) == set()


def test_a_broken_image_fails_exactly(derive, built, tmp_path):
    """A shell, a package manager, what installs and builds, and what is missing are found; nothing else is called broken."""
    assert failing(derive(BREAK), PLAIN, tmp_path, built.file) == {
        "test_programs", "test_no_shell", "test_left_out_modules", "test_nothing_to_build_with", "test_libraries_of_wheels",
        "test_writable", "test_every_library_has_its_package", "test_shared_libraries", "test_layers", "test_command",
        "test_user", "test_unpacked_wheel",
    }  # fmt: skip
