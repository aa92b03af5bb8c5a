-- Roles and the schema.
--
-- Roles belong to the whole cluster, so they may exist already: another database has gloss, or this one was restored.
-- Needed: superuser, or CREATEROLE together with CREATE on this database. This file may run again at any time, and then
-- mends what a restore without the roles has left: glossctl migrate does so when an object has another owner. It is in
-- ASCII, so that a database of any encoding gets as far as the first check.

do $$
begin
    if current_setting('server_encoding') <> 'UTF8' then
        raise exception using errcode = '0A000',
            message = format('the database %s is encoded in %s, and gloss needs UTF8', current_database(),
                current_setting('server_encoding')),
            hint = 'Make another one: create database gloss encoding ''UTF8'' template template0';
    end if;
    if current_setting('server_version_num')::int < 150000 then
        raise exception using errcode = '0A000',
            message = format('PostgreSQL %s is too old: gloss needs 15 or later', current_setting('server_version'));
    end if;
end $$;

do $$
declare
    role_name text;
    is_owner boolean;
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
    -- From version 16 on, who creates a role may grant it, but neither has its rights nor may become it.
    if current_setting('server_version_num')::int >= 160000 then
        is_owner := pg_has_role(current_user, 'gloss_owner', 'set') and pg_has_role(current_user, 'gloss_owner', 'usage');
    else
        is_owner := pg_has_role(current_user, 'gloss_owner', 'usage');
    end if;
    if not is_owner then
        begin
            execute format('grant gloss_owner to %I', current_user)
                || case when current_setting('server_version_num')::int >= 160000
                   then ' with inherit true, set true' else '' end;
        exception when insufficient_privilege then
            raise exception using errcode = '42501',
                message = format('%s may not become gloss_owner', current_user),
                hint = format('As a superuser: grant gloss_owner to %I;', current_user);
        end;
    end if;
end $$;

create schema if not exists gloss authorization gloss_owner;

-- After a restore into a cluster without the roles everything belongs to whoever restored it. Functions that run with
-- the rights of a superuser must not stay.
do $$
declare
    command text;
begin
    for command in
        select 'alter schema gloss owner to gloss_owner' from pg_namespace
        where nspname = 'gloss' and nspowner <> 'gloss_owner'::regrole
        union all
        select format('alter %s gloss.%I owner to gloss_owner',
            case c.relkind when 'v' then 'view' when 'm' then 'materialized view' when 'S' then 'sequence'
                when 'c' then 'type' else 'table' end, c.relname)
        from pg_class c
        where c.relnamespace = 'gloss'::regnamespace and c.relkind in ('r', 'p', 'v', 'm', 'S', 'c')
          and c.relowner <> 'gloss_owner'::regrole
          -- The sequence of an identity column goes with its table.
          and not (c.relkind = 'S' and exists (
              select from pg_depend d
              where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'i'))
        union all
        select format('alter routine %s owner to gloss_owner', p.oid::regprocedure) from pg_proc p
        where p.pronamespace = 'gloss'::regnamespace and p.proowner <> 'gloss_owner'::regrole
    loop
        begin
            execute command;
        exception when insufficient_privilege then
            raise exception using errcode = '42501',
                message = format('objects of the schema gloss do not belong to gloss_owner, and %s may not change that: %s',
                    current_user, command),
                hint = 'Run glossctl migrate as a superuser.';
        end;
    end loop;
end $$;

-- From here on, and at the start of each later migration: what is made belongs to gloss_owner.
set local role gloss_owner;

alter default privileges for role gloss_owner revoke execute on functions from public;
