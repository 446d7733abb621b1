"""The standard checks: what every image of the family must be.

They read facts that the container told once; see conftest.py for the fixtures.
"""

import re

import pytest

from kiln.model import DISTROLESS
from tests.images import expect as known

# Distroless images have checks of their own in place of these, in test_distroless.py.
system = pytest.mark.variant("full", "slim")
without_compilers = pytest.mark.variant("slim", *DISTROLESS)


def test_version(expect, image, facts):
    """The interpreter is the release's."""
    expect("Python's version", image.release.version, facts["interpreter"]["version"])


def test_flavour(expect, image, facts):
    """The interpreter has a global lock, or none in a free-threaded image."""
    free = image.flavour == "freethreaded"
    found = facts["interpreter"]
    expect("implementation", "cpython", found["implementation"])
    expect("built without the global lock", free, found["freethreaded"])
    expect("global lock in use", not free, found["gil"])
    expect("shared library", known.library(image), found["library"])
    named = [path.rpartition("/")[2] for path, *_ in facts["tree"]["elf"] if re.search(r"/libpython3\.\d", path)]
    expect("shared library in the image", [] if known.distroless(image) else [known.library(image)], named)


@pytest.mark.flavour("freethreaded")
def test_lock_stays_off(expect, facts):
    """The global lock stays off when every extension module is imported, and threads do not wait for each other."""
    found = facts["lock"]
    expect("global lock in use after all imports", False, found["gil"])
    expect("extension modules were imported", True, found["modules"] > 40 or found["modules"])
    expect("steps of two threads that wait for each other without a pause", [100, 100], found["steps"])


@pytest.mark.variant("full", "slim")
@pytest.mark.flavour("freethreaded")
def test_pip_installs_wheel_of_flavour(expect, image, installs):
    """`pip install` takes a compiled wheel that is for this ABI alone, and importing it leaves the global lock off."""
    found = installs["compiled_wheel"]
    expect("tags of the wheel", [known.wheel_tag(image)], found["tags"])
    expect(
        "file of the compiled module",
        (known.site(image), ".so"),
        (found["file"][: len(known.site(image))], found["file"][-3:]),
    )
    expect("global lock in use after its import", False, found["gil"])


def test_configuration(expect, image, facts, config):
    """The interpreter was configured as the matrix says, with optimisations unless its label says otherwise."""
    labels = config.get("Labels") or {}
    quick, guided = labels.get("io.kiln.quick") == "true", labels.get("io.kiln.profile-guided") != "false"
    options = set(re.findall(r"'([^']*)'|(\S+)", facts["interpreter"]["configure"]))
    given = {quoted or plain for quoted, plain in options}
    wanted = known.configure(image, quick=quick, guided=guided)
    expect("options of configure", sorted(wanted), sorted(given & (wanted | {"--enable-optimizations", "--with-lto"})))


def test_architecture(expect, case, facts):
    """The interpreter, and every program and library, is for the image's platform."""
    wanted = known.ELF[case.platform]
    found = {path: tuple(header) for path, _, *header in facts["tree"]["elf"]}
    others = sorted(path for path, header in found.items() if header != wanted)
    expect(f"programs that are not for {case.platform}", [], others[:8])
    expect("bits and byte order", wanted[1:], (facts["interpreter"]["bits"], facts["interpreter"]["byteorder"]))


def test_stripped(expect_none, facts):
    """Python's programs and libraries have no symbol tables, which nobody pulls for nothing."""
    expect_none("programs and libraries that were not stripped", facts["unstripped"])


def test_commands(expect, image, facts):
    """`python`, `pip`, `pydoc`, `idle` and `python-config` lead to this Python, or nowhere in distroless images."""
    found = facts["commands"]
    expect("where commands lead", known.commands(image), {name: told["target"] for name, told in found.items()})
    flavoured = known.library(image).removeprefix("lib").removesuffix(".so.1.0")
    expect(f"`python3` is `{flavoured}`", found[flavoured]["inode"], found["python3"]["inode"])


def test_commands_answer(expect, image, facts):
    """Python tells its version."""
    version = f"Python {image.release.version}"
    answers = {name: told["answer"] for name, told in facts["commands"].items()}
    expect("`python --version`", [version, version], [answers["python"], answers["python3"]])


@system
def test_tools_answer(expect, image, facts):
    """The commands beside Python work."""
    series = image.release.series
    answers = {name: told["answer"] for name, told in facts["commands"].items()}
    for name in ("pip", "pip3"):
        expect(f"end of `{name} --version`", f"(python {series})", answers[name][-len(f"(python {series})") :])
    expect("`pydoc zlib`", "Help on ", answers["pydoc"][:8])
    expect("`python-config --includes`", "-I/usr/local/include/", answers["python-config"][:21])


@system
def test_pip_installs_wheel(expect, installs, image):
    """`pip install` gets a wheel from the index over TLS, and it imports."""
    site = known.site(image)
    expect("folder of an installed package", site, installs["wheel"][: len(site)])


@system
def test_virtual_environment(expect, installs, image):
    """`python -m venv` makes an environment with a pip of its own."""
    words = installs["environment"].split()
    expect("`pip --version` of an environment", "from FOLDER/lib/", " ".join(words[2:4])[: len("from FOLDER/lib/")])
    expect("the environment's Python", f"(python {image.release.series})", " ".join(words[-2:]))


def test_flags_of_users_builds(expect, expect_none, facts):
    """Compiling an extension is not told what only the interpreter's own build is."""
    flags = facts["interpreter"]["flags"]
    own = r"-(flto|fprofile|fno-fat|fno-semantic|f(no-)?omit-frame|mno-omit|fstack|fcf|ffile-prefix-map|g0)|.*/usr/src/"
    words = [f"{name}: {word}" for name, text in flags.items() for word in text.split() if re.match(own, word)]
    expect_none("flags of the interpreter's own build", words)
    expect("compiler", ["gcc", "g++"], [flags[name].split()[0] for name in ("CC", "CXX")])


def test_https(expect, installs):
    """Python's own HTTPS client reads the index."""
    expect("status of the index over TLS", 200, installs["https"])


@pytest.mark.variant("full")
def test_builds_extension(expect, installs):
    """`pip install` compiles a C extension from sources, and it imports."""
    expect("a compiled extension", ".so", installs["extension"][-3:])


@pytest.mark.variant("full")
def test_program_embeds_python(expect, installs):
    """A program that embeds Python builds, and Python's objects are of the types that it knows, with PIE or without."""
    expect("exact type, failed imports and failed end, of both programs", ["1 0 0", "1 0 0"], installs["embedding"])


@pytest.mark.variant("full", "slim")
def test_shared_library_is_this_interpreter(expect, case, facts):
    """What links to the shared library, as an extension may, does not get a second interpreter."""
    # Elsewhere program and library are two files, of which the first one's objects are used.
    same = case.image.target.distribution != "alpine" and case.platform in {"linux/amd64", "linux/arm64"}
    expect("the library within Python", {"initialized": True, "same types": same}, facts["library"])


@pytest.mark.variant("full")
def test_has_compilers(expect, facts):
    """What extensions are built with is there."""
    names = {path.rpartition("/")[2] for path in facts["compilers"]}
    wanted = {"cc", "gcc", "g++", "ld", "make", "pkg-config"}
    expect("commands to build with", sorted(wanted), sorted(wanted & names))


@without_compilers
def test_no_compiler_commands(expect_none, facts):
    """No command on PATH builds programs; BusyBox's `ar` does not either."""
    found = [path for path in facts["compilers"] if not path.startswith("/busybox/")]
    expect_none("compilers or build tools on PATH", found)


@without_compilers
def test_no_compiler_packages(expect_none, facts):
    """No package is for building programs."""
    expect_none("packages for building programs", known.builders(facts["packages"]))


@without_compilers
def test_no_headers(expect_none, facts):
    """No system headers are there; Python's own stay, as in the official images."""
    expect_none("headers below /usr/include", facts["tree"]["headers"])


def test_packages(expect_none, case, image, facts):
    """The packages that the matrix asks for are installed."""
    asked = known.packages(image, case.platform)
    expect_none("package of the matrix that is not installed", asked - set(facts["packages"]))


@system
def test_pins(expect, image, facts):
    """Pip lists the versions that the release pins."""
    pins = image.release.pins or {}
    expect("pinned versions", pins, {name: facts["pinned"].get(name, "none") for name in pins})


def test_modules(expect_none, facts):
    """Every extension module of the standard library imports, and none is missing."""
    expect_none("modules that fail to import", [f"{name} ({why})" for name, why in facts["modules"]["failed"].items()])


@pytest.mark.variant("full")
def test_tkinter(expect, facts):
    """Tk is in the full image."""
    expect("version of Tcl", "8.6", facts["tk"][:3])


@without_compilers
def test_left_out_modules(expect, expect_none, facts):
    """What needs Tk, and with it X11, is in the full image only; distroless images leave out more."""
    expect_none("modules that should be left out", facts["present"])
    expect("`import tkinter`", "ModuleNotFoundError: No module named 'tkinter'", facts["tk"])


def test_no_test_modules(expect_none, facts):
    """CPython's own tests are not in the image, neither its folders nor its extension modules."""
    names = [name for name in facts["modules"]["found"] if re.match("_test|_xxtest|_ctypes_test", name)]
    # Packages of the index may bring theirs.
    folders = [path for path in facts["tree"]["test_folders"] if "/site-packages/" not in path]
    expect_none("tests of CPython", [*folders, *names])


def test_shared_libraries(expect_none, facts):
    """Every program and library finds the libraries that it needs."""
    missing = facts["unresolved"]["missing"]
    expect_none("missing shared libraries", [f"{', '.join(names)} (for {path})" for path, names in missing.items()])


def test_sqlite(expect, facts):
    """A database works, and extensions can be loaded into it."""
    expect("rows of a database", [3, "\u00e9"], facts["sqlite"])


def test_ssl(expect, facts):
    """TLS 1.2 and 1.3 work, servers are verified, and public authorities are trusted."""
    found = facts["tls"]
    expect("TLS 1.2, TLS 1.3, servers verified", [True] * 3, [found[key] for key in ("tls12", "tls13", "verified")])
    expect("at least 100 trusted authorities", True, found["authorities"] >= 100 or found["authorities"])


def test_zoneinfo(expect, facts):
    """Time zones are known."""
    expect("hours from UTC in Berlin in summer", 2, facts["zones"]["hours"])
    expect("at least 400 time zones", True, facts["zones"]["count"] >= 400 or facts["zones"]["count"])


def test_utf8(expect, facts):
    """Text, file names and output are UTF-8."""
    expect("encodings of files, names and output", ["utf-8"], facts["text"]["encodings"])
    expect("a file name outside of ASCII is kept", True, facts["text"]["kept"])


def test_services(expect, facts):
    """Network services are known by name."""
    expect("port of https", 443, facts["services"])


def test_thread_stack(expect, facts):
    """A thread recurses down to Python's own limit before its stack ends."""
    expect("recursion limit reached in a thread", 1000, facts["thread_stack"])


def test_bytecode(expect, expect_none, case, facts):
    """Every module has bytecode that is loaded without a look at its source; pip's have none with gzip layers."""
    found = facts["bytecode"]
    pip = [path for path in found["missing"] if "/site-packages/pip/" in path]
    expect("pip has bytecode", not case.lean, not pip)
    assert found["count"] > 500, f"expected a whole standard library, found {found['count']} modules"
    expect_none("modules without bytecode", sorted({*found["missing"]} - {*pip}))
    expect_none("modules whose bytecode is not `unchecked-hash`", found["other"])
    expect_none("modules whose bytecode names another source", found["misnamed"])


def test_bytecode_used(expect, expect_none, facts):
    """Imports of the standard library compile nothing."""
    expect_none("modules that are compiled when imported", facts["compiled"]["fresh"])
    expect("modules were loaded from bytecode", True, facts["compiled"]["cached"] > 50)


def test_no_static_libraries(expect_none, image, facts):
    """No static library or object file is there; in full images, none of Python's own."""
    found = facts["tree"]["archives"] + facts["tree"]["objects"]
    if image.variant == "full":
        found = [path for path in found if path.startswith("/usr/local/")]
    expect_none("static libraries", found)


def test_no_secrets(expect_none, facts):
    """No file is a credential or holds an address of the network that the image was built on."""
    expect_none("secrets", facts["tree"]["secrets"])


def test_no_foreign_certificates(expect, facts):
    """No authority is trusted beside the distribution's own."""
    expect("certificates that are in no package", 0, facts["foreign_certificates"])


def test_environment(expect, image, config):
    """The environment is exactly this, so that nothing of a build machine is in it."""
    expect("environment", known.environment(image), dict(pair.split("=", 1) for pair in config.get("Env") or []))


def test_history(expect_none, subject):
    """The recorded commands hold no address of the network that the image was built on."""
    from tests.images.subject import needles

    found = [needle for needle in needles() if needle in subject.history]
    # The address itself may hold a password, which must not get into a report.
    expect_none("addresses of this network in the history", [f"{len(needle)} characters" for needle in found])


def test_no_world_writable(expect_none, facts):
    """Nobody can change files of others."""
    expect_none("files or folders that everyone can write to", facts["tree"]["writable"])


def test_no_new_setuid(expect_none, image, facts):
    """No file runs with other rights than the distribution's own do."""
    expect_none("setuid or setgid files beyond the base's", set(facts["tree"]["setuid"]) - known.setuid(image))


def test_no_leftovers(expect_none, facts):
    """Package lists, caches, logs and build folders are gone."""
    expect_none("leftovers of the build", facts["tree"]["leftovers"])


def test_command(expect, image, config):
    """`docker run IMAGE` starts Python, or the package's command on its port, and so does nothing else."""
    defaults = {"Entrypoint": None, "ExposedPorts": None, "User": "", "Volumes": None, "WorkingDir": "/"}
    found = {key: config.get(key) or default for key, default in {**defaults, "Cmd": None}.items()}
    expect("how it is run", {**defaults, **known.command(image)}, found)


def test_user(expect, image, installs):
    """The user is root, as in the official images, or one without rights, where a package serves."""
    expect("user id, home and folder", known.user(image), installs["user"])


def test_labels(expect, case, config, record):
    """The labels are the matrix's, with the base's digest and the revision."""
    found = config.get("Labels") or {}
    expect("labels", case.labels, {name: value for name, value in found.items() if name in case.labels})
    expect("further labels", [], sorted(set(found) - set(case.labels) - known.BUILD_LABELS))
    base = found.get("org.opencontainers.image.base.digest", "none")
    expect("base digest is a digest", True, bool(re.fullmatch("sha256:[0-9a-f]{64}", base)) or base)
    if record:
        expect("label of a quick build", record.quick, found.get("io.kiln.quick") == "true")
        plain = not record.quick and not record.profile_guided
        expect("label of one that is not profile-guided", plain, found.get("io.kiln.profile-guided") == "false")
    revision = found.get("org.opencontainers.image.revision", "0" * 40)
    expect("revision is a commit", True, bool(re.fullmatch("[0-9a-f]{40,64}(-dirty)?", revision)) or revision)


def test_platform(expect, case, subject):
    """The image says that it is for the platform that it was built for."""
    told = "/".join(word for word in (subject.config["Os"], subject.config["Architecture"]) if word)
    expect("platform", "/".join(case.platform.split("/")[:2]), told)


def test_size(case, record, image):
    """What is pulled keeps within the target's budget."""
    if record is None:
        pytest.skip(f"{case.id}: only a build records the size to pull")
    budget, size = known.budget(image), record.size / 1e6
    if budget is not None:
        assert size <= budget, f"{case.id}: size: expected at most {budget} MB to pull, found {size:.1f} MB"


def test_distribution(expect, image, facts):
    """The system is the target's."""
    told = facts["system"]["release"]
    expect("distribution", image.target.distribution, told["ID"])
    names = [told.get("VERSION_CODENAME", ""), ".".join(told["VERSION_ID"].split(".")[:2])]
    expect(f"release {image.target.release} of it", True, image.target.release in names or names)


@system
def test_shell(expect, host):
    """A shell is there; also an example of testinfra's `host`, one `docker exec` a question."""
    expect("output of a shell", "3", host.check_output("echo $((1 + 2))"))
