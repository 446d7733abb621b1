"""The edits of maintainers and of forks, each derived from the family that the checkout has today."""

import copy
import fnmatch
import hashlib
import json
import shutil

from msgspec import UNSET, structs
from packaging.version import Version

from kiln import catalog, update_plan
from kiln.model import Artifact, Release
from tests.clone import ROOT
from tests.fork.checkout import Checkout


def next_releases(clone: Checkout) -> None:
    """Put the next release in place of the newest of each series, as `invoke update` writes it."""
    family = catalog.load(clone.versions)
    for old in _newest(family.releases):
        new = _successor(old)
        family = update_plan.replace(family, old, new, new.version).catalog
    clone.versions.write_text(catalog.dumps(family), encoding="utf-8")


def _newest(releases: list[Release]) -> list[Release]:
    return list({one.series: one for one in sorted(releases, key=lambda one: one.parsed)}.values())


def _successor(old: Release) -> Release:
    """Return the next release of a series: 3.13.6 after 3.13.5, 3.15.0rc2 after 3.15.0rc1."""
    found = old.parsed
    version = (
        f"{found.base_version}{found.pre[0]}{found.pre[1] + 1}" if found.pre else f"{old.series}.{found.micro + 1}"
    )
    digest = hashlib.sha256(version.encode()).hexdigest()
    installer = f"python-{version}-amd64.exe"
    return structs.replace(
        old, version=version, released="2026-12-01",
        artifacts=[Artifact(file=f"Python-{version}.tar.xz", sha256=digest)],
        windows=Artifact(file=installer, sha256=digest[::-1]) if old.windows else UNSET,
    )  # fmt: skip


def new_target(clone: Checkout) -> None:
    """Add the next release of the first target's distribution, pasted from it, to all releases and packages."""
    family = clone.read()
    old = _first_target(family)
    name = next(one for one in ("forky", "duke", "sid") if one not in family["targets"])
    target = copy.deepcopy(family["targets"][old])
    image = target["base"]["image"].rpartition(":")[0] or target["base"]["image"]
    target |= {"release": name, "title": f"The next one ({name})", "prerelease": True}
    target["base"] = {"image": f"{image}:{name}", "platforms": target["base"]["platforms"]}
    family["targets"][name] = target
    for one in (*family["releases"], *family.get("packages", {}).values()):
        if old in one["targets"]:
            one["targets"].append(name)
    clone.write(family)


def fork(clone: Checkout) -> None:
    """Have another registry, one target, two releases and no packages, by the commands of the README's "Fork it"."""
    clone.run("invoke", "fork", "registry.example.org/acme/pythons", "--vendor", "Acme")
    clone.commit()
    family = clone.read()
    target = _first_target(family)
    having = [one["version"] for one in family["releases"] if target in one["targets"]]
    others = [one["version"] for one in family["releases"] if one["version"] not in having[:2]]
    for kind, names in (
        (["package"], list(family.get("packages", {}))),
        ([], others),
        (["target"], [name for name in family["targets"] if name != target]),
    ):
        if names:
            clone.run("invoke", "drop", *kind, *names)


def only_alpine(clone: Checkout) -> None:
    """Have Alpine alone: where the family has none, the one of the tests."""
    family = clone.read()
    names = [name for name, target in family["targets"].items() if target["distribution"] == "alpine"]
    if not names:
        wide = json.loads((ROOT / "tests/families/wide/versions.json").read_text("utf-8"))
        names = ["alpine3.24"]
        family["targets"] |= {name: wide["targets"][name] for name in names}
        family["variants"] |= {"slim": wide["variants"]["slim"]}
        for one in (*family["releases"], *family.get("packages", {}).values()):
            one |= {"targets": list(names)}
        for package in family.get("packages", {}).values():
            package["variants"] = ["slim"]
    _keep_targets(family, names)
    _settle_packages(clone, family)
    clone.write(family)


def one_variant(clone: Checkout) -> None:
    """Have one variant alone, `slim` where there is one."""
    family = clone.read()
    only = "slim" if "slim" in family["variants"] else next(iter(family["variants"]))
    family["variants"] = {only: family["variants"][only]}
    for target in family["targets"].values():
        target["variants"] = {name: one for name, one in target["variants"].items() if name == only}
        target["default_variant"] = only
    _keep_targets(family, [name for name, target in family["targets"].items() if target["variants"]])
    for package in family.get("packages", {}).values():
        package["variants"] = [one for one in package["variants"] if one == only]
    _settle_packages(clone, family)
    clone.write(family)


def renamed(clone: Checkout) -> None:
    """Give everything that has a name another one: registry, repository, labels, targets and packages."""
    family = clone.read()
    family |= {"registry": "registry.example.org:5000", "repository": "acme/languages/snake"}
    family["labels"] = {"org.opencontainers.image.vendor": "Acme", "org.example.team": "images"}
    for variant in family["variants"].values():
        variant["description"] = "What we call it here"
    targets = {name: f"acme-{number}" for number, name in enumerate(family["targets"], 1)}
    family["targets"] = {targets[name]: target for name, target in family["targets"].items()}
    for number, target in enumerate(family["targets"].values(), 1):
        target["title"] = f"System {number}"
    packages = {name: f"acme-{name}" for name in family.get("packages", {})}
    if packages:
        family["packages"] = {packages[name]: package for name, package in family["packages"].items()}
    for one in (*family["releases"], *family.get("packages", {}).values()):
        one["targets"] = [targets[name] for name in one["targets"]]
    if "default_targets" in family:
        family["default_targets"] = {series: targets[name] for series, name in family["default_targets"].items()}
    family["exclusions"] = [
        {**rule, **({"target": targets[name]} if "target" in rule else {})}
        for rule in family["exclusions"]
        for name in (fnmatch.filter(targets, rule["target"]) if "target" in rule else [""])
    ]
    for old, new in packages.items():
        if (clone.folder / "packages" / old).is_dir():
            (clone.folder / "packages" / old).rename(clone.folder / "packages" / new)
    clone.write(family)


def settings(clone: Checkout) -> None:
    """Change what docs/maintaining.md says is one edit: default variant, labels, an exclusion, pins, gzip layers."""
    family = clone.read()
    for target in family["targets"].values():
        target["default_variant"] = list(target["variants"])[-1]
    family["labels"] = {"org.opencontainers.image.vendor": "Acme", "org.example.cost-centre": "4711"}
    family["compression"] = {"algorithm": "gzip", "level": 12}
    first = family["releases"][0]
    first["pins"] = {"pip": "25.0"}
    last = list(family["targets"])[-1]
    if len(first["targets"]) > 1 and last in first["targets"]:
        family["exclusions"].append({"release": first["version"], "target": last, "reason": "Nobody asks for it"})
    clone.write(family)


def smallest(clone: Checkout) -> None:
    """Have one of everything: the last release on its last target, in one variant on one platform, without results."""
    family = clone.read()
    release = family["releases"][-1]
    _keep_targets(family, release["targets"][-1:])
    _drop_packages(clone, family)
    _keep_releases(family, [one for one in family["releases"] if one["version"] == release["version"]])
    family["releases"][0]["flavours"] = family["releases"][0]["flavours"][:1]
    (target,) = family["targets"].values()
    target["variants"] = {target["default_variant"]: {}}
    target["platforms"] = target["platforms"][:1]
    family["variants"] = {target["default_variant"]: family["variants"][target["default_variant"]]}
    family |= {"exclusions": [], "labels": {}}
    for name in ("results.json", "benchmarks/results.json", "benchmarks/results.svg"):
        (clone.folder / name).unlink(missing_ok=True)
    clone.write(family)


def _first_target(family: dict) -> str:
    """Return the target that most people get: the first of the newest release that nobody has to license."""
    names = max(family["releases"], key=lambda one: Version(one["version"]))["targets"]
    return next((name for name in names if family["targets"][name]["distribution"] != "windows"), names[0])


def _keep_targets(family: dict, names: list[str]) -> None:
    """Drop the other targets, and what is left without any."""
    family["targets"] = {name: target for name, target in family["targets"].items() if name in names}
    for one in (*family["releases"], *family.get("packages", {}).values()):
        one["targets"] = [name for name in one["targets"] if name in names]
    _keep_releases(family, [one for one in family["releases"] if one["targets"]])


def _keep_releases(family: dict, releases: list[dict]) -> None:
    """Drop the other releases, and settings that name them."""
    family["releases"] = releases
    series = {".".join(one["version"].split(".")[:2]): one["targets"] for one in releases}
    defaults = family.pop("default_targets", {})
    if kept := {name: target for name, target in defaults.items() if target in series.get(name, [])}:
        family["default_targets"] = kept
    if family.get("latest") not in series:
        family.pop("latest", None)


def _settle_packages(clone: Checkout, family: dict) -> None:
    """Drop the Pythons that packages have no longer, and the packages that are left without any image."""
    for name, package in list(family.get("packages", {}).items()):
        bases = {}
        for release in family["releases"]:
            targets = [family["targets"][one] for one in release["targets"] if one in package["targets"]]
            if any(set(target["variants"]) & set(package["variants"]) for target in targets):
                found = Version(release["version"])
                series = f"{found.major}.{found.minor}"
                bases |= dict.fromkeys([release["version"], f"{series}-rc" if found.is_prerelease else series])
        package["pythons"] = [python for python in package["pythons"] if python in bases]
        if not package["pythons"]:
            _drop_package(clone, family, name)


def _drop_packages(clone: Checkout, family: dict) -> None:
    for name in list(family.get("packages", {})):
        _drop_package(clone, family, name)


def _drop_package(clone: Checkout, family: dict, name: str) -> None:
    family["packages"].pop(name)
    shutil.rmtree(clone.folder / "packages" / name, ignore_errors=True)
