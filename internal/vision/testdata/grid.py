"""Writes grid.json: what Pillow's mode F makes of maps from a formula, at a few places and in sum.

    python grid.py > grid.json
"""
import json, numpy as np, PIL
from PIL import Image

def resized(w, h):
    y, x = np.mgrid[0:h, 0:w]
    a = (((x * 37 + y * 91) % 251) * 0.0625 + (x + 2.0 * y) * 0.01).astype(np.float32)
    size = (224, int(224 * h / w)) if w <= h else (int(224 * w / h), 224)
    b = np.asarray(Image.fromarray(a).resize(size, Image.BICUBIC))
    left, top = int(round((size[0] - 224) / 2)), int(round((size[1] - 224) / 2))
    return b[top:top + 224, left:left + 224]

cases = []
for w, h in [(640, 480), (730, 530), (561, 427), (224, 224), (224, 300), (100, 60), (1, 9), (1280, 1024)]:
    b = resized(w, h)
    cases.append({"width": w, "height": h, "sum": float(b.astype(np.float64).sum()),
                  "every": [float(v) for v in b[::37, ::41].ravel()]})
print(json.dumps({"pillow": PIL.__version__, "cases": cases}, indent=None))
