-- What an administrator does: cancel, retry, rerun, pause, resume, park, forget, prune.

set local role gloss_owner;

-- The condition on gloss.job (as j) for one of: a job, a key (of a task, or of all), a batch, a task, everything.
create function gloss.selection(job bigint, key text, batch text, task text, everything boolean) returns text
language plpgsql stable
as $$
begin
    if job is not null then return format('j.id = %s', job); end if;
    if key is not null then
        return format('j.key = %L and j.task = any (%L::gloss.task[])', key,
            case when task is null then enum_range(null::gloss.task) else array[task::gloss.task] end);
    end if;
    if batch is not null then
        if not exists (select from gloss.batch b where b.name = selection.batch) then
            perform gloss.refuse(format('there is no batch "%s"', batch));
        end if;
        return format('j.batch_id = %s', (select id from gloss.batch b where b.name = selection.batch))
            || case when task is null then '' else format(' and j.task = %L', task) end;
    end if;
    if task is not null then return format('j.task = %L', task); end if;
    if everything then return 'true'; end if;
    perform gloss.refuse('say which jobs: job, key, batch, task or everything => true');
end $$;

-- One pass over the chosen jobs. A job that moves at this moment is missed, so gloss.cancel looks again.
create function gloss.cancel_once(condition text) returns bigint
language plpgsql
as $$
declare
    cancelled bigint;
begin
    execute format($sql$
        with target as (
            select j.id, j.lane, j.batch_id from gloss.job j where %s
        ), r as (
            delete from gloss.ready x using target t where x.job_id = t.id
            returning t.*, x.attempts, x.rescues, null::bigint as fence, null::bigint as worker
        ), s as (
            delete from gloss.scheduled x using target t where x.job_id = t.id
            returning t.*, x.attempts, x.rescues, null::bigint, null::bigint
        ), h as (
            delete from gloss.held x using target t where x.batch_id = t.batch_id and x.job_id = t.id
            returning t.*, x.attempts, x.rescues, null::bigint, null::bigint
        ), l as (
            delete from gloss.leased x using target t where x.job_id = t.id
            returning t.*, x.attempts, x.rescues, x.fence, x.worker
        ), gone as (
            select * from r union all select * from s union all select * from h union all select * from l
        ), buried as (
            insert into gloss.died (job_id, code, reason, attempts, rescues)
            select id, 'cancelled', 'cancelled by ' || session_user, attempts, rescues from gone
        ), logged as (
            insert into gloss.attempt (job_id, fence, attempt, outcome, reason, worker)
            select id, fence, attempts + 1, 'cancelled', 'cancelled by ' || session_user, worker
            from gone where fence is not null
        ), counted as (
            insert into gloss.tally (batch_id, lane, dead)
            select coalesce(batch_id, 0), lane, count(*) from gone group by 1, 2
        ), cleared as (
            delete from gloss.checkpoint c using gone g where c.job_id = g.id
        )
        select count(*) from gone $sql$, condition) into cancelled;
    return cancelled;
end $$;

-- Ends jobs that are neither done nor dead: they are dead, with the code cancelled. A worker that holds one is told so
-- with its next heartbeat, and cannot write. Returns how many.
create function gloss.cancel(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    condition constant text := selection(job, key, batch, task, everything);
    pass bigint;
    total bigint := 0;
begin
    for n in 1..3 loop
        pass := cancel_once(condition);
        total := total + pass;
        exit when pass = 0;
    end loop;
    if total > 0 then perform pg_notify('gloss_done', ''); end if;
    return total;
end $$;

-- Lines up jobs that are in no state any more, with fresh attempts. Returns how many.
create function gloss.start_afresh(jobs bigint[]) returns bigint
language plpgsql
as $$
declare
    none constant smallint[] := array_fill(0::smallint, array[cardinality(jobs)]);
begin
    perform gloss.line_up(jobs, none, none);
    if jobs <> '{}' then perform gloss.notify_ready(); end if;
    return cardinality(jobs);
end $$;

-- Puts dead jobs back with fresh attempts. Returns how many.
create function gloss.retry(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    back bigint[];
begin
    execute format($sql$
        with gone as (
            delete from died d using job j where d.job_id = j.id and %s returning j.id, j.lane, j.batch_id
        ), counted as (
            insert into tally (batch_id, lane, dead)
            select coalesce(batch_id, 0), lane, -count(*) from gone group by 1, 2
        )
        select coalesce(array_agg(id), '{}') from gone $sql$, selection(job, key, batch, task, everything)) into back;
    return start_afresh(back);
end $$;

-- Runs jobs again that are done or dead, with fresh attempts. A key goes on naming its job. The old result goes to
-- gloss.superseded, and until there is a new one the views of results have none. Returns how many.
create function gloss.rerun(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    back bigint[];
begin
    execute format($sql$
        with target as (
            select j.id, j.lane, j.batch_id from job j where %s
        ), old as (
            delete from annotation a using target t where a.job_id = t.id returning a.*
        ), kept as (
            insert into superseded select * from old
        ), raised as (
            delete from died d using target t where d.job_id = t.id returning t.*, 0, 1
        ), gone as (
            select t.*, 1 as done, 0 as dead from target t where t.id in (select job_id from old)
            union all select * from raised
        ), counted as (
            insert into tally (batch_id, lane, done, dead)
            select coalesce(batch_id, 0), lane, -sum(done), -sum(dead) from gone group by 1, 2
        )
        select coalesce(array_agg(id), '{}') from gone $sql$, selection(job, key, batch, task, everything)) into back;
    return start_afresh(back);
end $$;

-- Gives out no more jobs of a batch, of a task, with images of a host, or none at all. What is held by workers runs on.
-- A batch's waiting jobs are moved aside, so that no claim has to look at them; those of a host when a claim meets them.
-- Returns how many were moved.
create function gloss.pause(
    job bigint default null, batch text default null, task text default null, everything boolean default false,
    host text default null)
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    chosen int;
    total bigint := 0;
begin
    if job is not null then perform refuse('a single job cannot be paused; cancel it, or pause its batch'); end if;
    if host is not null then
        if host !~ '^([^]/:?#@[[:space:]]+|\[[0-9a-fA-F:.]+\])$' then
            perform refuse(format('host is a name such as images.example.org, without scheme and port, not "%s"',
                left(host, 200)));
        end if;
        insert into parked_host as h (host, until, reason)
        values (lower(pause.host), 'infinity', 'paused by ' || session_user)
        on conflict on constraint parked_host_pkey
            do update set until = excluded.until, reason = excluded.reason, parked_at = now();
        return 0;
    end if;
    if batch is null then
        if task is null and not everything then
            perform refuse('say what to pause: batch, task, host or everything => true');
        end if;
        insert into pause (task) values (pause.task::task) on conflict do nothing;
        return 0;
    end if;
    update batch b set paused = true where b.name = pause.batch returning b.id into chosen;
    if chosen is null then perform refuse(format('there is no batch "%s"', batch)); end if;
    with target as (
        select j.id from job j where j.batch_id = chosen
    ), r as (
        delete from ready x using target t where x.job_id = t.id
        returning x.job_id, null::timestamptz as run_at, x.attempts, x.rescues
    ), s as (
        delete from scheduled x using target t where x.job_id = t.id
        returning x.job_id, x.run_at, x.attempts, x.rescues
    ), moved as (
        insert into held
        select chosen, job_id, run_at, attempts, rescues from (select * from r union all select * from s) gone
        returning 1
    )
    select count(*) from moved into total;
    return total;
end $$;

-- Undoes pause. Returns how many jobs of a batch were moved back.
create function gloss.resume(
    job bigint default null, batch text default null, task text default null, everything boolean default false,
    host text default null)
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    chosen int;
    back record;
    total bigint := 0;
begin
    if job is not null then perform refuse('a single job cannot be paused or resumed'); end if;
    if host is not null then
        if not exists (select from parked_host h where h.host = lower(resume.host)) then
            perform refuse(format('the host "%s" is neither paused nor parked', left(host, 200)));
        end if;
        return unpark_host(host);
    end if;
    if batch is null then
        if task is null and not everything then
            perform refuse('say what to resume: batch, task, host or everything => true');
        end if;
        delete from pause p where p.task is not distinct from resume.task::task;
    else
        update batch b set paused = false where b.name = resume.batch returning b.id into chosen;
        if chosen is null then perform refuse(format('there is no batch "%s"', batch)); end if;
        with gone as (
            -- Of one that was put aside for a paused host: its next claim sees whether the host still is.
            delete from held h where h.batch_id = chosen
            returning h.*, coalesce(h.run_at <= now() or h.run_at = 'infinity', true) as due
        ), as_scheduled as (
            insert into scheduled select job_id, run_at, attempts, rescues from gone where not due
        )
        select count(*) as count, array_agg(job_id) filter (where due) as jobs,
               array_agg(attempts) filter (where due) as attempts, array_agg(rescues) filter (where due) as rescues
        into back from gone;
        if back.jobs is not null then perform line_up(back.jobs, back.attempts, back.rescues); end if;
        total := back.count;
    end if;
    perform notify_ready();
    return total;
end $$;

-- Gives out no job with an image of this host for a while. Parking again only ever makes it longer.
create function gloss.park_host(host text, pause interval, reason text) returns void
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    insert into gloss.parked_host as h (host, until, reason)
    values (lower(park_host.host), now() + park_host.pause, park_host.reason)
    on conflict (host) do update set until = excluded.until, reason = excluded.reason where h.until < excluded.until
$$;

-- Gives out jobs of this host again, at once. Returns how many had been put aside.
create function gloss.unpark_host(host text) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    back record;
begin
    delete from parked_host h where h.host = lower(unpark_host.host);
    -- Those that were put aside for it, and retries, but none that is to run later.
    with due as (
        delete from scheduled s using job j
        where j.id = s.job_id and coalesce(j.run_at <= now(), true)
          and lower(unpark_host.host) in (select host_of(u) from unnest(j.image_urls) u)
        returning s.*
    )
    select count(*) as count, array_agg(job_id) as jobs, array_agg(attempts) as attempts, array_agg(rescues) as rescues
    into back from due;
    if back.jobs is not null then perform line_up(back.jobs, back.attempts, back.rescues); end if;
    perform notify_ready();
    return back.count;
end $$;

-- Deletes finished, dead and pruned jobs with their results and frees their keys: `most` of them, so that no transaction
-- is long. Returns how many; call it again until that is 0.
create function gloss.forget(
    job bigint default null, key text default null, batch text default null, task text default null,
    most int default 10000) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    total bigint;
begin
    execute format($sql$
        with target as (
            select j.id, j.lane, j.batch_id, j.image_urls = '{}' as pruned, j.spec ->> 'was' as was
            from job j
            where %s and (j.image_urls = '{}' or exists (select from annotation a where a.job_id = j.id)
                          or exists (select from died d where d.job_id = j.id))
            order by j.id limit $1
        ), a as (
            delete from annotation x using target t where x.job_id = t.id returning t.*, 1 as done, 0 as dead
        ), d as (
            delete from died x using target t where x.job_id = t.id returning t.*, 0, 1
        ), gone as (
            select * from a union all select * from d
            union all select t.*, (was = 'done')::int, (was = 'dead')::int from target t where pruned
        ), forgotten as (
            delete from job j using gone g where j.id = g.id
        ), history as (
            delete from attempt x using gone g where x.job_id = g.id
        ), earlier as (
            delete from superseded x using gone g where x.job_id = g.id
        ), counted as (
            insert into tally (batch_id, lane, enqueued, done, dead)
            select coalesce(batch_id, 0), lane, -count(*), -sum(done), -sum(dead) from gone group by 1, 2
        )
        select count(*) from gone $sql$, selection(job, key, batch, task, false)) into total using most;
    return total;
end $$;

-- Takes all of ended jobs that is not needed to know their keys again. One without a key is gone.
create function gloss.strip_jobs(jobs bigint[], was text) returns void
language plpgsql
as $$
begin
    delete from gloss.attempt where job_id = any (jobs);
    delete from gloss.superseded where job_id = any (jobs);
    delete from gloss.job where id = any (jobs) and key is null;
    update gloss.job j
    set image_urls = '{}', spec = jsonb_build_object(
        'was', was, 'pruned', gloss.digest_of(image_urls, spec, (select l.model from gloss.lane l where l.id = j.lane)))
    where id = any (jobs);
end $$;

-- Deletes what is older than it has to be kept (null: for ever): results with their jobs, dead jobs, and the history of
-- attempts of jobs that have ended. Keys stay: enqueued again, they say duplicate or conflict as before. Counts stay.
-- At most `most` of each, so that no transaction is long: call it again until nothing is deleted.
create function gloss.prune(
    history interval default '30 days', results interval default null, dead interval default null,
    most int default 10000, out attempts_deleted bigint, out results_deleted bigint, out dead_deleted bigint)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    jobs bigint[];
begin
    if least(history, results, dead) < '0' then perform refuse('keep nothing for less than no time'); end if;
    with old as (
        select a.job_id from annotation a where a.finished_at < now() - results
        order by a.finished_at limit most for update skip locked
    ), gone as (
        delete from annotation a using old where a.job_id = old.job_id returning a.job_id
    )
    select coalesce(array_agg(job_id), '{}') into jobs from gone;
    results_deleted := cardinality(jobs);
    perform strip_jobs(jobs, 'done');

    with old as (
        select d.job_id from died d where d.died_at < now() - dead order by d.died_at limit most for update skip locked
    ), gone as (
        delete from died d using old where d.job_id = old.job_id returning d.job_id
    )
    select coalesce(array_agg(job_id), '{}') into jobs from gone;
    dead_deleted := cardinality(jobs);
    perform strip_jobs(jobs, 'dead');

    with old as (
        select t.job_id, t.fence from attempt t
        where t.at < now() - history
          and (exists (select from annotation a where a.job_id = t.job_id)
               or exists (select from died d where d.job_id = t.job_id))
        order by t.at limit most
    )
    delete from attempt t using old where t.job_id = old.job_id and t.fence = old.fence;
    get diagnostics attempts_deleted = row_count;
    delete from parked_host h where h.until < now() - interval '1 day';
end $$;
