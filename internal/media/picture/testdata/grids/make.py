"""Writes the maps of this folder, one of each way in which a format can hold one, from two formulas that
grid_test.go repeats. Needs numpy, pillow, tifffile with imagecodecs, and OpenEXR.

    python make.py
"""
import numpy as np, OpenEXR, tifffile
from PIL import Image

H, W = 37, 53  # odd, larger than a block of 16 lines and a tile of 16
y, x = np.mgrid[0:H, 0:W]
whole = ((x * 4099 + y * 977) % 65536).astype(np.uint16)
real = (x * 0.25 - y * 0.5 + 3).astype(np.float32)  # exact in half

Image.fromarray(whole).save("u16.png")
Image.fromarray((whole >> 8).astype(np.uint8)).save("u8.png")

tif = lambda name, a, **k: tifffile.imwrite(name, a, photometric="minisblack", metadata=None, **k)
tif("u16_none.tif", whole, rowsperstrip=5)
tif("u16_big.tif", whole.astype(">u2"), byteorder=">", rowsperstrip=5)
tif("u16_lzw.tif", whole, compression="lzw", predictor=2, rowsperstrip=16)
tif("u16_packbits.tif", whole, compression="packbits", rowsperstrip=16)
tif("u16_tiles.tif", whole, compression="deflate", predictor=2, tile=(16, 16))
tif("i16.tif", (whole.astype(np.int32) - 32768).astype(np.int16))
tif("u32.tif", whole.astype(np.uint32), compression="deflate")
tif("f32_none.tif", real)
tif("f32_deflate.tif", real, compression="deflate", predictor=3, rowsperstrip=16)
tif("f32_tiles.tif", real, compression="lzw", predictor=3, tile=(16, 32))
tif("f64.tif", real.astype(np.float64), compression="deflate")
tif("f16.tif", real.astype(np.float16))

np.save("f32.npy", real)
np.save("f16.npy", real.astype(np.float16))
np.save("f64_fortran.npy", np.asfortranarray(real.astype(np.float64)))
np.save("u16_chw.npy", whole[None])
np.save("u16_hwc.npy", whole[..., None])
np.save("i32_big.npy", whole.astype(">i4"))

def exr(name, compression, **channels):
    OpenEXR.File({"compression": compression, "type": OpenEXR.scanlineimage}, channels).write(name)

exr("f32_zip.exr", OpenEXR.ZIP_COMPRESSION, Z=real)
exr("f16_zips.exr", OpenEXR.ZIPS_COMPRESSION, Y=real.astype(np.float16))
exr("f32_rle.exr", OpenEXR.RLE_COMPRESSION, Y=real)
exr("f32_none.exr", OpenEXR.NO_COMPRESSION, **{"ViewLayer.Depth.Z": real, "ViewLayer.Combined.A": real.astype(np.float16) * 0})
exr("u32_rgbz.exr", OpenEXR.ZIP_COMPRESSION, R=real, G=real, B=real, Z=whole.astype(np.uint32))
exr("f32_piz.exr", OpenEXR.PIZ_COMPRESSION, Z=real)
exr("f32_pxr24.exr", OpenEXR.PXR24_COMPRESSION, Z=real, A=real.astype(np.float16))
exr("f32_b44.exr", OpenEXR.B44_COMPRESSION, A=real.astype(np.float16), Z=real)
exr("dwaa.exr", OpenEXR.DWAA_COMPRESSION, Z=real)
exr("dwaa_lossy.exr", OpenEXR.DWAA_COMPRESSION, Y=real)  # refused

def tiles(compression, mode=OpenEXR.ONE_LEVEL):
    t = OpenEXR.TileDescription()
    t.xSize, t.ySize, t.mode = 16, 32, mode
    return {"compression": compression, "type": OpenEXR.tiledimage, "tiles": t}

OpenEXR.File(tiles(OpenEXR.PIZ_COMPRESSION), {"Z": real.astype(np.float16), "A": real}).write("f16_piz_tiles.exr")
OpenEXR.File(tiles(OpenEXR.DWAB_COMPRESSION), {"A": real.astype(np.float16), "R": real.astype(np.float16), "id.X": whole.astype(np.uint32), "Depth.Z": real, "Normal.Y": real}).write("dwab_tiles.exr")
OpenEXR.File([
    OpenEXR.Part({"compression": OpenEXR.ZIP_COMPRESSION, "type": OpenEXR.scanlineimage}, {"A": real, "B": real}, name="colour"),
    OpenEXR.Part(tiles(OpenEXR.ZIP_COMPRESSION), {"Depth.Z": real}, name="depth"),
]).write("f32_parts.exr")
# B44 loses half samples: what OpenEXR itself makes of them stands beside.
exr("b44_half.exr", OpenEXR.B44_COMPRESSION, Z=(np.sin(x / 5) * y).astype(np.float16))
np.save("b44_half.exr.npy", OpenEXR.File("b44_half.exr").channels()["Z"].pixels)
# More than 2^14 different values: PIZ's other arithmetic.
exr("piz_wide.exr", OpenEXR.PIZ_COMPRESSION, Z=np.arange(160 * 130, dtype=np.uint32).reshape(160, 130) * 3)
exr("rgba.exr", OpenEXR.ZIP_COMPRESSION, A=real, B=real, G=real)

with open("u16.pgm", "wb") as f:
    f.write(b"P5\n# a comment\n%d %d\n65535\n" % (W, H) + whole.astype(">u2").tobytes())
for name, scale, kind in (("little.pfm", "-1.0", "<f4"), ("big.pfm", "1", ">f4")):
    with open(name, "wb") as f:
        f.write(b"Pf\n%d %d\n%s\n" % (W, H, scale.encode()) + real[::-1].astype(kind).tobytes())
