-- failed: quanta of an attempt (its id) that failed, are blocked or lost, and why
select q.wrapnum, q.modname, q.wrapkeys, t.state, q.failure_class, q.failure_step, q.failure_message, t.status, t.exec_host
  from quantum q
  join task t on t.id = q.task_id
 where q.pfw_attempt_id = :attempt
   and t.state in ('failed', 'blocked', 'lost')
 order by q.wrapnum;
