#!/usr/bin/env python3
"""Write a .pth with the names and shapes of imagebind_huge and random float16 values, 2.4 GB, as torch.save
would: make_huge_pth.py OUT.pth [NAMES.json]. Needs only NumPy; values are written tensor by tensor, so it takes
little memory. The values are small, norms' weights about 1 and the causal mask as it must be, so that the
towers compute numbers of a usual size.
"""
import json
import pathlib
import pickle
import struct
import sys
import zipfile

import numpy as np

NAMES = pathlib.Path(__file__).resolve().parent.parent / "testdata/golden/model/imagebind_huge_names.json"


def short(text):
    return b"X" + struct.pack("<I", len(text)) + text.encode()


def numbers(v):
    return b"(" + b"".join(b"J" + struct.pack("<i", n) for n in v) + b"t"


def describe(shapes):
    """The pickle: an OrderedDict of calls of _rebuild_tensor_v2."""
    out = [b"\x80\x02ccollections\nOrderedDict\n)R("]
    for i, (name, shape) in enumerate(shapes.items()):
        n = int(np.prod(shape))
        stride = [int(np.prod(shape[j + 1:])) for j in range(len(shape))]
        out.append(short(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + short("storage") + b"ctorch\nHalfStorage\n" + short(str(i)) + short("cpu")
                   + b"J" + struct.pack("<i", n) + b"tQK\x00" + numbers(shape) + numbers(stride) + b"\x89ccollections\nOrderedDict\n)RtR")
    return b"".join(out) + b"u."


def values(name, shape, r):
    n = int(np.prod(shape))
    if name.endswith("text.mask"):
        return np.triu(np.full(shape, -np.inf), 1).astype("<f2").ravel()
    if name.endswith("log_logit_scale"):
        return np.full(1, np.log(1 / 0.07), "<f2")
    x = r.standard_normal(n, np.float32) * np.float32(0.02)
    if ("norm" in name or "heads" in name and len(shape) == 1 or "pre_transformer" in name) and name.endswith("weight"):
        x += 1
    return x.astype("<f2")


def main():
    names = sys.argv[2] if len(sys.argv) > 2 else NAMES
    shapes = json.load(open(names))["shapes"]
    data = describe(shapes)
    assert pickle.HIGHEST_PROTOCOL >= 2
    r = np.random.default_rng(0)
    with zipfile.ZipFile(sys.argv[1], "w", zipfile.ZIP_STORED, allowZip64=True) as z:
        z.writestr("archive/data.pkl", data)
        z.writestr("archive/byteorder", "little")
        for i, (name, shape) in enumerate(shapes.items()):
            z.writestr(f"archive/data/{i}", values(name, shape, r).tobytes())
        z.writestr("archive/version", "3\n")


main()
