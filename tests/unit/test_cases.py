"""Which images are tested follows from what was recorded, and what passed before."""

from types import SimpleNamespace

import msgspec
import pytest

from kiln import records
from kiln.errors import SelectionError
from tests.images import cases, plan
from tests.unit.family import expand, family

DIGEST = "sha256:" + "1" * 64


def record(image_id="3.13.5-slim-trixie", platform="linux/amd64"):
    return records.Record(
        id=image_id, platform=platform, repository="kiln/python", reference=f"kiln/python:{image_id}",
        digest=DIGEST, size=1, inputs="", base="", source="", quick=False, built="", seconds=1.0,
    )  # fmt: skip


def recorded(found, tmp_path, globs=(), platforms=()):
    return cases.recorded(
        expand(tmp_path, family()), found, globs=globs, platforms=platforms, native="linux/amd64"
    )  # fmt: skip


def result(case, **changes):
    values = {
        "id": case.image.id, "platform": case.platform, "digest": DIGEST, "tests": case.tests, "passed": 40,
        "failed": (), "tested": "2026-11-21T00:00:00Z",
    }  # fmt: skip
    return records.Result(**{**values, **changes})


def test_recorded_images_are_chosen(tmp_path):
    """Without globs, all that is recorded is tested; a foreign platform is in the id."""
    found = recorded([record(), record(platform="linux/arm64")], tmp_path)
    assert [case.id for case in found] == ["3.13.5-slim-trixie", "3.13.5-slim-trixie-linux-arm64"]


def test_globs_and_platforms_choose(tmp_path):
    """A glob and a platform leave out the others."""
    found = [record(), record("3.13.5-trixie"), record(platform="linux/arm64")]
    chosen = recorded(found, tmp_path, ["*slim*"], ["linux/amd64"])
    assert [case.id for case in chosen] == ["3.13.5-slim-trixie"]


def test_nothing_recorded_says_what_to_type(tmp_path):
    """With nothing recorded, the message is a command."""
    with pytest.raises(SelectionError, match=r"^no image is recorded here; build one first: \./run invoke build$"):
        recorded([], tmp_path)


def test_nothing_chosen_says_what_there_is(tmp_path):
    """A selection that nothing recorded matches names what is recorded, and how to build the other."""
    message = (
        r"^no recorded image matches 3\.13\.5-trixie; recorded: 3\.13\.5-slim-trixie \(linux/amd64\); "
        r"build it: \./run invoke build 3\.13\.5-trixie$"
    )
    with pytest.raises(SelectionError, match=message):
        recorded([record()], tmp_path, ["3.13.5-trixie"])


def test_unknown_glob(tmp_path):
    """A glob that no image of the matrix matches is an error of the matrix."""
    with pytest.raises(SelectionError, match="matches no image"):
        recorded([record()], tmp_path, ["2.7*"])


def test_passed_before(tmp_path):
    """The same bytes and the same tests need no second run; a failure or other tests do."""
    (case,) = recorded([record()], tmp_path)
    assert not case.passed_before
    records.save_result(result(case))
    assert case.passed_before
    for changes in ({"failed": ("test_ssl",)}, {"tests": "others"}, {"passed": 0}):
        records.save_result(result(case, **changes))
        assert not case.passed_before


def test_what_is_expected_is_part_of_the_tests(tmp_path):
    """Another budget or label makes other tests; another tag does not."""
    (case,) = recorded([record()], tmp_path)
    other = family()
    other["targets"]["trixie"]["variants"]["slim"]["max_mb"] = 1
    (changed,) = cases.recorded(
        expand(tmp_path, other), [record()], globs=(), platforms=(), native="linux/amd64"
    )  # fmt: skip
    assert case.tests != changed.tests
    tags = msgspec.structs.replace(case.image.tags, shared=("latest",))
    retagged = msgspec.structs.replace(case, image=msgspec.structs.replace(case.image, tags=tags))
    assert case.tests == retagged.tests


def test_named_image_has_no_record(tmp_path):
    """Any image can be held against an id; its result is not stored."""
    case = cases.named(
        expand(tmp_path, family()), "example:1", "3.13.5-slim-trixie", "linux/amd64", native="linux/amd64"
    )
    assert (case.id, case.reference, case.record) == ("3.13.5-slim-trixie", "example:1", None)
    assert not case.passed_before


def test_packages_are_cases_too(tmp_path):
    """An image with a package is chosen with its repository's name, or by its tag alone."""
    entry = {
        "command": ["start"], "description": "An ASGI server", "port": 80, "pythons": ["3.13"], "requirements": ["uvicorn"],
        "targets": ["trixie"], "test": {"imports": ["uvicorn"], "kind": "http"}, "variants": ["slim"], "versions": ["1.0"],
    }  # fmt: skip
    found = expand(tmp_path, family(packages={"uvicorn": entry}))
    package = record(found.packages[0].id)
    for globs in (["uvicorn:*"], ["py3.13-slim-latest"], []):
        cases_ = cases.recorded(found, [record(), package], globs=globs, platforms=(), native="linux/amd64")
        assert cases_[-1].id == found.packages[0].id
        assert len(cases_) == 1 + (not globs)


@pytest.mark.parametrize(
    ("image", "image_id", "globs", "message"),
    [
        ("", "3.13.5-trixie", [], "--as 3.13.5-trixie: says which image --image is; name that too"),
        ("x", "3.13.5-trixie", ["3.13*"], r"--image x: is one image on one platform; leave out '3\.13\*'$"),
    ],
)
def test_an_option_that_would_be_ignored_is_refused(image, image_id, globs, message):
    """Nothing is planned for it."""
    option = SimpleNamespace(image=image, image_id=image_id, platform=[])
    with pytest.raises(SelectionError, match=message):
        plan.check_recorded(option, globs)
