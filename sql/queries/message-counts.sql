-- message-counts: how many messages of each pattern an attempt had, in how many quanta; the worst first
-- :attempt  its name (Ht0_r11p01) or id
-- example: facade sql message-counts --attempt Ht0_r11p01
\set attempt Ht0_r11p01
select case c.message_lvl when 1 then 'error' when 2 then 'warning' else 'information' end as level,
       q.modname, c.pattern, sum(c.messages)::bigint as messages, count(distinct c.task_id) as quanta
  from task_message_count c
  join quantum q on q.task_id = c.task_id
 where q.pfw_attempt_id = attempt_id(:'attempt')
 group by c.message_lvl, q.modname, c.pattern
 order by c.message_lvl, sum(c.messages) desc, q.modname, c.pattern;
