#!/usr/bin/env python3
"""Check what prep export wrote, without PyTorch: check_export.py NAMES.json W.safetensors W.pth

safetensors' own reader opens the first, pickletools walks the pickle of the second; both must hold the names
and shapes of the list and the same values, and the pickle must name nothing but what describes tensors.
"""
import collections
import io
import json
import pickle
import pickletools
import sys
import zipfile

import numpy as np
from safetensors.numpy import load_file

KINDS = {"FloatStorage": "<f4", "HalfStorage": "<f2", "DoubleStorage": "<f8"}
ALLOWED = {"collections OrderedDict", "torch._utils _rebuild_tensor_v2"} | {"torch " + k for k in KINDS}


class Reader(pickle.Unpickler):
    def __init__(self, z, data):
        super().__init__(io.BytesIO(data))
        self.z = z

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda s, offset, size, stride, *_: np.lib.stride_tricks.as_strided(s[offset:], size, [n * s.itemsize for n in stride])
        return KINDS[name]

    def persistent_load(self, pid):
        _, kind, key, _, n = pid
        record = self.z.getinfo("archive/data/" + key)
        assert record.compress_type == zipfile.ZIP_STORED
        a = np.frombuffer(self.z.read(record), kind)  # checks the CRC
        assert len(a) == n, pid
        return a


def main():
    j = json.load(open(sys.argv[1]))
    want = {k: v["shape"] for k, v in j["state_dict"].items()} if "state_dict" in j else j["shapes"]
    safe = load_file(sys.argv[2])
    with zipfile.ZipFile(sys.argv[3]) as z:
        assert z.testzip() is None
        data = z.read("archive/data.pkl")
        named = {a for op, a, _ in pickletools.genops(data) if op.name in ("GLOBAL", "STACK_GLOBAL")}
        assert named <= ALLOWED, named - ALLOWED
        pickletools.dis(data, io.StringIO())  # also checks the stack and the memo
        torch = Reader(z, data).load()
    assert set(torch) == set(want), set(torch) ^ set(want)
    assert set(safe) == set(want), set(safe) ^ set(want)
    for k, shape in want.items():
        assert list(safe[k].shape) == list(torch[k].shape) == shape, (k, safe[k].shape, torch[k].shape, shape)
        assert safe[k].dtype == torch[k].dtype and safe[k].tobytes() == torch[k].tobytes(), k
    print(f"{len(want)} tensors of the names and shapes of {sys.argv[1]} in both files, equal to the bit")


main()
