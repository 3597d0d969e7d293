-- messages: what programs of an attempt printed that matches a message pattern, the worst first; where, and how many
-- :attempt  its name (Ht0_r11p01) or id
-- example: facade sql messages --attempt Ht0_r11p01
\set attempt Ht0_r11p01
select case m.message_lvl when 1 then 'error' when 2 then 'warning' else 'information' end as level,
       q.wrapnum, q.modname, q.wrapkeys, m.run, m.execnum, m.message_time, m.message,
       coalesce((select coalesce(a.root || '/', '') || l.path || '/'
                   from desfile d
                   join file_location l on l.desfile_id = d.id
                   join archive a on a.name = l.archive_name
                  where d.filename = m.log_file and d.compression = ''
                  order by a.name limit 1), '') || m.log_file as log,
       m.log_line, m.pattern, c.messages as of_this_pattern
  from task_message m
  join quantum q on q.task_id = m.task_id
  left join task_message_count c on c.task_id = m.task_id and c.run = m.run
        and c.message_lvl = m.message_lvl and c.pattern = m.pattern
 where m.pfw_attempt_id = attempt_id(:'attempt')
 order by m.message_lvl, q.wrapnum, m.run, m.execnum, m.log_line;
