-- wallclock: how long an attempt took, from its first job's start to its last job's end (DMTN-059)
-- :reqnum  number of the request
-- :attnum  number of the attempt
-- example: facade sql wallclock --reqnum 11 --attnum 1
\set reqnum 11
\set attnum 1
select a.unitname, t.end_time - t.start_time as wallclock
  from task t, pfw_attempt a
 where t.id = a.task_id
   and a.reqnum = :'reqnum'
   and a.attnum = :'attnum'
 order by a.unitname;
