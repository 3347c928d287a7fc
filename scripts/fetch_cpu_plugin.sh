#!/usr/bin/env bash
# Put a PJRT plugin for the CPU at DIR/pjrt_c_api_cpu_plugin.so and print its path: fetch_cpu_plugin.sh DIR
#
# It comes from PyPI, a package that carries XLA's CPU plugin of June 2026 (PJRT C API 0.106), and is taken only
# with the hash below. Needs python3 with pip, on Linux amd64. DIR must not have "cuda" or "nvidia" in its path,
# from which the XLA library guesses the platform.
set -euo pipefail
package=fastatomstruct-xla-cpu==2026.6.23
library=fastatomstruct_xla_cpu/libpjrt_cpu.so
sum=0a0fe56ca17be9efc7b942e89e534e5e0ad4a0f1e369b66d27b62184509015b9

dir=$(mkdir -p "${1:?usage: fetch_cpu_plugin.sh DIR}" && cd "$1" && pwd)
out=$dir/pjrt_c_api_cpu_plugin.so
if [ -f "$out" ] && echo "$sum  $out" | sha256sum -c --status; then echo "$out"; exit 0; fi
tmp=$(mktemp -d "$dir/.fetch.XXXXXX")
trap 'rm -rf "$tmp"' EXIT
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary :all: -d "$tmp" "$package" >&2
python3 -m zipfile -e "$tmp"/*.whl "$tmp/x"
echo "$sum  $tmp/x/$library" | sha256sum -c --quiet >&2
chmod 0644 "$tmp/x/$library"
mv -f "$tmp/x/$library" "$out"
echo "$out"
