#!/usr/bin/env python3
"""The training of `prep demo --learn` in PyTorch, to compare with: scripts/learn_torch.py DIR [--seed N]

DIR is what `prep demo --learn --dir DIR` left: the same shards (read with pyarrow), and the model and the recipe
of its run (from its last checkpoint). What is drawn at random (first weights, order, clips) is drawn by PyTorch,
so that the two runs are equal in everything but luck. The last line is the JSON that the demo prints.

Needs torch, pyarrow and numpy.
"""
import argparse
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


def first_weights(model):
    """Weights as prep draws them (trainer/towers.go): the distributions, not the values."""
    dim, vocab, ratio = model["dim"], model["vocab"], model["mlp_ratio"]
    w = {}

    def normal(name, std, *shape):
        w[name] = torch.randn(shape) * std

    def uniform(name, bound, *shape):
        w[name] = (torch.rand(shape) * 2 - 1) * bound

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
        if t != "vision":
            w[f"modality_postprocessors.{t}.1.log_logit_scale"] = torch.tensor(math.log(c["scale"]))
    return w


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


class Model:
    def __init__(self, config):
        m = config["model"]
        assert config["train"]["decay"] == "matrices" and m["layer_scale"] == "none", "not part of this script"
        assert all(m[t]["drop_path"] == 0 and m[t]["head_dropout"] == 0 for t in TOWERS), "not part of this script"
        self.w = first_weights(m)
        fixed = {f"modality_postprocessors.{t}.1.log_logit_scale" for t in OTHERS if not m[t]["learnable"]}
        self.trained = {n: v.requires_grad_() for n, v in self.w.items() if n not in fixed}
        self.w["modality_preprocessors.text.mask"] = torch.full((77, 77), -math.inf).triu(1)
        self.towers = {t: Tower(self.w, t, m[t]["heads"], m["audio"]["stride"]) for t in TOWERS}

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


def train(model, shards, t, log):
    groups = [[v for n, v in model.trained.items() if decays(n, v)], [v for n, v in model.trained.items() if not decays(n, v)]]
    opt = torch.optim.AdamW([{"params": groups[0]}, {"params": groups[1], "weight_decay": 0}], lr=t["learning_rate"],
                            betas=(t["beta1"], t["beta2"]), eps=t["epsilon"], weight_decay=t["weight_decay"])
    n, size = len(shards), min(t["batch"], len(shards))
    per_pass = -(-n // size)
    for epoch in range(t["epochs"]):
        plan = []
        for name in OTHERS:
            for j in range(max(1, round(t["pairs"][name] * per_pass))):
                if j % per_pass == 0:  # a pass shows every item once; its last batch is filled up from its beginning
                    order = torch.randperm(n)
                    order = torch.cat([order, order])
                plan.append((name, order[j % per_pass * size:][:size]))
        sums = {}
        for position, i in enumerate(torch.randperm(len(plan)).tolist()):
            name, rows = plan[i]
            hub = model.towers["vision"](shards.batch("image", rows))[0]
            clips = torch.randint(shards.x["audio"].shape[1], (len(rows),)) if name == "audio" else None
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
            sums.setdefault(name, []).append(loss.item())
        log(epoch, {k: sum(v) / len(v) for k, v in sums.items()})


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
    p.add_argument("--seed", type=int, default=0, help="of PyTorch's draws")
    a = p.parse_args()
    torch.manual_seed(a.seed)
    config = json.loads((a.dir / "run/checkpoints/last/state.json").read_text())["config"]
    shards = {n: Shards(a.dir / "shards" / n) for n in ["train", "held-out", "held-out-again"]}
    began = time.process_time()

    def log(epoch, losses):
        print(f"epoch {epoch + 1} of {config['train']['epochs']}", {k: round(v, 3) for k, v in losses.items()}, f"{time.process_time() - began:.0f} s of CPU", file=sys.stderr)

    model = Model(config)
    train(model, shards["train"], config["train"], log)
    print(json.dumps(measure(model, shards["held-out"], shards["held-out-again"])))


if __name__ == "__main__":
    main()
