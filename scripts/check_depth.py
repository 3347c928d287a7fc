#!/usr/bin/env python3
"""Hold prep's depth against a real scene whose geometry is known.

    pip install scikit-image pillow numpy pyarrow
    check_depth.py PREP

scikit-image brings a rectified stereo pair with its measured disparity (Middlebury 2014, "motorcycle"). Nothing
here says that it may be passed on, so it is read where pip has put it and never copied into this project. Its
calibration gives metres; written as millimetres (PNG), metres (NPY, TIFF) and disparity (NPY), PREP ingests them,
and each stored tensor is compared with baseline * fx / depth, resized by Pillow and cropped, computed here.
Ends with an error when one is off.
"""
import json
import os
import subprocess
import sys
import tempfile

import numpy as np
import pyarrow as pa
from PIL import Image
import skimage.data

FOCAL, BASELINE, DOFFS = 994.978, 0.193001, 31.086  # of the pair at a quarter of its size, as its documentation says


def expected(disparity):
    """[224,224]: shorter side to 224 by Pillow's bicubic with antialias, centre crop, float16."""
    im = Image.fromarray(disparity.astype(np.float32))
    w, h = im.size
    size = (224, 224 * h // w) if w <= h else (224 * w // h, 224)
    left, top = round((size[0] - 224) / 2), round((size[1] - 224) / 2)
    return np.asarray(im.resize(size, Image.BICUBIC).crop((left, top, left + 224, top + 224)))


def main():
    left, _, disp = skimage.data.stereo_motorcycle()
    known = np.isfinite(disp)
    metres = np.where(known, BASELINE * FOCAL / (disp + DOFFS), 0).astype(np.float32)
    millimetres = np.round(metres * 1000).astype(np.uint16)
    with tempfile.TemporaryDirectory() as work:
        src, out = os.path.join(work, "src"), os.path.join(work, "out")
        os.mkdir(src)
        at = lambda name: os.path.join(src, name)
        Image.fromarray(left).save(at("left.png"))
        Image.fromarray(millimetres).save(at("mm.png"))
        np.save(at("m.npy"), metres)
        Image.fromarray(metres).save(at("m.tiff"))
        np.save(at("d.npy"), np.where(known, disp, 0).astype(np.float32))
        triangulate = lambda z: np.where(z > 0, np.float32(BASELINE * FOCAL) / np.where(z > 0, z, 1), 0)
        wanted = {
            "mm": ("mm.png", "mm", triangulate(millimetres.astype(np.float32) / 1000)),
            "npy": ("m.npy", "m", triangulate(metres)),
            "tiff": ("m.tiff", "m", triangulate(metres)),
            "disparity": ("d.npy", "disparity", np.where(known, disp, 0)),
        }
        with open(at("manifest.csv"), "w") as f:
            f.write("key,image,depth,depth_encoding,fx,baseline_m\n")
            for key, (name, encoding, _) in wanted.items():
                f.write(f"{key},left.png,{name},{encoding},{FOCAL},{BASELINE}\n")
        done = subprocess.run([sys.argv[1], "ingest", at("manifest.csv"), "--out", out, "--json"], capture_output=True, text=True)
        if done.returncode:
            sys.exit(done.stderr)
        stored = {}
        for name in sorted(os.listdir(out)):
            if name.endswith(".arrow"):
                with pa.ipc.open_file(os.path.join(out, name)) as f:
                    t = f.read_all()
                for row in range(t.num_rows):
                    column = t.column("depth").combine_chunks()
                    storage = column.storage if hasattr(column, "storage") else column
                    stored[t.column("key")[row].as_py()] = np.array(storage[row].as_py(), np.float16).astype(np.float32).reshape(224, 224)
        bad = False
        for key, (_, _, disparity) in wanted.items():
            want = expected(disparity)
            off = np.abs(stored[key] - want)
            # float16 keeps 11 bits: half a unit in the last place, and what float32 sums differ by
            allowed = np.abs(want) * 2.0**-11 + 1e-3
            worst = float((off / allowed).max())
            bad |= worst > 1
            print(f"{key:10s} {want.min():8.3f} to {want.max():8.3f} px, off by {off.max():.4f} at most, {worst:.2f} of what is allowed")
        counts = json.loads(done.stdout.strip().splitlines()[-1])
        print(counts)
        sys.exit("prep's depth is not the scene's" if bad else 0)


main()
