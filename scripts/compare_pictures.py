#!/usr/bin/env python3
"""Holds what prep reads of pictures against Pillow, file by file, and the crop of 224 against torchvision's rule.

    python3 scripts/compare_pictures.py DIR... [--decoder go|turbo] [--quiet]

Needs Go, Pillow and numpy; run it from the checkout. Every picture below DIR is decoded by both to RGB as the
`imagebind` preset does (alpha dropped, 16-bit clipped, EXIF ignored), resized and cropped, and the bytes are
compared. It prints what differs and what one of the two refuses, and ends with the counts. Orientation is
compared as Pillow's ImageOps.exif_transpose understands it. Exit status 1 when pixels differ.
"""
import argparse
import collections
import hashlib
import json
import os
import subprocess
import sys
import warnings

import numpy as np
from PIL import Image

Image.MAX_IMAGE_PIXELS = None
warnings.simplefilter("ignore")
NAMES = (".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".bmp", ".tif", ".tiff", ".webp", ".avif", ".heic")


def short_side(w, h, size=224):
    return (size, int(size * h / w)) if w <= h else (int(size * w / h), size)


def pillow(path):
    """The decoded RGB bytes, those of the crop in planes, and the orientation."""
    with Image.open(path) as im:
        try:
            turned = im.getexif().get(0x0112, 0)
        except Exception:
            turned = 0
        rgb = im.convert("RGB")
    w, h = short_side(*rgb.size)
    if w * h > 1 << 28:
        return rgb, None, turned
    small = rgb.resize((w, h), Image.BICUBIC)
    left, top = int(round((w - 224) / 2.0)), int(round((h - 224) / 2.0))
    crop = np.asarray(small.crop((left, top, left + 224, top + 224))).transpose(2, 0, 1)
    return rgb, crop.tobytes(), turned


def main():
    ap = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    ap.add_argument("dirs", nargs="+")
    ap.add_argument("--decoder", default="go", choices=["go", "turbo"])
    ap.add_argument("--quiet", action="store_true", help="print only the counts and differing pixels")
    args = ap.parse_args()
    paths = []
    for d in args.dirs:
        for folder, _, files in sorted(os.walk(d)):
            paths += [os.path.join(folder, f) for f in sorted(files) if f.lower().endswith(NAMES)]
    program = ["go", "run", "./scripts/pictures", "-decoder", args.decoder]
    ours = subprocess.run(program, input="\n".join(paths), text=True, stdout=subprocess.PIPE, check=True).stdout
    count = collections.Counter()
    for line in ours.splitlines():
        r = json.loads(line)
        name, kind = r["path"], os.path.splitext(r["path"])[1].lower()[1:]
        try:
            rgb, crop, turned = pillow(name)
        except Exception as e:
            rgb, error = None, e
        say = None
        if rgb is None and "pixels" not in r:
            outcome = "refused by both"
        elif rgb is None:
            outcome, say = "refused by Pillow only", error
        elif "pixels" not in r:
            outcome, say = "refused by prep only", r.get("error")
        elif (rgb.width, rgb.height) != (r["width"], r["height"]):
            outcome, say = "DIFFERENT size", f"{rgb.size} and {r['width']} x {r['height']}"
        elif hashlib.sha256(rgb.tobytes()).hexdigest() != r["pixels"]:
            outcome, say = "DIFFERENT pixels", rgb.mode
        elif crop is not None and hashlib.sha256(crop).hexdigest() != r["crop"]:
            outcome, say = "DIFFERENT crop", rgb.size
        elif (turned if 1 <= turned <= 8 else 0) != r.get("orientation", 0):
            outcome, say = "DIFFERENT orientation", f"{turned} and {r.get('orientation', 0)}"
        else:
            outcome = "equal"
        count[outcome, kind] += 1
        if say is not None and (outcome.startswith("DIFFERENT") or not args.quiet):
            print(f"{outcome}: {name}: {say}")
    for (outcome, kind), n in sorted(count.items()):
        print(f"{n:6d} {kind:5s} {outcome}")
    sys.exit(any(o.startswith("DIFFERENT") for o, _ in count))


if __name__ == "__main__":
    main()
