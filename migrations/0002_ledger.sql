-- What the schema knows of itself: its migrations, what they made, who may do what, and settings.

set local role gloss_owner;

comment on schema gloss is 'Image annotation: a queue of jobs and their results';

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

-- What the last migration left behind. glossctl doctor compares it with what is there.
create table gloss.schema_object (
    kind       text not null,
    name       text not null,
    digest     text not null,             -- md5 of what every version of PostgreSQL says in the same words
    definition text not null,             -- md5 of the definition as this version writes it
    server     int not null,              -- the major version of PostgreSQL that wrote the definition
    primary key (kind, name)
);

-- All that is there.
--
-- A digest is the same before and after a dump, a restore or an upgrade of the server. A definition that PostgreSQL
-- writes from its parse tree may differ between major versions; it is compared within one. NOT NULL is a property of a
-- column here: from version 18 on it is a constraint as well, which is left out.
create function gloss.schema_objects(out kind text, out name text, out digest text, out definition text)
returns setof record
language sql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    with class as (
        select c.oid, c.relname::text as name, c.relkind, pg_get_userbyid(c.relowner) as owner, c.relacl, c.relowner,
               c.relpersistence
        from pg_class c where c.relnamespace = 'gloss'::regnamespace
    ), columns as (
        select c.oid, string_agg(concat_ws(' ', a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
                   a.attidentity), ', ' order by a.attnum) as list,
               string_agg(pg_get_expr(d.adbin, d.adrelid), ', ' order by a.attnum) as defaults
        from class c join pg_attribute a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
        left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
        group by c.oid
    ), function as (
        select p.*, p.oid::regprocedure::text as name, pg_get_userbyid(p.proowner) as owner
        from pg_proc p where p.pronamespace = 'gloss'::regnamespace
    ), granted as (
        select 'execute on function gloss.' || f.name as what, a.grantee, f.proowner as owner
        from function f cross join lateral aclexplode(coalesce(f.proacl, acldefault('f', f.proowner))) a
        union all
        select lower(a.privilege_type) || ' on gloss.' || quote_ident(c.name), a.grantee, c.relowner
        from class c cross join lateral aclexplode(c.relacl) a
        where a.privilege_type <> 'MAINTAIN'
        union all
        select lower(a.privilege_type) || ' on schema gloss', a.grantee, n.nspowner
        from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname = 'gloss'
    )
    select 'function', f.name, md5(concat_ws(' ', f.owner, f.prosrc, f.prosecdef, f.provolatile, f.proretset,
        format_type(f.prorettype, null), f.proconfig, f.proargnames, pg_get_function_identity_arguments(f.oid))),
        md5(pg_get_functiondef(f.oid))
    from function f
    union all
    select 'table', c.name, md5(concat_ws(' ', c.owner, c.relpersistence, l.list)), md5(coalesce(l.defaults, ''))
    from class c join columns l on l.oid = c.oid where c.relkind in ('r', 'p')
    union all
    select 'view', c.name, md5(concat_ws(' ', c.owner, l.list)), md5(pg_get_viewdef(c.oid))
    from class c join columns l on l.oid = c.oid where c.relkind = 'v'
    union all
    select 'sequence', c.name, md5(c.owner), '' from class c where c.relkind = 'S'
    union all
    select 'index', c.name, md5(concat_ws(' ', i.indisvalid, i.indisready, i.indisunique)), md5(pg_get_indexdef(c.oid))
    from class c join pg_index i on i.indexrelid = c.oid
    union all
    select 'constraint', t.conname || ' of ' || c.name, md5(concat_ws(' ', t.contype, t.convalidated)),
        md5(pg_get_constraintdef(t.oid))
    from pg_constraint t join class c on c.oid = t.conrelid where t.contype <> 'n'
    union all
    select 'trigger', t.tgname || ' of ' || c.name, md5(concat_ws(' ', t.tgenabled, t.tgfoid::regproc)),
        md5(pg_get_triggerdef(t.oid))
    from pg_trigger t join class c on c.oid = t.tgrelid where not t.tgisinternal
    union all
    select 'type', c.name, md5(concat_ws(' ', c.owner, l.list)), ''
    from class c join columns l on l.oid = c.oid where c.relkind = 'c'
    union all
    select 'grant', g.what || ' to '
        || case g.grantee when 0 then 'public' else quote_ident(pg_get_userbyid(g.grantee)) end, '', ''
    from granted g where g.grantee <> g.owner
$$;

-- Who may do what: gloss.grant_rights makes it so. A migration that adds an object adds its rows.
create table gloss.privilege (
    grantee   text not null,
    privilege text not null,              -- select, insert, execute
    object    text not null,              -- a table, a view, or a function of any arguments
    primary key (object, privilege, grantee)
);

-- Grants what gloss.privilege says to gloss's roles, and nothing else. Readers and administrators read every table.
create function gloss.grant_rights() returns void
language plpgsql set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    command text;
begin
    revoke all on all tables in schema gloss from public, gloss_producer, gloss_worker, gloss_reader, gloss_admin;
    revoke all on all functions in schema gloss from public, gloss_producer, gloss_worker, gloss_reader, gloss_admin;
    revoke all on schema gloss from public, gloss_producer, gloss_worker, gloss_reader, gloss_admin;
    grant usage on schema gloss to gloss_producer, gloss_worker, gloss_reader, gloss_admin;
    grant select on all tables in schema gloss to gloss_reader, gloss_admin;
    for command in
        select format('grant execute on function %s to %I', f.oid::regprocedure, p.grantee)
        from gloss.privilege p join pg_proc f on f.proname = p.object and f.pronamespace = 'gloss'::regnamespace
        where p.privilege = 'execute'
        union all
        select format('grant %s on gloss.%I to %I', p.privilege, p.object, p.grantee)
        from gloss.privilege p where p.privilege <> 'execute'
    loop
        execute command;
    end loop;
end $$;

-- The last step of each run of glossctl migrate. PostgreSQL writes a view's definition from its parse tree, and reads
-- that text into a slightly different tree; so each view is first made again from its own text, as a restore does.
create function gloss.note_schema() returns void
language plpgsql set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    command text;
begin
    perform gloss.grant_rights();
    for command in
        select format('create or replace view gloss.%I as %s', c.relname, pg_get_viewdef(c.oid))
        from pg_class c where c.relnamespace = 'gloss'::regnamespace and c.relkind = 'v' order by c.oid
    loop
        execute command;
    end loop;
    delete from gloss.schema_object;
    insert into gloss.schema_object (kind, name, digest, definition, server)
    select o.kind, o.name, o.digest, o.definition, current_setting('server_version_num')::int / 10000
    from gloss.schema_objects() o;
end $$;

-- What an administrator may change: gloss.change_setting.
create table gloss.setting (
    name          text primary key,
    value         text not null,
    default_value text not null,
    type          text not null check (type in ('interval', 'integer')),
    description   text not null
);
insert into gloss.setting (name, value, default_value, type, description)
select name, value, value, type, description
from (values
    ('data_url_bytes', '1048576', 'integer', 'The longest data: URL that an enqueue takes, in bytes.'),
    ('give_up_after', '1 day', 'interval',
     'A job that goes back to the queue because its host fails dies when that has gone on for so long.'),
    ('restart_grace', '15 seconds', 'interval',
     'No worker is taken for dead within this time after PostgreSQL has started.'),
    ('poison_window', '15 minutes', 'interval',
     'A job that a daemon worked on for longer than this did not kill it: earlier deaths are forgotten.'),
    ('keep_workers', '7 days', 'interval', 'Rows of workers that have stopped are kept for so long.'),
    ('keep_parked', '1 day', 'interval', 'An origin is remembered for so long after it was parked last.'),
    ('keep_empty', '1 day', 'interval',
     'Batches without jobs, and lanes and models that nothing uses, are kept for so long.')
) x (name, value, type, description);

create function gloss.setting_of(name text) returns text
language sql stable
return (select s.value from gloss.setting s where s.name = setting_of.name);

-- Changes a setting; null: back to its default. Returns the value as it is now.
create function gloss.change_setting(name text, value text) returns text
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    kept setting;
    is_good boolean;
begin
    select * into kept from setting s where s.name = change_setting.name;
    if not found then
        raise exception using errcode = '22023', message = format('there is no setting "%s"', left(name, 200)),
            hint = 'They are in gloss.setting.';
    end if;
    begin
        is_good := value is null or case kept.type when 'interval' then value::interval >= '0' else value::int >= 0 end;
    exception when invalid_text_representation or invalid_datetime_format or datetime_field_overflow
        or numeric_value_out_of_range then is_good := false;
    end;
    if not is_good then
        raise exception using errcode = '22023', message = format('%s must be an %s of 0 or more, not "%s"', name,
            kept.type, left(value, 200));
    end if;
    update setting s set value = coalesce(change_setting.value, s.default_value) where s.name = change_setting.name
    returning s.value into change_setting.value;
    return value;
end $$;

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'schema_version'), ('gloss_worker', 'execute', 'schema_version'),
    ('gloss_reader', 'execute', 'schema_version'), ('gloss_admin', 'execute', 'schema_version'),
    ('gloss_reader', 'execute', 'schema_objects'), ('gloss_admin', 'execute', 'schema_objects'),
    ('gloss_admin', 'execute', 'change_setting');
