"""Pages from templates: the variables, the sandbox, and what a mistake looks like."""

import json
import re
from pathlib import Path

import msgspec
import pytest

from kiln import catalog, matrix, page_status, pages, paths, toc
from kiln.errors import CatalogError, ReadmeError, SelectionError
from kiln.import_docker_library import convert
from kiln.page_facts import facts
from kiln.page_model import Facts, PageImage
from kiln.page_request import Request, parse
from kiln.results import Outcome, Results, dumps_results
from tests.unit import family as f
from tests.unit.fixtures import INFRA7, OFFICIAL, days

MULTI_PY = days("multi-py")
SEED = (paths.ROOT / "tests" / "fixtures" / "multi-py" / "README.md.j2").read_text()
DOCUMENTATION = (paths.ROOT / "docs" / "templates.md").read_text()


@pytest.fixture
def versions(tmp_path):
    """Return the file of a family: two releases on two systems, with labels."""
    labels = {
        "org.opencontainers.image.source": "https://example.org/kiln/python.git",
        "org.opencontainers.image.description": "Python <3",
    }
    releases = [f.release("3.13.5"), f.release("3.12.1", targets=["trixie"])]
    return f.write(tmp_path / "versions.json", f.family(labels=labels, releases=releases))


def expanded(path):
    return matrix.expand(catalog.load(path), path)


def made(path, commits=None, values=None, package=""):
    family = expanded(path)
    empty = Results(repository=family.repository, images={})
    known = facts(family, empty, commits or {}, package)
    return pages.Pages(facts=known, family=path.parent, values=values or {})


def request(versions, text, **options):
    template = versions.parent / "page.j2"
    template.write_text(text)
    return Request(template=template, **options)


def page(versions, text, **options):
    return request(versions, text, **options).page(expanded(versions))


# The variables


@pytest.mark.parametrize("folder", MULTI_PY, ids=lambda folder: folder.name)
def test_multi_pys_template_gives_its_readme(folder, versions):
    """Byte for byte, with the table of contents and without."""
    values = versions.parent / "values.json"
    values.write_text(json.dumps(json.loads((folder / "config.json").read_text())["variables"]))
    assert page(versions, SEED, values=values) == (folder / "README.md").read_text()
    assert page(versions, SEED, values=values, toc=False) == (folder / "README.no-toc.md").read_text()


def test_multi_pys_template_suits_our_own_family(versions):
    """All that it asks for comes from the matrix, too."""
    text = page(versions, SEED)
    assert text.startswith("# python\n\nPython <3\n\n<!--ts-->\n* [python](#python)\n")
    assert "### Full" in text
    assert "### Alpine" in text
    assert "* 3.13\n* 3.12\n" in text
    assert "docker pull kiln/python:3.13.5-slim-trixie" in text


@pytest.mark.parametrize(
    ("registry", "repository", "shown", "pulled"),
    [
        ("", "python", "library/python", "python"),
        ("", "kiln/python", "kiln/python", "kiln/python"),
        ("example.org", "python", "python", "example.org/python"),
    ],
)
def test_a_bare_name_is_of_docker_hubs_library(tmp_path, registry, repository, shown, pulled):
    """Templates may split the repository; what is pulled is the bare name."""
    data = f.family(registry=registry, repository=repository)
    known = made(f.write(tmp_path / "v.json", data)).facts
    assert (known.repository, known.image) == (shown, pulled)
    assert "/".join(filter(None, (known.organization, known.repository_short))) == shown


def packaged(tmp_path, folder):
    """Return the file of a family with multi-py's package: the versions, Pythons and variants that its page lists."""
    values = json.loads((folder / "config.json").read_text())["variables"]
    pythons = values["python_versions"][::-1]
    names = [name for name in values["variants"] if name != "alpine"]
    package = {
        "requirements": [f"{values['package']}[extra]"], "versions": values["package_versions"], "pythons": pythons,
        "targets": ["trixie", "alpine3.24"] if "alpine" in values["variants"] else ["trixie"],
        "variants": names, "description": "A server", "command": ["start"], "port": 80,
        "environment": {"A_B": "1"}, "test": {"kind": "http", "imports": [values["package"]]},
    }  # fmt: skip
    releases = [f.release(f"{python}.1") for python in pythons]
    data = f.family(releases=releases, packages={values["repository_short"]: package})
    return f.write(tmp_path / "versions.json", data), values


@pytest.mark.parametrize("folder", MULTI_PY, ids=lambda folder: folder.name)
def test_a_packages_table_has_multi_pys_tags(folder, tmp_path):
    """Cell by cell, for the same versions, Pythons and variants."""
    path, values = packaged(tmp_path, folder)
    known = made(path, package=values["repository_short"]).variables
    ours, theirs = (
        [line.replace("`", "").replace(" ", "").strip("|").split("|") for line in text.splitlines() if "| py3" in line]
        for text in (known["tags"].replace("`", ""), values["tags"])
    )
    assert ours == theirs
    assert len(ours) == 30
    for name in ("package", "package_versions", "python_versions", "variants", "repository_short"):
        assert known[name] == values[name], name


def test_the_page_of_a_package(tmp_path):
    """Its own sections, in which nothing is of the Python images but their name."""
    path, _ = packaged(tmp_path, MULTI_PY[-1])
    template = paths.ROOT / "templates" / "pages" / "package.md.j2"
    text = Request(template=template, package="python-uvicorn").page(expanded(path))
    assert text.startswith("# python-uvicorn\n\nA server.\n\n<!--ts-->\n* [python-uvicorn](#python-uvicorn)\n")
    assert "docker pull kiln/python-uvicorn:py3.12-slim-latest\n" in text
    assert "FROM kiln/python:3.12-slim\n" in text
    assert "-p 8000:80 app" in text
    assert "| `A_B`    | `1`" in text


def test_a_package_may_bring_its_own_texts(tmp_path):
    """As they are: braces are nothing special there."""
    path, _ = packaged(tmp_path, MULTI_PY[-1])
    assert "A_B" in made(path, package="python-uvicorn").variables["documentation"]
    own = tmp_path / "packages" / "python-uvicorn" / "documentation.md"
    own.parent.mkdir(parents=True)
    own.write_text("## Environment\n\n{{ it }}\n")
    assert made(path, package="python-uvicorn").variables["documentation"] == own.read_text()
    assert made(path).variables["documentation"].startswith("## Documentation\n")


def test_a_prerelease_of_a_package_is_not_the_newest(tmp_path):
    """It is listed, and nobody is told to begin with it."""
    path, _ = packaged(tmp_path, MULTI_PY[-1])
    data = json.loads(path.read_text())
    data["packages"]["python-uvicorn"]["versions"].append("1.0.0rc1")
    known = made(f.write(path, data), package="python-uvicorn").facts
    assert known.newest.id == "py3.12.1-trixie-0.51.0"
    assert known.package_versions[-1] == "1.0.0rc1"
    assert [row.version for row in known.tag_rows[:6]] == ["latest"] * 5 + ["1.0.0rc1"]


def test_a_package_that_there_is_not_is_an_error(tmp_path):
    """With the names of those that there are."""
    path, _ = packaged(tmp_path, MULTI_PY[-1])
    with pytest.raises(SelectionError) as error:
        made(path, package="nope")
    assert str(error.value) == "--package nope: no such package; use one of: python-uvicorn"


def test_every_variable_is_documented(versions):
    """By name, and with its type; nothing that is documented is missing."""
    rows = re.findall(r"^\| (`\w+`(?:, `\w+`)*) \| (.+?) \|", DOCUMENTATION, re.MULTILINE)
    documented = {name: kind for names, kind in rows for name in re.findall(r"`(\w+)`", names)}
    variables = made(versions).variables
    assert variables.keys() - {"md", "code"} == documented.keys() - {"md", "code"}
    words = {str: "string", int: "number", list: "list of", dict: "object"}
    for field in msgspec.structs.fields(Facts):
        kind = words[type(variables[field.name])]
        assert documented[field.name].startswith((kind, "image", "`{")), field.name
    for field in msgspec.structs.fields(PageImage):
        assert f"`{field.name}`" in DOCUMENTATION


def test_variables_are_what_json_can_hold(versions):
    """So that each can be given back with --values."""
    variables = made(versions).variables
    values = versions.parent / "values.json"
    values.write_text(json.dumps(variables))
    assert pages.load_values(values) == variables
    assert made(versions, values=pages.load_values(values)).variables == variables


def test_values_replace_and_add(versions):
    """A replaced variable counts in the texts that are made of others."""
    values = versions.parent / "values.json"
    values.write_text('{"image": "example.org/x", "extra": [1, 2]}')
    text = page(versions, "{{ extra | sum }} {{ repository }} {{ pull_containers }}", values=values)
    assert text.startswith("3 kiln/python ### Pull an Image")
    assert "docker pull example.org/x:3.13.5-trixie" in text


def test_the_newest_image_is_a_final_release_on_its_default_target(tmp_path):
    """Not the prerelease, and not Alpine."""
    releases = [f.release("3.14.0rc1"), f.release("3.13.5", targets=["alpine3.24", "trixie"])]
    known = made(f.write(tmp_path / "v.json", f.family(releases=releases))).facts
    assert known.newest.id == "3.13.5-trixie"
    assert {kind: image.id for kind, image in known.examples.items()} == {
        "full": "3.13.5-trixie",
        "slim": "3.13.5-slim-trixie",
        "alpine": "3.13.5-alpine3.24",
    }


def test_links_name_the_commit_where_it_is_known(versions):
    """Else the default branch; without a source they are paths."""
    known = made(versions, commits={"3.13/trixie/full/Dockerfile": "abc"}).facts
    root = "https://example.org/kiln/python/blob"
    assert known.images[0].link == f"{root}/abc/dockerfiles/3.13/trixie/full/Dockerfile"
    assert known.images[1].link == f"{root}/HEAD/dockerfiles/3.13/trixie/slim/Dockerfile"
    bare = f.write(versions.parent / "bare.json", f.family(labels={}))
    assert made(bare).facts.images[0].link == "dockerfiles/3.13/trixie/full/Dockerfile"


# Our pages


def supported(text: str) -> tuple[list[list[str]], list[tuple[list[str], list[str]]]]:
    """Return the simple tags of each image, and each group of shared tags with the images below it."""
    text = text[text.index("## Simple Tags") :].split("\n# ", maxsplit=1)[0]
    bullets = [line.split("](")[0] for line in text.splitlines() if re.match(r"\s*-\s", line)]
    simple = [re.findall(r"`(.+?)`", line) for line in bullets if re.match(r"-\s+\[", line)]
    groups: list[tuple[list[str], list[str]]] = []
    for line in bullets:
        if re.match(r"-\s+`", line):
            groups.append((re.findall(r"`(.+?)`", line), []))
        elif line[0].isspace():
            groups[-1][1].extend(re.findall(r"`(.+?)`", line))
    return simple, groups


@pytest.mark.parametrize("day", OFFICIAL, ids=lambda day: day.name)
def test_the_official_page_lists_the_published_tags(day, tmp_path, ours):
    """The same in the same order and groups, and with commits in all links it fits into Docker Hub's limit."""
    imported = convert(day / "versions.json", day / "parents.json", day / "meta.json", ours.catalog)
    family = matrix.expand(catalog.loads(imported.text, "imported"))
    commits = {f"{image.folder}/Dockerfile": "0" * 40 for image in family.images}
    results = Results(repository=family.repository, images={})
    known = facts(family, results, commits)
    text = pages.Pages(facts=known, family=tmp_path).render("pages/official.md.j2")
    published = (day / "docs-readme-tags.md").read_text()
    assert supported(text) == supported(published)
    assert len(supported(text)[0]) == published.count("\n-\t[") > 30
    assert text.count("/blob/" + "0" * 40) == published.count("/blob/")
    assert len(text.encode()) < 20_000


def test_shared_tags_stand_together_where_the_same_images_have_them(tmp_path):
    """Also where no image has just these."""
    windows = {
        "base": {"image": "example.org/servercore:1", "platforms": ["windows/amd64"]}, "default_variant": "full",
        "distribution": "windows", "packages": {"compile": [], "full": [], "runtime": []},
        "platforms": ["windows/amd64"], "release": "1", "title": "Windows", "variants": {"full": {}},
    }  # fmt: skip
    targets = {**f.FAMILY["targets"], "windowsservercore-a": windows, "windowsservercore-b": windows}
    names = ["windowsservercore-a", "windowsservercore-b", "trixie"]
    data = f.family(targets=targets, releases=[f.release("3.13.5", targets=names)])
    groups = made(f.write(tmp_path / "v.json", data)).facts.shared_groups
    ids = [f"3.13.5-{name}" for name in names]
    assert [(group.tags[0], [image.id for image in group.images]) for group in groups] == [
        ("3.13.5-windowsservercore", ids[:2]),
        ("3.13.5", ids),
    ]


@pytest.mark.parametrize("day", INFRA7, ids=lambda day: day.name)
def test_the_status_page_has_the_published_cells(day, tmp_path):
    """From the family and results of what was built: rows, releases, marks and ticks."""
    facts = json.loads((day / "matrix.json").read_text())
    published = facts["readme_table"]
    path = f.write(tmp_path / "versions.json", infra7(facts))
    family = expanded(path)
    outcome = Outcome(
        digest="sha256:" + "0" * 64, size=1, tested="2024-10-30T00:00:00Z", passed=1, failed=0, quick=False
    )
    built = {
        image.id: dict.fromkeys(image.platforms, outcome)
        for image in family.images
        if published["rows"].get(row(published, image), {}).get(column(published, image))
    }
    (tmp_path / "results.json").write_text(dumps_results(Results(repository=family.repository, images=built)))
    template = paths.ROOT / "templates" / "pages" / "status.md.j2"
    text = Request(template=template).page(family)
    assert cells(text) == cells((day / "build-status-table.md").read_text())


def row(published, image) -> str:
    return next((title for title in published["rows"] if f"({image.target_name})" in title), "")


def column(published, image) -> str:
    return next(name for name in published["header"] if name.rstrip("¹") == image.release.series)


def cells(text: str) -> dict[tuple[str, str], str]:
    """Return the table's cells by row and release."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    table = [[cell.strip() for cell in line.strip().strip("|").split("|")] for line in lines]
    releases = [name.rstrip("¹") for name in table[2][1:]]
    return {
        (line[0], name): cell
        for line in table[3:]
        for name, cell in zip(releases, line[1 : len(releases) + 1], strict=True)
    }


def infra7(facts):
    """Return a family of infra7's targets and releases, of those that its README lists."""
    targets, names = {}, {re.search(r"\((.+)\)", title)[1]: title for title in facts["readme_table"]["rows"]}
    for name, title in names.items():
        targets[name] = {
            **f.family()["targets"]["trixie"], "distribution": title.split()[0].lower(), "title": title.rstrip("¹"),
            "default_variant": "slim", "variants": {"slim": {}}, "prerelease": title.endswith("¹"),
        }  # fmt: skip
    releases = [f.release(version, targets=list(names)) for version in facts["readme_table"]["subheader"][1:]]
    return f.family(targets=targets, releases=releases, default_targets={})


def test_python_2_has_a_footnote(tmp_path):
    """As infra7 warns of it."""
    data = f.family(releases=[f.release("2.7.18", targets=["trixie"])])
    text = made(f.write(tmp_path / "v.json", data)).render("pages/status.md.j2")
    assert "| 2.7.18¹ |" in text
    assert "> ¹ Python itself fixes no security problem" in text
    assert page_status.CHECK not in cells(text).values()


@pytest.mark.parametrize("name", ["official", "status"])
def test_data_cannot_become_markup(name, tmp_path):
    """Not even that of a target's title, a label or a description."""
    data = f.family(labels={"org.opencontainers.image.vendor": "<b>[x](y)</b>"})
    data["targets"]["trixie"]["title"] = "Debian | <b>"
    data["variants"]["full"]["description"] = "# [x](y) <!--ts-->"
    text = made(f.write(tmp_path / "v.json", data)).render(f"pages/{name}.md.j2")
    assert "<b>" not in text
    assert "[x](y)" not in text
    assert toc.update(text, "page") == text


def test_a_family_replaces_single_templates(versions):
    """What lies in templates/ beside the family's file comes first, for pages and for the parts of ours."""
    before = made(versions).render("pages/official.md.j2")
    own = versions.parent / "own"
    template = own / "templates" / "texts" / "quick_start.md.j2"
    template.parent.mkdir(parents=True)
    template.write_text("Just run {{ newest.id }}.\n")
    text = made(f.write(own / "versions.json", versions.read_text())).render("pages/official.md.j2")
    assert "Just run 3.13.5-trixie.\n" in text
    assert "### Run Your Program" in before
    assert "### Run Your Program" not in text


# Mistakes


def refused(versions, text, **options):
    with pytest.raises((ReadmeError, CatalogError)) as error:
        page(versions, text, **options)
    message = str(error.value)
    assert "\n" not in message
    return message.removeprefix(f"{versions.parent}/")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a\n{% if %}", "page.j2:2: Expected an expression, got 'end of statement block'; correct the template"),
        ("\n\n{{ nope }}", "page.j2:3: 'nope' is undefined; docs/templates.md lists the variables, and --values adds some"),
        ("{{ newest.nope }}", "page.j2:1: 'dict object' has no attribute 'nope'; correct the template"),
        ("\n{{ 1 / 0 }}", "page.j2:2: division by zero; correct the template"),
        ("{% include 'no.j2' %}", "page.j2:1: no template 'no.j2' in templates/; correct the template"),
        ("{% include '../versions.json' %}", "page.j2:1: no template '../versions.json' in templates/; correct the template"),
        ("{{ ''.__class__ }}", "page.j2:1: access to attribute '__class__' of 'str' object is unsafe; correct the template"),
        ("{{ '{0.__class__}'.format(1) }}", "page.j2:1: access to attribute '__class__' of 'int' object is unsafe; correct the template"),
        ("{{ table.__globals__ }}", "page.j2:1: access to attribute '__globals__' of 'function' object is unsafe; correct the template"),
        ("{% set max_bytes = 2 %}äö", "page.j2: the page has 4 bytes, 2 more than the 2 that its `max_bytes` allows; list fewer releases or targets, or shorten the template's texts"),
        ("<!--ts-->\n", "page.j2:1: the table of contents has no end; add <!--te--> below it"),
    ],
)  # fmt: skip
def test_a_mistake_in_a_template_is_one_line(versions, text, message):
    """With file and line, and what to do."""
    assert refused(versions, text) == message


@pytest.mark.parametrize(("content", "words"), [(b"\x89PNG", "byte 0 is not UTF-8"), (b"a\0", "byte 1 is NUL")])
def test_a_template_is_a_text(versions, content, words):
    """A picture is none."""
    asked = request(versions, "")
    asked.template.write_bytes(content)
    with pytest.raises(ReadmeError, match=words):
        asked.write(expanded(versions))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[]", r"\$: Expected object, got array, found \[\]; correct"),
        ('{"platforms": "linux/amd64"}', r"\$\.platforms: Expected array, got str, found \"linux/amd64\"; correct"),
        ('{"tags": ["a"]}', r"\$\.tags: Expected str, got array"),
        ("{", "line 1, column 2: not JSON"),
    ],
)
def test_values_of_the_wrong_type_are_an_error(versions, text, words):
    """With the path to the value."""
    values = versions.parent / "values.json"
    values.write_text(text)
    with pytest.raises(CatalogError, match=words):
        page(versions, "", values=values)


# The command


def test_a_page_is_written_whole_or_not_at_all(versions):
    """A mistake leaves what was there."""
    out = versions.parent / "out.md"
    assert request(versions, "{{ package }}\n", out=out).write(expanded(versions)) == f"{out}: 7 bytes"
    assert out.read_text() == "python\n"
    with pytest.raises(ReadmeError):
        request(versions, "x{{ nope }}", out=out).write(expanded(versions))
    assert out.read_text() == "python\n"


def test_a_page_is_printed_as_it_is(versions):
    """Printing adds the last line end."""
    assert request(versions, "{{ package }}\n\n").write(expanded(versions)) == "python\n"


def test_a_page_can_be_compared(versions):
    """With the file that holds it, or does not yet."""
    out = versions.parent / "out.md"
    asked = request(versions, "{{ package }}\n", out=out)
    assert "+python\n" in asked.drift(expanded(versions))
    asked.write(expanded(versions))
    assert asked.drift(expanded(versions)) == ""
    with pytest.raises(ReadmeError, match="name the file with --out"):
        request(versions, "").drift(expanded(versions))


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("no/page.md", "no folder .*no; make it first"),
        (".", "is no file"),
        ("page.j2", "the page is made from it"),
        ("x/../versions.json", "the page is made from it"),
    ],
)
def test_a_page_goes_where_nothing_is_lost(versions, name, words):
    """Not over what it is made from, and into no folder that is missing."""
    (versions.parent / "x").mkdir()
    with pytest.raises(ReadmeError, match=words):
        request(versions, "x", out=versions.parent / name).write(expanded(versions))


def test_flags_without_a_template_are_an_error():
    """They would be ignored."""
    none = {"template": "", "out": "", "values": "", "package": ""}
    assert parse(toc=True, **none) is None
    assert parse(toc=False, template="t", out="o", values="v", package="p") == Request(
        template=Path("t"), out=Path("o"), values=Path("v"), package="p", toc=False
    )
    for toc_too, flags in ((True, {"out": "o"}), (True, {"values": "v"}), (True, {"package": "p"}), (False, {})):
        with pytest.raises(ReadmeError, match="name a template with --template"):
            parse(toc=toc_too, **none | flags)
