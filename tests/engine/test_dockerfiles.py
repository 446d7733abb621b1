"""Rendered Dockerfiles pass BuildKit's own checks, where the engine has them."""

import copy
import json
import os
import subprocess

import pytest
from packaging.version import Version

from kiln import matrix, render
from tests.engine.command import FAMILY
from tests.unit import family as f

# `docker buildx build --check` came with buildx 0.15, and needs BuildKit 0.15 in Docker 27.
CHECKS_SINCE = Version("0.15")


def every_distribution(folder):
    """Return the tests' family on a system of each distribution, expanded."""
    data = json.loads(FAMILY.read_text("utf-8"))
    ubuntu = copy.deepcopy(data["targets"]["trixie"])
    ubuntu |= {"distribution": "ubuntu", "release": "24.04", "variants": {"full": {}, "slim": {}}}
    data["targets"] |= {"noble": ubuntu, "alpine3.24": f.FAMILY["targets"]["alpine3.24"], "ltsc2025": f.WINDOWS}
    del data["packages"]
    data["releases"][0] |= {
        "flavours": ["default"], "targets": list(data["targets"]),
        "windows": {"file": f"python-{data['releases'][0]['version']}-amd64.exe", "sha256": "b" * 64},
    }  # fmt: skip
    return f.expand(folder, data)


def test_buildkits_own_checks(engine, tmp_path, subtests):
    """No warning for any family of Dockerfiles; those of one family differ in names and numbers only."""
    if Version(engine.buildx_version.partition("+")[0]) < CHECKS_SINCE:
        pytest.skip(f"buildx {engine.buildx_version} has no checks, which came with {CHECKS_SINCE}")
    found: matrix.Matrix = every_distribution(tmp_path)
    for image in {(image.target.distribution, image.variant): image for image in found.images}.values():
        with subtests.test(image.id):
            (tmp_path / "Dockerfile").write_text(render.dockerfile(image, found.catalog), "utf-8")
            command = engine.buildx("build", "--check", str(tmp_path))
            done = subprocess.run(
                command, env={**os.environ, **engine.env}, capture_output=True, text=True, check=False
            )
            assert done.returncode == 0, done.stdout + done.stderr
