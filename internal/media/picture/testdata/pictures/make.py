#!/usr/bin/env python3
"""Small generated pictures in many variants of each format, and what Pillow reads from them.

Needs Pillow (made with 13.0.0), numpy and libjpeg-turbo's cjpeg (2.1.5). Run it in this folder. The
pictures are a computed pattern, free of rights. pictures.json: the file's name, the size, and the SHA-256
of Image.open(file).convert("RGB"). Files that Pillow does not treat as prep documents it are left out of
that list or named with their own expectation in the test.
"""
import hashlib, io, json, subprocess, sys
import numpy as np
from PIL import Image, PngImagePlugin

W, H = 67, 45
y, x = np.mgrid[0:H, 0:W]
r = np.random.default_rng(5)
rgb = np.stack([127 + 120 * np.sin(x / 5 + y / 9), 255 * (x + y) / (W + H), 127 + 120 * np.cos(y / 4) * np.sin(x / 11)], -1)
rgb[10:25, 20:50] = [230, 20, 40]
rgb[28:40, 5:30] = [10, 60, 240]
rgb = np.clip(rgb + r.normal(0, 6, rgb.shape), 0, 255).astype(np.uint8)
alpha = np.clip(255 * (x - 8) / (W - 16), 0, 255).astype(np.uint8)
im = Image.fromarray(rgb)
grey = im.convert("L")
rgba = Image.fromarray(np.dstack([rgb, alpha]))
out = {}

def put(name, data):
    open(name, "wb").write(data)
    out[name] = None

def save(name, image, **kw):
    b = io.BytesIO()
    image.save(b, **kw)
    put(name, b.getvalue())

def cjpeg(name, *args, image=im):
    b = io.BytesIO()
    image.save(b, "PPM")
    put(name, subprocess.run(["cjpeg", *args], input=b.getvalue(), capture_output=True, check=True).stdout)

# JPEG: every sampling with a name and some without, restarts, progressive, odd and tiny sizes
for s in ("1x1", "2x1", "1x2", "2x2", "4x1", "1x4", "4x2", "2x4", "3x1", "2x3"):
    cjpeg(f"s{s}.jpg", "-sample", s, "-quality", "80")
cjpeg("s2x2_of_2x1.jpg", "-sample", "2x2,2x1,1x2", "-quality", "80")
cjpeg("s1x1_of_2x2.jpg", "-sample", "1x1,2x2,2x1", "-quality", "80")
cjpeg("restart.jpg", "-sample", "2x2", "-restart", "2B")
cjpeg("restart_row.jpg", "-sample", "2x1", "-restart", "1", "-optimize")
cjpeg("progressive.jpg", "-progressive", "-sample", "2x2", "-quality", "90")
cjpeg("progressive_444.jpg", "-progressive", "-sample", "1x1", "-quality", "95")
cjpeg("progressive_restart.jpg", "-progressive", "-sample", "2x1", "-restart", "3B")
cjpeg("progressive_grey.jpg", "-progressive", "-grayscale")
cjpeg("grey.jpg", "-grayscale", "-quality", "60")
cjpeg("grey_2x2.jpg", "-grayscale", "-sample", "2x2")
cjpeg("quality100.jpg", "-quality", "100", "-sample", "1x1")
cjpeg("quality5.jpg", "-quality", "5")
cjpeg("rgb.jpg", "-rgb", "-quality", "85")
open("scans.tmp", "w").write("0;\n1;\n2;\n")
cjpeg("noninterleaved.jpg", "-scans", "scans.tmp", "-sample", "2x2")
for w, h in ((1, 1), (2, 3), (3, 2), (5, 9), (8, 8), (9, 17), (16, 16), (17, 33)):
    cjpeg(f"w{w}h{h}.jpg", "-sample", "2x2", image=im.crop((20, 8, 20 + w, 8 + h)))
    cjpeg(f"w{w}h{h}_2x1.jpg", "-sample", "2x1", image=im.crop((20, 8, 20 + w, 8 + h)))
cmyk = im.convert("CMYK")
save("cmyk_420.jpg", cmyk, format="JPEG", quality=85)
save("cmyk_444.jpg", cmyk, format="JPEG", quality=85, subsampling=0)
save("cmyk_progressive.jpg", cmyk, format="JPEG", quality=85, subsampling=0, progressive=True)
for base in ("cmyk_444", "cmyk_420"):
    d = open(base + ".jpg", "rb").read()
    i = d.index(b"Adobe")
    put(base.replace("cmyk", "ycck") + ".jpg", d[:i + 11] + b"\x02" + d[i + 12:])
i = d.index(b"\xff\xee")
put("cmyk_unmarked.jpg", d[:i] + d[i + 2 + int.from_bytes(d[i + 2:i + 4], "big"):])
exif = Image.Exif(); exif[0x0112] = 8
save("exif8.jpg", im, format="JPEG", exif=exif)

# PNG
save("rgb.png", im, format="PNG")
save("rgba.png", rgba, format="PNG")
save("la.png", rgba.convert("LA"), format="PNG")
save("grey.png", grey, format="PNG")
save("bits1.png", grey.convert("1"), format="PNG")
p = im.quantize(13)
save("palette4.png", p, format="PNG", bits=4)
save("palette_trns.png", im.quantize(200), format="PNG", transparency=bytes(range(0, 200)))
save("rgb_trns.png", im, format="PNG", transparency=tuple(int(v) for v in rgb[3, 3]))
save("grey_trns.png", grey, format="PNG", transparency=int(np.asarray(grey)[3, 3]))
save("grey16.png", Image.fromarray((np.asarray(grey).astype(np.uint16) * 5)), format="PNG")
save("exif3.png", im, format="PNG", exif=(lambda e: (e.__setitem__(0x0112, 3), e)[1])(Image.Exif()))

def png(name, width, height, bits, kind, rows, interlace=0):
    """A PNG from raw samples, for what Pillow does not write."""
    import struct, zlib
    def chunk(k, d):
        return struct.pack(">I", len(d)) + k + d + struct.pack(">I", zlib.crc32(k + d))
    put(name, b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, interlace))
        + chunk(b"IDAT", zlib.compress(b"".join(b"\0" + row for row in rows))) + chunk(b"IEND", b""))

wide = (rgb.astype(np.uint32) * 257 + r.integers(-128, 128, rgb.shape)).clip(0, 65535).astype(">u2")
png("rgb16.png", W, H, 16, 2, [row.tobytes() for row in wide])
png("rgba16.png", W, H, 16, 6, [row.tobytes() for row in np.dstack([wide, (alpha.astype(np.uint32) * 257).astype(">u2")])])
png("la16.png", W, H, 16, 4, [row.tobytes() for row in np.dstack([wide[..., 0], (alpha.astype(np.uint32) * 257).astype(">u2")])])
g2 = (np.asarray(grey) >> 6)
png("grey2.png", W, H, 2, 0, [bytes(sum(int(v) << (6 - 2 * j) for j, v in enumerate(row[i:i + 4])) for i in range(0, W, 4)) for row in g2])

# WebP
save("lossy.webp", im, format="WEBP", quality=70)
save("lossy_even.webp", im.crop((0, 0, 64, 44)), format="WEBP", quality=90)
save("lossy_1x1.webp", im.crop((30, 12, 31, 13)), format="WEBP")
save("lossy_alpha.webp", rgba, format="WEBP", quality=70)
save("lossless.webp", im, format="WEBP", lossless=True)
save("lossless_alpha.webp", rgba, format="WEBP", lossless=True, exact=True)
save("exif6.webp", im, format="WEBP", exif=(lambda e: (e.__setitem__(0x0112, 6), e)[1])(Image.Exif()))
save("lossless_alpha_exif6.webp", rgba, format="WEBP", lossless=True, exact=True, exif=(lambda e: (e.__setitem__(0x0112, 6), e)[1])(Image.Exif()))

# GIF, BMP, TIFF
save("plain.gif", im.quantize(64), format="GIF")
save("animated.gif", im.quantize(64), format="GIF", save_all=True, append_images=[im.rotate(180).quantize(64)])
save("rgb24.bmp", im, format="BMP")
save("grey8.bmp", grey, format="BMP")
save("palette8.bmp", im.quantize(100), format="BMP")
save("rgb.tif", im, format="TIFF")
save("lzw.tif", im, format="TIFF", compression="tiff_lzw")
save("deflate.tif", im, format="TIFF", compression="tiff_adobe_deflate")
save("packbits.tif", im, format="TIFF", compression="packbits")
save("grey.tif", grey, format="TIFF")
save("grey16.tif", Image.fromarray((np.asarray(grey).astype(np.uint16) * 5)), format="TIFF")
save("palette.tif", im.quantize(100), format="TIFF")
save("rgba.tif", rgba, format="TIFF")

save("animated.webp", rgba, format="WEBP", save_all=True, append_images=[rgba.rotate(180)], duration=100, lossless=True, exact=True)
save("animated_part.webp", im, format="WEBP", save_all=True, append_images=[im.rotate(180)], duration=100, quality=60)
save("tall.png", grey.resize((40, 230)).resize((226, 1000), Image.NEAREST).quantize(16), format="PNG")

def gif(name, frame, transparent=None, local=False, interlaced=False):
    """A GIF of 40 x 30 whose one frame need not fill it, in codes that are never longer than 5 bits."""
    import struct
    x0, y0, w, h = frame
    index = [[(3 * i + 5 * j) // 4 % 16 for i in range(w)] for j in range(h)]
    if interlaced:
        index = [index[j] for a, b in ((0, 8), (4, 8), (2, 4), (1, 2)) for j in range(a, h, b)]
    bits = n = 0
    data = bytearray()
    codes = []
    for i, v in enumerate(v for row in index for v in row):
        codes += [16, v] if i % 14 == 0 else [v]
    for code in codes + [17]:
        bits |= code << n
        n += 5
        while n >= 8:
            data.append(bits & 255)
            bits, n = bits >> 8, n - 8
    data.append(bits & 255)
    palette = lambda k: bytes((37 * i + k) % 256 for i in range(48))
    b = b"GIF89a" + struct.pack("<HHBBB", 40, 30, 0xb3, 5, 0) + palette(9)
    if transparent is not None:
        b += b"\x21\xf9\x04" + bytes([1, 0, 0, transparent, 0])
    b += b"\x2c" + struct.pack("<HHHHB", x0, y0, w, h, (0x83 if local else 0) | (0x40 if interlaced else 0)) + (palette(101) if local else b"") + b"\x04"
    for i in range(0, len(data), 255):
        b += bytes([len(data[i:i + 255])]) + data[i:i + 255]
    put(name, b + b"\0;")

def sized_gif(name, image, size, clear=True):
    """A GIF with codes of more than 8 bits an index, which the specification does not have, or without a first clear code."""
    import struct
    index = np.asarray(image).flatten().tolist()
    held = n = 0
    data, table, width, free = bytearray(), {}, size + 1, (1 << size) + 2
    def code(c):
        nonlocal held, n
        held |= c << n
        n += width
        while n >= 8:
            data.append(held & 255)
            held, n = held >> 8, n - 8
    if clear:
        code(1 << size)
    word = ()
    for v in index:
        longer = word + (v,)
        if len(longer) == 1 or longer in table:
            word = longer
            continue
        code(table[word] if len(word) > 1 else word[0])
        if free < 4096:
            table[longer] = free
            free += 1
            width = min(12, max(width, (free - 1).bit_length()))
        word = (v,)
    code(table[word] if len(word) > 1 else word[0])
    width = min(12, max(width, free.bit_length())) if free < 4096 else 12
    code((1 << size) + 1)
    data.append(held & 255)
    palette = bytes(image.getpalette())[:768].ljust(768, b"\0")
    b = b"GIF89a" + struct.pack("<HHBBB", *image.size, 0xf7, 0, 0) + palette + b"\x2c" + struct.pack("<HHHHB", 0, 0, *image.size, 0) + bytes([size])
    for i in range(0, len(data), 255):
        b += bytes([len(data[i:i + 255])]) + data[i:i + 255]
    put(name, b + b"\0;")

sized_gif("codes9.gif", im.quantize(64), 9)
sized_gif("codes11.gif", im.quantize(200), 11)
sized_gif("codes8.gif", im.quantize(64), 8, clear=False)
gif("offset.gif", (5, 4, 20, 10))
gif("offset_transparent.gif", (5, 4, 20, 10), transparent=7)
gif("transparent_local.gif", (0, 0, 40, 30), transparent=3, local=True)
gif("interlaced.gif", (0, 0, 40, 30), interlaced=True)
gif("beyond.gif", (30, 20, 20, 20))

def bmp(name, bits, rows, palette=b"", compression=0, masks=b"", header=40, size=(W, H)):
    import struct
    dib = struct.pack("<IiiHHIIiiII", header, *size, 1, bits, compression, len(rows) if compression in (1, 2) else 0, 0, 0, len(palette) // 4, 0)
    if header > 40:
        dib, masks = dib + masks + bytes(header - 40 - len(masks)), b""
    at = 14 + len(dib) + len(masks) + len(palette)
    put(name, b"BM" + struct.pack("<IHHI", at + len(rows), 0, 0, at) + dib + masks + palette + rows)

def runs(values, four):
    """Run-length codes: runs where there are some, the rest as it is."""
    i, b = 0, b""
    while i < len(values):
        n = 1
        while i + n < len(values) and values[i + n] == values[i] and n < 255:
            n += 1
        if n > 2 or len(values) - i < 4:
            b += bytes([n, values[i] * 17 if four else values[i]])
        else:
            n = 4
            part = values[i:i + 4]
            b += b"\0\4" + (bytes([part[0] << 4 | part[1], part[2] << 4 | part[3]]) if four else bytes(part))
        i += n
    return b + b"\0\0"

import struct
pad = lambda b: b + bytes(-len(b) % 4)
few = np.asarray(im.quantize(16).convert("P"))
colours = bytes(v for i in range(16) for v in ((53 * i) % 256, (91 * i) % 256, (29 * i) % 256, 0))
bmp("rle8.bmp", 8, b"".join(runs(list(few[j]), False) for j in range(H - 1, -1, -1)) + b"\0\1", colours, 1)
bmp("rle4.bmp", 4, b"".join(runs(list(few[j]), True) for j in range(H - 1, -1, -1)) + b"\0\1", colours, 2)
px = rgb.astype(int)
bmp("rgb565.bmp", 16, b"".join(pad((px[j, :, 0] >> 3 << 11 | px[j, :, 1] >> 2 << 5 | px[j, :, 2] >> 3).astype("<u2").tobytes()) for j in range(H - 1, -1, -1)), compression=3, masks=struct.pack("<III", 0xf800, 0x7e0, 0x1f))
bmp("rgb555.bmp", 16, b"".join(pad((px[j, :, 0] >> 3 << 10 | px[j, :, 1] >> 3 << 5 | px[j, :, 2] >> 3).astype("<u2").tobytes()) for j in range(H - 1, -1, -1)))
bmp("bgra_v5.bmp", 32, np.dstack([rgb[::-1, :, ::-1], alpha[::-1]]).tobytes(), compression=3, masks=struct.pack("<IIII", 0xff0000, 0xff00, 0xff, 0xff000000), header=124)
bmp("bgrx.bmp", 32, np.dstack([rgb[::-1, :, ::-1], alpha[::-1]]).tobytes())

rows = []
for name in out:
    try:
        with Image.open(name) as i:
            size = i.size
            o = i.getexif().get(0x0112, 0)
            c = i.convert("RGB")
            w, h = (224, 224 * c.height // c.width) if c.width <= c.height else (224 * c.width // c.height, 224)
            left, top = int(round((w - 224) / 2)), int(round((h - 224) / 2))
            crop = np.asarray(c.resize((w, h), Image.BICUBIC).crop((left, top, left + 224, top + 224))).transpose(2, 0, 1)
            rows.append({"file": name, "size_wh": size, "exif_orientation": o, "mode": i.mode,
                         "crop_chw_sha256": hashlib.sha256(crop.tobytes()).hexdigest(), "decoded_rgb_sha256": hashlib.sha256(c.tobytes()).hexdigest(), "mean": round(float(np.asarray(c).mean()), 4)})
    except Exception as e:
        sys.exit(f"{name}: {e}")
json.dump({"images": rows}, open("pictures.json", "w"), indent=1)
import os
os.remove("scans.tmp")
