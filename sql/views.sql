-- Views that keep DMTN-059's names for what lies in better tables.

create view pfw_wrapper as
  select q.task_id, q.pfw_attempt_id, q.pfw_block_task_id, q.pfw_job_task_id, q.wrapnum, q.name, q.modname, q.wrapkeys,
         l.filename || l.compression as log
    from quantum q
    join task t on t.id = q.task_id
    left join desfile l on l.id = q.log_desfile_id
   where t.start_time is not null;
comment on view pfw_wrapper is 'quanta that have started, whatever became of them';

create view file_archive_info as
  select l.desfile_id, d.filename, l.archive_name, l.path, d.compression
    from file_location l
    join desfile d on d.id = l.desfile_id;
comment on view file_archive_info is 'file locations with file names; one row per file and archive';

create view opm_was_generated_by as
  select id as desfile_id, wgb_task_id as task_id from desfile;
comment on view opm_was_generated_by is 'provenance: the file was made by the task';
