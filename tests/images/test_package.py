"""The checks of images with a package of the index: it is all there, and serves as its users expect."""

import json

import pytest

from tests.images import application
from tests.images import expect as known

pytestmark = pytest.mark.package

GRACE = 10
"""Seconds that an engine gives a container to end."""


def test_package_version(expect, image, distributions):
    """The version in the tag is the version that is installed."""
    wanted = known.versions(image)
    expect("versions", wanted, {name: distributions["versions"].get(name) for name in wanted})


def test_package_imports(expect, distributions):
    """The package's modules import."""
    expect("modules that do not import", {}, distributions["imports"])


def test_pip_check(expect, distributions):
    """What is installed fits together."""
    expect("`pip check`", "", distributions["check"])


def test_package_files(expect_none, distributions):
    """Every file is there that the distributions brought: modules, scripts, data."""
    expect_none("missing file of a distribution", distributions["files"])


def test_console_scripts(expect_none, distributions):
    """Every console script of the distributions runs."""
    assert distributions["scripts"], "expected console scripts, found none"
    failed = {name: why for name, why in distributions["scripts"].items() if why}
    expect_none("console script that does not run", [f"{name} ({why})" for name, why in failed.items()])


def test_package_bytecode_used(expect, expect_none, distributions):
    """An import of the package compiles nothing."""
    found = distributions["compiled"]
    expect_none("modules that are compiled when imported", found["fresh"])
    expect("modules were loaded from bytecode", True, found["cached"] > 0)


def test_answers(expect, image, life):
    """None of 1,000 requests or tasks is lost, and the answers tell the versions."""
    wanted = {"python": image.release.version, **known.versions(image)}
    (answer, count), *others = life["answers"].items()
    expect("answers beside the first", [], others[:3])
    told = json.loads(answer) if answer.startswith("{") else {"error": answer}
    expect("versions in the answer", wanted, {name: told[name] for name in wanted if name in told} or told)
    expect("answers", application.COUNT, count)


def test_serves_as_user(expect, life):
    """No process of the application runs as root."""
    expect("user ids", [1000], life["users"])


def test_buries_orphans(expect, life):
    """Process 1 takes care of processes that lost their parent."""
    expect("dead processes", [], life["orphans"])


def test_stops(expect, life):
    """SIGTERM ends the application before the engine's patience does."""
    expect("0, or 128 and the number of SIGTERM", True, life["stopped"]["code"] in {0, 143} or life["stopped"]["code"])
    expect("seconds to stop", True, life["stopped"]["seconds"] < GRACE or life["stopped"]["seconds"])


def test_starts_again(expect, life):
    """A container that was stopped serves again, as it did before."""
    expect("answers", list(life["answers"]), list(life["again"].get("answers", [])))


def test_stops_while_it_starts(expect, life):
    """SIGTERM ends the container, too, before the application has told what to do then."""
    expect("0, or 128 and the number of SIGTERM", True, life["early"]["code"] in {0, 143} or life["early"]["code"])
    expect("seconds to stop", True, life["early"]["seconds"] < GRACE or life["early"]["seconds"])


def test_missing_module(expect, image, subject):
    """A module that is not there is one line that says what to set, and exit code 1."""
    if image.installed.package.command != ["start"]:
        pytest.skip(f"{image.id}: its command is not a start script of ours")
    code, output = subject.ends("--env", "MODULE_NAME=no_such.module")
    expect("exit code", 1, code)
    expect("lines of output", 1, len(output.splitlines()))
    for word in ("no_such.module", "MODULE_NAME", "APP_MODULE"):
        expect(f"{word} is named", True, word in output or output)
