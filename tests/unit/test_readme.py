"""README blocks: what they say, and that nothing else of a document is touched."""

from contextlib import suppress

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kiln import bench_results, markdown, matrix, page_status, readme, records, render
from kiln.errors import ReadmeError
from kiln.model import (
    Artifact,
    BaseImage,
    Catalog,
    Exclusion,
    Origins,
    Packages,
    Release,
    Target,
    TargetVariant,
    Variant,
)
from kiln.records import Record, Result
from kiln.results import Outcome, Results, dumps_results, load_results, merge_results, parse_results


def target(title, *variants):
    platforms = ["linux/amd64", "linux/arm64"]
    return Target(
        distribution="debian", release="13", title=title, base=BaseImage(image="debian:13", platforms=platforms),
        platforms=platforms, variants={name: TargetVariant() for name in variants}, default_variant="full",
        packages=Packages(compile=[], full=[], runtime=[]),
    )  # fmt: skip


def release(version, *targets):
    artifacts = [Artifact(file=f"Python-{version}.tar.xz", sha256="0" * 64)]
    return Release(
        version=version, released="2026-11-20", artifacts=artifacts, flavours=["default"], targets=list(targets)
    )


# A family of its own: the next release in versions.json must not break these tests.
FAMILY = Catalog(
    registry="", repository="kiln/python", labels={}, sources=Origins(mirrors=[], debian=[]), exclusions=[],
    targets={
        "noble": target("Ubuntu 24.04 (noble)", "full", "slim"),
        "trixie": target("Debian 13 (trixie)", "full", "slim"),
    },
    variants={"full": Variant(description="all"), "slim": Variant(description="little")},
    releases=[release("3.15.2", "trixie", "noble"), release("3.14.10", "trixie", "noble"),
              release("3.13.18", "trixie", "noble"), release("3.13.5", "trixie"), release("3.9.2", "trixie")],
)  # fmt: skip
MATRIX = matrix.expand(FAMILY)
EMPTY = Results(repository=MATRIX.repository, images={})
DOCUMENT = "# Kiln\n\n<!-- kiln:status -->\nold\n<!-- /kiln:status -->\n\nThe end.\n"


def family(**changes):
    return matrix.expand(msgspec.structs.replace(FAMILY, **changes))


def digest(seed: object) -> str:
    return f"sha256:{abs(hash(str(seed))):064x}"


def pair(image_id, platform="linux/amd64", *, tested="2026-11-21T00:48:00Z", failed=(), quick=False, **changes):
    record = Record(
        id=image_id, platform=platform, repository=MATRIX.repository, reference="r", digest=digest(tested),
        size=45_600_000, inputs="i", base="b", source="s", quick=quick, built=tested, seconds=1.0,
    )  # fmt: skip
    result = Result(
        id=image_id, platform=platform, digest=record.digest, tests="t", passed=30, failed=failed, tested=tested
    )
    return msgspec.structs.replace(record, **changes), result


def outcomes(images, **changes) -> Results:
    outcome = {"digest": digest(1), "size": 45_600_000, "tested": "2026-11-21T00:48:00Z", "passed": 30, "failed": 0}
    found = Outcome(**{**outcome, "quick": False, **changes})
    return Results(repository=MATRIX.repository, images={i.id: dict.fromkeys(i.platforms, found) for i in images})


def cells(text: str, start: str) -> list[str]:
    """Return the cells of the table row that starts with a text."""
    line = next(line for line in text.splitlines() if line.startswith(f"| {start}"))
    return [cell.strip() for cell in line.strip("|").split(" | ")][1:]


def made(within=MATRIX, results=EMPTY):
    return readme.pages(within, results)


def blocks(within=MATRIX, results=EMPTY) -> dict[str, str]:
    return readme.blocks(made(within, results))


def status(results=EMPTY, within=MATRIX) -> str:
    return blocks(within, results)["status"]


def trixie(python="3.13.5"):
    return [image for image in MATRIX.images if image.python == python and image.target_name == "trixie"]


@pytest.fixture(autouse=True)
def _no_figures(monkeypatch):
    """Keep the checkout's own benchmarks out of it."""
    monkeypatch.setattr(bench_results, "FILE", "none/results.json")


# The document


def test_only_the_block_changes():
    """What stands before and after a block stays, the block's own text goes."""
    text = readme.update(DOCUMENT, readme.blocks(made()), "README.md")
    assert text.startswith("# Kiln\n\n<!-- kiln:status -->\n\n| Python version")
    assert text.endswith("\n\n<!-- /kiln:status -->\n\nThe end.\n")
    assert "\nold\n" not in text


def test_updating_twice_changes_nothing():
    """A second update finds what the first one wrote."""
    once = readme.update(DOCUMENT, readme.blocks(made()), "README.md")
    assert readme.update(once, readme.blocks(made()), "README.md") == once


def test_windows_line_ends_stay():
    """A document with CRLF gets blocks with CRLF."""
    text = readme.update(DOCUMENT.replace("\n", "\r\n"), readme.blocks(made()), "README.md")
    assert text.replace("\r\n", "") == text.replace("\r\n", "").replace("\n", "").replace("\r", "")
    assert text.replace("\r\n", "\n") == readme.update(DOCUMENT, readme.blocks(made()), "README.md")


@given(before=st.text(), after=st.text())
def test_every_other_byte_stays(before, after):
    """Whatever stands around a block, form feeds and lone carriage returns included, is kept."""
    known = {"status": "new\n"}
    before, after = f"{before}\n".replace("`", "").replace("~", ""), f"\n{after}"
    text = markdown.replace(f"{before}<!-- kiln:status -->\n<!-- /kiln:status -->{after}", known, "R")
    assert text == f"{before}<!-- kiln:status -->\n\nnew\n\n<!-- /kiln:status -->{after}"


def test_markers_in_a_code_fence_are_examples():
    """A document may show how blocks are written."""
    example = "```html\n<!-- kiln:tags -->\n```\n"
    assert readme.update(example + DOCUMENT, readme.blocks(made()), "R").startswith(example)


def test_markers_within_a_line_are_prose():
    """A sentence about a marker is no marker."""
    prose = "Write `<!-- kiln:tags -->` where you want it.\n"
    assert readme.update(prose + DOCUMENT, readme.blocks(made()), "R").startswith(prose)


BEGIN, END = "<!-- kiln:status -->\n", "<!-- /kiln:status -->\n"
KNOWN = ", ".join(readme.BLOCKS)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        (
            "no block\n",
            (
                "README.md: holds no block to rewrite; add a line such as <!-- kiln:status -->, and "
                f"<!-- /kiln:status --> below it (the blocks are {KNOWN})"
            ),
        ),
        (f"\n{BEGIN}", "README.md:2: block kiln:status has no end; add <!-- /kiln:status --> below it"),
        (END, "README.md:1: block kiln:status ends but has not begun; add <!-- kiln:status --> above it"),
        (
            f"{BEGIN}<!-- kiln:tags -->\n",
            "README.md:2: block kiln:tags begins inside kiln:status of line 1; add <!-- /kiln:status --> above it",
        ),
        (
            f"{BEGIN}<!-- /kiln:tags -->\n",
            "README.md:2: block kiln:tags ends inside kiln:status of line 1; add <!-- /kiln:status --> above it",
        ),
        (f"{BEGIN}{END}{BEGIN}{END}", "README.md:3: block kiln:status stands in line 1 already; keep one of the two"),
        (
            "<!-- kiln:stats -->\n",
            f"README.md:1: unknown block kiln:stats; use one of {KNOWN}, or remove the line",
        ),
    ],
)
def test_markers_that_do_not_pair_up_are_errors(document, message):
    """The error says which line, what is wrong there and what to do."""
    with pytest.raises(ReadmeError) as error:
        readme.update(document, readme.blocks(made()), "README.md")
    assert str(error.value) == message


@pytest.mark.parametrize(("content", "words"), [(None, "cannot be read"), (b"\xff", "byte 0 is not UTF-8")])
def test_a_document_that_cannot_be_read_is_an_error(tmp_path, content, words):
    """A missing file and one in another encoding give one line."""
    path = tmp_path / "README.md"
    if content:
        path.write_bytes(content)
    with pytest.raises(ReadmeError, match=words):
        readme.read(path)


# The blocks


def test_columns_are_releases_newest_series_first():
    """A kept release stands beside the newest of its series, with a footnote."""
    assert cells(status(), "Python version") == ["3.15", "3.14", "3.13", "3.13", "3.9"]
    assert cells(status(), "Target")[2:4] == ["3.13.18", "3.13.5¹"]
    assert "> ¹ Kept beside" in status()


def test_a_free_threaded_build_has_a_column_of_its_own():
    """It follows the default build of its series."""
    releases = [msgspec.structs.replace(r, flavours=["default", "freethreaded"]) for r in FAMILY.releases[1:2]]
    assert cells(status(EMPTY, family(releases=releases)), "Python version") == ["3.14", "3.14t"]


def test_prereleases_have_footnotes():
    """Both a release and a target may be one."""
    releases = [msgspec.structs.replace(FAMILY.releases[0], version="3.15.0rc2")]
    targets = {**FAMILY.targets, "trixie": msgspec.structs.replace(FAMILY.targets["trixie"], prerelease=True)}
    text = status(EMPTY, family(releases=releases, targets=targets))
    assert cells(text, "Target") == ["3.15.0rc2¹"]
    assert "| Debian 13 (trixie)² " in text
    assert "> ¹ A prerelease of Python" in text
    assert "> ² A prerelease of the distribution" in text


def test_a_tick_needs_every_variant_on_every_platform():
    """One build less gives the count instead."""
    assert cells(status(outcomes(trixie())), "Debian 13")[3] == page_status.CHECK
    assert cells(status(outcomes(trixie()[:1])), "Debian 13")[3] == "2/4"
    assert cells(status(), "Debian 13")[3] == ""


def test_a_failed_test_shows():
    """However many other builds passed."""
    results = outcomes(trixie())
    results.images["3.13.5-trixie"]["linux/arm64"] = outcomes(trixie(), failed=1).images["3.13.5-trixie"]["linux/arm64"]
    assert cells(status(results), "Debian 13")[3] == page_status.CROSS


def test_a_quick_build_is_no_tick_and_has_no_size():
    """It is never published, so it says nothing of the published image."""
    results = outcomes(trixie(), quick=True)
    assert cells(status(results), "Debian 13")[3] == page_status.QUICK
    assert cells(status(outcomes(trixie(), quick=True, failed=1)), "Debian 13")[3] == ""
    assert "No published image has been tested yet." in blocks(MATRIX, results)["sizes"]


def test_what_is_not_offered_differs_from_what_is_not_tested():
    """3.13.5 is not built on Ubuntu at all."""
    assert cells(status(), "Ubuntu 24.04")[2:4] == ["", page_status.ABSENT]


def test_sizes_are_megabytes_by_image_and_platform():
    """Only platforms with a size have a column."""
    results = outcomes(trixie()[:1])
    assert cells(blocks(MATRIX, results)["sizes"], "Image") == ["`linux/amd64`", "`linux/arm64`"]
    del results.images["3.13.5-trixie"]["linux/arm64"]
    text = blocks(MATRIX, results)["sizes"]
    assert cells(text, "Image") == ["`linux/amd64`"]
    assert cells(text, "`3.13.5-trixie`") == ["45.6"]


def test_every_tag_stands_once_beside_its_dockerfile():
    """The links are the folders that `invoke generate` writes."""
    text = blocks(MATRIX, EMPTY)["tags"]
    assert all(text.count(f"`{tag}`") == 1 for image in MATRIX.images for tag in image.tags)
    assert all(text.count(f"({render.FOLDER}/{image.folder}/Dockerfile)") == 1 for image in MATRIX.images)
    assert text.count("<details") == text.count("</details>") == 5


def test_exclusions_are_given_with_their_reason():
    """Platforms that nothing is left of are not listed."""
    rule = Exclusion(reason="no <emulation> | yet", platform="linux/arm64")
    text = blocks(family(exclusions=[rule]), EMPTY)["platforms"]
    assert "- platform linux/arm64: no &lt;emulation&gt; \\| yet" in text
    assert cells(text, "Debian 13")[2] == "`linux/amd64`"


def test_data_cannot_become_markup():
    """A title is shown as it is written, whatever it holds."""
    title = "Debian | [x](y) `z` <b> <!-- /kiln:status -->"
    targets = {**FAMILY.targets, "trixie": msgspec.structs.replace(FAMILY.targets["trixie"], title=title)}
    text = status(EMPTY, family(targets=targets))
    assert r"| Debian \| \[x\](y) \`z\` &lt;b&gt; &lt;!-- /kiln:status --&gt; |" in text
    assert markdown.code("a`|b") == r"a\`\|b"


def test_a_broken_template_is_named(tmp_path):
    """The error names the template and the line, not Jinja's internals."""
    template = tmp_path / "templates" / "readme" / "platforms.md.j2"
    template.parent.mkdir(parents=True)
    template.write_text("\n{{ nothing }}\n")
    with pytest.raises(ReadmeError) as error:
        readme.blocks(readme.pages(matrix.expand(FAMILY, tmp_path / "versions.json"), EMPTY))
    remedy = "docs/templates.md lists the variables, and --values adds some"
    assert str(error.value) == f"{template}:2: 'nothing' is undefined; {remedy}"


# The results


def test_a_newer_result_replaces_a_committed_one_and_others_stay():
    """A machine that built one image does not erase what others found."""
    committed = merge_results(EMPTY, MATRIX, [pair("3.13.5-trixie"), pair("3.14.10-trixie")])
    merged = merge_results(committed, MATRIX, [pair("3.13.5-trixie", tested="2026-12-01T00:00:00Z", failed=("size",))])
    assert sorted(merged.images) == ["3.13.5-trixie", "3.14.10-trixie"]
    assert merged.get("3.13.5-trixie", "linux/amd64").failed == 1
    assert merge_results(merged, MATRIX, [pair("3.13.5-trixie")]) == merged


def test_a_quick_result_never_replaces_a_published_one():
    """The other way round it does, however old it is."""
    new, old = "2026-12-01T00:00:00Z", "2026-11-01T00:00:00Z"
    full, quick = pair("3.13.5-trixie", tested=old), pair("3.13.5-trixie", tested=new, quick=True)
    committed = merge_results(EMPTY, MATRIX, [full])
    assert merge_results(committed, MATRIX, [quick]) == committed
    assert merge_results(merge_results(EMPTY, MATRIX, [quick]), MATRIX, [full]) == committed


def test_what_the_matrix_no_longer_has_goes():
    """Releases, targets and platforms that were removed, and another repository's results."""
    committed = merge_results(EMPTY, MATRIX, [pair("3.13.5-trixie"), pair("3.13.5-trixie", "linux/arm64")])
    fewer = family(exclusions=[Exclusion(reason="r", platform="linux/arm64")])
    assert list(merge_results(committed, fewer).images["3.13.5-trixie"]) == ["linux/amd64"]
    assert merge_results(committed, family(releases=FAMILY.releases[:2])).images == {}
    assert merge_results(committed, family(repository="you/python")).images == {}
    assert merge_results(EMPTY, MATRIX, [pair("3.13.5-trixie", repository="you/python")]).images == {}


def test_a_run_without_tests_is_no_result():
    """Nothing failed where nothing ran, which is no reason for a tick."""
    record, result = pair("3.13.5-trixie")
    assert merge_results(EMPTY, MATRIX, [(record, msgspec.structs.replace(result, passed=0))]).images == {}


@pytest.mark.parametrize("when", ["2026-11-21T00:48:00.5+00:00", "2026-11-21T00:48:00", "2026-11-21T02:48:00+02:00"])
def test_times_are_written_in_utc_to_the_second(when):
    """However the result wrote them, so that they compare as text."""
    merged = merge_results(EMPTY, MATRIX, [pair("3.13.5-trixie", tested=when)])
    assert merged.get("3.13.5-trixie", "linux/amd64").tested == "2026-11-21T00:48:00Z"


def test_results_come_back_as_written():
    """The file is sorted and ends with a newline."""
    merged = merge_results(EMPTY, MATRIX, [pair("3.13.5-trixie"), pair("3.14.10-trixie")])
    text = dumps_results(merged)
    assert parse_results(text, "results.json") == merged
    assert text.index("3.13.5-trixie") < text.index("3.14.10-trixie")
    assert text.endswith("}\n")


@pytest.mark.parametrize("text", ["{", "[]", '{"repository": "r"}', '{"repository": "r", "images": {}, "x": 1}'])
def test_a_broken_results_file_is_an_error(tmp_path, text):
    """One line that says what to do."""
    path = tmp_path / "results.json"
    path.write_text(text)
    with pytest.raises(ReadmeError, match="restore it with git, or delete it"):
        load_results(path)


@given(st.text(max_size=60))
def test_no_text_of_results_gives_a_traceback(text):
    """Whatever the file holds."""
    with suppress(ReadmeError):
        parse_results(text, "results.json")


def test_a_folder_in_place_of_the_results_is_an_error(tmp_path):
    """As is everything else that cannot be read."""
    with pytest.raises(ReadmeError, match="cannot be read"):
        load_results(tmp_path)


# The files


@pytest.fixture
def folder(tmp_path):
    """Return a family's folder that holds a README and nothing else."""
    (tmp_path / "README.md").write_text(DOCUMENT)
    return tmp_path


@pytest.fixture
def mine(folder):
    """Return the family of that folder."""
    return matrix.expand(FAMILY, folder / "versions.json")


def test_writing_takes_stored_results_and_then_finds_no_drift(folder, mine):
    """A second run changes nothing."""
    for record, result in (pair(image.id, platform) for image in trixie() for platform in image.platforms):
        records.save(record)
        records.save_result(result)
    assert readme.write(mine) == "results.json\nREADME.md\ndocs/dockerhub.md\n3 of 3 files changed"
    assert cells((folder / "README.md").read_text(), "Debian 13")[3] == page_status.CHECK
    assert readme.write(mine) == "0 of 3 files changed"
    assert readme.drift(mine) == ""


def test_drift_asks_no_local_records(folder, mine):
    """A fresh clone and a machine with newer results give the same answer."""
    readme.write(mine)
    record, result = pair("3.13.5-trixie")
    records.save(record)
    records.save_result(result)
    assert readme.drift(mine) == ""
    assert load_results(folder / "results.json") == EMPTY


def test_drift_shows_both_files(folder, mine):
    """As one diff, and changes neither."""
    text = readme.drift(mine)
    assert "+++ generated/results.json" in text
    assert "+++ generated/README.md" in text
    assert "-old\n" in text
    assert [path.name for path in folder.iterdir()] == ["README.md"]


def test_a_document_without_blocks_changes_no_file(folder, mine):
    """Not even the results."""
    (folder / "README.md").write_text("# Kiln\n")
    with pytest.raises(ReadmeError):
        readme.write(mine)
    assert not (folder / "results.json").exists()
