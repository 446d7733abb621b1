"""A new target is like one that the family has, with names of packages as its own archive has them."""

import pytest

from kiln import add_target, catalog, suite
from kiln.add_target import Archives
from kiln.errors import SelectionError
from kiln.suite import Stanza, Suite
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

PACKAGES = {
    "compile": ["gcc", "libssl-dev", "libdb-dev"],
    "full": ["libfoo-dev"],
    "runtime": ["libdb5.3", "libssl3", "zlib1g"],
}
OLD = Suite(
    packages={
        "gcc": Stanza(source="gcc"), "zlib1g": Stanza(source="zlib"), "libfoo-dev": Stanza(source="foo"),
        "libssl-dev": Stanza(source="openssl", depends=frozenset({"libssl3", "libc6-dev"})),
        "libssl3": Stanza(source="openssl"), "libdb5.3": Stanza(source="db5.3"),
        "libdb-dev": Stanza(source="db-defaults", depends=frozenset({"libdb5.3-dev"})),
    }
)  # fmt: skip
NEW = Suite(
    packages={
        "gcc": Stanza(source="gcc-defaults"), "zlib1g": Stanza(source="zlib"), "libdb-dev": Stanza(source="db-defaults"),
        "libssl-dev": Stanza(source="openssl", depends=frozenset({"libssl3t64", "libc6-dev"})),
        "libssl3t64": Stanza(source="openssl"), "libdb5.3t64": Stanza(source="db5.3", provides=frozenset({"libdb5.3"})),
    },
    released=False, architectures=frozenset({"amd64", "armhf"}),
)  # fmt: skip


def family(tmp_path, **changes):
    data = f.family(packages={"uvicorn": UVICORN}, **changes)
    data["targets"]["trixie"]["packages"] = PACKAGES
    data["targets"]["trixie"]["base"]["digest"] = f"sha256:{'0' * 64}"
    return f.load(tmp_path, data)


def added(found, name="forky", like="trixie", archives=None):
    plan = add_target.with_target(found, name, like, archives or Archives(new=NEW, old=OLD))
    return catalog.loads(catalog.dumps(plan.catalog), "added"), plan.remarks


def test_names_are_those_of_the_new_archive(tmp_path):
    """By what provides the old one, and by what the same -dev package needs now; the rest is left to a person."""
    found, remarks = added(family(tmp_path))
    assert found.targets["forky"].packages.runtime == ["libdb5.3t64", "libssl3t64", "zlib1g"]
    assert found.targets["forky"].packages.full == ["libfoo-dev"]
    assert remarks[:3] == (
        "forky: packages.full: the suite has no libfoo-dev, and nothing certain in its place; correct it",
        "forky: packages.runtime: libdb5.3t64 in place of libdb5.3, by the suite's own index",
        "forky: packages.runtime: libssl3t64 in place of libssl3, by the suite's own index",
    )


def test_what_the_archive_says_of_itself(tmp_path):
    """Its architectures, and whether it is released; another base has another digest."""
    forky = added(family(tmp_path))[0].targets["forky"]
    assert (forky.release, forky.title, forky.base.image) == ("forky", "Debian 14 (forky)", "debian:forky-slim")
    assert (forky.platforms, forky.base.platforms, forky.prerelease) == (["linux/amd64"], ["linux/amd64"], True)
    assert not forky.base.digest
    assert forky.like == "trixie"


def test_releases_and_exclusions_follow(tmp_path):
    """Behind its model, so that no default target changes; packages are a person's choice."""
    rules = [{"reason": "a", "target": "trixie", "variant": "full"}, {"reason": "b", "target": "*"}]
    found, remarks = added(family(tmp_path, exclusions=rules))
    assert [release.targets for release in found.releases] == [["trixie", "forky", "alpine3.24"]]
    assert [(rule.reason, rule.target) for rule in found.exclusions] == [("a", "trixie"), ("b", "*"), ("a", "forky")]
    assert remarks[-1] == "forky: packages stay on trixie; to have them, add forky to the targets of uvicorn"


def test_without_an_archive_the_names_are_left_to_a_person(tmp_path):
    """All of them, with the reason."""
    found, remarks = added(family(tmp_path), "alpine3.25", "alpine3.24", Archives(reason="nobody to ask"))
    assert found.targets["alpine3.25"].base.image == "alpine:3.25"
    assert remarks[0].startswith(
        "alpine3.25: nobody to ask; its packages are those of alpine3.24: look whether it has each of zlib"
    )
    assert "look whether alpine:3.25 has them" in remarks[1]


@pytest.mark.parametrize(
    ("name", "like", "message"),
    [
        ("trixie", "trixie", "trixie: is a target of the family already"),
        ("forky", "", "forky: like which target? add --like and one of: alpine3.24, trixie"),
        ("forky", "sid", "--like sid: no target of the family; name one of: alpine3.24, trixie"),
    ],
)
def test_names_that_do_not_fit(tmp_path, name, like, message):
    """Are one line."""
    with pytest.raises(SelectionError) as caught:
        add_target.plan(family(tmp_path), name, like)
    assert str(caught.value).startswith(message)


def test_an_index_is_read_by_the_fields_that_count():
    """Versions, alternatives and architectures of a relation are no part of its names."""
    text = (
        "Package: libssl-dev\nSource: openssl (3.5-1)\nDepends: libssl3t64 (= 3.5-1), libc6-dev | libc-dev:any\n\n"
        "Package: libssl3t64\nProvides: libssl3 (= 3.5-1)\nPre-Depends: libc6\nDescription: x\n"
    )
    found = suite.parse(text)
    assert found["libssl-dev"].source == "openssl"
    assert found["libssl-dev"].depends == {"libssl3t64", "libc6-dev", "libc-dev"}
    assert found["libssl3t64"] == Stanza(
        source="libssl3t64", provides=frozenset({"libssl3"}), depends=frozenset({"libc6"})
    )


@pytest.mark.parametrize(
    ("name", "stem"),
    [("libssl3t64", "libssl"), ("libffi8", "libffi"), ("libbz2-1.0", "libbz2"), ("libdb5.3", "libdb"), ("gcc", "gcc")],
)
def test_the_stem_of_a_library(name, stem):
    """Is what stays when its version changes."""
    assert suite.stem(name) == stem
