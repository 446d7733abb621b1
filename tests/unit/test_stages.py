"""What images share: the compile with its pins and its training, or Windows' unpacked installer."""

import importlib.util
import zipfile

import pytest

from kiln import paths, render, stages
from kiln.errors import CatalogError, RenderError
from tests.unit import family as f

NAMES = f.WINDOWS_NAMES
windows = f.windows


def image(matrix, name):
    return next(image for image in matrix.images if name in image.id)


def program(name):
    """Return a program of the Windows Dockerfile as a module."""
    path = paths.ROOT / "templates" / "windows" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_pins_are_installed_before_bytecode_is_compiled(tmp_path):
    """Exactly the pinned versions, wheels alone, over the user's network, and the compile is another one."""
    plain = f.expand(tmp_path, f.family())
    pinned = f.expand(tmp_path, f.family(releases=[f.release("3.13.5", pins={"wheel": "0.45.1", "pip": "25.1"})]))
    text = render.dockerfile(pinned.images[0], pinned.catalog)
    assert "pip==25.1 \\\n        wheel==0.45.1\n" in text
    assert "--mount=type=secret,id=pip.conf,target=/run/kiln/pip.conf" in text
    assert text.index("make install") < text.index("pip==25.1") < text.index("-m compileall")
    assert "pip.conf" not in render.dockerfile(plain.images[0], plain.catalog)
    keys = [render.compile_key(matrix.images[0], "linux/amd64", matrix.catalog) for matrix in (plain, pinned)]
    assert keys[0] != keys[1]


def test_training_leaves_out_what_cannot_pass(tmp_path):
    """The target's tests are ignored, each with its reason in the Dockerfile; other targets know nothing of it."""
    data = f.family()
    data["targets"]["alpine3.24"]["training"] = {"skip": {"test_re": "no locales", "test.test_math.X.test_y": "bug"}}
    matrix = f.expand(tmp_path, data)
    alpine, debian = (render.dockerfile(image(matrix, name), matrix.catalog) for name in ("alpine", "-trixie"))
    assert "# Without test_re: no locales.\n" in alpine
    assert '-j "$(nproc)" \\\n    --ignore=test.test_math.X.test_y \\\n    --ignore=test_re "$@"\n' in alpine
    assert "--ignore" not in debian
    assert '-j "$(nproc)" "$@"\n' in debian


def test_what_the_interpreter_learns_from_and_is_profiled_by(tmp_path):
    """The family's own tests in place of CPython's, and no frame pointers if it says so; both decide the compile."""
    data = f.family()
    chosen = {"frame_pointers": False, "training": {"tests": ["test_json", "test_re"], "reason": "as measured"}}
    plain, mine = (f.expand(tmp_path, d) for d in (data, data | {"interpreter": chosen}))
    before, after = (render.dockerfile(m.images[0], m.catalog) for m in (plain, mine))
    assert "for name in test" not in before
    assert "\nfor name in test_json test_re; do\n" in after
    assert "-mno-omit-leaf-frame-pointer" in before
    assert 'frames="-fomit-frame-pointer"' in after
    assert len({render.compile_key(m.images[0], "linux/amd64", m.catalog) for m in (plain, mine)}) == 2


def test_windows_is_copied_and_nothing_runs_there(tmp_path):
    """The installer's digest is tested, all commands run on Linux, and the last stage copies."""
    matrix = f.expand(tmp_path, windows())
    text = render.dockerfile(image(matrix, "ltsc2025"), matrix.catalog)
    assert "FROM example.org/windows/servercore:ltsc2025 AS base" in text
    assert "FROM --platform=$BUILDPLATFORM debian:trixie-slim AS tools" in text
    url = "https://www.python.org/ftp/python/3.13.5/python-3.13.5-amd64.exe"
    assert f"ADD --checksum=sha256:{'b' * 64} {url} /" in text
    assert 0 < text.index("sha256sum") < text.index("cabextract --quiet")
    final = text.rpartition("\nFROM ")[2]
    words = {line.split()[0] for line in final.splitlines()[1:] if line[:1].isupper()}
    assert words == {"COPY", "ENV", "LABEL", "CMD"}
    assert 'PATH="C:\\\\Python\\\\Scripts;C:\\\\Python;' in final
    assert 'CMD ["python"]' in final


def test_windows_images_share_what_is_unpacked(tmp_path):
    """Their base is no part of the key, their pins are."""
    first, pinned = (f.expand(tmp_path, data) for data in (windows(), windows(pins={"pip": "25.1"})))
    keys = [render.compile_key(image(first, name), "windows/amd64", first.catalog) for name in NAMES]
    assert keys[0] == keys[1] != ""
    assert render.compile_key(image(pinned, NAMES[0]), "windows/amd64", pinned.catalog) != keys[0]


@pytest.mark.parametrize(
    ("changes", "name", "reason"),
    [
        ({"artifacts": []}, "trixie", "no source is pinned; add file and sha256 of its tarball to `artifacts`"),
        ({}, "ltsc2025", "no installer is pinned; add file and sha256 of python-3.13.5-amd64.exe as `windows`"),
    ],
)
def test_what_is_not_pinned_is_listed_alone(tmp_path, changes, name, reason):
    """It has no compile key, and rendering it says where to add what."""
    data = windows(**changes)
    if not changes:
        del data["releases"][0]["windows"]
    matrix = f.expand(tmp_path, data)
    found = image(matrix, name)
    assert render.compile_key(found, found.platforms[0], matrix.catalog) == ""
    with pytest.raises(RenderError, match=rf"^versions\.json: release 3\.13\.5: {reason} to build it"):
        render.dockerfile(found, matrix.catalog)


def test_free_threaded_windows_is_refused(tmp_path):
    """The installer's free-threaded Python is an extra one beside the default, so no image would be it."""
    matrix = f.expand(tmp_path, windows(flavours=["freethreaded"]))
    assert stages.lack(image(matrix, "ltsc2025")).endswith("in $.exclusions")


def test_windows_is_unpacked_on_a_debian_target(tmp_path):
    """The release's own comes first; a family without one is told."""
    data = windows()
    matrix = f.expand(tmp_path, data)
    assert stages.tools(image(matrix, "ltsc2025"), matrix.catalog)[0] == "trixie"
    data["releases"][0]["targets"] = list(NAMES)
    del data["targets"]["trixie"]
    matrix = f.expand(tmp_path, data)
    with pytest.raises(RenderError, match=r"\$\.targets: 3\.13\.5-windowsservercore-ltsc2025 .*add a Debian target"):
        render.dockerfile(matrix.images[0], matrix.catalog)


def test_commands_of_windows(tmp_path):
    """Of pip there are the three names of `ensurepip --default-pip`; a command is launcher, interpreter, zip file."""
    wheels = program("wheels")
    points = "[console_scripts]\npip = pip.main:run\npip3 = pip.main:run\n\n[distutils.commands]\nx = y:z\n"
    assert wheels.commands("pip", points, "3.13") == dict.fromkeys(("pip", "pip3", "pip3.13"), "pip.main:run")
    assert wheels.commands("wheel", "[console_scripts]\nwheel = wheel.cli:main\n", "3.13") == {
        "wheel": "wheel.cli:main"
    }
    assert wheels.commands("setuptools", "[distutils.commands]\nx = y:z\n", "3.13") == {}
    made = wheels.program(b"MZ launcher", "pip.main:run")
    assert made.startswith(b"MZ launcher#!C:\\Python\\python.exe\r\nPK")
    (tmp_path / "pip.exe").write_bytes(made)
    with zipfile.ZipFile(tmp_path / "pip.exe") as archive:
        assert b"from pip.main import run\n" in archive.read("__main__.py")
    assert made == wheels.program(b"MZ launcher", "pip.main:run")


def test_wheels_are_installed_as_pip_records_them(tmp_path, monkeypatch):
    """Every file that is added to a wheel's own stands in its RECORD."""
    wheels = program("wheels")
    for name in ("SITE", "SCRIPTS"):
        monkeypatch.setattr(wheels, name, tmp_path / name)
        (tmp_path / name).mkdir()
    wheel = tmp_path / "Some_thing-1-py3-none-any.whl"
    with zipfile.ZipFile(wheel, "w") as archive:
        archive.writestr("something/_vendor/other-1.dist-info/RECORD", "other.py,,\n")
        archive.writestr("something.py", "")
        archive.writestr("something-1.dist-info/entry_points.txt", "[console_scripts]\nsome = something:main\n")
        archive.writestr("something-1.dist-info/RECORD", "something.py,,\n")
    wheels.install(wheel, b"MZ", "3.13")
    record = (tmp_path / "SITE/something-1.dist-info/RECORD").read_text()
    names = [line.partition(",")[0] for line in record.splitlines()]
    assert names == ["something.py", "something-1.dist-info/INSTALLER", "../SCRIPTS/some.exe"]
    assert (tmp_path / "SCRIPTS/some.exe").read_bytes().startswith(b"MZ#!")
    with zipfile.ZipFile(wheel, "a") as archive:
        archive.writestr("something-1.data/scripts/x", "")
    with pytest.raises(SystemExit, match="only pip on Windows can install"):
        wheels.install(wheel, b"MZ", "3.13")


def test_the_installers_payloads_by_name(tmp_path, monkeypatch):
    """The manifest gives names to what cabextract unpacked; folders in names do not count."""
    unpack = program("unpack")
    monkeypatch.setattr(unpack, "BUNDLE", tmp_path)
    (tmp_path / "0").write_text(
        '<BurnManifest xmlns="http://schemas.microsoft.com/wix/2008/Burn"><UX><Payload FilePath="a.dll" '
        'SourcePath="u0" FileSize="1"/></UX><Payload FilePath="amd64\\core.msi" SourcePath="a0" FileSize="7"/>'
        '<Payload FilePath="core_d.msi" Packaging="external" FileSize="9"/></BurnManifest>'
    )
    found = unpack.payloads()
    assert found["core.msi"] == (tmp_path / "a0", 7)
    with pytest.raises(SystemExit, match=r"core\.msi has 0 bytes instead of 7"):
        unpack.unpack("core.msi", *found["core.msi"])


def test_packages_of_one_platform(tmp_path):
    """They are installed there alone, after the step that other platforms share word for word."""
    data = f.family()
    data["targets"]["trixie"]["packages"]["platforms"] = {"linux/arm64": ["libatomic1", "libx"]}
    data["targets"]["alpine3.24"]["packages"]["platforms"] = {"linux/amd64": ["libatomic"]}
    matrix = f.expand(tmp_path, data)
    text = render.dockerfile(image(matrix, "-trixie"), matrix.catalog)
    final = text.rpartition("\nFROM ")[2]
    assert "ARG TARGETPLATFORM\n" in final
    assert "    linux/arm64) set -- libatomic1 libx ;;\n" in final
    assert '    zlib1g \\\n    "$@"\n#' in final
    assert "TARGETPLATFORM" not in text.removesuffix(final)
    assert '    zlib \\\n    "$@"\nEOF' in render.dockerfile(image(matrix, "alpine"), matrix.catalog)


def test_platforms_that_are_not_built_leave_no_trace(tmp_path):
    """Data may stand ready for them."""
    data = f.family()
    plain = f.expand(tmp_path, data)
    data["targets"]["trixie"]["base"]["platforms"].append("linux/arm/v5")
    data["targets"]["trixie"]["packages"]["platforms"] = {"linux/arm/v5": ["libatomic1"]}
    ready = f.expand(tmp_path, data)
    texts = [render.dockerfile(matrix.images[0], matrix.catalog) for matrix in (plain, ready)]
    assert texts[0] == texts[1]


PLATFORMS = (
    "linux/386", "linux/amd64", "linux/arm/v5", "linux/arm/v6", "linux/arm/v7", "linux/arm64", "linux/mips64le",
    "linux/ppc64le", "linux/riscv64", "linux/s390x",
)  # fmt: skip


def test_every_platform_of_the_official_images(tmp_path):
    """One Dockerfile serves all of them: what differs is told by the compiler when it runs."""
    data = f.family()
    for target in data["targets"].values():
        target["platforms"] = target["base"]["platforms"] = list(PLATFORMS)
    matrix = f.expand(tmp_path, data)
    assert all(image.platforms == PLATFORMS for image in matrix.images)
    keys = {render.compile_key(matrix.images[0], platform, matrix.catalog) for platform in PLATFORMS}
    assert len(keys) == len(PLATFORMS)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            {"platforms": {"linux/z80": ["x"]}},
            r"packages\.platforms\['linux/z80'\]: found unknown platform 'linux/z80'; use",
        ),
        (
            {"platforms": {"linux/amd64": ["x y"]}},
            r"packages\.platforms\['linux/amd64'\]\[0\]: found 'x y'; write a pa",
        ),
    ],
)
def test_malformed_packages_of_a_platform(tmp_path, change, message):
    """Platforms that there are none of, and names that are none."""
    data = f.family()
    data["targets"]["trixie"]["packages"] |= change
    with pytest.raises(CatalogError, match=message):
        f.load(tmp_path, data)


@pytest.mark.parametrize(
    ("training", "message"),
    [
        ({"tests": [], "reason": "x"}, r"training\.tests: found no test; name some"),
        ({"tests": ["json"], "reason": "x"}, r"training\.tests\[0\]: found 'json'; write a module of CPython's tests"),
        ({"tests": ["test_a", "test_a"], "reason": "x"}, r"training\.tests.*test_a"),
        ({"tests": ["test_a"], "reason": " "}, r"training\.reason: found no reason; write why these tests"),
    ],
)
def test_malformed_training_of_the_interpreter(tmp_path, training, message):
    """No tests, what is none, one twice, and none of a reason."""
    with pytest.raises(CatalogError, match=message):
        f.load(tmp_path, f.family() | {"interpreter": {"training": training}})


@pytest.mark.parametrize(
    ("skip", "message"),
    [
        ({"test_re; rm": "x"}, r"training\.skip.*found ';'"),
        ({"re": "x"}, r"training\.skip\['re'\]: found 're'; write a test such as test_re or test\.test_re\.ReTests"),
        ({"test_re": " "}, r"training\.skip\['test_re'\]: found no reason; write why the test cannot pass there"),
    ],
)
def test_malformed_training(tmp_path, skip, message):
    """Names that are no tests, and tests without a reason."""
    data = f.family()
    data["targets"]["trixie"]["training"] = {"skip": skip}
    with pytest.raises(CatalogError, match=message):
        f.load(tmp_path, data)
