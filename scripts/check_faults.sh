#!/usr/bin/env bash
# What the program says when something is wrong around it: each case must end with the exit status it should,
# with one line on stderr that says what and where, and with everything else intact. As root it also makes a
# small file system and reads as another user; the script says which cases it left out otherwise.
#
#   scripts/check_faults.sh PREP WORKDIR
set -euo pipefail
prep=$(realpath "${1:?usage: check_faults.sh PREP WORKDIR}")
work=${2:?usage: check_faults.sh PREP WORKDIR}
samples=$(cd "$(dirname "$0")/../testdata/audioset" && pwd)
mkdir -p "$work"
cd "$work"
failed=0
left_out=()

# expect NAME STATUS PATTERN COMMAND...: the command's status, one line on stderr that matches, no new file.
expect() {
	local name=$1 status=$2 pattern=$3
	shift 3
	local before after rc=0
	before=$(find . -not -path './.log*' | sort)
	"$@" >.log.out 2>.log.err || rc=$?
	after=$(find . -not -path './.log*' | sort)
	local lines
	lines=$(wc -l <.log.err)
	if [ "$rc" != "$status" ] || [ "$lines" != 1 ] || ! grep -qE -- "$pattern" .log.err || [ "$before" != "$after" ]; then
		failed=1
		printf 'WRONG %s: exit %s (want %s), %s lines on stderr (want one that matches %s)\n' "$name" "$rc" "$status" "$lines" "$pattern"
		cat .log.err
		diff <(echo "$before") <(echo "$after") || true
	else
		printf 'ok    %-28s exit %-3s %s\n' "$name" "$rc" "$(cat .log.err)"
	fi
}

# refuse NAME STATUS PATTERN COMMAND...: as expect, of a command that says what it found before it refuses: the
# last line matches.
refuse() {
	expect "$1" "$2" "$3" bash -c '"$@" 2>.log.all; rc=$?; tail -n 1 .log.all >&2; exit $rc' _ "${@:4}"
}

# row NAME OUT KEY PATTERN: the ledger's row of the key, as inspect shows it.
row() {
	local name=$1 out=$2 key=$3 pattern=$4
	if "$prep" inspect "$out" -- "$key" >.log.out 2>.log.err && grep -qE -- "$pattern" .log.out; then
		printf 'ok    %-28s %s\n' "$name" "$(grep -E -m1 -- "$pattern" .log.out)"
	else
		failed=1
		printf 'WRONG %s: no line that matches %s\n' "$name" "$pattern"
		cat .log.out .log.err
	fi
}

text() { mkdir -p "$1" && printf 'a caption long enough\n' >"$1/good.txt"; }

# --- nothing to read
mkdir -p empty nomedia
echo hello >nomedia/notes.pdf
expect "no such folder" 3 'nowhere' "$prep" ingest nowhere
expect "empty folder" 3 'empty' "$prep" ingest empty
expect "folder without media" 3 'nomedia' "$prep" ingest nomedia

# --- lists
mkdir -p badlist
printf 'YTID,begin\nabcdefghijk,0\n' >badlist/manifest.csv
expect "CSV with a missing column" 3 'manifest.csv.*no column' "$prep" ingest badlist/manifest.csv
mkdir -p badset/audio
cp "$samples"/audio/bee-sample-.wav badset/audio/
printf '# Segments csv\n# num_ytids=1\n# YTID, start_seconds, end_seconds, positive_labels\nbee-sample-, 30.000\n' >badset/eval_segments.csv
expect "AudioSet list without columns" 3 'eval_segments.csv:4' "$prep" ingest badset --source audioset

# --- the output
text pairs
mkdir -p taken && echo dear >taken/letter.txt
expect "output of something else" 2 'letter.txt' "$prep" ingest pairs --out taken
echo x >afile
expect "output is a file" 2 'afile' "$prep" ingest pairs --out afile
expect "source as output" 2 'source itself' "$prep" ingest pairs --out pairs

# --- broken files cost a row each
mkdir -p broken
for i in 1 2 3; do cp "$samples/images/bee-sample-.jpg" broken/whole$i.jpg; done
head -c 3000 "$samples/images/bee-sample-.jpg" >broken/cut.jpg
: >broken/zero.wav
printf 'RIFF\xff\xff\xff\xffWAVEfmt \x10\0\0\0\x01\0\x01\0\x80\x3e\0\0\0\x7d\0\0\x02\0\x10\0data\xf0\xff\xff\xff' >broken/huge.wav
head -c 64000 /dev/zero >>broken/huge.wav
printf 'ein Hund bellt vor der T\xfcr\n' >broken/latin.txt
"$prep" ingest broken --out shards-broken --json >.log.json 2>.log.err
tail -n 1 .log.json | grep -q '"in":7,"written":5,"rejected":0,"failed":2' || { failed=1; echo "WRONG counts: $(tail -n 1 .log.json)"; }
row "truncated JPEG" shards-broken cut 'failed, truncated: cut.jpg'
row "0-byte WAV" shards-broken zero 'failed, empty_file: zero.wav'
row "WAV that promises 4 GB" shards-broken huge 'audio_duration_s *2$'
row "text in Latin-1" shards-broken latin 'caption: ein Hund bellt vor der Tür'
row "its encoding is named" shards-broken latin 'text_encoding *(latin-1|windows-1252|iso-8859-1)'

# --- ffmpeg missing where it is needed
mkdir -p video && printf '\0\0\0\x18ftypisom\0\0\2\0isomiso2' >video/a.mp4 && cp video/a.mp4 video/b.mp4
expect "ffmpeg missing" 4 '2 files need ffmpeg' env PATH=/nowhere "$prep" ingest video
env PATH=/nowhere "$prep" ingest video --out shards-video --skip-unsupported --json >.log.json 2>.log.err
tail -n 1 .log.json | grep -q '"in":2,"written":0,"rejected":0,"failed":2' || { failed=1; echo "WRONG counts: $(tail -n 1 .log.json)"; }
row "and skipped on demand" shards-video a 'failed, '

# --- damage of finished shards
cp -r shards-broken shards-damaged
ledger=$(ls shards-damaged/ledger-*.parquet)
printf '\xff' | dd of="$ledger" bs=1 seek=700 conv=notrunc status=none
rc=0
"$prep" validate shards-damaged --json >.log.json 2>.log.err || rc=$?
[ $rc = 1 ] && tail -n 1 .log.json | grep -q "${ledger##*/}" || { failed=1; echo "WRONG: damage of the ledger gave exit $rc: $(tail -n 1 .log.json)"; }

if [ "$(id -u)" = 0 ]; then
	# --- permissions, as a user who has few
	chmod 755 . && chmod -R a+rX "$work"
	mkdir -p secret && cp "$samples/images/bee-sample-.jpg" secret/open.jpg && cp secret/open.jpg secret/shut.jpg
	mkdir -p nobody readonly && chown nobody nobody && chmod 600 secret/shut.jpg && chmod 755 secret readonly
	cp "$prep" ./prep-for-all && chmod 755 prep-for-all
	as_nobody() { setpriv --reuid=65534 --regid=65534 --clear-groups env HOME=/nonexistent "$@"; }
	as_nobody ./prep-for-all ingest secret --out nobody/shards --json >.log.json 2>.log.err
	tail -n 1 .log.json | grep -q '"in":2,"written":1,"rejected":0,"failed":1' || { failed=1; echo "WRONG counts: $(tail -n 1 .log.json)"; }
	row "unreadable file" nobody/shards shut 'failed, unreadable: shut.jpg'
	expect "unreadable folder" 3 'locked' as_nobody ./prep-for-all ingest "$(mkdir -p locked && chmod 700 locked && echo locked)"
	expect "read-only output" 4 'readonly' as_nobody ./prep-for-all ingest pairs --out readonly/shards

	# --- a full disk
	mkdir -p small
	if mount -t tmpfs -o size=1m tmpfs small 2>/dev/null; then
		trap 'umount small 2>/dev/null || true' EXIT
		rc=0
		"$prep" ingest "$samples" --out small/shards >.log.out 2>.log.err || rc=$?
		if [ $rc = 4 ] && grep -q 'no space left' .log.err && [ "$(grep -c 'no space left' .log.err)" = 1 ]; then
			printf 'ok    %-28s exit %-3s %s\n' "full disk" $rc "$(grep 'no space left' .log.err)"
		else
			failed=1
			echo "WRONG full disk: exit $rc"
			cat .log.err
		fi
		mount -o remount,size=100m small
		"$prep" ingest "$samples" --out small/shards --json >.log.json 2>.log.err
		"$prep" ingest "$samples" --out shards-whole --json >.log.json 2>.log.err
		diff -r small/shards shards-whole || { failed=1; echo "WRONG: the files differ once there is room"; }
		echo "ok    and goes on to the same files once there is room"
	else
		left_out+=("full disk (needs the right to mount)")
	fi
else
	left_out+=("unreadable files, read-only output, full disk (need root)")
fi

# --- training
"$prep" ingest "$samples" --out shards-train --json >.log.json 2>.log.err
mkdir -p sounds && cp "$samples"/audio/bee-sample-.wav sounds/a.wav && printf 'a bee that hums\n' >sounds/a.txt
"$prep" ingest sounds --out shards-sounds --json >.log.json 2>.log.err
printf 'not weights' >wrong.pth
quick=(--epochs 1 --batch 16)
expect "training on no shards" 3 'nowhere' "$prep" train nowhere
refuse "nothing to train against" 3 'none of the 1 samples has an image' "$prep" train shards-sounds
refuse "weights that are none" 3 'wrong.pth: it is neither' "$prep" train shards-train --run r-wrong --init wrong.pth
refuse "a plugin that is not there" 4 'no PJRT plugin: .*/nowhere.so' "$prep" train shards-train --run r-plugin --device xla:/nowhere.so
"$prep" train shards-train --run r-first --epochs 50 --batch 16 >.log.first.out 2>.log.first.err &
first=$!
for _ in $(seq 200); do
	[ -s r-first/metrics.jsonl ] && break
	sleep 0.1
done
rc=0
"$prep" train shards-train --run r-first --resume >.log.out 2>.log.err || rc=$?
if [ $rc = 4 ] && tail -n 1 .log.err | grep -q 'another prep is training in r-first' && kill -0 $first; then
	printf 'ok    %-28s exit %-3s %s\n' "two trainers on one run" $rc "$(tail -n 1 .log.err)"
else
	failed=1
	echo "WRONG two trainers on one run: exit $rc"
	cat .log.err .log.first.err
fi
kill -INT $first
rc=0
wait $first || rc=$?
if [ $rc = 130 ] && [ -n "$(ls r-first/checkpoints)" ] && grep -q -- '--resume' .log.first.err; then
	printf 'ok    %-28s exit %-3s %s\n' "Ctrl-C in training" $rc "$(grep -- --resume .log.first.err)"
else
	failed=1
	echo "WRONG Ctrl-C in training: exit $rc"
	cat .log.first.err
fi
if [ "$(id -u)" = 0 ] && mkdir -p narrow && mount -t tmpfs -o size=2m tmpfs narrow 2>/dev/null; then
	trap 'umount small narrow 2>/dev/null || true' EXIT
	rc=0
	"$prep" train shards-train --run narrow/run "${quick[@]}" >.log.out 2>.log.err || rc=$?
	if [ $rc = 4 ] && [ "$(grep -c 'no space left' .log.err)" = 1 ] && [ -z "$(ls narrow/run/checkpoints)" ]; then
		printf 'ok    %-28s exit %-3s %s\n' "full disk in a checkpoint" $rc "$(grep 'no space left' .log.err)"
	else
		failed=1
		echo "WRONG full disk in a checkpoint: exit $rc"
		cat .log.err
		ls -R narrow
	fi
	mount -o remount,size=500m narrow
	"$prep" train shards-train --run narrow/run --resume >.log.out 2>.log.err && "$prep" train shards-train --run r-whole "${quick[@]}" >.log.out 2>.log.err
	for f in weights optimizer; do
		cmp narrow/run/checkpoints/last/$f.safetensors r-whole/checkpoints/last/$f.safetensors || { failed=1; echo "WRONG: the $f differ once there is room"; }
	done
	echo "ok    and goes on to the same weights once there is room"
else
	left_out+=("full disk in a checkpoint (needs the right to mount)")
fi

# --- a signal
"$prep" ingest "$samples" --config <(echo 'shards: {samples: 4}') --out shards-int >.log.out 2>.log.err &
pid=$!
for _ in $(seq 100); do
	[ -n "$(ls shards-int/.prep/rows 2>/dev/null)" ] && break
	sleep 0.05
done
began=$(date +%s%N)
kill -INT $pid
rc=0
wait $pid || rc=$?
took=$((($(date +%s%N) - began) / 1000000))
if [ $rc = 130 ] && grep -q 'run the same command again' .log.err; then
	printf 'ok    %-28s exit %-3s after %d ms: %s\n' "Ctrl-C" $rc $took "$(tail -n 1 .log.err)"
elif [ $rc = 0 ]; then
	echo "note: ingest was done before the signal came"
else
	failed=1
	echo "WRONG Ctrl-C: exit $rc"
	cat .log.err
fi

for l in "${left_out[@]}"; do echo "left out: $l"; done
exit $failed
