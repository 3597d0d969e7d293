"""``hsc-mini-simulate OUT``: write a simulated HSC data set, 8 visits of 2 ccds over one tract of 2x2 patches.

The same seed and size give the same bytes. Everything says that it is simulated: ``SIMUL=T``, INSTRUME ends in "(sim)".
"""

from __future__ import annotations

import argparse
import io
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.camera import AMPLIFIER_GAINS, EXPOSURE_SECONDS, OVERSCAN, Conditions, Detector, expose
from hsc_mini.fitsfile import Value, write_plain
from hsc_mini.geometry import SkyMap, Tan, covered_pixels
from hsc_mini.sky import draw_reference, draw_sky

# visit and ccd numbers are those of lsst/ci_hsc; the pixels are not
VISITS = {"HSC-R": (903334, 903336, 903338, 903342), "HSC-I": (903986, 903988, 903990, 904010)}
CCDS = (16, 23)
NIGHT = {"HSC-R": datetime(2013, 6, 17, 8, 24), "HSC-I": datetime(2013, 11, 2, 8, 24)}
MJD_EPOCH = datetime(1858, 11, 17)
SCALE = 0.336
GAP = 6
"""Pixels between the two ccds."""
DITHER = 25
POINTING_ERROR = 1.5
"""Arcsec per axis by which the WCS of a raw's header is wrong, on purpose."""
FEWEST_PIXELS = 64
"""A ccd overlaps a patch when it covers at least so many of its pixels."""
SHARDS = ("ref_cats/189584.fits", "ref_cats/189648.fits")


@dataclass(frozen=True, slots=True, kw_only=True)
class Visit:
    """One pointing of the telescope."""

    number: int
    conditions: Conditions
    began: datetime
    airmass: float
    boresight: tuple[float, float]
    rotation: float
    error: tuple[float, float]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the program."""
    parser = argparse.ArgumentParser(prog="hsc-mini-simulate", description="Write a simulated HSC data set.")
    parser.add_argument("out", type=Path)
    parser.add_argument("--seed", type=int, default=59)
    parser.add_argument("--patch", type=int, default=256, metavar="PIXELS", help="side of a patch (default 256)")
    arguments = parser.parse_args(argv)
    if arguments.patch < 192 or arguments.patch % 4:
        parser.error("--patch must be a multiple of 4, at least 192")
    simulate(arguments.out, seed=arguments.seed, patch_pixels=arguments.patch)
    return 0


def simulate(out: Path, *, seed: int = 59, patch_pixels: int = 256) -> None:
    """Write the data set below *out*."""
    rng = np.random.default_rng(seed)
    skymap = SkyMap(
        tract=0, ra=320.3, dec=-0.4, columns=2, rows=2, patch_pixels=patch_pixels,
        border=max(16, patch_pixels // 10), scale=SCALE,
    )  # fmt: skip
    out.mkdir(parents=True, exist_ok=True)
    (out / f"skymap-sim{seed}.json").write_text(skymap.dumps())
    sky = draw_sky(rng, skymap)
    write_plain(out / "truth.fits", sky, {"SIMUL": True, "SIMSEED": seed})
    detectors = make_detectors(rng, out / "calib", patch_pixels, seed)
    overlaps = []
    for visit in make_visits(rng, skymap):
        for index, ccd in enumerate(CCDS):
            wcs = ccd_wcs(visit, index, patch_pixels)
            detector = detectors[visit.conditions.band, ccd]
            raw = expose(rng, sky, wcs, visit.conditions, detector)
            cards = raw_cards(visit, ccd, header_wcs(visit, wcs), detector.shape[1], seed)
            write_plain(out / "raw" / f"HSCA{visit.number}{ccd:02d}.fits", raw, cards)
            overlaps += list_overlaps(skymap, visit, ccd, wcs, detector.shape)
    table = "".join(f"{line}\n" for line in ["# tract patch visit ccd filter", *overlaps])
    (out / f"overlap-sim{seed}.txt").write_text(table)
    write_reference(out / f"refcat-sim{seed}.tar", draw_reference(rng, sky), skymap)


def make_detectors(rng: np.random.Generator, folder: Path, columns: int, seed: int) -> dict[tuple[str, int], Detector]:
    """Write one bias per ccd and one flat per ccd and filter; return them by filter and ccd."""
    rows = 2 * columns
    detectors = {}
    for index, ccd in enumerate(CCDS):
        bias = rng.normal(0, 0.4, (rows, columns)) + 2.0 * (np.arange(columns)[None, :] % 128 < 2)
        cards: dict[str, Value] = {"DET-ID": ccd, "SIMUL": True, "CALDATE": f"{min(NIGHT.values()):%Y-%m-%d}"}
        write_plain(folder / f"BIAS-sim{seed}-{ccd:03d}.fits", bias.astype("f4"), cards | {"OBSTYPE": "bias"})
        for band in VISITS:
            flat = draw_flat(rng, rows, columns, index)
            cards |= {"OBSTYPE": "flat", "FILTER01": band, "CALDATE": f"{NIGHT[band]:%Y-%m-%d}"}
            write_plain(folder / f"FLAT-sim{seed}-{band}-{ccd:03d}.fits", flat.astype("f4"), cards)
            detectors[band, ccd] = Detector(bias=bias, flat=flat)
    return detectors


def draw_flat(rng: np.random.Generator, rows: int, columns: int, index: int) -> Array:
    """Return a flat with vignetting about the focal plane's centre, pixel noise and two dead columns."""
    y, x = np.mgrid[0:rows, 0:columns]
    from_centre = x - columns if index == 0 else x
    radius2 = (from_centre / columns) ** 2 + ((y - rows / 2) / columns) ** 2
    flat: Array = (1 - 0.06 * radius2) * rng.normal(1, 0.006, (rows, columns))
    flat[:, rng.integers(0, columns, 2)] *= 0.02
    return flat


def make_visits(rng: np.random.Generator, skymap: SkyMap) -> Iterator[Visit]:
    """Yield the visits, filter by filter, each with its own dither, rotation, seeing and pointing error."""
    for band, numbers in VISITS.items():
        for index, number in enumerate(numbers):
            dra, ddec = rng.uniform(-DITHER, DITHER, 2) * SCALE / 3600
            rotation = float(np.radians(rng.normal(0, 0.4)))
            seeing = float(rng.uniform(0.75, 1.05))
            transparency = float(10 ** (-0.4 * abs(rng.normal(0, 0.08))))
            error = rng.normal(0, POINTING_ERROR, 2) / 3600
            yield Visit(
                number=number,
                conditions=Conditions(band=band, seeing=seeing, transparency=transparency),
                began=NIGHT[band] + timedelta(seconds=95 * index),
                airmass=1.08 + 0.01 * index,
                boresight=(skymap.ra + float(dra), skymap.dec + float(ddec)),
                rotation=rotation,
                error=(float(error[0]), float(error[1])),
            )


def ccd_wcs(visit: Visit, index: int, columns: int) -> Tan:
    """Return the true WCS of the left (0) or right (1) ccd."""
    cosine, sine, degrees = np.cos(visit.rotation), np.sin(visit.rotation), SCALE / 3600
    cd = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([-degrees, degrees])
    x = columns + GAP / 2 + 0.5 if index == 0 else -GAP / 2 + 0.5
    return Tan(visit.boresight, (x, columns + 0.5), cd)


def header_wcs(visit: Visit, wcs: Tan) -> Tan:
    """Return the WCS that the telescope believes: pointing error, no rotation."""
    crval = (visit.boresight[0] + visit.error[0], visit.boresight[1] + visit.error[1])
    crpix = (float(wcs.crpix[0]), float(wcs.crpix[1]))
    return Tan(crval, crpix, np.diag([-SCALE / 3600, SCALE / 3600]))


def raw_cards(visit: Visit, ccd: int, wcs: Tan, columns: int, seed: int) -> dict[str, Value]:
    """Return the header of a raw with HSC's keywords; the simulation's own begin with SIM."""
    began = visit.began
    cards: dict[str, Value] = {
        "OBSERVAT": "NAOJ", "TELESCOP": "Subaru", "INSTRUME": "Hyper Suprime-Cam (sim)",
        "FRAMEID": f"HSCA{visit.number}{ccd:02d}", "EXP-ID": f"HSCE{visit.number:08d}", "DET-ID": ccd,
        "DATA-TYP": "OBJECT", "OBJECT": "SIM-STRIPE82L", "PROP-ID": "o13015", "FILTER01": visit.conditions.band,
        "EXPTIME": EXPOSURE_SECONDS, "DATE-OBS": f"{began:%Y-%m-%d}", "UT": f"{began:%H:%M:%S}.000",
        "MJD": (began - MJD_EPOCH) / timedelta(days=1), "RA2000": float(wcs.crval[0]), "DEC2000": float(wcs.crval[1]),
        "AIRMASS": visit.airmass, "INST-PA": 0.0, "T_NFRAME": 1,
        "SIMUL": True, "SIMSEED": seed, "SIMSEE": visit.conditions.seeing,
    }  # fmt: skip
    width = columns // len(AMPLIFIER_GAINS)
    for number, gain in enumerate(AMPLIFIER_GAINS, 1):
        first = (number - 1) * (width + OVERSCAN) + 1
        cards |= {
            f"T_EFMN{number}1": first, f"T_EFMX{number}1": first + width - 1,
            f"T_OSMN{number}1": first + width, f"T_OSMX{number}1": first + width + OVERSCAN - 1,
            f"T_GAIN{number}": gain,
        }  # fmt: skip
    return cards | wcs.cards()


def list_overlaps(skymap: SkyMap, visit: Visit, ccd: int, wcs: Tan, shape: tuple[int, int]) -> list[str]:
    """Return a line for every patch that the ccd really covers a part of."""
    lines = []
    for name in skymap.names():
        patch = skymap.patch(skymap.tract, name)
        if covered_pixels(patch.wcs, patch.side, wcs, shape) >= FEWEST_PIXELS:
            lines.append(f"{skymap.tract} {name} {visit.number} {ccd} {visit.conditions.band}")
    return lines


def write_reference(path: Path, reference: Array, skymap: SkyMap) -> None:
    """Write the reference catalogue as a tar file of two shards in a folder, north and south of the tract's centre."""
    north = reference["dec"] > skymap.dec
    with tarfile.open(path, "w") as tar:
        for name, rows in zip(SHARDS, (reference[north], reference[~north]), strict=True):
            shard = path.with_name(path.name + ".shard")
            write_plain(shard, rows, {"SIMUL": True})
            data = shard.read_bytes()
            shard.unlink()
            member = tarfile.TarInfo(name)  # its time is 0 and its owner nobody, so the bytes stay the same
            member.size = len(data)
            tar.addfile(member, io.BytesIO(data))
