#!/usr/bin/env bash
# What `prep demo --learn` reaches, and that its training bears being killed: scripts/check_learn.sh WORKDIR PREP
#
# With seeds 0, 1 and 2 (or those in SEEDS): text to image R@1 is 65 % or more among the scenes that training never
# saw, sound and motion to image ten times guessing's, two renditions of a scene have a cosine of 0.8 or more in
# every modality. The training of the first seed is then run again, killed three times with SIGKILL and resumed: it
# must end with the same weights and moments. With SHORT set, as in .ci/run, there is one run of few scenes and
# epochs, of which three times guessing's is asked. With TORCH (an interpreter that has torch, pyarrow and
# numpy) each is trained in PyTorch, too, from the same first weights by the same batches: the losses must be equal to
# rounding at first, and text-image R@1 within two points in the end. PREP must be a build with GOEXPERIMENT=simd.
set -euo pipefail
work=${1:?usage: scripts/check_learn.sh WORKDIR PREP}
prep=$(realpath "${2:?usage: scripts/check_learn.sh WORKDIR PREP}")
here=$(cd "$(dirname "$0")" && pwd)
seeds=${SEEDS:-0 1 2}
few=()
if [ -n "${SHORT:-}" ]; then seeds=0 few=(--scenes 48 --epochs 4); fi
mkdir -p "$work"
say() { printf '\n== %s\n' "$*"; }

for seed in $seeds; do
  say "seed $seed"
  rm -rf "$work/$seed"
  began=$SECONDS
  "$prep" demo --learn --dir "$work/$seed" --seed "$seed" ${few[@]+"${few[@]}"} --json >"$work/$seed.json" 2>"$work/$seed.log" || { tail -n 20 "$work/$seed.log"; exit 1; }
  tail -n 1 "$work/$seed.json" | cut -c1-600
  echo "$((SECONDS - began)) s"
  python3 - "$work/$seed.json" ${SHORT:+short} <<'PY'
import json, sys
d = json.loads(open(sys.argv[1]).read().splitlines()[-1])
pairs = d["learn"]
if "short" in sys.argv:  # 64 steps teach which way things move, which words and motion sensors tell
    for name in ["text-image", "imu-image"]:
        p = pairs[name]
        assert p["r1"] + p["r1_reverse"] >= 2 * 3 * p["chance"], name + " is below three times guessing's"
    sys.exit()
assert pairs["text-image"]["items"] >= 200, "the gallery is too small"
assert pairs["text-image"]["r1"] >= 0.65, "text-image R@1 is below 65 %"
for name in ["audio-image", "imu-image"]:
    assert pairs[name]["r1"] >= 10 * pairs[name]["chance"], name + " is below ten times guessing's"
assert d["within_class_cosine"] >= 0.8, "the cosine within a class is below 0.8"
PY
done

first=${seeds%% *}
run=$work/$first/run killed=$work/killed
say "the training of seed $first again, killed three times"
rm -rf "$killed"
newest() { (cd "$killed/checkpoints" 2>/dev/null && ls -d epoch-* 2>/dev/null | sort | tail -n 1) || true; }
begin=(--preset scenes --seed "$first" --set train.checkpoint_epochs=1)
[ -z "${SHORT:-}" ] || begin+=(--epochs 4)
for kill in 1 2 3; do
  before=$(newest)
  [ "$kill" = 1 ] || begin=(--resume)
  "$prep" train "$work/$first/shards/train" --run "$killed" "${begin[@]}" >/dev/null 2>"$work/killed.log" &
  pid=$!
  for _ in $(seq 6000); do # until another checkpoint is there, then a little into the next epoch
    [ "$(newest)" != "$before" ] || ! kill -0 $pid 2>/dev/null && break
    sleep 0.1
  done
  sleep 0.$((RANDOM % 5 + 1))
  kill -9 $pid 2>/dev/null || { tail -n 5 "$work/killed.log"; echo "the run was over before it was killed three times"; exit 1; }
  wait $pid 2>/dev/null || true
  echo "killed after $(newest)"
done
"$prep" train "$work/$first/shards/train" --run "$killed" --resume >/dev/null 2>"$work/killed.log"
last=$(cd "$run/checkpoints" && ls -d epoch-* | sort | tail -n 1)
for f in weights.safetensors optimizer.safetensors; do cmp "$run/checkpoints/$last/$f" "$killed/checkpoints/$last/$f"; done
echo "$last is the same, weights and moments"

if [ -n "${TORCH:-}" ]; then
  for seed in $seeds; do
    say "seed $seed in PyTorch"
    "$TORCH" "$here/learn_torch.py" "$work/$seed" >"$work/torch-$seed.json" 2>"$work/torch-$seed.log" || { tail -n 20 "$work/torch-$seed.log"; exit 1; }
    python3 - "$work/$seed.json" "$work/torch-$seed.json" ${SHORT:+short} <<'PY'
import json, sys
prep, torch = (json.loads(open(p).read().splitlines()[-1]) for p in sys.argv[1:3])
for name in sorted(prep["learn"]):
    print(f"{name:13} {prep['learn'][name]['r1']:.3f}, in PyTorch {torch['learn'][name]['r1']:.3f}")
print("largest difference of the losses within the first steps:", ", ".join(f"{n}: {d:.1e}" for n, d in torch["steps"].items()))
for steps, most in [("1", 1e-5), ("10", 1e-4), ("100", 1e-2)]:
    assert torch["steps"].get(steps, 0) <= most, f"within {steps} steps the losses differ by {torch['steps'][steps]:.2g}"
off = abs(prep["learn"]["text-image"]["r1"] - torch["learn"]["text-image"]["r1"])
assert "short" in sys.argv or off <= 0.02, f"text-image R@1 differs by {off:.3f}"
PY
  done
fi
