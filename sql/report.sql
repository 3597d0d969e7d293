-- report(receipts, lines): apply consecutive lines of receipts (docs/contracts.md), each exactly once.
-- What many lines tell goes into each table by one statement, so order matters only within a file or task, and there
-- it is kept. Raises ZF001 when a file is registered with other content, ZF002 when a line names what was never
-- registered; then nothing of the call stays. Receipts, tasks and file names are locked sorted: two jobs with
-- overlapping names never deadlock.

create type told_line as (
  place bigint, receipt uuid, job bigint, attempt bigint, run smallint, host text, seq int, kind text, moment timestamptz,
  line jsonb
);
comment on type told_line is 'a line of a receipt, and whose it is; place counts the lines of a call';

create function open_receipts(given uuid[], told jsonb[]) returns setof receipt language plpgsql as $$
-- those whose first line has not come are left out
declare
  stray bigint;
begin
  if exists (select from unnest(given) g where not exists (select from receipt where id = g)) then
    select (l ->> 'job')::bigint into stray
      from unnest(told) t, jsonb_array_elements(t) l
     where l ->> 'kind' = 'job-started'
       and not exists (select from pfw_job where task_id = (l ->> 'job')::bigint) limit 1;
    if found then
      raise exception 'no job has task %', stray using errcode = 'ZF002';
    end if;
    insert into receipt (id, job_task_id, run, host, last_seq)
    select g, (l ->> 'job')::bigint, (l ->> 'run')::smallint, l ->> 'host', 0
      from unnest(given, told) as u (g, lines), jsonb_array_elements(u.lines) l
     where l ->> 'kind' = 'job-started' order by g
    on conflict do nothing;
  end if;
  return query select * from receipt where id = any (given) order by id for update;
end $$;
comment on function open_receipts is 'find receipts or make them from their job-started lines, and lock them, sorted';

create function new_lines(given uuid[], told jsonb[]) returns told_line[] language sql as $$
  with opened as materialized (select * from open_receipts(given, told)),
  flat as (
    select distinct on (o.id, s.seq) o.id, o.job_task_id, o.run, o.host, o.last_seq, s.seq, l.line
      from unnest(given, told) as u (g, lines)
      join opened o on o.id = u.g
     cross join lateral jsonb_array_elements(u.lines) as l (line)
     cross join lateral (select (l.line ->> 'seq')::int as seq) s
     where s.seq > o.last_seq
     order by o.id, s.seq),
  numbered as (
    select *, row_number() over (partition by id order by seq) as place, row_number() over (order by id, seq) as number
      from flat)
  select array_agg(row(n.number, n.id, n.job_task_id, j.pfw_attempt_id, n.run, n.host, n.seq, n.line ->> 'kind',
                       (n.line ->> 'at')::timestamptz, n.line)::told_line order by n.number)
    from numbered n join pfw_job j on j.task_id = n.job_task_id
   where n.seq = n.last_seq + n.place
$$;
comment on function new_lines is 'the lines of receipts that are new, as far as none is missing between; locks the receipts';

create function keep_within(lines told_line[], allowed bigint) returns void language plpgsql as $$
declare
  stray bigint;
  found_in bigint;
  what text;
begin
  select l.attempt into stray from unnest(lines) l where l.attempt <> allowed limit 1;
  if found then
    raise exception 'the token of this job is not for attempt %', stray using errcode = '42501';
  end if;
  select named.task, named.attempt into stray, found_in
    from (select distinct (l.line ->> 'quantum')::bigint as task, l.attempt from unnest(lines) l) named
   where named.task is not null
     and not exists (select from quantum where task_id = named.task and pfw_attempt_id = named.attempt) limit 1;
  if found then
    raise exception 'no quantum has task % in attempt %', stray, found_in using errcode = 'ZF002';
  end if;
  select (l.line ->> 'job')::bigint into stray from unnest(lines) l where (l.line ->> 'job')::bigint <> l.job limit 1;
  if found then
    raise exception 'task % is not the job of this receipt', stray using errcode = 'ZF002';
  end if;
  select l.kind into what from unnest(lines) l
   where l.kind not in ('job-started', 'quantum-state', 'exec', 'messages', 'outputs', 'stored', 'quantum-ended', 'job-ended')
   limit 1;
  if found then
    raise exception 'a receipt has no lines of kind %', what using errcode = 'ZF002';
  end if;
end $$;
comment on function keep_within is
  'refuse lines about what is not of their receipt''s job and attempt, or not of the allowed attempt; and unknown lines';

create function report_started(lines told_line[]) returns void language plpgsql as $$
-- a block that ended goes on when its attempt was resumed, and then only: receipts may come late
declare
  above bigint;
  since timestamptz;
begin
  update pfw_job
     set batch_id = l.line ->> 'batch_id', slot = l.line ->> 'slot', failure_class = null, failure_message = null
    from unnest(lines) l where l.kind = 'job-started' and task_id = l.job;
  if not found then
    return;
  end if;
  for above, since in
    select t.id, min(l.moment)
      from unnest(lines) l
      join pfw_job j on j.task_id = l.job
      join pfw_attempt a on a.id = j.pfw_attempt_id
      join task whole on whole.id = a.task_id
      join task t on t.id in (a.task_id, j.pfw_block_task_id)
     where l.kind = 'job-started'
       and (t.state = 'planned' or whole.state = 'running' and t.state in ('failed', 'blocked', 'lost', 'removed'))
     group by t.id order by t.id
  loop
    update task set state = 'running', start_time = coalesce(start_time, since), end_time = null
     where id = above and state not in ('running', 'succeeded');
    if found then
      insert into task_event (task_id, run, state, at) values (above, 0, 'running', since);
    end if;
  end loop;
end $$;
comment on function report_started is 'what job-started lines mean for jobs, blocks and attempts';

create function report_states(lines told_line[]) returns void language plpgsql as $$
-- a line of an earlier run, or of a run that an operator removed, leaves an event only; of a task that has succeeded
-- already, nothing: HTCondor runs a job again, to no effect, whose end it did not hear of
begin
  perform from task
    where id in (select coalesce((l.line ->> 'quantum')::bigint, l.job) from unnest(lines) l) order by id for update;
  with told as (
    select coalesce((l.line ->> 'quantum')::bigint, l.job) as task, l.run, l.host, l.moment, l.place,
           case l.kind when 'job-started' then 'running' else (l.line ->> 'state')::task_state end as state,
           coalesce(l.line -> 'failure' ->> 'message', '') as why,
           case when l.line ->> 'state' = 'succeeded' then 0
                else coalesce((l.line -> 'failure' ->> 'exit_code')::int,
                              128 + nullif((l.line -> 'failure' ->> 'signal')::int, 0)) end as code
      from unnest(lines) l
     where l.kind in ('job-started', 'quantum-state', 'quantum-ended', 'job-ended')),
  heard as (
    select h.*, min(moment) filter (where state <> 'blocked') over (partition by task) as began
      from (select told.*, b.run < told.run or (b.run = told.run and b.state <> 'removed') as moves,
                   bool_or(told.state = 'succeeded')
                     over (partition by task order by place rows between unbounded preceding and 1 preceding) as past
              from told
             cross join lateral (select state, run from task where id = told.task and state <> 'succeeded') b) h
     where past is not true),
  moved as (
    update task t
       set state = e.state,
           run = e.run,
           start_time = case when t.run = e.run and t.start_time is not null
                             then t.start_time else coalesce(e.began, t.start_time) end,
           end_time = case when e.state in ('succeeded', 'failed', 'blocked', 'lost', 'removed') then e.moment end,
           status = e.code,
           exec_host = case when e.began is null then t.exec_host else e.host end
      from (select distinct on (task) * from heard where moves order by task, place desc) e
     where t.id = e.task)
  insert into task_event (task_id, run, state, at, detail)
  select task, run, state, moment, why from heard order by place;
end $$;
comment on function report_states is 'move tasks to the states that lines tell, with their events';

create function report_ended(lines told_line[]) returns void language plpgsql as $$
begin
  update quantum q
     set failure_class = f ->> 'class', failure_step = f ->> 'step', failure_message = f ->> 'message',
         failure_tail = f ->> 'tail', fp_run = coalesce(e.fp_run, q.fp_run),
         fetched_bytes = (e.line -> 'fetched' ->> 0)::bigint, fetched_seconds = (e.line -> 'fetched' ->> 1)::real,
         stored_bytes = (e.line -> 'sent' ->> 0)::bigint, stored_seconds = (e.line -> 'sent' ->> 1)::real,
         retries = (e.line ->> 'retries')::smallint
    from (select distinct on (task) task, line -> 'failure' as f, (line ->> 'fp_run')::uuid as fp_run, line
            from (select (l.line ->> 'quantum')::bigint as task, l.seq, l.line from unnest(lines) l
                   where l.kind = 'quantum-ended') one
           order by task, seq desc) e
   where q.task_id = e.task;
  update pfw_job j
     set failure_class = l.line -> 'failure' ->> 'class', failure_message = l.line -> 'failure' ->> 'message'
    from unnest(lines) l
   where l.kind = 'job-ended' and j.task_id = l.job;
end $$;
comment on function report_ended is 'what quantum-ended and job-ended lines mean beside the state: why, and the fingerprint';

create function report_execs(lines told_line[]) returns pending_edge[] language plpgsql as $$
declare
  edges pending_edge[];
begin
  with told as materialized (
    select nextval('task_id_seq') as made, (l.line ->> 'quantum')::bigint as parent, l.attempt, l.run, l.host, l.line,
           (l.line ->> 'exit_code')::int as code, coalesce((l.line ->> 'signal')::int, 0) as killed,
           array(select jsonb_array_elements_text(l.line -> 'argv')) as argv
      from unnest(lines) l where l.kind = 'exec'),
  tasks as (
    insert into task (id, kind, name, parent_task_id, root_task_id, start_time, end_time, state, status, exec_host, run)
    select t.made, 'exec', t.line ->> 'name', t.parent, p.root_task_id, (t.line ->> 'start')::timestamptz,
           (t.line ->> 'end')::timestamptz,
           case when t.code = 0 and t.killed = 0 then 'succeeded' else 'failed' end::task_state,
           case when t.killed > 0 then 128 + t.killed else t.code end, t.host, t.run
      from told t join task p on p.id = t.parent),
  execs as (
    insert into pfw_exec (task_id, pfw_attempt_id, pfw_wrapper_task_id, execnum, name, argv, cmdargs, version,
                          exit_code, signal, utime, stime, maxrss, inblock, oublock)
    select t.made, t.attempt, t.parent, (t.line ->> 'execnum')::int, t.line ->> 'name', t.argv,
           array_to_string(t.argv[2:], ' '), t.line ->> 'version', t.code, t.killed,
           (t.line ->> 'utime')::float8, (t.line ->> 'stime')::float8, (t.line ->> 'maxrss')::numeric::bigint,
           (t.line ->> 'inblock')::bigint, (t.line ->> 'oublock')::bigint
      from told t)
  select array_agg(row(u ->> 0, u ->> 1, t.made, null)::pending_edge) into edges
    from told t, jsonb_array_elements(t.line -> 'used') u;
  return edges;
end $$;
comment on function report_execs is 'effect of exec lines; returns what the programs read';

create function report_messages(lines told_line[]) returns void language plpgsql as $$
begin
  if not exists (select from unnest(lines) l where l.kind = 'messages') then
    return;
  end if;
  insert into task_message (task_id, pfw_attempt_id, run, execnum, message_time, message_lvl, pattern, message, log_file, log_line)
  select (l.line ->> 'quantum')::bigint, l.attempt, l.run, (r ->> 'execnum')::int, (r ->> 'time')::timestamptz,
         (r ->> 'level')::int, r ->> 'pattern', r ->> 'message', l.line ->> 'log', (r ->> 'line')::int
    from unnest(lines) l
   cross join lateral jsonb_array_elements(l.line -> 'rows') with ordinality as e (r, place)
   where l.kind = 'messages'
   order by l.place, e.place;
  insert into task_message_count (task_id, run, message_lvl, pattern, messages)
  select distinct on (task, run, level, pattern) task, run, level, pattern, messages
    from (select l.place, (l.line ->> 'quantum')::bigint as task, l.run, (c ->> 1)::smallint as level, c ->> 0 as pattern,
                 sum((c ->> 2)::bigint) as messages
            from unnest(lines) l
           cross join lateral jsonb_array_elements(coalesce(l.line -> 'counts', '[]')) c
           where l.kind = 'messages' group by 1, 2, 3, 4, 5) counted
   order by task, run, level, pattern, place desc
  on conflict (task_id, run, message_lvl, pattern) do update set messages = excluded.messages;
end $$;
comment on function report_messages is 'effect of messages lines';

create function report(given uuid[], told jsonb[], allowed bigint default null) returns int[] language plpgsql
-- a report touches few rows of tables that grow from nothing: whatever their statistics say, it goes by the indexes,
-- with plans made once per connection
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
-- returns the last seq applied of each receipt; lines after a gap are left for a later call
declare
  everything told_line[] := new_lines(given, told);
  lines told_line[];
begin
  perform keep_within(everything, allowed);
  for lines in  -- runs of one job one after the other
    select array_agg(one order by (one).place)
      from (select e as one, dense_rank() over (partition by e.job order by e.run, e.receipt) as turn
              from unnest(everything) e) turns
     group by turn order by turn
  loop
    perform report_started(lines);
    perform report_outputs(lines, report_execs(lines));
    perform report_stored(lines);
    perform report_messages(lines);
    perform report_states(lines);
    perform report_ended(lines);
  end loop;
  update receipt r set last_seq = l.seq
    from (select receipt, max(seq) as seq from unnest(everything) group by receipt) l where r.id = l.receipt;
  return array(select coalesce(r.last_seq, 0) from unnest(given) with ordinality as g (id, place)
                 left join receipt r on r.id = g.id order by g.place);
end $$;
comment on function report is
  'apply consecutive lines of receipts (of the allowed attempt only), each exactly once; returns the last seq applied of each';
