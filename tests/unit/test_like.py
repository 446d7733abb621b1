"""A target may be like another one and name only what differs; the file is written back as short as that."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiln import catalog, like
from kiln.errors import CatalogError
from tests.unit import family as f

FORKY = {
    "base": {"image": "debian:forky-slim"},
    "like": "trixie",
    "packages": {"full": None, "runtime": ["libfoo1"]},
    "release": "forky",
    "title": "Debian 14 (forky)",
    "variants": {"full": None},
}
VALUES = st.recursive(
    st.booleans() | st.integers() | st.text(max_size=3) | st.lists(st.integers(), max_size=2),
    lambda inner: st.dictionaries(st.sampled_from("abc"), inner, max_size=3),
    max_leaves=8,
)
OBJECTS = st.dictionaries(st.sampled_from("abc"), VALUES, max_size=3)


def family(**targets):
    data = f.family()
    data["targets"] |= targets
    return data


def error_of(tmp_path, **targets):
    with pytest.raises(CatalogError) as caught:
        f.load(tmp_path, family(**targets))
    return str(caught.value).removeprefix(f"{tmp_path}/versions.json: ")


@pytest.mark.parametrize(
    ("value", "patch", "result"),
    [
        ({"a": "b"}, {"a": "c"}, {"a": "c"}),
        ({"a": "b"}, {"b": "c"}, {"a": "b", "b": "c"}),
        ({"a": "b", "b": "c"}, {"a": None}, {"b": "c"}),
        ({"a": ["b"]}, {"a": "c"}, {"a": "c"}),
        ({"a": {"b": "c"}}, {"a": {"b": "d", "c": None}}, {"a": {"b": "d"}}),
        ({"a": [{"b": "c"}]}, {"a": [1]}, {"a": [1]}),
        ({"e": None}, {"a": 1}, {"e": None, "a": 1}),
        ([1, 2], {"a": "b", "c": None}, {"a": "b"}),
        ({}, {"a": {"bb": {"ccc": None}}}, {"a": {"bb": {}}}),
    ],
)
def test_merge_as_the_standard_has_it(value, patch, result):
    """The examples are those of RFC 7396."""
    assert like.merge(value, patch) == result


@given(old=OBJECTS, new=OBJECTS)
def test_a_difference_leads_to_what_it_was_taken_from(old, new):
    """And is empty where nothing differs."""
    patch = like.difference(old, new)
    assert like.merge(old, patch) == new
    assert (patch == {}) == (old == new)


def test_a_target_has_what_it_does_not_name(tmp_path):
    """From the target that it is like, key by key; null takes one away."""
    forky = {**FORKY, "packages": {"runtime": ["libfoo1"]}, "default_variant": "slim"}
    found = f.load(tmp_path, family(forky=forky)).targets
    assert found["forky"].platforms == found["trixie"].platforms
    assert found["forky"].base.image == "debian:forky-slim"
    assert found["forky"].base.platforms == found["trixie"].base.platforms
    assert (found["forky"].packages.compile, found["forky"].packages.runtime) == (["gcc"], ["libfoo1"])
    assert list(found["forky"].variants) == ["slim"]


def test_it_is_written_back_with_only_what_differs(tmp_path):
    """One line changes where one value does; what says nothing new is left out."""
    forky = {**FORKY, "packages": {"runtime": ["libfoo1"]}, "default_variant": "slim"}
    path = f.write(tmp_path / "v.json", family(forky=forky, sid={"like": "forky", "release": "sid"}))
    assert catalog.dumps(catalog.load(path)) == path.read_text()
    again = {**forky, "distribution": "debian", "platforms": ["linux/amd64", "linux/arm64"]}
    wordy = f.write(tmp_path / "w.json", family(forky=again, sid={"like": "forky", "release": "sid"}))
    assert catalog.dumps(catalog.load(wordy)) == path.read_text()
    assert json.loads(path.read_text())["targets"]["sid"] == {"like": "forky", "release": "sid"}


@pytest.mark.parametrize(
    ("targets", "message"),
    [
        ({"forky": {"like": "trixi"}}, "$.targets['forky'].like: found unknown target 'trixi'; use one of: alpine3.24, trixie"),
        ({"a": {"like": "a"}}, "$.targets['a'].like: found 'a', which leads in a circle (a, a); write one of them in full"),
        ({"a": {"like": "b"}, "b": {"like": "a"}}, "$.targets['b'].like: found 'a', which leads in a circle (a, b, a); write"),
        ({"forky": {"like": 5}}, '$.targets["forky"].like: Expected str, got int, found 5'),
        ({"forky": {"like": "trixie", "titel": "x"}}, '$.targets["forky"]: Object contains unknown field titel'),
        ({"forky": {"like": "trixie", "title": None}}, '$.targets["forky"]: Object missing required field title'),
        ({"forky": {"like": "trixie", "title": 5}}, '$.targets["forky"].title: Expected str, got int, found 5; correct the value'),
        ({"forky": {"like": "trixie", "variants": {"full": None}}},
         ("$.targets['forky'].default_variant: found 'full'; use one of its variants: slim "
          "(inherited from $.targets['trixie'].default_variant: correct it there, or give forky its own)")),
    ],
)  # fmt: skip
def test_a_mistake_is_one_line(tmp_path, targets, message):
    """With the place, what was found and what to do; of what is inherited, the place where it stands."""
    found = error_of(tmp_path, **targets)
    assert found.startswith(message)
    assert "\n" not in found


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"title": 5}, '$.targets["trixie"].title: Expected str'),
        ({"titel": "x"}, '$.targets["trixie"]: Object contains unknown field titel'),
        ({"platforms": ["linux/sparc"]}, "$.targets['trixie'].platforms[0]: found unknown platform"),
        ({"default_variant": "tiny"}, "$.targets['trixie'].default_variant: found 'tiny'"),
    ],
)
def test_a_mistake_in_what_others_inherit_is_told_once_and_where_it_stands(tmp_path, change, message):
    """Though a target that is like it comes before it in the file."""
    trixie = {**f.FAMILY["targets"]["trixie"], **change}
    found = error_of(tmp_path, forky={"like": "trixie", "release": "forky"}, trixie=trixie)
    assert found.startswith(message)
    assert "\n" not in found
