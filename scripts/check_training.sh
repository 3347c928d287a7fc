#!/usr/bin/env bash
# Checks the last line that `prep train --json` printed: every pair's loss fell, and R@1 on the training
# items is above 90 % both ways.
#
#   scripts/check_training.sh train.json
set -euo pipefail
tail -n 1 "$1" | python3 -c '
import json, sys
pairs = json.load(sys.stdin)["pairs"]
assert pairs, "no pairs were trained"
for name, p in sorted(pairs.items()):
    print(name, "loss", p["first_loss"], "->", p["loss"], "R@1 on", p["train_items"], "training items", p["train_r1"], p["train_r1_reverse"])
    assert p["loss"] < p["first_loss"], name + ": the loss did not fall"
    assert min(p["train_r1"], p["train_r1_reverse"]) > 0.9, name + ": R@1 on the training items is not above 90 %"
'
