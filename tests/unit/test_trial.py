"""What is tried of a family: fewer images if there are fewer, whatever its names are."""

import copy

import pytest

from kiln import parts, plan, trial
from kiln.errors import SelectionError
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

DISTROLESS = {"distroless": {}, "distroless-debug": {}}


def tried(matrix, lacking=()):
    """Return the ids that are tried by reason, where nothing of some versions and targets can be built."""
    possible = [image for image in matrix.everything if not {image.release.version, image.target_name} & {*lacking}]
    return {group.reason: [image.id for image in group.images] for group in trial.choose(possible)}


def debian(**changes):
    """Return a family with two series on two releases of Debian, with all kinds of images."""
    data = f.family(**changes)
    data["targets"]["trixie"]["variants"] |= DISTROLESS
    data["targets"]["bookworm"] = copy.deepcopy(data["targets"]["trixie"]) | {"release": "bookworm"}
    data["variants"] |= {name: {"description": name} for name in DISTROLESS}
    data["releases"] = [
        f.release("3.14.2", flavours=["default", "freethreaded"], targets=["trixie", "bookworm"]),
        f.release("3.13.5", targets=["trixie", "bookworm"]),
        f.release("3.12.9", targets=["trixie", "bookworm"]),
    ]
    return data


def package(kind="http", **changes):
    return {
        **UVICORN,
        "pythons": ["3.14", "3.12"],
        "targets": ["trixie"],
        "test": UVICORN["test"] | {"kind": kind},
        **changes,
    }


def test_newest_and_oldest_on_two_targets(tmp_path):
    """With a free-threaded one beside the newest, distroless images, and two packages: nine images of three compiles."""
    names = {"a": package("worker"), "b": package(), "c": package(), "d": package()}
    assert tried(f.expand(tmp_path, debian(packages=names))) == {
        "the newest series": ["3.14.2-slim-trixie", "3.14.2-trixie", "3.14.2-distroless-trixie"],
        "the oldest series, on another target": ["3.12.9-slim-bookworm", "3.12.9-bookworm"],
        "free-threaded": ["3.14.2t-slim-trixie", "3.14.2t-distroless-trixie"],
        "packages": ["b:py3.14.2-slim-trixie-0.18.3", "c:py3.14.2-slim-trixie-0.18.3"],
    }


def test_what_cannot_be_built_is_passed_over(tmp_path):
    """The next that can takes its place, for packages as well."""
    matrix = f.expand(tmp_path, debian(packages={"a": package()}))
    assert tried(matrix, ["3.14.2"]) == {
        "the newest series": ["3.13.5-slim-trixie", "3.13.5-trixie", "3.13.5-distroless-trixie"],
        "the oldest series, on another target": ["3.12.9-slim-bookworm", "3.12.9-bookworm"],
        "packages": ["a:py3.12.9-slim-trixie-0.18.3"],
    }
    assert tried(matrix, ["3.14.2", "3.13.5", "bookworm"]) == {
        "the newest series": ["3.12.9-slim-trixie", "3.12.9-trixie", "3.12.9-distroless-trixie"],
        "packages": ["a:py3.12.9-slim-trixie-0.18.3"],
    }
    assert tried(matrix, ["trixie", "bookworm"]) == {}


def test_one_release(tmp_path):
    """On one target it is all there is; on two, both are tried."""
    data = f.family()
    assert tried(f.expand(tmp_path, data), ["alpine3.24"]) == {
        "the newest series": ["3.13.5-slim-trixie", "3.13.5-trixie"]
    }
    assert tried(f.expand(tmp_path, data)) == {
        "the newest series": ["3.13.5-slim-trixie", "3.13.5-trixie"], "another target": ["3.13.5-alpine3.24"],
    }  # fmt: skip


def test_releases_of_one_series(tmp_path):
    """The newest stands for its series."""
    releases = [f.release(one, targets=["trixie"]) for one in ("3.13.6", "3.13.5")]
    assert tried(f.expand(tmp_path, f.family(releases=releases))) == {
        "the newest series": ["3.13.6-slim-trixie", "3.13.6-trixie"],
    }  # fmt: skip


def test_an_oldest_series_without_another_target(tmp_path):
    """It is tried where it is, and another target with the newest release that is there."""
    data = debian()
    data["releases"][2]["targets"] = ["trixie"]
    found = tried(f.expand(tmp_path, data))
    assert found["the oldest series"] == ["3.12.9-slim-trixie"]
    assert found["another target"] == ["3.14.2-slim-bookworm"]
    assert sum(len(ids) for ids in found.values()) == 7


def test_only_alpine(tmp_path):
    """One variant on one target, without packages."""
    data = f.family(releases=[f.release(one, targets=["alpine3.24"]) for one in ("3.13.5", "3.12.9")])
    del data["targets"]["trixie"]
    assert tried(f.expand(tmp_path, data)) == {
        "the newest series": ["3.13.5-alpine3.24"], "the oldest series": ["3.12.9-alpine3.24"],
    }  # fmt: skip


@pytest.mark.parametrize("variants", [["full"], ["distroless"], ["distroless-debug"]])
def test_one_variant(tmp_path, variants):
    """Whichever it is, each Python is tried with it."""
    data = debian()
    for target in ("trixie", "bookworm"):
        data["targets"][target] |= {"variants": {name: {} for name in variants}, "default_variant": variants[0]}
    data["releases"] = [one | {"targets": ["trixie", "bookworm"]} for one in data["releases"]]
    del data["targets"]["alpine3.24"]
    assert tried(f.expand(tmp_path, data)) == {
        "the newest series": ["3.14.2-trixie"],
        "the oldest series, on another target": ["3.12.9-bookworm"],
        "free-threaded": ["3.14.2t-trixie"],
    }


def test_a_distroless_image_of_the_older_one(tmp_path):
    """If the newest has none."""
    data = debian()
    data["releases"][0]["flavours"] = ["default"]
    data["exclusions"] = [{"reason": "", "release": "3.14.*", "variant": "distroless*"}]
    found = tried(f.expand(tmp_path, data))
    assert found["the oldest series, on another target"] == [
        "3.12.9-slim-bookworm", "3.12.9-bookworm", "3.12.9-distroless-bookworm",
    ]  # fmt: skip


def test_prereleases_and_free_threaded_ones_alone(tmp_path):
    """They are tried if there is nothing else."""
    data = f.family(releases=[f.release("3.16.0a1", flavours=["freethreaded"], targets=["trixie"])])
    assert tried(f.expand(tmp_path, data)) == {"the newest series": ["3.16.0a1t-slim-trixie", "3.16.0a1t-trixie"]}
    both = f.family(releases=[f.release("3.16.0a1"), f.release("3.13.5")])
    assert "3.16" not in str(tried(f.expand(tmp_path, both)))


def test_every_package_once(tmp_path):
    """On the Python that the trial has, if it is offered there; on another one else."""
    names = {"a": package("worker"), "b": package(pythons=["3.13"]), "c": package(variants=["full"])}
    matrix = f.expand(tmp_path, debian(packages=names))
    (group,) = trial.every_package(matrix.everything)
    assert [image.id for image in group.images] == [
        "b:py3.13.5-slim-trixie-0.18.3", "c:py3.14.2-trixie-0.18.3", "a:py3.14.2-slim-trixie-0.18.3",
    ]  # fmt: skip


def test_what_people_read(tmp_path):
    """How much of how much, why these, and why nothing else."""
    groups = trial.choose(f.expand(tmp_path, f.family()).images)
    assert trial.report(groups, 40, "no sources for 3.14.2") == [
        "trial: 3 of 40 images that can be built from here",
        "  the newest series: 3.13.5-slim-trixie, 3.13.5-trixie",
        "  another target: 3.13.5-alpine3.24",
        "  passed over: no sources for 3.14.2",
    ]
    assert trial.report([], 0, "no sources for 3.14.2") == ["trial: nothing; no sources for 3.14.2"]


@pytest.fixture
def here(monkeypatch):
    """Give the Pythons whose sources and the targets whose bases are available, and note what was asked for."""
    asked = []

    def give(pythons, targets):
        def source(release, *_, **__):
            asked.append(release.version)
            return "store" if release.version in pythons else None

        def base(target, *_, **__):
            asked.append(target.release)
            return "registry" if target.release in targets else None

        monkeypatch.setattr("kiln.sources.available", source)
        monkeypatch.setattr("kiln.bases.available", base)
        return asked

    return give


def test_what_an_image_lacks(tmp_path, here):
    """Each origin is asked once, and each lack is named once; a package needs its lock."""
    matrix = f.expand(tmp_path, debian(packages={"a": package()}))
    asked = here(["3.14.2", "3.13.5"], ["trixie"])
    known = parts.Here(matrix.catalog, "linux/amd64", None)
    lacks = [known.lack(image) for image in matrix.everything]
    assert sorted(asked) == ["3.12.9", "3.13.5", "3.14.2", "bookworm", "trixie"]
    assert parts.lacking(lacks) == (
        "no base image for Debian 13 (trixie); no sources for 3.12.9; "
        "no lock for a 0.18.3 on Python 3.14, a 0.9.0 on Python 3.14"
    )
    assert lacks[0] is None
    unpinned = f.expand(tmp_path, f.family(releases=[f.release("3.13.5", artifacts=[])]))
    assert known.lack(unpinned.images[0]) == ("nothing is pinned for", "3.13.5")


def test_what_the_command_builds(tmp_path, here, monkeypatch, capfd):
    """It is chosen of what globs select and printed with its reasons; nothing at all is an error."""
    monkeypatch.setattr("kiln.engine.seen", lambda: None)
    monkeypatch.setattr("kiln.engine.native_platform", lambda: "linux/amd64")
    here(["3.13.5"], ["trixie", "3.24"])
    matrix = f.expand(tmp_path, f.family(releases=[f.release("3.14.2"), f.release("3.13.5")]))
    assert trial.ids(matrix, ["*slim*"], None, start=False) == ["3.13.5-slim-trixie"]
    assert capfd.readouterr().err.splitlines() == [
        "trial: 1 of 1 images that can be built from here",
        "  the newest series: 3.13.5-slim-trixie",
        "  passed over: no sources for 3.14.2",
    ]
    with pytest.raises(SelectionError, match="nothing can be built from here; see `invoke doctor`"):
        trial.ids(matrix, ["3.14*"], None, start=False)
    assert capfd.readouterr().err == "trial: nothing; no sources for 3.14.2\n"


def test_a_family_without_slim_images_has_a_default(tmp_path, here):
    """`invoke build` alone builds the newest image there is."""
    data = f.family()
    del data["targets"]["trixie"]["variants"]["slim"], data["variants"]["slim"], data["targets"]["alpine3.24"]
    data["releases"][0]["targets"] = ["trixie"]
    matrix = f.expand(tmp_path, data)
    here(["3.13.5"], ["trixie"])
    image, why = plan.default(matrix, "linux/amd64", None, None)
    assert (image.id, why[:38]) == ("3.13.5-trixie", "3.13.5-trixie: the newest stable image")
    here([], ["trixie"])
    with pytest.raises(SelectionError, match=r"no stable image can be built from here: no sources for 3\.13\.5; see"):
        plan.default(matrix, "linux/amd64", None, None)
