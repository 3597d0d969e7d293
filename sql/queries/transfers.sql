-- transfers: what the quanta of an attempt fetched from archives and stored there, how fast, by module and host
-- :attempt  its name (Ht0_r11p01) or id
-- example: facade sql transfers --attempt Ht0_r11p01
\set attempt Ht0_r11p01
select q.modname as module, t.exec_host as host, d.direction, count(*) as quanta, sum(d.bytes)::bigint as bytes,
       round(sum(d.seconds)::numeric, 3) as seconds,
       round((sum(d.bytes) / nullif(sum(d.seconds), 0) / 1e6)::numeric, 2) as mb_per_s, sum(d.retries) as retries
  from quantum q
  join task t on t.id = q.task_id
 cross join lateral (values ('fetched', q.fetched_bytes, q.fetched_seconds, q.retries),
                            ('stored', q.stored_bytes, q.stored_seconds, null)) d (direction, bytes, seconds, retries)
 where q.pfw_attempt_id = attempt_id(:'attempt')
   and d.bytes is not null
 group by q.modname, t.exec_host, d.direction
 order by min(q.wrapnum), t.exec_host, d.direction;
