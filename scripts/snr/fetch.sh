#!/bin/bash
# Puts the sound files of the packages in packages.txt, and their licences, below DIR, one folder a package,
# without installing them: fetch.sh DIR. Needs Debian 12's apt-get and dpkg-deb; 2.6 GB to load, 1.6 GB kept.
set -euo pipefail
list=$(realpath "$(dirname "$0")/packages.txt")
mkdir -p "$1" && cd "$1"
grep -v '^#' "$list" | while read -r p version; do
	[ -d "$p" ] && continue
	apt-get download -q "$p=$version"
	rm -rf "$p.part" && mkdir "$p.part"
	dpkg-deb --fsys-tarfile "${p}"_*.deb | tar -x -C "$p.part" --wildcards --wildcards-match-slash '*.ogg' '*.oga' '*.wav' '*.mp3' '*.flac' '*.opus' '*.raw' '*.au' '*.aiff' '*/copyright' || true # not every kind is in every package
	mv "$p.part" "$p"
	rm -f "${p}"_*.deb
done
