"""Writes the recordings of this folder: the same 40 rows in every way that a file can hold them. Needs
numpy and pyarrow.

    python make.py
"""
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
