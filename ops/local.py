"""`python -m ops.local`: a private RabbitMQ and Postgres below the data folder, for machines without docker."""

import argparse
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import config
from models.store import embedded
from ops.rabbitmq import RabbitMQ, RabbitMQFailed, is_installed

_POLICY = Path("/usr/sbin/policy-rc.d")


class NotInstalled(Exception):
    """Something is missing that we cannot install on this machine."""


class Need(NamedTuple):
    name: str
    is_met: Callable[[], object]
    packages: tuple[str, ...]  # Debian's


def find_dovecot() -> str | None:
    # On Debian it is in a folder that is only in root's PATH.
    return shutil.which("dovecot", path=f"{os.defpath}:/usr/sbin:/usr/local/sbin:{os.environ.get('PATH', '')}")


def _has_prometheus() -> bool:
    return all(shutil.which(name) for name in ("prometheus", "promtool"))


RABBITMQ = Need("RabbitMQ", is_installed, ("rabbitmq-server",))
# For tests: servers, a browser, and a compiler for the faked clock.
OF_TESTS = (
    RABBITMQ,
    Need("Dovecot", find_dovecot, ("dovecot-core", "dovecot-imapd")),
    Need("Prometheus", _has_prometheus, ("prometheus",)),
    Need("Chromium", lambda: shutil.which("chromium"), ("chromium",)),
    Need("gcc", lambda: shutil.which("gcc"), ("gcc", "libc6-dev")),
)


def start() -> None:
    """Start both unless they run, and print how to use them."""
    _install(RABBITMQ)
    rabbitmq = _rabbitmq()
    rabbitmq.start()
    print(f"export PUNKTUAL_BROKER_URL={rabbitmq.url}")
    print(f"export PUNKTUAL_DATABASE_URL='{embedded.start(_home() / 'postgres')}'")
    print(f"RabbitMQ's own pages: {rabbitmq.pages} (user guest, password guest)", file=sys.stderr)


def stop() -> None:
    _rabbitmq().stop()
    embedded.stop(_home() / "postgres")


def status() -> None:
    rabbitmq = _rabbitmq()
    print(f"rabbitmq  {'running at ' + rabbitmq.url if rabbitmq.is_running() else 'stopped'}")
    print(f"postgres  {'running' if (_home() / 'postgres' / 'postmaster.pid').exists() else 'stopped'}")


def clean() -> None:
    """Stop everything that runs below the data folder, including the embedded Postgres."""
    stop()
    embedded.stop(config.settings().var / "postgres")


def install() -> None:
    """Install everything that the tests need."""
    _install(*OF_TESTS)


def _install(*needs: Need) -> None:
    """Install missing packages if this is Debian and we are root; else raise NotInstalled with one sentence."""
    missing = [need for need in needs if not need.is_met()]
    if not missing:
        return
    packages = [package for need in missing for package in need.packages]
    if os.geteuid() != 0 or shutil.which("apt-get") is None:
        names, listed = ", ".join(need.name for need in missing), " ".join(packages)
        raise NotInstalled(f"not installed: {names}; install what is missing (Debian: apt-get install {listed})")
    print(f"installing Debian's {' '.join(packages)} (once)", file=sys.stderr)
    _without_starting_daemons(
        ["apt-get", "update", "-qq"],
        ["apt-get", "install", "-y", "-qq", "--no-install-recommends", *packages],
    )


def _without_starting_daemons(*commands: list[str]) -> None:
    """Debian starts installed services unless policy-rc.d forbids it; we run our own instances."""
    ours = not _POLICY.exists()
    if ours:
        _POLICY.write_text("#!/bin/sh\nexit 101\n")
        _POLICY.chmod(0o755)
    try:
        for command in commands:
            environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment)  # noqa: S603
    finally:
        if ours:
            _POLICY.unlink()


def _home() -> Path:
    return config.settings().var / "services"


def _rabbitmq() -> RabbitMQ:
    return RabbitMQ(_home() / "rabbitmq")


COMMANDS = {"start": start, "stop": stop, "status": status, "install": install, "clean": clean}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m ops.local", description=__doc__)
    parser.add_argument("command", choices=COMMANDS)
    try:
        COMMANDS[parser.parse_args().command]()
    except (NotInstalled, RabbitMQFailed, config.SettingsInvalid, embedded.EmbeddedPostgresFailed) as refusal:
        sys.exit(f"punktual: {refusal}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"punktual: `{' '.join(error.cmd)}` failed with status {error.returncode}")


if __name__ == "__main__":
    main()
