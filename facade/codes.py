"""Every kind of fault that facade reports about a campaign: its code, and what it means.

The hundreds say where: F0 text, F1 variables, F2 the campaign as a whole, F3 modules, F4 modules among each other, F5
planning with rows, F6 queries. A code, once given, keeps its meaning; ``docs/faults.md`` is made from this table.
"""

from __future__ import annotations

CODES: dict[str, str] = {
    # F0: the text of a WCL file, and what it includes
    "F001": "A section is opened and never closed. Every <name> needs its </name>, on a line of its own.",
    "F002": "A line begins with '<' but neither opens nor closes a section. Section tags stand alone on a line.",
    "F003": "A closing tag stands where no section is open.",
    "F004": "A closing tag names another section than the innermost open one. Sections nest and never overlap.",
    "F005": "A section holds a section of its own name: nearly always a closing tag without its slash.",
    "F006": "Sections nest deeper than any campaign needs: nearly always closing tags are missing.",
    "F007": "One name is both a value and a section. The original let the later one win in silence.",
    "F008": "A line is neither a section nor 'key = value'. The original ignored it, and so does facade, but says so.",
    "F009": "A key has nothing behind its '='. The line is ignored, as in the original; an empty value is written \"\".",
    "F010": "An included file is not there or cannot be read.",
    "F011": "Files include each other in a circle.",
    "F012": "Files include each other too often or too deeply.",
    "F013": "The path of an include, or an argument of <<inclfunc>>, uses a variable that is not defined above it.",
    "F014": "A text that came from no file, such as --set, includes a file.",
    "F015": "An include stands inside a section, but is merged at top level, as it always was.",
    "F016": "Something stands beside an include on its line. Only the include is read.",
    "F017": "<<inclfunc>> names a function that is not installed, or that the site does not permit.",
    "F018": "The function of <<inclfunc>> failed, or did not return a mapping.",
    "F019": "A comment ends in a backslash and so takes the next line with it.",
    "F020": "A '#' is data, because the value is quoted or a backslash stands before it. The original cut the value there.",
    "F021": "A value stands in quotes that it does not need. They are not part of it; in the original they were.",
    "F022": "A '#' begins a comment inside quotes that do not hold the whole value.",
    "F023": "The text holds a NUL byte.",
    "F024": "A key is set twice in one section of one file. The later value counts.",
    # F1: variables and functions
    "F101": "A variable is used that nothing defines: no section in its scope, no loop value, no column of a query.",
    "F102": "A reference opens a brace and does not close it.",
    "F103": "Variables refer to each other in a circle.",
    "F104": "Variables refer to each other too deeply, or one text needs too many of them.",
    "F105": "A reference is malformed: it has no name, or its width is not a number.",
    "F106": "A variable is to be padded with zeros but is not a whole number.",
    "F107": "A variable is to be padded with zeros but is made of several parts.",
    "F108": "The name of a variable depends on a loop value. Names are resolved before there are any.",
    "F109": "$HEAD or $FMT stands where it has no meaning: $HEAD belongs on a command line, $FMT into columns.",
    "F110": "A value is null where a text is needed.",
    "F111": "A text is needed before there are quanta, but depends on loop values.",
    "F112": "$FUNC names a function that is not installed, or that the site does not permit.",
    "F113": "A function failed, or returned something that is no text.",
    "F114": "A list has an empty item, or one that is neither an item nor a range.",
    "F115": "A range in a list is empty or too long.",
    "F116": "A variable has several values where one text is needed, such as a directory.",
    "F117": "A command line has a quotation that is not closed.",
}
