-- What a daemon calls beside claim and record.

set local role gloss_owner;

create function gloss.register_worker(
    host text, pid int, version text, models text[], tasks text[], rescue_after interval, identity uuid)
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    id bigint;
begin
    if coalesce(cardinality(tasks), 0) = 0 then perform refuse('a worker must say which tasks it knows'); end if;
    if not rescue_after between '1 second' and '1 day' then
        perform refuse('rescue_after must be 1 second to 1 day, not ' || rescue_after);
    end if;
    insert into registered_worker (identity, host, pid, version, models, tasks, rescue_after)
    values (register_worker.identity, register_worker.host, register_worker.pid, register_worker.version,
        register_worker.models, register_worker.tasks, register_worker.rescue_after)
    returning registered_worker.id into id;
    return id;
end $$;

-- Whether this is the worker that was registered, dead or alive.
create function gloss.is_worker(worker bigint, identity uuid) returns boolean
language plpgsql stable
as $$
begin
    return exists (select from gloss.registered_worker w where w.id = worker and w.identity = is_worker.identity);
end $$;

-- Says that the engine begins these jobs: should the daemon die from now on, they count as suspects. Returns those of
-- the fences that are no longer held. (A function named begin could not be restored from a dump: psql takes the word for
-- the start of a body.)
create function gloss.begin_jobs(worker bigint, identity uuid, jobs bigint[], fences bigint[]) returns bigint[]
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    begun bigint[] := '{}';
begin
    if is_worker(worker, identity) then
        with now_begun as (
            update leased l set begun_at = now()
            from unnest(jobs, fences) h (job, fence)
            where l.job_id = any (jobs) and l.job_id = h.job and l.fence = h.fence and l.worker = begin_jobs.worker
              and l.begun_at is null
            returning l.fence
        )
        select coalesce(array_agg(b.fence), '{}') into begun from now_begun b;
    end if;
    return array(
        select h.fence from unnest(jobs, fences) h (job, fence)
        where h.fence <> all (begun) and not exists (
            select from leased l where l.job_id = h.job and l.fence = h.fence and l.worker = begin_jobs.worker));
end $$;

-- Says that a worker lives, what it has done by stage (null: as said before), where its jobs are, and why it claims
-- none. registered: false if it was taken for dead. lost: of the fences given, those that are no longer held. workers:
-- how many live.
--
-- A lease that the worker does not name goes back, unless it is younger than the heartbeat before the last one, since a
-- claim may be under way. Such are those of a claim whose answer was lost, and of a record that a failover has undone.
create function gloss.heartbeat(
    worker bigint, identity uuid, jobs bigint[], fences bigint[], stages jsonb default null, phases jsonb default null,
    holdup text default null, out registered boolean, out lost bigint[], out workers int)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    before_last timestamptz;
    unknown bigint[];
begin
    update registered_worker w
    set heartbeat_at = clock_timestamp(), previous_at = w.heartbeat_at, beats = w.beats + 1,
        stages = coalesce(heartbeat.stages, w.stages), phases = heartbeat.phases, holdup = heartbeat.holdup
    from (select x.previous_at from registered_worker x where x.id = worker) old
    where w.id = worker and w.identity = heartbeat.identity and w.stopped_at is null
    returning old.previous_at into before_last;
    registered := found;
    lost := array(
        select h.fence from unnest(jobs, fences) h (job, fence)
        where not registered or not exists (
            select from leased l where l.job_id = h.job and l.fence = h.fence and l.worker = heartbeat.worker));
    if registered then
        unknown := array(
            select l.job_id from leased l
            where l.worker = heartbeat.worker and l.leased_at < before_last and l.fence <> all (fences)
            order by l.job_id);
        if unknown <> '{}' then perform give_back(unknown, 'lost', 'the daemon does not know of its lease'); end if;
    end if;
    workers := (select count(*) from registered_worker w
                where not w.is_cleared and w.stopped_at is null
                  and w.heartbeat_at > clock_timestamp() - w.rescue_after);
end $$;

-- Keeps a finished view. False if the lease is gone; then nothing is written.
create function gloss.checkpoint(
    worker bigint, identity uuid, job bigint, fence bigint, stage int, view int, payload jsonb) returns boolean
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
begin
    perform from leased l
    where l.job_id = checkpoint.job and l.fence = checkpoint.fence and l.worker = checkpoint.worker
      and is_worker(checkpoint.worker, checkpoint.identity)
    for share;
    if not found then return false; end if;
    insert into checkpoint as c (job_id, stage, view, payload)
    values (checkpoint.job, checkpoint.stage, checkpoint.view, checkpoint.payload)
    on conflict on constraint checkpoint_pkey do update set payload = excluded.payload;
    return true;
end $$;

-- Leases go back without burning an attempt. Returns how many.
create function gloss.give_back(jobs bigint[], cause text, reason text) returns int
language plpgsql
as $$
declare
    moves constant gloss.move[] := array(
        select gloss.aim(m, target => 'ready', outcome => 'released', cause => give_back.cause, reason => give_back.reason)
        from gloss.lift(jobs, '{leased}') m);
begin
    if moves <> '{}' then perform gloss.place(moves); end if;
    return cardinality(moves);
end $$;

-- A worker says goodbye; what it still holds goes back.
create function gloss.deregister_worker(worker bigint, identity uuid) returns void
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
begin
    update registered_worker w set stopped_at = clock_timestamp()
    where w.id = worker and w.identity = deregister_worker.identity and w.stopped_at is null;
    if not found then return; end if;
    perform give_back(array(select l.job_id from leased l where l.worker = deregister_worker.worker order by l.job_id),
        'shutdown', 'the daemon stopped');
end $$;

-- Gives back the leases of a worker that it does not know of: those of a claim whose answer never arrived. The worker
-- asks between two claims, with all the fences that it holds.
create function gloss.release_unheld(worker bigint, identity uuid, held bigint[]) returns int
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
begin
    if not is_worker(worker, identity) then return 0; end if;
    return give_back(array(select l.job_id from leased l
                           where l.worker = release_unheld.worker and l.fence <> all (held) order by l.job_id),
        'lost', 'the answer to the claim was lost');
end $$;

-- Takes back the jobs of workers that were silent for longer than their rescue_after, or that have stopped.
--
-- Silence is what a rescuer has seen, not what a clock says: a worker is suspected when it seems to have been silent for
-- half of that time, and lost when it has not beaten since for the rest of it. When the clock stepped, or nobody looked
-- meanwhile (the server was down), the rest is the whole.
--
-- Only jobs that the engine had begun are suspects; the others go back as if the daemon had stopped. A job with which
-- three daemons died is quarantined. That one daemon worked on it for longer than the setting poison_window clears it
-- of earlier deaths.
create function gloss.rescue(out lost_workers int, out rescued int, out released int, out poisoned int)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    clock constant timestamptz := clock_timestamp();
    silent bigint[];
    stopped bigint[];
    moves move[];
    poison_window interval;
begin
    lost_workers := 0;
    rescued := 0;
    released := 0;
    poisoned := 0;
    update registered_worker w set suspected_at = clock, suspected_beats = w.beats
    where w.id in (
        select x.id from registered_worker x
        where not x.is_cleared and x.stopped_at is null
          and (x.heartbeat_at < clock - x.rescue_after / 2 or x.heartbeat_at > clock + interval '1 second')
          and (x.suspected_beats is distinct from x.beats or x.suspected_at > clock)
        order by x.id for update skip locked);

    select array_agg(w.id order by w.id) into silent
    from registered_worker w
    where not w.is_cleared and w.stopped_at is null and w.suspected_beats = w.beats
      and (w.heartbeat_at < clock - w.rescue_after / 2 or w.heartbeat_at > clock + interval '1 second')
      and clock - w.suspected_at >= case when w.suspected_at - w.heartbeat_at between '0' and w.rescue_after
                                         then w.rescue_after - (w.suspected_at - w.heartbeat_at)
                                         else w.rescue_after end
      and not clock - pg_postmaster_start_time() between '0' and setting_of('restart_grace')::interval;
    if silent is not null then
        update registered_worker w set stopped_at = clock, lost = true
        where w.id in (select x.id from registered_worker x where x.id = any (silent) and x.stopped_at is null
                         and x.suspected_beats = x.beats order by x.id for update skip locked);
        get diagnostics lost_workers = row_count;
    end if;

    stopped := array(select w.id from registered_worker w where not w.is_cleared and w.stopped_at is not null);
    if stopped = '{}' then return; end if;
    poison_window := setting_of('poison_window')::interval;
    select array_agg(case
        when m.begun_at is null and not w.lost then
            aim(m, target => 'ready', outcome => 'released', cause => 'shutdown', reason => 'the daemon stopped')
        when m.begun_at is null then
            aim(m, target => 'ready', outcome => 'released', cause => 'lost', reason => 'the daemon died before it began')
        when d.deaths >= 3 then
            aim(m, target => 'dead', rescues => d.deaths, outcome => 'rescued', code => 'poison',
                reason => format('poison: %s daemons died while they worked on this job', d.deaths))
        else aim(m, target => 'ready', rescues => d.deaths, outcome => 'rescued',
                reason => 'the daemon died while it worked on this job') end)
    into moves
    from lift(array(select l.job_id from leased l where l.worker = any (stopped) order by l.job_id), '{leased}') m
    join registered_worker w on w.id = m.worker
    cross join lateral (
        select case when w.heartbeat_at - m.begun_at > poison_window then 1 else m.rescues + 1 end as deaths) d;
    if moves is not null then
        perform place(moves);
        select count(*) filter (where m.outcome = 'rescued' and m.target = 'ready'),
               count(*) filter (where m.outcome = 'released'), count(*) filter (where m.target = 'dead')
        into rescued, released, poisoned from unnest(moves) m;
    end if;
    -- A claim that was under way when its worker was stopped leaves leases behind: look again for a while.
    update registered_worker w set is_cleared = true
    where w.id in (select x.id from registered_worker x
                   where x.id = any (stopped) and not clock - x.stopped_at between '0' and '1 minute'
                     and not exists (select from leased l where l.worker = x.id)
                   order by x.id for update skip locked);
end $$;

-- Jobs by task and model ('': any), as gloss.depth has them, for a daemon's metrics.
create function gloss.queue_metrics(
    out task text, out model text, out waiting bigint, out running bigint, out done bigint, out dead bigint,
    out oldest_seconds float8)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
begin
    return query
        select d.task, coalesce(d.model, ''), d.waiting, d.running, d.done, d.dead, d.oldest_seconds from depth d;
end $$;

-- Gives out no job with an image of this origin for a while. Parking again only ever makes it longer.
create function gloss.park_origin(origin text, pause interval, reason text) returns void
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    name constant text := parked_name(origin);
begin
    if name is null then
        perform refuse(format('origin is like https://images.example.org:8443, or a host''s name, not "%s"',
            left(origin, 200)));
    end if;
    insert into parked_origin as h (origin, until, reason)
    values (name, now() + park_origin.pause, park_origin.reason)
    on conflict on constraint parked_origin_pkey do update
        set until = greatest(h.until, excluded.until), parked_at = now(),
            reason = case when h.until < excluded.until then excluded.reason else h.reason end,
            -- It still fails, if it was parked until a while ago.
            since = case when isfinite(h.until) and h.until > now() - interval '1 hour' then h.since else now() end;
end $$;

insert into gloss.privilege (grantee, privilege, object)
select 'gloss_worker', 'execute', f
from unnest(array['register_worker', 'claim', 'begin_jobs', 'heartbeat', 'checkpoint', 'record', 'announce', 'rescue',
    'deregister_worker', 'release_unheld', 'park_origin', 'maintain', 'queue_metrics']) f;
insert into gloss.privilege (grantee, privilege, object) values ('gloss_admin', 'execute', 'park_origin');
