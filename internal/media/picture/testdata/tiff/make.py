#!/usr/bin/env python3
"""Small TIFF files of the variants that Pillow does not write, and what it reads from them.

Needs tifffile (made with 2026.3.3), imagecodecs (2026.3.6), Pillow (13.0.0) and numpy. Run it in this folder.
The pictures are a computed pattern, free of rights. tiff.json: as ../pictures/pictures.json, of what Pillow
reads; the files that it does not read, or reads wrong, are of the same pattern and compared with those.
"""
import hashlib, json, lzma, struct
import imagecodecs
import numpy as np
import tifffile
from PIL import Image, ImageCms

W, H = 67, 45
y, x = np.mgrid[0:H, 0:W]
rgb = np.stack([127 + 120 * np.sin(x / 5 + y / 9), 255 * (x + y) / (W + H), 127 + 120 * np.cos(y / 4) * np.sin(x / 11)], -1)
rgb[10:25, 20:50] = [230, 20, 40]
rgb = np.clip(rgb, 0, 255).astype(np.uint8)
grey = np.asarray(Image.fromarray(rgb).convert("L"))
alpha = np.clip(255 * (x - 8) / (W - 16), 0, 255).astype(np.uint8)
rgb16 = rgb.astype(np.uint16) * 257
cmyk = np.asarray(Image.fromarray(rgb).convert("CMYK"))
planes = lambda a: np.ascontiguousarray(a.transpose(2, 0, 1))
pillow, others = [], []


def save(name, a, photometric="rgb", compression="zlib", to=pillow, **kw):
    tifffile.imwrite(name, a, photometric=photometric, compression=compression, metadata=None, software=False, **kw)
    to.append(name)


separate = dict(planarconfig="separate")
save("rgb.tif", rgb)
save("grey.tif", grey, "minisblack")
save("planar.tif", planes(rgb), **separate)
save("planar_lzw.tif", planes(rgb), compression="lzw", predictor=True, rowsperstrip=7, **separate)
save("planar_tiles.tif", planes(rgb), tile=(16, 32), **separate)
save("planar_rgba.tif", planes(np.dstack([rgb, alpha])), extrasamples=["unassalpha"], **separate)
save("planar16.tif", planes(rgb16), to=others, **separate)  # Pillow takes the planes for eight bits
save("la.tif", np.dstack([grey, alpha]), "minisblack", extrasamples=["unassalpha"], planarconfig="contig")
save("lx.tif", np.dstack([grey, alpha]), "minisblack", extrasamples=["unspecified"], planarconfig="contig")
save("la_multiplied.tif", np.dstack([grey, alpha]), "minisblack", extrasamples=["assocalpha"], planarconfig="contig", to=others)
save("la16.tif", np.dstack([grey, alpha]).astype(np.uint16) * 257, "minisblack", extrasamples=["unassalpha"], planarconfig="contig", to=others)
save("rgbx.tif", np.dstack([rgb, alpha]), extrasamples=["unspecified"])
save("rgba_multiplied.tif", np.dstack([rgb // 2, alpha]), extrasamples=["assocalpha"])
save("cmyk.tif", cmyk, "separated")
save("cmyk_lzw.tif", cmyk, "separated", compression="lzw", predictor=True)
save("cmyk16_big_endian.tif", cmyk.astype(">u2") * 257, "separated", byteorder=">")
save("cmyk_planar.tif", planes(cmyk), "separated", **separate)
save("big.tif", rgb, bigtiff=True)
save("big_tiles.tif", rgb, bigtiff=True, tile=(16, 16), compression="lzw")
save("big_big_endian.tif", rgb16, bigtiff=True, byteorder=">", predictor=True, to=others)
save("big_grid.tif", grey.astype(np.float32), "minisblack", bigtiff=True, compression="zstd", predictor=True, to=others)
save("zstd.tif", rgb, compression="zstd", predictor=True)
save("zstd16.tif", rgb16, compression="zstd", predictor=True)
save("f32.tif", grey.astype(np.float32), "minisblack", predictor=True)
save("f16_rgb_unit.tif", (rgb / 255).astype(np.float16), to=others)
save("f32_rgb_unit.tif", rgb.astype(np.float32) / 255, predictor=True, to=others)
save("f64_unit.tif", grey / 255, "minisblack", to=others)
save("u32_small.tif", grey.astype(np.uint32) * 2, "minisblack")
save("u32.tif", grey.astype(np.uint32) * 16843009, "minisblack", to=others)
for name, kind, a, kw in (("jpeg.tif", "ycbcr", rgb, {}), ("jpeg_420.tif", "ycbcr", rgb, dict(subsampling=(2, 2), rowsperstrip=16)),
                          ("jpeg_tiles.tif", "ycbcr", rgb, dict(tile=(32, 32))), ("jpeg_grey.tif", "minisblack", grey, {})):
    save(name, a, kind, "jpeg", compressionargs={"level": 85}, **kw)
save("jpeg_rgb.tif", rgb, "rgb", "jpeg", compressionargs={"level": 85, "outcolorspace": "rgb"})
Image.fromarray(rgb).save("jpeg_tables.tif", compression="jpeg", quality=80)  # its tables lie in the directory
pillow.append("jpeg_tables.tif")
save("negative.tif", grey, "miniswhite")
Image.fromarray(rgb).quantize(100).save("palette_lzw.tif", compression="tiff_lzw")
pillow.append("palette_lzw.tif")
Image.fromarray(rgb).convert("YCbCr").save("ycbcr.tif", compression="tiff_lzw")
pillow.append("ycbcr.tif")

# Lab, as Little CMS converts it when it does not make a table of the conversion first (Pillow lets it: up to 33 levels
# off at the edges of sRGB, which has no use as a reference). Of 16 bits, and with an offset instead of a sign, it is
# the same.
lab = Image.fromarray(rgb).convert("LAB")
lab.save("lab.tif", compression="tiff_lzw")
exact = ImageCms.buildTransform(ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB"), "LAB", "RGB", flags=ImageCms.Flags.NOOPTIMIZE)
save("lab_exact.tif", np.asarray(ImageCms.applyTransform(lab, exact)))
codes = (np.asarray(lab) ^ np.array([0, 128, 128], np.uint8)).astype(np.uint16)  # a and b with an offset
save("icclab.tif", codes.astype(np.uint8), 9, to=others, planarconfig="contig")
save("lab16.tif", codes * np.array([257, 256, 256], np.uint16) ^ np.array([0, 0x8000, 0x8000], np.uint16), 8, to=others, planarconfig="contig")
icc16 = np.stack([(codes[..., 0].astype(int) * 65280 + 127) // 255, codes[..., 1] * 256, codes[..., 2] * 256], -1)
save("icclab16_big_endian.tif", icc16.astype(">u2"), 9, byteorder=">", to=others, planarconfig="contig")


def tiff(name, tags, pieces, to):
    """A file of strips that are compressed already, tag by tag: (kind, values)."""
    places, data = [], b""
    for p in pieces:
        places.append(8 + len(data))
        data += p + bytes(len(p) % 2)
    tags = {**tags, 273: (4, places), 279: (4, [len(p) for p in pieces])}
    at = 8 + len(data)
    entries, far = b"", b""
    for t, (kind, values) in sorted(tags.items()):
        b = b"".join(struct.pack("<II", *v) if kind == 5 else struct.pack({3: "<H", 4: "<I"}[kind], v) for v in values)
        if len(b) > 4:
            b, far = struct.pack("<I", at + 6 + 12 * len(tags) + len(far)), far + b
        entries += struct.pack("<HHI", t, kind, len(values)) + b.ljust(4, b"\0")
    open(name, "wb").write(b"II*\0" + struct.pack("<I", at) + data + struct.pack("<H", len(tags)) + entries + bytes(4) + far)
    to.append(name)


def units(a, across, down):
    """Subsampled YCbCr: the lumas of a few pixels and their chroma, one unit after the other."""
    a = np.pad(a, ((0, -len(a) % down), (0, -a.shape[1] % across), (0, 0)), mode="edge")
    out = bytearray()
    for top in range(0, len(a), down):
        for left in range(0, a.shape[1], across):
            b = a[top : top + down, left : left + across]
            out += b[..., 0].tobytes() + bytes([int(b[..., 1].mean()), int(b[..., 2].mean())])
    return bytes(out)


ycc = np.asarray(Image.fromarray(rgb).convert("YCbCr"))
lzw, plain = imagecodecs.lzw_encode, bytes
levels = {529: (5, [(2126, 10000), (7152, 10000), (722, 10000)]), 532: (5, [(16, 1), (235, 1), (128, 1), (240, 1), (128, 1), (240, 1)])}
for name, across, down, code, pack, more, to in (("ycbcr_22.tif", 2, 2, 5, lzw, {}, pillow), ("ycbcr_42_levels.tif", 4, 2, 5, lzw, levels, pillow),
                                                 ("ycbcr_21.tif", 2, 1, 5, lzw, {}, pillow), ("ycbcr_21_plain.tif", 2, 1, 1, plain, {}, others)):
    tiff(name, {256: (3, [W]), 257: (3, [H]), 258: (3, [8] * 3), 259: (3, [code]), 262: (3, [6]), 277: (3, [3]), 278: (3, [16]), 530: (3, [across, down]), **more},
         [pack(units(ycc[top : top + 16], across, down)) for top in range(0, H, 16)], to)

# LZMA as libtiff writes it, behind a filter of differences, and as tifffile does, in several blocks and with a checksum.
save("lzma16.tif", rgb16, compression="lzma", rowsperstrip=9, to=others)
delta = [{"id": lzma.FILTER_DELTA, "dist": 1}, {"id": lzma.FILTER_LZMA2, "preset": 6}]
head = {256: (3, [W]), 257: (3, [H]), 258: (3, [8] * 3), 259: (3, [34925]), 262: (3, [2]), 277: (3, [3])}
tiff("lzma.tif", head, [lzma.compress(rgb.tobytes(), lzma.FORMAT_XZ, lzma.CHECK_NONE, filters=delta)], pillow)

# Fax codes, in the five ways that TIFF has: runs alone, T.4 with rows of runs and with rows that refer to the one
# before, with filling, and T.6; in strips, from the lowest bit up, and with either colour for zero. Wide enough for
# every make-up code.
def bilevel(w, h):
    a = np.zeros((h, w), bool)
    r = np.random.default_rng(3)
    for i in range(h):
        at = 0
        while at < w:
            n = int(r.integers(0, [3, 20, 200, 3000][i % 4]))
            a[i, at : at + n] = r.integers(0, 2)
            at += n
        if i % 5 == 4:  # like the row before, a little moved
            a[i] = np.roll(a[i - 1], int(r.integers(-4, 5)))
    return Image.fromarray(a)


for name, compression, tags in (("fax_runs.tif", "tiff_ccitt", {}), ("fax_t4.tif", "group3", {278: 7}), ("fax_t4_2d.tif", "group3", {292: 1}),
                                ("fax_t4_fill.tif", "group3", {292: 5, 266: 2}), ("fax_t6.tif", "group4", {262: 1}), ("fax_t6_strips.tif", "group4", {278: 9, 262: 0}), ("fax_words.tif", "tiff_raw_16", {})):
    bilevel(5300 if name in ("fax_t4.tif", "fax_t6.tif") else 301, 40).save(name, compression=compression, tiffinfo=tags)
    (others if name == "fax_words.tif" else pillow).append(name)  # which libtiff 4.7 does not read back


def old_lzw(data):
    """LZW as libtiff packed it before 1992: codes from the lowest bit up, widened when the table is full."""
    out, held, bits, table, width = bytearray(), 0, 0, {}, 9

    def put(code):
        nonlocal held, bits
        held |= code << bits
        bits += width
        while bits >= 8:
            out.append(held & 255)
            held >>= 8
            bits -= 8

    put(256)
    free, word = 258, b""
    for c in data:
        longer = word + bytes([c])
        if len(longer) == 1 or longer in table:
            word = longer
            continue
        put(table[word] if len(word) > 1 else word[0])
        if free == 4094:
            put(256)
            table, free, width = {}, 258, 9
        else:
            table[longer] = free
            free += 1
            width = max(width, (free - 1).bit_length())
        word = bytes([c])
    put(table[word] if len(word) > 1 else word[0])
    width = max(width, free.bit_length())
    put(257)
    put(0)
    return bytes(out)


def strips(name, pieces, shape, code, photometric="rgb", to=pillow, **kw):
    """A file of strips that are compressed already."""
    tifffile.imwrite(name, iter(pieces), shape=shape, dtype=np.uint8, photometric=photometric, compression=code, metadata=None, software=False, **kw)
    to.append(name)


noise = np.random.default_rng(5).integers(0, 256, (H, W, 3), np.uint8)  # which fills the table
strips("lzw_old.tif", [old_lzw(np.concatenate([rgb[:20], noise[20:]]).tobytes())], (H, W, 3), "lzw", rowsperstrip=H)
strips("lzw_old_grey.tif", [old_lzw(grey[i : i + 15].tobytes()) for i in (0, 15, 30)], (H, W), "lzw", "minisblack", rowsperstrip=15)

# JPEG of inks and of planes: every component as it is.
strips("jpeg_cmyk.tif", [imagecodecs.jpeg8_encode(cmyk, level=90, colorspace="cmyk", outcolorspace="cmyk")], (H, W, 4), "jpeg", "separated", rowsperstrip=H)
strips("jpeg_planar.tif", [imagecodecs.jpeg8_encode(p, level=90) for p in planes(rgb)], (3, H, W), "jpeg", rowsperstrip=H, **separate)

# Signed numbers, which Pillow cuts at 0 and 255.
save("s16.tif", (np.arange(W * H).reshape(H, W) * 0.3 - 300).astype(np.int16), "minisblack")
save("s32_big_endian.tif", (np.arange(W * H).reshape(H, W) * 0.3 - 300).astype(">i4"), "minisblack", byteorder=">", to=others)  # Pillow turns its bytes twice

rows = []
for name in pillow:
    with Image.open(name) as i:
        c = i.convert("RGB")
        w, h = 224 * c.width // c.height, 224
        left = int(round((w - 224) / 2))
        crop = np.asarray(c.resize((w, h), Image.BICUBIC).crop((left, 0, left + 224, 224))).transpose(2, 0, 1)
        rows.append({"file": name, "size_wh": i.size, "exif_orientation": 0, "mode": i.mode,
                     "crop_chw_sha256": hashlib.sha256(crop.tobytes()).hexdigest(), "decoded_rgb_sha256": hashlib.sha256(c.tobytes()).hexdigest()})
json.dump({"images": rows}, open("tiff.json", "w"), indent=1)
