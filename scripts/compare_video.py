#!/usr/bin/env python3
"""Compare prep's clips of videos with what decord and pytorchvideo give ImageBind.

    pip install decord numpy pyarrow
    compare_video.py PREP VIDEO...

For each video: PREP ingests it with five clips and three crops, as ImageBind evaluates; here decord decodes
the frames that pytorchvideo's EncodedVideo would hand out (duration = frames / average rate, clips by the
constant sampler, frames ceil(fps start) to ceil(fps end), of which the first and the last), and NumPy
repeats ShortSideScale and the crops. A wrong frame shows as a mean difference far above that of the
colour conversion. Prints a line for each video; exit 1 when a frame's mean differs by more than 6 levels.
"""
import math
import os
import shutil
import subprocess
import sys
import tempfile
from fractions import Fraction

import decord
import numpy as np
import pyarrow as pa

CLIPS, SECONDS, SIZE = 5, 2, 224


def chosen(n, fps):
    """The numbers of the frames of each clip that ImageBind takes."""
    duration = n / fps
    room = Fraction(max(duration - SECONDS, 0)) / (CLIPS - 1)
    for i in range(CLIPS):
        start = room * i
        lo, hi = math.ceil(fps * start), min(math.ceil(fps * (start + SECONDS)), n)
        yield lo, hi - 1


def bilinear(frame):
    """torch's interpolate(mode="bilinear", align_corners=False) of [H, W, 3] in 0..1, shorter side to 224."""
    h, w = frame.shape[:2]
    if w < h:
        nw, nh = SIZE, math.floor(h / w * SIZE)
    else:
        nw, nh = math.floor(w / h * SIZE), SIZE

    def axis(n, m):
        x = np.maximum((np.arange(m, dtype=np.float32) + np.float32(0.5)) * np.float32(n / m) - np.float32(0.5), 0)
        lo = np.minimum(x.astype(int), n - 1)
        return lo, np.minimum(lo + 1, n - 1), (x - lo).astype(np.float32)

    y0, y1, ty = axis(h, nh)
    x0, x1, tx = axis(w, nw)
    tx, ty = tx[None, :, None], ty[:, None, None]
    top = frame[y0][:, x0] * (1 - tx) + frame[y0][:, x1] * tx
    low = frame[y1][:, x0] * (1 - tx) + frame[y1][:, x1] * tx
    return top * (1 - ty) + low * ty


def crops(x):
    h, w = x.shape[:2]
    for k in range(3):
        y, z = math.ceil((h - SIZE) / 2), math.ceil((w - SIZE) / 2)
        if h > w:
            y = [0, y, h - SIZE][k]
        else:
            z = [0, z, w - SIZE][k]
        yield x[y : y + SIZE, z : z + SIZE]


def reference(path):
    reader = decord.VideoReader(path, ctx=decord.cpu(0), num_threads=1)
    out = []
    for first, last in chosen(len(reader), float(reader.get_avg_fps())):
        frames = reader.get_batch([first, last]).asnumpy().astype(np.float32) / 255
        views = [list(crops(bilinear(f))) for f in frames]
        for k in range(3):
            out.append(np.stack([views[0][k], views[1][k]]).transpose(3, 0, 1, 2))  # C, T, H, W
    return np.stack(out) * 255


def stored(prep, path, work):
    src, out = os.path.join(work, "src"), os.path.join(work, "out")
    os.makedirs(src)
    name = os.path.basename(path)
    shutil.copy(path, os.path.join(src, name))
    with open(os.path.join(src, "manifest.jsonl"), "w") as f:
        f.write('{"key": "x", "video": "%s"}\n' % name)
    config = os.path.join(work, "views.yaml")
    with open(config, "w") as f:
        f.write(f"video: {{clips: {CLIPS}, crops: 3}}\n")
    run = subprocess.run([prep, "ingest", src, "--out", out, "--config", config, "--max-sync", "off", "--snr", "off"],
                         capture_output=True, text=True)
    if run.returncode:
        raise RuntimeError(run.stderr)
    shard = next(f for f in os.listdir(out) if f.endswith(".arrow"))
    table = pa.ipc.open_file(os.path.join(out, shard)).read_all()
    column = table.column("video").combine_chunks()
    storage = column.storage if hasattr(column, "storage") else column
    flat = storage.flatten().to_numpy(zero_copy_only=False)
    return flat.reshape(CLIPS * 3, 3, 2, SIZE, SIZE)


def main():
    prep, bad = os.path.abspath(sys.argv[1]), False
    for path in sys.argv[2:]:
        with tempfile.TemporaryDirectory() as work:
            try:
                got, want = stored(prep, path, work).astype(np.float32), reference(path)
            except Exception as e:  # one file that either cannot read must not hide the others
                print(f"{path}: {type(e).__name__}: {e}")
                bad = True
                continue
        d = np.abs(got - want)
        per_frame = d.mean(axis=(1, 3, 4))
        wrong = int((per_frame > 6).sum())
        bad |= wrong > 0
        print(f"{path}: mean {d.mean():.2f}, worst frame {per_frame.max():.2f}, largest {d.max():.0f} of 255; {wrong} of {per_frame.size} frames differ")
    sys.exit(bad)


if __name__ == "__main__":
    main()
