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

-- What the last migration left behind: compared with what is there now by glossctl doctor.
create table gloss.schema_object (
    kind   text not null,
    name   text not null,
    digest text not null,                 -- md5 of the definition and the owner
    server int not null,                  -- the major version of PostgreSQL that wrote the definition
    primary key (kind, name)
);

-- All that is there. (Definitions are written as PostgreSQL writes them for this search path.)
create function gloss.schema_objects(out kind text, out name text, out digest text) returns setof record
language sql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    with class as (
        select c.oid, c.relname::text as name, c.relkind, pg_get_userbyid(c.relowner) as owner, c.relacl, c.relowner,
               c.relpersistence
        from pg_class c where c.relnamespace = 'gloss'::regnamespace
    ), function as (
        select p.oid, p.oid::regprocedure::text as name, pg_get_userbyid(p.proowner) as owner, p.proacl, p.proowner
        from pg_proc p where p.pronamespace = 'gloss'::regnamespace
    ), granted as (
        select 'execute on function gloss.' || f.name as what, a.grantee, a.privilege_type, f.proowner as owner
        from function f cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
        union all
        select lower(a.privilege_type) || ' on gloss.' || quote_ident(c.name), a.grantee, a.privilege_type, c.relowner
        from class c cross join lateral aclexplode(c.relacl) a
        union all
        select lower(a.privilege_type) || ' on schema gloss', a.grantee, a.privilege_type, n.nspowner
        from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname = 'gloss'
    )
    select 'function', f.name, md5(f.owner || pg_get_functiondef(f.oid)) from function f
    union all
    select 'table', c.name, md5(concat_ws(' ', c.owner, c.relpersistence, string_agg(
        concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull, a.attidentity,
            pg_get_expr(d.adbin, d.adrelid)), ', ' order by a.attnum)))
    from class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
    left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
    where c.relkind in ('r', 'p') group by c.oid, c.name, c.owner, c.relpersistence
    union all
    select 'view', c.name, md5(c.owner || pg_get_viewdef(c.oid)) from class c where c.relkind = 'v'
    union all
    select 'sequence', c.name, md5(c.owner) from class c where c.relkind = 'S'
    union all
    select 'index', c.name, md5(concat_ws(' ', pg_get_indexdef(c.oid), i.indisvalid, i.indisready))
    from class c join pg_index i on i.indexrelid = c.oid
    union all
    select 'constraint', t.conname || ' of ' || c.name, md5(concat_ws(' ', pg_get_constraintdef(t.oid), t.convalidated))
    from pg_constraint t join class c on c.oid = t.conrelid
    union all
    select 'trigger', t.tgname || ' of ' || c.name, md5(concat_ws(' ', pg_get_triggerdef(t.oid), t.tgenabled))
    from pg_trigger t join class c on c.oid = t.tgrelid where not t.tgisinternal
    union all
    select 'type', t.typname, md5(string_agg(e.enumlabel, ', ' order by e.enumsortorder))
    from pg_type t join pg_enum e on e.enumtypid = t.oid where t.typnamespace = 'gloss'::regnamespace group by t.typname
    union all
    select 'grant', g.what || ' to '
        || case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, ''
    from granted g where g.grantee <> g.owner
$$;

-- The last step of each run of glossctl migrate.
create function gloss.note_schema() returns void
language sql
as $$
    delete from gloss.schema_object;
    insert into gloss.schema_object
    select kind, name, digest, current_setting('server_version_num')::int / 10000 from gloss.schema_objects()
$$;

comment on schema gloss is 'Image annotation: a queue of jobs and their results';
