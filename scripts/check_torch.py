#!/usr/bin/env python3
"""Check weights that prep exported, with PyTorch: scripts/check_torch.py [--golden DIR] [--names JSON] WEIGHTS...

Builds modules from a list of names and shapes (testdata/golden/model/model.json, or with --names the full
model's imagebind_huge_names.json), loads each file with load_state_dict(strict=True), and, where the list is
the small model's, runs ImageBind's forward pass on the golden inputs and compares with the golden outputs.
Needs torch and numpy, and safetensors for .safetensors files. The weights of the small model come from

    prep export testdata/golden/model/tiny.pth --out tiny.safetensors
    prep export testdata/golden/model/tiny.safetensors --out tiny.pth
"""
import argparse
import json
import math
import pathlib
import sys

import numpy as np
import torch
import torch.nn.functional as F

ROOT = pathlib.Path(__file__).resolve().parent.parent
UNIT, RELATIVE = 2e-6, {torch.float32: 1, torch.float16: 1500, torch.bfloat16: 12000}  # half floats have 2^13, 2^16 times the step


def build(entries):
    """A tree of modules with a parameter or buffer under every name."""
    root = torch.nn.Module()
    for name, (shape, buffer) in entries.items():
        *path, leaf = name.split(".")
        m = root
        for part in path:
            if part not in m._modules:
                m.add_module(part, torch.nn.Module())
            m = m._modules[part]
        value = torch.full(shape, float("nan"))
        if buffer:
            m.register_buffer(leaf, value)
        else:
            m.register_parameter(leaf, torch.nn.Parameter(value))
    return root


def read_list(path):
    j = json.loads(path.read_text())
    if "state_dict" in j:  # the small model's
        return {k: (v["shape"], v["kind"] == "buffer") for k, v in j["state_dict"].items()}, j
    return {k: (v, k in j["buffers"]) for k, v in j["shapes"].items()}, None


def load(path):
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file
        return load_file(str(path))
    return torch.load(path, weights_only=True, map_location="cpu")


class Tower:
    """ImageBind's forward pass of one modality over a state dict."""

    def __init__(self, weights, name, heads, audio_stride=10):
        self.w, self.name, self.heads, self.audio_stride = weights, name, heads, audio_stride

    def norm(self, x, name, eps):
        return F.layer_norm(x, x.shape[-1:], self.w[name + ".weight"], self.w[name + ".bias"], eps)

    def patches(self, x, kernel, stride):
        """Tokens [B, patches, width] of a picture or of frames; a picture stands for two equal frames."""
        if x.dim() < kernel.dim():
            x = x[:, :, None].repeat(1, 1, 2, 1, 1)
        convolve = F.conv3d if kernel.dim() == 5 else F.conv2d
        return convolve(x, kernel, stride=tuple(stride)).flatten(2).transpose(1, 2)

    def tokens(self, x):
        pre = "modality_preprocessors." + self.name
        w = self.w
        if self.name == "text":
            return F.embedding(x, w[pre + ".token_embedding.weight"]) + w[pre + ".pos_embed"]
        position = pre + ".pos_embedding_helper.pos_embed"
        if self.name == "vision":
            k = w[pre + ".rgbt_stem.proj.1.weight"]
            h = self.patches(x, k, k.shape[2:])
        elif self.name == "imu":
            position = pre + ".pos_embed"
            k = w[pre + ".imu_stem.proj.weight"]
            h = x.unfold(-1, k.shape[1] // 6, k.shape[1] // 6).permute(0, 2, 1, 3).flatten(2) @ k.T
            h = self.norm(h, pre + ".imu_stem.norm_layer", 1e-5)
        else:
            stem = pre + (".depth_stem" if self.name == "depth" else ".rgbt_stem")
            k = w[stem + ".proj.weight"]
            h = self.patches(x, k, (self.audio_stride,) * 2 if self.name == "audio" else k.shape[2:])
            h = self.norm(h, stem + ".norm_layer", 1e-5)
        return torch.cat([w[pre + ".cls_token"].expand(len(h), -1, -1), h], 1) + w[position]

    def attention(self, x, name, mask):
        w = self.w
        q, k, v = F.linear(x, w[name + ".in_proj_weight"], w[name + ".in_proj_bias"]).chunk(3, -1)
        if name + ".bias_k" in w:
            k = torch.cat([k, w[name + ".bias_k"].expand(len(x), -1, -1)], 1)
            v = torch.cat([v, w[name + ".bias_v"].expand(len(x), -1, -1)], 1)
        q, k, v = (t.unflatten(-1, (self.heads, -1)).transpose(1, 2) for t in (q, k, v))
        scores = q @ k.transpose(-1, -2) / math.sqrt(q.shape[-1])
        if mask is not None:
            scores = scores + mask
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        return F.linear(y, w[name + ".out_proj.weight"], w[name + ".out_proj.bias"])

    def __call__(self, x):
        """Unit vectors and outputs."""
        w, ids = self.w, x
        h = self.tokens(x)
        trunk = "modality_trunks." + self.name
        if trunk + ".pre_transformer_layer.0.weight" in w:
            h = self.norm(h, trunk + ".pre_transformer_layer.0", 1e-6)
        mask = w["modality_preprocessors.text.mask"] if self.name == "text" else None
        i = 0
        while f"{trunk}.blocks.{i}.norm_1.weight" in w:
            b = f"{trunk}.blocks.{i}"
            h = h + self.attention(self.norm(h, b + ".norm_1", 1e-6), b + ".attn", mask) * w.get(b + ".layer_scale_gamma1", 1)
            y = F.gelu(F.linear(self.norm(h, b + ".norm_2", 1e-6), w[b + ".mlp.fc1.weight"], w[b + ".mlp.fc1.bias"]))
            h = h + F.linear(y, w[b + ".mlp.fc2.weight"], w[b + ".mlp.fc2.bias"]) * w.get(b + ".layer_scale_gamma2", 1)
            i += 1
        head = "modality_heads." + self.name
        if self.name == "text":
            h = self.norm(h[torch.arange(len(h)), ids.argmax(-1)], head + ".proj.0", 1e-6) @ w[head + ".proj.1.weight"].T
        else:
            last = head + (".3.weight" if self.name == "imu" else ".2.weight")
            h = self.norm(h[:, 0], head + ".0", 1e-6) @ w[last].T
        unit = F.normalize(h, dim=-1)
        scale = w.get(f"modality_postprocessors.{self.name}.1.log_logit_scale")
        return unit, unit if scale is None else unit * scale.exp().clamp(max=100)


def compare(weights, golden, dims, factor):
    """The worst error of every golden input, as a share of its tolerance."""
    inputs, outputs = np.load(golden / "model/inputs.npz"), np.load(golden / "model/outputs.npz")
    worst = 0
    for key in inputs.files:
        name = {"video": "vision", "audio_clips": "audio"}.get(key, key)
        x = torch.from_numpy(inputs[key])
        x = x.long() if name == "text" else x.float() / 64 - 2
        clips = x.shape[1] if key in ("video", "audio_clips") else 0
        with torch.no_grad():
            unit, out = Tower(weights, name, dims[name + "_num_heads"])(x.flatten(0, 1) if clips else x)
            if clips:
                out = out.unflatten(0, (-1, clips)).mean(1)
        got = np.abs(unit.numpy() - outputs[key + ".unit"]).max()
        scale = np.linalg.norm(out.numpy(), axis=-1).max()
        off = np.abs(out.numpy() - outputs[key + ".output"]).max() / max(scale, 1)
        print(f"  {key:12} unit vectors off by {got:.2g}, outputs by {off:.2g} of their length; at most {UNIT * factor:.2g}")
        worst = max(worst, got / UNIT, off / UNIT)
    return worst / factor


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("weights", nargs="+", type=pathlib.Path)
    p.add_argument("--golden", type=pathlib.Path, default=ROOT / "testdata/golden")
    p.add_argument("--names", type=pathlib.Path, help="list of names and shapes (default: the small model's in --golden)")
    a = p.parse_args()
    entries, small = read_list(a.names or a.golden / "model/model.json")
    print("torch", torch.__version__)
    failed = False
    for path in a.weights:
        state = load(path)
        model = build(entries)
        print(path, model.load_state_dict(state, strict=True), "strict=True,", len(state), "tensors,", sum(v.numel() for v in state.values()), "values")
        loaded = model.state_dict()
        if any(v.isnan().any() for v in loaded.values()):
            print("  FAILED: values are missing")
            failed = True
        if small:
            kinds = {v.dtype for v in state.values()}
            failed |= compare(loaded, a.golden, small["dims"], max(RELATIVE[k] for k in kinds)) > 1
    print("FAILED" if failed else "all fine")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
