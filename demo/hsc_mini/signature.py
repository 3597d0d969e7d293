"""Remove the instrument's signature from a raw: overscan, bias, gain, flat, sky."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import sep

from hsc_mini.arrays import Array
from hsc_mini.exposure import BAD, SATURATED
from hsc_mini.faults import InputFault
from hsc_mini.fitsfile import Header, read_hdu
from hsc_mini.pixels import Planes, interpolate

AMPLIFIERS = (1, 2, 3, 4)
FULL_WELL = 170_000
"""Electrons above which a pixel counts as saturated."""
DEAD = 0.3
"""Pixels whose flat is below this are bad."""


@dataclass(slots=True, kw_only=True, eq=False)
class Ccd:
    """One ccd in electrons, sky subtracted."""

    header: Header
    planes: Planes
    sky: float
    sky_rms: float
    read_noise: float

    @property
    def visit(self) -> int:
        """The visit number, which HSC writes as ``HSCE00903334``."""
        return int(self.header.text("EXP-ID")[4:])

    @property
    def number(self) -> int:
        """The detector number."""
        return self.header.integer("DET-ID")

    @property
    def filter(self) -> str:
        """The filter's name."""
        return self.header.text("FILTER01")


def remove_signature(raw: Path, bias: Path, flat: Path, mesh: int) -> Ccd:
    """Return the calibrated ccd; *mesh* is the size in pixels of a cell of the sky model."""
    header, counts = read_hdu(raw, 0)
    bias_header, bias_image = read_hdu(bias, 0)
    flat_header, flat_image = read_hdu(flat, 0)
    _check_calibrations(header, bias_header, flat_header)
    image, gain, read_noise = _join_amplifiers(header, counts)
    if not image.shape == flat_image.shape == bias_image.shape:
        raise InputFault(f"{raw}: calibrations have another shape")
    image = (image - bias_image * gain).astype("f4")
    mask = np.zeros(image.shape, "i2")
    mask[image > FULL_WELL] |= SATURATED
    mask[flat_image < DEAD] |= BAD
    response = np.where(flat_image < DEAD, 1, flat_image)
    variance = ((np.maximum(image, 0) + read_noise**2) / response**2).astype("f4")
    image = interpolate((image / response).astype("f4"), (mask & BAD) > 0)
    sky = sep.Background(image, mask=(mask > 0), bw=mesh, bh=mesh)
    image = np.ascontiguousarray(image - sky.back().astype("f4"))
    planes = Planes(image=image, variance=variance, mask=mask)
    return Ccd(header=header, planes=planes, sky=sky.globalback, sky_rms=sky.globalrms, read_noise=read_noise)


def _check_calibrations(raw: Header, bias: Header, flat: Header) -> None:
    ccd, band = raw.integer("DET-ID"), raw.text("FILTER01")
    for calibration in (bias, flat):
        if calibration.integer("DET-ID") != ccd:
            raise InputFault(f"{calibration.source} is not for ccd {ccd}")
    if flat.text("FILTER01") != band:
        raise InputFault(f"{flat.source} is not for filter {band}")


def _join_amplifiers(header: Header, counts: Array) -> tuple[Array, Array, float]:
    """Return the image in electrons without overscan, the gain of each column, and the mean read noise."""
    parts, gains, noises = [], [], []
    for amplifier in AMPLIFIERS:
        data = _section(header, counts, "EF", amplifier)
        overscan = _section(header, counts, "OS", amplifier)
        level = np.convolve(np.pad(np.median(overscan, axis=1), 15, mode="edge"), np.ones(31) / 31, "valid")[:, None]
        gain = header.number(f"T_GAIN{amplifier}")
        parts.append((data - level) * gain)
        gains.append(np.full(data.shape[1], gain))
        noises.append(float(np.std(overscan - level)) * gain)
    return np.concatenate(parts, axis=1).astype("f4"), np.concatenate(gains), float(np.mean(noises))


def _section(header: Header, counts: Array, kind: str, amplifier: int) -> Array:
    """Return the exposed (EF) or overscan (OS) columns of an amplifier, which HSC's cards count from 1."""
    first = header.integer(f"T_{kind}MN{amplifier}1") - 1
    last = header.integer(f"T_{kind}MX{amplifier}1")
    if not 0 <= first < last <= counts.shape[1]:
        raise InputFault(f"{header.source}: amplifier {amplifier} lies outside the image")
    return counts[:, first:last].astype("f4")
