"""Make a colour picture of a patch: ``python -m hsc_mini.picture OUT.png RED.fits [BLUE.fits]``, two coadds."""

from __future__ import annotations

import argparse
import struct
import sys
import zlib
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from hsc_mini.arrays import Array
from hsc_mini.exposure import Exposure
from hsc_mini.faults import InputFault

SOFTENING = 8.0
"""Sky sigmas up to which brightness is shown linearly, beyond it logarithmically."""
WHITE = 400.0


def brightness(coadd: Exposure) -> Array:
    """Return the image from 0 (sky) to 1, on an asinh scale."""
    filled = ~coadd.empty
    sigma = float(np.sqrt(np.median(coadd.variance[filled]))) if filled.any() else 1.0
    scaled = np.arcsinh((coadd.image / sigma + 1) / SOFTENING) / np.arcsinh(WHITE / SOFTENING)
    return np.where(filled, np.clip(scaled, 0, 1), 0)


def png(rgb: Array) -> bytes:
    """Return a PNG of an array (rows, columns, 3) of uint8, first row at the top."""
    rows, columns, _ = rgb.shape
    lines = np.zeros((rows, 1 + 3 * columns), "u1")  # each line begins with its filter, 0 for none
    lines[:, 1:] = rgb.reshape(rows, -1)
    header = struct.pack(">IIBBBBB", columns, rows, 8, 2, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(lines.tobytes(), 9)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(kind, data) for kind, data in parts)


def _chunk(kind: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


def main(argv: Sequence[str] | None = None) -> int:
    """Write the picture."""
    parser = argparse.ArgumentParser(prog="hsc_mini.picture", description="Make a colour picture of a patch.")
    parser.add_argument("out", type=Path)
    parser.add_argument("red", type=Path, help="coadd of the redder filter")
    parser.add_argument("blue", type=Path, nargs="?", help="coadd of the bluer filter")
    arguments = parser.parse_args(argv)
    try:
        red = brightness(Exposure.read(arguments.red))
        blue = brightness(Exposure.read(arguments.blue)) if arguments.blue else red
    except InputFault as fault:
        print(fault, file=sys.stderr)
        return fault.exit_code
    if red.shape != blue.shape:
        parser.error("the two coadds are not of one size")
    colours = np.stack([red, (red + blue) / 2, blue], axis=-1)
    arguments.out.write_bytes(png(np.rint(255 * colours[::-1]).astype("u1")))
    return 0


if __name__ == "__main__":
    sys.exit(main())
