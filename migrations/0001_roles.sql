-- Roles, the schema, and the ledger of migrations.
--
-- Roles belong to the whole cluster, so they may exist already: another database has gloss, or this is a restore.
-- Needed: superuser, or CREATEROLE together with CREATE on this database.

do $$
declare
    role_name text;
begin
    foreach role_name in array array['gloss_owner', 'gloss_producer', 'gloss_worker', 'gloss_reader', 'gloss_admin']
    loop
        if not exists (select from pg_roles where rolname = role_name) then
            begin
                execute format('create role %I nologin', role_name);
            exception
                when duplicate_object or unique_violation then null;  -- another migration was faster
                when insufficient_privilege then
                    raise exception using errcode = '42501',
                        message = format('%s may not create the role %s', current_user, role_name),
                        hint = format('As a superuser: alter role %I createrole;', current_user);
            end;
        end if;
    end loop;

    if not has_database_privilege(current_database(), 'create') then
        raise exception using errcode = '42501',
            message = format('%s may not create a schema in the database %s', current_user, current_database()),
            hint = format('As a superuser: grant create on database %I to %I;', current_database(), current_user);
    end if;
    if not pg_has_role(current_user, 'gloss_owner', 'member') then
        begin
            execute format('grant gloss_owner to %I', current_user);
        exception when insufficient_privilege then
            raise exception using errcode = '42501',
                message = format('%s may not become a member of gloss_owner', current_user),
                hint = format('As a superuser: grant gloss_owner to %I;', current_user);
        end;
    end if;
end $$;

create schema if not exists gloss authorization gloss_owner;

-- From here on, and at the start of each later migration: what is made belongs to gloss_owner.
set local role gloss_owner;

alter default privileges for role gloss_owner revoke execute on functions from public;

create table gloss.schema_migrations (
    version    int primary key,
    name       text not null,
    checksum   text not null,
    applied_at timestamptz not null default now(),
    applied_by text not null default session_user
);

-- For programs that may not read the table: which schema is this?
create function gloss.schema_version() returns int
language sql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$ select max(version) from gloss.schema_migrations $$;

comment on schema gloss is 'Image annotation: a queue of jobs and their results';
