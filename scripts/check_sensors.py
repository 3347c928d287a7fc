#!/usr/bin/env python3
"""Hold prep's depth, heat and motion against the published formulas, computed here a second time.

    pip install numpy pillow pyarrow
    check_sensors.py PREP

Trees in the layouts of SUN RGB-D, LLVIP and Ego4D as published are filled with generated data, ingested by PREP under
its defaults and under the preset imagebind, and every stored value is compared. What the values should be is computed
with numpy and Pillow alone, from

  SUN RGB-D  read3dPoints.m of its toolbox (bits rotated by three, millimetres, cut at 8 m), and the conversion that
             the authors of omnivore gave (its issue 12): baseline * focal length / depth, cut to 0.01 to 50 m
  LLVIP      ImageBind's pull request 73: one channel of grey, resized and cropped as pictures are
  Ego4D      its page on IMU data: canonical time in ms, m/s2 and rad/s; times may repeat and go back

and Pillow resizes. A telephone's recording in two files is drawn through its points by numpy. Ends with an error when
one value is off by more than is said beside it.
"""
import json
import math
import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
from PIL import Image

RNG = np.random.default_rng(7)
BAD = []


def put(path, text):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "w") as f:
        f.write(text)


def save(path, image, **options):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    image.save(path, **options)


def ingest(prep, src, out, *options):
    """The tensors of a tree: {key: {column: array}}."""
    done = subprocess.run([prep, "ingest", src, "--out", out, "--json", *options], capture_output=True, text=True)
    if done.returncode:
        sys.exit(done.stderr)
    counts = json.loads(done.stdout.strip().splitlines()[-1])
    if counts["rejected"] or counts["failed"]:
        sys.exit(f"{src}: {counts}")
    stored = {}
    for name in sorted(os.listdir(out)):
        if not name.endswith(".arrow"):
            continue
        with pa.ipc.open_file(os.path.join(out, name)) as f:
            t = f.read_all()
        for column in ("image", "depth", "thermal", "imu"):
            field = t.schema.field(column)
            if pa.types.is_null(field.type):
                continue
            for row in range(t.num_rows):
                cell = t.column(column)[row]
                if cell.is_valid:
                    stored.setdefault(t.column("key")[row].as_py(), {})[column] = cell.to_numpy()
    return stored


def compare(what, got, want, allowed, unit):
    """allowed: a number or an array as want's."""
    off = np.abs(got.astype(np.float64) - want)
    worst = float((off / np.maximum(allowed, 1e-30)).max())
    print(f"{what:44s} {want.min():11.4f} to {want.max():9.4f} {unit:5s} off by {off.max():.3g} at most, {worst:.2f} of what is allowed")
    if not worst <= 1:
        BAD.append(what)


def crop(im):
    """Shorter side to 224 by Pillow's bicubic with antialias, centre crop: torchvision's Resize and CenterCrop."""
    w, h = im.size
    size = (224, 224 * h // w) if w <= h else (224 * w // h, 224)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    return np.asarray(im.resize(size, Image.BICUBIC).crop((left, top, left + 224, top + 224)))


def picture(w, h, seed):
    """A smooth picture with edges, RGB."""
    y, x = np.mgrid[0:h, 0:w].astype(np.float64)
    planes = [127 + 90 * np.sin(x / (9 + c + seed) + y / (23 - c)) + 30 * ((x + 2 * y) % 97 < 40) for c in range(3)]
    return Image.fromarray(np.clip(np.stack(planes, 2), 0, 255).astype(np.uint8))


# --- SUN RGB-D

SENSORS = [  # as published: folder, size, focal length, baseline of omnivore's sensor_to_params
    ("kv1/NYUdata/NYU0001", 561, 427, 518.857901, 0.075),
    ("kv2/kinect2data/000002_2014-05-26_14-23-37_260595134347_rgbf000103-resize", 730, 530, 529.5, 0.075),
    ("realsense/lg/2014_10_21-15_11_56-1311000073", 681, 531, 691.584229, 0.095),
    ("xtion/sun3ddata/brown_bm_1/brown_bm_1/0000103-000003423156", 591, 441, 570.342205, 0.095),
]


def sun_tree(root):
    maps = {}
    for i, (view, w, h, fx, baseline) in enumerate(SENSORS):
        y, x = np.mgrid[0:h, 0:w]
        mm = (900 + 9 * x + 3 * y + 400 * ((x // 40 + y // 30) % 2)).astype(np.uint16)  # to 7.7 m
        mm[: h // 8] += 4000  # and beyond 8 m
        mm[RNG.random((h, w)) < 0.02] = 0  # the sensor saw nothing
        mm[h // 2 : h // 2 + 40, w // 2 : w // 2 + 60] = 0
        stem = os.path.join(root, "SUNRGBD", view)
        name = os.path.basename(view)
        stored = (mm << 3) | (mm >> 13)
        save(f"{stem}/depth_bfx/{name}.png", Image.fromarray(stored))
        save(f"{stem}/depth/{name}.png", Image.fromarray(np.zeros_like(stored)))  # which is not to be taken
        save(f"{stem}/image/{name}.jpg", picture(w, h, i), quality=92)
        k = f"{fx} 0 {w / 2} 0 {fx} {h / 2} 0 0 1" if i % 2 else f"{fx} 0 {w / 2}\n0 {fx} {h / 2}\n0 0 1\n"
        put(f"{stem}/intrinsics.txt", k)
        put(f"{stem}/scene.txt", "living_room")
        maps[view] = (stored, fx, baseline)
    return maps


def sun_disparity(stored, fx, baseline, missing):
    """As read3dPoints.m and omnivore's convert_depth_to_disparity, in float32."""
    raw = stored.astype(np.uint32)
    metres = (((raw >> 3) | (raw << 13)) & 0xFFFF).astype(np.float32) / np.float32(1000)
    metres = np.minimum(metres, np.float32(8))
    disparity = np.float32(baseline * fx) / np.clip(metres, np.float32(0.01), np.float32(50))
    if missing == "far":  # prep's default
        disparity = np.where(metres == 0, np.float32(0), disparity)
    return disparity.astype(np.float32)


def check_sun(prep, work):
    maps = sun_tree(f"{work}/sun")
    for preset, missing, options in (("default", "far", []), ("imagebind", "near", ["--preset", "imagebind"])):
        stored = ingest(prep, f"{work}/sun", f"{work}/sun-{preset}", *options)
        for view, (raw, fx, baseline) in maps.items():
            disparity = sun_disparity(raw, fx, baseline, missing)
            want = crop(Image.fromarray(disparity)).astype(np.float64)
            # float16 keeps 11 bits: half a unit in the last place, and what sums in float32 differ by
            allowed = np.abs(want) * 2.0**-11 + 2e-6 * float(disparity.max()) + 1e-6
            compare(f"{preset}: {'/'.join(view.split('/')[:2])}", stored[view]["depth"][0], want, allowed, "px")


# --- LLVIP

def check_llvip(prep, work):
    names = [("train", "010001"), ("train", "010002"), ("test", "190001")]
    for i, (split, name) in enumerate(names):
        y, x = np.mgrid[0:1024, 0:1280].astype(np.float64)
        grey = np.clip(60 + x / 12 + 80 * np.exp(-((x - 300 - 200 * i) ** 2 + (y - 500) ** 2) / 9000) + RNG.normal(0, 3, x.shape), 0, 255).astype(np.uint8)
        save(f"{work}/llvip/LLVIP/visible/{split}/{name}.jpg", picture(1280, 1024, i), quality=95)
        save(f"{work}/llvip/LLVIP/infrared/{split}/{name}.jpg", Image.fromarray(np.stack([grey] * 3, 2)), quality=95)  # three channels, as published
    put(f"{work}/llvip/LLVIP/Annotations/010001.xml", "<annotation/>")
    # jpeg pinned to the library that Pillow is built on too, where the machine has it; what is allowed is Go's
    # decoder's distance otherwise (docs/modalities.md, Image).
    stored = ingest(prep, f"{work}/llvip", f"{work}/llvip-out")
    with open(f"{work}/llvip-out/manifest.json") as f:
        turbo = json.load(f)["pins"]["jpeg"] == "turbo"
    for split, name in names:
        with Image.open(f"{work}/llvip/LLVIP/infrared/{split}/{name}.jpg") as im:
            want = crop(im.convert("L")).astype(np.float64)
        compare(f"LLVIP infrared {split}/{name}", stored[f"{split}/{name}"]["thermal"][0], want, 1 if turbo else 4, "lvl")
        with Image.open(f"{work}/llvip/LLVIP/visible/{split}/{name}.jpg") as im:
            want = crop(im.convert("RGB")).transpose(2, 0, 1).astype(np.float64)
        compare(f"LLVIP visible {split}/{name}", stored[f"{split}/{name}"]["image"], want, 1 if turbo else 8, "lvl")


# --- Ego4D

CLIP, HZ = 5.0, 400


def ego_rows(hz, seconds):
    """Times in ms as recorders leave them, and six channels: gyroscope x y z, accelerometer x y z."""
    n = int(hz * seconds)
    ms = np.sort(np.arange(n) * 1000 / hz + RNG.uniform(-0.3, 0.3, n) * 1000 / hz)
    t = ms / 1000
    gyro = [0.8 * np.sin(2 * math.pi * 1.3 * t), 0.3 * np.cos(2 * math.pi * 7 * t), 0.1 * t / seconds]
    accl = [2 * np.sin(2 * math.pi * 3 * t), 0.5 * np.cos(2 * math.pi * 45 * t), 9.81 + 0.2 * np.sin(t)]
    return ms, np.stack(gyro + accl, 1)


def ego_csv(path, ms, values):
    lines = ["component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z"]
    for i, (at, row) in enumerate(zip(ms, values)):
        cells = ["" if math.isnan(v) else f"{v:.7f}" for v in row]
        lines.append(f"{i // 4000},{(i % 4000) * 5.0:.3f},{at:.6f}," + ",".join(cells))
    put(path, "\n".join(lines) + "\n")
    # what the text says, which is all that a reader can know
    table = np.genfromtxt(path, delimiter=",", skip_header=1)
    return table[:, 2], table[:, 3:]


def ego_window(ms, values, start):
    """[6,2000]: canonical time sorted, of equal times the first; straight lines between what is there; above 420 Hz
    the mean of the neighbourhood under a Hann-windowed sinc that cuts at 0.99 * 200 Hz."""
    order = np.argsort(ms, kind="stable")
    t, v = ms[order] / 1000, values[order].astype(np.float32).astype(np.float64)
    keep = np.concatenate([[True], np.diff(t) > 0])
    t, v = t[keep], v[keep]
    grid = start + np.arange(int(CLIP * HZ)) / HZ
    out = []
    for c in (3, 4, 5, 0, 1, 2):
        near = (t > start - 0.1) & (t < start + CLIP + 0.1) & np.isfinite(v[:, c])
        x, y = t[near], v[near, c]
        line = np.interp(grid, x, y)
        step = np.median(np.diff(x))
        if 1 / step > 1.05 * HZ:
            width = 6 / (HZ * 0.99)  # six zero crossings on each side
            gaps = np.minimum(np.diff(x), 2 * step)
            share = (np.concatenate([[step], gaps]) + np.concatenate([gaps, [step]])) / 2  # of time that each value stands for
            for i, at in enumerate(grid):
                d = x - at
                inside = (d > -width) & (d < width)
                z = d[inside] * HZ * 0.99
                w = np.sinc(z) * np.cos(math.pi * z / 12) ** 2 * share[inside] * HZ * 0.99
                if w.sum() >= 0.6:
                    line[i] = (w * y[inside]).sum() / w.sum()
        out.append(line)
    return np.stack(out)


def check_ego(prep, work):
    videos = [("001e3e4e-2743-47fc-8564-d5efd11f9e90", 198.7), ("002c3b5c-ed86-4af3-99a1-4b497b7c8a86", 1000.0)]
    wanted, narrations = {}, {}
    for uid, hz in videos:
        ms, values = ego_rows(hz, 30)
        at = lambda seconds: int(hz * seconds)
        values[at(3.5) : at(3.5) + 5, 3] = np.nan  # missing values
        swap = np.arange(len(ms))
        for i in (at(4.2), at(11.0), at(12.3)):
            swap[[i, i + 1, i + 7, i + 9]] = [i + 1, i, i + 9, i + 7]  # times that go back
        ms, values = ms[swap], values[swap]
        ms[at(5.1)] = ms[at(5.1) - 1]  # and repeat
        drop = np.concatenate([np.arange(at(13.0)), np.arange(at(13.2), len(ms))])  # and are not there
        ms, values = ms[drop], values[drop]
        ms, values = ego_csv(f"{work}/ego/v2/imu/{uid}.csv", ms, values)
        said = [4.0, 12.5, 24.25]
        narrations[uid] = {"narration_pass_1": {"narrations": [{"timestamp_sec": t, "timestamp_frame": int(30 * t), "narration_text": f"#C C turns thing {t}"} for t in said]}}
        for t in said:
            start = t - CLIP / 2
            wanted[f"{uid}_{round(start * 1000)}"] = (hz, ego_window(ms, values, start))
    put(f"{work}/ego/v2/annotations/narration.json", json.dumps(narrations))
    stored = ingest(prep, f"{work}/ego", f"{work}/ego-out")
    if stored.keys() != wanted.keys():
        sys.exit(f"Ego4D: stored {sorted(stored)}, wanted {sorted(wanted)}")
    for key, (hz, want) in sorted(wanted.items()):
        # float32; and prep reads the low-pass from a table of 512 points to a zero crossing, which shows beside gaps
        compare(f"Ego4D {key[:8]} at {key.split('_')[1]} ms, {hz} Hz", stored[key]["imu"], want, 5e-6 if hz < HZ else 5e-5, "")


# --- two files of one recording

def check_two(prep, work):
    """As Sensor Logger writes them: nanoseconds since 1970, axes z, y, x, each sensor at its own times. Each is drawn
    through its own points; the window is the middle of what both have."""
    begin = 1_700_000_000_000_000_000
    wanted = []
    times = []
    for name, hz, late, seconds in (("TotalAcceleration", 99.3, 0.0, 14), ("Gyroscope", 207.9, 1.7, 15)):
        n = int(hz * seconds)
        ns = begin + np.round(1e9 * (late + np.arange(n) / hz + RNG.uniform(0, 0.3, n) / hz)).astype(np.int64)
        t = (ns - begin) / 1e9
        v = np.round(np.stack([np.sin(2 * t), np.cos(5 * t), 9.81 + 0 * t], 1), 6)
        rows = [f"{a},{b:.9f},{z:.6f},{y:.6f},{x:.6f}" for a, b, (x, y, z) in zip(ns, t, v)]
        put(f"{work}/two/walk/{name}.csv", "\n".join(["time,seconds_elapsed,z,y,x"] + rows) + "\n")
        wanted.append(v)
        times.append(ns)
    put(f"{work}/two/walk/Gravity.csv", "time,seconds_elapsed,z,y,x\n")
    # A double keeps times since 1970 to a quarter of a microsecond.
    t = [ns.astype(np.float64) * 1e-9 for ns in times]
    start = (max(a[0] for a in t) + min(a[-1] for a in t)) / 2 - CLIP / 2
    grid = start + np.arange(int(CLIP * HZ)) / HZ
    want = np.stack([np.interp(grid, a, v[:, c]) for a, v in zip(t, wanted) for c in range(3)])
    stored = ingest(prep, f"{work}/two", f"{work}/two-out")
    compare("two files, 99 and 208 Hz", stored["walk"]["imu"], want, 1e-5, "")


def main():
    with tempfile.TemporaryDirectory() as work:
        check_sun(sys.argv[1], work)
        check_llvip(sys.argv[1], work)
        check_ego(sys.argv[1], work)
        check_two(sys.argv[1], work)
    sys.exit(f"off by too much: {', '.join(BAD)}" if BAD else 0)


main()
