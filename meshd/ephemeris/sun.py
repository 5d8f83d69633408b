"""Where the Sun is, as a direction in the sky's inertial frame."""

from __future__ import annotations

import numpy as np

from meshd.ephemeris.timescale import J2000_JD, FloatArray, IntArray, julian_dates


def sun_direction(instants: IntArray) -> FloatArray:
    """Unit vectors from the Earth to the Sun at instants (K,), in TEME: (K, 3).

    Within 0.01 degrees from 1990 to 2050. Meeus, Astronomical Algorithms (2nd edition), chapter
    25, low accuracy: geometric longitude, less the constant of aberration. Nutation is left out,
    as TEME counts from the mean equinox; UTC stands for TT, which is 0.00001 degrees.
    """
    whole, fraction = julian_dates(np.asarray(instants, dtype=np.int64))
    t = ((whole - J2000_JD) + fraction) / 36_525
    anomaly = np.radians(357.52911 + t * (35_999.05029 - 0.0001537 * t))
    centre = (
        (1.914602 - t * (0.004817 + 0.000014 * t)) * np.sin(anomaly)
        + (0.019993 - 0.000101 * t) * np.sin(2 * anomaly)
        + 0.000289 * np.sin(3 * anomaly)
    )
    mean = 280.46646 + t * (36_000.76983 + 0.0003032 * t)
    longitude = np.radians(mean + centre - 0.00569)
    obliquity = np.radians(23.4392911 - 0.0130042 * t)
    return np.stack(
        [
            np.cos(longitude),
            np.sin(longitude) * np.cos(obliquity),
            np.sin(longitude) * np.sin(obliquity),
        ],
        axis=-1,
    )
