#!/usr/bin/env python3
"""The training of `prep demo --learn` in PyTorch, to compare with: scripts/learn_torch.py DIR [--luck N]

DIR is what `prep demo --learn --dir DIR` left: the same shards (read with pyarrow), the model, the recipe and the
seed of its run (from its last checkpoint). First weights, order and clips are drawn here as docs/training.md says
that prep draws them, so that the two runs begin equal and take the same batches; only how sums are rounded differs.
Each step's pair and loss are compared with those of the run (metrics.jsonl). The last line is the JSON that the demo
prints, with "steps": how far apart the losses are. --luck draws everything by another seed than the run's.

Needs torch, pyarrow and numpy.
"""
import argparse
import hashlib
import json
import math
import pathlib
import sys
import time

import numpy as np
import pyarrow as pa
import torch
import torch.nn.functional as F

from check_torch import Tower

TOWERS = ["vision", "text", "audio", "depth", "thermal", "imu"]
OTHERS = TOWERS[1:]
MEAN = torch.tensor([0.48145466, 0.4578275, 0.40821073]).view(3, 1, 1)
STD = torch.tensor([0.26862954, 0.26130258, 0.27577711]).view(3, 1, 1)


class Shards:
    """The rows of a folder of shards: keys, first labels, and a tensor [rows, ...] for each modality."""

    def __init__(self, path):
        tables = []
        for f in sorted(path.glob("shard-*.arrow")):
            with pa.memory_map(str(f)) as m:
                tables.append(pa.ipc.open_file(m).read_all())
        t = pa.concat_tables(tables)
        self.labels = [l[0] for l in t.column("labels").to_pylist()]
        self.keys = t.column("key").to_pylist()
        self.x = {}
        for name in ["image"] + OTHERS:
            c = t.column(name)
            arrays = [a.to_numpy_ndarray() for a in c.chunks]
            self.x[name] = torch.from_numpy(np.concatenate(arrays))

    def __len__(self):
        return len(self.labels)

    def batch(self, name, rows, clips=None):
        x = self.x[name][rows]
        if name == "image":
            return (x.float() / 255 - MEAN) / STD
        if name == "audio":
            return (x if clips is None else x[torch.arange(len(rows)), clips]).float()
        if name == "depth":
            return (x.float() - 0.0418) / 0.0295
        if name == "thermal":
            return x.float() / 255
        return x.long() if name == "text" else x


# What is drawn at random: docs/training.md, "Every draw has a name".

def digest(seed, purpose, number, key):
    return hashlib.sha256(purpose.encode() + b"\0" + seed.to_bytes(8, "little") + number.to_bytes(8, "little") + key.encode()).digest()


def place(seed, purpose, number, key=""):
    """Where a name lies in an order: the stream's first half."""
    return int.from_bytes(digest(seed, purpose, number, key)[:8], "little")


MULTIPLIER, INCREMENT, CHEAP = 2549297995355413924 << 64 | 4865540595714422341, 6364136223846793005 << 64 | 1442695040888963407, 0xDA942042E4DD58B5
ALL64, LOW32 = (1 << 64) - 1, np.uint64(0xFFFFFFFF)


def times128(hi, lo, by):
    """(hi, lo) times a constant, modulo 2^128; arrays of uint64 wrap as they should."""
    bh, bl = np.uint64(by >> 64), np.uint64(by & ALL64)
    b1, b0 = bl >> np.uint64(32), bl & LOW32
    a1, a0 = lo >> np.uint64(32), lo & LOW32
    middle = a1 * b0 + (a0 * b0 >> np.uint64(32))
    cross = a0 * b1 + (middle & LOW32)
    return a1 * b1 + (middle >> np.uint64(32)) + (cross >> np.uint64(32)) + hi * bl + lo * bh, lo * bl


def uniforms(n, seed, purpose, number, key):
    """The first n numbers of a stream, in [0, 1): PCG-DXSM, whose states are made twice as many in each turn."""
    d = digest(seed, purpose, number, key)
    state = int.from_bytes(d[:8], "little") << 64 | int.from_bytes(d[8:16], "little")
    a, c, modulus = MULTIPLIER, INCREMENT, 1 << 128
    state = (state * a + c) % modulus
    hi, lo = np.array([state >> 64], np.uint64), np.array([state & ALL64], np.uint64)
    while len(hi) < n:  # a and c lead len(hi) states on
        h, l = times128(hi, lo, a)
        sum_lo = l + np.uint64(c & ALL64)
        h = h + np.uint64(c >> 64) + (sum_lo < l)
        hi, lo = np.concatenate([hi, h]), np.concatenate([lo, sum_lo])
        a, c = a * a % modulus, c * (a + 1) % modulus
    hi, lo = hi[:n], lo[:n]
    x = (hi ^ hi >> np.uint64(32)) * np.uint64(CHEAP)
    x = (x ^ x >> np.uint64(48)) * (lo | np.uint64(1))
    return (x >> np.uint64(11)).astype(np.float64) / 2**53


def first_weights(model, seed):
    """Weights as prep draws them (docs/training.md; trainer/towers.go)."""
    dim, vocab, ratio = model["dim"], model["vocab"], model["mlp_ratio"]
    w = {}

    def normal(name, std, *shape):
        n = math.prod(shape)
        u = uniforms(n + n % 2, seed, "weight", 0, name).reshape(-1, 2)
        r, angle = std * np.sqrt(-2 * np.log(1 - u[:, 0])), 2 * math.pi * u[:, 1]
        both = np.stack([r * np.cos(angle), r * np.sin(angle)], 1)
        w[name] = torch.from_numpy(both.reshape(-1)[:n].astype(np.float32).reshape(shape))

    def uniform(name, bound, *shape):
        u = uniforms(math.prod(shape), seed, "weight", 0, name)
        w[name] = torch.from_numpy((bound * (2 * u - 1)).astype(np.float32).reshape(shape))

    def norm(name, width):
        w[name + ".weight"], w[name + ".bias"] = torch.ones(width), torch.zeros(width)

    for t in TOWERS:
        c = model[t]
        width, k, pre = c["width"], c["kernel"], "modality_preprocessors." + t
        position = 1 / math.sqrt(width)
        if t == "text":
            normal(pre + ".pos_embed", 0.01, 1, 77, width)
            normal(pre + ".token_embedding.weight", 0.02, vocab, width)
        else:
            normal(pre + ".cls_token", position, 1, 1, width)
            if t == "imu":
                tokens, stem = 2000 // k, pre + ".imu_stem"
                uniform(stem + ".proj.weight", 1 / math.sqrt(6 * k), width, 6 * k)
                normal(pre + ".pos_embed", position, 1, tokens + 1, width)
            else:
                h, v = (128, 204) if t == "audio" else (224, 224)
                tokens = ((h - k) // c["stride"] + 1) * ((v - k) // c["stride"] + 1)
                normal(pre + ".pos_embedding_helper.pos_embed", position, 1, tokens + 1, width)
                stem = pre + (".depth_stem" if t == "depth" else ".rgbt_stem")
                if t == "vision":
                    uniform(stem + ".proj.1.weight", 1 / math.sqrt(6 * k * k), width, 3, 2, k, k)
                else:
                    uniform(stem + ".proj.weight", 1 / k, width, 1, k, k)
            if t != "vision":
                norm(stem + ".norm_layer", width)
        trunk, spread = "modality_trunks." + t, 0.02 * math.sqrt(max(1, 768 / width))
        if t == "vision":
            norm(trunk + ".pre_transformer_layer.0", width)
        for i in range(c["blocks"]):
            b = f"{trunk}.blocks.{i}"
            uniform(b + ".attn.in_proj_weight", math.sqrt(6 / (4 * width)), 3 * width, width)
            w[b + ".attn.in_proj_bias"] = torch.zeros(3 * width)
            if t not in ("vision", "text"):
                normal(b + ".attn.bias_k", 1 / math.sqrt(width), 1, 1, width)
                normal(b + ".attn.bias_v", 1 / math.sqrt(width), 1, 1, width)
            for name, out, into in [(".attn.out_proj", width, width), (".mlp.fc1", ratio * width, width), (".mlp.fc2", width, ratio * width)]:
                normal(b + name + ".weight", spread, out, into)
                w[b + name + ".bias"] = torch.zeros(out)
            norm(b + ".norm_1", width)
            norm(b + ".norm_2", width)
        head = "modality_heads." + t
        norm(head + (".proj.0" if t == "text" else ".0"), width)
        uniform(head + {"text": ".proj.1", "imu": ".3"}.get(t, ".2") + ".weight", 1 / math.sqrt(width), dim, width)
    return w


def first_scale(t, own, items):
    """A tower's logit scale at the beginning (configs/train.go)."""
    if t["logit_scale"] == "model":
        return own
    if t["logit_scale"] != "auto":
        return float(t["logit_scale"])
    n = math.log10(items)
    return 25 + 5 * min(1, 5 - n) if n < 5 else 20 if n <= 6 else 15 - 5 * min(1, n - 6)


def decays(name, v):
    """Whether weight decay applies: to matrices, not to biases, norms, tokens, positions and scales."""
    return v.dim() >= 2 and not (v.dim() == 3 and v.shape[0] == 1)


def rate(t, epoch):
    """trainer/schedule.go: warm-up, then cosines that restart."""
    s, peak = t["schedule"], t["learning_rate"]
    if epoch < s["warmup_epochs"]:
        return peak * (s["warmup_start"] + (1 - s["warmup_start"]) * epoch / s["warmup_epochs"])
    at, period = epoch - s["warmup_epochs"], s["restart_epochs"]
    while at >= period:
        at, period = at - period, period * s["restart_factor"]
    return s["min_rate"] + (peak - s["min_rate"]) * (1 + math.cos(math.pi * at / period)) / 2


class TrainedTower(Tower):
    def patches(self, x, kernel, stride):
        """A convolution whose stride is its kernel is a product, and two equal frames meet the sum of the kernel's
        halves; conv3d takes many times as long to train."""
        if stride != kernel.shape[2:]:
            return super().patches(x, kernel, stride)
        if x.dim() < kernel.dim():
            kernel = kernel.sum(2)
        size = kernel.shape[-1]
        rows, cols = x.shape[-2] // size, x.shape[-1] // size
        x = x[..., :rows * size, :cols * size].unflatten(-1, (cols, size)).unflatten(-3, (rows, size))
        x = x.movedim((-4, -2), (1, 2))  # [B, rows, cols, channels, size, size]
        return x.reshape(len(x), rows * cols, -1) @ kernel.flatten(1).T


class Model:
    def __init__(self, config, seed, items):
        m, t = config["model"], config["train"]
        assert t["decay"] == "matrices" and m["layer_scale"] == "none" and not t["flip"] and not any(t["noise"].values()), "not part of this script"
        assert t["accumulate"] == 1 and t["held_out"] == 0 and t["ema"] == 0 and not t["stages"], "not part of this script"
        assert all(m[t]["drop_path"] == 0 and m[t]["head_dropout"] == 0 for t in TOWERS), "not part of this script"
        self.w = first_weights(m, seed)
        for name in OTHERS:
            self.w[f"modality_postprocessors.{name}.1.log_logit_scale"] = torch.tensor(math.log(first_scale(t, m[name]["scale"], items)))
        fixed = {f"modality_postprocessors.{t}.1.log_logit_scale" for t in OTHERS if not m[t]["learnable"]}
        self.trained = {n: v.requires_grad_() for n, v in self.w.items() if n not in fixed}
        self.w["modality_preprocessors.text.mask"] = torch.full((77, 77), -math.inf).triu(1)
        self.towers = {t: TrainedTower(self.w, t, m[t]["heads"], m["audio"]["stride"]) for t in TOWERS}

    def unit(self, shards, name, rows):
        """Unit vectors of all rows, undisturbed; a sound's clips are averaged."""
        tower, out = self.towers[{"image": "vision"}.get(name, name)], []
        with torch.no_grad():
            for r in torch.tensor(rows).split(64):
                x = shards.batch(name, r)
                if name == "audio":
                    v = tower(x.flatten(0, 1))[0].unflatten(0, x.shape[:2]).mean(1)
                else:
                    v = tower(x)[0]
                out.append(F.normalize(v, dim=-1))
        return torch.cat(out)


def epoch_plan(keys, t, seed, epoch):
    """The steps of an epoch: for each the modality beside the picture and the rows of its batch."""
    n, size = len(keys), min(t["batch"], len(keys))
    per_pass, plan, order = -(-n // size), [], {}
    for name in OTHERS:
        per_epoch = max(1, math.floor(t["pairs"][name] * per_pass + 0.5))
        for number in range(epoch * per_epoch, (epoch + 1) * per_epoch):
            plan.append((place(seed, "batch " + name, number), name, number))
    plan.sort(key=lambda p: p[0])
    for _, name, number in plan:
        turn, index = divmod(number, per_pass)  # a pass shows every item once; its last batch is filled up from its beginning
        if (name, turn) not in order:
            order[name, turn] = sorted(range(n), key=lambda row: (place(seed, "order " + name, turn, keys[row]), row))
        rows = order[name, turn]
        yield name, torch.tensor([rows[(index * size + i) % n] for i in range(size)])


def train(model, shards, t, seed, log):
    groups = [[v for n, v in model.trained.items() if decays(n, v)], [v for n, v in model.trained.items() if not decays(n, v)]]
    opt = torch.optim.AdamW([{"params": groups[0]}, {"params": groups[1], "weight_decay": 0}], lr=t["learning_rate"],
                            betas=(t["beta1"], t["beta2"]), eps=t["epsilon"], weight_decay=t["weight_decay"], fused=True)
    for epoch in range(t["epochs"]):
        plan, sums = list(epoch_plan(shards.keys, t, seed, epoch)), {}
        for position, (name, rows) in enumerate(plan):
            hub = model.towers["vision"](shards.batch("image", rows))[0]
            clips = None
            if name == "audio":
                held = shards.x["audio"].shape[1]
                clips = torch.tensor([int(uniforms(1, seed, "clip", epoch, shards.keys[r])[0] * held) for r in rows])
            other = model.towers[name](shards.batch(name, rows, clips))[1]
            logits, right = hub @ other.T, torch.arange(len(rows))
            loss = (F.cross_entropy(logits, right) + F.cross_entropy(logits.T, right)) / 2
            for v in model.trained.values():
                v.grad = None
            (loss * t["loss_weights"][name]).backward()
            if t["clip"] > 0:
                torch.nn.utils.clip_grad_norm_([v for v in model.trained.values() if v.grad is not None], t["clip"])
            for g in opt.param_groups:
                g["lr"] = rate(t, epoch + position / len(plan))
            opt.step()
            log.step("image-" + name, loss.item())
            sums.setdefault(name, []).append(loss.item())
        log.epoch(epoch, {k: sum(v) / len(v) for k, v in sums.items()})


class Log:
    """Follows a training, and compares each step with the same one of prep's run."""

    def __init__(self, run, epochs, same):
        steps = [json.loads(line) for line in (run / "metrics.jsonl").open()]
        self.steps = [(s["pair"], s["loss"]) for s in steps if s["kind"] == "step"] if same else []
        self.epochs, self.off, self.began = epochs, [], time.process_time()

    def step(self, pair, loss):
        if self.steps:
            there, theirs = self.steps[len(self.off)]
            assert pair == there, f"step {len(self.off) + 1} is of {pair} here and of {there} there"
            self.off.append(abs(loss - theirs))

    def epoch(self, epoch, losses):
        spent = time.process_time() - self.began
        print(f"epoch {epoch + 1} of {self.epochs}", {k: round(v, 3) for k, v in losses.items()}, f"{spent:.0f} s of CPU", file=sys.stderr)

    def apart(self):
        """The largest difference of losses within the first steps."""
        return {str(n): max(self.off[:n]) for n in (1, 10, 100, 300, 1000, len(self.off)) if n <= len(self.off)}


def recall(queries, items, twins):
    """trainer/measure.go: the share of queries nearest to their own item, or to one equal to it."""
    scores = queries.double() @ items.double().T
    same = torch.tensor([[a == b for b in twins] for a in twins])
    right = scores.masked_fill(~same, -math.inf).max(1).values
    best = scores.masked_fill(same, -math.inf).max(1).values
    return (right > best).double().mean().item(), same.double().sum(1).mean().item() / len(twins)


def measure(model, held, again):
    rows, out, classes = list(range(len(held))), {}, {}
    unit = {name: model.unit(held, name, rows) for name in ["image"] + OTHERS}
    bytes_of = {name: [held.x[name][i].numpy().tobytes() for i in rows] for name in ["image"] + OTHERS}
    for name in OTHERS:
        r1, chance = recall(unit[name], unit["image"], bytes_of["image"])
        back, _ = recall(unit["image"], unit[name], bytes_of[name])
        out[name + "-image"] = {"r1": r1, "r1_reverse": back, "chance": chance, "items": len(rows)}
    at = {label: i for i, label in enumerate(held.labels)}
    pairs = [(at[label], i) for i, label in enumerate(again.labels)]
    for name in ["image"] + OTHERS:
        other = model.unit(again, name, list(range(len(again))))
        classes[name] = sum((unit[name][a] @ other[b]).item() for a, b in pairs) / len(pairs)
    return {"command": "demo", "learn": out, "within_class_cosine": min(classes.values()), "classes": classes}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("dir", type=pathlib.Path)
    p.add_argument("--luck", type=int, help="seed of all draws (default: the run's)")
    a = p.parse_args()
    config = json.loads((a.dir / "run/checkpoints/last/state.json").read_text())["config"]
    seed = config["train"]["seed"] if a.luck is None else a.luck
    shards = {n: Shards(a.dir / "shards" / n) for n in ["train", "held-out", "held-out-again"]}
    model, log = Model(config, seed, len(shards["train"])), Log(a.dir / "run", config["train"]["epochs"], a.luck is None)
    train(model, shards["train"], config["train"], seed, log)
    print(json.dumps(measure(model, shards["held-out"], shards["held-out-again"]) | {"steps": log.apart()}))


if __name__ == "__main__":
    main()
