"""Writes the recordings of this folder: the same 40 rows in every way that a file can hold them. Needs
numpy and pyarrow.

    python make.py
"""
import decimal

import numpy as np, pyarrow as pa, pyarrow.parquet as pq

n = 40
t = np.arange(n) * 0.005 + 1.0
v = np.stack([np.arange(n) * 0.25 + c for c in range(6)], 1)  # accelerometer x y z, gyroscope x y z

np.save("n6.npy", v.astype(np.float32))
np.save("6n.npy", v.T.astype(np.float32))
np.save("n7_fortran.npy", np.asfortranarray(np.column_stack([t, v])))
kind = [("note", "<U4"), ("timestamp_ns", "<i8"), ("gyro", "<f4", (3,)), ("accel", "<f8", (3,))]
a = np.zeros(n, kind)
a["timestamp_ns"], a["gyro"], a["accel"] = np.round(t * 1e9), v[:, 3:], v[:, :3]
np.save("named.npy", a)
pq.write_table(pa.table({
    "label": ["x"] * n, "time": pa.array(np.round(t * 1e6).astype(np.int64), pa.timestamp("us")),
    **{f"acc_{c}": v[:, i].astype(np.float32) for i, c in enumerate("xyz")},
    **{f"angular_velocity.{c}": v[:, 3 + i] for i, c in enumerate("xyz")},
}), "named.parquet", compression="zstd", row_group_size=16)

# Types that say more than their bytes do.
dec = lambda c, kind: pa.array([decimal.Decimal(int(x * 100)) / 100 for x in v[:, c]], kind)
pq.write_table(pa.table({
    "time": pa.array(np.round(t * 1e9).astype(np.int64), pa.timestamp("ns")),
    "acc_x": v[:, 0].astype(np.float16), "acc_y": dec(1, pa.decimal128(9, 2)), "acc_z": dec(2, pa.decimal128(18, 2)),
    **{f"gyro_{c}": v[:, 3 + i] for i, c in enumerate("xyz")},
}), "types.parquet", store_decimal_as_integer=True, use_deprecated_int96_timestamps=True)
pq.write_table(pa.table({
    "time": pa.array([0, 200, 400], pa.timestamp("ms")),
    **{f"acc_{c}": pa.array([3_000_000_000] * 3, pa.uint32()) for c in "xyz"},
    **{f"gyro_{c}": pa.array([1 << 63] * 3, pa.uint64()) for c in "xyz"},
}), "unsigned.parquet")
pq.write_table(pa.table({"time": t, **{f"{s}_{c}": pa.array([str(x) for x in t]) for s in ("acc", "gyro") for c in "xyz"}}), "words.parquet")
aligned = np.zeros(n, np.dtype([("flag", "u1"), ("t", "f8"), *[(f"{s}{c}", "f4") for s in "aw" for c in "xyz"]], align=True))
aligned["t"] = t
for i, s in enumerate(f"{s}{c}" for s in "aw" for c in "xyz"):
    aligned[s] = v[:, i]
np.save("aligned.npy", aligned)

# One sensor.
np.save("n3.npy", v[:, :3].astype(np.float32))
np.save("4n.npy", np.column_stack([t, v[:, :3]]).T.copy())
pq.write_table(pa.table({"time": pa.array(np.round(t * 1e9).astype(np.int64), pa.timestamp("ns")), **{c: v[:, i] for i, c in enumerate("xyz")}}), "axes.parquet")
