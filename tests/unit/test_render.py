"""Dockerfiles are a pure function of the family, and their folder holds nothing else."""

import json
import shutil

import msgspec
import pytest

from kiln import generated, render
from kiln.errors import RenderError
from kiln.model import Compression
from tests.unit import family as f
from tests.unit.fixtures import ROOT


def test_images_of_one_compile_key_share_their_compile_stage(ours):
    """One key means one text of the stages up to the compile, and two keys two texts."""
    stages = {}
    for image in (one for one in ours.images if one.target.distribution != "windows"):
        text = render.dockerfile(image, ours.catalog)
        stage = text[text.index("\nFROM ") : text.index("\n# What the image holds")]
        stages.setdefault(render.compile_key(image, "linux/amd64", ours.catalog), set()).add(stage)
    assert {len(texts) for texts in stages.values()} == {1}
    assert len(set.union(*stages.values())) == len(stages)


def test_full_and_slim_share_a_compile_key(ours):
    """The variants differ behind the compile stage only; platforms do not share."""
    full, slim = ours.get("3.13.5-trixie"), ours.get("3.13.5-slim-trixie")
    key = render.compile_key(full, "linux/amd64", ours.catalog)
    assert key == render.compile_key(slim, "linux/amd64", ours.catalog)
    assert key != render.compile_key(slim, "linux/arm64", ours.catalog)


def test_the_source_is_verified_before_it_is_unpacked(ours):
    """The digest of versions.json is tested in the step that unpacks, and before it."""
    text = render.dockerfile(ours.get("3.13.5-slim-trixie"), ours.catalog)
    digest = "93e583f243454e6e9e4588ca2c2662206ad961659863277afcdb96801647d640"
    assert f"ARG PYTHON_SHA256={digest}" in text
    assert f"ADD --checksum=sha256:{digest} https://www.python.org/ftp/python/3.13.5/Python-3.13.5.tar.xz /" in text
    assert 0 < text.index("sha256sum") < text.index("tar --extract")


def test_prereleases_are_downloaded_from_their_releases_folder(tmp_path):
    """python.org keeps 3.15.0rc2 below 3.15.0."""
    found = f.expand(tmp_path, f.family(releases=[f.release("3.15.0rc2")]))
    text = render.dockerfile(found.images[0], found.catalog)
    assert "https://www.python.org/ftp/python/3.15.0/Python-3.15.0rc2.tar.xz" in text


def test_slim_installs_no_compiler_and_copies_no_tk(ours):
    """Behind the compile stage, slim has runtime packages only; into Windows images nothing is installed."""
    for image in (one for one in ours.images if one.target.distribution != "windows"):
        final = render.dockerfile(image, ours.catalog).rpartition("\nFROM ")[2]
        lines = [line for line in final.splitlines() if not line.startswith("#")]
        building = {"gcc", "make", "tk-dev"} & set(" ".join(lines).split())
        assert bool(building) == (image.variant == "full"), image.id
        assert ("/install/full/" in final) == (image.variant == "full"), image.id


def test_with_gzip_pip_has_no_bytecode(ours):
    """It stays behind on its way from the compile stage, which is the same; distroless images have no pip."""
    family = msgspec.structs.replace(ours.catalog, compression=Compression(algorithm="gzip", level=12))
    for name, lean in (("3.13.5-trixie", True), ("3.13.5-slim-trixie", True), ("3.13.5-distroless-trixie", False)):
        image = ours.get(name)
        text, plain = render.dockerfile(image, family), render.dockerfile(image, ours.catalog)
        assert (text != plain) == lean
        assert ("\nFROM base AS lean\n" in text) == ("\nCOPY --from=lean /python/ /\n" in text) == lean
        assert render.compile_key(image, "linux/amd64", family) == render.compile_key(
            image, "linux/amd64", ours.catalog
        )


def test_labels_come_from_the_matrix(ours):
    """The version, the day of the release and the base are facts of versions.json."""
    labels = render.labels(ours.get("3.11.2-slim-bookworm"), ours.catalog)
    assert labels["org.opencontainers.image.version"] == "3.11.2"
    assert labels["org.opencontainers.image.created"] == "2023-02-08T00:00:00Z"
    assert labels["org.opencontainers.image.base.name"] == "debian:bookworm-slim"


def test_a_pinned_base_is_pinned_in_the_dockerfile(tmp_path):
    """With a digest in versions.json, FROM and the label have it."""
    data = f.family()
    data["targets"]["trixie"]["base"]["digest"] = f"sha256:{'c' * 64}"
    found = f.expand(tmp_path, data)
    text = render.dockerfile(found.images[0], found.catalog)
    assert f"FROM debian:trixie-slim@sha256:{'c' * 64} AS base" in text
    assert f'org.opencontainers.image.base.digest="sha256:{"c" * 64}"' in text


def test_free_threaded_builds_have_their_option(tmp_path):
    """The flavour decides on configure's option and the interpreter's name."""
    found = f.expand(tmp_path, f.family(releases=[f.release("3.14.1", flavours=["freethreaded"])]))
    text = render.dockerfile(found.images[0], found.catalog)
    assert "--disable-gil" in text
    assert "bin/python3.14t -B -m compileall" in text


def test_writing_leaves_what_belongs_there_and_nothing_else(tmp_path):
    """Stale files and empty folders go, changed files are replaced, and a second run changes nothing."""
    found, folder = f.expand(tmp_path, f.family()), tmp_path / "dockerfiles"
    assert len(render.write(found, folder)) == 3
    (folder / "3.9/trixie/full").mkdir(parents=True)
    (folder / "3.9/trixie/full/Dockerfile").write_text("old")
    (folder / "3.13/trixie/slim/Dockerfile").write_text("edited\n")
    assert "-edited" in render.drift(found, folder)
    assert "3.9/trixie/full/Dockerfile" in render.drift(found, folder)
    assert render.write(found, folder) == ["3.13/trixie/slim/Dockerfile", "3.9/trixie/full/Dockerfile"]
    assert not (folder / "3.9").exists()
    assert render.drift(found, folder) == ""
    assert render.write(found, folder) == []


def test_whatever_is_not_what_was_generated_is_drift(tmp_path):
    """Line ends, empty files and links count; generating mends them and leaves what links point to."""
    found, folder = f.expand(tmp_path, f.family()), tmp_path / "dockerfiles"
    render.write(found, folder)
    text = (folder / "3.13/trixie/slim/Dockerfile").read_text()
    (tmp_path / "elsewhere").write_text(text)
    (folder / "3.13/trixie/slim/Dockerfile").unlink()
    (folder / "3.13/trixie/slim/Dockerfile").symlink_to(tmp_path / "elsewhere")
    (folder / "3.13/trixie/full/Dockerfile").write_bytes(
        (folder / "3.13/trixie/full/Dockerfile").read_bytes().replace(b"\n", b"\r\n")
    )
    (folder / "broken").symlink_to("nowhere")
    (folder / "empty").touch()
    difference = render.drift(found, folder)
    for line in ("-symbolic link to nowhere", "empty: empty, and not generated", 'CMD ["python3"]\r\n', "elsewhere"):
        assert line in difference
    assert len(render.write(found, folder)) == 4
    assert render.drift(found, folder) == ""
    assert (tmp_path / "elsewhere").read_text() == text


def test_generating_in_a_familys_folder(tmp_path):
    """The schema is written beside the Dockerfiles, and reported as they are."""
    found = f.expand(tmp_path, f.family())
    assert generated.SCHEMA in generated.drift(found)
    assert generated.write(found).endswith("4 of 5 generated files changed")
    assert generated.write(found) == "0 of 5 generated files changed"


def test_the_familys_file_has_one_form(tmp_path):
    """However it was typed, the next update's difference is of what changed; generating it says so, and nothing else."""
    found = f.expand(tmp_path, f.family())
    generated.write(found)
    file, text = tmp_path / "versions.json", (tmp_path / "versions.json").read_text()
    file.chmod(0o600)
    file.write_text(json.dumps(dict(reversed(f.family().items()))))
    assert '+  "registry": "",' in generated.drift(found)
    assert generated.write(found) == "versions.json\n1 of 5 generated files changed"
    assert (file.read_text(), file.stat().st_mode & 0o777) == (text, 0o600)
    assert generated.drift(found) == ""


def test_a_broken_template_is_one_line_with_its_place(ours, tmp_path, monkeypatch):
    """A maintainer who breaks a template is told where."""
    # All of them: which stages another test has rendered before must not matter.
    shutil.copytree(ROOT / "templates", tmp_path / "templates")
    (tmp_path / "templates" / "Dockerfile.j2").write_text("FROM x\n{{ nothing }}\n")
    monkeypatch.setattr("kiln.paths.ROOT", tmp_path)
    render.environment.cache_clear()
    try:
        with pytest.raises(RenderError, match=r"Dockerfile\.j2.*'nothing' is undefined .*; correct the template"):
            render.dockerfile(ours.images[0], ours.catalog)
    finally:
        render.environment.cache_clear()
