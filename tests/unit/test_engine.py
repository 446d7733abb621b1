"""What is computed around an engine: its platforms, its network, its processes' names."""

import ipaddress
from pathlib import Path

import pytest

from kiln import engine_network, engine_private, engine_root
from kiln.engine import Engine, builder_platforms
from kiln.engine_network import Network
from kiln.engine_status import Status
from kiln.errors import EngineError

ROUTES = """\
Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\t\tMTU\tWindow\tIRTT
eth0\t00000000\t010200C0\t0003\t0\t0\t0\t00000000\t0\t0\t0
eth0\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0
tun0\t000012C6\t00000000\t0001\t0\t0\t0\t0000FEFF\t0\t0\t0
"""
NETWORK = Network(bridge="kiln-0000000a", subnet="198.18.160.0/20", forwarding=True, iptables="iptables")


def stat(pid: int, name: str, state: str, started: int) -> str:
    """Return a line of /proc/PID/stat: the start time is field 22."""
    return f"{pid} ({name}) {state} 1 " + " ".join("0" for _ in range(17)) + f" {started} 0 0\n"


def test_platforms_are_read_from_buildx_once_each():
    """Several nodes may run the same platform; preferred ones carry a star."""
    text = "Name: default\nPlatforms: linux/amd64*, linux/386\n\nName: two\nPlatforms: linux/arm64, linux/amd64\n"
    assert builder_platforms(text) == ["linux/amd64", "linux/386", "linux/arm64"]


def test_platforms_of_a_builder_that_is_down_are_none():
    assert builder_platforms("Name: default\nStatus: inactive\n") == []


def test_routes_are_read_without_the_default_route():
    """The kernel writes addresses in its own byte order."""
    taken = engine_network.taken(ROUTES)
    assert [str(network) for network in taken] == ["192.0.2.0/24", "198.18.0.0/15"]


def test_a_home_keeps_its_range_and_homes_differ():
    one, other = (engine_network.choose(name, []) for name in ("kiln-0000000a", "kiln-0000000b"))
    assert one == engine_network.choose("kiln-0000000a", []) == "198.18.160.0/20"
    assert other == "198.18.176.0/20"


def test_a_range_in_use_is_passed_over():
    """The next free one is taken, in another pool if need be."""
    used = [ipaddress.IPv4Network("198.18.160.0/24")]
    assert engine_network.choose("kiln-0000000a", used) == "198.18.176.0/20"
    used = engine_network.taken(ROUTES)
    assert engine_network.choose("kiln-0000000a", used) == "10.0.160.0/20"


def test_a_host_without_a_free_range_is_an_error():
    everything = [ipaddress.IPv4Network("0.0.0.0/0")]
    with pytest.raises(EngineError, match="no free address range for the private engine's bridge; remove"):
        engine_network.choose("kiln-0000000a", everything)


def test_the_bridge_and_the_users_networks_share_the_range():
    configuration = engine_private.daemon(NETWORK, Path("/home/engine/data"))
    assert NETWORK.gateway == "198.18.160.1/21"
    assert configuration["data-root"] == "/home/engine/data"
    assert configuration["bridge"] == "kiln-0000000a"
    assert configuration["fixed-cidr"] == "198.18.160.0/21"
    assert configuration["default-address-pools"] == [{"base": "198.18.168.0/21", "size": 26}]


def test_every_rule_names_the_bridge_and_touches_its_range_only():
    rules = engine_network.rules(NETWORK)
    assert [rule[:3] for rule in rules] == [
        ["-t", "nat", "POSTROUTING"], ["-t", "filter", "FORWARD"], ["-t", "filter", "FORWARD"],
    ]  # fmt: skip
    assert all({"kiln-0000000a", "198.18.160.0/20"} <= set(rule) for rule in rules)


@pytest.mark.parametrize("forwarding", [True, False])
def test_a_network_is_found_again_by_its_name(forwarding):
    """What iptables-save prints has all that is needed to remove it; other engines' rules are left alone."""
    mine = Network(bridge="kiln-0000000a", subnet="198.18.160.0/20", forwarding=forwarding, iptables="iptables-legacy")
    other = Network(bridge="kiln-0000000b", subnet="198.18.176.0/20", forwarding=True, iptables="iptables")
    lines = ["*nat", ":POSTROUTING ACCEPT [0:0]"]
    for rule in (*engine_network.rules(other), *engine_network.rules(mine)):
        comment = rule.index("--comment") + 1
        rule[comment] = f'"{rule[comment]}"' if " " in rule[comment] else rule[comment]
        lines.append(" ".join(["-A", *rule[2:]]))
    assert engine_network.saved("\n".join(lines), "kiln-0000000a", "iptables-legacy") == [mine]
    assert engine_network.saved("\n".join(lines), "kiln-0000000c", "iptables") == []


@pytest.mark.parametrize("name", ["sh", "a) R 1 (b", "two words"])
def test_a_process_is_known_by_number_and_start(name: str):
    """A program may call itself anything."""
    assert engine_private.identity(stat(42, name, "S", 777)) == (42, 777)


@pytest.mark.parametrize("state", ["Z", "X"])
def test_a_process_that_has_ended_is_none(state: str):
    """It waits for its parent only."""
    with pytest.raises(ValueError, match="has ended"):
        engine_private.identity(stat(42, "sh", state, 777))


def test_a_home_has_one_name_that_fits_an_interface(tmp_path, monkeypatch):
    """Linux takes 15 characters; a link to the home is the same home."""
    home, link = tmp_path / "home", tmp_path / "link"
    home.mkdir()
    link.symlink_to(home)
    names = []
    for path in (home, link, tmp_path):
        monkeypatch.setenv("KILN_HOME", str(path))
        names.append(engine_private.name())
    assert names[0] == names[1] != names[2]
    assert all(len(name) == 13 for name in names)


@pytest.mark.parametrize("record", [None, "", "rubbish", "boot-id-of-another-boot 1 (init) S 1"])
def test_a_stale_record_is_no_engine(tmp_path, monkeypatch, record):
    """What a crash or a reboot leaves behind counts for nothing."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path))
    if record is not None:
        (tmp_path / "engine/run").mkdir(parents=True)
        (tmp_path / "engine/run/init").write_text(record)
    assert engine_private.running() is None


def test_name_servers_are_read_from_a_resolv_conf():
    text = "# comment\nsearch example.org\nnameserver 127.0.0.53\nnameserver ::1\nnameserver\n"
    assert engine_root.name_servers(text) == ["127.0.0.53", "::1"]


def test_an_engine_that_runs_and_answers_no_more_says_how_to_end_it(tmp_path, monkeypatch):
    """Someone may have removed its socket, as cleaners of /tmp do."""
    monkeypatch.setenv("KILN_HOME", str(tmp_path))
    monkeypatch.setattr(engine_private, "running", lambda: 1)
    monkeypatch.setattr(engine_private, "answers", lambda: False)
    monkeypatch.setattr(engine_private, "START_SECONDS", 0)
    with pytest.raises(EngineError, match=r"runs, but does not answer; `invoke engine\.stop` ends it"):
        engine_private.start()


def an_engine(**changes):
    facts = {
        "private": False, "server": "28.2.2", "containerd_store": True, "architecture": "x86_64",
        "client": Path("/a home/docker"), "builder": ("docker", "buildx"),
    }  # fmt: skip
    return Engine(**facts | changes)


def test_what_a_person_types_is_quoted(monkeypatch):
    """A home may have a space in its name."""
    monkeypatch.setattr("shutil.which", lambda _: None)
    found = an_engine(env={"DOCKER_HOST": "unix:///a home/docker.sock"})
    assert found.shell == "DOCKER_HOST='unix:///a home/docker.sock' '/a home/docker'"
    assert an_engine().shell == "'/a home/docker'"
    status = Status(used=found, obstacle="", pid=7, socket=Path("/a home/docker.sock"), log=Path("/log"), made=True)
    assert "the private engine runs (process 7): export DOCKER_HOST='unix:///a home/docker.sock'\n" in str(status)


def test_the_status_names_the_engine_in_use():
    """Beside the state of the private one, which need not be it."""
    private = {"pid": None, "socket": Path("/s"), "log": Path("/log"), "made": False}
    last = "the private engine does not run (it was not made yet); `invoke engine.start` starts it"
    texts = [
        str(Status(used=used, obstacle=obstacle, **private))
        for used, obstacle in ((an_engine(origin="context mine"), ""), (None, "DOCKER_HOST=x: no answer"), (None, ""))
    ]
    assert texts == [
        f"in use: Docker 28.2.2 (context mine), linux/amd64\n{last}",
        f"DOCKER_HOST=x: no answer\n{last}",
        f"no engine answers; the next build starts the private one\n{last}",
    ]
    assert an_engine(private=True).title == "Kiln's private Docker 28.2.2"
