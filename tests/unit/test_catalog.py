"""versions.json is read strictly, and every error names file, path, value and remedy."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiln import catalog, matrix, render, schema
from kiln.errors import CatalogError, KilnError
from tests.unit import family as f
from tests.unit.fixtures import WIDE


def test_round_trip_is_byte_identical():
    """Loading and saving a family's file changes no byte, whatever it has."""
    assert catalog.dumps(catalog.load(WIDE)) == WIDE.read_text()


def test_explicit_defaults_survive_the_round_trip(tmp_path):
    """A key that is written out, though it could be left out, stays."""
    data = f.family(exclusions=[{"reason": "none", "release": "*"}], **{"$schema": "versions.schema.json"})
    path = f.write(tmp_path / "v.json", data)
    assert catalog.dumps(catalog.load(path)) == path.read_text()


def test_schema_names_every_key():
    """An editor completes what the loader takes."""
    known = json.loads(schema.text())["$defs"]
    assert {"releases", "targets", "$schema"} <= set(known["Catalog"]["properties"])


def test_schema_explains_and_checks_every_key():
    """An editor shows what a key means, and marks what the loader would refuse."""
    known = json.loads(schema.text())["$defs"]
    assert all(key["description"] for kind in known.values() for key in kind["properties"].values())
    assert known["Artifact"]["properties"]["sha256"]["pattern"] == "^(?:[0-9a-f]{64})$"
    assert "linux/arm/v7" in known["Target"]["properties"]["platforms"]["items"]["enum"]
    assert known["Packages"]["properties"]["full"]["items"]["pattern"].startswith("^(?:")


def change(data, path, value):
    """Set the value at a path of keys and indices; a value of ... removes it."""
    *parents, last = path
    for key in parents:
        data = data[key]
    if isinstance(data, dict) and isinstance(last, int):
        raise KeyError(last)
    if value is ...:
        del data[last]
    else:
        data[last] = value


REFUSED = [
    (["registry"], 5, '$.registry: Expected str, got int, found 5; correct the value'),
    (["releases", 0, "version"], ..., "$.releases[0]: Object missing required field version"),
    (["releases", 0, "flavors"], [], "$.releases[0]: Object contains unknown field flavors"),
    (["releases", 0, "flavours"], ["fast"], '$.releases[0].flavours[0]: Invalid enum value \'fast\', found "fast"'),
    (["targets", "trixie", "packages", "full"], "gcc", "$.targets[\"trixie\"].packages.full: Expected array, got str"),
    (["releases", 0, "artifacts", 0, "sha256"], "abc", "$.releases[0].artifacts[0].sha256: found 'abc'; write 64"),
    (["releases", 0, "version"], "three", "$.releases[0].version: found 'three', not a PEP 440 version"),
    (["releases", 0, "version"], "3.13", "$.releases[0].version: found '3.13'; write it like 3.13.5"),
    (["releases", 0, "version"], "3.13.5+x", "$.releases[0].version: found '3.13.5+x'; write it like"),
    (["releases", 0, "released"], "2025-13-01", "$.releases[0].released: found '2025-13-01'; write the day"),
    (["releases", 0, "targets"], ["sid"], "$.releases[0].targets[0]: found unknown target 'sid'; use one of"),
    (["releases", 0, "targets"], [], "$.releases[0].targets: found an empty list; name at least one"),
    (["releases", 0, "targets"], ["trixie", "trixie"], "$.releases[0].targets[1]: found 'trixie' a second time"),
    (["releases"], [], "$.releases: found no release, so the matrix is empty"),
    (["targets", "trixie", "variants", "tiny"], {}, "$.targets['trixie'].variants: found unknown variant 'tiny'"),
    (["targets", "trixie", "default_variant"], "tiny", "$.targets['trixie'].default_variant: found 'tiny'; use one"),
    (["targets", "trixie", "platforms"], ["linux/riscv64"], "$.targets['trixie'].platforms[0]: found 'linux/riscv64', which the base debian:trixie-slim lacks"),
    (["targets", "trixie", "platforms"], ["linux/sparc"], "found unknown platform 'linux/sparc'; use one of"),
    (["targets", "trixie", "base", "image"], "Debian Slim", "write an image reference"),
    (["targets", "trixie", "base", "digest"], "sha256:1", "$.targets['trixie'].base.digest: found 'sha256:1'"),
    (["targets", "trixie", "packages", "full", 0], "gcc make", "write a package's name"),
    (["sources", "mirrors"], ["ftp://x"], "$.sources.mirrors[0]: found 'ftp://x'; write an http(s) URL"),
    (["sources", "mirrors"], ["http://[::1"], "$.sources.mirrors[0]: found 'http://[::1'; write an http(s) URL"),
    (["sources", "debian"], ["3.13"], "$.sources.debian[0]: found '3.13'; write a Debian suite such as trixie"),
    (["labels", "org vendor"], "x", "write a label's name"),
    (["registry"], "myregistry", "$.registry: found 'myregistry'; write a host with a dot or a port"),
    (["repository"], "kiln//python", "$.repository: found 'kiln//python'; write a repository"),
    (["targets", "trixie", "base", "image"], "x//y", "write an image reference"),
    (["targets", "trixie", "variants", "slim", "max_mb"], -1, "$.targets['trixie'].variants['slim'].max_mb: found -1"),
    (["releases", 0, "artifacts", 0, "file"], "Python-3.13.4.tar.xz", "$.releases[0].artifacts[0].file: found 'Python-3.13.4.tar.xz'; write a tarball's name, Python-3.13.5.tar.xz"),
    (["releases", 0, "targets"], ["x" * 5000], "found unknown target 'xxx"),
    (["releases", 0, "flavours"], ["x" * 5000], "$.releases[0].flavours[0]: Invalid enum value 'xxx"),
    (["releases", 0, "a\nb\u2028"], 1, "$.releases[0]: Object contains unknown field a\\nb\\u2028, found"),
    (["compression"], {"level": 3}, "$.compression: Object missing required field algorithm, found"),
    (["compression"], {"algorithm": "lz4", "level": 3}, "$.compression.algorithm: Invalid enum value 'lz4', found"),
    (["compression"], {"algorithm": "zstd", "level": 20}, "$.compression.level: Expected int <= 19, found 20; correct"),
    (["compression"], {"algorithm": "gzip", "level": 13}, "$.compression.level: found 13, but gzip ends at 12; write 1 to 12"),
    (["compression"], {"algorithm": "gzip", "level": 9, "large_level": 3}, "$.compression.large_level: found it with gzip"),
    (["repository"], "Kiln/Python", "$.repository: found 'Kiln/Python'; write a repository"),
]  # fmt: skip


@pytest.mark.parametrize(("path", "value", "message"), REFUSED)
def test_refused(tmp_path, path, value, message):
    """A wrong value is refused with its file, path, the value and what to do."""
    data = f.family()
    change(data, path, value)
    with pytest.raises(CatalogError) as caught:
        f.load(tmp_path, data)
    assert str(caught.value).startswith(str(tmp_path / "versions.json") + ": $")
    assert message in str(caught.value)
    one_line(str(caught.value))


@pytest.mark.parametrize("hostile", ["a\nRUN x", 'a"b', "a'b", "$(id)", "a`id`", "a;b", "a\\b", "a\x00b", "a\u2028b"])
@pytest.mark.parametrize(
    "path",
    [
        ["labels", "org.opencontainers.image.vendor"],
        ["targets", "trixie", "title"],
        ["targets", "trixie", "release"],
        ["releases", 0, "artifacts", 0, "file"],
        ["variants", "full", "description"],
    ],
)
def test_nothing_breaks_out_of_a_dockerfile(tmp_path, path, hostile):
    """No value can end a line, a quote or a shell word of a Dockerfile."""
    data = f.family()
    change(data, path, hostile)
    with pytest.raises(CatalogError, match=r"could break out of a Dockerfile"):
        f.load(tmp_path, data)


def test_what_belongs_to_another_release_is_refused(tmp_path):
    """An entry that was copied and changed in part would build one Python under another's name."""
    releases = [f.release("3.13.5"), f.release("3.13.4")]
    releases[1]["artifacts"][0]["sha256"] = releases[0]["artifacts"][0]["sha256"]
    message = r"\$\.releases\[1\]\.artifacts\[0\]\.sha256: found the digest of Python-3\.13\.5\.tar\.xz again"
    with pytest.raises(CatalogError, match=message):
        f.load(tmp_path, f.family(releases=releases))
    with pytest.raises(CatalogError, match=r"flavours: found 'freethreaded', which CPython has since 3\.13 only"):
        f.load(tmp_path, f.family(releases=[f.release("3.12.1", flavours=["freethreaded"])]))


def test_a_tag_that_no_registry_takes_is_refused(tmp_path):
    """Tags have 128 characters at most."""
    data = json.loads(json.dumps(f.family()).replace("trixie", "t" * 120).replace(f"debian:{'t' * 120}", "debian:x"))
    with pytest.raises(CatalogError, match=r"and registries take 128; give target tttttttttttttttttttt or"):
        f.expand(tmp_path, data)


BROKEN = [
    ("\ufeff{}", "begins with a byte order mark"),
    ('{"registry": "\\ud800"}', "holds '\\ud800', one half of a character"),
    ('{"\\udfff": 1}', "holds '\\udfff', one half"),
    ("", "line 1, column 1: not JSON"),
    ("{", "not JSON"),
    ("[" * 100_000, "cannot be read as JSON"),
    ('{"a": 1, "a": 2}', 'key "a" stands twice'),
    ('{"a": NaN}', "NaN is not JSON"),
    ("null", "$: Expected object, got null"),
]


@pytest.mark.parametrize(("text", "message"), BROKEN)
def test_broken_files(tmp_path, text, message):
    """A file that is not JSON, or only a lenient parser's, is one clear line."""
    with pytest.raises(CatalogError) as caught:
        catalog.load(f.write(tmp_path / "v.json", text))
    assert message in str(caught.value)


def test_unreadable_files(tmp_path):
    """A missing file, a folder and other encodings each say what to do."""
    with pytest.raises(CatalogError, match="no such file; run from the checkout"):
        catalog.load(tmp_path / "missing.json")
    with pytest.raises(CatalogError, match="cannot be read"):
        catalog.load(tmp_path)
    (tmp_path / "latin.json").write_bytes(b'{"a": "\xe9"}')
    with pytest.raises(CatalogError, match="byte 7 is not UTF-8"):
        catalog.load(tmp_path / "latin.json")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)


def one_line(message):
    """Check what every error is."""
    assert message.isprintable()
    assert len(message) < 600


def places(value, here=()):
    """Yield the path of every part of a JSON value."""
    if here:
        yield here
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in items:
        yield from places(item, (*here, key))


def liked():
    """Return the family with a target that is like another one."""
    targets = f.family()["targets"]
    return f.family(
        targets={**targets, "bookworm": {"like": "trixie", "release": "bookworm", "variants": {"full": None}}}
    )


CHANGE = st.tuples(st.sampled_from(sorted(places(liked()), key=str)), JSON | st.just(...))


@settings(max_examples=200, deadline=None)
@given(changes=st.lists(CHANGE, min_size=1, max_size=3))
def test_mutated_files_never_give_a_traceback(changes):
    """Whatever stands anywhere in the file, it works or says what is wrong."""
    value = liked()
    for path, item in changes:
        try:
            change(value, path, item)
        except (KeyError, IndexError, TypeError):
            continue  # an earlier change took the place away
    try:
        found = matrix.expand(catalog.loads(json.dumps(value), "v.json"))
    except KilnError as error:
        for line in str(error).splitlines():
            one_line(line)
        return
    tags = [tag for image in found.images for tag in image.tags]
    assert len(tags) == len(set(tags))
    if all(release.artifacts for release in found.catalog.releases):
        assert render.files(found) == render.files(found)


@settings(max_examples=50, deadline=None)
@given(data=JSON)
def test_arbitrary_json_never_gives_a_traceback(data):
    """No JSON value at all is a family by chance, and each is refused in one line."""
    with pytest.raises(CatalogError):
        catalog.loads(json.dumps(data), "v.json")


@settings(max_examples=25, deadline=None)
@given(random=st.randoms())
def test_expansion_is_stable_under_reordered_keys(random):
    """The order of an object's keys says nothing; only arrays carry defaults."""

    def shuffled(value):
        if isinstance(value, list):
            return [shuffled(item) for item in value]
        if isinstance(value, dict):
            keys = list(value)
            random.shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return value

    found = matrix.expand(catalog.loads(json.dumps(shuffled(f.family())), "v.json"))
    assert render.files(found) == render.files(matrix.expand(catalog.loads(json.dumps(f.family()), "v.json")))
