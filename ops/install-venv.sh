#!/bin/sh
# Debian ships Python without the part that makes virtual environments: install it where we may, else say so.
set -eu
version=$("$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])')
package="python$version-venv"
if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
    echo "punktual: $1 cannot make a virtual environment: install $package (or python3-venv)" >&2
    exit 1
fi
apt-get update -qq
DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$package" >/dev/null
