"""A plan of builds, in few words for people and as one document for machines."""

import json
from collections.abc import Iterable, Sequence, Sized

from kiln import columns
from kiln.bake import Build
from kiln.plan import Resolved, Wanted


def text(resolved: Sequence[Resolved], width: int | None = None) -> str:
    """Return a plan to fit a width: the images that share a compile together, with where their parts come from."""
    groups: dict[tuple[str, str, str], list[Build]] = {}
    for one in resolved:
        groups.setdefault((one.build.compile_target, one.base, one.source), []).append(one.build)
    compiles = {one.build.compile_target for one in resolved}
    lines = [f"plan: {_count(resolved, 'build')}, {_count(compiles, 'compile')}"]
    for (target, base, source), builds in groups.items():
        image = builds[0].image
        title = f"{image.python} on {image.target_name}, {builds[0].platform}: {_count(builds, 'image')}, {target}"
        lines += [f"  {title}", f"    base: {base}", f"    sources: {source}", f"    {' '.join(_names(builds))}"]
    return "\n".join(columns.fill(line, width, indent=" " * (6 if line.startswith("    ") else 4)) for line in lines)


def not_built(failed: Iterable[tuple[Wanted, str]], width: int | None = None) -> str:
    """Return a line for each release and reason why builds of it cannot be made."""
    groups: dict[tuple[str, str], list[Wanted]] = {}
    for one, reason in failed:
        groups.setdefault((one.image.python, reason.removeprefix(f"{one.image.id}: ")), []).append(one)
    lines = [
        f"  not built: {builds[0].name if len(builds) == 1 else f'{len(builds)} builds of {python}'}: {reason}"
        for (python, reason), builds in groups.items()
    ]
    return "\n".join(columns.fill(line, width, indent=" " * 4) for line in lines)


def document(
    resolved: Iterable[Resolved],
    failed: Iterable[tuple[Wanted, str]],
    artifacts: Iterable[str],
    definition: str,
    *,
    push: bool,
) -> str:
    """Return a plan as JSON: its builds, those that cannot be made, what is kept, and bake's definition."""
    return json.dumps(
        {
            "plan": [_build(one) for one in resolved],
            "not_built": [{"id": one.image.id, "platform": one.platform, "reason": reason} for one, reason in failed],
            "artifacts": list(artifacts),
            "push": push,
            "definition": json.loads(definition),
        },
        indent=2,
    )


def _build(one: Resolved) -> dict[str, object]:
    build = one.build
    return {
        "id": build.image.id, "platform": build.platform, "repository": build.repository,
        "tags": list(build.image.tags), "target": build.target, "compile": build.compile_target,
        "base": one.base, "source": one.source, "quick": build.quick,
    }  # fmt: skip


def _names(builds: Iterable[Build]) -> list[str]:
    """Return the ids of images; of several versions of one package as a shell would expand them."""
    versions: dict[str, list[str]] = {}
    for build in builds:
        installed = build.image.installed
        stem = build.image.id.removesuffix(installed.version) if installed else build.image.id
        versions.setdefault(stem, []).append(installed.version if installed else "")
    return [stem + (found[0] if len(found) == 1 else f"{{{','.join(found)}}}") for stem, found in versions.items()]


def _count(things: Sized, name: str) -> str:
    return f"{len(things)} {name}{'' if len(things) == 1 else 's'}"
