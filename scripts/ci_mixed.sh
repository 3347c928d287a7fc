#!/usr/bin/env bash
# All six modalities through the line: a generated tree of files that share a stem, and the layouts of SUN
# RGB-D, LLVIP and Ego4D, are ingested, validated, looked at and trained with the tiny preset. Exits non-zero at
# the first thing that is not so.
#
#   scripts/ci_mixed.sh WORKDIR PREP
#
# PREP is the program. Needs python3, of which only the standard library is used, and ffmpeg for one video.
set -euo pipefail
work=${1:?usage: scripts/ci_mixed.sh WORKDIR PREP}
prep=$(realpath "${2:?usage: scripts/ci_mixed.sh WORKDIR PREP}")
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
field() { tail -n 1 "$1" | sed -E "s/.*\"$2\":([0-9]+).*/\1/"; }
say() { printf '\n== %s\n' "$*"; }

say "the tree"
rm -rf "$work/tree"
python3 "$here/make_mixed_tree.py" "$work/tree"

say "ingest and validate each layout"
expect() { # NAME KIND WRITTEN FAILED
  rm -rf "$work/$1"
  "$prep" ingest "$work/tree/$1" --out "$work/$1" --json >"$work/$1.json" 2>"$work/$1.log"
  local w f kind
  w=$(field "$work/$1.json" written); f=$(field "$work/$1.json" failed)
  kind=$(sed -nE 's/^ "kind": "([a-z0-9]+)",$/\1/p' "$work/$1/.prep/plan.json")
  echo "$1: $kind, $w written, $f failed"
  [ "$kind $w $f" = "$2 $3 $4" ] || { cat "$work/$1.log" "$work/$1.json"; return 1; }
  "$prep" validate "$work/$1" --json >"$work/$1.valid" 2>/dev/null
  grep -q '"ok":true' "$work/$1.valid"
}
expect pairs pairs 24 0
expect sunrgbd sunrgbd 6 0
expect llvip llvip 6 0
# Ego4D's video, without sound as many of them are.
video=$work/tree/ego4d/v2/full_scale/001e3e4e-2743-47fc-8564-d5efd11f9e90.mp4
mkdir -p "$(dirname "$video")"
ffmpeg -nostdin -v error -f lavfi -i testsrc=size=160x120:rate=10:duration=30 -an -c:v libx264 -preset ultrafast "$video"
expect ego4d ego4d 3 0
"$prep" inspect "$work/ego4d" --json 2>/dev/null | grep -q '"imu":3.*"text":3.*"video":3' || { echo "not all have video, text and motion"; exit 1; }
expect broken pairs 0 3

say "one worker against four"
for n in 1 4; do
  rm -rf "$work/w$n"
  "$prep" ingest "$work/tree/pairs" --out "$work/w$n" --workers $n --json >/dev/null 2>&1
done
diff -r "$work/w1" "$work/w4"
echo "identical files"

say "what the model sees"
"$prep" inspect "$work/pairs" item004 --dump "$work/dump" >/dev/null
for f in image.png thermal.png depth.png depth.npy imu.png imu.npy mel.png audio.wav text.json; do
  [ -s "$work/dump/$f" ] || { echo "no $f"; exit 1; }
done
echo "all files are there"

say "train, every modality against the picture"
rm -rf "$work/run"
"$prep" train "$work/pairs" --run "$work/run" --epochs 2 --json >"$work/train.json" 2>"$work/train.log"
tail -n 1 "$work/train.json"
for p in text audio depth thermal imu; do
  tail -n 1 "$work/train.json" | grep -q "\"image-$p\":{\"loss\":[0-9]" || { echo "no pair image-$p"; exit 1; }
done

say "mirrored at ingest: training does not mirror again; with noise"
printf 'flip: {when: ingest}\n' >"$work/flip.yaml"
printf 'train: {noise: {image: 0.1, audio: 0.1, depth: 0.1, thermal: 0.05, imu: 0.1}}\n' >"$work/noise.yaml"
rm -rf "$work/flipped" "$work/run2"
"$prep" ingest "$work/tree/pairs" --config "$work/flip.yaml" --out "$work/flipped" --json >/dev/null 2>&1
"$prep" train "$work/flipped" --config "$work/noise.yaml" --run "$work/run2" --epochs 1 --json >"$work/train2.json" 2>"$work/train2.log"
grep "mirrored at ingest" "$work/train2.log" # of several data sets each its own way: trainer's tests look at the pixels

say "several data sets in one run: sound and text from one, depth from another, heat from a third; killed, and resumed"
several=("$prep" train "$work/pairs" "$work/sunrgbd" "$work/llvip" --mix 2,1,1 --epochs 2 --set train.checkpoint_epochs=1 --json)
rm -rf "$work/several" "$work/cut"
"${several[@]}" --run "$work/several" >"$work/several.json" 2>"$work/several.log"
grep -E 'keys [0-9a-f]+/' "$work/several.log"
for p in text@pairs text@sunrgbd audio depth@pairs depth@sunrgbd thermal@pairs thermal@llvip imu; do
  tail -n 1 "$work/several.json" | grep -q "\"image-$p\":{\"loss\":[0-9]" || { echo "no pair image-$p"; exit 1; }
done
"${several[@]}" --run "$work/cut" >/dev/null 2>&1 &
until [ -e "$work/cut/checkpoints/last" ] || ! kill -0 $!; do sleep 0.1; done
kill -KILL $! 2>/dev/null || echo "note: it was done before the signal came"
wait $! 2>/dev/null || true
"$prep" train "$work/pairs" "$work/sunrgbd" "$work/llvip" --run "$work/cut" --resume --json >/dev/null 2>"$work/cut.log" || { cat "$work/cut.log"; exit 1; }
for f in weights optimizer; do
  cmp "$work/several/checkpoints/last/$f.safetensors" "$work/cut/checkpoints/last/$f.safetensors"
done
echo "the same weights"
