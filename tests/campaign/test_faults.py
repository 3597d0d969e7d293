"""What an operator reads when a campaign is wrong: every fault, whole, with its place, all in one go."""

from __future__ import annotations

import pytest
from campaigns import HEAD, REDUCE, WCL, small, text

from facade.campaign import filetypes
from facade.errors import CampaignError
from facade.wcl import loads

WHOLE = text()


def fault(old: str, new: str, whole: str = WHOLE) -> str:
    """Return what is said of the small campaign when *old* is replaced by *new*, without the line number."""
    assert old in whole, old
    with pytest.raises(CampaignError) as caught:
        small(whole.replace(old, new, 1))
    assert caught.value.exit_code == 2
    return str(caught.value)


def body(old: str, new: str, whole: str = WHOLE) -> str:
    """Return message, excerpt (unindented), caret and remedy of the only fault."""
    found = fault(old, new, whole)
    head, *rest = found.splitlines()
    assert found.count(": error: ") == 1, found
    lead = len(rest[0]) - len(rest[0].lstrip()) if len(rest) > 1 else 0
    return "\n".join([head.partition(" ")[2], *(line[lead:] if line.startswith("    ") else line for line in rest)])


CASES = {
    "derived from what was not used": (
        "ancestry = file.raw:file.img",
        "ancestry = file.img:file.img",
        """error: ancestry: 'file.img' cannot be derived from itself [F308]
ancestry = file.img:file.img
           ^^^^^^^^^^^^^^^^^
  name it in 'used' or 'was_generated_by' of the same exec""",
    ),
    "unknown module": (
        "modulelist = reduce, stack",
        "modulelist = reduce, stck",
        """error: no module is called 'stck' [F209]
modulelist = reduce, stck
                     ^^^^
  did you mean 'stack'?""",
    ),
    "module on a continued line": (
        "modulelist = reduce, stack",
        "modulelist = reduce, \\\n     stck",
        """error: no module is called 'stck' [F209]
stck
^^^^
  did you mean 'stack'?""",
    ),
    "module twice": (
        "modulelist = reduce, stack",
        "modulelist = reduce, stack, reduce",
        """error: module 'reduce' already runs in block 'b' [F210]
modulelist = reduce, stack, reduce
                            ^^^^^^
  a module runs once: copy it under another name""",
    ),
    "unknown block": (
        "blocklist = b",
        "blocklist = b, bb",
        """error: no block is called 'bb' [F205]
blocklist = b, bb
               ^^
  did you mean 'b'?""",
    ),
    "block twice": (
        "blocklist = b",
        "blocklist = b, B",
        """error: block 'b' stands in the blocklist twice [F206]
blocklist = b, B
               ^
  remove one of the two""",
    ),
    "empty list": (
        "blocklist = b",
        "blocklist = ,",
        """error: this list names no block [F207]
blocklist = ,
            ^
  write one name, or several with commas""",
    ),
    "bad name": (
        "modulelist = reduce, stack",
        "modulelist = reduce, stack, a/b",
        """error: 'modulelist' must be a list of names [F220]
modulelist = reduce, stack, a/b
                             ^
  write letters, digits, '_', '.', '+' and '-', the first a letter or digit""",
    ),
    "no modulelist": (
        "modulelist = reduce, stack",
        "",
        """error: block 'b' has no 'modulelist' [F208]
<b>
^
  add 'modulelist = …'""",
    ),
    "request number": (
        "reqnum = 7",
        "reqnum = seven",
        """error: 'reqnum' must be a whole number from 1 [F220]
reqnum = seven
         ^^^^^
  write at most 9 digits""",
    ),
    "unit name": (
        "unitname = u",
        "unitname = a b",
        """error: 'unitname' must be a name [F220]
unitname = a b
            ^
  write letters, digits, '_', '.', '+' and '-', the first a letter or digit""",
    ),
    "identity without value": (
        "campaign = C",
        "campaign = C-${nope}",
        """error: undefined variable 'nope' [F101]
campaign = C-${nope}
             ^^^^^^^
  define 'nope = …'""",
    ),
    "column type": (
        "visit = int",
        "visit = integer",
        """error: no column type is called 'integer' [F211]
visit = integer
        ^^^^^^^
  did you mean 'int'?""",
    ),
    "column source": (
        "seeing = float header:SEEING",
        "seeing = float SEEING",
        """error: column source 'SEEING' is not known [F212]
seeing = float SEEING
               ^^^^^^
  write header:[HDU:]KEY, wcl:NAME, filename:PATTERN[:NAME], function:NAME, or nothing""",
    ),
    "no metadata table": (
        "metadata_table = image",
        "",
        """error: filetype 'img' has columns but no 'metadata_table' [F213]
<img>
^
  add 'metadata_table = …'""",
    ),
    "no wrapper": (
        "wrappername = generic",
        "",
        """error: module 'reduce' has no 'wrappername' [F301]
<module reduce>
^
  add 'wrappername = …'""",
    ),
    "no execname": (
        "execname = reduce\n",
        "",
        """error: exec_1 of module 'reduce' has no 'execname' [F303]
<exec_1>
^
  add 'execname = …'""",
    ),
    "flag": (
        "dirpat = d\n        </raw>",
        "dirpat = d\noptional = maybe\n        </raw>",
        """error: 'optional' must be true or false [F220]
optional = maybe
           ^^^^^
  write true, t, yes, y, 1, or false, f, no, n, 0; case makes no difference""",
    ),
    "hyphen style": (
        "execname = reduce\n",
        "execname = reduce\ncmd_hyphen = gnu\n",
        """error: 'cmd_hyphen' must be allsingle, alldouble or mixed_gnu [F220]
cmd_hyphen = gnu
             ^^^""",
    ),
    "reference": (
        "used = file.raw",
        "used = raw",
        """error: 'used' must be a reference: 'raw' names no file or list [F220]
used = raw
       ^^^
  write file.NAME, list.NAME or list.NAME.FILE""",
    ),
    "reference to nothing": (
        "used = file.raw",
        "used = file.raw, file.rew",
        """error: no file of module 'reduce' is called 'rew' [F304]
used = file.raw, file.rew
                 ^^^^^^^^
  did you mean 'raw'?""",
    ),
    "member of a list": (
        "used = list.imgs.img",
        "used = list.imgs.coad",
        """error: no file of module 'stack' is called 'coad' [F304]
used = list.imgs.coad
       ^^^^^^^^^^^^^^
  did you mean 'coadd'?""",
    ),
    "ancestry": (
        "ancestry = file.raw:file.img",
        "ancestry = file.raw:file.img, file.raw",
        """error: 'file.raw' in ancestry is not 'parent:child' [F307]
ancestry = file.raw:file.img, file.raw
                              ^^^^^^^^
  write PARENT:CHILD, for example file.raw:file.calexp""",
    ),
    "ancestry of nothing": (
        "ancestry = file.raw:file.img",
        "ancestry = file.raw:file.cat",
        """error: no file of module 'reduce' is called 'cat' [F304]
ancestry = file.raw:file.cat
                    ^^^^^^^^
  known: raw, img""",
    ),
    "position": (
        "i = ${file.raw.fullname}",
        "_00 = ${file.raw.fullname}",
        """error: '_00' is no position on the command line [F306]
_00 = ${file.raw.fullname}
^^^
  write _01, _02_name …; 1 is the first""",
    ),
    "loop object": (
        "loopobj = file.raw",
        "loopobj = file.raws",
        """error: no file of module 'reduce' is called 'raws' [F304]
loopobj = file.raws
          ^^^^^^^^^
  did you mean 'raw'?""",
    ),
    "loop object without loop": (
        "    wrapperloop = visit, ccd\n",
        "",
        """error: module 'reduce' has a loopobj but no wrapperloop [F321]
loopobj = file.raw
          ^^^^^^^^
  add 'wrapperloop = …' or remove it""",
    ),
    "nameless output": (
        "filepat = out\n",
        "",
        """error: output 'img' of module 'reduce' has no name [F313]
<img>
^
  add filepat or filename""",
    ),
    "listonly output": (
        "filepat = out\n",
        "filepat = out\nlistonly = True\n",
        """error: output 'img' of module 'reduce' is listonly [F322]
<img>
^
  remove listonly""",
    ),
    "output without filetype": (
        "filetype = img\n",
        "",
        """error: output 'img' of module 'reduce' has no 'filetype' [F316]
<img>
^
  add 'filetype = …'""",
    ),
    "unknown filetype": (
        "filetype = img\n",
        "filetype = image\n",
        """error: no filetype is called 'image' [F311]
filetype = image
           ^^^^^
  did you mean 'img'?""",
    ),
    "no directory": (
        "dirpat = d\n        </raw>",
        "</raw>",
        """error: file 'raw' of module 'reduce' has no 'dirpat' [F312]
<raw>
^
  add 'dirpat = …'""",
    ),
    "unknown directory": (
        "dirpat = d\n        </raw>",
        "dirpat = dd\n        </raw>",
        """error: no directory pattern is called 'dd' [F415]
dirpat = dd
         ^^
  did you mean 'd'?""",
    ),
    "unknown pattern": (
        "filepat = out\n",
        "filepat = outt\n",
        """error: no filename pattern is called 'outt' [F415]
filepat = outt
          ^^^^
  did you mean 'out'?""",
    ),
    "neither name nor source": (
        "exec = find\n",
        "",
        """error: file 'raw' of module 'reduce' has neither a name nor a source [F314]
<raw>
^
  add filepat, filename, query_fields, exec or depends""",
    ),
    "name with a dot": (
        "    <file>\n        <raw>",
        "    <file>\n<a.b>\nfilename = x\ndirpat = d\n</a.b>\n        <raw>",
        """error: the name of file 'a.b' holds a '.', which separates the parts of a reference [F325]
<a.b>
^
  write <a_b>""",
    ),
    "query field": (
        "exec = find\n",
        "query_fields = filetype, quality\nfiletype = raw\n",
        """error: query field 'quality' has no value [F309]
query_fields = filetype, quality
                         ^^^^^^^
  add 'quality = …' to the section""",
    ),
    "query without filetype": (
        "exec = find\n",
        "query_fields = project\n",
        """error: a generic query needs the filetype it looks for [F310]
query_fields = project
               ^^^^^^^
  add 'filetype = …'""",
    ),
    "query output": (
        "exec = find\n",
        "exec = find\nqouttype = xml\n",
        """error: 'qouttype' must be wcl or json [F220]
qouttype = xml
           ^^^""",
    ),
    "depends": (
        "depends = reduce.file.img",
        "depends = reduce",
        """error: 'reduce' names no dataset of a module [F326]
depends = reduce
          ^^^^^^
  write MODULE.file.NAME, MODULE.list.NAME or MODULE.list.NAME.FILE""",
    ),
    "depends on a module that is not there": (
        "depends = reduce.file.img",
        "depends = redduce.file.img",
        """error: no module is called 'redduce' [F408]
depends = redduce.file.img
          ^^^^^^^^^^^^^^^^
  did you mean 'reduce'?""",
    ),
    "depends on a later module": (
        "modulelist = reduce, stack",
        "modulelist = stack, reduce",
        """error: module 'stack' depends on module 'reduce', which runs later [F410]
depends = reduce.file.img
          ^^^^^^^^^^^^^^^
  put 'reduce' before 'stack' in modulelist (c.wcl:35:14)""",
    ),
    "depends on a file that is not there": (
        "depends = reduce.file.img",
        "depends = reduce.file.image",
        """error: no file of module 'reduce' is called 'image' [F412]
depends = reduce.file.image
          ^^^^^^^^^^^^^^^^^
  did you mean 'img'?""",
    ),
    "columns": (
        "columns = img.fullname, img.ccd\n",
        "",
        """error: list 'imgs' of module 'stack' has no 'columns' [F317]
<imgs>
^
  add 'columns = …'""",
    ),
    "fullname of nothing": (
        "columns = img.fullname, img.ccd\n",
        "columns = img.ccd, imgg.fullname\n",
        """error: no file of module 'stack' is called 'imgg' [F304]
columns = img.ccd, imgg.fullname
                   ^^^^^^^^^^^^^
  did you mean 'img'?""",
    ),
    "fullname of nobody": (
        "columns = img.fullname, img.ccd\n",
        "columns = fullname\n",
        """error: list 'imgs' does not say whose fullname it wants [F319]
columns = fullname
          ^^^^^^^^
  write FILE.fullname""",
    ),
    "list format": (
        "sortkey = ccd\n",
        "format = csv\n",
        """error: 'format' must be textsp, textcsv or texttab [F220]
format = csv
         ^^^
  did you mean 'textcsv'?""",
    ),
    "sortkey": (
        "sortkey = ccd\n",
        "sortkey = (ccd, int, True, 4)\n",
        """error: sortkey '(ccd, int, True, 4)' is not understood [F320]
sortkey = (ccd, int, True, 4)
          ^^^^^^^^^^^^^^^^^^^
  write KEY, or (KEY, numeric, reverse)""",
    ),
    "list file without directory": (
        "filepat = list\n            dirpat = d\n",
        "filepat = list\n",
        """error: list 'imgs' of module 'stack' has no 'dirpat' [F318]
<imgs>
^
  add 'dirpat = …'""",
    ),
    "add_cmdline": (
        "    <list>\n        <imgs>",
        "<wrapper>\nadd_cmdline = list.imgs.img.ccd\n</wrapper>\n    <list>\n        <imgs>",
        """error: add_cmdline must read 'SEPARATOR'.join(list.LIST.FILE.COLUMN) [F323]
add_cmdline = list.imgs.img.ccd
              ^^^^^^^^^^^^^^^^^
  for example '^'.join(list.det.det.filter)""",
    ),
    "add_cmdline of nothing": (
        "    <list>\n        <imgs>",
        "<wrapper>\nadd_cmdline = '^'.join(list.img.img.ccd)\n</wrapper>\n    <list>\n        <imgs>",
        """error: no list of module 'stack' is called 'img' [F304]
add_cmdline = '^'.join(list.img.img.ccd)
                       ^^^^^^^^^^^^
  did you mean 'imgs'?""",
    ),
    "per_file_cmdline": (
        "    <list>\n        <imgs>",
        "<wrapper>\nper_file_cmdline = list.imgs.img\n</wrapper>\n    <list>\n        <imgs>",
        """error: per_file_cmdline must read list.LIST.FILE:TEMPLATE [F324]
per_file_cmdline = list.imgs.img
                   ^^^^^^^^^^^^^
  for example list.raws.raw:--id visit=$(visit)""",
    ),
    "per_file_cmdline of a file": (
        "    <list>\n        <imgs>",
        "<wrapper>\nper_file_cmdline = file.img:-x\n</wrapper>\n    <list>\n        <imgs>",
        """error: per_file_cmdline goes through a list, not a file [F324]
per_file_cmdline = file.img:-x
                   ^^^^^^^^
  for example list.raws.raw:--id visit=$(visit)""",
    ),
    "undefined variable": (
        "o = ${file.img.fullname}",
        "o = ${file.img.fullname} ${visitt:4}",
        """error: undefined variable 'visitt' [F101]
o = ${file.img.fullname} ${visitt:4}
                         ^^^^^^^^^^^
  did you mean 'visit'?""",
    ),
    "undefined variable in a pattern": (
        "out = ${flabel}-${visit}",
        "out = ${flable}-${visit}",
        """error: undefined variable 'flable' [F101]
out = ${flable}-${visit}-${ccd:3}-r${reqnum}p${attnum:2}.fits
      ^^^^^^^^^
  did you mean 'flabel'?""",
    ),
    "undefined variable behind another": (
        "ops_run_dir = ${project}",
        "top = ${proyect}\nops_run_dir = ${top}",
        """error: undefined variable 'proyect' [F101]
top = ${proyect}
      ^^^^^^^^^^
  did you mean 'project'?""",
    ),
    "file reference": (
        "i = ${file.raw.fullname}",
        "i = ${file.raws.fullname}",
        """error: 'file.raws.fullname' names no file or list of module 'reduce' [F416]
i = ${file.raws.fullname}
    ^^^^^^^^^^^^^^^^^^^^^
  did you mean 'file.raw.fullname'?""",
    ),
    "bad reference": (
        "i = ${file.raw.fullname}",
        "i = ${visit:two}",
        """error: '${visit:two}': the width after ':' must be a whole number up to 255 [F105]
i = ${visit:two}
    ^^^^^^^^^^^^
  write ${NAME:WIDTH}, such as ${ccd:3}""",
    ),
}


@pytest.mark.parametrize(("old", "new", "expected"), CASES.values(), ids=CASES)
def test_a_fault_reads(old: str, new: str, expected: str) -> None:
    assert body(old, new) == expected


@pytest.mark.parametrize("key", ["project", "campaign", "reqnum", "unitname", "blocklist", "ops_run_dir"])
def test_a_campaign_without_a_required_key_is_told_once(key: str) -> None:
    lines = [line for line in WHOLE.splitlines() if not line.startswith(f"{key} =")]
    with pytest.raises(CampaignError) as caught:
        small("\n".join(lines))
    assert str(caught.value) == f"c.wcl:1:1: error: the campaign has no '{key}' [F201]\n  add '{key} = …'"


def test_an_empty_campaign_is_told_all_it_lacks() -> None:
    with pytest.raises(CampaignError) as caught:
        small("# nothing\n")
    assert len(caught.value.faults) == 6


def test_several_faults_are_told_in_one_go_in_the_order_of_the_text() -> None:
    whole = WHOLE.replace("reqnum = 7", "reqnum = x").replace("used = file.raw", "used = file.rew")
    whole = whole.replace("o = ${file.coadd.fullname}", "o = ${nothing_like_it}").replace(
        "sortkey = ccd", "format = csv"
    )
    whole = whole.replace("modulelist = reduce, stack", "modulelist = reduce, stack, nope")
    with pytest.raises(CampaignError) as caught:
        small(whole)
    places = [(fault.location.line, fault.message) for fault in caught.value.faults if fault.location]
    assert [message for _, message in places] == [
        "'reqnum' must be a whole number from 1",
        "no module is called 'nope'",
        "no file of module 'reduce' is called 'rew'",
        "undefined variable 'nothing_like_it'",
        "'format' must be textsp, textcsv or texttab",
    ]
    assert [line for line, _ in places] == sorted(line for line, _ in places)


def test_two_undefined_variables_of_one_value_are_both_told() -> None:
    with pytest.raises(CampaignError) as caught:
        small(WHOLE.replace("i = ${file.raw.fullname}", "i = ${one_thing} ${quite_another}"))
    assert [f.message for f in caught.value.faults] == [
        "undefined variable 'one_thing'",
        "undefined variable 'quite_another'",
    ]


def test_queries_run_before_there_are_columns() -> None:
    whole = WHOLE.replace("exec = find", "exec = find\nargs = --visit ${visit} -o ${qoutfile} ${file.raw.fullname}")
    with pytest.raises(CampaignError) as caught:
        small(whole)
    assert [f.message for f in caught.value.faults] == [
        "undefined variable 'visit'",
        "'file.raw.fullname' names no file or list of module 'reduce'",
    ]
    fields = WHOLE.replace("exec = find", "query_fields = filetype, tile\nfiletype = raw\ntile = ${visit}")
    with pytest.raises(CampaignError) as caught:
        small(fields)
    assert [f.message for f in caught.value.faults] == ["undefined variable 'visit'"]


def test_the_environment_of_jobs_is_checked() -> None:
    with pytest.raises(CampaignError) as caught:
        small(WHOLE + "<job_environment>\nomp_num_threads = ${threads}\n</job_environment>\n")
    assert [f.message for f in caught.value.faults] == ["undefined variable 'threads'"]


def test_what_one_definition_would_mend_is_told_once() -> None:
    whole = WHOLE.replace("${file.raw.fullname}", "${mapper}").replace("${list.imgs.fullname}", "${mapper}")
    with pytest.raises(CampaignError) as caught:
        small(whole)
    assert [f.message for f in caught.value.faults] == ["undefined variable 'mapper' (here and in 1 more place)"]


def test_a_campaign_without_its_includes_is_told_which_modules_it_lacks() -> None:
    with pytest.raises(CampaignError) as caught:
        small((WCL / "demo/campaign.wcl").read_text().replace("<<include", "# <<include"))
    assert "no module is called 'processccd'" in str(caught.value)


def test_a_module_without_programs_is_told_unless_it_is_a_noop() -> None:
    module = "<module empty>\nwrappername = generic\n</module>\n"
    with pytest.raises(CampaignError) as caught:
        small(text(module, b="empty"))
    assert [f.message for f in caught.value.faults] == ["module 'empty' runs nothing"]
    assert caught.value.faults[0].remedy == "add an <exec_1> section, or noop = True"
    assert small(text("<module empty>\nnoop = True\n</module>\n", b="empty")).modules[0].noop


def test_new_names_need_a_pattern() -> None:
    again = REDUCE.replace("<module reduce>", "<module again>").replace(
        "exec = find", "depends-newname = reduce.file.raw"
    )
    with pytest.raises(CampaignError) as caught:
        small(text(REDUCE, again.replace("flabel = img", "flabel = again"), b="reduce, again"))
    assert [f.message for f in caught.value.faults] == [
        "file 'raw' of module 'again' takes new names but has no pattern for them"
    ]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (
            "divide_by = visit, ccd",
            "dvide_by = visit, ccd",
            "'dvide_by' is no keyword of a file section, and nothing uses it\n  did you mean 'divide_by'?",
        ),
        (
            "sortkey = ccd",
            "sort_key = ccd",
            "'sort_key' is no keyword of a list section, and nothing uses it\n  did you mean 'sortkey'?",
        ),
        (
            "    divide_by = visit\n            sortkey",
            "divide_bye = visit\n            sortkey",
            "'divide_bye' is no keyword of a list section, and nothing uses it\n  did you mean 'divide_by'?",
        ),
    ],
)
def test_what_looks_misspelt_is_warned_of(old: str, new: str, expected: str) -> None:
    (warning,) = small(WHOLE.replace(old, new)).warnings
    message, remedy = expected.split("\n  ")
    assert (warning.severity, warning.message, warning.remedy) == ("warning", message, remedy)


def test_a_query_beside_depends_is_warned_of() -> None:
    (warning,) = small(WHOLE.replace("depends = reduce.file.img", "exec = find\ndepends = reduce.file.img")).warnings
    assert warning.message == "list 'imgs' has both a query and 'depends', of which the query counts"


def test_a_sound_campaign_has_no_warnings_but_those_of_its_text() -> None:
    assert small().warnings == ()
    assert [w.message for w in small(WHOLE + "key =\n").warnings] == ["'key =' has no value: the line is ignored"]


def test_filetypes_can_be_read_alone() -> None:
    assert list(filetypes(loads(HEAD))) == ["list", "log", "raw", "img"]
    with pytest.raises(CampaignError, match="no column type is called 'number'"):
        filetypes(loads(HEAD.replace("visit = int", "visit = number")))


def test_filetypes_alone_have_fixed_keys() -> None:
    with pytest.raises(CampaignError, match=r"'ingestr' is no keyword of a filetype section \[F214\]"):
        filetypes(loads(HEAD.replace("metadata_table = image", "metadata_table = image\ningestr = fits")))
