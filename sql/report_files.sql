-- What a report says of files: names and contents, metadata, where they lie, what was made from what.

create type told_file as (
  attempt bigint, parent bigint, maker bigint, place bigint, filename text, compression text, filetype text, size bigint,
  checksum text, metadata_table text, metadata jsonb
);
comment on type told_file is 'a file that an outputs line lists: of a quantum or job (parent), made by a task (maker)';

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
  perform refuse_circles(array(select distinct e.child_desfile_id from unnest(awaited) e where e.child_desfile_id is not null));
end $$;
comment on function make_edges is 'make those provenance edges whose files are registered';

create function refuse_circles(children bigint[]) returns void language plpgsql as $$
-- down from each new file, step by step, until nothing was made from what is reached: of nearly all that is at once.
-- in steps, because a recursive query makes room for thousands of rows; offset 0: by the index, whatever is there
declare
  above bigint[] := children;
  below bigint[] := children;
begin
  for step in 1 .. 1000 loop
    select array_agg(s), array_agg(c) into above, below
      from (select distinct u.s, w.child_desfile_id as c from unnest(above, below) as u (s, b) cross join lateral (
              select child_desfile_id from opm_was_derived_from where parent_desfile_id = u.b offset 0) w) reached;
    exit when below is null;
    if exists (select from unnest(above, below) as u (s, b) where u.s = u.b) then
      raise exception 'file % would be made from what was made from it',
        (select filename || compression from desfile
          where id = (select min(u.s) from unnest(above, below) as u (s, b) where u.s = u.b)) using errcode = 'ZF001';
    end if;
  end loop;
end $$;
comment on function refuse_circles is 'raise ZF001 if one of these files is derived from what was derived from it';

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

create function supersede(old desfile, maker bigint, same_quantum bigint, size bigint, content text)
  returns boolean language plpgsql as $$
-- a quantum that never succeeded may make its own file anew, unless another quantum has read it
begin
  if not exists (select from task where id = old.wgb_task_id and same_quantum in (id, parent_task_id))
     or exists (select from task_event where task_id = same_quantum and state = 'succeeded')
     or exists (select from opm_used u join task t on t.id = u.task_id
                 where u.desfile_id = old.id and t.parent_task_id <> same_quantum) then
    return false;
  end if;
  update desfile set filesize = size, checksum = content, wgb_task_id = maker, created = now() where id = old.id;
  delete from file_location where desfile_id = old.id;
  delete from opm_was_derived_from where child_desfile_id = old.id;
  return true;
end $$;
comment on function supersede is 'replace a file that a failed run of the same quantum left, if nobody has read it';

create function listed_files(lines told_line[]) returns told_file[] language sql as $$
  select array_agg(row(l.attempt, p.parent, coalesce(e.task, p.parent), l.place, f ->> 'filename', f ->> 'compression',
                       f ->> 'filetype', (f ->> 'size')::bigint, f ->> 'checksum', f ->> 'metadata_table',
                       f -> 'metadata')::told_file
                   order by f ->> 'filename' collate "C", f ->> 'compression' collate "C")
    from unnest(lines) l
   cross join lateral (select coalesce(l.line ->> 'quantum', l.line ->> 'job')::bigint as parent) p  -- junk is a job's
   cross join lateral jsonb_array_elements(l.line -> 'files') f
    left join lateral (select max(x.task_id) as task from pfw_exec x
                        where x.pfw_wrapper_task_id = p.parent and x.execnum = (f ->> 'execnum')::int) e on true
   where l.kind = 'outputs'
$$;
comment on function listed_files is 'the files that outputs lines list, by name';

create function report_files(files told_file[]) returns void language plpgsql as $$
declare
  entry record;
  old desfile;
begin
  insert into desfile (filename, compression, filetype, filesize, checksum, pfw_attempt_id, wgb_task_id)
  select f.filename, f.compression, f.filetype, f.size, f.checksum, f.attempt, f.maker from unnest(files) f
  on conflict do nothing;
  -- a second statement, so that it sees what another transaction won with
  for entry in
    select f.maker, f.parent, f.size, f.checksum, d.id from unnest(files) f
      join desfile d on d.filename = f.filename and d.compression = f.compression
     where d.checksum <> f.checksum
     order by f.place
  loop
    select * into old from desfile where id = entry.id for update;
    if not supersede(old, entry.maker, entry.parent, entry.size, entry.checksum) then
      raise exception 'file % is already registered with other content, made by task % (%)',
        old.filename || old.compression, old.wgb_task_id, (select name from task where id = old.wgb_task_id)
        using errcode = 'ZF001', hint = 'ask who made it with ''facade provenance ' || old.filename || old.compression || '''';
    end if;
  end loop;
end $$;
comment on function report_files is 'register files; other content under a known name raises ZF001';

create function report_outputs(lines told_line[], read pending_edge[]) returns void language plpgsql as $$
declare
  files told_file[] := listed_files(lines);
  target text;
  entries jsonb;
begin
  perform report_files(files);
  for target, entries in
    -- 'is not distinct from' keeps the server from looking through all files of an attempt for one name
    select o.metadata_table, jsonb_agg(coalesce(o.metadata, '{}') || jsonb_build_object('desfile_id', o.id))
      from (select distinct on (d.id) d.id, f.metadata_table, f.metadata
              from unnest(files) f
              join desfile d on d.filename = f.filename and d.compression = f.compression
             where f.metadata_table <> '' and d.pfw_attempt_id is not distinct from f.attempt
             order by d.id, f.place desc) o
     group by 1 order by 1
  loop
    perform put_metadata(target, entries);
  end loop;
  update quantum q set log_desfile_id = g.id
    from (select distinct on (f.parent) f.parent, d.id
            from unnest(files) f
            join desfile d on d.filename = f.filename and d.compression = f.compression
           where f.filetype = 'log' order by f.parent, f.place desc) g
   where q.task_id = g.parent;
  perform report_edges(read || array(
    select row(e -> 1 ->> 0, e -> 1 ->> 1, null, c.id)::pending_edge
      from unnest(lines) l
     cross join lateral jsonb_array_elements(l.line -> 'derived') e
     cross join lateral (  -- offset 0: by the name, however small desfile was when this was planned
      select id from desfile
       where filename = e -> 0 ->> 0 and compression = e -> 0 ->> 1 and pfw_attempt_id is not distinct from l.attempt offset 0) c
     where l.kind = 'outputs'));
  if files is not null and exists (select from pending_edge) then
    perform settle_edges();
  end if;
end $$;
comment on function report_outputs is
  'effect of outputs lines, and of what programs read; files that others made alike stay as they are';

create function report_stored(lines told_line[]) returns void language plpgsql as $$
begin
  insert into archive (name)
  select distinct l.line ->> 'archive' from unnest(lines) l
   where l.kind = 'stored' and not exists (select from archive where name = l.line ->> 'archive') order by 1
  on conflict do nothing;
  insert into file_location (desfile_id, archive_name, path)
  select distinct on (d.id, l.line ->> 'archive') d.id, l.line ->> 'archive', f ->> 2
    from unnest(lines) l
   cross join lateral jsonb_array_elements(l.line -> 'files') f
   cross join lateral (  -- by the name, as above
     select id, pfw_attempt_id from desfile where filename = f ->> 0 and compression = f ->> 1 offset 0) d
   where l.kind = 'stored'
     and (d.pfw_attempt_id = l.attempt or not exists (
           select from file_location where desfile_id = d.id and archive_name = l.line ->> 'archive'))
   order by d.id, l.line ->> 'archive', l.place desc
  on conflict (desfile_id, archive_name) do update set path = excluded.path;
end $$;
comment on function report_stored is 'effect of stored lines';
