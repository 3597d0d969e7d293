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
    "F009": "A key has nothing behind its '='. The line is ignored, as in the original; an empty one is written \"\".",
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
    "F020": "A '#' is data, because the value is quoted or a backslash stands before it. The original cut it there.",
    "F021": "A value stands in quotes that it does not need. They are not part of it; in the original they were.",
    "F022": "A '#' begins a comment inside quotes that do not hold the whole value.",
    "F023": "The text holds a NUL byte.",
    "F024": "A key is set twice in one section of one file. The later value counts.",
    "F025": "A file is not UTF-8 text. Save it as UTF-8.",
    "F026": "Quotes around a whole value make it one scalar. In the original they were data; quoted twice they are.",
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
    # F2: the campaign as a whole
    "F201": "A campaign lacks a keyword that it must have. Add it at top level.",
    "F205": "The blocklist names a block that no <block> section defines. Mend the name, or define the block.",
    "F206": "The blocklist names a block twice; a block runs once. Remove one of the two.",
    "F207": "A blocklist or modulelist holds no name. Name what is to run.",
    "F208": "A block has no modulelist. Add one, or take the block out of the blocklist.",
    "F209": "A modulelist names a module that no <module> section defines. Mend the name, or include the file with it.",
    "F210": "A module stands in two modulelists, or twice in one; a module runs once. Copy it under another name.",
    "F211": "The type of a metadata column is none that the registry has. Write one of those the message names.",
    "F212": "The source of a metadata column is not understood. Write header:KEY, wcl:NAME, filename:PATTERN,"
    " function:NAME, or nothing if planning or the ingestor knows the value.",
    "F213": "A filetype has columns but no metadata_table to keep them in, or contents but no contents_table. Name a"
    " table, or remove the columns.",
    "F214": "A key stands in a section that has fixed keys, and is none of them. Mend or remove it.",
    "F215": "The site file has a key that no site file has. Mend its name; what campaigns share goes into <defaults>.",
    "F216": "An archive in the site file cannot be: its address is none that facade reaches, holds a user or password,"
    " or a key is wrong. The message says which; passwords go into a file of mode 0600.",
    "F217": "The unit or UCD of a metadata column is written twice, or is none. Write [UNIT] and ucd:WORD once.",
    "F218": "A metadata column or its table cannot be: the name is none for a table or is taken, or type or unit differ"
    " from those of another filetype with the same table.",
    "F219": "A metadata column is to be read from the file's name by a pattern that is not defined, or that does not"
    " hold it. Mend the name, or define the pattern in <filename_pattern>.",
    "F220": "A value is not of the type that its keyword has. The message says what it must be, the line below how"
    " such values are written; facade show keywords lists all types.",
    "F221": "A keyword of the original on which facade does not act yet. The message says what facade does; remove"
    " the keyword if that is right.",
    "F222": "A keyword of the original that has no effect in facade. The message says what there is instead.",
    "F223": "A key is neither a keyword of its section nor used as a variable anywhere, so it does nothing. Mend the"
    " name, use the variable, or remove it.",
    "F224": "A keyword stands in a section where it has no effect. Move it to the section that the message names.",
    "F225": "A section looks like a misspelt one, and as it stands would be ignored. Mend its name.",
    "F226": "A section means nothing where it stands, and nothing refers to it. Move, mend or remove it.",
    "F230": "A label is longer than the registry keeps. Shorten it.",
    "F231": "save_run_vals names a variable that is defined nowhere. Mend the name, or define it.",
    "F232": "A category in <max_jobs> is that of no module or block. Mend its name, or remove the line.",
    "F233": "The first block is to be planned late, but there is nothing that it could wait for. Remove 'planned'.",
    "F235": "The arguments of the program that compresses outputs do not say where the file's name belongs.",
    "F236": "The target archive is asked for but not named, or is none of the site file's archives, or is the home"
    " archive. Name one that the site file has in <archive>.",
    "F237": "Outputs are to come home later than their job, and nothing keeps them until then. Name a target_archive"
    " and set use_target_archive_output = job, or let jobs bring them home.",
    "F238": "Inputs are not to be taken from home by jobs, and there is nowhere else. Name a target_archive and set"
    " use_target_archive_input = job.",
    # F3: modules
    "F301": "A module does not say which wrapper runs it. Add wrappername, or noop = True if it only finds data.",
    "F302": "A module has no exec section, so it runs nothing. Add <exec_1>, or noop = True if it only finds data.",
    "F303": "An exec section does not name its program. Add execname.",
    "F304": "A module refers to a file or list that it does not define. Mend the name, or define the section.",
    "F306": "A key of a command line begins with '_' but gives no position. Write _01, _02_name …; 1 is right"
    " behind the program.",
    "F307": "An item of ancestry is not PARENT:CHILD. Write for example file.raw:file.calexp.",
    "F308": "Ancestry names an output that the program does not make, or an input that it does not have. Name"
    " them in was_generated_by and used of the same exec.",
    "F309": "A generic query has a field without a value. Define a variable of that name in the section or around it.",
    "F310": "A generic query does not say what it looks for. Add filetype to the section, or query_table"
    " to ask a dimension table.",
    "F311": "A filetype is not defined. Mend the name, or add it to <filetype_metadata>.",
    "F312": "A file section does not say where its files lie. Add dirpat, or give fullname.",
    "F313": "An output has no name. Add filepat (and the variables it uses), or filename.",
    "F314": "A file section has neither a name nor a query nor depends, so nothing can be found for it. Add one"
    " of them.",
    "F315": "A file takes new names, but has no pattern to make them. Add filepat.",
    "F316": "An output has no filetype, so nothing is known of its metadata. Add filetype.",
    "F317": "A list does not say what stands on its lines. Add columns.",
    "F318": "A list file has a name but no directory. Add dirpat.",
    "F319": "A list wants a fullname but does not say of which file. Write FILE.fullname.",
    "F320": "A sortkey is neither a list of columns nor (KEY, numeric, reverse). Mend it.",
    "F321": "A module has a loop object but no loop. Add wrapperloop, or remove loopobj.",
    "F322": "An output is marked listonly, so no quantum would make it. Remove listonly.",
    "F323": "add_cmdline is not 'SEPARATOR'.join(list.LIST.FILE.COLUMN). Write it like that.",
    "F324": "per_file_cmdline is not list.LIST.FILE:TEMPLATE. Write it like that.",
    "F325": "The name of a file or list holds a dot, which separates the parts of a reference. Choose another name.",
    "F326": "An item of depends is no MODULE.file.NAME, MODULE.list.NAME or MODULE.list.NAME.FILE. Mend it.",
    "F327": "A dataset has both a query and depends, of which only one counts. Remove the other.",
    "F328": "query_table is not the table of the query's filetype, and has no effect. Remove it.",
    "F330": "A member of a list is not marked listonly, so each quantum looks for one such file of its own. Add"
    " listonly = True, unless that is meant: then name it in used.",
    "F331": "A program uses and makes files but has no ancestry, so provenance will not say what was made from"
    " what. Add ancestry.",
    "F332": "A program is called without any argument. Add <cmdline>.",
    "F333": "A program is given by its path, which need not be the same on all machines. Name it alone, and set"
    " the PATH of jobs in <job_environment>.",
    "F334": "Nothing refers to a file section: no program, list, loop, pattern or other module. Use or remove it.",
    "F335": "A key stands in <file> or <list> itself, where it belongs to no file or list. Put it into one of the"
    " sections.",
    "F336": "A column of a list is written as $FMT{…} but not as $FMT{%FORMAT,FILE.COLUMN}.",
    "F337": "Two lists of a module have one name, of which one is a part of another (div_list_by_col). Rename it.",
    "F340": "A message pattern or exclude cannot be looked for. Write it as docs/messages.md shows.",
    "F341": "A key stands in <patterns>, <excludes> or <filter> itself. Put it into a section there, such as <1>.",
    "F342": "A message pattern, exclude or filter does not say what it looks for. Add pattern, or replace_pattern.",
    "F343": "A message pattern, exclude or filter is for a program that the campaign does not run. Mend the name.",
    "F344": "A filter replaces nothing, or an end of line. Write the text to replace, or chr(27) for ESC.",
    "F350": "A card of an output cannot be written: its keyword is not one of FITS, or describes the data themselves.",
    "F351": "A card of an output is not VALUE/COMMENT/TYPE. Mend its type, quote a value that holds a '/', and refer"
    " only to what is known of the quantum or the output.",
    # F4: modules among each other
    "F401": "A module loops over a key that no line of its loop object has. Mend the key, or let the query supply it.",
    "F402": "A column is asked of a list whose lines do not have it. Mend its name, or let the query supply it.",
    "F403": "A dataset is divided by a key that its lines, or the quanta of its module, do not have. Mend the key,"
    " or loop over it.",
    "F404": "The name of an output is the same for several quanta, which would write over each other's file. Let"
    " the pattern use every loop key, or ${wrapnum}.",
    "F405": "The name of an output lacks a loop key. Let the pattern use it, unless the rest of the name tells the"
    " quanta apart.",
    "F406": "Two sections write files of one name. Give each something of its own, such as flabel.",
    "F407": "Two modules name their files by one pattern. Give each something of its own, such as flabel, unless the"
    " values in the names always differ.",
    "F408": "depends names a module that is not defined. Mend the name, or include the file with it.",
    "F409": "depends names a module that no modulelist names, so nothing comes of it. Add it to one, before the module"
    " that depends on it.",
    "F410": "A module depends on one that runs later. Change the order in modulelist or blocklist.",
    "F411": "A module depends on itself. Name an earlier module, or add a query.",
    "F412": "depends names a file or list that the other module does not have. Mend the name.",
    "F413": "Modules need each other's files in a circle, so that no order is right. Split one of them.",
    "F414": "A file is looked for by its name before any quantum makes it. Change the order of the modules, or name the"
    " two differently.",
    "F415": "A section names a pattern that is not defined. Mend the name, or define it in <filename_pattern> or"
    " <directory_pattern>.",
    "F416": "A text refers to a file or list that its module does not have. Mend the name, or define the section.",
    "F417": "A module is defined beside the modulelists, but none of them names it. Add it to one, or remove it.",
    "F418": "A block is defined beside the blocklist, which does not name it. Add it, or remove it.",
    "F419": "A variable never counts, because whatever uses its name finds a nearer definition. Remove one of the two.",
    "F420": "A variable has the name of a loop key whose values come from the loop object, so it never counts. Remove"
    " it.",
    "F421": "A program is not on the path that jobs of this host have. Install it, or set path in <job_environment>.",
    "F422": "A block reads an output of an earlier block that the archive does not have under this name: it is not"
    " saved, or only compressed. Save it, or set compress_cleanup = False.",
    # F5: planning, once the rows are known
    "F501": "A query found nothing. Ingest the inputs, or widen the query.",
    "F502": "A file that the campaign names is neither made earlier nor registered.",
    "F503": "A quantum finds no line with its keys in a dataset.",
    "F504": "A quantum finds several lines with its keys where one file is wanted. Divide by more keys.",
    "F505": "A pattern makes a name that no file can have.",
    "F506": "A directory leaves the job directory or the archive.",
    "F507": "rename_file makes a name that no file can have.",
    "F508": "A cell of a list would be read as two, or as none. Use format = textcsv.",
    "F509": "add_cmdline asks for a column that a line of the list does not have.",
    "F510": "Two quanta, or a quantum and a registered file, have one name. Let the pattern use every loop key.",
    "F511": "A file is needed before it is made. Reorder the modules, or name the files differently.",
    "F512": "A query finds a file that the campaign makes anew.",
    "F513": "A dataset that a module loops over, or depends on, is empty.",
    "F514": "A loop key has no values, or its column is not in the loop object.",
    "F515": "A line has no value, or several, of a key by which it is divided or sorted.",
    "F516": "The lines that a file section depends on hold several files each. Name one of them.",
    "F517": "A file has no pattern, and its lines have no file names.",
    "F518": "Jobs of a block wait for each other in a circle. Choose divide_jobs_by such that they need not.",
    "F519": "ops_run_dir leaves the archive. It is a relative path without '..'.",
    "F520": "Two arguments of a command line have the same position.",
    "F521": "A pattern has not the form that its use needs: directories have 'ops' and 'runtime', names are texts.",
    "F522": "A job would hold quanta of different categories. Give its modules one, or other divide_jobs_by.",
    "F523": "A value does not fit the format that $FMT gives it.",
    "F524": "Several members of a list stand for more than one file each, so its lines are not determined.",
    "F525": "A job reads an output of another job that the archive does not have under this name: it is not saved, or"
    " only compressed. Save it, set compress_cleanup = False, or let divide_jobs_by put both into one job.",
    "F526": "An output that is to be compressed has the name of a compressed file already.",
    "F527": "A required column of metadata has no value for an output, as far as planning is to know it. Let a key,"
    " variable or column have its name, or take its source from elsewhere.",
    "F528": "A value that planning knows does not fit the type of its column of metadata. Mend the value, or the type.",
    # F6: queries and plug-ins
    "F601": "A query code failed, could not read its arguments, or is not installed.",
    "F602": "A module names a wrapper that is not installed. One that is a program is named exec:PROGRAM.",
    "F603": "An executable query ended with an error; the message shows the last lines that it wrote to stderr. Try it"
    " by hand.",
    "F604": "What a query wrote or returned is not lines of files. Write WCL or JSON as docs/plugins.md shows.",
    "F605": "A query answers with files that are not registered, or lie in no archive that jobs read. Ingest them.",
    "F606": "A query does not supply a column that output_fields promises. Mend the query, or output_fields.",
    "F607": "A column of metadata or a card names a function that is not installed.",
}
