"""What a family becomes by answers: new versions in, old ones out, and nothing undone by an answer that lags."""

import pytest
from msgspec import UNSET, structs

from kiln import update_plan
from kiln.errors import UpdateError
from kiln.index import Offered
from kiln.pythonorg import Listed
from tests.unit import family as f
from tests.unit.test_packages import UVICORN


def load(tmp_path, releases=("3.13.5",), **changes):
    packages = {"uvicorn": {**UVICORN, "keep": 2, **changes}}
    return f.load(tmp_path, f.family(releases=[f.release(version) for version in releases], packages=packages))


def offer(*versions, yanked=(), **requires):
    found = [Offered(version=version, yanked=version in yanked) for version in versions]
    return [*found, *(Offered(version=name[1:].replace("_", "."), requires=(text,)) for name, text in requires.items())]


def package(catalog, *versions, removal=False, **changes):
    plan = update_plan.package(catalog, "uvicorn", offer(*versions, **changes), removal=removal)
    return plan.catalog, plan.catalog.packages["uvicorn"], list(plan.remarks)


def listing(*versions):
    return [Listed(version=version, released="2026-01-02", number=n) for n, version in enumerate(versions)]


def successors(catalog, *versions, removal=False):
    found, remarks = update_plan.successors(catalog, listing(*versions), removal=removal)
    return {one.old.version: one.new.version for one in found}, list(remarks)


def test_new_versions_come_in_and_old_ones_go(tmp_path):
    """As many stay as the package keeps, newest first by version order, without prereleases."""
    _, found, remarks = package(load(tmp_path), "0.9.0", "0.18.3", "0.18.10", "0.19.0rc1")
    assert (found.versions, remarks) == (["0.18.10", "0.18.3"], [])


def test_nothing_new_leaves_the_family_as_it_is(tmp_path):
    """Even the order of the versions in the file is kept."""
    catalog = load(tmp_path)
    assert catalog.packages["uvicorn"].versions == ["0.9.0", "0.18.3"]
    assert package(catalog, "0.1", "0.9.0", "0.18.3")[0] == catalog


def test_an_answer_that_goes_back_changes_nothing(tmp_path):
    """A version that was seen stays, and a person is told; unless the answer is to be believed."""
    catalog = load(tmp_path, versions=["0.18.3", "0.18.2"])
    same, _, remarks = package(catalog, "0.18.1", "0.18.2")
    assert same == catalog
    assert remarks == [
        "uvicorn: the index does not list 0.18.3, which stays; it may lag behind (--allow-removal believes it)"
    ]
    _, found, remarks = package(catalog, "0.18.1", "0.18.2", removal=True)
    assert (found.versions, remarks) == (["0.18.2", "0.18.1"], ["uvicorn: the index does not list 0.18.3"])


def test_a_lagging_answer_may_bring_something_new_too(tmp_path):
    """What was seen and what is new count together."""
    _, found, _ = package(load(tmp_path, versions=["0.18.3", "0.18.2"]), "0.18.2", "0.19.0")
    assert found.versions == ["0.19.0", "0.18.3"]


def test_a_yanked_version_is_named_and_dropped(tmp_path):
    """The next one takes its place."""
    _, found, remarks = package(load(tmp_path), "0.9.0", "0.10.0", "0.18.3", yanked=["0.18.3"])
    assert (found.versions, found.yanked) == (["0.10.0", "0.9.0"], ["0.18.3"])
    assert remarks == ["uvicorn: 0.18.3 was yanked and is dropped"]


def test_a_yanked_version_does_not_come_back(tmp_path):
    """An index that lags would bring it; --allow-removal takes it where the index has changed its mind."""
    catalog = load(tmp_path, versions=["0.10.0", "0.9.0"], yanked=["0.18.3"])
    same, _, remarks = package(catalog, "0.9.0", "0.10.0", "0.18.3")
    assert same == catalog
    assert remarks == ["uvicorn: the index lists 0.18.3 as yanked no longer; --allow-removal takes it again"]
    assert package(catalog, "0.9.0", "0.10.0", "0.18.3", removal=True)[1].versions == ["0.18.3", "0.10.0"]


def test_a_yanked_version_is_forgotten_when_newer_ones_are_kept(tmp_path):
    """The list does not grow for ever."""
    catalog = load(tmp_path, versions=["0.10.0", "0.9.0"], yanked=["0.9.5"])
    _, found, _ = package(catalog, "0.10.0", "0.11.0", "0.12.0")
    assert not found.yanked


def test_a_version_for_newer_pythons_waits(tmp_path):
    """It is named with what it needs and what to do; only the newest such."""
    _, found, remarks = package(load(tmp_path), "0.9.0", "0.18.3", v0_19=">=3.14", v0_20=">=3.14")
    assert found.versions == ["0.9.0", "0.18.3"]
    assert remarks == [
        "uvicorn: 0.20 needs Python >=3.14 and waits for it; to have it, take 3.13 out of its pythons"
    ]  # fmt: skip


def test_a_version_that_the_family_has_may_be_for_newer_pythons(tmp_path):
    """It stays, and the Python that cannot have it is named."""
    _, found, remarks = package(load(tmp_path, versions=["0.9.0"]), v0_9_0=">=3.14")
    assert (found.versions, remarks) == (
        ["0.9.0"],
        ["uvicorn: 0.9.0 needs Python >=3.14; take 3.13 out of its pythons"],
    )


def test_a_series_means_its_newest_release(tmp_path):
    """A version that needs 3.13.4 is for `3.13` where this is 3.13.5."""
    assert package(load(tmp_path), v0_20=">=3.13.4")[1].versions == ["0.20", "0.18.3"]


def test_a_prerelease_that_was_chosen_by_hand_stays_until_it_is_final(tmp_path):
    """It does not count among those that are kept."""
    catalog = load(tmp_path, versions=["0.19.0rc1", "0.18.3", "0.9.0"])
    assert package(catalog, "0.9.0", "0.18.3", "0.19.0rc1")[0] == catalog
    assert package(catalog, "0.18.3", "0.19.0rc1", "0.19.0")[1].versions == ["0.19.0", "0.18.3"]


def test_a_package_without_a_version_is_no_package(tmp_path):
    """Where all are yanked, a person decides."""
    with pytest.raises(UpdateError, match="uvicorn: no version is left that is not yanked"):
        package(load(tmp_path), "0.9.0", "0.18.3", yanked=["0.9.0", "0.18.3"])


def test_the_newest_of_a_series_has_a_successor(tmp_path):
    """Older releases that are kept have none, nor has what is newest already."""
    catalog = load(tmp_path, releases=("3.14.1", "3.13.6", "3.13.5"))
    assert successors(catalog, "3.13.5", "3.13.6", "3.13.7rc1", "3.13.7", "3.14.1") == ({"3.13.6": "3.13.7"}, [])


def test_prereleases_succeed_prereleases_only(tmp_path):
    """And a final release succeeds them."""
    catalog = load(tmp_path, releases=("3.15.0rc1", "3.13.5"))
    assert successors(catalog, "3.13.5", "3.13.6rc1", "3.15.0rc1", "3.15.0rc2")[0] == {"3.15.0rc1": "3.15.0rc2"}
    assert successors(catalog, "3.13.5", "3.15.0", "3.15.0rc1", "3.15.1rc1")[0] == {"3.15.0rc1": "3.15.0"}


def test_a_new_series_is_reported_only(tmp_path):
    """What it is built for is the maintainer's to say; older series are not mentioned."""
    found, remarks = successors(load(tmp_path), "3.9.1", "3.13.5", "3.14.0", "3.14.1")
    assert (found, remarks) == ({}, ["python: there is Python 3.14 (3.14.1); add a release of it to follow it"])


def test_a_listing_that_goes_back_changes_nothing(tmp_path):
    """With --allow-removal, it is believed."""
    found, remarks = successors(load(tmp_path), "3.13.3", "3.13.4")
    assert found == {}
    assert remarks == [
        "python: python.org does not list 3.13.5, which stays; it may lag behind (--allow-removal believes it)"
    ]
    assert successors(load(tmp_path), "3.13.3", "3.13.4", removal=True)[0] == {"3.13.5": "3.13.4"}


def replaced(catalog, new, old=0):
    plan = update_plan.replace(catalog, catalog.releases[old], new, new.version if new else "3.13.6")
    return [release.version for release in plan.catalog.releases], plan


def test_a_successor_takes_the_place(tmp_path):
    """The order in the file stays."""
    catalog, new = load(tmp_path, releases=("3.14.1", "3.13.5", "3.12.1")), load(tmp_path, ("3.13.6",)).releases[0]
    assert replaced(catalog, new, old=1)[0] == ["3.14.1", "3.13.6", "3.12.1"]


def test_a_release_that_a_package_names_stays(tmp_path):
    """Else the package would be built on nothing."""
    catalog, new = load(tmp_path, pythons=["3.13", "3.13.5"]), load(tmp_path, ("3.13.6",)).releases[0]
    assert replaced(catalog, new)[0] == ["3.13.6", "3.13.5"]


def test_a_release_that_is_there_does_not_stand_twice(tmp_path):
    """Which is so where the newest one was taken back."""
    catalog = load(tmp_path, releases=("3.13.6", "3.13.5"))
    assert replaced(catalog, catalog.releases[1])[0] == ["3.13.5"]


def test_a_series_that_becomes_final_is_named_so(tmp_path):
    """Packages that were built on its candidate go on with it."""
    catalog = load(tmp_path, ("3.15.0rc1", "3.13.5"), pythons=["3.15-rc", "3.13"])
    final = load(tmp_path, ("3.15.0",), pythons=["3.15"]).releases[0]
    _, plan = replaced(catalog, final)
    assert plan.catalog.packages["uvicorn"].pythons == ["3.15", "3.13"]
    _, plan = replaced(catalog, structs.replace(catalog.releases[0], version="3.15.0rc2"))
    assert plan.catalog.packages["uvicorn"].pythons == ["3.15-rc", "3.13"]


def test_a_release_without_sources_is_left_for_next_time(tmp_path):
    """python.org announces some minutes before all files are there."""
    catalog = load(tmp_path)
    versions, plan = replaced(catalog, None)
    assert (versions, list(plan.remarks)) == (
        ["3.13.5"], ["python: 3.13.6 is announced, and its sources are not available yet; it is left for next time"],
    )  # fmt: skip


def test_a_release_without_an_installer_loses_windows(tmp_path):
    """Late releases of a series come as sources only."""
    windows = {
        **f.FAMILY["targets"]["trixie"], "distribution": "windows", "platforms": ["windows/amd64"],
        "base": {"image": "example.org/windows", "platforms": ["windows/amd64"]},
        "packages": {"compile": [], "full": [], "runtime": []},
    }  # fmt: skip
    data = f.family(
        releases=[f.release("3.13.5", targets=["trixie", "win"], windows={"file": "python-3.13.5-amd64.exe", "sha256": "b" * 64})],
        targets={**f.FAMILY["targets"], "win": windows},
    )  # fmt: skip
    catalog = f.load(tmp_path, data)
    new = structs.replace(catalog.releases[0], version="3.13.6", windows=UNSET)
    plan = update_plan.replace(catalog, catalog.releases[0], new, "3.13.6")
    assert plan.catalog.releases[0].targets == ["trixie"]
    assert list(plan.remarks) == ["python: 3.13.6 has no installer for Windows, so it loses its Windows targets"]
