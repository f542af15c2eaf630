"""What a run is measured on: machine, versions, commit. It explains the figures, and is printed beside them."""

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import psutil

import config


def describe() -> dict[str, str]:
    return {
        "processor": f"{_processor()}, {os.cpu_count()} cores",
        "memory": f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": f"{os.getloadavg()[0]:.1f}",
        "commit": _said("git", "describe", "--always", "--dirty"),
        "versions": ", ".join(_versions()),
    }


def _versions() -> list[str]:
    packages = ("dramatiq", "psycopg2-binary", "celery")
    return [
        f"Python {platform.python_version()}",
        *(f"{name} {_version(name)}" for name in packages if _version(name)),
        *(said for command in (("redis-server", "-v"), ("node", "-v")) if (said := _name(command))),
    ]


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _name(command: Sequence[str]) -> str:
    said = _said(*command)
    if command[0] == "redis-server" and "v=" in said:
        return f"Redis {said.partition('v=')[2].split()[0]}"
    return f"Node {said}" if said else ""


def _said(*command: str) -> str:
    if shutil.which(command[0]) is None:
        return ""
    return subprocess.run(command, cwd=config.ROOT, capture_output=True, text=True).stdout.strip()


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
