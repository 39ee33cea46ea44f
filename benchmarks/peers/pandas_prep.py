"""The work of prep.py for bench_prep.py's table, as a data scientist would write it with pandas and NumPy.

python pandas_prep.py RAW.csv OUTPUT
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd

PRIME = 2_147_483_647
MULTIPLIERS = (48_271, 69_621, 16_807, 39_373, 742_938_285)
RANGES = {"from_lat": 90, "to_lat": 90, "from_lon": 180, "to_lon": 180}
NUMBERS = [f"n{i}" for i in range(1, 10)]


def mix(state: np.ndarray, value: np.ndarray, multiplier: int) -> np.ndarray:
    linear = ((state + value) % PRIME * multiplier + 12_345) % PRIME
    return linear * ((linear + multiplier) % PRIME) % PRIME


def row_hash(key: np.ndarray, seed: int) -> np.ndarray:
    bits = key.astype(np.float64).view(np.uint64)
    parts = [(bits & np.uint64(0xFFFFFFFF)) % np.uint64(PRIME), (bits >> np.uint64(32)) % np.uint64(PRIME)]
    state = np.full(len(key), (seed * 7_919 + 1) % PRIME)
    for position, value in enumerate(parts):
        state = mix(state, value.astype(np.int64), MULTIPLIERS[position])
    for multiplier in MULTIPLIERS[:2]:
        state = mix(state, state, multiplier)
    return state


def main() -> None:
    raw, output = Path(sys.argv[1]), Path(sys.argv[2])
    frame = pd.read_csv(raw, dtype={"kind": "object", "zone": "object", "flag": "object"})
    frame["pickup_time"] = pd.to_datetime(frame["pickup_time"], format="%Y-%m-%dT%H:%M:%SZ")
    flags = frame["flag"].str.strip().str.lower()
    frame["flag"] = flags.map({"true": 1.0, "false": 0.0})
    for name in ("kind", "zone"):
        frame[name] = frame[name].str.strip().str.lower()
    findings = {}
    for name, bound in RANGES.items():
        outside = frame[name].abs() > bound
        findings[name] = int(outside.sum())
        frame.loc[outside, name] = np.nan
    outside = (frame["passengers"] < 0) | (frame["passengers"] > 9) | (frame["passengers"] % 1 != 0) & frame["passengers"].notna()
    findings["passengers"] = int(outside.sum())
    frame.loc[outside, "passengers"] = np.nan
    findings["kind"] = int((~frame["kind"].isin(["red", "green", "blue"]) & frame["kind"].notna()).sum())
    frame = frame[frame["target"].notna() & frame["id"].notna() & frame["pickup_time"].notna()]
    key = frame["id"].to_numpy(dtype=np.int64)
    first, second = row_hash(key, 0), row_hash(key, 1)
    duplicated = pd.Series(first * 2**31 + second).duplicated().to_numpy()
    frame, first = frame[~duplicated], first[~duplicated]
    bucket = first % 1_000_000
    side = (bucket >= 700_000).astype(np.int8) + (bucket >= 850_000)
    fold = first // 1_000_000 % 5
    a, b = np.radians(frame["from_lat"]), np.radians(frame["to_lat"])
    h = np.sin((b - a) / 2) ** 2 + np.cos(a) * np.cos(b) * np.sin(np.radians(frame["to_lon"] - frame["from_lon"]) / 2) ** 2
    inputs = ["from_lat", "from_lon", "to_lat", "to_lon", "passengers", "flag", *NUMBERS]
    numbers = {name: frame[name].astype(np.float64) for name in inputs}
    times = frame["pickup_time"].dt
    for part in ("month", "weekday", "hour"):
        numbers[f"pickup_time_{part}"] = (getattr(times, part) + (part == "weekday")).astype(np.float64)
    numbers["distance_km"] = 2 * 6371.0088 * np.arcsin(np.sqrt(h))
    train = side == 0
    features, indicators, profile = {}, {}, {}
    for name, values in numbers.items():
        fitted = values[train]
        present = fitted.dropna()
        if name in inputs:
            edges = np.unique(np.quantile(present, np.linspace(0, 1, 11)[1:-1]))
            shares = np.bincount(np.searchsorted(edges, present), minlength=len(edges) + 1)
            profile[name] = (edges, shares, present.min(), present.mean(), present.std(), present.median(), present.max())
        low, high = np.quantile(present, [0.001, 0.999])
        if low == high:
            low, high = -np.inf, np.inf
        clipped = present.clip(low, high)
        features[name] = values.fillna(clipped.median()).clip(low, high).astype(np.float32)
        if len(present) < len(fitted):
            indicators[f"{name}__missing"] = values.isna().astype(np.float32)
    features |= indicators
    levels = frame.loc[train, "kind"].value_counts().index
    for level in sorted(levels, key=lambda name: (-int((frame.loc[train, "kind"] == name).sum()), name)):
        features[f"kind={level}"] = (frame["kind"] == level).astype(np.float32)
    zone = frame["zone"].fillna("")
    target = frame["target"]
    fitted = pd.DataFrame({"zone": zone[train], "fold": fold[train], "target": target[train]})

    def encode(rows: pd.DataFrame) -> tuple[pd.Series, float]:
        prior = rows["target"].mean()
        sums = rows.groupby("zone")["target"].agg(["sum", "count"])
        return (sums["sum"] + 20 * prior) / (sums["count"] + 20), prior

    full, prior = encode(fitted)
    encoded = zone.map(full).fillna(prior).to_numpy(copy=True)
    for number in range(5):
        part, part_prior = encode(fitted[fitted["fold"] != number])
        chosen = train & (fold == number)
        encoded[chosen] = zone[chosen].map(part).fillna(part_prior)
    features["zone__target"] = encoded.astype(np.float32)
    table = pd.DataFrame(features, index=frame.index)
    table["target"] = target
    for number, name in enumerate(("train", "validation", "test")):
        folder = output / name
        folder.mkdir(parents=True, exist_ok=True)
        table[side == number].to_parquet(folder / "data.parquet", index=False)
    frame[side == 2].drop(columns="target").to_parquet(output / "test" / "rows.parquet", index=False)


if __name__ == "__main__":
    main()
