"""Messages in what programs print: which line is one, what it says, how many are kept; for any chunks of bytes."""

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from facade.job import messages
from facade.job.messages import FIRST, LAST, LONGEST, MOST, PIECE, Finders, Findings, Scanner
from facade.messages import Filter, Finder, Pattern, Rules, fault_in, parts_of

NOW = "2026-11-21T12:00:00.000000+00:00"
RULES = Rules(
    (Pattern("fatal"), Pattern(r"error\s+in", 1, 2), Pattern("warning", 2), Pattern(r"rms = [\d.]+", 3, 1, True)),
    ("harmless",),
    (Filter("~~", ""),),
)
FINDERS = Finders(RULES)


def rows(data, rules=RULES, *, chunks=(), finders=None, line=1):
    findings = Findings()
    scanner = Scanner(rules, finders or Finders(rules), findings, 1, line)
    start = 0
    for size in chunks:
        scanner.feed(data[start : start + size], NOW)
        start += size
    scanner.feed(data[start:], NOW)
    scanner.end()
    found = [one.row() for one in findings.take() + findings.rest()]
    return found, findings.counts()


def told(data, rules=RULES, **given):
    """Return (line, level, message) of each row."""
    return [(row["line"], row["level"], row["message"]) for row in rows(data, rules, **given)[0]]


class TestWhichLine:
    def test_is_a_message_if_it_matches_whatever_the_case(self):
        assert told(b"all is well\nFATAL: no sky\n") == [(2, 1, "FATAL: no sky")]

    def test_has_the_first_of_the_patterns_that_match_wherever_they_stand(self):
        assert told(b"a warning, then fatal\n") == [(1, 1, "a warning, then fatal")]

    def test_is_none_if_something_excludes_it(self):
        assert told(b"harmless warning\nwarning\n") == [(2, 2, "warning")]

    def test_need_not_end(self):
        assert told(b"fatal") == [(1, 1, "fatal")]

    def test_is_one_line_only(self):
        assert told(b"error\nin x\n") == []

    def test_counts_on_from_where_the_log_was(self):
        assert told(b"\nfatal\n", line=40) == [(41, 1, "fatal")]

    @pytest.mark.parametrize("count", [99, 150, 400])
    def test_is_found_by_any_of_many_patterns(self, count):
        rules = Rules(tuple(Pattern(f"(word){n}(x|y)z") for n in range(count)))
        for n in (0, 98, count - 1):
            assert [row["pattern"] for row in rows(b"a word%dyz\n" % n, rules)[0]] == [f"(word){n}(x|y)z"]

    def test_may_be_drawn_over_by_the_next(self):
        progress = b"\r".join(b" %d %%" % n for n in range(3)) + b"\rfatal at 3 %\r 4 %\nwarning\r\nfatal\r\n"
        assert told(progress) == [(1, 1, "fatal at 3 %"), (2, 2, "warning"), (3, 1, "fatal")]

    def test_has_anchors_at_its_ends(self):
        rules = Rules((Pattern("^begin"), Pattern("end$")))
        assert told(b"x begin\nbegin\nend x\nend\r\nthe end", rules) == [
            (2, 1, "begin"),
            (4, 1, "end"),
            (5, 1, "the end"),
        ]


class TestMessage:
    def test_takes_as_many_lines_as_the_pattern_says(self):
        assert told(b"error  in f\nat 3\nat 4\n") == [(1, 1, "error  in f\nat 3")]

    def test_takes_one_more_after_a_colon(self):
        assert told(b"fatal: \nno sky\nno stars\n") == [(1, 1, "fatal: \nno sky")]

    def test_ends_where_the_output_ends(self):
        assert told(b"error in f\n") == [(1, 1, "error in f")]

    def test_does_not_swallow_what_is_worse(self):
        rules = Rules((Pattern("fatal", 1), Pattern("warning", 2, 3)))
        found = [(1, 2, "warning"), (2, 1, "fatal")]
        assert told(b"warning\nfatal\nwarning\n", rules) == [*found, (3, 2, "warning")]
        assert told(b"warning\nwarning\nx\ny\n", rules) == [(1, 2, "warning\nwarning\nx")]

    def test_is_a_whole_traceback_with_what_was_raised(self):
        trace = (
            "Traceback (most recent call last):\n"
            '  File "a.py", line 3, in f\n    error in x\n    ~~~~~^^^^\n'
            '  File "b.py", line 4, in g\n    fatal\nRuntimeError: fatal for all\n'
        )
        rules = Rules((Pattern("^Traceback"), *RULES.patterns))
        assert told(f"go\n{trace}on it goes\n".encode(), rules) == [(2, 1, trace.rstrip())]

    def test_is_what_matches_if_that_is_wanted(self):
        assert told(b"the rms = 0.25 arcsec:\nx\n") == [(1, 3, "rms = 0.25")]

    def test_is_shown_filtered_and_without_what_plays_with_terminals(self):
        rules = RULES._replace(filters=(Filter("in ", "IN "),))
        assert told(b"\x1b[1;31mfatal\x1b[0m in \x07\0 \xff caf\xc3\xa9\n", rules) == [
            (1, 1, r"fatal IN \x07\x00 \xff café")
        ]
        assert told(b"\x1b[1;31merror\x1b[0m in x\n", rules) == [(1, 1, "error IN x")]

    def test_of_a_long_line_is_what_lies_around_the_match(self):
        ((_, _, text),) = told(b"a" * 30_000 + b" fatal " + b"b" * 30_000 + b"\n")
        assert " fatal " in text and len(text) <= LONGEST and text[0] == messages.CUT

    def test_has_the_time_that_it_tells_or_that_at_which_it_was_seen(self):
        lines = b"2026-11-21 10:00:00.5+01:00 fatal\n2026/11/21 10:00:00Z fatal\nfatal\n2026-02-31 10:00:00Z fatal\n"
        times = [row["time"] for row in rows(lines)[0]]
        assert times[:2] == ["2026-11-21T09:00:00.500000+00:00", "2026-11-21T10:00:00.000000+00:00"]
        assert times[2:] == [NOW, NOW]


class TestBounds:
    def test_the_first_and_the_last_of_a_pattern_are_kept_and_all_are_counted(self):
        found, counts = rows(b"".join(b"fatal %d\n" % n for n in range(1, 5001)))
        assert [row["line"] for row in found] == [*range(1, FIRST + 1), *range(5001 - LAST, 5001)]
        assert counts == [("fatal", 1, 5000)]

    def test_those_of_a_level_are_bounded_too_but_do_not_hide_another(self):
        rules = Rules((*(Pattern(f"warning {n:03d}", 2) for n in range(50)), Pattern("fatal")))
        data = b"".join(b"warning %03d\n" % (n % 50) for n in range(50 * FIRST)) + b"fatal\n"
        found, counts = rows(data, rules)
        assert len(found) == MOST + 50 * LAST + 1
        assert {row["level"] for row in found} == {1, 2} and sum(number for _, _, number in counts) == 50 * FIRST + 1

    def test_a_line_without_end_is_looked_at_in_pieces(self):
        data = b"x" * (3 * PIECE) + b"fatal" + b"y" * (2 * PIECE)
        assert [line for line, _, _ in told(data, chunks=[100_000, 1, 5])] == [1]

    def test_zero_bytes_and_noise_are_passed_over(self):
        assert told(b"\0" * 100_000 + b"\nfatal\n" + bytes(range(128, 256)) * 100) == [(2, 1, "fatal")]


PARTS = st.sampled_from(
    [b"fatal", b"error  in", b"warning", b"rms = 1.5", b"harmless", b"\n", b"\r", b"\r\n", b"x", b" ", b":", b"\0",
     b"\xff", b"Traceback (most recent call last):", b"\n  File", b"\x1b[31m", b"~~", b"~", b"y" * 5000]
)  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(PARTS, max_size=60), st.lists(st.integers(0, 300), max_size=40))
def test_the_chunks_in_which_bytes_come_make_no_difference(parts, chunks):
    data = b"".join(parts)
    assert rows(data, chunks=chunks, finders=FINDERS) == rows(data, finders=FINDERS)


def plainly(data, rules):
    """Return (line, pattern) by the standard library, line by line, for rules of one line."""
    found = []
    for number, whole in enumerate(data.split(b"\n"), 1):
        for line in whole.split(b"\r"):
            which = [p.pattern for p in rules.patterns if re.search(p.pattern.encode(), line, re.IGNORECASE)]
            if which and not any(re.search(one.encode(), line, re.IGNORECASE) for one in rules.excludes):
                found.append((number, which[0]))
    return found


ONE_LINE = Rules(
    (Pattern(r"a\s*b$"), Pattern("^c+"), Pattern(r"\bd(e|f)\W"), Pattern("[^ab]c"), Pattern("g.*h"), Pattern("i{2,3}")),
    ("k",),
)
ONE_LINE_FINDERS = Finders(ONE_LINE)


@settings(max_examples=500, deadline=None)
@given(st.text("abcdefghik \r\n", max_size=300).map(str.encode))
def test_the_automaton_finds_what_the_standard_library_finds(data):
    found = [(row["line"], row["pattern"]) for row in rows(data, ONE_LINE, finders=ONE_LINE_FINDERS)[0]]
    assert found == plainly(data, ONE_LINE)[: len(found)]
    assert sum(number for _, _, number in rows(data, ONE_LINE, finders=ONE_LINE_FINDERS)[1]) == len(
        plainly(data, ONE_LINE)
    )


class TestCompiling:
    @pytest.mark.parametrize(
        ("pattern", "why"),
        [
            ("fatal", ""),
            (r"\bNaN in [a-z_]+ \(code \d{1,3}\)$", ""),
            (r"\\Away", ""),
            ("größe", ""),
            ("a(b", "missing ): a(b"),
            ("x*", "it matches an empty text, and so every line"),
            (r"(a)\1", r"it refers to a group (\1), which is not supported"),
            ("a(?=b)", "'(?=' looks ahead or behind, which is not supported"),
            ("(?<!a)b", "'(?<!' looks ahead or behind, which is not supported"),
            ("a(?>b)", "invalid perl operator: (?>"),
            (r"\Astart", r"\A is not supported: write ^ and $, which are the ends of a line"),
            ("(?-m)^a", "'m' cannot be switched off: ^ and $ are always the ends of a line"),
            ("a)|(b", "unexpected ): a)|(b"),
            ("a\nb", "it holds an end of line or a zero byte, which no line has"),
        ],
    )
    def test_a_fault_says_what_is_wrong(self, pattern, why):
        assert fault_in(pattern) == why

    @pytest.mark.parametrize(
        ("pattern", "parts"),
        [
            ("fatal", [["fatal"]]),
            (r"flux.*is\s+NaN", [[r"is\s+NaN", "flux"]]),
            (r"(open|read) of \S+ failed", [[" failed", "(open|read) of "]]),
            (r"a{3}[^:]*: bad|c.+dd", [[": bad"], ["dd"]]),
            ("one|two", [["one|two"]]),
            (r"\..*\w+", [[r"\..*\w+"]]),
            ("(a.*b)+", [["(a.*b)+"]]),
            ("(?i)one.*three", [["three", "one"]]),
            (r"\Qa.*b\E.*c", [["c"]]),
            ("x?.*yz?", [["yz?"]]),
        ],
    )
    def test_parts_are_taken_that_must_be_there(self, pattern, parts):
        assert parts_of(pattern) == parts
        assert not any(fault_in(part) for way in parts for part in way)


WORDS = st.lists(
    st.sampled_from(["a", "b", ".*", ".", r"\S+", "[^a]*", "(a|b.*c)", "c?", r"\b", "|", "^", "$", "(b)", " "]),
    min_size=1,
    max_size=8,
)


@settings(max_examples=500, deadline=None)
@given(
    WORDS.map("".join).filter(lambda pattern: not fault_in(pattern)),
    st.lists(st.text("abc .", max_size=12), max_size=5),
)
def test_what_is_looked_for_first_hides_nothing(pattern, lines):
    finder = Finder([pattern])
    for line in lines:
        found = re.search(pattern, line, re.IGNORECASE) is not None
        assert (finder.first(line.encode()) == 0) is found
    text = "\n".join(lines).encode()
    assert finder.may(text) or not any(re.search(pattern, line) for line in lines)
