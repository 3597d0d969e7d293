-- Views that keep DMTN-059's names for what lies in better tables.

create view pfw_wrapper as
  select q.task_id, q.pfw_attempt_id, q.pfw_block_task_id, q.pfw_job_task_id, q.wrapnum, q.name, q.modname, q.wrapkeys,
         l.filename || l.compression as log
    from quantum q
    join task t on t.id = q.task_id
    left join desfile l on l.id = q.log_desfile_id
   where t.start_time is not null;
comment on view pfw_wrapper is 'quanta that have started, whatever became of them';

create view pfw_decision as
  select pfw_attempt_id, wrapnum, modname, wrapkeys, 'run' as decision, reason, null::bigint as source_task_id from quantum
  union all
  select pfw_attempt_id, wrapnum, modname, wrapkeys, decision::text, reason, source_task_id from left_out;
comment on view pfw_decision is 'every quantum of an attempt''s plan: run, reuse, not-needed or not-selected, and why';

create view attempt_product as
  select pfw_attempt_id, id as desfile_id, null::bigint as reused_from_attempt_id
    from desfile
   where pfw_attempt_id is not null and filetype not in ('log', 'list')
  union all
  select l.pfw_attempt_id, d.id, q.pfw_attempt_id
    from left_out l
    join quantum q on q.task_id = l.source_task_id
   cross join unnest(q.outputs, q.suffixes) o (name, suffix)
    join desfile d on d.filename = o.name and d.compression = coalesce(o.suffix, '');
comment on view attempt_product is 'products of an attempt: what it made, and what it took from earlier attempts instead';

create view file_archive_info as
  select l.desfile_id, d.filename, l.archive_name, l.path, d.compression
    from file_location l
    join desfile d on d.id = l.desfile_id;
comment on view file_archive_info is 'file locations with file names; one row per file and archive';

create view opm_was_generated_by as
  select id as desfile_id, wgb_task_id as task_id from desfile;
comment on view opm_was_generated_by is 'provenance: the file was made by the task';

-- Functions that named questions (sql/queries) and operators call.

create function attempt_name(attempt pfw_attempt) returns text stable language sql as $$
  select attempt.unitname || '_r' || attempt.reqnum || 'p'
         || lpad(attempt.attnum::text, greatest(2, length(attempt.attnum::text)), '0')
$$;
comment on function attempt_name is 'how operators call an attempt (Ht0_r11p01): attempt_name(a) of a row a of pfw_attempt';

create function attempt_id(name text) returns bigint stable language sql as $$
  select id from pfw_attempt where id = case when name ~ '^\d{1,18}$' then name::bigint end
  union all
  select a.id from regexp_match(name, '^(.+)_r(\d{1,9})p(\d{1,9})$') n
    join pfw_attempt a on a.unitname = n[1] and a.reqnum = n[2]::int and a.attnum = n[3]::int
  limit 1
$$;
comment on function attempt_id is 'the id of an attempt, given its name (Ht0_r11p01) or the id itself';

create function files_where(wanted_type text, conditions text)
  returns table (desfile_id bigint, metadata jsonb) stable language plpgsql as $$
-- every name goes through %I and every value through %L: what is asked is data, whatever it holds
declare
  target text;
  tests text := '';
  one text;
begin
  select metadata_table into target from filetype where name = wanted_type;
  if target is null then
    return;
  end if;
  foreach one in array string_to_array(conditions, ',') loop
    if strpos(one, '=') = 0 then
      raise exception '%: a condition is COLUMN=VALUE', one using errcode = '22023';
    end if;
    tests := tests || format(' and m.%I = %L', trim(split_part(one, '=', 1)), trim(substr(one, strpos(one, '=') + 1)));
  end loop;
  return query execute format(
    'select m.desfile_id, to_jsonb(m) - ''desfile_id'' from %I m join desfile d on d.id = m.desfile_id'
    ' where d.filetype = $1%s', target, tests) using wanted_type;
end $$;
comment on function files_where is 'files of one type whose metadata fit COLUMN=VALUE, or several of those with commas between';
