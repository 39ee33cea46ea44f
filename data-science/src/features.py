"""Your own derived columns. `derive` is recorded once, when the recipe is fitted; it never runs when the model serves.

`row.<column>` is a column of project.yml. Use + - * / // %, comparisons, & | ~, and the functions of
`tabular.expressions` (where, minimum, maximum, great_circle_km) and of a column (.part("hour"), .fill(0.0), .log(), …).
"""

from __future__ import annotations

from collections.abc import Mapping

from tabular.expressions import Expression, maximum, where


def minutes(hhmm: Expression) -> Expression:
    """Minutes since midnight of a time written as hhmm."""
    return hhmm // 100 * 60 + hhmm % 100


def derive(row: Mapping[str, Expression]) -> dict[str, Expression]:
    """Derived columns of a flight."""
    departure = minutes(row["sched_dep_time"])
    arrival = minutes(row["sched_arr_time"])
    scheduled = (arrival - departure) % 1440
    late = maximum(row["dep_delay"], 0.0)
    return {
        "departure_minute": departure,
        "arrival_minute": arrival,
        "scheduled_minutes": scheduled,
        "slack_per_mile": scheduled / row["distance"],
        "late_departure": late,
        "actual_departure_minute": (departure + row["dep_delay"]) % 1440,
        "plane_age": row["time_hour"].part("year") - row["plane_year"],
        "is_wet": where(row["precip"] > 0, 1.0, 0.0),
        "route": row["origin"] + "-" + row["dest"],
    }
