#!/bin/bash
# Makes filters/learned.trees from nothing, with the figures of docs/metrics.md: build.sh DIR [TRAIN OPTIONS]
# In DIR, an empty folder or that of an earlier run that was cut off, it leaves packages, clips, traits, the
# Python environment and train.log. Debian 12 with espeak-ng,
# 13 GB of disk, an hour of one core at most.
set -euo pipefail
here=$(realpath "$(dirname "$0")") root=$(realpath "$(dirname "$0")/../..")
mkdir -p "$1" && dir=$(realpath "$1") && shift
for program in apt-get dpkg-deb espeak-ng go; do
	command -v "$program" >/dev/null || { echo "build.sh needs $program (Debian 12 has it)" >&2; exit 1; }
done
export OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1
[ -x "$dir/venv/bin/python" ] || python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -q -r "$here/requirements.txt"
"$here/fetch.sh" "$dir/packages"
for part in first second third fourth design held test; do
	[ -f "$dir/$part/features.f32" ] && continue
	case "$part" in
	design) make=(design.py "$dir/packages" "$dir") ;;
	held) make=(design.py "$dir/packages" "$dir" --held --clips 1000) ;;
	*) make=(mixtures.py "$dir/packages" "$dir" --only "$part") ;;
	esac
	"$dir/venv/bin/python" "$here/${make[0]}" "${make[@]:1}" | tee "$dir/$part.log"
	(cd "$root" && go run ./scripts/snr/features "$dir/$part")
done
"$dir/venv/bin/python" "$here/train.py" "$dir" --write "$root" --also "$dir/held" "$@" | tee "$dir/train.log"
