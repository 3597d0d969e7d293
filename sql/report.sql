-- report(receipt, lines): apply consecutive lines of one receipt (docs/contracts.md), each exactly once.
-- Raises ZF001 when a file is registered with other content, ZF002 when a line names what was never registered;
-- then nothing of the call stays. File names are inserted sorted: two jobs with overlapping names never deadlock.

create function put_metadata(target text, entries jsonb) returns void language plpgsql as $$
-- write metadata rows (each with its desfile_id) into a metadata table; what was there for a file is replaced
declare
  changes text;
begin
  if not exists (select from filetype where metadata_table = target) then
    raise exception 'there is no metadata table %', target using errcode = 'ZF002';
  end if;
  select string_agg(format('%1$I = excluded.%1$I', attname), ', ' order by attnum) into changes
    from pg_attribute
   where attrelid = to_regclass(quote_ident(target)) and attnum > 0 and not attisdropped and attname <> 'desfile_id';
  execute format(
    'insert into %1$I select r.* from jsonb_populate_recordset(null::%1$I, $1) r order by r.desfile_id'
    ' on conflict (desfile_id) do %2$s', target, coalesce('update set ' || changes, 'nothing')) using entries;
end $$;
comment on function put_metadata is 'write metadata rows, as JSON with desfile_id, into a metadata table';

create function report_state(
  entering bigint, in_run int, next task_state, moment timestamptz, host text, code int, why text
) returns void language plpgsql as $$
-- move a task; a line of an earlier run, or of a run that an operator removed, leaves an event only; of a task that has
-- succeeded already, nothing
begin
  update task t
     set state = next,
         run = in_run,
         start_time = case when next = 'blocked' or (t.run = in_run and t.start_time is not null)
                           then t.start_time else moment end,
         end_time = case when next in ('succeeded', 'failed', 'blocked', 'lost', 'removed') then moment end,
         status = code,
         exec_host = case when next = 'blocked' then t.exec_host else host end
   where t.id = entering and t.state <> 'succeeded' and (t.run < in_run or (t.run = in_run and t.state <> 'removed'));
  if not found and exists (select from task t where t.id = entering and t.state = 'succeeded') then
    return;  -- HTCondor runs a job again, to no effect, whose end it did not hear of
  end if;
  insert into task_event (task_id, run, state, at, detail) values (entering, in_run, next, moment, why);
end $$;
comment on function report_state is 'move one task of a job to a state, with its event';

create function report_job_started(told receipt, line jsonb) returns void language plpgsql as $$
declare
  above bigint;
  moment timestamptz := line ->> 'at';
begin
  perform report_state(told.job_task_id, told.run, 'running', moment, told.host, null, '');
  update pfw_job
     set batch_id = line ->> 'batch_id', slot = line ->> 'slot', failure_class = null, failure_message = null
   where task_id = told.job_task_id;
  -- a block that ended goes on when its attempt was resumed, and then only: receipts may come late
  for above in
    select t.id from pfw_job j join pfw_attempt a on a.id = j.pfw_attempt_id
      join task whole on whole.id = a.task_id
      join task t on t.id in (a.task_id, j.pfw_block_task_id)
     where j.task_id = told.job_task_id
       and (t.state = 'planned' or whole.state = 'running' and t.state in ('failed', 'blocked', 'lost', 'removed'))
     order by t.id
  loop
    update task set state = 'running', start_time = coalesce(start_time, moment), end_time = null
     where id = above and state not in ('running', 'succeeded');
    if found then
      insert into task_event (task_id, run, state, at) values (above, 0, 'running', moment);
    end if;
  end loop;
end $$;
comment on function report_job_started is 'effect of a job-started line';

create function make_edges(awaited pending_edge[]) returns void language plpgsql as $$
begin
  insert into opm_used (task_id, desfile_id)
  select e.reader_task_id, d.id
    from unnest(awaited) e join desfile d on d.filename = e.filename and d.compression = e.compression
   where e.reader_task_id is not null order by 1, 2
  on conflict do nothing;
  insert into opm_was_derived_from (child_desfile_id, parent_desfile_id)
  select e.child_desfile_id, d.id
    from unnest(awaited) e join desfile d on d.filename = e.filename and d.compression = e.compression
   where e.child_desfile_id <> d.id order by 1, 2
  on conflict do nothing;
end $$;
comment on function make_edges is 'make those provenance edges whose files are registered';

create function report_edges(awaited pending_edge[]) returns void language plpgsql as $$
-- the report of a file's maker may arrive after those of its readers: what cannot be joined yet waits
begin
  perform make_edges(awaited);
  insert into pending_edge
  select e.* from unnest(awaited) e
   where not exists (select from desfile d where d.filename = e.filename and d.compression = e.compression);
end $$;
comment on function report_edges is 'make provenance edges, or keep them until their files are registered';

create function settle_edges() returns int language plpgsql as $$
declare
  found_now pending_edge[];
begin
  with come as (
    delete from pending_edge where ctid in (
      select p.ctid from pending_edge p
        join desfile d on d.filename = p.filename and d.compression = p.compression for update of p skip locked)
    returning *
  )
  select array_agg(come::pending_edge) into found_now from come;
  perform make_edges(found_now);
  return coalesce(array_length(found_now, 1), 0);
end $$;
comment on function settle_edges is 'make the waiting provenance edges whose files have come; returns how many';

create function report_exec(told receipt, line jsonb) returns void language plpgsql as $$
declare
  parent bigint := line ->> 'quantum';
  attempt bigint;
  root bigint;
  made bigint;
  code int := line ->> 'exit_code';
  killed int := coalesce((line ->> 'signal')::int, 0);
  argv text[] := array(select jsonb_array_elements_text(line -> 'argv'));
begin
  select q.pfw_attempt_id, t.root_task_id into attempt, root
    from quantum q join task t on t.id = q.task_id where q.task_id = parent;
  if not found then
    raise exception 'no quantum has task %', parent using errcode = 'ZF002';
  end if;
  insert into task (kind, name, parent_task_id, root_task_id, start_time, end_time, state, status, exec_host, run)
  values ('exec', line ->> 'name', parent, root, (line ->> 'start')::timestamptz, (line ->> 'end')::timestamptz,
          case when code = 0 and killed = 0 then 'succeeded' else 'failed' end::task_state,
          case when killed > 0 then 128 + killed else code end, told.host, told.run)
  returning id into made;
  insert into pfw_exec (task_id, pfw_attempt_id, pfw_wrapper_task_id, execnum, name, argv, cmdargs, version,
                        exit_code, signal, utime, stime, maxrss, inblock, oublock)
  values (made, attempt, parent, (line ->> 'execnum')::int, line ->> 'name', argv,
          array_to_string(argv[2:], ' '), line ->> 'version', code, killed,
          (line ->> 'utime')::float8, (line ->> 'stime')::float8, (line ->> 'maxrss')::numeric::bigint,
          (line ->> 'inblock')::bigint, (line ->> 'oublock')::bigint);
  perform report_edges(array(
    select row(u ->> 0, u ->> 1, made, null)::pending_edge from jsonb_array_elements(line -> 'used') u));
end $$;
comment on function report_exec is 'effect of an exec line';

create function supersede(old desfile, maker bigint, same_quantum bigint, listed jsonb) returns boolean language plpgsql as $$
-- a quantum that never succeeded may make its own file anew, unless another quantum has read it
begin
  if not exists (select from task where id = old.wgb_task_id and same_quantum in (id, parent_task_id))
     or exists (select from task_event where task_id = same_quantum and state = 'succeeded')
     or exists (select from opm_used u join task t on t.id = u.task_id
                 where u.desfile_id = old.id and t.parent_task_id <> same_quantum) then
    return false;
  end if;
  update desfile
     set filesize = (listed ->> 'size')::bigint, checksum = listed ->> 'checksum', wgb_task_id = maker, created = now()
   where id = old.id;
  delete from file_location where desfile_id = old.id;
  delete from opm_was_derived_from where child_desfile_id = old.id;
  return true;
end $$;
comment on function supersede is 'replace a file that a failed run of the same quantum left, if nobody has read it';

create function report_files(told receipt, parent bigint, listed jsonb) returns void language plpgsql as $$
declare
  attempt bigint;
  makers jsonb;
  entry jsonb;
  taken bigint;
  old desfile;
begin
  select pfw_attempt_id into attempt from quantum where task_id = parent;
  if not found then
    select pfw_attempt_id into attempt from pfw_job where task_id = parent;
  end if;
  if attempt is null then
    raise exception 'no quantum has task %', parent using errcode = 'ZF002';
  end if;
  select coalesce(jsonb_object_agg(execnum, task_id), '{}') into makers
    from (select execnum, max(task_id) as task_id from pfw_exec where pfw_wrapper_task_id = parent group by execnum) e;
  insert into desfile (filename, compression, filetype, filesize, checksum, pfw_attempt_id, wgb_task_id)
  select f ->> 'filename', f ->> 'compression', f ->> 'filetype', (f ->> 'size')::bigint, f ->> 'checksum', attempt,
         coalesce((makers ->> (f ->> 'execnum'))::bigint, parent)
    from jsonb_array_elements(listed) f
   order by f ->> 'filename' collate "C", f ->> 'compression' collate "C"
  on conflict do nothing;
  -- a second statement, so that it sees what another transaction won with
  for entry, taken in
    select f, d.id from jsonb_array_elements(listed) f
      join desfile d on d.filename = f ->> 'filename' and d.compression = f ->> 'compression'
     where d.checksum <> f ->> 'checksum'
  loop
    select * into old from desfile where id = taken for update;
    if not supersede(old, coalesce((makers ->> (entry ->> 'execnum'))::bigint, parent), parent, entry) then
      raise exception 'file % is already registered with other content, made by task % (%)',
        old.filename || old.compression, old.wgb_task_id, (select name from task where id = old.wgb_task_id)
        using errcode = 'ZF001', hint = 'ask who made it with ''facade provenance ' || old.filename || old.compression || '''';
    end if;
  end loop;
end $$;
comment on function report_files is 'register the files of an outputs line; other content under a known name raises ZF001';

create function report_outputs(told receipt, attempt bigint, line jsonb) returns void language plpgsql as $$
declare
  parent bigint := coalesce(line ->> 'quantum', line ->> 'job');  -- junk is a job's
  target text;
  entries jsonb;
begin
  perform report_files(told, parent, line -> 'files');
  if exists (select from pending_edge) then
    perform settle_edges();
  end if;
  for target, entries in
    select f ->> 'metadata_table', jsonb_agg(coalesce(f -> 'metadata', '{}') || jsonb_build_object('desfile_id', d.id))
      from jsonb_array_elements(line -> 'files') f
      join desfile d on d.filename = f ->> 'filename' and d.compression = f ->> 'compression'
     where f ->> 'metadata_table' <> '' and d.pfw_attempt_id = attempt
     group by 1 order by 1
  loop
    perform put_metadata(target, entries);
  end loop;
  update quantum q set log_desfile_id = d.id
    from jsonb_array_elements(line -> 'files') f
    join desfile d on d.filename = f ->> 'filename' and d.compression = f ->> 'compression'
   where f ->> 'filetype' = 'log' and q.task_id = parent;
  perform report_edges(array(
    select row(e -> 1 ->> 0, e -> 1 ->> 1, null, c.id)::pending_edge
      from jsonb_array_elements(line -> 'derived') e
      join desfile c on c.filename = e -> 0 ->> 0 and c.compression = e -> 0 ->> 1
     where c.pfw_attempt_id = attempt));
end $$;
comment on function report_outputs is 'effect of an outputs line; files that others made alike stay as they are';

create function report_stored(attempt bigint, line jsonb) returns void language plpgsql as $$
begin
  insert into archive (name) select line ->> 'archive' where not exists (select from archive where name = line ->> 'archive')
  on conflict do nothing;
  insert into file_location (desfile_id, archive_name, path)
  select d.id, line ->> 'archive', f ->> 2
    from jsonb_array_elements(line -> 'files') f
    join desfile d on d.filename = f ->> 0 and d.compression = f ->> 1
   order by d.id
  on conflict (desfile_id, archive_name) do update set path = excluded.path
   where (select pfw_attempt_id from desfile where id = excluded.desfile_id) = attempt;
end $$;
comment on function report_stored is 'effect of a stored line';

create function report_messages(told receipt, line jsonb) returns void language plpgsql as $$
declare
  parent bigint := line ->> 'quantum';
begin
  insert into task_message (task_id, pfw_attempt_id, run, execnum, message_time, message_lvl, pattern, message, log_file, log_line)
  select parent, q.pfw_attempt_id, told.run, (r ->> 'execnum')::int, (r ->> 'time')::timestamptz, (r ->> 'level')::int,
         r ->> 'pattern', r ->> 'message', line ->> 'log', (r ->> 'line')::int
    from quantum q, jsonb_array_elements(line -> 'rows') with ordinality as e(r, place)
   where q.task_id = parent
   order by e.place;
  if not found and line -> 'rows' <> '[]' then
    raise exception 'no quantum has task %', parent using errcode = 'ZF002';
  end if;
  insert into task_message_count (task_id, run, message_lvl, pattern, messages)
  select parent, told.run, (c ->> 1)::int, c ->> 0, sum((c ->> 2)::bigint)
    from jsonb_array_elements(coalesce(line -> 'counts', '[]')) c group by 3, 4
  on conflict (task_id, run, message_lvl, pattern) do update set messages = excluded.messages;
end $$;
comment on function report_messages is 'effect of a messages line';

create function report_ended(told receipt, ended bigint, line jsonb) returns void language plpgsql as $$
declare
  failure jsonb := nullif(line -> 'failure', 'null');
  killed int := coalesce((failure ->> 'signal')::int, 0);
  code int := coalesce((failure ->> 'exit_code')::int, case when killed > 0 then 128 + killed end);
begin
  if line ->> 'state' = 'succeeded' then
    code := 0;
  end if;
  perform report_state(ended, told.run, (line ->> 'state')::task_state, (line ->> 'at')::timestamptz, told.host, code,
                       coalesce(failure ->> 'message', ''));
  if line ->> 'kind' = 'job-ended' then
    update pfw_job set failure_class = failure ->> 'class', failure_message = failure ->> 'message' where task_id = ended;
  else
    update quantum
       set failure_class = failure ->> 'class', failure_step = failure ->> 'step',
           failure_message = failure ->> 'message', failure_tail = failure ->> 'tail',
           fp_run = coalesce((line ->> 'fp_run')::uuid, fp_run),
           fetched_bytes = (line -> 'fetched' ->> 0)::bigint, fetched_seconds = (line -> 'fetched' ->> 1)::real,
           stored_bytes = (line -> 'sent' ->> 0)::bigint, stored_seconds = (line -> 'sent' ->> 1)::real,
           retries = (line ->> 'retries')::smallint
     where task_id = ended;
  end if;
end $$;
comment on function report_ended is 'effect of a quantum-ended or job-ended line';

create function open_receipt(given uuid, lines jsonb) returns receipt language plpgsql as $$
-- the receipt, locked; made from its job-started line if it is new; null if that line has not come
declare
  told receipt;
  line jsonb;
begin
  select * into told from receipt where id = given for update;
  if found then
    return told;
  end if;
  select l into line from jsonb_array_elements(lines) l where l ->> 'kind' = 'job-started' limit 1;
  if line is null then
    return null;
  end if;
  if not exists (select from pfw_job where task_id = (line ->> 'job')::bigint) then
    raise exception 'no job has task %', line ->> 'job' using errcode = 'ZF002';
  end if;
  insert into receipt (id, job_task_id, run, host, last_seq)
  values (given, (line ->> 'job')::bigint, (line ->> 'run')::smallint, line ->> 'host', 0)
  on conflict do nothing;
  select * into told from receipt where id = given for update;
  return told;
end $$;
comment on function open_receipt is 'find or make the row of a receipt, and lock it';

create function keep_within(told receipt, lines jsonb, allowed bigint) returns bigint language plpgsql as $$
-- a receipt speaks of its own job and of quanta of its attempt, a job's token for its own attempt: all else is refused.
-- returns the attempt
declare
  attempt bigint := (select pfw_attempt_id from pfw_job where task_id = told.job_task_id);
  stray bigint;
begin
  if attempt <> allowed then
    raise exception 'the token of this job is not for attempt %', attempt using errcode = '42501';
  end if;
  select task into stray
    from (select distinct (l ->> 'quantum')::bigint as task from jsonb_array_elements(lines) l) named
   where not exists (select from quantum where task_id = task and pfw_attempt_id = attempt) and task is not null limit 1;
  if found then
    raise exception 'no quantum has task % in attempt %', stray, attempt using errcode = 'ZF002';
  end if;
  select (l ->> 'job')::bigint into stray from jsonb_array_elements(lines) l
   where (l ->> 'job')::bigint <> told.job_task_id limit 1;
  if found then
    raise exception 'task % is not the job of this receipt', stray using errcode = 'ZF002';
  end if;
  return attempt;
end $$;
comment on function keep_within is 'refuse lines about what is not of the receipt''s job and attempt';

create function report(given uuid, lines jsonb, allowed bigint default null) returns int language plpgsql
-- a report touches few rows of tables that grow from nothing: whatever their statistics say, it goes by the indexes,
-- with plans made once per connection
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off set plan_cache_mode = force_generic_plan
as $$
-- returns the last seq applied; lines after a gap are left for a later call
declare
  told receipt := open_receipt(given, lines);
  attempt bigint;
  line jsonb;
begin
  if told.id is null then
    return 0;
  end if;
  attempt := keep_within(told, lines, allowed);
  for line in
    select l from jsonb_array_elements(lines) l where (l ->> 'seq')::int > told.last_seq order by (l ->> 'seq')::int
  loop
    continue when (line ->> 'seq')::int <= told.last_seq;
    exit when (line ->> 'seq')::int > told.last_seq + 1;
    case line ->> 'kind'
      when 'job-started' then
        perform report_job_started(told, line);
      when 'quantum-state' then
        perform report_state((line ->> 'quantum')::bigint, told.run, (line ->> 'state')::task_state,
                             (line ->> 'at')::timestamptz, told.host, null, '');
      when 'exec' then
        perform report_exec(told, line);
      when 'messages' then
        perform report_messages(told, line);
      when 'outputs' then
        perform report_outputs(told, attempt, line);
      when 'stored' then
        perform report_stored(attempt, line);
      when 'quantum-ended' then
        perform report_ended(told, (line ->> 'quantum')::bigint, line);
      when 'job-ended' then
        perform report_ended(told, told.job_task_id, line);
      else
        raise exception 'a receipt has no lines of kind %', line ->> 'kind' using errcode = 'ZF002';
    end case;
    told.last_seq := (line ->> 'seq')::int;
  end loop;
  update receipt set last_seq = told.last_seq where id = given and last_seq < told.last_seq;
  return told.last_seq;
end $$;
comment on function report is
  'apply consecutive lines of a receipt (of the allowed attempt only), each exactly once; returns the last seq applied';
