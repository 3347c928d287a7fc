#!/usr/bin/env python3
"""Small AVIF and HEIC pictures, and what libavif and libheif read from them (NAME.png).

Needs Pillow (made with 13.0.0, libavif 1.4.2), pillow-heif (1.8.1, libheif 1.23.6) and numpy. Run it in this
folder. The picture is a computed pattern, free of rights. Tiles, turns, crops and what is not read are put
together here from pictures that these libraries wrote; both read them back, which is the check on this file.
"""
import io, struct
import numpy as np
from PIL import Image
import pillow_heif

pillow_heif.register_heif_opener()
W, H = 150, 90
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([127 + 120 * np.sin(x / 15 + y / 19), 255 * (x + y) / (W + H), 127 + 120 * np.cos(y / 14) * np.sin(x / 21)], -1)
rgb[20:50, 40:100] = [230, 20, 40]
rgb[56:80, 10:60] = [10, 60, 240]
rgb = np.clip(rgb, 0, 255).astype(np.uint8)
im = Image.fromarray(rgb)
alpha = np.clip(255 * (x - 8) / (W - 16), 0, 255).astype(np.uint8)
rgba = Image.fromarray(np.dstack([rgb, alpha]))


def put(name, data):
    open(name, "wb").write(data)
    with Image.open(name) as i:
        i.load()
        (i if i.mode in ("RGB", "RGBA") else i.convert("RGB")).save(name + ".png", optimize=True)


def encode(image, kind, **kw):
    b = io.BytesIO()
    image.save(b, kind, **kw)
    return b.getvalue()


def boxes(b, at=0):
    while at + 8 <= len(b):
        n = struct.unpack(">I", b[at:at + 4])[0]
        yield b[at + 4:at + 8], b[at + 8:at + n]
        at += n


def find(b, *path):
    """The body of the box at a path; meta and iref have four bytes before their boxes."""
    for kind in path:
        b = next(body for k, body in boxes(b) if k == kind)
        if kind == b"meta":
            b = b[4:]
    return b


def coded(data, config):
    """Configuration and bytes of the one picture of a file."""
    item = find(data, b"meta", b"iloc")
    sizes = item[4] << 8 | item[5]
    o, l, b = sizes >> 12, sizes >> 8 & 15, sizes >> 4 & 15
    at = 8 + 2 + (2 if item[0] else 0) + 2  # the id, the method, the file
    base = int.from_bytes(item[at:at + b], "big")
    at += b + 2
    offset, length = int.from_bytes(item[at:at + o], "big"), int.from_bytes(item[at + o:at + o + l], "big")
    return find(data, b"meta", b"iprp", b"ipco", config), data[base + offset:base + offset + length]


def box(kind, *body):
    b = b"".join(body)
    return struct.pack(">I", 8 + len(b)) + kind + b


def full(kind, version, flags, *body):
    return box(kind, struct.pack(">I", version << 24 | flags), *body)


def ispe(w, h):
    return full(b"ispe", 0, 0, struct.pack(">II", w, h))


nclx = lambda matrix, whole: box(b"colr", b"nclx", struct.pack(">HHHB", 1, 13, matrix, whole << 7))
irot = lambda quarters: box(b"irot", bytes([quarters]))
imir = lambda axis: box(b"imir", bytes([axis]))


def heif(brand, items, primary=1, references=()):
    """items: (id, kind, bytes, properties), a property being (box, essential)."""
    properties = []
    ipma = b""
    for id, _, _, props in items:
        ipma += struct.pack(">HB", id, len(props))
        for p, essential in props:
            if p not in properties:
                properties.append(p)
            ipma += bytes([properties.index(p) + 1 | essential << 7])

    def meta(base):
        places, at = b"", base
        for id, _, data, _ in items:
            places += struct.pack(">HHHII", id, 0, 1, at, len(data))
            at += len(data)
        return full(b"meta", 0, 0,
            full(b"hdlr", 0, 0, bytes(4), b"pict", bytes(13)),
            full(b"pitm", 0, 0, struct.pack(">H", primary)),
            full(b"iloc", 0, 0, b"\x44\x00", struct.pack(">H", len(items)), places),
            full(b"iinf", 0, 0, struct.pack(">H", len(items)), *(full(b"infe", 2, 0, struct.pack(">HH", id, 0), kind, b"\0") for id, kind, _, _ in items)),
            full(b"iref", 0, 0, *(box(k, struct.pack(">HH", f, len(to)), *(struct.pack(">H", t) for t in to)) for k, f, to in references)) if references else b"",
            box(b"iprp", box(b"ipco", *properties), full(b"ipma", 0, 0, struct.pack(">I", len(items)), ipma)))
    ftyp = box(b"ftyp", brand, bytes(4), b"mif1", brand, b"miaf")
    start = len(ftyp) + len(meta(0)) + 8
    return ftyp + meta(start) + box(b"mdat", *(data for _, _, data, _ in items))


# As the libraries write them
put("plain.avif", encode(im, "AVIF", quality=85))
put("444.avif", encode(im, "AVIF", quality=85, subsampling="4:4:4"))
put("limited.avif", encode(im, "AVIF", quality=85, range="limited"))
put("alpha.avif", encode(rgba, "AVIF", quality=85))
# Chroma of an odd side; levels beyond white, whose range the boxes or the stream alone state; grey of the limited range.
bright = Image.fromarray(np.clip(rgb.astype(int) * 3 // 2, 0, 255).astype(np.uint8))
put("odd.avif", encode(im.crop((0, 0, 149, 89)), "AVIF", quality=90))
put("odd_limited.avif", encode(bright.crop((0, 0, 149, 89)), "AVIF", quality=90, range="limited"))
put("odd_422.avif", encode(im.crop((0, 0, 149, 89)), "AVIF", quality=90, subsampling="4:2:2"))
put("undescribed.avif", encode(bright, "AVIF", quality=90, range="limited").replace(b"colr", b"free"))
put("grey_limited.avif", encode(im.convert("L"), "AVIF", quality=90, range="limited"))
put("limited.heic", encode(bright, "HEIF", quality=90, full_range_flag=0))
put("grey.avif", encode(im.convert("L"), "AVIF", quality=85))
turned = Image.Exif(); turned[0x0112] = 6
put("turned.avif", encode(im, "AVIF", quality=85, exif=turned))
put("moving.avif", encode(im, "AVIF", quality=85, save_all=True, append_images=[im.rotate(180)]))
put("plain.heic", encode(im, "HEIF", quality=85))
put("444.heic", encode(im, "HEIF", quality=85, chroma=444))
put("alpha.heic", encode(rgba, "HEIF", quality=85))
put("grey.heic", encode(im.convert("L"), "HEIF", quality=85))
b = io.BytesIO()
pillow_heif.from_bytes(mode="RGB;16", size=(W, H), data=(rgb.astype("<u2") * 257).tobytes()).save(b, quality=85)
put("deep.heic", b.getvalue())  # 10 or 12 bits a sample

# A picture of 150 x 90 in tiles of 64 x 64, as telephones write them (theirs are of 512)
def grid(kind, config, coding, **kw):
    items, tiles = [], []
    for row in range(2):
        for column in range(3):
            part = np.zeros((64, 64, 3), np.uint8)
            cut = rgb[64 * row:64 * row + 64, 64 * column:64 * column + 64]
            part[:cut.shape[0], :cut.shape[1]] = cut
            c, data = coded(encode(Image.fromarray(part), kind, quality=85, **kw), config)
            id = 2 + len(tiles)
            tiles.append(id)
            items.append((id, coding, data, [(box(config, c), 1), (ispe(64, 64), 0)]))
    return items, tiles

for name, brand, kind, config, codec, kw in (("grid.heic", b"heic", "HEIF", b"hvcC", b"hvc1", {}), ("grid.avif", b"avif", "AVIF", b"av1C", b"av01", {"codec": "aom"})):
    items, tiles = grid(kind, config, codec, **kw)
    head = lambda w, h, *more: (1, b"grid", struct.pack(">BBBBHH", 0, 0, 1, 2, w, h), [(ispe(w, h), 0), *more])
    colour = (nclx(6, 1), 0)
    put(name, heif(brand, [head(W, H, colour), *items], references=[(b"dimg", 1, tiles)]))
    if codec == b"hvc1":
        put("grid_turned.heic", heif(brand, [head(W, H, colour, (irot(1), 1)), *items], references=[(b"dimg", 1, tiles)]))
        missing = heif(brand, [head(W, H, colour), *items[:-1]], references=[(b"dimg", 1, tiles[:-1])])
        open("bad_grid_of_five.heic", "wb").write(missing)

config, data = coded(encode(im.crop((0, 0, 128, 64)), "HEIF", quality=85), b"hvcC")
whole = [(box(b"hvcC", config), 1), (ispe(128, 64), 0), (nclx(6, 1), 0)]
clap = lambda w, h, dx, dy: box(b"clap", struct.pack(">IIIIiIiI", w, 1, h, 1, dx, 2, dy, 2))
for turn in range(1, 4):
    put(f"rotated{turn}.heic", heif(b"heic", [(1, b"hvc1", data, whole + [(irot(turn), 1)])]))
for axis in range(2):
    put(f"mirrored{axis}.heic", heif(b"heic", [(1, b"hvc1", data, whole + [(imir(axis), 1)])]))
put("both.heic", heif(b"heic", [(1, b"hvc1", data, whole + [(irot(1), 1), (imir(1), 1)])]))
put("cropped.heic", heif(b"heic", [(1, b"hvc1", data, whole + [(clap(100, 32, -8, 4), 1), (irot(3), 1)])]))
put("bt709.heic", heif(b"heic", [(1, b"hvc1", data, whole[:2] + [(nclx(1, 1), 0)])]))
put("undescribed.heic", heif(b"heic", [(1, b"hvc1", data, whole[:2])]))

# What is refused, and why is in the test
open("bad_essential.heic", "wb").write(heif(b"heic", [(1, b"hvc1", data, whole + [(box(b"what", b"ever"), 1)])]))
open("bad_size.heic", "wb").write(heif(b"heic", [(1, b"hvc1", data, [whole[0], (ispe(128, 72), 0)])]))
open("bad_derived.heic", "wb").write(heif(b"heic", [(1, b"iden", b"", [(ispe(128, 64), 0)]), (2, b"hvc1", data, whole)], references=[(b"dimg", 1, [2])]))

# Pictures laid over each other on a canvas: one that reaches over its edge, one that is cropped and turned, one with
# opacity. libheif reads it and is the reference.
def overlay(fill, w, h, places):
    return struct.pack(">BB4HHH", 0, 0, *fill, w, h) + b"".join(struct.pack(">hh", *p) for p in places)

config_b, data_b = coded(encode(im.crop((20, 16, 84, 80)), "HEIF", quality=85), b"hvcC")
small = [(box(b"hvcC", config_b), 1), (ispe(64, 64), 0), (nclx(6, 1), 0)]
ramp = Image.fromarray(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)))
config_a, data_a = coded(encode(ramp, "HEIF", quality=90), b"hvcC")
opaque = [(box(b"hvcC", config_a), 1), (ispe(64, 64), 0), (full(b"auxC", 0, 0, b"urn:mpeg:mpegB:cicp:systems:auxiliary:alpha\0"), 1)]
put("overlay.heic", heif(b"heic", [
    (1, b"iovl", overlay((0x2000, 0x8000, 0xf0ff, 0xffff), 200, 120, [(-20, 30), (120, -10), (90, 50)]), [(ispe(200, 120), 0)]),
    (2, b"hvc1", data, whole), (3, b"hvc1", data, whole + [(clap(100, 32, -8, 4), 1), (irot(3), 1)]),
    (4, b"hvc1", data_b, small), (5, b"hvc1", data_a, opaque)], references=[(b"dimg", 1, [2, 3, 4]), (b"auxl", 5, [4])]))

# What libavif's fast arithmetic makes of few pixels, of BT.709 in the limited range, and of colours that were
# multiplied by their opacity.
put("tiny.avif", encode(im.crop((35, 30, 40, 33)), "AVIF", quality=90))
put("premultiplied.avif", encode(rgba, "AVIF", quality=85, alpha_premultiplied=True))
limited = encode(bright, "AVIF", quality=90, range="limited")
at = limited.index(b"colrnclx") + 12
put("bt709.avif", limited[:at] + b"\0\1" + limited[at + 2:])
