#!/bin/bash
# Builds a larger tree of real files for the `pairs` source out of Debian packages, by copying:
#
#   OUT/stamps/...    pictures with their captions, some with a sound (tuxpaint-stamps-default, GPL-2)
#   OUT/speech/...    spoken sentences with their transcripts (pocketsphinx-testdata)
#   OUT/sounds/...    sounds with a caption made of their names (sonic-pi-samples, CC0)
#   OUT/videos/...    videos with sound, one film in four containers (forensics-samples-files, CC-BY-SA-4.0)
#   OUT/photos/...    photographs of up to 12 megapixels with EXIF (the same package)
#
# The tree is for tests on this machine; nothing of it is part of the repository. The same package
# versions give the same tree. Counts go to stdout, one "name<TAB>number" a line.
#
#   scripts/make_real_tree.sh OUT        as root it installs what is missing, else it says what that is
set -euo pipefail
export LC_ALL=C

out=${1:?usage: make_real_tree.sh OUT}
if [ -e "$out" ] && [ -n "$(ls -A "$out")" ]; then
	echo "$0: $out is not empty; name another folder, or remove it" >&2
	exit 2
fi

stamps=/usr/share/tuxpaint/stamps
speech=/usr/share/pocketsphinx/test/data
sounds=/usr/share/sonic-pi/samples
forensics=/usr/share/forensics-samples/original-files

need=()
[ -d $stamps ] || need+=(tuxpaint-stamps-default)
[ -d $speech ] || need+=(pocketsphinx-testdata)
[ -d $sounds ] || need+=(sonic-pi-samples)
[ -d $forensics ] || need+=(forensics-samples-files)
command -v ffmpeg >/dev/null || need+=(ffmpeg)
if [ ${#need[@]} -gt 0 ]; then
	if [ "$(id -u)" != 0 ] || ! command -v apt-get >/dev/null; then
		echo "$0: missing Debian packages: ${need[*]}; install them, or run this as root" >&2
		exit 4
	fi
	export DEBIAN_FRONTEND=noninteractive
	{ apt-get update -q && apt-get install -yq --no-install-recommends "${need[@]}"; } >&2
fi

# caption FILE TEXT...: one line, no byte order mark
caption() {
	local file=$1
	shift
	printf '%s\n' "$*" >"$file"
}

mkdir -p "$out"
out=$(cd "$out" && pwd)

# Stamps: x.png, x.txt (the first line is English, the others are translations) and, for some, x.ogg.
# Pictures without a caption are left out, and so are drawings that exist as SVG only.
pictures=0 with_sound=0
while read -r png; do
	stem=${png%.png}
	[ -f "$stamps/$stem.txt" ] || continue
	to=$out/stamps/$stem
	mkdir -p "${to%/*}"
	cp "$stamps/$png" "$to.png"
	IFS= read -r line <"$stamps/$stem.txt" || true
	caption "$to.txt" "${line%$'\r'}"
	pictures=$((pictures + 1))
	if [ -f "$stamps/$stem.ogg" ]; then
		cp "$stamps/$stem.ogg" "$to.ogg"
		with_sound=$((with_sound + 1))
	fi
done < <(cd $stamps && find . -name '*.png' | sed 's,^\./,,' | sort)

# Speech: lines "<s> words </s> (file id)".
spoken=0
mkdir -p "$out/speech"
for set in cards/cards.transcription librivox/transcription; do
	while IFS= read -r line; do
		id=${line##*(}
		id=${id%)*}
		words=$(sed -E 's/<\/?s>//g; s/\([^()]*\)[[:space:]]*$//; s/[[:space:]]+/ /g; s/^ //; s/ $//' <<<"$line")
		wav=$speech/${set%/*}/$id.wav
		[ -n "$words" ] && [ -f "$wav" ] || continue
		cp "$wav" "$out/speech/${set%/*}-$id.wav"
		caption "$out/speech/${set%/*}-$id.txt" "$words"
		spoken=$((spoken + 1))
	done <"$speech/$set"
done

# Sounds: the name's first part is a kind, the rest says what it is.
declare -A kind=([ambi]="ambient sound" [bass]="bass sound" [bd]="bass drum" [drum]="drum kit" [elec]="electronic sound" [glitch]="glitch sound"
	[guit]="guitar" [loop]="loop" [mehackit]="sound effect" [misc]="sound" [perc]="percussion" [sn]="snare drum" [tabla]="tabla drum" [vinyl]="vinyl record")
named=0
mkdir -p "$out/sounds"
for flac in "$sounds"/*.flac; do
	stem=$(basename "$flac" .flac)
	cp "$flac" "$out/sounds/"
	rest=${stem#*_}
	caption "$out/sounds/$stem.txt" "${kind[${stem%%_*}]:-sound}: ${rest//_/ }"
	named=$((named + 1))
done

# Videos. The four containers of one film need different stems, or they would be one sample. The Ogg
# file holds moving pictures, so it gets the extension that says so.
videos=0
mkdir -p "$out/videos"
video() { # FILE NAME TEXT
	cp "$forensics/$1" "$out/videos/$2"
	caption "$out/videos/${2%.*}.txt" "$3"
	videos=$((videos + 1))
}
video movie1/VID_20191220_170832.mp4 dog.mp4 "A white dog lies on a tiled floor and looks up"
for ext in mp4 avi mpeg; do
	video movie2/movie-hello.$ext hello-$ext.$ext "A man with a headset talks beside a terminal window"
done
video movie2/movie-hello.ogg hello-ogv.ogv "A man with a headset talks beside a terminal window"

photos=0
mkdir -p "$out/photos"
photo() { # FILE NAME TEXT
	cp "$forensics/$1" "$out/photos/$2.jpg"
	caption "$out/photos/$2.txt" "$3"
	photos=$((photos + 1))
}
photo pic1/IMG-20191006-WA0002.jpg dogs-under-tree "Two white dogs stand under a tree with large roots"
photo pic1/IMG_1054.JPG railway "A train runs on a railway line between tall buildings"
photo pic1/IMG_20200827_231612.jpg board "A damaged circuit board"
photo pic2/IMG_20191224_234846.jpg christmas "A table laid for Christmas in front of a wall of framed pictures"
photo pic2/IMG_20200124_231153.jpg lying-dog "A white dog lies on a tiled floor"
photo pic2/IMG_20200608_111614.jpg dogs-on-grass "Two white dogs stand on grass in the shade"

chmod -R u+rwX,go+rX "$out"
printf '%s\t%d\n' pictures "$pictures" pictures_with_sound "$with_sound" speech "$spoken" sounds "$named" videos "$videos" photos "$photos" \
	samples $((pictures + spoken + named + videos + photos))
