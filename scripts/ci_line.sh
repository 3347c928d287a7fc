#!/usr/bin/env bash
# The whole line on real input: ingest with one and with four workers, ingest killed ten times, validate,
# what Python reads of it, train, resume after a kill. Exits non-zero at the first thing that is not so.
#
#   scripts/ci_line.sh WORKDIR [PYTHON]
#
# PYTHON is an interpreter that has pyarrow, duckdb and numpy; without it the Python checks do not run and
# the script says so. The larger real tree needs the Debian packages that scripts/make_real_tree.sh names.
set -euo pipefail
work=${1:?usage: scripts/ci_line.sh WORKDIR [PYTHON]}
python=${2:-}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$work"
prep=$work/prep
(cd "$here/.." && GOEXPERIMENT=simd go build -o "$prep" .)

say() { printf '\n== %s\n' "$*"; }
field() { tail -n 1 "$1" | sed -E "s/.*\"$2\":([0-9]+).*/\1/"; }
balanced() { # in = written + rejected + failed
  local in w r f
  in=$(field "$1" in); w=$(field "$1" written); r=$(field "$1" rejected); f=$(field "$1" failed)
  echo "in $in = written $w + rejected $r + failed $f"
  [ "$in" -eq $((w + r + f)) ] && [ "$in" -gt 0 ]
}

say "the larger real tree"
tree=$work/tree
[ -d "$tree" ] || bash "$here/make_real_tree.sh" "$tree"
# Small tasks, so that ten kills fall into many of them.
printf 'shards: {samples: 32}\n' >"$work/small.yaml"

say "one worker against four"
for n in 1 4; do
  rm -rf "$work/w$n"
  "$prep" ingest "$tree" --config "$work/small.yaml" --out "$work/w$n" --workers $n --json >"$work/w$n.json"
  balanced "$work/w$n.json"
done
diff -r "$work/w1" "$work/w4" # not as part of "&&", where a failure would not end the script
echo "identical files"

say "killed ten times, then completed"
rm -rf "$work/killed"
committed() { { find "$work/killed/.prep/rows" -name '*.json' 2>/dev/null || true; } | wc -l; }
for _ in 1 2 3 4 5 6 7 8 9 10; do
  # Once none to three more tasks are committed, and then at any moment of the next.
  until=$(($(committed) + RANDOM % 4))
  "$prep" ingest "$tree" --config "$work/small.yaml" --out "$work/killed" --json >"$work/killed.json" 2>/dev/null &
  pid=$!
  for _ in $(seq 600); do
    [ "$(committed)" -ge "$until" ] || ! kill -0 $pid 2>/dev/null && break
    sleep 0.05
  done
  sleep "0.$((RANDOM % 9))"
  kill -9 $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
done
echo "$(committed) tasks were committed before the last run"
"$prep" ingest "$tree" --config "$work/small.yaml" --out "$work/killed" --json >"$work/killed.json"
balanced "$work/killed.json"
diff -r "$work/w1" "$work/killed"
echo "identical files"

say "task by task, out of order, twice, then finalize"
rm -rf "$work/tasks"
"$prep" plan "$tree" --config "$work/small.yaml" --out "$work/tasks" >"$work/tasks.jsonl"
n=$(wc -l <"$work/tasks.jsonl")
for i in $(seq $((n - 1)) -1 1); do "$prep" ingest --tasks "$work/tasks.jsonl" --index "$i" >/dev/null; done
rc=0; "$prep" finalize "$work/tasks" >"$work/missing.jsonl" || rc=$?
[ "$rc" -eq 3 ]
[ "$(wc -l <"$work/missing.jsonl")" -eq 1 ]
echo "finalize named the missing task"
"$prep" ingest --tasks "$work/missing.jsonl" >/dev/null
"$prep" ingest --task "$(head -n 1 "$work/tasks.jsonl")" >/dev/null
"$prep" finalize "$work/tasks" >/dev/null
diff -r "$work/w1" "$work/tasks"
echo "identical files"

say "validate"
"$prep" validate "$work/w1" --snr 10 --report "$work/report.html" --json >"$work/validate.json"
tail -n 1 "$work/validate.json"
shard=$(ls "$work"/w4/shard-*.arrow | head -n 1)
printf '\377' | dd of="$shard" bs=1 seek=5000 conv=notrunc status=none
printf '\376' | dd of="$shard" bs=1 seek=5001 conv=notrunc status=none
rc=0; "$prep" validate "$work/w4" --json >"$work/damaged.json" || rc=$?
[ "$rc" -eq 1 ]
tail -n 1 "$work/damaged.json" | grep -q '"ok":false'
echo "damage was found: $(tail -n 1 "$work/damaged.json" | cut -c1-300)"

if [ -n "$python" ]; then
  say "what Python reads"
  key=$("$python" - "$work/w1" <<'PY'
import glob, sys
import duckdb
print(duckdb.sql(f"select key from '{sys.argv[1]}/ledger-*.parquet' where outcome = 'written' and audio_duration_s is not null order by key limit 1").fetchall()[0][0])
PY
)
  "$prep" inspect "$work/w1" "$key" --dump "$work/dump" >/dev/null
  "$python" "$here/check_shards.py" "$work/w1" --dump "$work/dump" --key "$key"
  rm -f "$work/w1/selection.json"
else
  echo "no Python was given: the pyarrow and DuckDB checks need one with pyarrow, duckdb and numpy"
fi

say "train on the sample data: loss falls, R@1 on the training items, resume after SIGKILL"
rm -rf "$work/s" "$work/learn" "$work/straight" "$work/killed-run"
"$prep" ingest "$here/../testdata/audioset" --out "$work/s" --json >"$work/s.json"
balanced "$work/s.json"
"$prep" validate "$work/s" >/dev/null
"$prep" train "$work/s" --run "$work/learn" --json >"$work/learn.json"
tail -n 1 "$work/learn.json"
bash "$here/check_training.sh" "$work/learn.json"

say "train a little, straight through and killed three times, each after a checkpoint"
"$prep" train "$work/s" --run "$work/straight" --epochs 12 --json >/dev/null
newest() { (cd "$work/killed-run/checkpoints" 2>/dev/null && ls -d epoch-* 2>/dev/null | sort | tail -n 1) || true; }
for kill in 1 2 3; do
  before=$(newest)
  resume=$([ "$kill" = 1 ] || echo --resume)
  # shellcheck disable=SC2086
  "$prep" train "$work/s" --run "$work/killed-run" $resume --epochs 12 --set train.checkpoint_epochs=2 --json >/dev/null 2>&1 &
  pid=$!
  for _ in $(seq 1200); do # until another checkpoint is there, then a little into the next epochs
    [ "$(newest)" != "$before" ] && break
    sleep 0.1
  done
  sleep 0.$((RANDOM % 5 + 1))
  kill -9 $pid 2>/dev/null || true
  wait $pid 2>/dev/null || true
done
last=$(cd "$work/straight/checkpoints" && ls -d epoch-* | sort | tail -n 1)
[ "$(newest)" != "$last" ] || { echo "the run was over before it was killed three times"; exit 1; }
"$prep" train "$work/s" --run "$work/killed-run" --resume --json >/dev/null
cmp "$work/straight/checkpoints/$last/weights.safetensors" "$work/killed-run/checkpoints/$last/weights.safetensors"
echo "the run that was killed three times ended with the same weights"
