"""Packages are built on the images of the same run: locked, with what they need, the same each time."""

import json
import os
import subprocess

import pytest

from kiln import oci
from tests.engine.command import PYTHON, SERIES, SLIM, Family, docker, summary

# No wheel of it is on the index, and its extension links to a library that slim images do not have.
VERSION = "2.9.10"
PACKAGE = {
    "command": ["python3"],
    "description": "A client of PostgreSQL",
    "pythons": [PYTHON],
    "requirements": ["psycopg2"],
    "targets": ["trixie"],
    "test": {"imports": ["psycopg2"], "kind": "worker"},
    "variants": ["slim"],
    "versions": [VERSION],
}
ID = f"psycopg2:py{SLIM}-{VERSION}"


@pytest.fixture(scope="module")
def family(tmp_path_factory, engine):
    made = Family(tmp_path_factory.mktemp("packages"), packages={"psycopg2": PACKAGE})
    made.trixie["packages"]["full"] = ["gcc", "libc6-dev", "libpq-dev"]
    yield made
    made.forget(engine)


@pytest.fixture(scope="module")
def reference(family):
    """Return the image of a package that has been locked and built as a user would."""
    missing = family.build(ID)
    assert missing.returncode == 1
    assert "run: ./run invoke lock " in summary(missing)[ID]
    locked = family.invoke("lock", "psycopg2")
    assert locked.returncode == 0, locked.stdout + locked.stderr
    done = family.build(ID)
    assert done.returncode == 0, done.stdout + done.stderr
    assert list(summary(done)) == [ID]
    return f"{family.repository_of('psycopg2')}:{ID.partition(':')[2]}"


def run(engine, reference, *words):
    return docker(engine, "run", "--rm", reference, *words)


@pytest.mark.usefixtures("reference")
def test_the_lock_has_hashes_and_no_address(family):
    """What is installed is decided by version and hash, wherever it comes from."""
    text = (family.file.parent / f"packages/psycopg2/locks/{VERSION}/py{SERIES}.txt").read_text("utf-8")
    assert f"psycopg2=={VERSION}" in text
    assert "--hash=sha256:" in text
    assert "://" not in text


def test_a_compiled_extension_has_its_library(engine, reference):
    """The system's package of what it links to is there, without the compiler or the headers."""
    assert VERSION in run(engine, reference, "python3", "-c", "import psycopg2; print(psycopg2.__version__)")
    assert "libpq5" in run(engine, reference, "dpkg-query", "--showformat", "${Package}\n", "--show")
    assert run(engine, reference, "sh", "-c", "ls /usr/bin/*gcc* /usr/include/*.h 2> /dev/null | wc -l") == "0"


def test_nothing_of_pip_or_the_network_stays(engine, reference):
    """No cache, no configuration; all bytecode is there, and loaded without a look at the source."""
    left = "ls -A /var/cache /root /tmp /run | grep -i -e pip -e kiln | wc -l"
    assert run(engine, reference, "sh", "-c", left) == "0"
    code = (
        "import pathlib, psycopg2, sys; folder = pathlib.Path(psycopg2.__file__).parent; "
        "print([p.name for p in folder.glob('*.py') if int.from_bytes("
        "(folder / '__pycache__' / f'{p.stem}.{sys.implementation.cache_tag}.pyc').read_bytes()[4:8], 'little') != 1])"
    )
    assert run(engine, reference, "python3", "-c", code) == "[]"


def test_it_runs_as_a_user_of_its_own(engine, reference):
    """Not as root, in a folder that is its own; pip finds nothing wrong."""
    assert run(engine, reference, "sh", "-c", "id -u; id -un; pwd; touch here && echo ok").split() == [
        "1000", "app", "/app", "ok",
    ]  # fmt: skip
    assert "No broken requirements" in run(engine, reference, "pip", "check")


def test_the_python_image_is_below_it(family, engine, reference):
    """Its layers are those of the Python image, as that is built by itself, so that both are pulled once."""
    done = family.build(SLIM)
    assert done.returncode == 0, done.stdout + done.stderr
    layers = [
        json.loads(docker(engine, "image", "inspect", "--format", "{{json .RootFS.Layers}}", name))
        for name in (f"{family.repository}:{SLIM}", reference)
    ]
    assert layers[1][: len(layers[0])] == layers[0]


def test_a_second_build_is_the_same(family, engine, reference, tmp_path):
    """Installed anew, it has the digest of the first time; a build with nothing to do says so."""
    assert "up to date" in family.build(ID).stdout
    definition = json.loads(family.build("--dry-run", "--json", ID).stdout)["definition"]
    (name,) = [key for key in definition["target"] if key.startswith("psycopg2")]
    target = definition["target"][name]
    target["output"] = [f"type=oci,dest={tmp_path / name}.tar,{target['output'][0].split(',', 2)[2]}"]
    target["no-cache-filter"] = ["install", "package"]
    (tmp_path / "bake.json").write_text(json.dumps(definition), "utf-8")
    settings = {"BUILDX_BAKE_ENTITLEMENTS_FS": "0", "BUILDX_NO_DEFAULT_LOAD": "1"}
    subprocess.run(
        engine.buildx("bake", "--file", str(tmp_path / "bake.json"), name),
        env={**os.environ, **engine.env, **settings}, capture_output=True, check=True,
    )  # fmt: skip
    held = docker(engine, "image", "inspect", "--format", "{{.Id}}", reference)
    assert oci.images(tmp_path / f"{name}.tar")[0].digest == held


def test_a_package_that_cannot_be_built_says_why(tmp_path):
    """The summary names the image, and the error has the words of what failed to build."""
    # Another version, of which pip's cache has no wheel.
    family = Family(tmp_path, packages={"psycopg2": PACKAGE | {"versions": ["2.9.9"]}})
    family.trixie["packages"]["full"] = ["gcc", "libc6-dev"]
    assert family.invoke("lock", "psycopg2").returncode == 0
    image = ID.replace(VERSION, "2.9.9")
    done = family.build(image)
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "psycopg2==2.9.9 cannot be installed: Error: pg_config executable not found" in summary(done)[image]
