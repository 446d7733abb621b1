"""infra7's checkout becomes a family with slim as the default variant, and with infra7's tags."""

import json

import pytest
from packaging.version import Version

from kiln import catalog, import_infra7, matrix
from kiln.errors import KilnError
from tests.unit.fixtures import INFRA7
from tests.unit.test_library import FAMILY

# As their files are: scripts for a shell, with values over several lines.
SETTINGS = """#!/usr/bin/env bash

{key}={version}

PYTHON_PIP_VERSION=24.3.1
PYTHON_SETUPTOOLS_VERSION=75.3.0
PYTHON_GET_PIP_URL=https://example.org/get-pip.py

# Prefix where to install python
PREFIX=/usr/local
#gnuArch="$(gcc -dumpmachine)"

REQUIRES=" \\
    ca-certificates \\
    wget \\
"

BUILD_REQUIRES=" \\
    gcc \\
    gnupg \\
"

PYTHON_EXTRA_BUILD_OPTS=""

# vim: ts=4:sw=4:sts=4:et
"""
DEFAULTS = 'PYTHON_VERSION=${PYTHON_VERSION:?"it is required"}\nTARGET_OS=bookworm\nTARGET_OS_VARIANT=-slim\n'


def put(folder, name, text=""):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def checkout(folder, facts):
    """Lay out a checkout as it was on the day of a fixture."""
    if "versions" in facts:
        for series, one in facts["versions"].items():
            put(folder, f"versions/{series}.env", SETTINGS.format(key="PYTHON_RELEASE", version=one["release"]))
        for name, one in facts["targets"].items():
            put(folder, f"targets/{name}/Dockerfile", f"ARG DISTRO={one['distro']}\nARG TARGET={name}\n")
            put(folder, f"targets/{name}/pybuilder.env", 'REQUIRES=" \\\n netbase \\\n"\n')
        put(folder, "Makefile", f"targets := targets/{facts['default_target']}\n")
    else:
        for name, versions in facts["versions_by_target"].items():
            for series, version in versions.items():
                put(folder, f"targets/{name}/pyenv.{series}", SETTINGS.format(key="PYTHON_VERSION", version=version))
        put(folder, ".env", DEFAULTS)


def small(folder, release="PYTHON_RELEASE=3.13.0", targets=("bookworm",)):
    put(folder, "versions/3.13.env", release + "\n")
    for name in targets:
        put(folder, f"targets/{name}/pybuilder.env")
    return folder


def expand(folder, **options):
    result = import_infra7.convert(folder, FAMILY, **options)
    return matrix.expand(catalog.loads(result.text, "imported")), result


@pytest.mark.parametrize("day", INFRA7, ids=lambda day: day.name)
def test_their_tags(tmp_path, day):
    """`<release>-<target>` and `<version>-<target>` for each, and without a target for the default one."""
    facts = json.loads((day / "matrix.json").read_text())
    checkout(tmp_path, facts)
    found, _ = expand(tmp_path)
    images = {image.id: set(image.tags) for image in found.images}
    by_target = facts.get("versions_by_target") or {
        name: {series: one["release"] for series, one in facts["versions"].items()} for name in facts["targets"]
    }
    assert len(images) == sum(len(versions) for versions in by_target.values())
    for target, versions in by_target.items():
        for series, release in versions.items():
            tags = images[f"{release}-{target}"]
            assert f"{series}-{target}" in tags
            assert ({series, release} <= tags) == (target == facts["default_target"])
    newest = max(by_target[facts["default_target"]].values(), key=Version)
    assert "latest" in images[f"{newest}-{facts['default_target']}"]
    assert {image.variant for image in found.images} == {"slim"}
    assert found.repository == facts["repository"]


def test_bases_are_those_of_the_dockerfiles(tmp_path):
    """Debian's slim image, Ubuntu's only one; two platforms, as the README promises."""
    facts = json.loads((INFRA7[-1] / "matrix.json").read_text())
    checkout(tmp_path, facts)
    targets = expand(tmp_path)[0].catalog.targets
    assert {name: one.base.image for name, one in targets.items()} == {
        name: one["base"] for name, one in facts["targets"].items()
    }
    assert all(one.platforms == ["linux/amd64", "linux/arm64"] for one in targets.values())


def test_packages_that_their_images_promise_are_kept(tmp_path):
    """A target's own list goes before that of the version, as in their Dockerfile."""
    small(tmp_path, 'PYTHON_RELEASE=3.13.0\nREQUIRES="wget xz-utils"', ("bookworm", "noble"))
    put(tmp_path, "targets/noble/pybuilder.env", "REQUIRES=curl\n")
    targets = expand(tmp_path)[0].catalog.targets
    own = {name: set(FAMILY.targets[name].packages.runtime) for name in targets}
    assert set(targets["bookworm"].packages.runtime) == own["bookworm"] | {"wget", "xz-utils"}
    assert set(targets["noble"].packages.runtime) == own["noble"] | {"curl"}


def test_pins_and_known_sources_are_carried_over(tmp_path):
    """The digest of a release that the family has is known."""
    own = FAMILY.releases[-1]
    put(tmp_path, f"versions/{own.series}.env", f"PYTHON_RELEASE={own.version}\nPYTHON_PIP_VERSION='24.3.1'\n")
    put(tmp_path, "targets/bookworm/pybuilder.env")
    (release,) = expand(tmp_path)[0].catalog.releases
    assert (release.pins, release.artifacts, release.released) == ({"pip": "24.3.1"}, own.artifacts, own.released)


@pytest.mark.parametrize(
    ("settings", "option", "default"),
    [
        ({}, "", "jammy"),
        ({".env": "TARGET_OS=noble\n"}, "", "noble"),
        ({"Makefile": "repo := local\ntargets := targets/noble\n"}, "", "noble"),
        ({".env": "TARGET=$X\n", "Makefile": "targets := $(wildcard targets/*)\n"}, "", "jammy"),
        ({".env": "TARGET_OS=noble\n"}, "jammy", "jammy"),
    ],
)
def test_the_default_target(tmp_path, settings, option, default):
    """As asked for, as `.env` or the Makefile has it, or the first by name, with a remark."""
    small(tmp_path, targets=("jammy", "noble"))
    for name, text in settings.items():
        put(tmp_path, name, text)
    found, result = expand(tmp_path, default_target=option)
    assert next(image for image in found.images if "latest" in image.tags).target_name == default
    assert any("as the first by name" in line for line in result.remarks) == (default == "jammy" and not option)


def test_releases_may_differ_by_target(tmp_path):
    """In the earlier layout each target has its own; short tags are those of the newest."""
    put(tmp_path, "targets/bookworm/pyenv.3.12", "PYTHON_VERSION=3.12.1\n")
    put(tmp_path, "targets/jammy/pyenv.3.12", "PYTHON_VERSION=3.12.2\n")
    found, result = expand(tmp_path)
    assert {image.id for image in found.images} == {"3.12.1-bookworm", "3.12.2-jammy"}
    assert any(line.startswith("3.12.2: not on the default target bookworm") for line in result.remarks)


def test_the_later_layout_goes_before_the_earlier(tmp_path):
    """What it leaves behind is said, and not built."""
    small(tmp_path)
    put(tmp_path, "targets/bookworm/pyenv.3.12", "PYTHON_VERSION=3.12.1\n")
    found, result = expand(tmp_path)
    assert [image.id for image in found.images] == ["3.13.0-bookworm"]
    assert "targets/bookworm/pyenv.3.12: is of the layout before versions/*.env; left out" in result.remarks


def test_what_is_not_carried_over_is_remarked(tmp_path):
    """Settings that Kiln has no place for, and folders that say nothing; not what it does anyway."""
    small(tmp_path, SETTINGS.format(key="PYTHON_RELEASE", version="3.13.0") + "EXTRA=$(id)\n")
    (tmp_path / "targets/empty").mkdir()
    put(tmp_path, "targets/bookworm/pybuilder.env", "PREFIX=/opt\n")
    remarks = expand(tmp_path)[1].remarks
    assert "versions/*.env: BUILD_REQUIRES is not carried over: the family knows what to compile with" in remarks
    assert 'versions/3.13.env: EXTRA is not carried over, found "$(id)"' in remarks
    assert 'targets/bookworm/pybuilder.env: PREFIX is not carried over, found "/opt"' in remarks
    assert "empty: the target's folder holds no settings; left out" in remarks
    assert not any("EXTRA_BUILD_OPTS" in line for line in remarks)


BAD = [
    (
        {"versions/3.13.env": "PYTHON_RELEASE=$(touch pwned)\n"},
        "3.13.env: line 1: PYTHON_RELEASE: found",
        "would expand",
    ),
    ({"versions/3.13.env": "PYTHON_RELEASE='3.13.0$(id)'\n"}, "line 1: PYTHON_RELEASE: found", "write it like 3.13.5"),
    ({"versions/3.13.env": "PYTHON_RELEASE=3.12.0\n"}, 'found 3.12.0 in the file of "3.13"', "move or correct it"),
    ({"versions/3.13.env": "# nothing\n"}, "has no PYTHON_RELEASE", "add one such as"),
    ({"versions/3.13.env": "PYTHON_RELEASE=3.13.0\nPYTHON_PIP_VERSION=x\n"}, "not a PEP 440 version", "as imported"),
    ({"versions/3.13.env": "PYTHON_RELEASE=3.13.0\nREQUIRES='a;b'\n"}, 'REQUIRES: found "a;b"', "a package's name"),
    ({"versions/3.1\n4.env": ""}, 'versions: found "3.1\\n4.env"', "by its series"),
    ({"targets/bookworm/Dockerfile": "ARG DISTRO=fedora\n"}, "found DISTRO=fedora", "debian and ubuntu"),
    ({"targets/unheard/pybuilder.env": ""}, "targets/unheard: of an unknown distribution", "ARG DISTRO=debian"),
    ({"targets/a b/pybuilder.env": ""}, 'targets: found "a b"', "code name"),
]


@pytest.mark.parametrize(("files", "found", "remedy"), BAD)
def test_what_is_wrong_is_one_line(tmp_path, monkeypatch, files, found, remedy):
    """It names the file and what to do; nothing is executed."""
    monkeypatch.chdir(tmp_path)
    small(tmp_path)
    for name, text in files.items():
        put(tmp_path, name, text)
    with pytest.raises(KilnError) as caught:
        expand(tmp_path)
    text = str(caught.value)
    assert found in text
    assert remedy in text
    assert text.isprintable()
    assert not (tmp_path / "pwned").exists()


def test_another_folder_is_refused(tmp_path):
    """Which is named, with what it lacks."""
    with pytest.raises(KilnError, match=r"targets: cannot be read .*; name a checkout of infra7ti/docker-python"):
        expand(tmp_path / "nowhere")
    (tmp_path / "targets").mkdir()
    with pytest.raises(KilnError, match="targets: holds no target"):
        expand(tmp_path)
    put(tmp_path, "targets/bookworm/pybuilder.env")
    with pytest.raises(KilnError, match=r"no versions/\*.env and no targets/\*/pyenv"):
        expand(tmp_path)
    with pytest.raises(KilnError, match="--default-target moon: no such target; use one of: bookworm"):
        expand(tmp_path, default_target="moon")
