"""The table of keywords, and what a campaign is told about its keys."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from campaigns import REDUCE, small, text

from facade import __version__
from facade.campaign.keyword import ACTIVE, PLANNED, REQUIRED, RETIRED, SECTIONS, STATUS, Keyword
from facade.campaign.keywords import AS_FACADE_DOES, KEYWORDS, keywords_of
from facade.campaign.words import SECTION
from facade.errors import CampaignError
from facade.files import COMPRESSIONS
from facade.wcl import loads
from facade.wcl.tree import Value

ROOT = Path(__file__).parents[2]
WHOLE = text()

ORIGINAL = {
    "campaign": """
        project campaign pipeline pipeprod pipever jira_id operator reqnum unitname attnum blocklist block module
        target_site site home_archive target_archive archive archive_transfer job_file_mvmt ops_run_dir submit_run_dir
        filename_pattern directory_pattern use_db_in use_db_out use_qcf dry_run use_home_archive_input
        use_home_archive_output use_target_archive_input use_target_archive_output master_savefiles master_compression
        compression_exec compression_args compression_suffix compress_cleanup save_md5sum verify_files
        create_junk_tarball when_to_email email wrapper_debug label basket group_submit_id save_run_vals divide_jobs_by
        master_use_fwthreads max_fwthreads fw_nmaxthread fwthread_reuse stop_on_fail job_environment
        condor_job_environment setupeups jobroot max_eups_tries purge_job_dir dagman_max_pre dagman_max_post
        dagman_max_jobs dagman_max_idle gridtype batchtype gridhost gridport loginhost nodeset dynslots glidein_name
        uiddomain condorjobclass condorjobreq concurrency_limits request_memory request_cpus request_disk jobwalltime
        glidein_use_wall remote_initialdir use_condor_transfer_output check_proxy dcache fermi_id transfer_semname
        input_transfer_semname output_transfer_semname input_transfer_semname_home input_transfer_semname_target
        output_transfer_semname_home output_transfer_semname_target transfer_stats transfer_stats_per_file
        submit_files_mvmt submit_des_services submit_des_db_section target_des_services target_des_db_section
        des_http_section qcf query_run fileclass proctag config_version filetype_metadata exec_def file_header""",
    "block": "modulelist divide_jobs_by",
    "module": """wrappername wrapperloop loopobj modnamepat noop req_vals list_order wrapper_debug max_fwthreads
        divide_jobs_by exec_<N> file list wrapper""",
    "exec": "execname used was_generated_by ancestry cmd_hyphen cmdline execnum version_flag version_pattern",
    "file": """dirpat filepat flabel fsuffix filename fullname filetype query_fields query_table output_fields join exec
        args qouttype depends depends-newname loopkey match divide_by listonly optional ignore_multiple_error savefiles
        compress_files hdrupd_<NAME> rename_file repoingest rundir ops_enddir job_enddir job_outtype""",
    "list": """exec args qouttype query_fields query_table output_fields join depends depends-newname loopkey match
        divide_by columns div_list_by_col format sortkey allow_missing filepat filename dirpat flabel fsuffix""",
    "wrapper": "job_repo_dir mapper butler_template ref_cats_root untar_files per_file_cmdline add_cmdline",
    "filetype": "metadata_table filetype_mgmt hdus",
    "directory_pattern": "ops runtime",
    "qcf": "override patterns excludes filter",
    "pattern": "pattern lvl priority execname number_of_lines only_matched",
    "exclude": "pattern exec",
    "filter": "replace_pattern with_pattern",
}
"""The keywords of desdm.md §1.7, of its LSST wrapper (§4.4) and of filetypes (§5)."""


def sources(*folders: str) -> str:
    paths = [path for folder in folders for path in sorted((ROOT / folder).rglob("*.py"))]
    return "\n".join(path.read_text() for path in paths if path.name not in ("keywords.py", "codes.py"))


class TestTable:
    @pytest.mark.parametrize("section", ORIGINAL)
    def test_it_has_every_keyword_of_the_original(self, section: str) -> None:
        assert set(ORIGINAL[section].split()) - set(keywords_of(section)) == set()

    def test_each_keyword_stands_in_it_once(self) -> None:
        names = [(one.section, one.name) for one in KEYWORDS]
        assert len(names) == len(set(names)) > 200
        assert {one.section for one in KEYWORDS} == set(SECTIONS)
        assert {one.status for one in KEYWORDS} == set(STATUS)
        assert {one.since for one in KEYWORDS} == {"DESDM", "LSST", __version__}

    def test_what_is_active_is_named_in_the_source(self) -> None:
        source = sources("facade", "wrappers", "queries")
        silent = {
            one.name
            for one in KEYWORDS
            if one.status == ACTIVE and "<" not in one.name
            if not re.search(rf"""["' ]{re.escape(one.name)}["' ]""", source)
        }
        # read by a name put together: Campaign.scope
        assert silent == {"target_site"}

    def test_what_is_read_from_sections_stands_in_it(self) -> None:
        source = sources("facade/campaign") + (ROOT / "facade/site.py").read_text()
        read = set(re.findall(r"""\.(?:value|text|section)\("([\w-]+)["']""", source))
        read |= set(re.findall(r"""\.(?:word|items|value|needed)\(\w+, "([\w-]+)["']""", source))
        assert len(read) > 50
        assert read - {one.name for one in KEYWORDS} == set()

    def test_defaults_are_of_their_type(self) -> None:
        for one in KEYWORDS:
            for default in (one.default, AS_FACADE_DOES.get(one.name, "")):
                if default not in ("", REQUIRED):
                    one.type.read(Value(default, None, None))  # type: ignore[arg-type]

    def test_defaults_are_those_that_the_reader_has(self) -> None:
        module = small().modules[0]
        raw, listed = module.files["raw"], small().modules[1].lists["imgs"]
        table, lists = keywords_of("file"), keywords_of("list")
        read = {"listonly": raw.listonly, "optional": raw.optional, "savefiles": raw.savefiles}
        for name, found in (read | {"ignore_multiple_error": raw.multiple}).items():
            assert table[name].default == str(found)
        assert (lists["format"].default, lists["header"].default) == (listed.format, str(listed.header))
        assert keywords_of("exec")["cmd_hyphen"].default == module.execs[0].hyphen.value
        assert keywords_of("module")["noop"].default == str(module.noop)

    def test_what_has_no_effect_says_what_there_is_instead(self) -> None:
        for one in KEYWORDS:
            assert one.meaning and not one.meaning.endswith("."), one.name
            assert one.meaning[0] == one.meaning[0].lower() or one.meaning.split()[0].isupper() or one.meaning[:3] in (
                "CPU", "GPU", "SQL", "Pyt", "HTC", "TYP", "YAM", "URL"
            ), one.meaning  # fmt: skip


def warned(old: str = "", new: str = "", whole: str = WHOLE) -> list[tuple[str, str, str]]:
    """Return (code, message, remedy) of every warning when *old* is replaced by *new*."""
    assert old in whole
    return [(w.code, w.message, w.remedy) for w in small(whole.replace(old, new, 1) if old else whole + new).warnings]


def faults(old: str, new: str, whole: str = WHOLE) -> list[str]:
    """Return every fault when *old* is replaced by *new*, as it is told."""
    assert old in whole
    with pytest.raises(CampaignError) as caught:
        small(whole.replace(old, new, 1) if old else whole + new)
    return [str(fault) for fault in caught.value.faults]


class TestWithoutEffect:
    def test_a_planned_keyword_is_told_with_what_it_means_here(self) -> None:
        assert warned(new="basket = mine\n") == [
            ("F221", "'basket = mine' has no effect yet", keywords_of("campaign")["basket"].meaning)
        ]

    def test_a_retired_keyword_is_told_with_what_there_is_instead(self) -> None:
        assert warned(new="dry_run = True\n") == [
            (
                "F222",
                "'dry_run = True' has no effect in facade",
                "plan only; type facade plan, or facade submit --dry-run",
            )
        ]

    def test_it_is_told_once_wherever_it_stands(self) -> None:
        whole = WHOLE.replace("dirpat = d\n", "dirpat = d\n            compress_files = True\n")
        whole = whole.replace("execname", "version_pattern = v(.*)\n        execname")
        whole = whole.replace("<b>\n", "<b>\ntransfer_stats = True\n") + "transfer_stats = True\n"
        assert [(code, message) for code, message, _ in warned(whole=whole)] == [
            ("F221", "'transfer_stats = True' has no effect yet (here and in 1 more place)"),
            ("F221", "'version_pattern = v(.*)' has no effect yet (here and in 1 more place)"),
            ("F224", "'compress_files' has no effect in a list section"),
        ]

    @pytest.mark.parametrize(
        "line",
        ["use_db_out = True", "use_db_in = F", "dry_run = no", "master_savefiles = FILE",
         "master_compression = never", "when_to_email = NEVER", "purge_job_dir = success",
         "transfer_semname = __NONE__", "request_cpus = 01", "fileclass = x"],
    )  # fmt: skip
    def test_what_asks_for_nothing_else_is_not_told(self, line: str) -> None:
        assert warned(new=f"{line}\n") == []

    def test_sections_are_told_too(self) -> None:
        assert [w[:2] for w in warned(new="<exec_def>\n</exec_def>\n")] == [("F221", "<exec_def> has no effect yet")]

    def test_a_type_is_checked_although_nothing_acts_on_the_value(self) -> None:
        (fault,) = faults("", "request_memory = 8 XB\n")
        assert fault.splitlines() == [
            "c.wcl:105:20: error: 'request_memory' must be a size: 'XB' is no unit [F220]",
            "    request_memory = 8 XB",
            "                       ^^",
            "  write 8GB, 512 MB, 1.5GiB; KB, MB, GB, TB are powers of 1024; 512 is 512 MB",
        ]

    def test_a_value_is_checked_with_its_variables_replaced_if_they_are_known(self) -> None:
        (fault,) = faults("", "hours = many\njobwalltime = ${hours}h\n")
        assert "    jobwalltime = ${hours}h\n                  ^^^^^^^^^\n" in fault
        assert warned(new="hours = 3\njobwalltime = ${hours}h\n") == []
        (fault,) = faults("", "jobwalltime = ${visit}h\n")
        assert "undefined variable 'visit'" in fault


class TestVariables:
    def test_keywords_may_be_written_with_variables(self) -> None:
        whole = WHOLE.replace("blocklist = b", "all = b\nblocklist = ${all}")
        whole = whole.replace("modulelist = reduce, stack", "last = stack\nmodulelist = reduce, ${last}")
        whole = whole.replace("wrapperloop = visit, ccd", "keys = visit, ccd\nwrapperloop = ${keys}")
        whole = whole.replace("used = file.raw", "main = raw\nused = file.${main}")
        whole = whole.replace("filetype = img", "filetype = ${name_of_type}", 1) + "name_of_type = img\n"
        campaign = small(whole)
        assert campaign.warnings == ()
        assert campaign.modules[0].loop == ("visit", "ccd")
        assert str(campaign.modules[0].execs[0].used[0]) == "file.raw"
        assert campaign.modules[0].files["img"].filetype == "img"
        assert [one.name for one in campaign.modules] == ["reduce", "stack"]

    def test_a_fault_points_at_what_was_written(self) -> None:
        (fault,) = faults("modulelist = reduce, stack", "last = stck\nmodulelist = reduce, ${last}")
        assert fault.splitlines()[1:3] == ["    modulelist = reduce, ${last}", "                 ^^^^^^^^^^^^^^^"]
        assert faults("noop = yes", "noop = ${nope}", WHOLE.replace("wrapperloop = visit\n", "noop = yes\n"))[
            0
        ].startswith("c.wcl:70:12: error: undefined variable 'nope' [F101]")


class TestUnknownKeys:
    def test_a_key_that_nothing_uses(self) -> None:
        assert warned("exec = find", "exec = find\nzork = 1") == [
            ("F223", "'zork' is no keyword of a file section, and nothing uses it", "use it as ${zork}, or remove it")
        ]

    @pytest.mark.parametrize(
        ("place", "use"),
        [
            ("exec = find", "exec = find\nrename_file = ${zork:3}"),
            ("i = ${file.raw.fullname}", "i = $opt{ZORK}"),
            ("exec = find", "exec = find\nrename_file = ${zo${a}}\na = rk"),
            ("exec = find", "query_fields = ${fields}\nfields = zork\nfiletype = img"),
            ("seeing = float header:SEEING", "zork = text"),
            ("columns = img.fullname, img.ccd", "columns = img.fullname, img.zork\nexec = find"),
            ("sortkey = ccd", "sortkey = (zork, int)\nexec = find"),
            ("loopobj = file.raw", "loopobj = file.raw\ndivide_jobs_by = zork"),
            ("exec = find", "exec = find\noutput_fields = raw.zork"),
        ],
    )
    def test_a_key_that_something_uses(self, place: str, use: str) -> None:
        whole = WHOLE.replace("<raw>\n            exec", "<raw>\nzork = 1\n            exec")
        assert "zork" not in str(warned(place, use, whole))

    def test_at_top_level_only_what_looks_like_a_keyword_is_told(self) -> None:
        assert warned(new="colour = red\n") == []
        assert warned(new="targt_site = x\n") == [
            ("F223", "'targt_site' is no keyword of the campaign, and nothing uses it", "did you mean 'target_site'?")
        ]

    def test_a_keyword_of_another_section(self) -> None:
        assert warned("exec = find", "exec = find\ncolumns = a") == [
            ("F224", "'columns' has no effect in a file section", "it is a keyword of a list section")
        ]
        assert warned("<b>\n", "<b>\nblocklist = c\n") == [
            ("F224", "'blocklist' has no effect in a block section", "it is a keyword of the campaign")
        ]

    def test_one_key_is_told_once(self) -> None:
        ((_, message, _),) = warned(whole=WHOLE.replace("dirpat = d\n", "dirpat = d\nzork = 1\n"))[:1]
        assert message == "'zork' is no keyword of a file section, and nothing uses it (here and in 3 more places)"

    def test_in_a_closed_section_it_is_a_fault(self) -> None:
        assert faults("runtime = d", "runtime = d\nrun_time = e") == [
            "c.wcl:17:1: error: 'run_time' is no keyword of a directory_pattern section [F214]\n"
            "    run_time = e\n    ^^^^^^^^\n  did you mean 'runtime'?"
        ]
        known = "known: archive_path, contents_hdu, contents_table, filetype_mgmt, ingestor, metadata_table"
        assert known in faults("<raw>\n", "<raw>\nx = y\n")[0]

    def test_a_wrapper_of_ones_own_has_parameters_of_its_own(self) -> None:
        section = "<wrapper>\nlevel = 3\n</wrapper>\n    <file>"
        assert warned("    <file>", section) == []
        assert warned("    <file>", section.replace("level", "maper"))[0][2] == "did you mean 'mapper'?"

    def test_what_modules_do_not_use_is_checked_in_blocks_archives_and_sites(self) -> None:
        extra = (
            "<archive>\n<home>\nroot = /x\nzork = 1\n</home>\n</archive>\n<site>\n<here>\nzirk = 2\n</here>\n</site>\n"
        )
        assert [w[1] for w in warned(new=extra)] == [
            "'zork' is no keyword of an archive section, and nothing uses it",
            "'zirk' is no keyword of a site section, and nothing uses it",
        ]


class TestUnknownSections:
    def test_one_that_looks_like_a_known_one_is_a_fault(self) -> None:
        (fault,) = faults("    <file>\n        <raw>", "<exec1>\n</exec1>\n<file>\n<raw>")
        assert fault.splitlines()[0] == "c.wcl:53:1: error: <exec1> means nothing in a module section [F225]"
        assert fault.splitlines()[-1] == "  did you mean 'exec_1'?"

    def test_any_other_is_told_if_nothing_refers_to_it(self) -> None:
        section = "    <zork>\n    a = b\n</zork>\n<file>\n<raw>"
        assert warned("    <file>\n        <raw>", section) == [
            ("F226", "<zork> means nothing in a module section, and nothing refers to it",
             "sections here: qcf, exec_<N>, file, list, wrapper")
        ]  # fmt: skip
        used = WHOLE.replace("i = ${file.raw.fullname}", "i = ${module.reduce.zork.a}")
        assert warned("    <file>\n        <raw>", section, used) == []

    def test_at_top_level(self) -> None:
        assert warned(new="<zork>\na = b\n</zork>\n") == []
        assert warned(new="<modul>\n</modul>\n")[0][2] == "did you mean 'module'?"

    def test_one_that_belongs_elsewhere(self) -> None:
        found = warned("    <file>\n        <raw>", "<job_environment>\na = b\n</job_environment>\n<file>\n<raw>")
        assert found == [
            ("F226", "<job_environment> means nothing in a module section, and nothing refers to it",
             "sections here: qcf, exec_<N>, file, list, wrapper")
        ]  # fmt: skip

    def test_a_value_in_file_itself(self) -> None:
        (fault,) = faults("    <file>\n", "    <file>\n    dirpat = d\n")
        assert fault == (
            "c.wcl:54:5: error: 'dirpat' stands in <file> itself, not in one of its sections [F335]\n"
            "        dirpat = d\n        ^^^^^^\n  move it into one of them"
        )


def test_statuses_without_effect_are_the_only_ones_told() -> None:
    for one in KEYWORDS:
        if one.section != "campaign" or one.type is SECTION or one.default == REQUIRED:
            continue
        if value := example(one):
            told = [code for code, message, _ in warned(new=f"{one.name} = {value}\n") if f"'{one.name} =" in message]
            assert told == {PLANNED: ["F221"], RETIRED: ["F222"]}.get(one.status, []), one.name


def example(one: Keyword) -> str:
    """Return a value that asks for something else than the default and what facade does anyway, if there is one."""
    if one.type.name == "bool":
        return next((word for word in ("True", "False") if word not in (one.default, AS_FACADE_DOES.get(one.name))), "")
    return EXAMPLES.get(one.type.name, "zork")


EXAMPLES = {
    "keys": "project", "count": "77", "int": "77", "factor": "2.5", "limits": "db:2", "order": "project",
    "arguments": "-x ${__UCFILE__}", "size": "3G", "disk": "3G", "time": "5m",
    "never|file|success": "success", "policy": "rand_10",
    "when": "always", "|".join(COMPRESSIONS): ".gz",
    "target_archive|wrapper|all|never": "all", "wrapper|job|block|run|never": "wrapper", "job|never": "never",
    "wrapper|job|never": "never", "never|run|block": "block", "success|always|never": "always",
}  # fmt: skip


def test_a_document_is_read_once_for_its_names() -> None:
    from facade.campaign.vocabulary import used_names

    used = used_names(loads("a = ${b.c:4} $opt{D} $(e) $FUNC{m.f,g} $FMT{%d,h.i} $HEAD{f.fits,J} ${k_${l}_m}\n").root)
    assert used.keys == {"c", "d", "e", "g", "i", "j", "l"}
    assert used.sections == {"b", "h"}
    assert used.has("k_anything_m") and not used.has("k_anything")


def test_what_is_in_a_module_that_is_not_listed_is_not_told() -> None:
    other = REDUCE.replace("<module reduce>", "<module other>").replace("exec = find", "zork = 1\noptional = maybe")
    assert [code for code, _, _ in warned(whole=text(REDUCE, other, b="reduce"))] == ["F417"]
