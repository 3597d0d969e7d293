-- used-by: executions that read a file, such as a calibration
-- :file  its name, with its compression
-- example: facade sql used-by --file BIAS-sim59-016.fits
\set file BIAS-sim59-016.fits
select a.reqnum, a.unitname, a.attnum, q.wrapnum, q.modname, e.name as exec, e.version, t.exec_host, t.start_time
  from desfile d
  join opm_used u on u.desfile_id = d.id
  join pfw_exec e on e.task_id = u.task_id
  join quantum q on q.task_id = e.pfw_wrapper_task_id
  join pfw_attempt a on a.id = e.pfw_attempt_id
  join task t on t.id = e.task_id
 where (d.filename, d.compression) in ((:'file', ''),
         (regexp_replace(:'file', '\.[^.]*$', ''), coalesce(substring(:'file' from '\.[^.]*$'), '')))
 order by e.task_id;
