#!/usr/bin/env python3
"""Builds testdata/audioset: a small tree in the layout of AudioSet, of free material and of generated items.

    make_sample_data.py OUT --photos WHEEL_DIR [--clipart DIR] [--samples DIR] [--readings DIR]

OUT is emptied first. What it takes (licences in OUT/PROVENANCE.md, which it writes as well):
    WHEEL_DIR   the unpacked wheel scikit_image 0.26.0 (pip download --no-deps scikit-image==0.26.0)
    clipart     Debian openclipart-png 1:0.18+dfsg-19
    samples     Debian sonic-pi-samples 3.2.2~repack-8
    readings    Debian pocketsphinx-testdata 0.8+5prealpha+1-15
Also numpy 2.4, Pillow 13 and ffmpeg 5.1. The same versions give the same bytes: noise is seeded by the
item's name and the encoders run in their bit-exact modes.

ITEMS is the whole content, in the order of the segments file: every good item has a sound, a picture
and a caption that belong together, and no two items share any of them. BAD lists what is broken on
purpose. What a run with default settings makes of each key is written to OUT.expected.tsv.
"""
import argparse
import csv
import io
import math
import pathlib
import shutil
import struct
import subprocess
import zlib

import numpy as np
from PIL import Image, ImageDraw

RATE = 16000  # of generated sounds; files may be stored at another

# ---------------------------------------------------------------------------------------------- sounds
# A sound is a float array in -1..1 at RATE. Generators know nothing of files.


def clock(seconds):
    return np.arange(int(round(seconds * RATE))) / RATE


def chance(name):
    """A generator of random numbers that depends on the name alone."""
    return np.random.Generator(np.random.PCG64(zlib.crc32(name.encode())))


def glide(freq, partials=(1.0,)):
    """Sine with the frequency curve freq in Hz, and its harmonics with the given amplitudes."""
    phase = 2 * np.pi * np.cumsum(freq) / RATE
    return sum(a * np.sin((k + 1) * phase) for k, a in enumerate(partials)) / sum(partials)


def steady(f, seconds, partials=(1.0,)):
    return glide(np.full(len(clock(seconds)), float(f)), partials)


def struck(f, seconds, decay, ratios=(1.0,)):
    """Struck bar or bell: partials at f times the ratios, each dying away, the higher the faster."""
    t = clock(seconds)
    y = sum(np.exp(-t * decay * math.sqrt(r)) * np.sin(2 * np.pi * f * r * t) / (k + 1) for k, r in enumerate(ratios))
    return y * np.minimum(t / 0.002, 1)


def swell(y, attack=0.02, release=0.05):
    n = len(y)
    t = np.arange(n) / RATE
    return y * np.minimum(np.minimum(t / attack, 1), np.minimum((n - 1 - np.arange(n)) / RATE / release, 1))


def band(y, low, high):
    """y with only the frequencies low..high Hz left."""
    s = np.fft.rfft(y)
    f = np.fft.rfftfreq(len(y), 1 / RATE)
    edge = lambda x: 1 / (1 + np.exp(-np.clip(x, -60, 60)))
    return np.fft.irfft(s * edge((f - low) / (0.1 * low + 5)) * edge((high - f) / (0.1 * high)), len(y))


def noise(name, seconds, low=50, high=7500):
    y = band(chance(name).standard_normal(len(clock(seconds))), low, high)
    return y / np.max(np.abs(y))


def burst(name, seconds, decay, low=50, high=7500):
    return noise(name, seconds, low, high) * np.exp(-clock(seconds) * decay)


def place(seconds, *events):
    """Puts (start, sound) or (start, sound, gain) on a silent line."""
    y = np.zeros(int(round(seconds * RATE)))
    for e in events:
        i = int(round(e[0] * RATE))
        s = e[1][: len(y) - i] * (e[2] if len(e) > 2 else 1.0)
        y[i:i + len(s)] += s
    return y


def every(step, seconds, make, start=0.05):
    """make(i) at start, start+step, ... as far as there is room."""
    return place(seconds, *[(start + i * step, make(i)) for i in range(int((seconds - start) / step) + 1) if start + i * step < seconds])


def meow(_):
    def one(length, low, high):
        t = clock(length) / length
        return swell(glide(low + (high - low) * np.sin(np.pi * np.minimum(t * 1.15, 1)) ** 0.8, (1, .7, .9, .5, .3, .2)), .06, .2)
    return place(2.6, (.1, one(.8, 420, 690)), (1.3, one(1.0, 380, 640)))


def spoon(_):
    r = chance("spoon")
    return every(.31, 2.4, lambda i: struck(2350 + 60 * r.standard_normal(), .25, 22, (1, 1.7, 2.6)))


def launch(_):
    roar = noise("launch", 1.7, 30, 1800) * np.minimum(clock(1.7) / .5, 1) ** 2
    beeps = [(x, swell(steady(1000, .12)), .5) for x in (.05, .5, .95)]
    return place(3.2, *beeps, (1.45, roar))


def shutter(_):
    click = lambda i: place(.2, (0, burst(f"mirror{i}", .03, 160, 800, 6000)), (.09, burst(f"curtain{i}", .05, 90, 300, 3000), .8))
    return every(.6, 2.5, click, .1)


def ticktock(_):
    return every(.5, 3.0, lambda i: struck((2900, 2100)[i % 2], .08, 70, (1, 1.5, 2.3)), .1)


def crickets(_):
    pulse = swell(steady(4300, .018), .004, .006)
    chirp = lambda i: place(.2, *[(k * .032, pulse) for k in range(5)])
    return every(.42, 3.0, chirp)


def footsteps(_):
    step = lambda i: place(.3, (0, burst(f"heel{i}", .12, 30, 150, 2500)), (.1, burst(f"sole{i}", .16, 25, 800, 7000), .7))
    return every(.55, 2.8, step, .1)


def hammer(_):
    return every(.62, 2.6, lambda i: place(.3, (0, struck(620, .25, 28, (1, 2.76, 5.4))), (0, burst(f"blow{i}", .06, 80), .8)), .1)


def hooves(_):
    clop = lambda f: place(.12, (0, struck(f, .1, 60, (1, 1.6))), (0, burst(f"hoof{f}", .03, 150, 300, 4000), .4))
    beat = place(.56, (0, clop(760)), (.13, clop(640), .8), (.3, clop(820)), (.42, clop(600), .7))
    return every(.6, 3.0, lambda i: beat, .05)


def two_tone(_):
    f = np.where((clock(2.8) % 1.1) < .55, 440.0, 585.0)
    return swell(glide(f, (1, .6, .5, .3, .2)), .03, .1)


def tractor(_):
    r = chance("tractor")
    return every(.2, 3.0, lambda i: place(.11, (0, struck(68 + 3 * r.standard_normal(), .1, 45, (1, 2.1, 3.2))), (0, burst(f"stroke{i}", .03, 120, 60, 900), .4)), .02)


def frog(_):
    t = clock(.34)
    croak = swell(glide(np.full(len(t), 480.0), (1, .8, .5, .3)) * (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 42 * t))) * np.sin(np.pi * t / .34), .02, .04)
    return every(.62, 2.6, lambda i: croak, .1)


def owl(_):
    hoot = lambda length, f: swell(glide(f * (1 - .06 * clock(length) / length), (1, .25, .05)), .06, .12)
    return place(3.0, (.1, hoot(.22, 370)), (.5, hoot(.22, 372)), (.95, hoot(.75, 365)), (2.0, hoot(.75, 360)))


def quack(_):
    q = swell(glide(520 - 900 * clock(.19), (.4, .7, 1, 1, .8, .6, .5, .4)), .01, .04)
    return every(.36, 2.4, lambda i: q * (1, .8, .9)[i % 3], .1)


def bark(_):
    woof = place(.3, (0, swell(glide(300 + 260 * np.exp(-((clock(.19) - .06) / .05) ** 2), (1, .9, .7, .5, .3)), .01, .06)), (0, burst("bark", .16, 18, 500, 4000), .35))
    return place(2.6, (.1, woof), (.45, woof, .9), (1.4, woof), (1.75, woof, .9))


def moo(_):
    t = clock(1.5) / 1.5
    return place(2.4, (.2, swell(glide(120 + 55 * np.sin(np.pi * t ** .7), (1, .9, .8, .5, .4, .2, .2)), .12, .3)))


def bee(_):
    r = chance("bee")
    buzz = lambda i: swell(glide(215 + 25 * np.sin(2 * np.pi * 1.4 * clock(.7) + i) + 3 * r.standard_normal(), (1, .8, .6, .5, .4, .3, .2)), .12, .2)
    return place(3.0, (.05, buzz(0)), (1.1, buzz(1), .8), (2.1, buzz(2)))


def alarm(_):
    four = place(.6, *[(k * .13, swell(steady(2048, .07, (1, 0, .4)), .004, .01)) for k in range(4)])
    return every(.95, 2.9, lambda i: four)


def drips(_):
    drop = lambda i: swell(glide((700 + 170 * (i * 7 % 5)) * np.exp(clock(.09) * 7)), .004, .05)
    r = chance("drips")
    return place(2.8, *[(float(x), drop(i)) for i, x in enumerate(np.sort(r.uniform(.05, 2.6, 9)))])


def thunder(_):
    crack = burst("crack", .5, 9, 120, 4500)
    roll = noise("roll", 2.2, 25, 260) * np.exp(-clock(2.2) * 1.6) * (0.65 + 0.35 * np.sin(2 * np.pi * 2.3 * clock(2.2)))
    return place(3.4, (.35, crack), (.5, roll, .9))


def kettle(_):
    t = clock(2.0)
    tone = glide(1500 + 900 * np.minimum(t / .8, 1) ** 2 + 15 * np.sin(2 * np.pi * 7 * t), (1, .25))
    return place(2.6, (.4, swell(tone * np.minimum(t / .7, 1), .1, .1)))


def train(_):
    toot = sum(steady(f, .62, (1, .6, .4)) for f in (311, 370, 466)) / 3
    chuff = lambda i: burst(f"chuff{i}", .14, 26, 200, 3500)
    return place(3.2, (.05, swell(toot)), (.8, swell(toot), .9), *[(1.6 + .26 * i, chuff(i), .6) for i in range(6)])


def foghorn(_):
    return place(3.0, (.2, swell(steady(98, 1.1, (1, .8, .6, .5, .3)), .08, .15)), (1.7, swell(steady(98, 1.1, (1, .8, .6, .5, .3)), .08, .15)))


def telephone(_):
    t = clock(.9)
    ring = swell((steady(1180, .9, (1, .3)) + steady(1420, .9, (1, .3))) * (0.5 + 0.5 * np.sign(np.sin(2 * np.pi * 20 * t))) / 2, .01, .25)
    return place(2.8, (.1, ring), (1.6, ring))


def songbird(_):
    chirp = lambda f, up: swell(glide(f + up * clock(.11) / .11 + 250 * np.sin(2 * np.pi * 28 * clock(.11))), .01, .03)
    phrase = place(.7, (0, chirp(3100, 1500)), (.16, chirp(4200, -1100)), (.32, chirp(3000, 1900)), (.48, chirp(4900, -700)))
    return place(3.0, (.1, phrase), (1.1, phrase, .8), (2.1, phrase))


def howl(_):
    t = clock(2.2) / 2.2
    return place(2.8, (.2, swell(glide(330 + 240 * np.sin(np.pi * np.minimum(t * 1.6, 1) / 2) - 180 * np.maximum(t - .7, 0) / .3, (1, .4, .15)), .2, .4)))


def mallets(_):
    scale = (523, 587, 659, 698, 784, 880, 988, 1047)
    return every(.3, 2.6, lambda i: struck(scale[i % 8], .5, 9, (1, 3.9, 9.2)))


def doorbell(_):
    return place(2.8, (.1, struck(660, 1.2, 3.2, (1, 2.0, 3.01, 4.2))), (.85, struck(523, 1.8, 2.6, (1, 2.0, 3.01, 4.2))))


def heartbeat(_):
    lub = lambda f: swell(steady(f, .13, (1, .4, .2)), .02, .08)
    return every(.85, 3.0, lambda i: place(.5, (0, lub(58)), (.27, lub(74), .7)), .1)


def sonar(_):
    ping = swell(steady(1480, .12), .005, .03)
    echo = lambda i: place(1.3, (0, ping), *[(.2 * k, ping, .45 ** k) for k in range(1, 5)])
    return place(3.2, (.1, echo(0)), (1.7, echo(1)))


def morse(_):
    y, x = [], .1
    for c in "... --- ...":
        if c == " ":
            x += .12
            continue
        n = .06 if c == "." else .18
        y.append((x, swell(steady(700, n), .005, .005)))
        x += n + .06
    return place(2.4, *y)


def wail(_):
    t = clock(3.0)
    return swell(glide(900 + 450 * np.sin(2 * np.pi * .6 * t - 1.2), (1, .5, .4, .2)), .05, .15)


def laser(_):
    zap = swell(glide(300 + 2600 * np.exp(-clock(.28) * 13), (1, 0, .33, 0, .2)), .003, .05)
    return every(.45, 2.4, lambda i: zap)


def downpour(_):
    return noise("downpour", 3.0, 400, 7600) * .3


def organ(_):
    chord = lambda *fs: swell(sum(steady(f, .7, (1, .6, .3, .3, .1)) for f in fs) / len(fs), .03, .08)
    return place(3.0, (.05, chord(262, 330, 392)), (.78, chord(294, 349, 440)), (1.51, chord(247, 294, 392)), (2.24, chord(262, 330, 392)))


# Recordings: (file, start, seconds) pieces from the packages, mixed to mono.


class Recording:
    def __init__(self, file, seconds=None, start=0.0, times=1, step=None):
        self.file, self.seconds, self.start, self.times, self.step = file, seconds, start, times, step

    def __call__(self, where):
        path = next(d / self.file for d in (where.samples, where.readings) if (d / self.file).exists())
        y = decode(path)
        y = y[int(self.start * RATE):]
        if self.seconds and self.times == 1:
            y = y[: int(round(self.seconds * RATE))]
            return swell(y, .001, .04)
        if self.times == 1:
            return y
        return place(self.seconds, *[(.05 + i * self.step, y) for i in range(self.times)])


def sequence(seconds, *pieces):
    return lambda where: place(seconds, *[(x, Recording(f)(where)) for x, f in pieces])


def decode(path, rate=RATE):
    raw = subprocess.run(["ffmpeg", "-v", "error", "-i", str(path), "-ac", "1", "-ar", str(rate), "-f", "f32le", "-"],
                         check=True, capture_output=True).stdout
    return np.frombuffer(raw, "<f4").astype(float)


def level(y, peak=.7):
    return y / np.max(np.abs(y)) * peak


def room(y, name):
    """Adds what every real recording has between its events: a faint room tone, 60 dB below full scale.
    Without it the gaps are digital silence, in which no estimator can hear a noise floor."""
    return y + 1e-3 * noise("room of " + name, len(y) / RATE, 30, 6000)


def resample(y, rate):
    if rate == RATE:
        return y
    out = subprocess.run(["ffmpeg", "-v", "error", "-f", "f32le", "-ar", str(RATE), "-ac", "1", "-i", "-", "-ar", str(rate), "-f", "f32le", "-"],
                         input=y.astype("<f4").tobytes(), check=True, capture_output=True).stdout
    return np.frombuffer(out, "<f4").astype(float)


# ---------------------------------------------------------------------------------------------- files


def wav(y, rate, bits=16, channels=1):
    """Canonical RIFF/WAVE, integer PCM of 16 or 24 bits or 32-bit float. Stereo pans slowly."""
    if channels == 2:
        g = .5 + .35 * np.sin(2 * np.pi * .3 * np.arange(len(y)) / rate)
        y = np.stack([y * g, y * (1 - g)], 1).reshape(-1) * 1.4
    if bits == 32:
        body, tag = y.astype("<f4").tobytes(), 3
    elif bits == 24:
        v = np.clip(np.round(y * 2 ** 23), -2 ** 23, 2 ** 23 - 1).astype("<i4")
        body, tag = v.view(np.uint8).reshape(-1, 4)[:, :3].tobytes(), 1
    else:
        body, tag = np.clip(np.round(y * 32767), -32768, 32767).astype("<i2").tobytes(), 1
    fmt = struct.pack("<HHIIHH", tag, channels, rate, rate * channels * bits // 8, channels * bits // 8, bits)
    return b"RIFF" + struct.pack("<I", 36 + len(body)) + b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data" + struct.pack("<I", len(body)) + body


CODECS = {"flac": ["-c:a", "flac", "-sample_fmt", "s16"], "ogg": ["-c:a", "libvorbis", "-q:a", "2", "-f", "ogg"], "mp3": ["-c:a", "libmp3lame", "-b:a", "64k", "-f", "mp3"]}


def coded(y, rate, kind, out):
    """Encodes through ffmpeg into a file of its own, because FLAC and MP3 headers are finished by seeking."""
    subprocess.run(["ffmpeg", "-v", "error", "-y", "-i", "-", "-map_metadata", "-1", "-fflags", "+bitexact", "-flags:a", "+bitexact", *CODECS[kind], str(out)],
                   input=wav(y, rate), check=True)


# ---------------------------------------------------------------------------------------------- pictures


def backdrop(n, size=(320, 240)):
    """A soft two-colour ground; n picks the hue, so that no two pictures share it."""
    h = (n * 0.618034) % 1
    a, b = [np.array(Image.new("HSV", (1, 1), (int(((h + d) % 1) * 255), s, v)).convert("RGB").getpixel((0, 0)), float) for d, s, v in ((0, 90, 250), (.07, 120, 205))]
    g = np.linspace(0, 1, size[1])[:, None, None]
    return Image.fromarray(np.round(a * (1 - g) + b * g).astype(np.uint8).repeat(size[0], 1).reshape(size[1], size[0], 3))


class Clipart:
    def __init__(self, file):
        self.file = file

    def __call__(self, where, n):
        im = Image.open(where.clipart / self.file).convert("RGBA")
        im = im.crop(im.getchannel("A").getbbox())
        im.thumbnail((270, 215), Image.Resampling.LANCZOS)
        ground = backdrop(n)
        ground.paste(im, ((320 - im.width) // 2, (240 - im.height) // 2), im)
        return ground


class Photo:
    def __init__(self, file, box=None):
        self.file, self.box = file, box

    def __call__(self, where, n):
        im = Image.open(where.photos / "skimage" / "data" / self.file)
        if self.box:
            im = im.crop(self.box)
        im = im.convert("L" if im.mode in ("L", "1") else "RGB")
        im.thumbnail((320, 320), Image.Resampling.LANCZOS)
        return im


class Drawing:
    """A drawing on a backdrop, by a function of (draw, rotation-free coordinates 0..320 x 0..240)."""

    def __init__(self, fn):
        self.fn = fn

    def __call__(self, where, n):
        big = backdrop(n).resize((1280, 960))  # drawn at four times the size: smooth edges
        self.fn(Pen(ImageDraw.Draw(big)))
        return big.resize((320, 240), Image.Resampling.BOX)


class Pen:
    def __init__(self, d):
        self.d = d

    def _at(self, p):
        return [4 * v for v in p]

    def disc(self, x, y, r, fill, line=None, ry=None):
        self.d.ellipse(self._at((x - r, y - (ry or r), x + r, y + (ry or r))), fill=fill, outline=line, width=8)

    def box(self, x0, y0, x1, y1, fill, line=None, r=0):
        self.d.rounded_rectangle(self._at((x0, y0, x1, y1)), radius=4 * r, fill=fill, outline=line, width=8)

    def path(self, *p, fill, width=4):
        self.d.line(self._at(p), fill=fill, width=4 * width, joint="curve")

    def area(self, *p, fill):
        self.d.polygon(self._at(p), fill=fill)

    def arc(self, x, y, r, a, b, fill, width=4):
        self.d.arc(self._at((x - r, y - r, x + r, y + r)), a, b, fill=fill, width=4 * width)


def draw_door(p):
    p.box(95, 15, 225, 235, "#4a2f1b")
    p.box(103, 23, 217, 235, "#8a5a33")
    for y in (40, 135):
        p.box(118, y, 202, y + 80, "#a06c40", "#5e3c20")
    p.disc(205, 130, 6, "#e3c14f", "#6b5510")


def draw_till(p):
    p.box(60, 130, 260, 220, "#5b6470", "#2b3038", 6)
    p.area(90, 130, 110, 60, 210, 60, 230, 130, fill="#7d8896")
    p.box(120, 25, 200, 60, "#1d2b1f", "#2b3038", 4)
    p.path(132, 50, 132, 35, 142, 35, 142, 50, fill="#6cf08b", width=3)
    for i in range(12):
        p.disc(122 + 25 * (i % 4), 78 + 18 * (i // 4), 6, "#f3f1e4")
    p.box(80, 170, 240, 205, "#3f4650", "#20242a")
    p.disc(160, 187, 5, "#d8d8d8")


def draw_chimes(p):
    p.box(50, 30, 270, 44, "#7a4a21", "#3f250f", 4)
    for i in range(7):
        x = 70 + 30 * i
        p.path(x, 44, x, 65, fill="#555555", width=1)
        p.box(x - 7, 65, x + 7, 205 - 16 * i, "#d8dde6", "#7e8796", 5)


def draw_cymbal(p):
    p.path(160, 110, 160, 235, fill="#555555", width=7)
    p.path(160, 190, 110, 235, fill="#555555", width=5)
    p.path(160, 190, 210, 235, fill="#555555", width=5)
    p.disc(160, 95, 125, "#d9b13b", "#8a6a14", ry=26)
    p.disc(160, 88, 30, "#ecc95a", "#8a6a14", ry=14)
    p.disc(160, 78, 6, "#555555")


def draw_choir(p):
    for i, c in enumerate(("#b03a2e", "#1f618d", "#117a65", "#7d3c98", "#b9770e")):
        x, y = 50 + 55 * i, 95 + 22 * (i % 2)
        p.area(x - 32, 240, x, y + 20, x + 32, 240, fill=c)
        p.disc(x, y, 24, "#f0c8a0", "#5b3a1e")
        p.disc(x, y + 10, 6, "#6b1f1f", ry=9)
        p.disc(x - 9, y - 6, 3, "#222222")
        p.disc(x + 9, y - 6, 3, "#222222")


def draw_doorbell(p):
    p.box(115, 25, 205, 215, "#e9e6dd", "#6d6a62", 14)
    p.disc(160, 120, 30, "#b8964a", "#5c4a22")
    p.disc(160, 120, 16, "#fff3c9", "#5c4a22")
    for r in (50, 68):
        p.arc(160, 120, r, -35, 35, "#444444")


def draw_heart(p):
    p.disc(125, 95, 40, "#c0182b")
    p.disc(195, 95, 40, "#c0182b")
    p.area(88, 112, 232, 112, 160, 205, fill="#c0182b")
    p.path(30, 150, 110, 150, 125, 120, 140, 190, 160, 85, 178, 165, 190, 150, 290, 150, fill="#ffffff", width=4)


def draw_sonar(p):
    p.disc(160, 120, 108, "#06210f", "#2d6b3f")
    for r in (36, 72, 104):
        p.arc(160, 120, r, 0, 360, "#2fae5b", 2)
    p.area(160, 120, 250, 65, 262, 100, fill="#1b7a3b")
    p.path(160, 120, 250, 65, fill="#7dffa8", width=3)
    p.disc(215, 160, 6, "#a5ffc3")
    p.disc(120, 75, 5, "#a5ffc3")


def draw_key(p):
    p.box(40, 170, 280, 205, "#6b4423", "#3a2412", 4)
    p.path(80, 150, 240, 130, fill="#c9a227", width=9)
    p.disc(245, 122, 20, "#222222", "#000000", ry=9)
    p.box(90, 150, 104, 172, "#9a9a9a")
    p.box(190, 140, 204, 172, "#9a9a9a")
    for i in range(9):
        w = 8 if i not in (3, 4, 5) else 20
        p.box(40 + 28 * i, 50, 40 + 28 * i + w, 58, "#222222")


def draw_beacon(p):
    p.box(100, 180, 220, 215, "#30343b", "#111111", 6)
    p.box(115, 90, 205, 180, "#1d4fd8", "#0d2a75", 20)
    p.disc(160, 130, 22, "#b9d0ff")
    for a in range(8):
        c, s = math.cos(a * math.pi / 4), math.sin(a * math.pi / 4)
        p.path(160 + 75 * c, 130 + 75 * s, 160 + 110 * c, 130 + 110 * s, fill="#fff7b0", width=6)


def draw_invaders(p):
    p.box(0, 0, 320, 240, "#050510")
    sprite = ("00100100", "00011000", "01111110", "11011011", "11111111", "10100101", "00100100")
    for k, c in enumerate(("#58e06f", "#e0d858", "#e05888")):
        for y, row in enumerate(sprite):
            for x, v in enumerate(row):
                if v == "1":
                    p.box(35 + 95 * k + 8 * x, 30 + 8 * y, 42 + 95 * k + 8 * x, 37 + 8 * y, c)
    p.box(156, 110, 163, 180, "#ff4040")
    p.area(130, 225, 190, 225, 160, 190, fill="#58a8e0")


def draw_pipes(p):
    p.box(30, 190, 290, 235, "#5a3a1c", "#2d1c0c")
    for i in range(11):
        h = 150 - abs(5 - i) * 18
        x = 45 + 23 * i
        p.box(x - 9, 190 - h, x + 9, 190, "#c7ced9", "#6d7582", 3)
        p.box(x - 4, 168, x + 4, 178, "#2c3038")
    for i in range(16):
        p.box(50 + 14 * i, 205, 61 + 14 * i, 228, "#fdfbf3", "#444444")


# ---------------------------------------------------------------------------------------------- items
# (name, form of the file name, format, sound, picture, class ids, caption or None for a text from the labels)
#
# Forms, all met in copies of AudioSet: id, Yid, seconds (ID_30.000), millis (ID_30000_33000).

MUSIC = "recreation/music/"

ITEMS = [
    ("crow", "id", "wav", Recording("misc_crow.flac", 2.6, times=3, step=.85), Clipart("animals/birds/crow_01.png"), "/m/04s8yn,/m/07r5c2p", "A black crow caws three times"),
    ("-bell", "id", "wav", Recording("perc_bell.flac", 3.0), Clipart("recreation/holiday/christmas/jingle_bells_01.png"), "/m/0395lw,/m/027m70_", "A bell is rung once and its sound slowly fades"),
    ("e-guitar", "id", "wav44s", Recording("guit_e_fifths.flac", 2.4), Clipart(MUSIC + "electric_guitar_andrea__01r.png"), "/m/02sgy,/m/04rlf", "An electric guitar plays a power chord"),
    ("_guitar", "seconds", "wav", Recording("guit_harmonics.flac", 3.0), Clipart(MUSIC + "guitar_jarno_vasamaa1.png"), "/m/042v_gx,/m/0342h", "Someone picks harmonics on an acoustic guitar"),
    ("drumkit", "millis", "flac", sequence(2.8, (.45, "loop_amen.flac")), Clipart(MUSIC + "drums_jarno_vasamaa_.png"), "/m/02hnl", "A drummer plays a fast beat on a drum kit"),
    ("tabla", "id", "wav", Recording("loop_tabla.flac", 3.0), Clipart(MUSIC + "djambf_ganson.png"), "/m/01p970,/m/026t6", "Hands tap a lively rhythm on a hand drum"),
    ("piano", "Yid", "wav", Recording("ambi_piano.flac", 2.8), Clipart(MUSIC + "piano_geraint_luff_01.png"), "/m/05r5c", "A few soft notes are played on a piano"),
    ("vinyl", "id", "mp3", Recording("vinyl_scratch.flac", 2.4, times=5, step=.45), Clipart(MUSIC + "45_rpm_record_gerald_g._01.png"), "/m/01hgjl", "A disc jockey scratches a vinyl record"),
    ("wineglass", "id", "wav", Recording("ambi_glass_rub.flac", 3.0), Clipart("food/beverages/alcohol/wine_glass_christian_h._.png"), "/m/039jq,/m/07pdjhy", "A wet finger rubs the rim of a wine glass until it sings"),
    ("cowbell", "Yid", "wav", Recording("drum_cowbell.flac", 2.4, times=5, step=.46), Clipart("animals/mammals/vacca_pezzata_rossa_val_01.png"), "/m/0239kh", "The bell of a spotted cow clonks as it walks"),
    ("cymbal", "seconds", "wav", Recording("drum_splash_hard.flac", 2.55), Drawing(draw_cymbal), "/m/01qbl", "A brass cymbal is struck and rings out"),
    ("door", "id", "wav", Recording("perc_door.flac", 2.4), Drawing(draw_door), "/m/02dgv,/m/07rjzl8", "A wooden door falls shut"),
    ("register", "millis", "flac", Recording("perc_till.flac", 2.6), Drawing(draw_till), "/m/024dl", "A cash register rings and its drawer slides open"),
    ("chimes", "id", "ogg", Recording("elec_chime.flac", 2.25), Drawing(draw_chimes), "/m/0f8s22", "Metal chimes ring brightly"),
    ("burp", "id", "wav", Recording("misc_burp.flac", 2.4, times=2, step=1.2), Clipart("people/bodypart/mouth_-_body_part_nicu_b_01.png"), "/m/03q5_w", "Someone burps loudly with a wide open mouth"),
    ("fireworks", "id", "mp3", Recording("misc_cineboom.flac", 3.2), Clipart("recreation/holiday/fireworks_ganson1.png"), "/m/0g6b5,/m/07qqyl4", "Green fireworks burst with a deep boom"),
    ("bass", "id", "wav", sequence(3.4, (.7, "bass_woodsy_c.flac")), Clipart(MUSIC + "bass_guitar_a.j._ashton_.png"), "/m/018vs", "A bass guitar holds one low note"),
    ("toms", "seconds", "wav", sequence(3.0, (.05, "drum_tom_hi_hard.flac"), (.6, "drum_tom_mid_hard.flac"), (1.15, "drum_tom_lo_hard.flac"), (1.9, "drum_bass_hard.flac")), Clipart(MUSIC + "africandrum_benji_park_.png"), "/m/026t6", "A drum is struck four times, each lower than the one before"),
    ("robot", "Yid", "wav", sequence(2.8, (.05, "mehackit_robot1.flac"), (1.3, "mehackit_robot3.flac")), Clipart("recreation/toys/robot_ganson.png"), "/m/02fs_r", "A toy robot bleeps and chatters"),
    ("-galaxies", "id", "ogg", Recording("ambi_drone.flac", 3.0), Photo("hubble_deep_field.jpg"), "/m/0fd3y", "Slow ambient music to a field of distant galaxies"),
    ("reading", "id", "wav", Recording("librivox/sense_and_sensibility_01_austen_64kb-0880.wav"), Clipart("education/books/open_book_01.png"), "/m/09x0r,/m/02qldy", "A voice reads from an open book: he was not an ill disposed young man"),
    ("astronaut", "millis", "flac", Recording("librivox/sense_and_sensibility_01_austen_64kb-0930.wav"), Photo("astronaut.png"), "/m/09x0r", "Somebody speaks, and an astronaut in an orange suit smiles"),
    ("chelsea", "id", "wav", meow, Photo("chelsea.png"), "/m/01yrx,/m/07qrkrw", "A ginger cat meows twice"),
    ("coffee", "id", "wav", spoon, Photo("coffee.png"), "/m/023pjk,/m/07q7njn", "A spoon clinks in a cup of coffee"),
    ("rocket", "seconds", "wav", launch, Photo("rocket.jpg"), "/m/04229,/m/07phhsh", "Three beeps count down and a rocket lifts off with a roar"),
    ("camera", "Yid", "wav", shutter, Photo("camera.png"), "/m/0dv5r,/m/07qc9xj", "A photographer takes pictures and the shutter clicks"),
    ("clock", "id", "wav", ticktock, Photo("clock_motion.png"), "/m/01x3z,/m/07qjznl", "A wall clock ticks steadily"),
    ("meadow", "millis", "flac", crickets, Photo("grass.png"), "/m/09xqv", "Crickets chirp in the grass"),
    ("gravel", "id", "wav", footsteps, Photo("gravel.png"), "/m/07pbtc8,/m/07s12q4", "Footsteps crunch on gravel"),
    ("brickwall", "id", "wav24", hammer, Photo("brick.png"), "/m/03l9g", "A hammer hits a brick wall again and again"),
    ("horse", "id", "wav8k", hooves, Photo("horse.png"), "/m/03k3r,/m/07rv9rh", "A horse trots by with clip-clopping hooves"),
    ("fireengine", "id", "wav", two_tone, Clipart("transportation/fire_engine_romus_01.png"), "/m/012ndj,/m/03kmc9", "The two-tone siren of a red fire engine wails"),
    ("tractor", "seconds", "wav", tractor, Clipart("transportation/vehicles/trattore_architetto_fran_01.png"), "/m/02mk9,/m/07pb8fc", None),
    ("_frog", "id", "wav", frog, Clipart("animals/red-eye_frog_mirko_maisc_01.png"), "/m/09ld4,/m/07st88b", "A green frog croaks"),
    ("owl", "id", "ogg", owl, Clipart("animals/birds/owl_on_branch_ganson.png"), "/m/09d5_,/m/07r_80w", "An owl on a branch hoots in the dark"),
    ("beagle", "id", "wav", bark, Clipart("animals/mammals/dogs/beagle_copper_ganson.png"), "/m/0bt9lr,/m/05tny_", "A beagle barks four times"),
    ("bee", "id", "wav", bee, Clipart("animals/bugs/bee1_mimooh_01.png"), "/m/01h3n,/m/07pjwq1", "A bee buzzes around"),
    ("alarm", "millis", "flac", alarm, Clipart("signs_and_symbols/clocks/alarm_clock_gerald_g._01.png"), "/m/046dlr", "An alarm clock beeps in groups of four"),
    ("kettle", "id", "wavf", kettle, Clipart("food/beverages/a_teapot_01.png"), "/m/0l156k,/m/0dv3j", "A kettle whistles as its water boils"),
    ("train", "id", "wav", train, Clipart("recreation/toys/kiddy_train_orlando_kara_.png"), "/m/04zmvq,/m/07jdr", "A toy steam train toots twice and puffs away"),
    ("ship", "Yid", "wav", foghorn, Clipart("transportation/boating/boat_jarno_vasamaa1.png"), "/m/04fq5q,/m/0hsrw", "A foghorn sounds twice near a sailing ship"),
    ("telephone", "id", "wav", telephone, Clipart("office/telephone/red_telephone_mimooh_01.png"), "/m/07cx4,/m/07pp8cl", "A red telephone rings"),
    ("songbird", "seconds", "wav", songbird, Clipart("animals/birds/uccello_profilo_01_archi_01.png"), "/m/015p6,/m/07pggtn", "A small bird sings a short phrase over and over"),
    ("wolf", "id", "mp3", howl, Clipart("animals/mammals/simple_stylized_wolf_he_01.png"), "/m/01z5f,/m/07qf0zm", "A grey wolf howls"),
    ("xylophone", "id", "wav", mallets, Clipart(MUSIC + "xylophone_ganson.png"), "/m/0dwsp", "A scale is played upwards on a xylophone"),
    ("doorbell", "id", "wav", doorbell, Drawing(draw_doorbell), "/m/03wwcy,/m/07r67yg", None),
    ("heart", "id", "wav8k", heartbeat, Drawing(draw_heart), "/m/01jg02", "A heart beats calmly"),
    ("sonar", "id", "ogg", sonar, Drawing(draw_sonar), "/m/0790c,/m/07qwdck", "A sonar sends out pings that echo back"),
    ("morse", "id", "wav", morse, Drawing(draw_key), "/m/02fs_r", "A telegraph key sends a call for help in Morse code"),
    ("police", "millis", "flac", wail, Drawing(draw_beacon), "/m/04qvtq,/m/03kmc9", "A police siren rises and falls under a blue flashing light"),
    ("arcade", "id", "wav", laser, Drawing(draw_invaders), "/m/0c1dj", "Laser shots of an old video game"),
    ("organ", "id", "wav", organ, Drawing(draw_pipes), "/m/013y1f", "A pipe organ plays four chords"),
]

# Bad on purpose, or odd: handled one by one in build().
BAD = [
    ("choir", "shorter than 2 s: three equal clips of what there is", "written"),
    ("longfile", "12 s at 8 kHz, of which the segment names 3 to 6 s: must be cut", "written"),
    ("silence", "digital silence: SNR unknown, kept and flagged", "written"),
    ("rain", "a noise-like sound: SNR unknown, kept and flagged", "written"),
    ("mislabel", "a sheep with the sound of dripping water, called a cow: no measure can tell", "written"),
    ("café", "its caption lies in a Latin-1 file", "written"),
    ("hugewav", "a WAV whose header promises 4 GB, as streaming writers leave it: what is there is read", "written"),
    ("noisy", "speech in white noise of the same level", "rejected:low_snr"),
    ("terse", "a caption of three characters", "rejected:short_text"),
    ("missing", "listed, but no media", "failed:missing"),
    ("cutjpeg", "a JPEG that ends early", "failed:truncated"),
    ("emptywav", "a WAV of 0 bytes", "failed:empty_file"),
]

LABELS = {}  # mid -> (index, display name), filled from CLASSES

CLASSES = """
0 /m/09x0r Speech
5 /m/02qldy Narration, monologue
28 /m/0l14jd Choir
53 /m/07pbtc8 Walk, footsteps
58 /m/03q5_w Burping, eructation
64 /m/01jg02 Heart sounds, heartbeat
74 /m/0bt9lr Dog
75 /m/05tny_ Bark
77 /m/07qf0zm Howl
81 /m/01yrx Cat
83 /m/07qrkrw Meow
87 /m/03k3r Horse
88 /m/07rv9rh Clip-clop
91 /m/07rpkh9 Moo
92 /m/0239kh Cowbell
104 /m/09ddx Duck
105 /m/07qdb04 Quack
111 /m/015p6 Bird
113 /m/07pggtn Chirp, tweet
117 /m/04s8yn Crow
118 /m/07r5c2p Caw
119 /m/09d5_ Owl
120 /m/07r_80w Hoot
122 /m/01z5f Canidae, dogs, wolves
127 /m/09xqv Cricket
130 /m/07pjwq1 Buzz
131 /m/01h3n Bee, wasp, etc.
132 /m/09ld4 Frog
133 /m/07st88b Croak
137 /m/04rlf Music
140 /m/0342h Guitar
141 /m/02sgy Electric guitar
142 /m/018vs Bass guitar
143 /m/042v_gx Acoustic guitar
153 /m/05r5c Piano
155 /m/013y1f Organ
162 /m/02hnl Drum kit
164 /m/026t6 Drum
170 /m/01p970 Tabla
171 /m/01qbl Cymbal
180 /m/0dwsp Marimba, xylophone
200 /m/0395lw Bell
202 /m/027m70_ Jingle bell
205 /m/0f8s22 Chime
215 /m/01hgjl Scratching (performance technique)
246 /m/0fd3y Ambient music
286 /m/0jb2l Thunderstorm
287 /m/0ngt1 Thunder
289 /m/06mb1 Rain
302 /m/0hsrw Sailboat, sailing ship
323 /m/04qvtq Police car (siren)
325 /m/012ndj Fire engine, fire truck (siren)
329 /m/07jdr Train
330 /m/04zmvq Train whistle
337 /m/04229 Jet engine
343 /m/02mk9 Engine
352 /m/07pb8fc Idling
354 /m/02dgv Door
355 /m/03wwcy Doorbell
356 /m/07r67yg Ding-dong
358 /m/07rjzl8 Slam
365 /m/023pjk Cutlery, silverware
389 /m/07cx4 Telephone
390 /m/07pp8cl Telephone bell ringing
395 /m/046dlr Alarm clock
396 /m/03kmc9 Siren
401 /m/04fq5q Foghorn
402 /m/0l156k Whistle
406 /m/01x3z Clock
408 /m/07qjznl Tick-tock
414 /m/024dl Cash register
416 /m/0dv5r Camera
419 /m/03l9g Hammer
432 /m/0g6b5 Fireworks
436 /m/07qqyl4 Boom
441 /m/039jq Glass
442 /m/07q7njn Chink, clink
456 /m/0dv3j Boiling
457 /m/0790c Sonar
476 /m/07pdjhy Rub
481 /m/02fs_r Beep, bleep
482 /m/07qwdck Ping
491 /m/07qc9xj Clicking
493 /m/07phhsh Rumble
499 /m/07s12q4 Crunch
500 /m/028v0c Silence
504 /m/0c1dj Sound effect
520 /m/0chx_ White noise
"""
for line in CLASSES.strip().splitlines():
    index, mid, label = line.split(" ", 2)
    LABELS[mid] = (int(index), label)


def youtube_id(name):
    """Eleven characters, plainly no real ID: the name and as much of "-sample-dat" as fits."""
    return (name.replace("é", "e") + "-sample-dat")[:11]


def segment_start(n):
    """Most official segments begin at a multiple of ten seconds."""
    return (0.0, 30.0, 0.0, 150.0, 70.0)[n % 5]


class Tree:
    def __init__(self, out, where):
        self.out, self.where = out, where
        self.segments, self.captions, self.latin, self.expected, self.origin = [], [], [], [], []

    def listed(self, name, start, seconds, mids, caption, outcome="written", latin=False):
        yid = youtube_id(name)
        self.segments.append((yid, start, start + seconds, mids))
        self.expected.append((f"{yid}_{round(start * 1000)}", outcome))
        if caption is not None:
            (self.latin if latin else self.captions).append((yid, start, caption))
        return yid

    def path(self, name, form, start, seconds, ext):
        yid = youtube_id(name)
        stem = {"id": yid, "Yid": "Y" + yid, "seconds": f"{yid}_{start:.3f}", "millis": f"{yid}_{round(start * 1000)}_{round((start + seconds) * 1000)}"}[form]
        folder = "eval_segments" if form == "millis" else "audio"
        p = self.out / folder / f"{stem}.{ext}"
        p.parent.mkdir(exist_ok=True)
        return p

    def picture(self, name, n, make, fmt=None):
        yid = youtube_id(name)
        im = make(self.where, n)
        folder = self.out / "images"
        folder.mkdir(exist_ok=True)
        if isinstance(make, Drawing):
            p = folder / f"{yid}.png"
            im.quantize(64, method=Image.Quantize.MEDIANCUT, dither=Image.Dither.NONE).save(p, optimize=True)
        else:
            p = folder / f"{yid}.jpg"
            im.save(p, quality=70, progressive=name == "rocket", subsampling=0 if name == "coffee" else 2)
        self.came_from(p, make)
        return p

    def sound(self, name, form, start, kind, y, make, seconds=None):
        rate, bits, channels, ext = {"wav": (16000, 16, 1, "wav"), "wav44s": (44100, 16, 2, "wav"), "wav24": (16000, 24, 1, "wav"), "wav8k": (8000, 16, 1, "wav"), "wavf": (16000, 32, 1, "wav"),
                                     "flac": (32000, 16, 1, "flac"), "ogg": (22050, 16, 1, "ogg"), "mp3": (44100, 16, 1, "mp3")}[kind]
        p = self.path(name, form, start, seconds or round(len(y) / RATE, 3), ext)
        y = resample(room(level(y), name), rate)
        if ext == "wav":
            p.write_bytes(wav(y, rate, bits, channels))
        else:
            coded(y, rate, ext, p)
        self.came_from(p, make)
        return p

    def came_from(self, path, make):
        self.origin.append((path.relative_to(self.out).as_posix(), origin(make)))


def origin(make):
    if isinstance(make, str):
        return make
    if isinstance(make, Clipart):
        return f"openclipart `{make.file}`"
    if isinstance(make, Photo):
        return f"scikit-image `{make.file}`"
    if isinstance(make, Recording):
        return f"{'LibriVox' if 'librivox' in make.file else 'Sonic Pi'} `{make.file.split('/')[-1]}`"
    if isinstance(make, Drawing):
        return f"drawn, `{make.fn.__name__}`"
    if make.__closure__:  # sequence()
        pieces = next(c.cell_contents for c in make.__closure__ if isinstance(c.cell_contents, tuple))
        return "Sonic Pi " + ", ".join(f"`{f}`" for _, f in pieces)
    return f"synthesised, `{make.__name__}`"


def build(out, where):
    tree = Tree(out, where)
    for n, (name, form, kind, sound, picture, mids, caption) in enumerate(ITEMS):
        start = segment_start(n)
        y = sound(where)
        seconds = round(len(y) / RATE, 3)
        tree.listed(name, start, seconds, mids, caption)
        tree.sound(name, form, start, kind, y, sound)
        tree.picture(name, n, picture)
    bad(tree, len(ITEMS))
    write_lists(tree)
    write_provenance(tree)


def bad(tree, n):
    where, outcome = tree.where, {name: o for name, _, o in BAD}

    def item(name, sound, picture, mids, caption, start=30.0, y=None, seconds=None, kind="wav", latin=False):
        nonlocal n
        y = sound(where) if y is None else y
        seconds = seconds or round(len(y) / RATE, 3)
        tree.listed(name, start, seconds, mids, caption, outcome[name], latin)
        n += 1
        return tree.sound(name, "id", start, kind, y, sound, seconds), tree.picture(name, n, picture)

    item("choir", Recording("ambi_choir.flac", 1.5), Drawing(draw_choir), "/m/0l14jd", "A choir sings one long vowel")

    # The segment is the quacking duck; what lies before and after it would be heard if the cut were wrong.
    around = place(12.0, (0, swell(steady(440, 2.9, (1, .5)))), (3.0, level(quack(None), 1.0)), (6.1, swell(steady(220, 5.8, (1, .5)))))
    item("longfile", quack, Clipart("animals/birds/jonathon_s_duck_01.png"), "/m/09ddx,/m/07qdb04", "A duck quacks", start=3.0, y=around, seconds=3.0, kind="wav8k")

    p, _ = item("silence", morse, Clipart(MUSIC + "microphone_stand_gerald__01.png"), "/m/028v0c", "A microphone stands there and nothing is heard")
    p.write_bytes(wav(np.zeros(int(2.5 * RATE)), RATE))
    tree.origin[-2] = (tree.origin[-2][0], "zeros")
    tree.segments[-1] = (*tree.segments[-1][:2], tree.segments[-1][1] + 2.5, tree.segments[-1][3])

    item("rain", downpour, Clipart("signs_and_symbols/weather/rain.png"), "/m/06mb1", "Steady rain falls from a cloud")
    item("mislabel", drips, Clipart("animals/mammals/sheep-md-v0.1.png"), "/m/07rpkh9", "A cow moos on a pasture")
    item("café", mallets_low, Clipart("food/beverages/mug.png"), "/m/07q7njn", "Cups clink in a small café near the Champs-Élysées", latin=True)

    voice = Recording("librivox/sense_and_sensibility_01_austen_64kb-0890.wav", 3.5)
    y = level(voice(where), 1.0)
    y = y + chance("white").standard_normal(len(y)) * np.sqrt(np.mean(y ** 2))
    item("noisy", voice, Clipart("electronics/television_alexander_d.__01.png"), "/m/09x0r,/m/0chx_", "Somebody reads while a television hisses", y=y)
    tree.origin[-2] = (tree.origin[-2][0], tree.origin[-2][1] + ", white noise added")

    item("terse", bark, Clipart("animals/mammals/dogs/black_lab_ganson.png"), "/m/0bt9lr", "dog")
    tree.listed("missing", 30.0, 3.0, "/m/03k3r", "A horse neighs", outcome["missing"])

    _, p = item("cutjpeg", thunder, Clipart("signs_and_symbols/weather/storm.png"), "/m/0ngt1,/m/0jb2l", "Thunder cracks and rolls away")
    p.write_bytes(p.read_bytes()[: p.stat().st_size * 2 // 5])
    p, _ = item("emptywav", moo, Clipart("animals/mammals/mhooo_peterm_.png"), "/m/07rpkh9", "A cow moos")
    p.write_bytes(b"")
    tree.origin[-2] = (tree.origin[-2][0], "empty")
    p, _ = item("hugewav", songbird_low, Clipart("animals/birds/rooster_01.png"), "/m/07pggtn", "A young rooster tries to call")
    b = bytearray(p.read_bytes())
    struct.pack_into("<I", b, 4, 0xFFFFFFF0)
    struct.pack_into("<I", b, 40, 0xFFFFFFCC)  # 4 GiB less the header
    p.write_bytes(bytes(b))


def mallets_low(_):
    return every(.5, 2.4, lambda i: struck((1760, 2093, 1568)[i % 3], .4, 14, (1, 2.3, 3.7)))


def songbird_low(_):
    return place(2.4, *[(.1 + .55 * i, swell(glide(1900 + 500 * np.sin(2 * np.pi * 9 * clock(.3))), .03, .06)) for i in range(4)])


def write_lists(tree):
    mids = sorted({m for s in tree.segments for m in s[3].split(",")}, key=lambda m: LABELS[m][0])
    order = sorted(range(len(tree.segments)), key=lambda i: tree.segments[i][0])
    positive = sum(len(s[3].split(",")) for s in tree.segments)
    with open(tree.out / "eval_segments.csv", "w", newline="\n") as f:
        f.write("# Segments csv of the sample data, in the form of AudioSet's\n")
        f.write(f"# num_ytids={len({s[0] for s in tree.segments})}, num_segs={len(tree.segments)}, num_unique_labels={len(mids)}, num_positive_labels={positive}\n")
        f.write("# YTID, start_seconds, end_seconds, positive_labels\n")
        for i in order:
            yid, a, b, m = tree.segments[i]
            f.write(f'{yid}, {a:.3f}, {b:.3f}, "{m}"\n')
    with open(tree.out / "class_labels_indices.csv", "w", newline="\n") as f:
        f.write("index,mid,display_name\n")
        for m in mids:
            f.write(f'{LABELS[m][0]},{m},"{LABELS[m][1]}"\n')
    for name, rows, encoding, first in (("audiocaps.csv", tree.captions, "utf-8", 1), ("audiocaps_latin1.csv", tree.latin, "latin-1", 1001)):
        s = io.StringIO()
        w = csv.writer(s, lineterminator="\n")
        w.writerow(["audiocap_id", "youtube_id", "start_time", "caption"])
        for k, (yid, start, caption) in enumerate(rows):
            w.writerow([first + k, yid, f"{start:g}", caption])
        (tree.out / name).write_bytes(s.getvalue().encode(encoding))
    with open(f"{tree.out}.expected.tsv", "w", newline="\n") as f:
        f.write("key\toutcome\n")
        for key, outcome in sorted(tree.expected):
            f.write(f"{key}\t{outcome}\n")


PROVENANCE = """# Where the sample data comes from

Written by `scripts/make_sample_data.py`, which cuts, levels, repeats and re-encodes the material below. Every file in this
tree is in the public domain or under CC0 1.0, or was generated by that script and is dedicated to the public
domain under CC0 1.0 as well. The IDs are invented: no file comes from YouTube or from AudioSet. The class
IDs and names in `class_labels_indices.csv` are AudioSet's (facts of its ontology).

| source | what | licence |
|---|---|---|
| Sonic Pi | recordings of the package `sonic-pi-samples`; authors below, all from freesound.org | CC0 1.0 (its README and Debian's copyright file) |
| LibriVox | three sentences of Jane Austen's "Sense and Sensibility", chapter 1, read by a LibriVox volunteer, as cut in the package `pocketsphinx-testdata` | reading and text: public domain |
| openclipart | pictures of the package `openclipart-png` (Open Clip Art Library 0.18); the author is part of most file names | public domain dedication (Debian's copyright file) |
| scikit-image | photographs of `skimage/data` in the wheel scikit_image 0.26.0; see below | CC0 1.0 or public domain |
| drawn, synthesised | the named function of `scripts/make_sample_data.py` | CC0 1.0 |

Photographs: `chelsea.png` Stefan van der Walt, CC0. `clock_motion.png` Stefan van der Walt, public domain. `coffee.png`
Rachel Michetti, courtesy of Pikolo Espresso Bar, CC0. `camera.png` Lav Varshney, CC0. `astronaut.png` NASA (Eileen
Collins), public domain. `hubble_deep_field.jpg` NASA, public domain. `rocket.jpg` SpaceX (DSCOVR on Falcon 9), public
domain. `brick.png` and `gravel.png` from CC0Textures, CC0. `grass.png` from DeviantArt user linolafett, CC0. `horse.png`
Andreas Preuss (marauder), CC0.

Recordings of Sonic Pi on freesound.org: {authors}.

## Bad on purpose, or odd

{bad}

What a run with default settings makes of each key is in `../{expected}`.

## Files

| file | origin |
|---|---|
{files}
"""

FREESOUND = {
    "misc_crow": "davidworksonline 54973", "perc_bell": "AlaskaRobotics 221515", "guit_e_fifths": "Sub-d 46990", "guit_harmonics": "BStateham 141524",
    "loop_amen": "Dolfeus 43389", "loop_tabla": "lezaarth 242591", "ambi_piano": "RutgerMuller 51245", "vinyl_scratch": "hello_flowers 28681",
    "ambi_glass_rub": "ani_music 198403", "drum_cowbell": "Neotone 75338", "drum_splash_hard": "menegass 100060", "perc_door": "hullum 415579",
    "perc_till": "Zott820 209578", "elec_chime": "looppool 13138", "misc_burp": "anas76 222022", "misc_cineboom": "Northern_Monkey 177242",
    "bass_woodsy_c": "ani_music 165322", "drum_tom_hi_hard": "menegass 100062", "drum_tom_mid_hard": "menegass 100066", "drum_tom_lo_hard": "menegass 100064",
    "drum_bass_hard": "menegass 100051", "mehackit_robot1": "hullum 415560", "mehackit_robot3": "hullum 415566", "ambi_drone": "Autistic Lucario 195341",
    "ambi_choir": "Exsomniel 207809",
}


def write_provenance(tree):
    used = {f for f in FREESOUND if any(f"`{f}.flac`" in o for _, o in tree.origin)}
    text = PROVENANCE.format(
        authors=", ".join(f"`{f}` {FREESOUND[f]}" for f in sorted(used)),
        bad="\n".join(f"- `{youtube_id(name)}`: {what}; {outcome}." for name, what, outcome in BAD),
        expected=f"{tree.out.name}.expected.tsv",
        files="\n".join(f"| `{p}` | {o} |" for p, o in sorted(tree.origin)))
    (tree.out / "PROVENANCE.md").write_text(text)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("out", type=pathlib.Path)
    a.add_argument("--photos", type=pathlib.Path, required=True)
    a.add_argument("--clipart", type=pathlib.Path, default=pathlib.Path("/usr/share/openclipart/png"))
    a.add_argument("--samples", type=pathlib.Path, default=pathlib.Path("/usr/share/sonic-pi/samples"))
    a.add_argument("--readings", type=pathlib.Path, default=pathlib.Path("/usr/share/pocketsphinx/test/data"))
    where = a.parse_args()
    shutil.rmtree(where.out, ignore_errors=True)
    where.out.mkdir(parents=True)
    build(where.out, where)


if __name__ == "__main__":
    main()
