"""The user's network reaches builds as secrets, and only what holds elsewhere."""

import pytest

from kiln import network, paths


@pytest.fixture(autouse=True)
def _environment(monkeypatch, tmp_path):
    for name in ("http_proxy", "https_proxy", "no_proxy", "ftp_proxy"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "ca.crt"))
    (tmp_path / "ca.crt").write_text("certificates")


def test_secrets_are_files_only_the_user_reads(monkeypatch, tmp_path):
    """Proxies go to apt's form and to a shell's; the bundle is the user's own."""
    monkeypatch.setenv("HTTPS_PROXY", "http://me:it's@proxy.example.org:3128")
    secrets = network.secrets()
    assert secrets["ca.crt"] == str(tmp_path / "ca.crt")
    apt = paths.home() / "network" / "apt.conf"
    assert apt.read_text().splitlines() == [
        'Acquire::https::CAInfo "/run/kiln/ca.crt";',
        'Acquire::https::Proxy "http://me:it\'s@proxy.example.org:3128";',
    ]
    assert apt.stat().st_mode & 0o777 == 0o600
    shell = (paths.home() / "network" / "proxy.env").read_text()
    assert shell == "export https_proxy='http://me:it'\"'\"'s@proxy.example.org:3128'\n"


def test_pip_configuration_that_holds_elsewhere():
    """Indexes and time limits go along; folders and file URLs do not exist in a container."""
    listed = (
        "global.index-url='https://index.example.org/simple'\n"
        "global.extra-index-url='file:///opt/x https://more.example.org/simple'\n"
        "global.find-links='/opt/wheels'\nglobal.cert='/etc/ca'\n:env:.timeout='9'\n"
    )
    settings = network.pip_settings(listed)
    assert settings == {
        "index-url": "https://index.example.org/simple",
        "extra-index-url": "https://more.example.org/simple",
        "timeout": "9",
    }
    assert "index-url = https://index.example.org/simple" in network.pip_conf(settings)
