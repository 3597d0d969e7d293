-- Who may do what. Beside the owner of the tables there are three roles: submit (a group, for operators), job (what jobs
-- log in as: it may report for the attempt whose token it shows, and look up files) and reader (it may look). All
-- databases of a server share its roles, so their names begin with the database's; facade/registry/roles.py makes them.

create table role_login (
  kind text primary key constraint role_login_kind check (kind in ('job', 'reader')),
  rolname name not null,
  password text not null
);
comment on table role_login is 'as whom facade logs in for jobs and for questions; only owner and submit may see it';

create table job_token (
  digest bytea primary key constraint job_token_sha256 check (length(digest) = 32),
  pfw_attempt_id bigint not null constraint job_token_attempt references pfw_attempt,
  minted timestamptz not null default now()
);
create index job_token_by_attempt on job_token (pfw_attempt_id);
comment on table job_token is 'SHA-256 of the tokens with which jobs of an attempt may report';

create function job_report(token text, given uuid[], told jsonb[]) returns int[] language plpgsql
security definer set search_path = public, pg_temp as $$
-- what jobs call: they have no right to the tables, and none to report() itself
declare
  allowed bigint;
begin
  select pfw_attempt_id into allowed from job_token where digest = sha256(convert_to(token, 'UTF8'));
  if not found then
    raise exception 'the token of this job is not known here' using errcode = '42501';
  end if;
  return report(given, told, allowed);
end $$;
comment on function job_report is 'report(), of the attempt for which the token was minted, and of no other';

create function give_rights(job name, submit name, reader name) returns void language plpgsql
set search_path = public, pg_temp set client_min_messages = warning as $$
-- the rights of the three roles, of nobody else but the owner; safe to repeat. Only what belongs to the owner of the
-- tables is touched: extensions may have put theirs beside it
declare
  boss oid := (select relowner from pg_class where oid = 'task'::regclass);
  thing record;
  history constant text[] := '{task_event,plan,pfw_data_query}';  -- appended, never changed
  hidden constant text[] := '{plan,planning,role_login,job_token}';  -- campaigns may hold what is not for everybody
  settled constant text[] := '{alembic_version,filetype,role_login}';  -- the owner's
begin
  for thing in
    select c.oid::regclass as name, c.relname::text, c.relkind from pg_class c
     where c.relnamespace = 'public'::regnamespace and c.relowner = boss and c.relkind in ('r', 'p', 'v', 'm', 'S')
       and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
  loop
    execute format('revoke all on %s from public, %I, %I, %I', thing.name, job, submit, reader);
    if thing.relkind = 'S' then
      execute format('grant usage on sequence %s to %I', thing.name, submit);
      continue;
    end if;
    execute format('grant select on %s to %I', thing.name, submit);
    if thing.relname <> all (settled) then
      execute format('grant insert on %s to %I', thing.name, submit);
      if thing.relname <> all (history) then
        execute format('grant update, delete on %s to %I', thing.name, submit);
      end if;
    end if;
    if thing.relname <> all (hidden) then
      execute format('grant select on %s to %I', thing.name, reader);
    end if;
  end loop;
  execute format('grant select (plan_id, created) on plan to %I', reader);
  execute format('grant select (pfw_attempt_id, reuse, verify) on planning to %I', reader);
  execute format('grant select on desfile, file_location to %I', job);
  for thing in
    select p.oid::regprocedure as name, p.proname::text as relname, p.provolatile <> 'v' as asks from pg_proc p
     where p.pronamespace = 'public'::regnamespace and p.proowner = boss
       and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
  loop
    execute format('revoke all on function %s from public, %I, %I, %I', thing.name, job, submit, reader);
    if thing.relname = 'job_report' then
      execute format('grant execute on function %s to %I', thing.name, job);
    elsif thing.relname <> 'give_rights' then
      execute format('grant execute on function %s to %I', thing.name, submit);
    end if;
    if thing.asks then
      execute format('grant execute on function %s to %I', thing.name, reader);
    end if;
  end loop;
  execute format('grant usage on schema public to %I, %I, %I', job, submit, reader);
  -- tables of metadata and contents come later, and are the owner's
  execute format('alter default privileges for role %I in schema public grant select on tables to %I',
                 pg_get_userbyid(boss), reader);
  execute format('alter default privileges for role %I in schema public grant select, insert, update, delete on tables to %I',
                 pg_get_userbyid(boss), submit);
  execute format('alter default privileges for role %I in schema public grant usage on sequences to %I',
                 pg_get_userbyid(boss), submit);
  if pg_has_role((select nspowner from pg_namespace where nspname = 'public'), 'usage') then
    revoke create on schema public from public;
  end if;
  if pg_has_role((select datdba from pg_database where datname = current_database()), 'usage') then
    execute format('revoke temporary on database %I from public', current_database());
    execute format('grant connect, temporary on database %I to %I, %I', current_database(), submit, pg_get_userbyid(boss));
    execute format('grant connect on database %I to %I, %I', current_database(), job, reader);
  end if;
end $$;
comment on function give_rights is 'give the roles for jobs, operators and readers the rights that they have, and no others';
