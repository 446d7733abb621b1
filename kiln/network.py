"""The user's network reaches builds as secrets and test containers as files; nothing of it stays.

Proxies, index URLs and the certificate bundle are this machine's: a company's network may inspect
TLS, and pip inside a plain container then fails with CERTIFICATE_VERIFY_FAILED.
"""

import configparser
import os
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import cache
from io import StringIO
from pathlib import Path

from kiln import paths

_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",  # Debian, Ubuntu, Alpine
    "/etc/pki/tls/certs/ca-bundle.crt",  # Fedora
    "/etc/ssl/cert.pem",  # macOS
)
_PROXIES = ("http_proxy", "https_proxy", "ftp_proxy", "no_proxy")
_PIP = ("index-url", "extra-index-url", "trusted-host", "proxy", "timeout", "retries")


def bundle() -> Path | None:
    """Return the certificate bundle that this machine's programs trust."""
    named = [os.environ.get(name) for name in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")]
    found = (Path(name) for name in (*named, *_BUNDLES) if name)
    return next((path for path in found if path.is_file()), None)


def proxies() -> dict[str, str]:
    """Return the proxies of the environment by their lower-case variable."""
    values = {name: os.environ.get(name) or os.environ.get(name.upper()) for name in _PROXIES}
    return {name: value for name, value in values.items() if value}


def secrets(*, pip: bool = False) -> dict[str, str]:
    """Return the files that builds see as BuildKit secrets, by id; pip's configuration only where it is needed.

    Their content is no part of BuildKit's cache keys: another network compiles nothing again.
    """
    folder = paths.folder("network")
    files = {"apt.conf": _apt_conf(proxies()), "proxy.env": _proxy_env(proxies())}
    if pip:
        files["pip.conf"] = pip_conf()
    for name, text in files.items():
        paths.write_whole(folder / name, text, mode=0o600)
    found = {name: str(folder / name) for name in files}
    trusted = bundle()
    return {**found, "ca.crt": str(trusted)} if trusted else found


def _apt_conf(found: Mapping[str, str]) -> str:
    trust = ['Acquire::https::CAInfo "/run/kiln/ca.crt";'] if bundle() else []
    named = ((name, found.get(f"{name}_proxy")) for name in ("http", "https"))
    lines = trust + [f'Acquire::{name}::Proxy "{value}";' for name, value in named if value]
    return "".join(f"{line}\n" for line in lines)


def _proxy_env(found: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in found.items())


def pip_conf(settings: Mapping[str, str] | None = None) -> str:
    """Return a pip configuration with this machine's index and network, or with the given settings."""
    config = configparser.RawConfigParser()
    config["global"] = {**(pip_list() if settings is None else settings), "disable-pip-version-check": "true"}
    text = StringIO()
    config.write(text)
    return text.getvalue()


@cache
def pip_list() -> dict[str, str]:
    """Return what this machine's pip is told of index and network; it may hold credentials."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "list"], capture_output=True, text=True, check=False)
    return pip_settings(done.stdout)


def pip_settings(listed: str) -> dict[str, str]:
    """Return what of `pip config list` holds elsewhere: index and network.

    Folders and file URLs are left out, for a container does not have them.
    """
    settings: dict[str, str] = {}
    # In pip's own order of precedence, lowest first: `global.index-url='...'`, `:env:.index-url='...'`.
    for line in listed.splitlines():
        key, _, value = line.partition("=")
        name = key.rpartition(".")[2]
        words = [word for word in value.strip("'").replace("\\n", " ").split() if not word.startswith(("file:", "/"))]
        if name in _PIP and words:
            settings[name] = "\n".join(words)
    return settings
