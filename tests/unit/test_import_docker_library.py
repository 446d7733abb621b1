"""docker-library's files become a family: general rules, remarks for what is lost, one line for what is wrong."""

import copy
import json
import time

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from kiln import catalog, import_docker_library, library, matrix
from kiln.errors import KilnError
from tests.unit.fixtures import OFFICIAL
from tests.unit.test_library import FAMILY, compared, imported

DIGEST = "a" * 64
ENTRY = {
    "version": "3.13.5",
    "variants": ["trixie", "slim-trixie", "alpine3.23"],
    "checksums": {"source": {"sha256": DIGEST}},
}
PARENTS = {
    "buildpack-deps:trixie": ["amd64", "arm64v8"],
    "debian:trixie-slim": ["amd64", "arm64v8"],
    "alpine:3.23": ["amd64", "arm32v6"],
}


def convert(folder, versions, parents=PARENTS, meta=None):
    """Import values, or texts as they are."""
    for name, value in (("versions", versions), ("parents", parents), ("meta", {} if meta is None else meta)):
        (folder / f"{name}.json").write_text(value if isinstance(value, str) else json.dumps(value))
    return import_docker_library.convert(
        folder / "versions.json", folder / "parents.json", folder / "meta.json", FAMILY
    )


def expand(result):
    return matrix.expand(catalog.loads(result.text, "imported"))


def entry(**changes):
    return {**copy.deepcopy(ENTRY), **changes}


def test_a_release_is_carried_over_with_its_digests_and_pins(tmp_path):
    """Sources, installer and what is pinned; a suite is one target with two variants."""
    theirs = entry(
        variants=[*ENTRY["variants"], "windows/windowsservercore-1809"], setuptools={"version": "65.5.1"},
        pip={"version": "24.0"}, checksums={"source": {"sha256": DIGEST}, "windows": {"sha256": "b" * 64}},
    )  # fmt: skip
    family = expand(convert(tmp_path, {"3.13": theirs})).catalog
    (release,) = family.releases
    assert [(one.file, one.sha256) for one in release.artifacts] == [("Python-3.13.5.tar.xz", DIGEST)]
    assert (release.windows.file, release.windows.sha256) == ("python-3.13.5-amd64.exe", "b" * 64)
    assert release.pins == {"pip": "24.0", "setuptools": "65.5.1"}
    assert release.targets == ["trixie", "alpine3.23", "windowsservercore-1809"]
    assert {name: list(one.variants) for name, one in family.targets.items()} == {
        "alpine3.23": ["slim"], "trixie": ["full", "slim"], "windowsservercore-1809": ["full"],
    }  # fmt: skip
    assert family.targets["windowsservercore-1809"].base.image == "mcr.microsoft.com/windows/servercore:1809"
    assert family.targets["trixie"].packages == FAMILY.targets["trixie"].packages
    assert (family.exclusions, family.repository) == ([], "python")
    assert not family.latest


def test_systems_of_long_ago_follow_the_same_rules(tmp_path):
    """Python 2.7 is `2`, the first suite is the default, Windows has its old names; as published in 2019."""
    windows = [f"windows/windowsservercore-{name}" for name in ("ltsc2016", "1803")]
    variants = ["stretch", "slim-stretch", "jessie", "slim-jessie", "alpine3.9", *windows]
    debian, jessie = ["amd64", "arm32v5", "s390x"], ["amd64", "arm32v5"]
    parents = {
        "buildpack-deps:stretch": debian, "debian:stretch-slim": debian, "buildpack-deps:jessie": jessie,
        "debian:jessie-slim": jessie, "alpine:3.9": ["amd64", "arm32v6"],
    }  # fmt: skip
    versions = {
        "2.7": {"version": "2.7.16", "variants": variants},
        "3.7": {"version": "3.7.3", "variants": variants[:2]},
    }
    result = convert(tmp_path, versions, parents)
    found = {one["Tags"].split(",")[0]: one for one in compared(library.text(expand(result), {}))}
    assert found["2.7.16-stretch"] == {
        "Tags": "2.7.16-stretch, 2.7-stretch, 2-stretch", "SharedTags": "2.7.16, 2.7, 2",
        "Architectures": "amd64, arm32v5, s390x", "Constraints": None,
    }  # fmt: skip
    assert found["2.7.16-slim-jessie"]["Tags"] == "2.7.16-slim-jessie, 2.7-slim-jessie, 2-slim-jessie"
    assert found["2.7.16-slim-jessie"]["Architectures"] == "amd64, arm32v5"
    assert found["2.7.16-windowsservercore-1803"] == {
        "Tags": "2.7.16-windowsservercore-1803, 2.7-windowsservercore-1803, 2-windowsservercore-1803",
        "SharedTags": "2.7.16-windowsservercore, 2.7-windowsservercore, 2-windowsservercore, 2.7.16, 2.7, 2",
        "Architectures": "windows-amd64", "Constraints": "windowsservercore-1803",
    }  # fmt: skip
    assert found["3.7.3-stretch"]["SharedTags"] == "3.7.3, 3.7, 3, latest"
    assert "stretch, jessie: lists of packages are those of bookworm; correct the names that differ" in result.remarks
    assert any(line.startswith("3.7.3, 2.7.16: no digest of the sources is known") for line in result.remarks)


def test_folders_of_a_suite_may_be_written_the_old_way(tmp_path):
    """`trixie/slim` is `slim-trixie`."""
    old = expand(convert(tmp_path, {"3.13": entry(variants=["trixie", "trixie/slim"])}))
    assert [image.id for image in old.images] == ["3.13.5-trixie", "3.13.5-slim-trixie"]


@pytest.mark.parametrize(
    ("place", "target"), [("3.13:debian", "trixie"), ("3.13:alpine", "alpine*"), ("3.13:trixie", "trixie")]
)
def test_architectures_that_their_scripts_leave_out_are_exclusions(tmp_path, place, target):
    """By family or target, for one series, with the reason."""
    found = expand(convert(tmp_path, {"3.13": entry()}, meta={"arch_exclusions": {"amd64": [place]}}))
    (rule,) = found.catalog.exclusions
    assert (rule.release, rule.target, rule.platform) == ("3.13.*", target, "linux/amd64")
    assert rule.reason == "docker-library leaves amd64 out here"
    left = {image.target_name for image in found.images if "linux/amd64" not in image.platforms}
    assert left == {"trixie" if target == "trixie" else "alpine3.23"}


def test_an_exclusion_names_no_target_where_all_that_have_the_platform_are_meant(tmp_path):
    """So that the file stays short."""
    meta = {"arch_exclusions": {"arm64v8": ["3.13:debian"]}}
    (rule,) = expand(convert(tmp_path, {"3.13": entry()}, meta=meta)).catalog.exclusions
    assert not rule.target


def test_two_releases_of_a_series_have_exclusions_of_their_own(tmp_path):
    """Their series does not tell them apart, the version does."""
    other = entry(version="3.13.6rc1", checksums={"source": {"sha256": "c" * 64}})
    meta = {"arch_exclusions": {"arm64v8": ["3.13-rc:debian"]}}
    found = expand(convert(tmp_path, {"3.13": entry(), "3.13-rc": other}, meta=meta))
    assert [rule.release for rule in found.catalog.exclusions] == ["3.13.6rc1"]
    assert found.get("3.13.5-trixie").platforms == ("linux/amd64", "linux/arm64")


def test_parents_of_full_and_slim_may_differ(tmp_path):
    """The target has what either has, in the parents' order; an exclusion says what one lacks."""
    parents = {
        **PARENTS,
        "buildpack-deps:trixie": ["amd64", "s390x"],
        "debian:trixie-slim": ["amd64", "arm64v8", "s390x"],
    }
    found = expand(convert(tmp_path, {"3.13": entry()}, parents))
    assert found.catalog.targets["trixie"].platforms == ["linux/amd64", "linux/arm64", "linux/s390x"]
    assert found.get("3.13.5-trixie").platforms == ("linux/amd64", "linux/s390x")
    assert [(rule.variant, rule.platform) for rule in found.catalog.exclusions] == [("full", "linux/arm64")]


@pytest.mark.parametrize(
    ("variants", "ids"),
    [
        (["trixie"], ["trixie"]),
        (["slim-trixie", "alpine3.23"], ["slim-trixie", "alpine3.23"]),
    ],
)
def test_a_suite_may_lack_one_of_its_variants(tmp_path, variants, ids):
    """In one release, or in all."""
    alone = expand(convert(tmp_path, {"3.13": entry(variants=variants)}))
    assert [image.id for image in alone.images] == [f"3.13.5-{name}" for name in ids]
    other = entry(version="3.12.1", checksums={"source": {"sha256": "c" * 64}})
    beside = expand(convert(tmp_path, {"3.13": entry(variants=variants), "3.12": other}))
    assert [image.id for image in beside.images if "3.13.5" in image.id] == [f"3.13.5-{name}" for name in ids]
    assert sum("3.12.1" in image.id for image in beside.images) == 3


def test_ubuntu_is_told_by_its_parent(tmp_path):
    """A code name that nothing else knows is of the distribution whose image is a parent."""
    parents = {"buildpack-deps:wondrous": ["amd64"], "ubuntu:wondrous": ["amd64"], "buildpack-deps:newest": ["amd64"]}
    found = expand(convert(tmp_path, {"3.13": entry(variants=["wondrous", "slim-wondrous", "newest"])}, parents))
    kinds = {name: (one.distribution, one.base.image) for name, one in found.catalog.targets.items()}
    assert kinds == {"newest": ("debian", "debian:newest-slim"), "wondrous": ("ubuntu", "ubuntu:wondrous")}
    assert found.catalog.targets["newest"].packages == FAMILY.targets["trixie"].packages


REMARKS = [
    ({"3.13": ENTRY, "3.9": None}, {}, '"3.9": has no release (null); left out'),
    ({"3.13": entry(pip={"version": "24.0", "url": "https://example.org/get-pip.py"})}, {}, "3.13: get-pip is not carried over"),
    ({"3.13": {**ENTRY, "get-pip": {"version": "https://example.org/commit", "sha256": DIGEST}}}, {}, "3.13: get-pip is not carried over"),
    ({"3.13": entry(checksums={})}, {}, "3.13.5: no digest of the sources"),
    ({"3.13": entry(variants=["slim-trixie", "trixie"])}, {}, "3.13: order of variants"),
    ({"3.13": entry(variants=["trixie", "windows/windowsservercore-1809"])}, {}, "3.13: no digest of the installer"),
    ({"3.13": ENTRY}, {"arch_exclusions": {"s390x": ["3.13:debian", "9.9:alpine"]}}, '"3.13:debian", "9.9:alpine": leaving out s390x'),
    ({"3.13": ENTRY}, {"surprise": 1}, '"surprise": meta.json: not used'),
    ({"3.13": entry(variants=["trixie"])}, {}, '"debian:trixie-slim", "alpine:3.23": parents.json: not the parent'),
    ({"3.13": entry(version="3.13.4")}, {}, "3.13.4: its day is not known; add \"released\""),
    ({"3.13": entry(version="3.13.4")}, {"python_commit_date": "2024-10-18T16:48:18-07:00"}, "3.13.4: the day of the release is not given; 2024-10-18"),
    ({"3.13": ENTRY, "3.12": entry(version="3.12.1", checksums={})}, {"latest": "3.12"}, "3.12: is latest, though"),
]  # fmt: skip


@pytest.mark.parametrize(("versions", "meta", "remark"), REMARKS)
def test_what_is_not_carried_over_is_remarked(tmp_path, versions, meta, remark):
    """Never dropped silently, and never in the way of the rest."""
    result = convert(tmp_path, versions, meta=meta)
    assert any(line.startswith(remark) for line in result.remarks), result.remarks


def test_latest_may_be_held_back(tmp_path):
    """As their scripts did after a release."""
    versions = {"3.13": ENTRY, "3.12": entry(version="3.12.1", checksums={})}
    found = expand(convert(tmp_path, versions, meta={"latest": "3.12"}))
    assert "latest" in found.get("3.12.1-trixie").tags.shared
    assert not expand(convert(tmp_path, versions, meta={"latest": "3.13"})).catalog.latest
    assert "latest" in expand(convert(tmp_path, versions)).get("3.13.5-trixie").tags.shared


def test_without_meta_nothing_is_left_out():
    """Its exclusions are all that an import of these files lacks."""
    for image in imported(OFFICIAL[0], meta=None).images:
        assert set(image.platforms) == set(image.target.platforms)


HUGE = "9" * 5000
BAD = [
    ("versions", '{"3.13": {', "not JSON"),
    ("versions", "[]", "$: found []; write an object of series"),
    ("versions", "{}", "holds no release"),
    ("versions", '{"3.13": NaN}', "NaN is not JSON"),
    ("versions", '{"a": 1, "a": 2}', 'key "a" stands twice'),
    ("versions", "[" * 100_000, "cannot be read as JSON"),
    ("versions", f'{{"3.13": {HUGE}}}', "cannot be read as JSON"),
    ("versions", '{"3.13": {"version": "\\ud800"}}', "one half of a character"),
    ("versions", {"3.13": []}, '$["3.13"]: Expected object, got array'),
    ("versions", {"3.13": entry(surprise=1)}, "unknown field surprise"),
    ("versions", {"3.13": entry(checksums={"source": {"sha256": 5}})}, '$["3.13"].checksums.source.sha256: Expected str, got int'),
    ("versions", {"3.13": entry(checksums={"source": {"sha256": "$(id)"}})}, 'checksums.source.sha256: found "$(id)"'),
    ("versions", {"3.13": entry(version="3.13.0$(id)")}, '$["3.13"].version: found "3.13.0$(id)"; write it like'),
    ("versions", {"3.13": entry(version="3.13.0rc1")}, "rename the key to 3.13-rc"),
    ("versions", {"3.13-rc": ENTRY}, "rename the key to 3.13"),
    ("versions", {"../x\n": ENTRY}, '$["../x\\n"].version: found 3.13.5'),
    ("versions", {"3.13": entry(variants=["../../etc"])}, '.variants[0]: found "../../etc"; write a variant such as'),
    ("versions", {"3.13": entry(variants=["slim-alpine"])}, '.variants[0]: found "slim-alpine"'),
    ("versions", {"3.13": entry(variants=["trixie", "trixie"])}, '.variants[1]: found "trixie" a second time'),
    ("versions", {"3.13": entry(variants=["tr\x1bixie"])}, 'found "tr\\u001bixie"'),
    ("versions", {"3.13": entry(variants=[])}, ".variants: found none"),
    ("versions", {"3.13": entry(setuptools={"version": "$(id)"})}, "found '$' in '$(id)'"),
    ("versions", {"3.13": entry(setuptools={"version": "x"})}, "not a PEP 440 version"),
    ("parents", {"alpine:3.23": ["amd64"]}, '$["buildpack-deps:trixie"]: no architectures, but it is the parent of 3.13'),
    ("parents", {**PARENTS, "alpine:3.23": ["vax"]}, '$["alpine:3.23"][0]: found "vax"; use one of: '),
    ("parents", {**PARENTS, "alpine:3.23": ["amd64", "amd64"]}, "found amd64 a second time"),
    ("parents", {**PARENTS, "alpine:3.23": "amd64"}, '$["alpine:3.23"]: Expected array, got str'),
    ("meta", {"latest": "9.9"}, '$.latest: found "9.9"; use a series with a final release: 3.13'),
    ("meta", {"latest": 3.13}, "$.latest: Expected str, got float"),
    ("meta", {"arch_exclusions": {"vax": []}}, "unknown architecture"),
    ("meta", {"python_commit_date": "tomorrow"}, '$.python_commit_date: found "tomorrow"'),
]  # fmt: skip


@pytest.mark.parametrize(("file", "value", "message"), BAD)
def test_what_is_wrong_is_one_line(tmp_path, file, value, message):
    """It names the file, the place in it and what to do."""
    values = {"versions": {"3.13": ENTRY}, "parents": PARENTS, "meta": {}, file: value}
    with pytest.raises(KilnError) as caught:
        convert(tmp_path, **values)
    text = str(caught.value)
    assert message in text
    assert text.startswith(str(tmp_path))
    assert text.isprintable()


def test_a_family_without_these_variants_lends_no_description(tmp_path):
    """They are described all the same."""
    lender = msgspec.structs.replace(FAMILY, variants={})
    convert(tmp_path, {"3.13": ENTRY})
    files = [tmp_path / f"{name}.json" for name in ("versions", "parents", "meta")]
    found = expand(import_docker_library.convert(*files, lender)).catalog
    assert all(one.description for one in found.variants.values())
    assert list(found.variants) == ["full", "slim"]


def test_a_missing_file_is_named(tmp_path):
    """With the option that names it."""
    with pytest.raises(KilnError, match=r"versions.json: no such file; .*--source"):
        import_docker_library.convert(tmp_path / "versions.json", tmp_path / "p.json", None, FAMILY)


def test_ten_thousand_releases_take_seconds(tmp_path):
    """As many exclusions included: a tenth of them, measured, is well below one."""
    count = 1000
    versions = {f"3.{n}": entry(version=f"3.{n}.0", checksums={}) for n in range(count)}
    meta = {"arch_exclusions": {"arm64v8": [f"3.{n}:debian" for n in range(count)]}}
    begin = time.perf_counter()
    result = convert(tmp_path, versions, meta=meta)
    assert time.perf_counter() - begin < 5
    assert len(json.loads(result.text)["releases"]) == len(json.loads(result.text)["exclusions"]) == count


def test_nothing_is_written_where_something_is_wrong(tmp_path):
    """And all of it at once where nothing is."""
    out = tmp_path / "out" / "versions.json"
    with pytest.raises(KilnError):
        convert(tmp_path, {"3.13": 5}).write(str(out))
    assert not out.parent.exists()
    result = convert(tmp_path, {"3.13": ENTRY})
    assert result.write("") + "\n" == result.text
    assert result.write(str(out)) == f"wrote {out}"
    assert out.read_text() == result.text


SMALL = {
    "versions": {"3.13": entry(setuptools={"version": "65.5.1"}, pip={"version": "24.0"}), "3.15-rc": entry(version="3.15.0b1", checksums={})},
    "parents": PARENTS,
    "meta": {"arch_exclusions": {"arm64v8": ["3.13:debian"]}, "latest": "3.13", "python_commit_date": "2025-08-11"},
}  # fmt: skip
HOSTILE = st.one_of(
    st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8), st.lists(st.text(max_size=4), max_size=2),
    st.dictionaries(st.text(max_size=4), st.integers(), max_size=2),
    st.sampled_from(["$(id)", "../../x", "a\nb", "\x00", "3.13", "trixie", "alpine*", "\ud800", "-rc", "a" * 300]),
)  # fmt: skip


def places(value, path=()):
    """Return the path of every value inside."""
    yield path
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*path, key))


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data(), rename=st.booleans())
def test_mutated_files_give_a_family_or_one_line(tmp_path, data, rename):
    """Never a traceback, and what is imported loads."""
    files = copy.deepcopy(SMALL)
    path = data.draw(st.sampled_from([path for path in places(files) if len(path) > 1]))
    value = data.draw(HOSTILE)
    parent = files
    for key in path[:-1]:
        parent = parent[key]
    if rename and isinstance(parent, dict) and isinstance(value, str):
        parent[value] = parent.pop(path[-1])
    else:
        parent[path[-1]] = value
    try:
        result = convert(tmp_path, **files)
        said = [str(image.platforms) for image in expand(result).images] + result.remarks
    except KilnError as error:
        said = [str(error)]
    assert said
    assert all(line.isprintable() for line in said)


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(place=st.integers(0, 10_000), junk=st.binary(max_size=6))
@example(place=0, junk=b"\xff")
def test_damaged_files_give_a_family_or_one_line(tmp_path, place, junk):
    """A real file, cut or overwritten anywhere."""
    day = OFFICIAL[-1]
    text = (day / "versions.json").read_bytes()
    place %= len(text)
    (tmp_path / "versions.json").write_bytes(text[:place] + junk + (text[place + len(junk) :] if junk else b""))
    path, said = tmp_path / "versions.json", "imported"
    try:
        import_docker_library.convert(path, day / "parents.json", day / "meta.json", FAMILY)
    except KilnError as error:
        said = str(error)
    assert said.isprintable()


def test_without_parents_platforms_are_those_of_the_familys_own_targets(tmp_path):
    """Or of the nearest one; either is an assumption, and said."""
    (tmp_path / "versions.json").write_text(json.dumps({"3.13": entry(variants=["trixie", "slim-trixie", "duke"])}))
    result = import_docker_library.convert(tmp_path / "versions.json", None, None, FAMILY)
    targets = expand(result).catalog.targets
    assert targets["trixie"].base.platforms == FAMILY.targets["trixie"].base.platforms
    assert any(line.startswith("trixie: no --parents: platforms are taken to be those") for line in result.remarks)
    (nearest,) = (line for line in result.remarks if line.startswith("duke: no --parents: "))
    assert "that this family knows of " in nearest
    assert targets["duke"].platforms == targets["duke"].base.platforms
