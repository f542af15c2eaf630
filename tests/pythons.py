"""`python -m tests.pythons`: the tests of mail/ on every other Python that the project supports and this machine has.

The standard library's own mail code is not the same in each. Every version gets the locked dependencies in an
environment of its own beside this one, made once for each state of the lock.
"""

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path

import config

_HERE = sys.version_info[:2]
_LOCK = config.ROOT / "requirements-dev.lock"
_PROBE = "import sys, venv, ensurepip; print(*sys.version_info[:2])"

Version = tuple[int, ...]


def oldest() -> Version:
    """The first version that the project supports."""
    project = tomllib.loads((config.ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    return tuple(int(part) for part in project["requires-python"].removeprefix(">=").split("."))


def found() -> dict[Version, Path]:
    """Version -> an interpreter that runs; a name may stand for one that is not there."""
    answers = ((version_of(path), path) for path in candidates())
    return dict(sorted((version, path) for version, path in answers if version and version >= oldest()))


def candidates() -> Iterator[Path]:
    """By the names that they have in PATH, and where pyenv keeps those that it does not lead to."""
    pyenv = Path(os.environ.get("PYENV_ROOT", "~/.pyenv")).expanduser()
    folders = [*map(Path, os.get_exec_path()), *sorted(pyenv.glob("versions/*/bin"))]
    for folder in folders:
        yield from sorted(path for path in folder.glob("python3.*") if path.suffix[1:].isdecimal())


def version_of(python: Path) -> Version | None:
    try:
        done = subprocess.run([python, "-c", _PROBE], capture_output=True, text=True, timeout=60)
    except OSError:
        return None
    return tuple(int(part) for part in done.stdout.split()) if done.returncode == 0 else None


def environment(version: Version, python: Path) -> Path:
    """The interpreter of the environment of this version, with the dependencies as they are locked now."""
    home = Path(sys.prefix) / f"python{name(version)}"
    state, locked = home / "locked", sha256(_LOCK.read_bytes()).hexdigest()
    if not state.exists() or state.read_text() != locked:
        print(f"installing the dependencies for Python {name(version)} into {home} (once)", file=sys.stderr)
        subprocess.run([python, "-m", "venv", "--clear", home], check=True)
        pip = [str(home / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--require-hashes", "-r", str(_LOCK)], check=True)
        state.write_text(locked)
    return home / "bin" / "python"


def name(version: Version) -> str:
    return ".".join(map(str, version))


def main() -> None:
    others = {version: python for version, python in found().items() if version != _HERE}
    listed = ", ".join(map(name, others)) or "this machine has none"
    print(f"the tests of mail/ on Python {name(_HERE)}: in `make test`; on others: {listed}", flush=True)
    for version, python in others.items():
        print(f"Python {name(version)}:", flush=True)
        tests = ["-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "tests/mail"]
        if failed := subprocess.run([str(environment(version, python)), *tests], cwd=config.ROOT).returncode:
            sys.exit(failed)


if __name__ == "__main__":
    main()
