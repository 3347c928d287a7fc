"""Training and embedding on an NVIDIA GPU: prep through XLA against PyTorch, with torch.compile, in one run.

    python scripts/bench_gpu.py --prep ./prep [--runs bf16:auto:64,torch:bf16:64] [--size huge] [--work DIR]

ImageBind's audio tower learns against its resting vision tower, both at full size (imagebind_huge). prep runs as its users
run it, from shards that it made itself of generated pictures and sounds; its speed is that of metrics.jsonl. PyTorch gets
the same towers and step, as fast as we could write them: scaled_dot_product_attention, fused AdamW, clipping, autocast,
the blocks compiled, pictures as uint8 from pinned memory. Memory is what the driver counts for the process at its
most, above what was in use before. Needs PyTorch for CUDA, NumPy and Pillow; prep has to find its plugin (docs/gpu.md).
--size small and another --device than cuda try the script itself, without a GPU.
"""

import argparse
import json
import math
import multiprocessing
import os
import pathlib
import shutil
import subprocess
import sys
import threading
import time
import wave

# By size: prep's preset, and the two towers as PyTorch gets them: blocks, width, heads, channels, kernel, stride, tokens,
# whether attention has a learned key (add_bias_kv); the width of the joint space.
SIZES = {
    "huge": {"preset": "imagebind_huge", "vision": (32, 1280, 16, 3, 14, 14, 257, False), "audio": (12, 768, 12, 1, 16, 10, 229, True), "joint": 1024},
    "small": {"preset": "tiny", "vision": (2, 64, 2, 3, 56, 56, 17, False), "audio": (2, 64, 2, 1, 64, 64, 7, True), "joint": 64},
}


def item(args):
    """A picture of a few waves and two seconds of a chord."""
    import numpy as np
    from PIL import Image

    folder, i = args
    r = np.random.default_rng(i)
    y, x = np.mgrid[0:224, 0:224] / 224
    waves = [np.sin(a * x + b * y + p) for a, b, p in r.uniform(-9, 9, (3, 3))]
    Image.fromarray((127 + 120 * np.stack(waves, -1)).astype(np.uint8)).save(folder / f"{i:05d}.jpg", quality=90)
    t = np.arange(32000) / 16000
    tone = sum(np.sin(2 * np.pi * f * t) for f in r.uniform(100, 4000, 4)) / 5
    with wave.open(str(folder / f"{i:05d}.wav"), "wb") as w:
        w.setparams((1, 2, 16000, 0, "NONE", ""))
        w.writeframes((tone * 30000).astype("<i2").tobytes())


def used():
    """What the driver counts in use, in MiB; 0 where there is no NVIDIA driver."""
    if not shutil.which("nvidia-smi"):
        return 0
    out = subprocess.run(["nvidia-smi", "--query-gpu=memory.used", "--format=csv,noheader,nounits"], capture_output=True, text=True, check=True)
    return int(out.stdout.split()[0])


class Peak:
    """The most memory that the driver counted while it was watched, in MiB."""

    def __enter__(self):
        self.base, self.most, self.going = used(), 0, True
        self.thread = threading.Thread(target=self.watch)
        self.thread.start()
        return self

    def watch(self):
        while self.going:
            self.most = max(self.most, used() - self.base)
            time.sleep(0.2)

    def __exit__(self, *_):
        self.going = False
        self.thread.join()


def steps_of(batch, steps):
    """The number of steps of a batch where so many are taken of 64."""
    return max(8, steps * 64 // batch)


def train_command(a, run, batch, precision, attention, steps):
    """prep's command for a training of so many steps (of batch 64; fewer of larger ones) in the folder run."""
    steps = steps_of(batch, steps)
    shutil.rmtree(run, ignore_errors=True)
    return [a.prep, "train", a.work / "shards", "--preset", SIZES[a.size]["preset"], "--device", a.device, "--precision", precision, "--set", f"train.attention={attention}",
            "--freeze", "vision", "--set", "train.pairs.text=0", "--set", "train.held_out=0", *(["--config", a.config] if a.config else []), "--batch", str(batch), "--epochs", str(max(1, math.ceil(steps * batch / a.items))),
            "--set", "train.eval_epochs=1000", "--set", "train.checkpoint_epochs=1000", "--run", run]


def read_run(run):
    """The figures of a training, which may have been cut off."""
    try:
        lines = [json.loads(s) for s in open(run / "metrics.jsonl") if s.endswith("\n")]
    except OSError:
        return {"steps": 0}
    lines = [m for m in lines if m.get("kind") == "step"]
    if not lines:
        return {"steps": 0}
    return {"samples_per_second": lines[-1]["samples_per_second"], "data_wait": lines[-1]["data_wait"], "loss": lines[-1]["loss"], "steps": len(lines)}


def train(a, batch, precision, attention, steps):
    run = a.work / f"run-{precision}-{attention}-{batch}"
    command = train_command(a, run, batch, precision, attention, steps)
    began = time.time()
    with Peak() as peak:
        p = subprocess.run(command, capture_output=True, text=True)
    if p.returncode:
        return {"engine": "prep", "precision": precision, "attention": attention, "batch": batch, "failed": p.stderr[-1500:]}
    if not a.keep:
        shutil.rmtree(run / "checkpoints", ignore_errors=True)
    (a.work / f"log-{precision}-{attention}-{batch}.txt").write_text(p.stdout + p.stderr)
    return {"engine": "prep", "precision": precision, "attention": attention, "batch": batch, **read_run(run), "memory_mib": peak.most, "seconds": round(time.time() - began, 1)}


def torch_step(a, batch, precision, steps):
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    size, cuda = SIZES[a.size], a.device == "cuda"
    device = "cuda" if cuda else "cpu"
    pinned = (lambda x: x.pin_memory()) if cuda else (lambda x: x)

    class Attention(nn.Module):
        def __init__(self, width, heads, extra):
            super().__init__()
            self.heads, self.qkv, self.out = heads, nn.Linear(width, 3 * width), nn.Linear(width, width)
            self.extra = nn.Parameter(torch.randn(2, 1, 1, width) * width**-0.5) if extra else None

        def forward(self, x):  # [batch, tokens, width]
            b, n, w = x.shape
            q, k, v = self.qkv(x).chunk(3, -1)
            if self.extra is not None:
                k, v = (torch.cat([y, e.to(y.dtype).expand(b, 1, w)], 1) for y, e in zip((k, v), self.extra))
            q, k, v = (y.view(b, -1, self.heads, w // self.heads).transpose(1, 2) for y in (q, k, v))
            return self.out(F.scaled_dot_product_attention(q, k, v).transpose(1, 2).reshape(b, n, w))

    class Block(nn.Module):
        def __init__(self, width, heads, extra):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
            self.attention = Attention(width, heads, extra)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x, keep):  # keep [2, batch]: drop path
            x = x + self.attention(self.norm1(x)) * keep[0][:, None, None]
            return x + self.fc2(F.gelu(self.fc1(self.norm2(x)))) * keep[1][:, None, None]

    class Tower(nn.Module):
        def __init__(self, blocks, width, heads, channels, kernel, stride, tokens, extra):
            super().__init__()
            self.stem = nn.Conv2d(channels, width, kernel, stride, bias=False)
            self.first = nn.LayerNorm(width)
            self.cls, self.pos = nn.Parameter(torch.zeros(1, 1, width)), nn.Parameter(torch.randn(1, tokens, width) * width**-0.5)
            self.blocks = nn.ModuleList(Block(width, heads, extra) for _ in range(blocks))
            self.last, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, size["joint"], bias=False)

        def forward(self, x, keep):
            x = self.first(self.stem(x).flatten(2).transpose(1, 2))
            x = torch.cat([self.cls.to(x.dtype).expand(len(x), -1, -1), x], 1) + self.pos
            for block, k in zip(self.blocks, keep):
                x = block(x, k)
            return F.normalize(self.head(self.last(x[:, 0])).float(), dim=-1)

    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = precision == "tf32"
    torch.manual_seed(0)
    vision = Tower(*size["vision"]).to(device).requires_grad_(False).eval()
    audio = Tower(*size["audio"]).to(device)
    half = {"bf16": torch.bfloat16, "fp16": torch.float16}.get(precision)
    if half:
        vision = vision.to(half)
    mean = torch.tensor([0.48145466, 0.4578275, 0.40821073], device=device).view(1, 3, 1, 1)
    std = torch.tensor([0.26862954, 0.26130258, 0.27577711], device=device).view(1, 3, 1, 1)
    ones = torch.ones(size["vision"][0], 2, batch, device=device)

    def see(pixels):
        x = (pixels.float() / 255 - mean) / std
        return vision(x.to(half or torch.float32), ones.to(half or torch.float32))

    for tower in (vision, audio) if cuda else ():  # one block is compiled for all of a tower's: 44 at once take two minutes
        for block in tower.blocks:
            block.compile()
    hear = audio
    adam = torch.optim.AdamW(audio.parameters(), lr=1e-4, weight_decay=0.05, fused=True)
    pixels = pinned(torch.randint(0, 256, (batch, 3, 224, 224), dtype=torch.uint8))
    mels = pinned(torch.randn(batch, 1, 128, 204).half())
    keep = pinned((torch.rand(size["audio"][0], 2, batch) > 0.05).float())
    rows = torch.arange(batch, device=device)

    def step():
        with torch.autocast(device, dtype=half, enabled=half is not None):
            with torch.no_grad():
                z = see(pixels.to(device, non_blocking=True)).float()
            x = hear(mels.to(device, non_blocking=True).float(), keep.to(device, non_blocking=True))
        logits = 20 * z @ x.T
        loss = (F.cross_entropy(logits, rows) + F.cross_entropy(logits.T, rows)) / 2
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(audio.parameters(), 1.0)
        adam.step()
        return loss.item()  # as a training program looks at it

    synchronize = torch.cuda.synchronize if cuda else lambda: None
    began = time.time()
    for _ in range(3):
        step()
    synchronize()
    compiled = time.time() - began
    began = time.time()
    for _ in range(steps):
        loss = step()
    synchronize()
    took = time.time() - began
    print(json.dumps({"engine": f"torch {torch.__version__} {'compiled' if cuda else 'eager'}", "precision": precision, "batch": batch, "samples_per_second": round(batch * steps / took, 1),
                      "memory_mib": torch.cuda.max_memory_reserved() >> 20 if cuda else 0, "compile_seconds": round(compiled, 1), "loss": loss}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--prep", type=pathlib.Path, default=pathlib.Path("prep"))
    p.add_argument("--work", type=pathlib.Path, default=pathlib.Path("bench-gpu"))
    p.add_argument("--device", default="cuda")
    p.add_argument("--items", type=int, default=2048)
    p.add_argument("--runs", default="bf16:auto:64,bf16:products:64,torch:bf16:64", help="PRECISION:ATTENTION:BATCH of prep, torch:PRECISION:BATCH of PyTorch, embed:PRECISION:WEIGHTS")
    p.add_argument("--steps", type=int, default=32, help="of batch 64; fewer of larger ones")
    p.add_argument("--size", choices=SIZES, default="huge")
    p.add_argument("--keep", action="store_true", help="keep the checkpoints (for embed:PRECISION:RUN)")
    p.add_argument("--config", help="for prep, such as one with fewer blocks")
    p.add_argument("--torch", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.torch:
        precision, batch = a.torch.split(":")
        return torch_step(a, int(batch), precision, steps_of(int(batch), a.steps))
    a.work.mkdir(parents=True, exist_ok=True)
    a.prep = a.prep.resolve()
    shards = a.work / "shards"
    if not (shards / "manifest.json").exists():
        tree = a.work / "tree"
        tree.mkdir(exist_ok=True)
        began = time.time()
        with multiprocessing.Pool() as pool:
            pool.map(item, [(tree, i) for i in range(a.items)], chunksize=16)
        print(f"{a.items} pictures and sounds generated in {time.time() - began:.1f} s", flush=True)
        began = time.time()
        subprocess.run([a.prep, "ingest", tree, "--out", shards, "--snr", "off"], check=True, stderr=subprocess.DEVNULL)
        print(f"ingested in {time.time() - began:.1f} s", flush=True)
    for r in filter(None, a.runs.split(",")):
        part = r.split(":")
        if part[0] == "torch":
            out = subprocess.run([sys.executable, __file__, "--torch", f"{part[1]}:{part[2]}", "--steps", str(a.steps), "--size", a.size, "--device", a.device], capture_output=True, text=True)
            print(out.stdout.strip() if out.returncode == 0 else json.dumps({"engine": "torch", "run": r, "failed": out.stderr[-1500:]}), flush=True)
        elif part[0] == "embed":
            out = a.work / "vectors.parquet"
            out.unlink(missing_ok=True)
            began = time.time()
            with Peak() as peak:
                e = subprocess.run([a.prep, "embed", shards, "--preset", SIZES[a.size]["preset"], "--init", part[2], "--device", a.device, "--precision", part[1], "--out", out, "--json"], capture_output=True, text=True)
            print(json.dumps({"engine": "prep embed", "precision": part[1], "seconds": round(time.time() - began, 1), "memory_mib": peak.most, "rc": e.returncode, "said": (e.stdout + e.stderr)[-600:]}), flush=True)
        else:
            print(json.dumps(train(a, int(part[2]), part[0], part[1], a.steps)), flush=True)


if __name__ == "__main__":
    main()
