"""A plan says in few lines what is built of what; as JSON it says everything."""

import json

from kiln import plan, plan_report
from kiln.bake import Inputs
from kiln.plan import Options, Resolved, Wanted
from tests.unit import family as f
from tests.unit.test_packages import UVICORN

INPUTS = Inputs(base_digest="sha256:" + "0" * 64, base="docker-image://base", source="/s", source_sha256="a" * 64)


def resolved(tmp_path, monkeypatch):
    monkeypatch.setattr(plan, "_git", lambda *_: "")
    monkeypatch.setattr("kiln.lock.read", lambda _: "")
    package = {**UVICORN, "command": ["uvicorn"], "versions": ["0.18.3", "0.9.0"], "pythons": ["3.13"]}
    matrix = f.expand(tmp_path, f.family(packages={"uvicorn": package}))
    wanted = [Wanted(image=image, platform="linux/amd64") for image in matrix.everything]
    found = [
        Resolved(build=plan.expected(one, matrix, INPUTS, Options()), base="registry", source="python.org")
        for one in wanted
    ]
    return found, wanted


def test_images_of_one_compile_stand_together(tmp_path, monkeypatch):
    """Versions of one package as a shell would expand them."""
    found, _ = resolved(tmp_path, monkeypatch)
    lines = plan_report.text(found).splitlines()
    compiles = {one.build.compile_target for one in found}
    assert lines[0] == f"plan: {len(found)} builds, {len(compiles)} compiles"
    assert lines[1].startswith("  3.13.5 on trixie, linux/amd64: ")
    assert lines[2:4] == ["    base: registry", "    sources: python.org"]
    assert "3.13.5-trixie 3.13.5-slim-trixie uvicorn:py3.13.5-trixie-{0.18.3,0.9.0}" in lines[4]
    assert len(lines) == 1 + 4 * len(compiles)
    narrow = plan_report.text(found, 60).splitlines()
    assert max(map(len, narrow)) <= 60


def test_what_cannot_be_built_is_said_once(tmp_path, monkeypatch):
    """With how many builds of which release it is about; a single one has its name."""
    _, wanted = resolved(tmp_path, monkeypatch)
    failed = [(one, f"{one.image.id}: no sources; see x") for one in wanted]
    assert plan_report.not_built(failed) == f"  not built: {len(wanted)} builds of 3.13.5: no sources; see x"
    assert plan_report.not_built(failed[:1]) == "  not built: 3.13.5-trixie linux/amd64: no sources; see x"


def test_machines_get_one_document(tmp_path, monkeypatch):
    """The plan, what cannot be built and the definition."""
    found, wanted = resolved(tmp_path, monkeypatch)
    text = plan_report.document(found, [(wanted[0], "why")], ["kept"], '{"target": {}}', push=True)
    data = json.loads(text)
    assert data["plan"][0]["id"] == "3.13.5-trixie"
    assert data["plan"][0]["tags"][0] == "3.13.5-trixie"
    assert data["not_built"] == [{"id": wanted[0].image.id, "platform": "linux/amd64", "reason": "why"}]
    assert (data["artifacts"], data["push"], data["definition"]) == (["kept"], True, {"target": {}})
