-- The roles of the review: gloss_reviewer reads what gloss_reader does and judges results; gloss_console has no right of its
-- own, and becomes one of the three for a request.
--
-- This file may run again at any time, as 0001 may, and then mends what a restore without the roles has left.

reset role;

do $$
declare
    is_16 constant boolean := current_setting('server_version_num')::int >= 160000;
    command text;
begin
    for command in
        select format('create role %I nologin', n) || case n when 'gloss_console' then ' noinherit' else '' end
        from unnest(array['gloss_reviewer', 'gloss_console']) n
        where not exists (select from pg_roles r where r.rolname = n)
    loop
        begin
            execute command;
        exception
            when duplicate_object or unique_violation then null;  -- another migration was faster
            when insufficient_privilege then
                raise exception using errcode = '42501', message = format('%s may not: %s', current_user, command),
                    hint = format('As a superuser: alter role %I createrole;', current_user);
        end;
    end loop;
    -- A member that inherits has the rights at once, the other one after set role.
    for command in
        select format('grant %I to %I', m.role, m.member) || case when not is_16 then ''
                   when m.member = 'gloss_console' then ' with inherit false, set true' else ' with inherit true' end
        from (values ('gloss_reader', 'gloss_reviewer'), ('gloss_reader', 'gloss_console'),
            ('gloss_reviewer', 'gloss_console'), ('gloss_admin', 'gloss_console')) m (role, member)
        where not exists (
            select from pg_auth_members x
            where x.roleid = m.role::regrole and x.member = m.member::regrole)
    loop
        begin
            execute command;
        exception when insufficient_privilege then
            raise exception using errcode = '42501', message = format('%s may not: %s', current_user, command),
                hint = format('As a superuser: %s;', command);
        end;
    end loop;
end $$;

set local role gloss_owner;
