"""Platforms beside the engine's own: which node of a builder gets them, and whether it runs them."""

from collections.abc import Iterable, Sequence

from msgspec import Struct

from kiln import emulation, process, stages
from kiln.engine import Engine, native_platform
from kiln.errors import EngineError
from kiln.model import Target

# What a machine of one platform runs of another without an emulator.
_ALIKE = {"linux/amd64": ("linux/386",), "linux/arm64": ("linux/arm/v7", "linux/arm/v6", "linux/arm/v5")}


class Node(Struct, frozen=True, kw_only=True):
    """One machine of a buildx builder."""

    name: str
    platforms: tuple[str, ...]
    """What it runs, its own first, emulated ones included."""
    chosen: tuple[str, ...] = ()
    """What it was made for: `buildx create --platform`."""

    def native(self, platform: str) -> bool:
        """Tell whether it runs a platform without an emulator; what it was made for counts as its own."""
        own = self.chosen or self.platforms[:1]
        return platform in own or any(platform in _ALIKE.get(one, ()) for one in own)


def nodes(text: str) -> list[Node]:
    """Return the nodes in the output of `buildx inspect`; those that are down have no platforms and are left out."""
    found = []
    name = ""
    for line in text.splitlines():
        key, _, value = line.partition(":")
        if key == "Name":
            name = value.strip()
        elif key == "Platforms":
            # A star marks what the node was made for; newer versions count variants in brackets.
            words = [word.split()[0] for word in value.split(",") if word.strip()]
            platforms = dict.fromkeys(word.rstrip("*") for word in words)
            chosen = tuple(word.rstrip("*") for word in words if word.endswith("*"))
            found.append(Node(name=name, platforms=tuple(platforms), chosen=chosen))
    return [node for node in found if node.platforms]


def node_for(found: Iterable[Node], platform: str) -> Node | None:
    """Return the node that buildx gives a platform to: one that was made for it, else the first that runs it."""
    able = [node for node in found if platform in node.platforms]
    return next((node for node in able if platform in node.chosen), able[0] if able else None)


def toolchain(target: Target, platform: str, found: Sequence[Node]) -> str:
    """Return the platform that compiles for another one; empty where it compiles itself, natively or emulated."""
    # Without an emulator yet, the first node is the one that gets it.
    node = node_for(found, platform) or next(iter(found), None)
    if node is None or node.native(platform):
        return ""
    own = node.platforms[0]
    return own if stages.crossable(target, platform, own) else ""


def how(target: Target, platform: str, found: Sequence[Node]) -> str:
    """Return how a target is compiled for a platform: `native`, `cross` or `emulated`."""
    node = node_for(found, platform)
    if node is not None and node.native(platform):
        return "native"
    return "cross" if toolchain(target, platform, found) else "emulated"


def known(engine: Engine | None) -> list[Node]:
    """Return the nodes of the builder in use; where there is no engine, the one that would be brought."""
    if engine:
        return inspect(engine)
    own = native_platform()
    return [Node(name="private", platforms=(own,))]


def inspect(engine: Engine, builder: str = "") -> list[Node]:
    """Return the nodes of a builder, or of the one in use, as they are now."""
    return nodes(process.run(engine.buildx("inspect", *([builder] if builder else [])), env=engine.env))


def ready(platforms: Iterable[str], engine: Engine, builder: str = "") -> dict[str, str]:
    """Make a builder run platforms, with emulators where it has no node for them; return why it cannot, by platform.

    Windows images are assembled without running anything.
    """
    wanted = [name for name in platforms if name.startswith("linux/") and name != engine.platform]
    found = inspect(engine, builder) if wanted else []
    lacking = [name for name in wanted if not node_for(found, name)]
    reasons = {}
    for name in lacking:
        try:
            emulation.bring([name])
        except EngineError as error:
            reasons[name] = str(error)
    if len(lacking) > len(reasons):
        found = inspect(engine, builder)
    for name in lacking:
        if name not in reasons and not node_for(found, name):
            reasons[name] = (
                f"the engine cannot run {name}, though emulation is set up on this machine; is it on another one? "
                "Install qemu-user-static there, or give the builder a node for it"
            )
    return reasons
