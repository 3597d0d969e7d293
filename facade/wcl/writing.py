"""Tree -> WCL text: what `facade.wcl.loads` reads back as the same tree."""

from __future__ import annotations

from facade.wcl.lines import NEWLINE, logical_lines
from facade.wcl.tree import Document, Section, Value


def dumps(tree: Document | Section, indent: int = 0) -> str:
    """Return *tree* as canonical WCL text: 4 blanks an indent, one ``key = value`` a line.

    Raises:
        ValueError: a text holds a line break or a NUL, which WCL has no way to write.
    """
    section = tree.root if isinstance(tree, Document) else tree
    lead = "    " * indent
    lines: list[str] = []
    for key, entry in section.items():
        name = key.replace("#", "\\#")
        if isinstance(entry, Section):
            lines += [f"{lead}<{name}>\n", dumps(entry, indent + 1), f"{lead}</{name}>\n"]
        else:
            lines.append(f"{lead}{name} = {_written(name, entry)}\n")
    text = "".join(lines)
    return f"\n{text}" if text.startswith("\ufeff") else text  # a key, not the mark of UTF-8


def _written(key: str, value: Value) -> str:
    """Return a value as it stands behind ``key =``."""
    text = value.text
    if NEWLINE.search(text) or "\0" in text:
        raise ValueError(f"'{key}': a value of WCL is one line of text")
    if not value.quoted and text and text == text.strip():
        # a comment keeps a last backslash from continuing the line
        bare = text.replace("#", "\\#") + (" #" if text.endswith("\\") else "")
        if ('"' not in text and "'" not in text) or not _reads_as_quoted(f"{key} = {bare}"):
            return bare
    return quoted(text)


def quoted(text: str) -> str:
    """Return *text* in quotes, such that it is read back as it is."""
    if "'" not in text and ('"' in text or "\\" in text):
        return f"'{text}'"
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _reads_as_quoted(line: str) -> bool:
    return any(one.quoted is not None for one in logical_lines([line], ""))
