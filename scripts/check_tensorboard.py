#!/usr/bin/env python3
"""Read a run's TensorBoard files with TensorBoard's own reader and compare them with metrics.jsonl.

    python scripts/check_tensorboard.py RUN

Needs PyPI's tensorboard. Exits non-zero at the first thing that is not so.
"""
import json
import pathlib
import struct
import sys

from tensorboard.backend.event_processing import event_accumulator

run = pathlib.Path(sys.argv[1])
events = event_accumulator.EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0, "images": 0})
events.Reload()
tags = events.Tags()
lines = [json.loads(line) for line in open(run / "metrics.jsonl")]
steps = [line for line in lines if line["kind"] == "step"]
assert steps, "no steps"
for pair in sorted({line["pair"] for line in steps}):
    want = [(line["step"], struct.unpack("f", struct.pack("f", line["loss"]))[0]) for line in steps if line["pair"] == pair]
    got = [(e.step, e.value) for e in events.Scalars("loss/" + pair)]
    assert got == want, f"loss/{pair}: {len(got)} values, metrics.jsonl has {len(want)}"
evals = [line for line in lines if line["kind"] == "eval"]
for pair, measures in evals[-1]["pairs"].items():
    last = events.Scalars(f"r1/{pair}/forward")[-1]
    assert last.step == evals[-1]["step"] and abs(last.value - measures["forward"]["r1"]) < 1e-6, last
    for kind in "similarity", "retrieved":
        picture = events.Images(f"{kind}/{pair}")[-1]
        assert picture.encoded_image_string.startswith(b"\x89PNG") and picture.width > 0 and picture.height > 0
vectors = (run / "tensorboard" / "vectors.tsv").read_text().splitlines()
metadata = (run / "tensorboard" / "metadata.tsv").read_text().splitlines()
assert len(metadata) == len(vectors) + 1 and len({len(v.split("\t")) for v in vectors}) == 1
print(f"{len(tags['scalars'])} scalars, {len(tags['images'])} kinds of pictures, {len(vectors)} points: as metrics.jsonl says")
