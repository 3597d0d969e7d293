-- failed: quanta of an attempt that failed, are blocked or lost: why, and the last message of their programs
-- :attempt  its name (Ht0_r11p01) or id
-- example: facade sql failed --attempt Ht0_r11p01
\set attempt Ht0_r11p01
select q.wrapnum, q.modname, q.wrapkeys, t.state, q.failure_class, q.failure_step, q.failure_message, t.status, t.exec_host,
       m.message as last_message
  from quantum q
  join task t on t.id = q.task_id
  left join lateral (select message from task_message where task_id = q.task_id and run = t.run
                      order by message_time desc, id desc limit 1) m on true
 where q.pfw_attempt_id = attempt_id(:'attempt')
   and t.state in ('failed', 'blocked', 'lost')
 order by q.wrapnum;
