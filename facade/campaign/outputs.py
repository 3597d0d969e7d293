"""What a campaign says of the outputs of its quanta: cards to write, compression, what is saved (desdm.md §1.7, §5)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from facade.campaign.faults import Faults, Keys, key_of, resolved
from facade.campaign.model import CardSpec, Module, Ref
from facade.campaign.resources import nearest
from facade.campaign.words import BOOL, JUNK, LIST, SAVE, SIZE, SUFFIX, TEXT, choice
from facade.outputs import (
    ALWAYS,
    CARD_TYPES,
    COMPRESSED,
    FUNCTION,
    HEADER,
    JUNK_BYTES,
    NEVER,
    UNCOMPRESSED,
    Compression,
    Junk,
)
from facade.wcl.template import BadReference, MissingVariable
from facade.wcl.tree import Section, Value

MASTER_COMPRESSION = choice("never", "file", "success")
UPDATE = "hdrupd_"
SOURCE = re.compile(rf"(?:{HEADER}\s*[^:\s].*|{FUNCTION}[^:\s]+)$")
"""``header:[HDU:]KEY`` or ``function:NAME``."""

_KEY = re.compile(r"[A-Z0-9_-]{1,8}$")
_STRUCTURE = re.compile(
    r"(SIMPLE|XTENSION|BITPIX|NAXIS\d*|EXTEND|END|PCOUNT|GCOUNT|GROUPS|TFIELDS|T(FORM|BCOL|DIM|SCAL|ZERO)\d+|THEAP"
    r"|BSCALE|BZERO|Z[A-Z]+\d*|CHECKSUM|DATASUM|COMMENT|HISTORY|CONTINUE|HIERARCH)$"
)
"""Keywords that say how the data lie in the file, or have no value of their own."""
_NAMES = {UNCOMPRESSED.lower(): "\ue000", COMPRESSED.lower(): "\ue001"}


def cards(section: Section, faults: Faults) -> tuple[CardSpec, ...]:
    """Return the cards of the ``hdrupd_`` sections of a file section: ``KEY = value/comment/type``."""
    return tuple(card for _, update in updates(section) for card in _cards(update, faults))


def updates(section: Section) -> list[tuple[str, Section]]:
    """Return name and section of each ``hdrupd_`` section of a file section."""
    return [(name, one) for name, one in section.sections() if name.startswith(UPDATE)]


def _cards(section: Section, faults: Faults) -> Iterator[CardSpec]:
    headers = section.value("headers")
    hdus = LIST.read(headers) if headers is not None else ("0",)
    for key, value in section.values():
        name = key.upper()
        if key == "headers":
            continue
        if not _KEY.match(name) or _STRUCTURE.match(name):
            remedy = "write at most 8 letters, digits, '_' and '-', and none that describes the data"
            faults.at(key_of(key, value), f"'{name}' is no card that can be written", remedy, code="F350")
            continue
        text, comment, kind = _parts(value)
        if kind and kind not in CARD_TYPES:
            remedy = f"write VALUE/COMMENT/TYPE with {', '.join(CARD_TYPES)}; quote a value that holds a '/'"
            what = f"'{kind}' is no type of a card" if kind != "?" else "this is neither VALUE nor VALUE/COMMENT/TYPE"
            faults.at(value, what, remedy, code="F351")
        elif not comment.isascii() or not comment.isprintable():
            faults.at(value, f"the comment of card '{name}' is not ASCII", "FITS has nothing else", code="F351")
        else:
            source = text.text.strip() if not text.quoted and SOURCE.match(text.text.strip()) else ""
            yield CardSpec(hdus, name, text, comment, CARD_TYPES.get(kind, "str" if text.quoted else ""), source)


def _parts(value: Value) -> tuple[Value, str, str]:
    """Return value, comment and type; a value that stands alone has neither."""
    if value.quoted or "/" not in value.text:
        return value, "", ""
    before, comment, kind = (*value.text.rsplit("/", 2), "", "")[:3] if value.text.count("/") > 1 else ("", "", "?")
    if not kind:
        kind = "?"
    return value.part(0, len(before)), comment.strip(), kind.strip().lower()


def saving(scopes: Sequence[Section], keys: Keys) -> str:
    """Return which outputs of a module are kept; *scopes* are the sections that may say it, nearest first."""
    return keys.word(nearest(scopes, "master_savefiles"), "master_savefiles", SAVE, "file")


def compression(scopes: Sequence[Section], keys: Keys, faults: Faults) -> Compression | None:
    """Return how outputs of a module are compressed, or None if they are not; *scopes* as in `saving`."""
    if keys.word(nearest(scopes, "master_compression"), "master_compression", MASTER_COMPRESSION, "file") == "never":
        return None
    program = keys.word(nearest(scopes, "compression_exec"), "compression_exec", TEXT, "fpack")
    return Compression(
        (program, *_arguments(nearest(scopes, "compression_args"), keys, faults)),
        keys.word(nearest(scopes, "compression_suffix"), "compression_suffix", SUFFIX, ".fz"),
        keys.word(nearest(scopes, "compress_cleanup"), "compress_cleanup", BOOL, True),
    )


def _arguments(section: Section, keys: Keys, faults: Faults) -> list[str]:
    """Return the arguments of the program that compresses, split into words, with the names of the files in place."""
    value = section.value("compression_args")
    if value is None:
        return [UNCOMPRESSED]
    text = value.text
    for name, mark in _NAMES.items():
        text = re.sub(re.escape(name), mark, text, flags=re.IGNORECASE)
    scope = replace(keys.scope, search=section)
    try:
        found = resolved(replace(value, text=text), scope).text
        words = [word.literal or "" for word in scope.compile(found).words()]
    except MissingVariable as missing:
        faults.undefined(value, missing, scope.known())
        return []
    except BadReference as error:
        faults.bad(value, error)
        return []
    if not any(_NAMES[UNCOMPRESSED.lower()] in word for word in words):
        message = "'compression_args' does not name the file to compress"
        faults.at(value, message, f"write {UNCOMPRESSED} where its name belongs", code="F235")
    for name, mark in zip((UNCOMPRESSED, COMPRESSED), _NAMES.values(), strict=True):
        words = [word.replace(mark, name) for word in words]
    return words


def kept(module: Module) -> dict[str, bool]:
    """Return which outputs of a module are saved, by section."""
    names = [name for name in module.outputs if name in module.files]
    if module.save in (ALWAYS, NEVER):
        return dict.fromkeys(names, module.save == ALWAYS)
    return {name: module.files[name].savefiles for name in names}


def suffixes(module: Module) -> dict[str, str]:
    """Return the suffix of the compressed files of those output sections that are compressed: those that are saved."""
    if module.compression is None:
        return {}
    suffix = module.compression.suffix
    return {name: suffix for name, saved in kept(module).items() if saved and module.files[name].compress}


def unsaved(module: Module, ref: Ref) -> str:
    """Say in which way the archive will not have the output that *ref* names, "" if it will."""
    saved = kept(module).get(ref.name, True) if ref.kind == "file" else True
    if saved and ref.name in suffixes(module) and module.compression is not None and module.compression.cleanup:
        return "only kept compressed"
    return "" if saved else "not saved"


def junk(root: Section, keys: Keys) -> Junk:
    """Return when jobs keep what nobody declared, and how much of it at most."""
    return Junk(
        keys.word(root, "create_junk_tarball", JUNK, Junk().when),
        keys.word(root, "junk_max_size", SIZE, JUNK_BYTES),
    )
