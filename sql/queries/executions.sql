-- executions: how many quanta of each module an attempt has started (DMTN-059)
-- :reqnum  number of the request
-- :attnum  number of the attempt
-- example: facade sql executions --reqnum 11 --attnum 1
\set reqnum 11
\set attnum 1
select w.modname, count(*) as executions
  from pfw_wrapper w, pfw_attempt a
 where w.pfw_attempt_id = a.id
   and a.reqnum = :'reqnum'
   and a.attnum = :'attnum'
 group by w.modname
 order by min(w.wrapnum);
