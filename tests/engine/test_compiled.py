"""What was compiled is kept and taken again: from a real folder and a real registry, whole or not at all."""

import json
import re
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from kiln import compiled, compiled_folder, oci, process, workspace
from kiln.plan import Options
from tests.engine.command import SLIM, Family, docker, error_of, summary
from tests.engine.maker import Maker
from tests.engine.registry import Registry

# Each compile gives something else, so that an image tells which one it has; with another number,
# BuildKit's cache has nothing for it.
DOCKERFILE = """\
FROM base AS compile
RUN : "kiln: compile {key} {number}" && mkdir -p /install/python && {command} > /install/python/compiled
FROM scratch AS python
COPY --from=compile /install/python/ /
"""


def ran(log):
    """Tell whether a command of the compile stage ran, and did not come from BuildKit's cache."""
    names = set(re.findall(r"^== (\[.*compile +\d+/\d+\] RUN .*)$", log, re.MULTILINE))
    return any(f"{name}: CACHED" not in names for name in names if not name.endswith(": CACHED"))


class Kept:
    """A place that compiles are kept in, and a compile that nothing else has."""

    def __init__(self, maker, where):
        self.maker = maker
        self.key = uuid.uuid4().hex[:12]
        self.command = "cat /proc/sys/kernel/random/uuid"
        self.place = compiled.chosen(where)

    def build(self, *, number=1, **changes):
        """Build an image; return what it says of its compile, and whether anything was compiled."""
        options = Options(artifacts=self.place, no_cache=changes.pop("no_cache", False))
        outcome = self.maker.make(self.dockerfile(number), options, **{"compile_key": self.key} | changes)
        assert outcome.record, outcome.error
        runs = sorted(workspace.home().glob("2*/definition.json"), key=lambda path: path.stat().st_mtime)
        run = [path.parent for path in runs if f"={self.maker.repository}:" in path.read_text("utf-8")][-1]
        said = self.maker.read(outcome.record, "/compiled")
        return said, any(ran(file.read_text("utf-8")) for file in run.joinpath("logs").iterdir())

    def dockerfile(self, number):
        """Return a Dockerfile."""
        return DOCKERFILE.format(key=self.key, number=number, command=self.command)

    @property
    def name(self):
        """Return the tag of what is kept."""
        return compiled.name(self.maker.plan("", compile_key=self.key))


@pytest.fixture(scope="module")
def registry(tmp_path_factory):
    folder = tmp_path_factory.mktemp("registry")
    found = Registry(folder)
    found.data = folder / "data"
    yield found
    found.stop()


@pytest.fixture
def maker(engine, registry):
    made = Maker(engine, registry.address)
    yield made
    made.forget()


@pytest.fixture
def folder(maker, tmp_path):
    return Kept(maker, f"{tmp_path}/kept")


@pytest.fixture
def repository(maker, registry):
    return Kept(maker, f"{registry.address}/kiln-test/compiled")


@pytest.fixture(params=["folder", "repository"])
def kept(request):
    return request.getfixturevalue(request.param)


def test_the_next_build_compiles_nothing(kept, capfd):
    """It has what the first one compiled, although it says itself how to, and BuildKit's cache has nothing for that."""
    first, compiling = kept.build()
    assert compiling
    assert f"{kept.name} is not there yet: compiled, then kept" in capfd.readouterr().err
    assert kept.build(number=2) == (first, False)
    assert f"{kept.place}: {kept.name} is taken, nothing is compiled" in capfd.readouterr().err


def test_without_cache_it_is_compiled_and_kept_anew(folder):
    """What was there is neither taken nor left."""
    first, _ = folder.build()
    second, compiling = folder.build(number=2, no_cache=True)
    assert compiling
    assert second != first
    assert folder.build(number=3) == (second, False)


def test_what_is_taken_gives_the_same_image(folder):
    """Layer for layer: the manifest is the same one whether its compile has just run or was kept."""
    options = Options(artifacts=folder.place)
    first, second = (folder.maker.make(folder.dockerfile(one), options, compile_key=folder.key) for one in (1, 2))
    assert [first.result, second.result] == ["built", "built"]
    assert second.record.digest == first.record.digest
    assert second.record.inputs != first.record.inputs


def lines_with(capfd, text):
    """Return the lines with a text of what was said since the last time."""
    return [line for line in capfd.readouterr().err.splitlines() if text in line]


def layer(blobs):
    """Return the largest blob, which is the layer."""
    return max((path for path in blobs.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)


def flip(path):
    """Change a bit of a file and leave its length."""
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


DAMAGE = {
    "a bit": lambda blobs: flip(layer(blobs)),
    "an end": lambda blobs: layer(blobs).write_bytes(layer(blobs).read_bytes()[:-1]),
    "a blob": lambda blobs: layer(blobs).unlink(),
}


@pytest.mark.parametrize("damage", DAMAGE.values(), ids=DAMAGE.keys())
def test_damage_in_a_folder_is_told_and_mended(folder, tmp_path, capfd, damage):
    """One line says what is wrong; it is compiled again, and the next build takes that."""
    folder.build()
    damage(folder.place.folder / folder.name / "blobs")
    capfd.readouterr()
    assert folder.build(number=2)[0]
    (line,) = lines_with(capfd, " cannot be used: ")
    assert f"{folder.name} cannot be used: compiled, then kept instead ({folder.place}" in line
    assert [path.name for path in folder.place.folder.iterdir()] == [folder.name]
    oci.compose([folder.place.folder / folder.name], tmp_path / "whole")


def test_a_damaged_blob_in_a_registry_is_told_and_mended(repository, registry, capfd):
    """The engine finds it; what is pushed instead has another layer, for the registry would keep the damaged one."""
    repository.command = "echo the same each time"
    repository.build()
    blobs = [path for path in registry.data.rglob("data") if path.read_bytes()[:4] == b"\x28\xb5\x2f\xfd"]
    flip(max(blobs, key=lambda path: path.stat().st_mtime))
    capfd.readouterr()
    assert repository.build(number=2)[0]
    (line,) = lines_with(capfd, " cannot be used: ")
    assert re.search(
        rf"{repository.name} cannot be used: compiled, then kept instead \(\S*docker pull .*digest", line
    ), line
    assert repository.build(number=3)[1] is False


def test_what_is_kept_for_another_compile_is_not_taken(folder, capfd):
    """Whoever put it there under this name: its labels say what it is."""
    other = Kept(folder.maker, str(folder.place))
    other.build()
    (folder.place.folder / other.name).rename(folder.place.folder / folder.name)
    said, compiling = folder.build(number=2)
    assert (len(said.strip()), compiling) == (36, True)
    assert f"io.kiln.compiled.target is compile-{other.key}-000000000000-quick, not " in capfd.readouterr().err


def test_quick_and_optimised_are_two_things(folder):
    """So is what stands on another base."""
    names = {compiled.name(folder.maker.plan("", quick=quick)) for quick in (True, False)}
    assert len(names) == 2


def test_two_at_once_keep_one(maker, engine, tmp_path):
    """Both builds are well, and what is kept is whole."""
    other = Maker(engine, "127.0.0.1:1")
    mine, yours = Kept(maker, str(tmp_path / "kept")), Kept(other, str(tmp_path / "kept"))
    options = Options(artifacts=mine.place)
    try:
        with ThreadPoolExecutor() as pool:
            make = lambda one: one.maker.make(mine.dockerfile(1), options, compile_key=mine.key)  # noqa: E731
            made = list(pool.map(make, (mine, yours)))
        assert [one.result for one in made] == ["built", "built"]
        assert [path.name for path in (tmp_path / "kept").iterdir()] == [mine.name]
        assert mine.build(number=3)[1] is False
    finally:
        other.forget()


def test_a_place_that_cannot_be_had_stops_nothing(maker, capfd):
    """A line says so before the compile, and one after it."""
    kept = Kept(maker, "127.0.0.1:1/compiled")
    assert kept.build()[1] is True
    before, after = lines_with(capfd, f"{kept.name} ")
    assert re.search(r" cannot be used: compiled, then kept instead \(\S*docker pull .*connection refused", before), (
        before
    )
    assert re.search(r" is not kept: \S*docker push .*connection refused", after), after


@pytest.fixture
def family(tmp_path, engine):
    made = Family(tmp_path)
    yield made
    made.forget(engine)


def stand_in(engine, folder, layout, facts):
    """Keep something that passes for a compiled Python while an image is built, and is done in no time."""
    program = folder / "install/python/usr/local/bin/python3"
    program.parent.mkdir(parents=True)
    program.write_text("#!/bin/sh\necho stand-in\n")
    program.chmod(0o755)
    (folder / "install/full").mkdir()
    (folder / "Dockerfile").write_text("FROM scratch\nCOPY install /install\n")
    labels = [word for key, value in facts.items() for word in ("--label", f"{key}={value}")]
    output = ("--provenance=false", "--output", f"type=oci,dest={folder}/archive.tar")
    process.run(engine.buildx("build", *labels, *output, folder), env=engine.env)
    compiled_folder.put(folder / "archive.tar", layout, engine.platform, facts, anew=False)


def test_the_command(family, engine, tmp_path):
    """--dry-run tells whether something is kept; the build takes it, by option or variable, and bakes the image alone."""
    place = tmp_path / "kept"
    shown = family.build(SLIM, "--artifacts", str(place), "--dry-run").stdout
    name = re.search(
        rf"^  {place}: (compile-\S+-quick-\w+) is not there yet: would be compiled, then kept$", shown, re.MULTILINE
    )[1]
    shown = family.build(SLIM, "--artifacts", str(place), "--dry-run", "--json").stdout
    targets = json.loads(shown)["definition"]["target"]
    (target,) = (key for key in targets if key.startswith("compile-"))
    base, source = targets[target]["contexts"]["base"], targets[target]["args"]["PYTHON_SHA256"]
    facts = {"base": base.partition("@")[2], "source": source, "target": target}
    facts = {f"io.kiln.compiled.{key}": value for key, value in facts.items()}
    stand_in(engine, tmp_path / "stand-in", place / name, facts)

    variable = {"KILN_ARTIFACTS": str(place)}
    shown = family.build(SLIM, "--dry-run", env=variable).stdout
    assert f"  {place}: {name} would be taken, if it is whole\n" in shown
    shown = family.build(SLIM, "--dry-run", "--json", env=variable).stdout
    assert not [key for key in json.loads(shown)["definition"]["target"] if "compile" in key]
    done = family.build(SLIM, env=variable)
    assert done.returncode == 0, done.stderr
    assert f"  {place}: {name} is taken, nothing is compiled\n" in done.stderr
    assert summary(done)[SLIM].startswith("built")
    assert [path.stem for path in family.runs()[-1].joinpath("logs").iterdir()] == [
        f"{SLIM.replace('.', '_')}-linux-{engine.platform.split('/')[1]}"
    ]
    assert docker(engine, "run", "--rm", family.record().reference) == "stand-in"


@pytest.mark.parametrize(
    ("place", "message"),
    [
        ("kept/", "error: --artifacts kept/: neither a folder, which begins with ./ or /, nor a repository"),
        ("ghcr.io/me/compiled:latest", "error: --artifacts ghcr.io/me/compiled:latest: neither a folder"),
        (__file__, f"error: --artifacts {__file__}: a file; name a folder, or a repository"),
    ],
)
def test_mistakes_are_one_line(tmp_path, place, message):
    """Before anything is looked for."""
    assert error_of(Family(tmp_path).build(SLIM, "--artifacts", place)).startswith(message)
