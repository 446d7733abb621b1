"""`invoke bench` runs as a user runs it. No figure is asserted: machines differ, and are disturbed."""

import json
import os
import subprocess
import sys

import pytest

from kiln import paths
from tests.engine.command import FAMILY, SLIM, Family, docker


def _bench(figure, *args):
    command = [sys.executable, "-m", "invoke", f"bench.{figure}", *args]
    return subprocess.run(command, cwd=paths.ROOT, capture_output=True, text=True, check=False)


@pytest.fixture(scope="module")
def sides(tmp_path_factory, engine):
    """Return the options that compare a quick image of ours with one that has a file more.

    It stands for the reference, which takes half an hour.
    """
    family, other = Family(tmp_path_factory.mktemp("bench")), "kiln-test-bench:other"
    done = family.build(SLIM)
    assert done.returncode == 0, done.stdout + done.stderr
    dockerfile = f"FROM {family.record().reference}\nRUN head -c 1000000 /dev/urandom > /more\n"
    command = engine.buildx("build", "--provenance=false", "--load", "--tag", other, "-")
    environment = {**os.environ, **engine.env}
    subprocess.run(command, env=environment, input=dockerfile.encode(), check=True, capture_output=True)
    yield ["--versions", str(family.file), "--image", SLIM, "--against", other]
    docker(engine, "rmi", "--force", other)
    family.forget(engine)


def _section(file, figure):
    return json.loads(file.read_text())["figures"][figure]["section"]


def test_the_command_line_is_measured_in_fresh_processes(tmp_path):
    """The table and the file hold the same figures, each side measured as often as asked."""
    file = tmp_path / "bench.json"
    done = _bench("cli", "--versions", str(FAMILY), "--runs", "2", "--json", str(file))
    assert done.returncode == 0, done.stderr
    assert "invoke --list against import invoke" in done.stdout
    assert [len(one["seconds"]) for one in _section(file, "cli")["timings"]] == [6, 6]
    machine = json.loads(file.read_text())["figures"]["cli"]["machine"]
    assert {"taken", "machine", "load before", "versions", "kiln"} <= machine.keys()


def test_an_image_is_needed_and_said(monkeypatch, tmp_path):
    """Where nothing was built, one line says what to type, before any engine is brought."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path))
    done = _bench("tests", "--versions", str(FAMILY))
    assert done.returncode == 1
    assert done.stdout == ""
    assert done.stderr.startswith("error: no image is recorded here; build one: ./run invoke build ")
    assert not (tmp_path / "engine").exists()


def test_size_weighs_every_layer(sides, tmp_path):
    """The other image has what ours has, and one layer of a megabyte that cannot be compressed."""
    file = tmp_path / "size.json"
    done = _bench("size", "--quick", *sides, "--json", str(file))
    assert done.returncode == 0, done.stderr
    found = _section(file, "size")
    assert found["trial"] == "a quick build of ours, without optimisation"
    sizes = {one["name"]: one["bytes"] for one in found["sizes"]}
    gzip, other = (
        sorted(v for k, v in sizes.items() if k.startswith(f"{side}, gzip: layer")) for side in ("kiln", "reference")
    )
    assert sum(gzip) == sizes["kiln, gzip: all"]
    assert len(other) == len(gzip) + 1
    (extra,) = (size for size in other if 1_000_000 < size < 1_001_000)
    # With gzip, ours has no bytecode of pip.
    assert 0.9 < sum(gzip) / (sum(other) - extra) < 0.97
    assert found["findings"][1]["value"] == pytest.approx(sum(gzip) / sum(other), rel=1e-4)
    assert "NOT COMPARABLE" in done.stdout


def test_start_is_measured_in_fresh_containers(sides, tmp_path):
    """Each as often as asked."""
    file = tmp_path / "start.json"
    done = _bench("start", "--quick", *sides, "--runs", "2", "--json", str(file))
    assert done.returncode == 0, done.stderr
    ours, theirs = (one["seconds"] for one in _section(file, "start")["timings"])
    assert len(ours) == len(theirs) == 2
    assert all(seconds > 0 for seconds in ours + theirs)


def test_figures_of_a_quick_build_are_asked_for(sides):
    """They are none of the published images, so that nobody gets them by accident."""
    done = _bench("size", *sides)
    assert done.returncode == 1
    assert f"no optimised build of {SLIM} is recorded" in done.stderr
