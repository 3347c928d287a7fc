#!/bin/bash
# Puts the sound files of the packages in packages.txt, and their licences, below DIR, one folder a package,
# without installing them: fetch.sh DIR. Of a package marked with archives the sounds within them too, each archive's in a
# folder beside it, NAME.d. Needs Debian 12's apt-get, dpkg-deb and python3; 9 GB to load, 2.6 GB kept.
set -euo pipefail
list=$(realpath "$(dirname "$0")/packages.txt")
mkdir -p "$1" && cd "$1"
grep -v '^#' "$list" | while read -r p version archives; do
	[ -d "$p" ] && continue
	apt-get download -q "$p=$version"
	rm -rf "$p.part" && mkdir "$p.part"
	dpkg-deb --fsys-tarfile "${p}"_*.deb | tar -x -C "$p.part" --wildcards --wildcards-match-slash '*.ogg' '*.oga' '*.wav' '*.mp3' '*.flac' '*.opus' '*.raw' '*.au' '*.aiff' ${archives:+"*.pk3" "*.wz" "*.zip"} '*/copyright' || true # not every kind is in every package
	find "$p.part" -type f \( -name '*.pk3' -o -name '*.wz' -o -name '*.zip' \) -print0 | xargs -0 -r python3 -c '
import os, sys, zipfile
for path in sys.argv[1:]:
    with zipfile.ZipFile(path) as archive:
        for name in archive.namelist():
            if name.lower().endswith((".ogg", ".oga", ".wav", ".mp3", ".flac", ".opus")):
                archive.extract(name, path + ".d")
    os.remove(path)'
	[ -n "$(find "$p.part" -type f ! -name copyright -print -quit)" ] || { echo "fetch.sh: no sounds in $p $version" >&2; exit 1; }
	mv "$p.part" "$p"
	rm -f "${p}"_*.deb
done
