"""``processCcd``: from a raw and its calibrations to a calibrated exposure and its sources.

Reads raw, bias, flat, ref_cat; writes calexp, src.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import sep

from hsc_mini import __version__, fitsfile
from hsc_mini.arrays import Array
from hsc_mini.astrometry import Solution, solve
from hsc_mini.exposure import COSMIC_RAY, EDGE, SATURATED, Exposure
from hsc_mini.faults import InputFault, ScienceFault
from hsc_mini.fitsfile import Value
from hsc_mini.geometry import Tan
from hsc_mini.photometry import fit_psf, psf_flux, refine_positions, robust_sigma, with_errors
from hsc_mini.pixels import Planes, find_cosmic_rays
from hsc_mini.refcat import read_reference, reference_magnitudes
from hsc_mini.signature import Ccd, remove_signature
from hsc_mini.task import ImageConfig, Job, program

SMOOTHING = np.array([[1, 2, 1], [2, 4, 2], [1, 2, 1]], "f4")
PSF_HALF = 12
SOURCE_COLUMNS = [
    ("id", "i8"), ("ra", "f8"), ("dec", "f8"), ("x", "f8"), ("y", "f8"), ("flux", "f8"), ("fluxerr", "f8"),
    ("psfflux", "f8"), ("psffluxerr", "f8"), ("a", "f4"), ("b", "f4"), ("theta", "f4"), ("rhalf", "f4"),
    ("flags", "i4"),
]  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class ProcessCcdConfig(ImageConfig):
    """Thresholds in sigma, ``skyMesh`` in pixels, ``apertureRadius`` and ``matchRadius`` in arcsec."""

    detectSigma: float = 5.0
    cosmicRaySigma: float = 6.0
    doCosmicRays: bool = True
    skyMesh: int = 128
    apertureRadius: float = 4.0
    matchRadius: float = 2.5
    minMatches: int = 8


@dataclass(slots=True, kw_only=True, eq=False)
class Sources:
    """What was detected on a ccd, and the PSF it was measured with."""

    objects: Array
    psf: Array
    fwhm: float
    stars: int
    aperture: float
    flags: Array
    psf_flux: Array
    psf_error: Array


@dataclass(frozen=True, slots=True, kw_only=True)
class ZeroPoint:
    """The magnitude of one electron, and its scatter."""

    value: float
    rms: float


def process_ccd(job: Job, config: ProcessCcdConfig) -> None:
    """Calibrate one ccd of one visit."""
    ccd = remove_signature(job.find("raw"), job.find("bias"), job.find("flat"), config.skyMesh)
    if (ccd.visit, ccd.number) != (job.data_id["visit"], job.data_id["ccd"]):
        raise InputFault(f"{ccd.header.source} is visit {ccd.visit} ccd {ccd.number}")
    reference = read_reference(job.find("ref_cat"))
    header_wcs = Tan.from_header(ccd.header)
    aperture = config.apertureRadius / header_wcs.scale
    hits = remove_cosmic_rays(ccd, config) if config.doCosmicRays else 0
    sources = find_sources(ccd.planes, config.detectSigma, aperture)
    solution, nearby, order = place_on_sky(sources, header_wcs, reference, ccd.planes.image.shape, config)
    magnitudes = reference_magnitudes(nearby, ccd.filter)[solution.stars]
    zero_point = fit_zero_point(ccd.planes, sources, order[solution.sources], magnitudes)
    write_products(job, config, ccd, sources, solution, zero_point, hits)


def remove_cosmic_rays(ccd: Ccd, config: ProcessCcdConfig) -> int:
    """Mask and interpolate cosmic rays in place; return how many pixels they hit."""
    planes = ccd.planes
    sigma = np.sqrt(planes.variance)
    objects = with_errors(sep.extract(planes.image, 10, err=sigma, filter_kernel=SMOOTHING, minarea=5))
    objects["fluxerr"] = np.sqrt(objects["npix"]) * ccd.sky_rms + np.sqrt(np.maximum(objects["flux"], 0))
    try:
        fwhm = fit_psf(planes.image, objects, planes.mask, PSF_HALF)[1]
    except ScienceFault:
        fwhm = 2.5  # good enough to tell a cosmic ray from a star
    hit, planes.image = find_cosmic_rays(planes, max(fwhm, 1.8), config.cosmicRaySigma)
    planes.mask[hit] |= COSMIC_RAY
    return int(hit.sum())


def find_sources(planes: Planes, threshold: float, aperture: float) -> Sources:
    """Detect sources and measure them in an aperture of radius *aperture* pixels and with the PSF."""
    sigma = np.sqrt(planes.variance)
    objects = with_errors(sep.extract(planes.image, threshold, err=sigma, filter_kernel=SMOOTHING, minarea=5))
    flux, error, flags = sep.sum_circle(planes.image, objects["x"], objects["y"], aperture, err=sigma)
    objects["fluxerr"] = error
    psf, fwhm, stars = fit_psf(planes.image, objects, planes.mask, PSF_HALF)
    objects["flux"] = flux
    objects["x"], objects["y"] = refine_positions(planes.image, objects["x"], objects["y"], fwhm)
    psf_fluxes, psf_errors = psf_flux(planes.image, planes.variance, psf, objects["x"], objects["y"])
    return Sources(
        objects=objects, psf=psf, fwhm=fwhm, stars=stars, aperture=aperture, flags=flags,
        psf_flux=psf_fluxes, psf_error=psf_errors,
    )  # fmt: skip


def place_on_sky(
    sources: Sources, wcs: Tan, reference: Array, shape: tuple[int, ...], config: ProcessCcdConfig
) -> tuple[Solution, Array, Array]:
    """Return the astrometric solution, the reference stars near the ccd, and the sources' order by brightness."""
    x, y = wcs.to_pixels(reference["ra"], reference["dec"])
    margin = 30
    near = (x > -margin) & (y > -margin) & (x < shape[1] + margin) & (y < shape[0] + margin)
    reference = reference[near]
    order = np.argsort(-sources.objects["flux"], kind="stable")[: max(60, 2 * len(reference))]
    bright = sources.objects[order]
    solution = solve(
        wcs, bright["x"], bright["y"], reference["ra"], reference["dec"],
        radius=config.matchRadius, fewest=config.minMatches,
    )  # fmt: skip
    return solution, reference, order


def fit_zero_point(planes: Planes, sources: Sources, matched: Array, magnitudes: Array) -> ZeroPoint:
    """Return the median zero point of *matched* sources that are neither saturated nor blended.

    By PSF fluxes, because in a crowded field those of apertures are biased by neighbours.
    """
    flux, position = sources.psf_flux[matched], sources.objects[matched]
    saturated = planes.mask[np.rint(position["y"]).astype(int), np.rint(position["x"]).astype(int)] & SATURATED
    usable = (flux > 0) & (sources.flags[matched] == 0) & (saturated == 0)
    if not usable.any():
        raise ScienceFault("no star for a zero point")
    zero_points = magnitudes[usable] + 2.5 * np.log10(flux[usable])
    return ZeroPoint(value=float(np.median(zero_points)), rms=robust_sigma(zero_points))


def write_products(
    job: Job,
    config: ProcessCcdConfig,
    ccd: Ccd,
    sources: Sources,
    solution: Solution,
    zero_point: ZeroPoint,
    hits: int,
) -> None:
    """Write the exposure and its source table; both carry the same metadata."""
    planes, wcs = ccd.planes, solution.wcs
    for edge in (np.s_[:2], np.s_[-2:], np.s_[:, :2], np.s_[:, -2:]):
        planes.mask[edge] |= EDGE
    cards: dict[str, Value] = {"VISIT": ccd.visit, "CCD": ccd.number, "FILTER": ccd.filter}
    cards |= ccd.header.select("INSTRUME", "FRAMEID", "DATE-OBS", "MJD", "EXPTIME", "AIRMASS")
    numbers: dict[str, Value] = {
        "ZP": zero_point.value, "ZPRMS": zero_point.rms,
        "SEEING": sources.fwhm * wcs.scale, "ASTRMS": solution.residual,
        "SKYLEVEL": float(ccd.sky), "SKYRMS": float(ccd.sky_rms), "RDNOISE": ccd.read_noise,
        "NSRC": len(sources.objects), "NPSF": sources.stars, "NMATCH": len(solution.sources), "NCR": hits,
    }  # fmt: skip
    cards |= numbers | {"HSCMINI": __version__}
    ra, dec = wcs.corners(planes.image.shape)
    for corner in range(4):
        cards |= {f"RAC{corner + 1}": float(ra[corner]), f"DECC{corner + 1}": float(dec[corner])}
    exposure = Exposure(
        header=ccd.header, wcs=wcs, image=planes.image, mask=planes.mask, variance=planes.variance, psf=sources.psf
    )
    exposure.write(job.place("calexp"), cards, compression=config.compression)
    fitsfile.write(job.place("src"), cards, [("SRC", source_table(planes.image, sources, wcs), {})])
    job.quality(**{key.lower(): float(value) for key, value in numbers.items()})


def source_table(image: Array, sources: Sources, wcs: Tan) -> Array:
    """Return the sources with their sky positions as a table."""
    objects = sources.objects
    table = np.zeros(len(objects), dtype=SOURCE_COLUMNS)
    table["id"] = np.arange(1, len(objects) + 1)
    table["ra"], table["dec"] = wcs.to_sky(objects["x"], objects["y"])
    for name in ("x", "y", "flux", "fluxerr", "a", "b", "theta"):
        table[name] = objects[name]
    table["psfflux"], table["psffluxerr"] = sources.psf_flux, sources.psf_error
    table["flags"] = sources.flags | objects["flag"]
    widest = np.full(len(objects), 3 * sources.aperture)
    table["rhalf"], _ = sep.flux_radius(
        image, objects["x"], objects["y"], widest, 0.5, normflux=np.maximum(objects["flux"], 1e-3)
    )
    return table


main = program("processCcd", ProcessCcdConfig, process_ccd, keys=("visit", "ccd"))
