#!/usr/bin/env python3
"""Time from a JPEG file's bytes to 224 x 224 planes: prep against torchvision, simplejpeg and Pillow, in one run.

    python3 scripts/bench_pictures.py [FILE...]

Needs Go, torch, torchvision, simplejpeg and Pillow; run it from the checkout. Without files it makes two from
scikit-image's pictures if that is there: 500 x 375 and 2000 x 1500, 4:2:0, quality 85. Everything runs on one
thread. A figure is the least CPU time of many runs, the libraries taking turns in rounds, so that a machine
that is busy with other things disturbs all of them alike; ratios are to torchvision's decode_jpeg with v2's
bicubic resize with antialias, whose pixels are Pillow's but for 0.004 of a level on average.
"""
import io
import json
import os
import subprocess
import sys
import tempfile
import time

os.environ.setdefault("OMP_NUM_THREADS", "1")
import simplejpeg
import torch
from PIL import Image
from torchvision.io import ImageReadMode, decode_jpeg
from torchvision.transforms import v2

torch.set_num_threads(1)
ROUNDS = 4
resize = v2.Compose([v2.Resize(224, interpolation=v2.InterpolationMode.BICUBIC, antialias=True), v2.CenterCrop(224)])

def least(f, runs):
    best = float("inf")
    for _ in range(runs):
        begin = time.process_time()
        f()
        best = min(best, time.process_time() - begin)
    return best * 1e3

def by_pillow(data):
    im = Image.open(io.BytesIO(data)).convert("RGB")
    w, h = im.size
    w, h = (224, 224 * h // w) if w <= h else (224 * w // h, 224)
    left, top = round((w - 224) / 2), round((h - 224) / 2)
    return im.resize((w, h), Image.BICUBIC).crop((left, top, left + 224, top + 224)).tobytes()

def samples(folder):
    from skimage import data
    for name, picture, size in (("small", data.chelsea(), (500, 375)), ("large", data.astronaut(), (2000, 1500))):
        path = os.path.join(folder, name + ".jpg")
        Image.fromarray(picture).resize(size, Image.LANCZOS).save(path, quality=85)
        yield path

def main():
    with tempfile.TemporaryDirectory() as folder:
        files = sys.argv[1:] or list(samples(folder))
        program = os.path.join(folder, "pictures")
        subprocess.run(["go", "build", "-o", program, "./scripts/pictures"], check=True)
        for path in files:
            raw = open(path, "rb").read()
            tensor = torch.frombuffer(bytearray(raw), dtype=torch.uint8)
            pixels = decode_jpeg(tensor, mode=ImageReadMode.RGB)
            runs = max(8, min(200, 60_000_000 // pixels.numel()))
            peers = {
                "torchvision": lambda: resize(decode_jpeg(tensor, mode=ImageReadMode.RGB)),
                "  its decoding": lambda: decode_jpeg(tensor, mode=ImageReadMode.RGB),
                "simplejpeg + v2": lambda: resize(torch.from_numpy(simplejpeg.decode_jpeg(raw)).permute(2, 0, 1)),
                "simplejpeg scaled + v2": lambda: resize(torch.from_numpy(simplejpeg.decode_jpeg(raw, min_height=224, min_width=224)).permute(2, 0, 1)),
                "Pillow": lambda: by_pillow(raw),
            }
            ours = {
                "prep, libjpeg-turbo": ["-decoder", "turbo"],
                "prep, Go": ["-decoder", "go"],
                "prep, scaled": ["-decoder", "turbo", "-scaled"],
            }
            best, kernels = {}, ""
            for _ in range(ROUNDS):
                for name, f in peers.items():
                    best[name] = min(best.get(name, 1e9), least(f, runs))
                for name, flags in ours.items():
                    out = subprocess.run([program, *flags, "-bench", str(runs)], input=path, text=True, capture_output=True, check=True).stdout
                    r = json.loads(out)
                    if "error" in r:
                        sys.exit(f"{name}: {r['error']}")
                    kernels = r["kernels"]
                    best[name] = min(best.get(name, 1e9), r["whole_ms"])
            print(f"\n{os.path.basename(path)}, {pixels.shape[2]} x {pixels.shape[1]}, {len(raw)} bytes (resize: {kernels})")
            print("| | ms | to torchvision |\n|---|---|---|")
            for name, ms in best.items():
                print(f"| {name} | {ms:.2f} | {ms / best['torchvision']:.2f} |")

if __name__ == "__main__":
    main()
