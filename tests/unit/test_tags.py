"""Tags follow the official images' rules, from the matrix alone."""

import json

import pytest

from tests.unit import family as f
from tests.unit.fixtures import OFFICIAL


def tags(tmp_path, releases, **changes):
    found = f.expand(tmp_path, f.family(releases=releases, **changes))
    return {image.id: (image.tags.specific, image.tags.shared) for image in found.images}


def test_the_newest_stable_series_has_the_short_names(tmp_path):
    """Full version, series, major and latest, each with the target and without."""
    found = tags(tmp_path, [f.release("3.13.5")])
    assert found["3.13.5-trixie"] == (
        ("3.13.5-trixie", "3.13-trixie", "3-trixie", "trixie"),
        ("3.13.5", "3.13", "3", "latest"),
    )
    assert found["3.13.5-slim-trixie"][0][4:] == ("3.13.5-slim", "3.13-slim", "3-slim", "slim")
    assert found["3.13.5-alpine3.24"] == (
        ("3.13.5-alpine3.24", "3.13-alpine3.24", "3-alpine3.24", "alpine3.24",
         "3.13.5-alpine", "3.13-alpine", "3-alpine", "alpine"),
        (),
    )  # fmt: skip


def test_prereleases_have_the_series_with_rc(tmp_path):
    """A release candidate never is `3.15`, `3` or `latest`."""
    found = tags(tmp_path, [f.release("3.15.0rc2"), f.release("3.14.1")])
    assert found["3.15.0rc2-trixie"] == (("3.15.0rc2-trixie", "3.15-rc-trixie"), ("3.15.0rc2", "3.15-rc"))
    assert "latest" in found["3.14.1-trixie"][1]


def test_versions_compare_as_versions(tmp_path):
    """3.13.10 is newer than 3.13.9, which keeps its full version only."""
    found = tags(tmp_path, [f.release("3.13.9"), f.release("3.13.10")])
    assert found["3.13.9-trixie"] == (("3.13.9-trixie",), ("3.13.9",))
    assert "3.13" in found["3.13.10-trixie"][1]


def test_a_free_threaded_flavour_has_its_own_series(tmp_path):
    """`3.14t` stands beside `3.14`, and is never `3` or `latest`."""
    found = tags(tmp_path, [f.release("3.14.1", flavours=["default", "freethreaded"])])
    assert found["3.14.1t-trixie"] == (("3.14.1t-trixie", "3.14t-trixie"), ("3.14.1t", "3.14t"))
    assert "latest" in found["3.14.1-trixie"][1]


def test_the_default_variant_is_a_setting(tmp_path):
    """With slim as the default variant, the bare names are slim's: infra7's scheme."""
    data = f.family()
    data["targets"]["trixie"]["default_variant"] = "slim"
    found = {image.id: image.tags.shared for image in f.expand(tmp_path, data).images}
    assert found == {
        "3.13.5-full-trixie": (),
        "3.13.5-trixie": ("3.13.5", "3.13", "3", "latest"),
        "3.13.5-alpine3.24": (),
    }


WINDOWS = {
    "base": {"image": "mcr.microsoft.com/windows/servercore:ltsc2025", "platforms": ["windows/amd64"]},
    "default_variant": "full",
    "distribution": "windows",
    "packages": {"compile": [], "full": [], "runtime": []},
    "platforms": ["windows/amd64"],
    "release": "ltsc2025",
    "title": "Windows Server Core ltsc2025",
    "variants": {"full": {}},
}


def test_alpine_alone_has_no_bare_tags(tmp_path):
    """The default target is never Alpine by itself, as with the official images; a setting makes it so."""
    releases = [f.release("3.13.5", targets=["alpine3.24"])]
    assert tags(tmp_path, releases)["3.13.5-alpine3.24"][1] == ()
    found = tags(tmp_path, releases, default_targets={"3.13": "alpine3.24"})
    assert found["3.13.5-alpine3.24"][1] == ("3.13.5", "3.13", "3", "latest")


def test_the_default_target_of_a_series_is_a_setting(tmp_path):
    """It has the bare names and the bare variant's, whatever its place in the release."""
    data = f.family()
    data["targets"]["bookworm"] = data["targets"]["trixie"]
    releases = [f.release(version, targets=["trixie", "bookworm"]) for version in ("3.13.5", "3.12.1")]
    found = tags(tmp_path, releases, targets=data["targets"], default_targets={"3.12": "bookworm"})
    assert found["3.13.5-trixie"][1] == ("3.13.5", "3.13", "3", "latest")
    assert found["3.12.1-trixie"] == (("3.12.1-trixie", "3.12-trixie"), ())
    assert found["3.12.1-bookworm"][1] == ("3.12.1", "3.12")
    assert found["3.12.1-slim-bookworm"][0][2:] == ("3.12.1-slim", "3.12-slim")


def test_latest_can_be_held_back(tmp_path):
    """A new series is published without becoming `3` and `latest` at once; another major keeps its name."""
    releases = [f.release(version) for version in ("3.14.0", "3.13.5", "2.7.18")]
    found = tags(tmp_path, releases, latest="3.13")
    assert found["3.14.0-trixie"][1] == ("3.14.0", "3.14")
    assert found["3.13.5-trixie"][1] == ("3.13.5", "3.13", "3", "latest")
    assert found["2.7.18-trixie"][1] == ("2.7.18", "2.7", "2")


def test_windows_shares_what_names_no_system(tmp_path):
    """Each has its own name, all have that of their kind, and they share the bare names with the default target."""
    targets = f.family()["targets"] | {f"windowsservercore-{name}": WINDOWS for name in ("ltsc2025", "ltsc2022")}
    found = tags(tmp_path, [f.release("3.13.5", targets=list(targets)[::-1])], targets=targets)
    assert found["3.13.5-trixie"][1] == ("3.13.5", "3.13", "3", "latest")
    for name in ("windowsservercore-ltsc2025", "windowsservercore-ltsc2022"):
        assert found[f"3.13.5-{name}"] == (
            (f"3.13.5-{name}", f"3.13-{name}", f"3-{name}", name),
            ("3.13.5-windowsservercore", "3.13-windowsservercore", "3-windowsservercore", "windowsservercore",
             "3.13.5", "3.13", "3", "latest"),
        )  # fmt: skip


@pytest.mark.parametrize("day", OFFICIAL, ids=lambda day: day.name)
def test_as_published(tmp_path, day):
    """The Linux entries of a published library file have exactly our tags, in our order."""
    versions = json.loads((day / "versions.json").read_text())
    data = f.family(releases=[], targets={})
    for facts in versions.values():
        variants = [name for name in (facts or {}).get("variants", []) if not name.startswith("windows/")]
        names = list(dict.fromkeys(name.removeprefix("slim-") for name in variants))
        if names:
            data["releases"].append(f.release(facts["version"], targets=names))
        for name in names:
            kind = "alpine3.24" if name.startswith("alpine") else "trixie"
            data["targets"][name] = f.family()["targets"][kind]
    found = {image.id: image.tags for image in f.expand(tmp_path, data).images}
    entries = [entry for entry in (day / "library-python.txt").read_text().split("\n\n") if "\nDirectory:" in entry]
    checked = 0
    for entry in entries:
        facts = dict(line.split(": ", 1) for line in entry.splitlines() if ": " in line)
        if "windows" in facts["Directory"]:
            continue
        specific = facts["Tags"].split(", ")
        assert list(found[specific[0]].specific) == specific
        assert list(found[specific[0]].shared) == (facts["SharedTags"].split(", ") if "SharedTags" in facts else [])
        checked += 1
    assert checked == len(found)
