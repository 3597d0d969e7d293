-- Views that keep DMTN-059's names for what lies in better tables.

create view pfw_wrapper as
  select q.task_id, q.pfw_attempt_id, q.pfw_block_task_id, q.pfw_job_task_id, q.wrapnum, q.name, q.modname, q.wrapkeys,
         l.filename || l.compression as log
    from quantum q
    join task t on t.id = q.task_id
    left join desfile l on l.id = q.log_desfile_id
   where t.start_time is not null;
comment on view pfw_wrapper is 'quanta that have started, whatever became of them';

create view pfw_decision as
  select pfw_attempt_id, wrapnum, modname, wrapkeys, 'run' as decision, reason, null::bigint as source_task_id from quantum
  union all
  select pfw_attempt_id, wrapnum, modname, wrapkeys, decision::text, reason, source_task_id from left_out;
comment on view pfw_decision is 'every quantum of an attempt''s plan: run, reuse, not-needed or not-selected, and why';

create view attempt_product as
  select pfw_attempt_id, id as desfile_id, null::bigint as reused_from_attempt_id
    from desfile
   where pfw_attempt_id is not null and filetype not in ('log', 'list')
  union all
  select l.pfw_attempt_id, d.id, q.pfw_attempt_id
    from left_out l
    join quantum q on q.task_id = l.source_task_id
   cross join unnest(q.outputs, q.suffixes) o (name, suffix)
    join desfile d on d.filename = o.name and d.compression = coalesce(o.suffix, '');
comment on view attempt_product is 'products of an attempt: what it made, and what it took from earlier attempts instead';

create view file_archive_info as
  select l.desfile_id, d.filename, l.archive_name, l.path, d.compression
    from file_location l
    join desfile d on d.id = l.desfile_id;
comment on view file_archive_info is 'file locations with file names; one row per file and archive';

create view opm_was_generated_by as
  select id as desfile_id, wgb_task_id as task_id from desfile;
comment on view opm_was_generated_by is 'provenance: the file was made by the task';
