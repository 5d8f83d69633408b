"""Units: what a metric's name says it is measured in; units come last, before any statistic."""

from __future__ import annotations

SHARE = "of 1"
_STATISTICS = ("p50", "p90", "p99", "worst", "mean", "min", "max", "least", "most")
_UNITS = {
    "ms": "ms",
    "us": "µs",
    "ns": "ns",
    "s": "s",
    "bytes": "B",
    "bps": "bit/s",
    "hz": "Hz",
    "km": "km",
    "deg": "°",
    "c": "°C",
    "k": "K",
    "w": "W",
    "wh": "Wh",
    "j": "J",
    "share": SHARE,
    "utilisation": SHARE,
}


def unit_of(metric: str) -> str:
    """The unit by name: `latency_ms_p50` is in ms, `traffic_bytes_s` in B/s; "" for a count."""
    words = metric.rpartition(".")[2].split("_")
    while len(words) > 1 and words[-1] in _STATISTICS:
        words.pop()
    if len(words) > 2 and words[-1] == "s" and words[-2] == "bytes":
        return "B/s"
    return _UNITS.get(words[-1], "") if len(words) > 1 else ""


def spoken(metric: str) -> str:
    """A metric's name for a heading: `battery_share` is "Battery share"."""
    text = metric.replace("_", " ").replace(".", ": ")
    return text[:1].upper() + text[1:]


def figure(value: float) -> str:
    """A number for people: five figures, thousands apart; "none" for NaN."""
    if value != value:
        return "none"
    if value == int(value) and abs(value) < 1e15:
        return f"{int(value):,}"
    if abs(value) >= 100:
        return f"{value:,.1f}"
    return f"{value:.4g}" if abs(value) >= 1e-4 else f"{value:.2e}"
