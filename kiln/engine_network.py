"""The private engine's bridge: an address range of its own, and the rules that lead out of it.

dockerd is told to keep its hands off iptables: it would empty chains that another engine on
the same host uses. Everything that is added here carries the engine's name, so that it is found and
removed even if the engine's folder is gone.
"""

import ipaddress
import shlex
import socket
import struct
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from kiln import paths, process
from kiln.errors import CommandError, EngineError

ROUTES = Path("/proc/net/route")
FORWARD = Path("/proc/sys/net/ipv4/ip_forward")
# The range for benchmarks (RFC 2544) is hardly ever routed; the private ones often are.
_POOLS = ("198.18.0.0/15", "10.0.0.0/8", "172.16.0.0/12")
_PREFIX = 20
_IPTABLES = ("iptables", "iptables-legacy")
_WAS_OFF = ", forwarding was off"
"""In the rules' comments, where a later start finds it."""


class Network(msgspec.Struct, frozen=True, kw_only=True):
    """What the host gets for one private engine."""

    bridge: str
    subnet: str
    """Everything in use: the bridge has the lower half, networks of the user's the upper."""
    forwarding: bool
    """Whether the host forwarded packets before."""
    iptables: str
    """The program that this kernel understands."""

    @property
    def halves(self) -> tuple[ipaddress.IPv4Network, ipaddress.IPv4Network]:
        """Return the bridge's own range and the pool for further networks."""
        lower, upper = ipaddress.IPv4Network(self.subnet).subnets()
        return lower, upper

    @property
    def gateway(self) -> str:
        """Return the bridge's address with its prefix length."""
        lower = self.halves[0]
        return f"{lower[1]}/{lower.prefixlen}"


def taken(routes: str) -> list[ipaddress.IPv4Network]:
    """Return the ranges in the kernel's table of routes, without the default route (0/0)."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    ranges = [(_address(row[1]), _address(row[7])) for row in rows if len(row) > 7]
    return [ipaddress.IPv4Network(f"{address}/{mask}") for address, mask in ranges if address != mask]


def choose(name: str, used: Sequence[ipaddress.IPv4Network]) -> str:
    """Return a range that overlaps none in use; `name` decides where the search starts."""
    for candidate in _candidates(int(name[-8:], 16)):
        if not any(candidate.overlaps(other) for other in used):
            return str(candidate)
    raise EngineError("ip route: no free address range for the private engine's bridge; remove some routes")


def up(root: Path, name: str, record: Path) -> Network:
    """Make the bridge and its rules, and write down what was made."""
    network = Network(
        bridge=name,
        subnet=choose(name, taken(ROUTES.read_text(encoding="ascii"))),
        forwarding=FORWARD.read_text(encoding="ascii").strip() == "1",
        iptables=_iptables(root),
    )
    paths.write_whole(record, msgspec.json.encode(network))
    try:
        _run(root, "ip", "link", "add", name, "type", "bridge")
        _run(root, "ip", "address", "add", network.gateway, "dev", name)
        _run(root, "ip", "link", "set", name, "up")
        if not network.forwarding:
            FORWARD.write_text("1", encoding="ascii")
        for rule in rules(network):
            _run(root, network.iptables, "--wait", *rule[:2], "--insert", *rule[2:])
    except (CommandError, OSError) as error:
        down(root, name, record)
        raise EngineError(f"{name}: cannot make the private engine's bridge; {error}") from error
    return network


def down(root: Path | None, name: str, record: Path) -> None:
    """Remove what `up` made for an engine of this name, with or without the record of it.

    `root` has the programs for it; the host's own are used if it is None.
    """
    found = [*_recorded(record), *_left(root, name)]
    for network in found:
        for rule in rules(network):
            while _tried(root, network.iptables, "--wait", *rule[:2], "--delete", *rule[2:]):
                pass
        for bridge in _bridges(root, network):
            _tried(root, "ip", "link", "delete", bridge)
    # Without a bridge this is a later boot, whose settings are not the recorded ones.
    there = [_tried(root, "ip", "link", "delete", bridge) for bridge in {name, *(one.bridge for one in found)}]
    if any(there) and any(not one.forwarding for one in found) and not _has_bridges():
        FORWARD.write_text("0", encoding="ascii")
    record.unlink(missing_ok=True)


def exists(name: str) -> bool:
    """Tell whether the host has a bridge of this name."""
    return Path("/sys/class/net", name).exists()


def saved(text: str, name: str, iptables: str) -> list[Network]:
    """Return the networks of an engine's name in what `iptables-save` prints, each once."""
    found = {}
    for line in text.splitlines():
        words = shlex.split(line) if name in line else []
        if "MASQUERADE" in words and "-s" in words and "--comment" in words:
            comment, subnet = words[words.index("--comment") + 1], words[words.index("-s") + 1]
            if comment in {name, name + _WAS_OFF}:
                found[subnet] = Network(bridge=name, subnet=subnet, forwarding=comment == name, iptables=iptables)
    return list(found.values())


def rules(network: Network) -> list[list[str]]:
    """Return the rules, each as table option, table, chain and the rest."""
    subnet = network.subnet
    mark = ["-m", "comment", "--comment", network.bridge + ("" if network.forwarding else _WAS_OFF)]
    back = ["-m", "conntrack", "--ctstate", "RELATED,ESTABLISHED"]
    return [
        ["-t", "nat", "POSTROUTING", "-s", subnet, "!", "-d", subnet, *mark, "-j", "MASQUERADE"],
        ["-t", "filter", "FORWARD", "-s", subnet, *mark, "-j", "ACCEPT"],
        ["-t", "filter", "FORWARD", "-d", subnet, *back, *mark, "-j", "ACCEPT"],
    ]


def _candidates(start: int) -> Iterator[ipaddress.IPv4Network]:
    """Yield every range to try, pool by pool, from a place in it that `start` decides."""
    for pool in map(ipaddress.IPv4Network, _POOLS):
        count = 2 ** (_PREFIX - pool.prefixlen)
        for offset in range(count):
            index = (start + offset) % count
            yield ipaddress.IPv4Network((int(pool[0]) + index * 2 ** (32 - _PREFIX), _PREFIX))


def _recorded(record: Path) -> list[Network]:
    """Return the network that a record holds, if it can be read."""
    try:
        return [msgspec.json.decode(record.read_bytes(), type=Network)]
    except (OSError, msgspec.MsgspecError):
        return []


def _left(root: Path | None, name: str) -> list[Network]:
    """Return the networks of an engine's name that the host's rules show."""
    found = []
    for program in _IPTABLES:
        try:
            found += saved(_run(root, f"{program}-save"), name, program)
        except CommandError:
            # The kernel lacks what this one speaks to, or the host has no such program.
            continue
    return found


def _bridges(root: Path | None, network: Network) -> list[str]:
    """Return the further bridges in a network's range, of the user's networks; dockerd leaves them."""
    try:
        lines = _run(root, "ip", "-oneline", "-4", "address").splitlines()
    except CommandError:
        return []
    rows = [line.split() for line in lines]
    subnet = ipaddress.IPv4Network(network.subnet)
    inside = [row[1] for row in rows if ipaddress.IPv4Interface(row[3]).ip in subnet]
    return [bridge for bridge in inside if bridge != network.bridge]


def _iptables(root: Path) -> str:
    """Return the iptables that works with this kernel: older ones lack nf_tables."""
    works = (name for name in _IPTABLES if _tried(root, name, "-t", "nat", "-S"))
    return next(works, "iptables")


def _has_bridges() -> bool:
    """Tell whether other engines or virtual machines on this host need forwarding."""
    return any((path / "bridge").is_dir() for path in Path("/sys/class/net").iterdir())


def _address(little_endian: str) -> str:
    return socket.inet_ntoa(struct.pack("<L", int(little_endian, 16)))


def _run(root: Path | None, *args: str) -> str:
    # The programs of the root file system come first, because the host may have none.
    command = ["chroot", str(root), *args] if root else args
    return process.run(command, env={"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"})


def _tried(root: Path | None, *args: str) -> bool:
    try:
        _run(root, *args)
    except CommandError:
        return False
    return True
