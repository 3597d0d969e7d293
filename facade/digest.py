"""The arithmetic of fingerprints, for planning and for jobs alike (docs/reuse.md): 128 bits in hexadecimal."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

HALF = 16
"""Bytes of a digest. Among a thousand million quanta two are alike by chance with a probability of 10^-21."""


def digest(text: str) -> str:
    """Return the digest of a text."""
    return hashlib.blake2b(text.encode(), digest_size=HALF).hexdigest()


def combined(own: str, inputs: Iterable[str]) -> str:
    """Return the fingerprint of a quantum: what it does (*own*), with what each input is, in order (`reading`)."""
    return digest("\n".join([own, *inputs]))


def reading(section: str, content: str, rename: str) -> str:
    """Return what one input contributes: the role in which it is read, and what it is.

    *content* is the checksum of the file, or, before it is there, which output of which fingerprint it will be.
    """
    return f"{section} {content} {rename}"
