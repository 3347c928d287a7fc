#!/usr/bin/env python3
"""Run the conversion of HDF5 that docs/modalities.md shows, and ingest what it makes.

    pip install h5py numpy pillow pyarrow
    check_hdf5.py PREP

Two files are generated: one as NYU's labelled set (MATLAB 7.3: HDF5 behind a block of text, arrays with their axes
reversed, as MATLAB writes them), with a few small maps in place of 1449, and one of a single map as Hypersim's. The lines of Python
are taken out of the page as they stand, run, and what they leave is ingested by PREP: every picture must meet its own
map, and the disparities be those of NYU's camera. Ends with an error otherwise.
"""
import os
import re
import subprocess
import sys
import tempfile

import h5py
import numpy as np
import pyarrow as pa

N, H, W = 5, 240, 320


def main():
    prep = os.path.realpath(sys.argv[1])
    page = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "docs", "modalities.md")
    with open(page, encoding="utf-8") as f:
        text = f.read()
    lines = re.search(r"( +)python3 -c '(import h5py.*?)'\n", text, re.S)
    single = re.search(r"`(numpy\.save\(\"0000\.npy\", h5py.*?)`", text)
    if not lines or not single:
        sys.exit("docs/modalities.md does not show the conversion")
    code = lines[2].replace("\n" + lines[1], "\n")
    depth = np.stack([1 + i / 4 + np.linspace(0, 2, W)[None, :] + np.zeros((H, 1)) for i in range(N)]).astype(np.float32)
    image = np.zeros((N, H, W, 3), np.uint8)
    for i in range(N):
        image[i, :, :, 0], image[i, :, :, 1] = 40 * i, np.arange(W)[None, :] * 255 // W
    with tempfile.TemporaryDirectory() as work:
        with h5py.File(f"{work}/nyu_depth_v2_labeled.mat", "w", userblock_size=512) as f:
            # MATLAB's [H,W,3,N] lies in the file as [N,3,W,H].
            f.create_dataset("depths", data=depth.transpose(0, 2, 1))
            f.create_dataset("images", data=image.transpose(0, 3, 2, 1))
        with open(f"{work}/nyu_depth_v2_labeled.mat", "r+b") as f:
            f.write(b"MATLAB 7.3 MAT-file, Platform: GLNXA64".ljust(124) + b"\x00\x02IM")
        said = subprocess.run([prep, "ingest", f"{work}/nyu_depth_v2_labeled.mat", "--out", f"{work}/none"], capture_output=True, text=True)
        if said.returncode != 3 or "docs/modalities.md" not in said.stderr:
            sys.exit(f"the file itself: exit {said.returncode}, {said.stderr}")
        subprocess.run([sys.executable, "-c", code], cwd=work, check=True)
        done = subprocess.run([prep, "ingest", f"{work}/nyu", "--out", f"{work}/out", "--json"], capture_output=True, text=True)
        print(done.stdout.strip().splitlines()[-1] if done.stdout else done.stderr)
        if done.returncode:
            sys.exit(done.stderr)
        rows = {}
        for name in sorted(os.listdir(f"{work}/out")):
            if name.endswith(".arrow"):
                with pa.ipc.open_file(f"{work}/out/{name}") as f:
                    t = f.read_all()
                rows |= {t.column("key")[r].as_py(): (t.column("depth")[r].to_numpy(), t.column("image")[r].to_numpy()) for r in range(t.num_rows)}
        if len(rows) != N:
            sys.exit(f"{sorted(rows)}: want {N} samples with picture and depth")
        for i, key in enumerate(sorted(rows)):
            disparity, pixels = rows[key]
            # the middle of a row, where the ramp is as straight as the resize leaves it
            want = 0.075 * 518.857901 / float(np.mean(depth[i, :, W // 2 - 1 : W // 2 + 1]))
            got, red = float(np.mean(disparity[0, :, 111:113])), float(np.mean(pixels[0]))
            print(f"{key}: disparity {got:.3f} px, want {want:.3f}; red {red:.1f}, want {40 * i}")
            if abs(got - want) > 0.02 or abs(red - 40 * i) > 0.5 or pixels[1, 5, 0] >= pixels[1, 5, 200]:
                sys.exit("not the file's maps and pictures")
        with h5py.File(f"{work}/frame.0000.depth_meters.hdf5", "w") as f:
            f.create_dataset("dataset", data=depth[0].astype(np.float16))
        subprocess.run([sys.executable, "-c", "import h5py, numpy; " + single[1]], cwd=work, check=True)
        if not np.array_equal(np.load(f"{work}/0000.npy"), depth[0].astype(np.float16)):
            sys.exit("the single map is another")


main()
