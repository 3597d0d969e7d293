"""Every keyword that facade knows, in one table: where it stands, its type, its meaning, whether it has an effect.

``docs/keywords.md`` and ``facade show keywords`` are made from this table, and campaigns are checked against it. The
keywords of the original are those of desdm.md §1.7 and, for its LSST wrapper, §4.4.
"""

from __future__ import annotations

from functools import cache

from facade.campaign.keyword import ACTIVE, PLANNED, REQUIRED, RETIRED, VARIABLE, Keyword, rows
from facade.campaign.words import (
    ARGUMENTS,
    BELOW,
    BOOL,
    COUNT,
    DIRPAT,
    DISK,
    FACTOR,
    FILEPAT,
    HYPHEN,
    INT,
    JUNK,
    KEYS,
    LATE,
    LEVEL,
    LIMITS,
    LIST,
    LIST_FORMAT,
    NAME,
    NAMES,
    ORDER,
    PATH,
    QUERY_OUTPUT,
    REF,
    REFS,
    SAVE,
    SECTION,
    SIZE,
    SUFFIX,
    TEXT,
    TIME,
    choice,
)
from facade.metadata import COLUMN_TYPES

# fmt: off
_DATASET = (
    ("exec", TEXT, "", "query code, or executable, that finds the files or lines"),
    ("args", TEXT, "", "its arguments; an executable writes to ${qoutfile}"),
    ("qouttype", QUERY_OUTPUT, "wcl", "what an executable writes"),
    ("query_fields", KEYS, "", "generic query: fields that must match, [TABLE.]FIELD; each has its value in the"
     " section, module, block or campaign"),
    ("query_table", NAME, "", "generic query: the metadata table of the filetype (a warning if it is another);"
     " without a filetype, a dimension table, whose rows are the lines"),
    ("join", TEXT, "", "generic query: TABLE.COLUMN = TABLE.COLUMN, …, to ask for columns of other tables"),
    ("output_fields", KEYS, "", "columns that the query supplies; a query code that does not is at fault"),
    ("depends", LIST, "", "dataset of an earlier module: MODULE.file.NAME or MODULE.list.NAME[.FILE]"),
    ("depends-newname", LIST, "", "the same, but its files get new names from the pattern here"),
    ("loopkey", KEYS, "", "columns by which the lines are divided among the quanta; wins over match and divide_by"),
    ("match", KEYS, "", "the same as loopkey; wins over divide_by"),
    ("divide_by", KEYS, "", "the same as loopkey"),
    ("filepat", FILEPAT, "", "pattern of the file name, from <filename_pattern>"),
    ("filename", TEXT, "", "file name, instead of filepat"),
)
_VARIABLES = (
    ("flabel", TEXT, "", "label that patterns use"),
    ("fsuffix", TEXT, "", "suffix that patterns use"),
)
_DEBUG = ("wrapper_debug", INT, "1", "debug level of wrappers; a wrapper's own log is always kept")
_THREADS = (
    ("max_fwthreads", COUNT, "1", "how many quanta of a module one job runs at once, each in a folder of its own; the"
     " job asks for as many times request_cpus and request_memory"),
    ("master_use_fwthreads", BOOL, "True", "whether max_fwthreads counts; else quanta run one after the other"),
)
_DIVIDE = ("divide_jobs_by", KEYS, "", "quanta with equal values of these keys share a job; the module's own keys win"
 " over the block's, those over the campaign's; without any, a block is one job")
_RESOURCES = (
    ("request_cpus", COUNT, "1", "CPUs. Of a module: for one of its quanta. A job asks for the largest of cpus, memory"
     " and gpus that its modules say, and for the sum over its quanta of disk and walltime; what a block or campaign"
     " says is for a whole job, where modules say nothing"),
    ("request_memory", SIZE, "1GB", "memory, likewise"),
    ("request_disk", DISK, "1GB", "disk, likewise"),
    ("jobwalltime", TIME, "", "how long it may run, likewise; a job that takes longer is ended"),
    ("concurrency_limits", LIMITS, "", "HTCondor's limits that its jobs count against: NAME, NAME:NUMBER"),
    ("condorjobreq", TEXT, "", "what its jobs require of a machine, as HTCondor's requirements"),
)
_CLUSTERING = (
    ("request_gpus", COUNT, "", "GPUs, as request_cpus"),
    ("memory_growth", FACTOR, "", "how many times as much memory a job gets after it ran out of it; without, it fails"),
    ("memory_max", SIZE, "", "how much it gets at most; of a module: for one of its quanta"),
    ("priority", INT, "0", "which of the jobs that could start does: that of the largest number"),
    ("category", NAME, "", "category of its jobs, of which <max_jobs> says how many run at once"),
    ("max_quanta_per_job", COUNT, "", "how many quanta a job holds at most: quanta that share divide_jobs_by values are"
     " divided further, and what is connected by files stays together"),
    ("job_target_time", TIME, "", "how long a job is to run: the same, by the run times that the registry has of the"
     " modules, else by jobwalltime"),
)

_SAVING = (
    ("master_savefiles", SAVE, "file", "which outputs are archived: file, those whose section says savefiles; always,"
     " all; never, none; failure, as file, and all that failed quanta made; rand_NN, of NN in a hundred attempts"
     " all, of the others as file"),
    ("master_compression", choice("never", "file", "success"), "file", "when outputs are compressed: file, those whose"
     " section says compress_files; success, likewise: what failed quanta made is kept as it is"),
    ("compression_exec", TEXT, "fpack", "program that compresses outputs"),
    ("compression_args", ARGUMENTS, "${__UCFILE__}", "its arguments; ${__UCFILE__} is the file, ${__CFILE__} the same"
     " with the suffix"),
    ("compression_suffix", SUFFIX, ".fz", "suffix of compressed files"),
    ("compress_cleanup", BOOL, "True", "archive the compressed file only; else both"),
)

_QCF = ("qcf", SECTION, "", "messages to look for in what programs print; those of sections around it count as well")
_USE_QCF = ("use_qcf", BOOL, "True", "look for messages")

KEYWORDS: tuple[Keyword, ...] = (
    *rows("campaign", "DESDM", ACTIVE,
        ("project", TEXT, REQUIRED, "project that the request belongs to"),
        ("campaign", TEXT, REQUIRED, "campaign that the request belongs to"),
        ("pipeline", TEXT, "", "pipeline, recorded with the request"),
        ("pipeprod", TEXT, "", "product that holds the pipeline, told to wrappers; facade sets up nothing, jobs have"
         " their programs on their PATH"),
        ("pipever", TEXT, "", "version of that product, told to wrappers"),
        ("jira_id", TEXT, "", "ticket, recorded with the request"),
        ("reqnum", COUNT, REQUIRED, "number of the request"),
        ("unitname", NAME, REQUIRED, "unit of work: an exposure, a tile, a tract"),
        _QCF,
        _USE_QCF,
        ("attnum", COUNT, "", "number that the attempt is to have; without it the registry gives the next one"),
        ("blocklist", NAMES, REQUIRED, "blocks, in the order in which they run"),
        ("ops_run_dir", BELOW, REQUIRED, "directory of the attempt below the archive's root"),
        _DIVIDE,
        *_RESOURCES,
        *_THREADS,
        *_SAVING,
        ("create_junk_tarball", JUNK, "failure", "when a job keeps the files that nobody declared, in a tar file:"
         " failure, always (True) or never (False)"),
        ("dagman_max_jobs", COUNT, "", "how many jobs of the attempt are in the queue, or run, at once"),
        ("dagman_max_idle", COUNT, "", "how many idle jobs DAGMan leaves in the queue"),
        ("target_site", NAME, "", "<site> section in which variables are looked for; where jobs run, --engine and the"
         " site file say"),
        ("target_archive", NAME, "", "archive on the cluster's disk, of those in the site file ([site.md](site.md));"
         " use_target_archive_input and _output say what for; variables are looked for in its <archive> section"),
        ("home_archive", NAME, "", "<archive> section in which variables are looked for if there is no target_archive;"
         " which archive keeps the files, the site file says"),
        ("use_home_archive_input", choice("target_archive", "wrapper", "all", "never"), "wrapper", "when what does not"
         " lie in the target archive is copied from home: wrapper, by the job before each quantum; all, by the job for"
         " all its quanta when it starts; target_archive, into the target archive before jobs start; never, it must"
         " lie there"),
        ("use_home_archive_output", choice("wrapper", "job", "block", "run", "never"), "job", "when outputs are copied"
         " home: wrapper and job, by the job, after each quantum; block and run, from the target archive, when the"
         " block or the attempt is done; never, they stay in the target archive"),
        ("use_target_archive_input", choice("job", "never"), "never", "job: inputs that lie in the target archive are"
         " taken from there; what jobs stored there always is"),
        ("use_target_archive_output", choice("wrapper", "job", "never"), "never", "wrapper and job: jobs store outputs"
         " in the target archive, after each quantum"),
        ("block", SECTION, REQUIRED, "the blocks"),
        ("module", SECTION, REQUIRED, "the modules"),
        ("filename_pattern", SECTION, "", "templates of file names"),
        ("directory_pattern", SECTION, "", "templates of directories"),
        ("filetype_metadata", SECTION, "", "filetypes: what is recorded about files"),
        ("job_environment", SECTION, "", "environment of jobs"),
        ("archive", SECTION, "", "variables by archive"),
        ("site", SECTION, "", "variables by site"),
    ),
    *rows("campaign", "0.1.0", ACTIVE,
        *_CLUSTERING,
        ("max_jobs", SECTION, "", "CATEGORY = NUMBER: how many jobs of that category run at once"),
        ("junk_max_size", SIZE, "100MB", "how much a job keeps of such files; larger ones are left out first"),
    ),
    *rows("campaign", "DESDM", VARIABLE,
        ("query_run", TEXT, "", "used by queries of older campaigns"),
        ("fileclass", TEXT, "", "used by paths of older campaigns"),
        ("proctag", TEXT, "", "a tag; facade tag puts one on an attempt"),
        ("config_version", TEXT, "", "version of the pipeline's configuration"),
    ),
    *rows("campaign", "DESDM", PLANNED,
        ("archive_transfer", SECTION, "", "how files go from archive to archive"),
        ("job_file_mvmt", SECTION, "", "how files go between jobs and archives; facade has one way, with checksums"),
        ("when_to_email", choice("never", "run", "block"), "run", "when mail is sent; facade sends none, see facade"
         " stat"),
        ("email", LIST, "", "who gets mail; facade sends none, see facade stat"),
        ("label", LIST, "", "labels of the attempt; facade tag puts one on an attempt that is registered"),
        ("basket", TEXT, "", "group of campaigns, to ask for attempts by"),
        ("group_submit_id", TEXT, "", "group of submissions, to ask for attempts by"),
        ("save_run_vals", KEYS, "", "variables whose values are kept for the attempt"),
        ("condor_job_environment", SECTION, "", "environment that HTCondor gives to jobs; use <job_environment>"),
        ("jobroot", PATH, "", "where job directories go; facade uses HTCondor's scratch directory, or the run"
         " directory"),
        ("purge_job_dir", choice("success", "always", "never"), "success", "when job directories are removed;"
         " facade removes those of jobs that succeeded"),
        ("dagman_max_pre", COUNT, "", "how many PRE scripts DAGMan runs at once; facade has none"),
        ("dagman_max_post", COUNT, "", "how many POST scripts DAGMan runs at once; facade has none"),
        ("condorjobclass", TEXT, "", "attributes of jobs in HTCondor"),
        ("transfer_semname", TEXT, "__NONE__", "semaphore that bounds the number of copies at a time; facade has none"),
        ("input_transfer_semname", TEXT, "__NONE__", "the same, for inputs"),
        ("output_transfer_semname", TEXT, "__NONE__", "the same, for outputs"),
        ("input_transfer_semname_home", TEXT, "__NONE__", "the same, for inputs from the home archive"),
        ("input_transfer_semname_target", TEXT, "__NONE__", "the same, for inputs from the target archive"),
        ("output_transfer_semname_home", TEXT, "__NONE__", "the same, for outputs to the home archive"),
        ("output_transfer_semname_target", TEXT, "__NONE__", "the same, for outputs to the target archive"),
        ("transfer_stats", BOOL, "False", "record how long copies take"),
        ("transfer_stats_per_file", BOOL, "False", "the same, for each file"),
        ("exec_def", SECTION, "", "version flags of programs by name; use version_flag in the exec"),
    ),
    *rows("campaign", "DESDM", RETIRED,
        ("operator", TEXT, "", "who submits; facade records the login name"),
        ("submit_run_dir", PATH, "", "working directory; facade makes one for each attempt below 'runs' of the site"
         " file"),
        ("use_db_in", BOOL, "True", "take defaults from the database; a facade campaign is what its files say, so"
         " include them"),
        ("use_db_out", BOOL, "True", "record in the database; facade always does"),
        ("dry_run", BOOL, "False", "plan only; type facade plan, or facade submit --dry-run"),
        ("save_md5sum", BOOL, "True", "record a checksum; facade always records SHA-256"),
        ("verify_files", BOOL, "True", "compare archive and registry after a block; facade verifies each copy as it"
         " is made"),
        _DEBUG,
        ("stop_on_fail", BOOL, "True", "end the other quanta of a job when one fails; in facade, those that need its"
         " outputs are not run and all others go on"),
        ("fw_nmaxthread", COUNT, "1", "least width of every module in a job; write max_fwthreads in the campaign"),
        ("fwthread_reuse", COUNT, "4", "how many quanta a worker process runs"),
        ("setupeups", PATH, "", "script that sets up EUPS; set up before facade submit, or in <job_environment>"),
        ("max_eups_tries", COUNT, "3", "how often that is tried"),
        ("gridtype", TEXT, "", "kind of grid; facade submits to HTCondor's own pool"),
        ("batchtype", TEXT, "", "kind of batch system; see --engine"),
        ("gridhost", TEXT, "", "host of the grid; see gridtype"),
        ("gridport", TEXT, "", "port of the grid; see gridtype"),
        ("loginhost", TEXT, "", "host to log in to; facade runs where it is called"),
        ("nodeset", TEXT, "", "set of nodes of a glide-in; facade starts none"),
        ("dynslots", BOOL, "False", "slots of a glide-in are dynamic; HTCondor knows"),
        ("glidein_name", TEXT, "", "glide-in that runs the jobs; facade starts none"),
        ("glidein_use_wall", BOOL, "False", "require a machine that lives as long as jobwalltime"),
        ("uiddomain", TEXT, "", "HTCondor's domain of users, set in its own configuration"),
        ("remote_initialdir", PATH, "", "where remote jobs start"),
        ("use_condor_transfer_output", BOOL, "", "let HTCondor copy outputs; facade copies and verifies them itself"),
        ("check_proxy", BOOL, "", "check the grid proxy; facade needs none"),
        ("dcache", TEXT, "", "how files go to dCache; see the archive of the site file"),
        ("fermi_id", TEXT, "", "account for dCache; see dcache"),
        ("submit_files_mvmt", BOOL, "False", "copy list files to the home archive; facade always does"),
        ("submit_des_services", PATH, "", "file with the database's password; the site file names the database"),
        ("submit_des_db_section", TEXT, "", "section of that file"),
        ("target_des_services", PATH, "", "the same, for jobs; they have a login of their own"),
        ("target_des_db_section", TEXT, "", "section of that file"),
        ("des_http_section", TEXT, "", "section of that file, for HTTP"),
        ("file_header", SECTION, "", "headers that are written into outputs; write <hdrupd_NAME> in the file section"),
    ),
    *rows("block", "DESDM", ACTIVE,
        ("modulelist", NAMES, REQUIRED, "modules, each after those whose outputs it needs"),
        _QCF,
        _USE_QCF,
        _DIVIDE,
        *_RESOURCES,
        *_THREADS,
        *_SAVING,
    ),
    *rows("block", "0.1.0", ACTIVE, *_CLUSTERING),
    *rows("block", "0.1.0", ACTIVE,
        ("planned", LATE, "submission", "late: this block and those after it are planned once the blocks"
         " before it are done, so that their queries see what those made"),
    ),
    *rows("module", "DESDM", ACTIVE,
        ("wrappername", TEXT, REQUIRED, "wrapper, by its name as a plug-in, or exec:PROGRAM; not needed with noop"),
        ("wrapperloop", KEYS, "", "keys: one quantum for each distinct tuple of their values; without them, one"
         " quantum"),
        ("loopobj", REF, "", "dataset whose columns supply the loop values; without it, lists of the campaign do"),
        ("noop", BOOL, "False", "find data for later modules, run nothing"),
        _DIVIDE,
        ("exec_<N>", SECTION, REQUIRED, "programs, in the order of their numbers; not needed with noop"),
        ("file", SECTION, "", "files of a quantum"),
        ("list", SECTION, "", "lists of a quantum"),
        ("list_order", NAMES, "", "lists whose queries are asked first, in this order"),
        ("wrapper", SECTION, "", "parameters of the wrapper"),
        _QCF,
        _USE_QCF,
        *_RESOURCES,
    ),
    *rows("module", "0.1.0", ACTIVE,
        *_CLUSTERING,
        ("order_by", ORDER, "", "keys by which its quanta are numbered, and so run, before those of the loop"),
    ),
    *rows("module", "DESDM", ACTIVE, *_THREADS, *_SAVING),
    *rows("module", "DESDM", RETIRED,
        _DEBUG,
        ("modnamepat", TEXT, "", "pattern of the names of logs and WCL files; facade names logs"
         " UNIT_rREQpATT_MODULE_wNNNNN"),
        ("req_vals", KEYS, "", "further variables for the wrapper; give them in <wrapper>"),
    ),
    *rows("exec", "DESDM", ACTIVE,
        ("execname", TEXT, REQUIRED, "program, as found on the job's PATH"),
        ("used", REFS, "", "what it reads: file.NAME, list.NAME or list.NAME.FILE"),
        ("was_generated_by", REFS, "", "what it makes"),
        ("ancestry", LIST, "", "which of its outputs derives from which input: PARENT:CHILD"),
        ("cmd_hyphen", HYPHEN, "allsingle", "hyphens of options; mixed_gnu:"
         " one for a single letter, two for a word"),
        ("version_flag", TEXT, "", "option that makes it print its version"),
        ("cmdline", SECTION, "", "its command line"),
        _QCF,
    ),
    *rows("exec", "DESDM", PLANNED,
        ("version_pattern", TEXT, "", "regular expression that finds the version in what it prints; facade keeps all"
         " it prints"),
    ),
    *rows("exec", "DESDM", RETIRED,
        ("execnum", COUNT, "", "number of the exec; facade takes it from the section's name"),
    ),
    *rows("cmdline", "DESDM", ACTIVE,
        ("<OPTION>", TEXT, "", "value of an option, with hyphens as cmd_hyphen says; _flag: the option alone. Case is"
         " kept"),
        ("_<NN>", TEXT, "", "argument with a position, 1 is the first behind the program; _<NN>_<NAME> says what it"
         " is"),
    ),
    *rows("file", "DESDM", ACTIVE,
        *_DATASET,
        ("fullname", TEXT, "", "directory in the job and file name, instead of dirpat and filepat"),
        ("dirpat", DIRPAT, REQUIRED, "pattern of its directories, from <directory_pattern>; not needed with fullname"),
        ("filetype", NAME, REQUIRED, "filetype; needed for outputs and generic queries"),
        ("listonly", BOOL, "False", "describes members of a list; a quantum has no such file of its own"),
        ("optional", BOOL, "False", "may be missing; a query for it may find nothing"),
        ("savefiles", BOOL, "True", "copy it to the archive"),
        ("ignore_multiple_error", BOOL, "False", "a quantum may have several such files"),
    ),
    *rows("file", "LSST", ACTIVE,
        ("rename_file", TEXT, "", "second name of an input in its directory of the job"),
    ),
    *rows("file", "DESDM", VARIABLE,
        *_VARIABLES,
        ("rundir", TEXT, "", "directory that patterns use"),
        ("ops_enddir", TEXT, "", "last part of a directory that patterns use"),
    ),
    *rows("file", "LSST", VARIABLE,
        ("job_enddir", TEXT, "", "last part of a directory in the job that patterns use"),
        ("job_outtype", TEXT, "", "part of a directory in the job that patterns use"),
    ),
    *rows("file", "DESDM", ACTIVE,
        ("compress_files", BOOL, "False", "compress it before it is archived ([outputs.md](outputs.md)); of outputs"
         " that are saved"),
        ("hdrupd_<NAME>", SECTION, "", "cards to write into it before it is checked and kept: KEY ="
         " VALUE/COMMENT/TYPE"),
    ),
    *rows("file", "0.1.0", ACTIVE,
        ("allow_empty", BOOL, "False", "an empty output is no fault"),
    ),
    *rows("file", "LSST", RETIRED,
        ("repoingest", TEXT, "", "command that made an input known to the job's repository; the lsst wrapper writes"
         " its registry itself"),
    ),
    *rows("hdrupd", "DESDM", ACTIVE,
        ("headers", LIST, "", "numbers or names of the HDUs to write the cards into; without it, 0: the primary one"),
        ("<KEY>", TEXT, "", "VALUE/COMMENT/TYPE, or VALUE; TYPE is str, int, float or bool; VALUE may be"
         " header:[HDU:]KEY or function:NAME"),
    ),
    *rows("list", "DESDM", ACTIVE,
        *_DATASET,
        ("dirpat", DIRPAT, "", "pattern of the list file's directories; needed if it has a name"),
        ("filetype", NAME, "", "filetype that a generic query looks for"),
        ("columns", LIST, REQUIRED, "columns of the list file: COLUMN, FILE.COLUMN, FILE.fullname"),
        ("format", LIST_FORMAT, "textsp", "what stands between columns: a blank, a comma,"
         " a tab"),
        ("sortkey", TEXT, "", "columns by which lines are ordered: KEY, KEY, or (KEY, numeric, reverse)"),
        ("allow_missing", BOOL, "False", "a quantum may have no line, and a line whose file is not there is left out"),
        ("div_list_by_col", SECTION, "", "<NAME> sections in it: lists of the same lines, each with columns, format and"
         " file of its own; what one does not say the list says"),
    ),
    *rows("list", "0.1.0", ACTIVE,
        ("header", BOOL, "False", "begin the list file with a line of column names"),
    ),
    *rows("list", "DESDM", VARIABLE, *_VARIABLES),
    *rows("wrapper", "LSST", ACTIVE,
        ("job_repo_dir", BELOW, "", "repository to make, below the job's directory"),
        ("mapper", TEXT, "", "class that knows the repository's layout"),
        ("butler_template", BELOW, "", "YAML file with templates of file names for the repository"),
        ("untar_files", LIST, "", "tar files to unpack first"),
        ("ref_cats_root", PATH, "", "folder to be found as ref_cats in the repository"),
        ("per_file_cmdline", TEXT, "", "list.LIST.FILE:TEMPLATE: words to add for each line; $(COLUMN) is the line's"
         " column"),
        ("add_cmdline", TEXT, "", "'SEPARATOR'.join(list.LIST.FILE.COLUMN): to add to the end of the last word"),
    ),
    *rows("wrapper", "0.1.0", ACTIVE,
        ("untar_dir", BELOW, "", "where to unpack; without it, beside each tar file"),
    ),
    *rows("filename_pattern", "DESDM", ACTIVE,
        ("<NAME>", TEXT, "", "template of a file name; filepat names it"),
    ),
    *rows("directory_pattern", "DESDM", ACTIVE,
        ("ops", BELOW, REQUIRED, "template of the directory below the archive's root"),
        ("runtime", BELOW, REQUIRED, "template of the directory in the job; the pattern 'log' needs none"),
    ),
    *rows("filetype", "DESDM", ACTIVE,
        ("metadata_table", NAME, "", "table that keeps the metadata; needed if there are columns"),
    ),
    *rows("filetype", "0.1.0", ACTIVE,
        ("ingestor", NAME, "plain", "plug-in by which facade ingest learns about such files; without it, fits if"
         " columns are read from headers"),
        ("archive_path", TEXT, "", "directory below the archive's root, for files that are ingested"),
        ("columns", SECTION, "", "the metadata"),
        ("contents_table", NAME, "", "table for the rows of such files, with <contents>; facade ingest fills it"),
        ("contents_hdu", TEXT, "the first table", "name or number of the HDU that has the rows"),
        ("contents", SECTION, "", "columns of that table"),
    ),
    *rows("filetype", "DESDM", RETIRED,
        ("filetype_mgmt", TEXT, "", "Python class that ingested such files; name an ingestor"),
        ("hdus", SECTION, "", "headers that become metadata; write <columns>"),
    ),
    *rows("columns", "0.1.0", ACTIVE,
        ("<COLUMN>", TEXT, "", "TYPE [required] [SOURCE] [[UNIT]] [ucd:UCD] [- DESCRIPTION]: what is in brackets may be"
         " left out; SOURCE is header:[HDU:]KEY, wcl:NAME, filename:PATTERN[:NAME] or function:NAME, and without it"
         f" planning or the ingestor knows the value; TYPE is one of {', '.join(COLUMN_TYPES)}"),
    ),
    *rows("contents", "0.1.0", ACTIVE,
        ("<COLUMN>", TEXT, "", "TYPE [column:NAME]: NAME is what the column is called in the file, NAME[2] the second"
         " of several values that it has in each row; without it, the same name"),
    ),
    *rows("job_environment", "DESDM", ACTIVE,
        ("<VARIABLE>", TEXT, "", "value of an environment variable, whose name is written in capitals in the job"),
    ),
    *rows("max_jobs", "0.1.0", ACTIVE,
        ("<CATEGORY>", COUNT, "", "how many jobs of that category run at once"),
    ),
    *rows("qcf", "DESDM", ACTIVE,
        ("override", BOOL, "False", "only this section: not the patterns and excludes of those around it"),
        ("patterns", SECTION, "", "what is looked for in what programs print, line by line"),
        ("excludes", SECTION, "", "what a line must not hold to be a message"),
        ("filter", SECTION, "", "texts that are replaced before; the saved log stays as it was printed"),
    ),
    *rows("pattern", "DESDM", ACTIVE,
        ("pattern", TEXT, REQUIRED, "regular expression, taken as it is written, blind to case"),
        ("lvl", LEVEL, "1", "1 error, 2 warning, 3 information"),
        ("priority", INT, "", "of the patterns that a line matches, that with the lowest number counts; without it,"
         " the position in the section"),
        ("execname", LIST, "", "programs, wrappers or modules that it is for; without it, or with global, for all"),
        ("number_of_lines", COUNT, "1", "lines of the message, the one that matches included"),
        ("only_matched", BOOL, "False", "keep of the line what matches"),
    ),
    *rows("exclude", "DESDM", ACTIVE,
        ("pattern", TEXT, REQUIRED, "regular expression: a line that matches it is no message"),
        ("exec", LIST, "", "programs, wrappers or modules that it is for; without it, for all"),
    ),
    *rows("filter", "DESDM", ACTIVE,
        ("replace_pattern", TEXT, REQUIRED, "text to replace, or chr(27): the character of that number"),
        ("with_pattern", TEXT, "", "text to put in its place"),
        ("exec", LIST, "", "programs, wrappers or modules that it is for; without it, for all"),
    ),
    *rows("archive", "DESDM", ACTIVE,
        ("root", PATH, "archive", "its directory, or its address: https://…, s3://BUCKET/…; counts in the site file, is"
         " a variable in a campaign"),
    ),
    *rows("archive", "0.1.0", ACTIVE,
        ("shared", BOOL, "False", "whether all of HTCondor's machines see its directory, though not run directories"),
        ("transfers", COUNT, "", "transfers that run at once on a host, over all jobs; without it, any number"),
        ("slots", PATH, "", "folder of each host by which those are counted; without it, one in /tmp"),
        ("tries", COUNT, "5", "how often a transfer is tried that fails on its way"),
        ("pause", TEXT, "0.5", "seconds between the first try and the second; then twice as long each time"),
        ("timeout", TEXT, "60", "seconds of silence after which a connection counts as lost"),
        ("credentials", PATH, "", "of HTTP a netrc file, of S3 a file like ~/.aws/credentials; those are the defaults"),
        ("token_file", PATH, "", "file with a bearer token for HTTP, read anew for each request"),
        ("ca_file", PATH, "", "certificates that vouch for the server, where the system does not know it"),
        ("endpoint", TEXT, "", "address of an S3 server that is not Amazon's"),
        ("region", TEXT, "", "region of S3; without it, what the profile says, or us-east-1"),
        ("profile", NAME, "", "profile in the files of S3's credentials and settings"),
    ),
    *rows("site", "0.1.0", ACTIVE,
        ("database", TEXT, "", "URL of the PostgreSQL server; without it facade keeps one itself"),
        ("home_archive", NAME, "home", "archive that keeps the files"),
        ("target_archive", NAME, "", "target_archive of campaigns that name none"),
        ("archive", SECTION, "", "the archives"),
        ("runs", PATH, "runs", "where run directories go"),
        ("workers", COUNT, "", "worker processes of the local engine; without it, one for each CPU"),
        ("engine", choice("local", "htcondor"), "local", "what facade submit uses without --engine"),
        ("shared_filesystem", BOOL, "True", "whether HTCondor's machines see run directories under the same path"
         " ([htcondor.md](htcondor.md))"),
        ("python", PATH, "", "Python with facade on those machines; without it, the one that submits"),
        ("send_credentials", BOOL, "False", "whether files with passwords go along with jobs to machines without a"
         " shared file system"),
        ("include_path", LIST, "", "folders in which <<include>> looks last"),
        ("filetypes", PATH, "filetypes/all.wcl", "filetypes that are known without --definitions"),
        ("permitted_functions", LIST, "", "modules whose functions campaigns may call though they are not registered"),
        ("defaults", SECTION, "", "what lies beneath every campaign, which wins over it"),
    ),
)
# fmt: on
"""Every keyword, section by section."""

AS_FACADE_DOES = {
    "when_to_email": "never",
    "submit_files_mvmt": "True",
    "stop_on_fail": "False",
    "use_db_in": "False",
}
"""Values of keywords without an effect that ask for what facade does anyway; they need no warning."""


@cache
def keywords_of(*sections: str) -> dict[str, Keyword]:
    """Return the keywords of *sections* by name; those of an earlier one win."""
    return {one.name: one for section in reversed(sections) for one in KEYWORDS if one.section == section}
