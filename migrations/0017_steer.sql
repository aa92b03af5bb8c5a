-- What an administrator does: cancel, retry, rerun, pause, resume.

set local role gloss_owner;

-- The condition on gloss.job (as j) for one of: a job, a key (of a task, or of all), a batch, a task, everything.
create function gloss.selection(job bigint, key text, batch text, task text, everything boolean) returns text
language plpgsql stable
as $$
declare
    of_task constant text := case when task is null then ''
        else format(' and j.kind = any (array(select k.id from gloss.kind k where k.task = %L))', task) end;
begin
    if task is not null and not exists (select from gloss.task t where t.name = selection.task) then
        perform gloss.refuse(format('there is no task "%s"', left(task, 200)));
    end if;
    if job is not null then return format('j.id = %s', job); end if;
    if key is not null then return format('j.key = %L', key) || of_task; end if;
    if batch is not null then
        if not exists (select from gloss.batch b where b.name = selection.batch) then
            perform gloss.refuse(format('there is no batch "%s"', left(batch, 200)));
        end if;
        return format('j.batch_id = %s', (select b.id from gloss.batch b where b.name = selection.batch)) || of_task;
    end if;
    if task is not null then return 'true' || of_task; end if;
    if everything then return 'true'; end if;
    perform gloss.refuse('say which jobs: job, key, batch, task or everything => true');
end $$;

-- The table of a state.
create function gloss.table_of(state text) returns text
language sql immutable
return case state when 'done' then 'annotation' when 'dead' then 'dead_job' when 'paused' then 'paused_job' else state end;

-- Numbers above `after` of jobs that are chosen by the condition and in one of the states, in order; 10 000 at most.
create function gloss.chosen(condition text, states text[], after bigint) returns bigint[]
language plpgsql
as $$
declare
    places text;
    found bigint[];
begin
    if condition ~ '^j\.(id|key|batch_id) = ' then
        select string_agg(format('exists (select from gloss.%I x where x.job_id = j.id)', gloss.table_of(s)), ' or ')
        into places from unnest(states) s;
        execute format(
            'select array(select j.id from gloss.job j where (%s) and (%s) and j.id > $1 order by j.id limit 10000)',
            condition, places) into found using after;
    else
        -- Most jobs may be in other states: begin with those that are in these.
        select string_agg(format('(select x.job_id from gloss.%I x where x.job_id > $1)', gloss.table_of(s)), ' union all ')
        into places from unnest(states) s;
        execute format(
            'select array(select x.job_id from (%s) x join gloss.job j on j.id = x.job_id where %s '
                || 'order by x.job_id limit 10000)',
            places, condition) into found using after;
    end if;
    return found;
end $$;

-- Cancels the jobs of a selection, some thousands at a time. One that is being claimed or recorded meanwhile is looked for
-- again until it is in no state that can be cancelled.
create function gloss.cancel(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    condition constant text := selection(job, key, batch, task, everything);
    states constant text[] := '{ready,scheduled,paused,leased}';
    after bigint := 0;
    jobs bigint[];
    moves move[];
    total bigint := 0;
begin
    loop
        jobs := chosen(condition, states, after);
        exit when jobs = '{}';
        moves := array(
            select aim(m, target => 'dead', code => 'cancelled', reason => 'cancelled by ' || session_user,
                outcome => case when m.source = 'leased' then 'cancelled' end)
            from lift(jobs, states) m);
        if moves <> '{}' then perform place(moves); end if;
        total := total + cardinality(moves);
        -- All of these are gone: on to the next ones. Otherwise look at these once more.
        if cardinality(moves) = cardinality(jobs) then after := jobs[cardinality(jobs)]; end if;
    end loop;
    return total;
end $$;

-- Lines up jobs that have ended, with fresh attempts. Hosts that are parked have to fail afresh before they give up.
create function gloss.reset_and_requeue(condition text, states text[]) returns bigint
language plpgsql
as $$
declare
    after bigint := 0;
    jobs bigint[];
    moves gloss.move[];
    total bigint := 0;
begin
    loop
        jobs := gloss.chosen(condition, states, after);
        exit when jobs = '{}';
        moves := array(
            select gloss.aim(m, target => 'ready', attempts => 0, rescues => 0) from gloss.lift(jobs, states) m);
        if moves <> '{}' then perform gloss.place(moves); end if;
        update gloss.attempt t set since = null where t.job_id = any (jobs) and t.since is not null;
        if exists (select from gloss.parked_origin h where h.since < now()) then
            update gloss.parked_origin h set since = now()
            where h.origin in (
                select o.origin from gloss.parked_origin o
                where o.origin in (select gloss.origins_of(j.image_urls) from gloss.job j where j.id = any (jobs))
                order by o.origin for update);
        end if;
        total := total + cardinality(moves);
        after := jobs[cardinality(jobs)];
    end loop;
    return total;
end $$;

-- Puts dead jobs back with fresh attempts. Returns how many.
create function gloss.retry(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    return reset_and_requeue(selection(job, key, batch, task, everything), '{dead}');
end $$;

-- Runs jobs again that are done or dead, with fresh attempts. A key goes on naming its job. The old result goes to
-- gloss.superseded, and until there is a new one the views of results have none. Returns how many.
create function gloss.rerun(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    return reset_and_requeue(selection(job, key, batch, task, everything), '{done,dead}');
end $$;

-- Puts jobs that waited elsewhere into their lanes; one that is to run later, or waits for its host, is scheduled.
-- Returns how many.
create function gloss.requeue(jobs bigint[], states text[]) returns bigint
language plpgsql
as $$
declare
    moves constant gloss.move[] := array(
        select case when m.run_at > now() and isfinite(m.run_at) and m.source = 'paused'
                    then gloss.aim(m, target => 'scheduled', run_at => m.run_at, origin => m.origin)
                    else gloss.aim(m, target => 'ready') end
        from gloss.lift(jobs, states) m);
begin
    if moves <> '{}' then perform gloss.place(moves); end if;
    return cardinality(moves);
end $$;

-- Gives out no more jobs of a batch, of a task, with images of a host, or none at all. What is held by workers runs on.
-- A batch's waiting jobs are moved aside, so that no claim has to look at them; those of a host when a claim meets them.
-- host: a name, for all its origins, or an origin such as https://images.example.org:8443. Returns how many were moved.
create function gloss.pause(
    job bigint default null, batch text default null, task text default null, everything boolean default false,
    host text default null)
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    name text;
    chosen_batch int;
    after bigint := 0;
    jobs bigint[];
    moves move[];
    total bigint := 0;
begin
    if job is not null then perform refuse('a single job cannot be paused; cancel it, or pause its batch'); end if;
    if host is not null then
        name := parked_name(host);
        if name is null then
            perform refuse(format('host is a name such as images.example.org, or an origin such as '
                || 'https://images.example.org:8443, not "%s"', left(host, 200)));
        end if;
        insert into parked_origin as h (origin, until, reason)
        values (name, 'infinity', 'paused by ' || session_user)
        on conflict on constraint parked_origin_pkey
            do update set until = excluded.until, reason = excluded.reason, parked_at = now();
        return 0;
    end if;
    if batch is null then
        if task is null and not everything then
            perform refuse('say what to pause: batch, task, host or everything => true');
        end if;
        perform selection(null, null, null, task, everything);
        insert into paused_task (task) values (coalesce(pause.task, '')) on conflict do nothing;
        return 0;
    end if;
    update batch b set paused = true, idle_since = null, idle_xid = null where b.name = pause.batch
    returning b.id into chosen_batch;
    if chosen_batch is null then perform refuse(format('there is no batch "%s"', left(batch, 200))); end if;
    loop
        jobs := chosen(format('j.batch_id = %s', chosen_batch), '{ready,scheduled}', after);
        exit when jobs = '{}';
        moves := array(select aim(m, target => 'paused', run_at => m.run_at) from lift(jobs, '{ready,scheduled}') m);
        if moves <> '{}' then perform place(moves); end if;
        total := total + cardinality(moves);
        after := jobs[cardinality(jobs)];
    end loop;
    return total;
end $$;

-- The origins for which jobs wait: one look for each, however many jobs it has.
create function gloss.awaited_origins() returns setof text
language sql stable
as $$
    with recursive origin_with as (
        (select s.origin from gloss.scheduled s where s.origin is not null order by s.origin limit 1)
        union all
        select (select s.origin from gloss.scheduled s where s.origin > o.origin order by s.origin limit 1)
        from origin_with o where o.origin is not null
    )
    select o.origin from origin_with o where o.origin is not null
$$;

-- Undoes pause. Returns how many jobs were moved back.
create function gloss.resume(
    job bigint default null, batch text default null, task text default null, everything boolean default false,
    host text default null)
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    chosen_batch int;
    after bigint := 0;
    jobs bigint[];
    total bigint := 0;
begin
    if job is not null then perform refuse('a single job cannot be paused or resumed'); end if;
    if host is not null then
        -- Jobs may wait for a host a little longer than it is parked, or for one that a daemon could not tell of.
        if not exists (select from parked_origin h
                       where h.until > now() and parked_name(host) in (h.origin, host_of(h.origin)))
           and not exists (select from awaited_origins() o where parked_name(host) in (o, host_of(o))) then
            perform refuse(format('the host "%s" is neither paused nor parked', left(host, 200)));
        end if;
        return unpark_origin(host);
    end if;
    if batch is null then
        if task is null and not everything then
            perform refuse('say what to resume: batch, task, host or everything => true');
        end if;
        delete from paused_task p where p.task = coalesce(resume.task, '');
        perform notify_ready();
        return 0;
    end if;
    -- Who enqueues or claims into a paused batch has its row locked: once this has waited for them, it sees their jobs.
    update batch b set paused = false where b.name = resume.batch returning b.id into chosen_batch;
    if chosen_batch is null then perform refuse(format('there is no batch "%s"', left(batch, 200))); end if;
    loop
        jobs := array(select p.job_id from paused_job p
                      where p.batch_id = chosen_batch and p.job_id > after order by p.job_id limit 10000);
        exit when jobs = '{}';
        total := total + requeue(jobs, '{paused}');
        after := jobs[cardinality(jobs)];
    end loop;
    return total;
end $$;

-- Gives out jobs of this origin, or of all origins of this host, again, at once. Returns how many had been put aside.
create function gloss.unpark_origin(origin text) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    name constant text := parked_name(origin);
    names text[];
    after bigint := 0;
    jobs bigint[];
    total bigint := 0;
begin
    -- Claims that put jobs aside for it have its row locked: once this has waited for them, it sees their jobs.
    delete from parked_origin h where h.origin = name or host_of(h.origin) = name;
    names := array(select o from awaited_origins() o where name in (o, host_of(o)));
    loop
        -- What has an origin was due, whatever time it was asked for.
        jobs := array(select s.job_id from scheduled s
                      where s.origin = any (names) and s.job_id > after order by s.job_id limit 10000);
        exit when jobs = '{}';
        total := total + requeue(jobs, '{scheduled}');
        after := jobs[cardinality(jobs)];
    end loop;
    return total;
end $$;

insert into gloss.privilege (grantee, privilege, object)
select 'gloss_admin', 'execute', f
from unnest(array['cancel', 'retry', 'rerun', 'pause', 'resume', 'unpark_origin', 'forget', 'prune', 'maintain']) f;
