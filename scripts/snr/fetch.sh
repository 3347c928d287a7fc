#!/bin/bash
# Puts the sound files of Debian packages below DIR, one folder a package, without installing them: fetch.sh DIR
# Needs apt-get and dpkg-deb; 1.2 GB. mixtures.py reads the folder.
set -euo pipefail
mkdir -p "$1" && cd "$1"
for p in sonic-pi-samples pocketsphinx-testdata tuxpaint-stamps-default asterisk-core-sounds-{en,es,fr,ru}-wav \
	asterisk-moh-opsound-wav bucklespring-data klettres-data fillets-ng-data ktuberling-data supertux-data \
	wesnoth-1.16-data searchandrescue-data colobot-common-sounds unknown-horizons hedgewars-data minetest-data \
	freedink-data frozen-bubble-data lordsawar-data singularity-music warmux-data extremetuxracer-data \
	openclonk-data lincity-ng-data bzflag-data ardentryst megaglest-data torcs-data; do
	[ -d "$p" ] && continue
	apt-get download -q "$p"
	mkdir "$p.part"
	dpkg-deb --fsys-tarfile "${p}"_*.deb | tar -x -C "$p.part" --wildcards --wildcards-match-slash '*.ogg' '*.oga' '*.wav' '*.mp3' '*.flac' '*.opus' '*.raw' '*.au' '*.aiff' || true # not every kind is in every package
	mv "$p.part" "$p"
	rm -f "${p}"_*.deb
done
