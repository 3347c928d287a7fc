#!/usr/bin/env python3
"""Writes filters/testdata/vectors.json: what numpy and pyloudnorm say of sounds that any language can make.

    vectors.py > filters/testdata/vectors.json        (numpy, pyloudnorm 0.2.0)

A sound of n samples is x[i] = tone sin(2 pi hz i / 16000) g[i] + noise u[i] + burst v[i]^5 g[i] + offset, where u and
v are the uniform numbers of an integer generator (u the even ones, v the odd ones) and g switches between
1 and gate every 4000 samples. WADA: Kim and Stern 2008, over the table in filters/wada.go. STNR: the
histogram of NIST's SPQA in our reading. Loudness: BS.1770 integrated, one channel, filters derived as De Man (2014) does; pyloudnorm's own default is 0.125 LU off ffmpeg at this rate.
"""
import json, os, re, sys
import numpy as np, pyloudnorm

HERE = os.path.dirname(os.path.abspath(__file__))
GO = open(os.path.join(HERE, "../../filters/wada.go")).read()
TABLE = np.array([float(v) for v in re.search(r"float64\{(.*?)\n\}", GO[GO.index("var wadaTable"):], re.S).group(1).split(",") if v.strip()])

SOUNDS = [
    dict(n=16000, hz=440, tone=0.1, noise=0.05, burst=0, gate=0, offset=0),
    dict(n=32000, hz=440, tone=0.3, noise=0, burst=0, gate=1, offset=0),
    dict(n=32000, hz=440, tone=0, noise=0.05, burst=0, gate=1, offset=0),
    dict(n=48000, hz=1000, tone=0, noise=0.001, burst=0.8, gate=0.01, offset=0),
    dict(n=48000, hz=1000, tone=0.02, noise=0.01, burst=0.8, gate=0.1, offset=0.02),
    dict(n=64000, hz=300, tone=0.5, noise=0.002, burst=0.1, gate=0.003, offset=0),
    dict(n=160000, hz=97, tone=0.2, noise=0.03, burst=0.3, gate=0.2, offset=-0.1),
    dict(n=16000, hz=440, tone=0.1, noise=0, burst=0, gate=0, offset=0),
]


def sound(c):
    n, s = c["n"], 12345
    u = np.empty(2 * n)
    for i in range(2 * n):
        s = (1103515245 * s + 12345) % 2147483648
        u[i] = s / 1073741824 - 1
    i = np.arange(n)
    g = np.where(i // 4000 % 2 == 1, 1.0, c["gate"])
    x = c["tone"] * np.sin(2 * np.pi * c["hz"] * i / 16000) * g + c["noise"] * u[::2] + c["burst"] * u[1::2] ** 5 * g + c["offset"]
    return x.astype(np.float32).astype(float)


def wada(x):
    a = np.maximum(np.abs(x), 1e-10)
    return float(np.interp(np.log(a.mean()) - np.log(a).mean(), TABLE, np.arange(-20.0, 101.0)))


def stnr(x):
    f = np.lib.stride_tricks.sliding_window_view(x, 320)[::160]
    p = 10 * np.log10(np.mean(f * f, axis=1) * 32768.0 ** 2 + 1e-9)
    h, e = np.histogram(np.clip(p, -28.125, 96.875 - 1e-6), 500, (-28.125, 96.875))
    m = np.median(np.stack([np.r_[h[0], h[:-1]], h, np.r_[h[1:], h[-1]]]), axis=0)
    k = np.ones(31) / 31
    s = np.convolve(np.convolve(m, k, "same"), k, "same")
    for i in range(1, 499):
        if s[i] > s[i - 1] and s[i] >= s[i + 1] and s[i] > 0.05 * s.max():
            noise = (e[i] + e[i + 1]) / 2
            rest = p[p > noise]
            return float(np.percentile(rest, 95) - noise) if len(rest) else None
    return None


def main():
    out = []
    for c in SOUNDS:
        x = sound(c)
        out.append(dict(c, wada=wada(x), stnr=stnr(x), loudness=float(pyloudnorm.Meter(16000, filter_class="DeMan").integrated_loudness(x))))
    json.dump(out, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
