-- resources: wall time (median, longest, hours of all), CPU time and memory (median, most) of an attempt's quanta, by module
-- :attempt  its name (Ht0_r11p01) or id
-- example: facade sql resources --attempt Ht0_r11p01
\set attempt Ht0_r11p01
select q.modname as module, count(*) as quanta, count(*) filter (where t.state <> 'succeeded') as unsuccessful,
       round((percentile_cont(0.5) within group (order by w.wall))::numeric, 2) as wall_s,
       round(max(w.wall)::numeric, 2) as wall_max_s, round(sum(w.wall)::numeric / 3600, 4) as wall_h,
       round(sum(x.cpu)::numeric / 3600, 4) as cpu_h,
       round((percentile_cont(0.5) within group (order by x.memory))::numeric / 1024, 1) as memory_mb,
       round(max(x.memory)::numeric / 1024, 1) as memory_max_mb
  from quantum q
  join task t on t.id = q.task_id
 cross join lateral (select extract(epoch from t.end_time - t.start_time) as wall) w
  left join lateral (select sum(e.utime + e.stime) as cpu, max(e.maxrss) as memory
                       from pfw_exec e where e.pfw_wrapper_task_id = q.task_id) x on true
 where q.pfw_attempt_id = attempt_id(:'attempt')
   and t.start_time is not null and t.end_time is not null
 group by q.modname
 order by min(q.wrapnum);
