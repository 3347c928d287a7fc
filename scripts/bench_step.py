"""CPU time of a training step of one tower: prep on the Go backend and on an XLA plugin, against PyTorch eager.

    python scripts/bench_step.py [--plugin xla_cpu_plugin.so] [--rounds 3] [--steps 6] [--sizes 768,256]

The same tower and step on each side: ImageBind's audio stem and trunk (12 blocks, width 768, 229 tokens, batch 4), and
a smaller one over patches (4 blocks, width 256, 65 tokens, batch 16); forward, symmetric InfoNCE against fixed vectors,
backward, AdamW. Rounds alternate, and each figure is the least processor time (user and system) of any step of any
round, on one core, because other programs on the machine only ever add to it. Needs PyTorch and a Go toolchain; on PyPI's CPU:

    pip install torch numpy
"""

import argparse
import json
import os
import pathlib
import re
import resource
import subprocess
import sys

SIZES = {  # blocks, width, heads, out, height, width of the input, kernel, stride, batch
    "768": (12, 768, 12, 1024, 128, 204, 16, 10, 4),
    "256": (4, 256, 4, 128, 224, 224, 28, 28, 16),
}


def torch_steps(size, steps):
    """Print the least processor time of a step in PyTorch, in ms."""
    import torch
    import torch.nn as nn
    import torch.nn.functional as F

    blocks, width, heads, out, rows, cols, kernel, stride, batch = SIZES[size]
    tokens = ((rows - kernel) // stride + 1) * ((cols - kernel) // stride + 1) + 1
    torch.manual_seed(0)

    class Block(nn.Module):
        def __init__(self):
            super().__init__()
            self.norm1, self.norm2 = nn.LayerNorm(width, eps=1e-6), nn.LayerNorm(width, eps=1e-6)
            self.attn = nn.MultiheadAttention(width, heads, add_bias_kv=True, batch_first=False)
            self.fc1, self.fc2 = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

        def forward(self, x):  # [tokens, batch, width], as ImageBind has it
            h = self.norm1(x)
            x = x + self.attn(h, h, h, need_weights=False)[0]
            return x + self.fc2(F.gelu(self.fc1(self.norm2(x))))

    class Tower(nn.Module):
        def __init__(self):
            super().__init__()
            self.proj, self.norm = nn.Conv2d(1, width, kernel, stride, bias=False), nn.LayerNorm(width)
            self.cls, self.pos = nn.Parameter(torch.randn(1, 1, width) * 0.02), nn.Parameter(torch.randn(1, tokens, width) * 0.02)
            self.blocks = nn.Sequential(*(Block() for _ in range(blocks)))
            self.norm_out, self.head = nn.LayerNorm(width, eps=1e-6), nn.Linear(width, out, bias=False)

        def forward(self, x):
            x = self.norm(self.proj(x).flatten(2).transpose(1, 2))
            x = torch.cat([self.cls.expand(len(x), 1, width), x], 1) + self.pos
            x = self.blocks(x.transpose(0, 1))[0]
            return 20 * F.normalize(self.head(self.norm_out(x)), dim=-1)

    model = Tower()
    x, z = torch.randn(batch, 1, rows, cols), F.normalize(torch.randn(batch, out), dim=-1)
    adam = torch.optim.AdamW(model.parameters(), lr=1e-4, weight_decay=0.05)
    rows_of = torch.arange(batch)

    def cpu():
        u = resource.getrusage(resource.RUSAGE_SELF)
        return u.ru_utime + u.ru_stime

    least = float("inf")
    for i in range(steps + 2):
        began = cpu()
        logits = z @ model(x).T
        loss = (F.cross_entropy(logits, rows_of) + F.cross_entropy(logits.T, rows_of)) / 2
        adam.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        adam.step()
        loss.item()
        if i >= 2:
            least = min(least, cpu() - began)
    print(json.dumps({"torch": torch.__version__, "ms": least * 1e3}))


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--plugin", default=os.environ.get("PJRT_PLUGIN_LIBRARY_PATH", ""), help="PJRT plugin; without one XLA is left out")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--steps", type=int, default=6)
    p.add_argument("--sizes", default="768,256")
    p.add_argument("--core", type=int, default=0, help="the core that all of it runs on")
    p.add_argument("--binary", help="the trainer's compiled tests, where they are built already (go test -c ./trainer, with GOEXPERIMENT=simd)")
    p.add_argument("--torch", help=argparse.SUPPRESS)
    a = p.parse_args()
    if a.torch:
        return torch_steps(a.torch, a.steps)
    # One core, so that no thread spins while it waits for another, which counts as processor time.
    os.sched_setaffinity(0, {a.core})
    root = pathlib.Path(__file__).resolve().parent.parent
    binary = root / "bench_step.test"
    if a.binary:
        return compare(a, root, os.path.abspath(a.binary))
    subprocess.run(["go", "test", "-c", "-o", binary, "./trainer"], cwd=root, check=True, env=os.environ | {"GOEXPERIMENT": "simd"})
    try:
        compare(a, root, binary)
    finally:
        binary.unlink()


def compare(a, root, binary):
    def ours(size, device):
        # The package's tests find their data beside the package. The environment as the program has it
        # (internal/cli/restart.go, docs/bench.md).
        env = os.environ | {"PREP_TEST_DEVICE": device, "GODEBUG": "cpu.fma=off"}
        if device.startswith("xla:"):
            env["GLIBC_TUNABLES"] = "glibc.malloc.arena_max=1:glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=18446744073709551615"
        r = subprocess.run([binary, "-test.run=^$", f"-test.bench=TowerStep/{size}$", f"-test.benchtime={a.steps}x"], cwd=root / "trainer",
                           env=env, capture_output=True, text=True)
        found = re.search(r"([\d.]+) cpu-ms/step", r.stdout)
        if not found:
            sys.exit(r.stdout + r.stderr)
        return float(found[1])

    version = ""
    for size in a.sizes.split(","):
        least = {}
        for _ in range(a.rounds):
            out = subprocess.run([sys.executable, __file__, "--torch", size, "--steps", str(a.steps)], check=True, capture_output=True, text=True)
            figure = json.loads(out.stdout.splitlines()[-1])
            version = figure["torch"]
            got = {"PyTorch eager": figure["ms"], "Go backend": ours(size, "cpu")}
            if a.plugin:
                got["XLA plugin"] = ours(size, f"xla:{os.path.abspath(a.plugin)}")
            print(f"width {size}:", ", ".join(f"{k} {v:.0f} ms" for k, v in got.items()), flush=True)
            for k, v in got.items():
                least[k] = min(v, least.get(k, v))
        for k, v in least.items():
            print(f"width {size}: {k}: {v:.0f} ms of CPU a step, {v / least['PyTorch eager']:.2f}x")
    print(f"PyTorch {version}, one core of {os.cpu_count()}")


if __name__ == "__main__":
    main()
