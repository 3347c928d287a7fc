#!/usr/bin/env python3
"""Writes a small tree with all six modalities, for scripts/ci_mixed.sh: nothing but the standard library.

    make_mixed_tree.py OUT [--items 24]

OUT/pairs     images/ audio/ text/ depth/ thermal/ imu/, files that share a stem: each item is a coloured disc
              at a place, a tone for the colour, a plane of depth that leans with the colour and has a bump at the
              place, a warm spot there on a slope that turns with the colour, and a turn whose speed tells it
OUT/sunrgbd   the same pictures and depths in SUN RGB-D's layout, rotated by three bits
OUT/llvip     the same pictures and heat in LLVIP's
OUT/ego4d     one recording and its narrations in Ego4D's, without a video
OUT/broken    one broken file of each sensor beside a whole picture
"""
import argparse
import json
import math
import os
import struct
import wave
import zlib

WIDTH, HEIGHT = 256, 240


def put(path, data):
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as f:
        f.write(data)


def png(rows, bits, channels):
    """rows: bytes of each row."""
    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
    head = struct.pack(">IIBBBBB", WIDTH, HEIGHT, bits, {1: 0, 3: 2}[channels], 0, 0, 0)
    body = zlib.compress(b"".join(b"\x00" + r for r in rows), 6)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", body) + chunk(b"IEND", b"")


class Item:
    """A disc of a hue at a place."""

    def __init__(self, i, n):
        self.key = f"item{i:03d}"
        self.hue = i / n
        self.x, self.y = 70 + 37 * i % 116, 70 + 53 * i % 100
        self.word = ["red", "orange", "yellow", "green", "blue", "violet"][int(6 * self.hue)]

    def near(self, x, y):
        d = ((x - self.x) ** 2 + (y - self.y) ** 2) / 900
        return max(0.0, 1 - d)

    def slope(self, x, y):
        """-160 to 160 over the picture, in the direction of the hue."""
        a = 2 * math.pi * self.hue
        return (x - WIDTH / 2) * math.cos(a) + (y - HEIGHT / 2) * math.sin(a)

    def image(self):
        rgb = [int(127 + 120 * math.cos(2 * math.pi * (self.hue + k / 3))) for k in range(3)]
        rows = []
        for y in range(HEIGHT):
            row = bytearray()
            for x in range(WIDTH):
                a = self.near(x, y) ** 0.5
                row += bytes(int(a * c + (1 - a) * (40 + y // 4)) for c in rgb)
            rows.append(bytes(row))
        return png(rows, 8, 3)

    def depth_mm(self, x, y):
        if (x + y) % 97 == 0:
            return 0  # the sensor saw nothing
        return int(3000 + 14 * self.slope(x, y) - 900 * self.near(x, y))

    def depth(self, code=lambda mm: mm):
        return png([b"".join(struct.pack(">H", code(self.depth_mm(x, y))) for x in range(WIDTH)) for y in range(HEIGHT)], 16, 1)

    def thermal(self):
        return png([bytes(int(max(0, min(255, 90 + self.slope(x, y) / 2 + 90 * self.near(x, y)))) for x in range(WIDTH)) for y in range(HEIGHT)], 8, 1)

    def imu(self, rate, seconds=6.0, begin=0.0):
        out = []
        for k in range(int(rate * seconds)):
            t = k / rate
            w = 2 * math.pi * (1 + 8 * self.hue)
            out.append((begin + t, 2 * math.sin(w * t), 0.3 * math.cos(3 * t), 9.81, math.cos(w * t), 0.1, 0.5 * self.hue))
        return out

    def audio(self, path):
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with wave.open(path, "wb") as f:
            f.setnchannels(1), f.setsampwidth(2), f.setframerate(16000)
            hz = 200 * 2 ** (4 * self.hue)
            f.writeframes(b"".join(struct.pack("<h", int((0.5 + 0.45 * math.sin(8 * k / 16000)) * 12000 * math.sin(2 * math.pi * hz * k / 16000))) for k in range(16000 * 3)))


def csv(rows, header, order=range(7), unit=1.0):
    lines = [header]
    for r in rows:
        r = (r[0] * unit,) + r[1:]
        lines.append(",".join(f"{r[i]:.6f}" for i in order))
    return ("\n".join(lines) + "\n").encode()


def npy(rows):
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({len(rows)}, 7), }}"
    header += " " * (63 - (10 + len(header)) % 64) + "\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header.encode() + b"".join(struct.pack("<7f", *r) for r in rows)


def main():
    a = argparse.ArgumentParser()
    a.add_argument("out")
    a.add_argument("--items", type=int, default=24)
    a = a.parse_args()
    for i in range(a.items):
        it = Item(i, a.items)
        p = os.path.join(a.out, "pairs")
        image, thermal = it.image(), it.thermal()
        put(f"{p}/images/{it.key}.png", image)
        it.audio(f"{p}/audio/{it.key}.wav")
        put(f"{p}/text/{it.key}.txt", f"a {it.word} disc at {it.x} and {it.y}\n".encode())
        put(f"{p}/depth/{it.key}.png", it.depth())
        put(f"{p}/thermal/{it.key}.png", thermal)
        # Four of the ways in which recordings are kept, at four rates.
        if i % 6 == 5:
            put(f"{p}/imu/{it.key}_accel.csv", csv(it.imu(400), "time,x,y,z", range(4)))
            put(f"{p}/imu/{it.key}_gyro.csv", csv(it.imu(90), "time,x,y,z", (0, 4, 5, 6)))
        elif i % 3 == 0:
            put(f"{p}/imu/{it.key}.csv", csv(it.imu(200), "t,ax,ay,az,gx,gy,gz"))
        elif i % 3 == 1:
            put(f"{p}/imu/{it.key}.csv", csv(it.imu(1000), "#timestamp [ns],w_RS_S_x [rad s^-1],w_RS_S_y [rad s^-1],w_RS_S_z [rad s^-1],a_RS_S_x [m s^-2],a_RS_S_y [m s^-2],a_RS_S_z [m s^-2]", (0, 4, 5, 6, 1, 2, 3), 1e9))
        else:
            put(f"{p}/imu/{it.key}.npy", npy(it.imu(100)))
        if i >= 6:
            continue
        sensor, fx = [("kv1/NYUdata", 518.857901), ("kv2/kinect2data", 529.5), ("realsense/lg", 691.584229), ("xtion/sun3ddata/room", 570.342205)][i % 4]
        s = f"{a.out}/sunrgbd/SUNRGBD/{sensor}/{it.key}"
        rotated = it.depth(lambda mm: (mm << 3 | mm >> 13) & 0xFFFF)
        put(f"{s}/image/{it.key}.png", image)
        put(f"{s}/depth_bfx/{it.key}.png", rotated)
        put(f"{s}/intrinsics.txt", f"{fx} 0 128 0 {fx} 120 0 0 1\n".encode())
        put(f"{s}/scene.txt", b"living_room")
        split = "train" if i < 4 else "test"
        put(f"{a.out}/llvip/LLVIP/visible/{split}/01{i:04d}.png", image)
        put(f"{a.out}/llvip/LLVIP/infrared/{split}/01{i:04d}.png", thermal)
    uid = "001e3e4e-2743-47fc-8564-d5efd11f9e90"
    rows = Item(5, 24).imu(200, 30.0)
    put(f"{a.out}/ego4d/v2/imu/{uid}.csv", csv([(r[0],) + r for r in rows], "component_idx,component_timestamp_ms,canonical_timestamp_ms,gyro_x,gyro_y,gyro_z,accl_x,accl_y,accl_z".replace("component_idx,", ""), (0, 0, 5, 6, 7, 2, 3, 4), 1000.0))
    put(f"{a.out}/ego4d/v2/annotations/narration.json", json.dumps({uid: {"narration_pass_1": {"narrations": [
        {"timestamp_sec": t, "timestamp_frame": int(30 * t), "narration_text": f"#C C turns the {n} thing"} for n, t in (("first", 4.0), ("second", 12.5), ("third", 27.0))]}}}).encode())
    b = f"{a.out}/broken"
    for key in ("depth", "thermal", "imu"):
        put(f"{b}/images/{key}.png", Item(3, 24).image())
    put(f"{b}/depth/depth.png", Item(3, 24).depth()[:2000])
    put(f"{b}/thermal/thermal.png", b"no picture")
    put(f"{b}/imu/imu.csv", b"t,ax,ay,az,gx,gy,gz\n0,1,2,3,4,5,six\n")


main()
