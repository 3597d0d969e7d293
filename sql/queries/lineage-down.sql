-- lineage-down: what was made from a file, however far on; nearest first
-- :file  its name, with its compression
-- example: facade sql lineage-down --file HSCA90398616.fits
\set file HSCA90398616.fits
with recursive lineage (id, depth) as (
  select d.id, 0
    from desfile d
   where (d.filename, d.compression) in ((:'file', ''),
           (regexp_replace(:'file', '\.[^.]*$', ''), coalesce(substring(:'file' from '\.[^.]*$'), '')))
  union
  select step.id, l.depth + 1
    from lineage l
    cross join lateral (
      select w.child_desfile_id as id from opm_was_derived_from w where w.parent_desfile_id = l.id
      union all
      select made.id from opm_used u join desfile made on made.wgb_task_id = u.task_id where u.desfile_id = l.id
    ) step
   where l.depth < 200
), nearest as (
  select id, min(depth) as depth from lineage group by id
)
select n.depth, d.filename || d.compression as filename, d.filetype, q.modname as module, e.name as exec,
       attempt_name(a) as attempt
  from nearest n
  join desfile d on d.id = n.id
  left join pfw_exec e on e.task_id = d.wgb_task_id
  left join quantum q on q.task_id = coalesce(e.pfw_wrapper_task_id, d.wgb_task_id)
  left join pfw_attempt a on a.id = d.pfw_attempt_id
 order by n.depth, d.filename, d.compression;
