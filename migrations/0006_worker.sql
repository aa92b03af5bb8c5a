-- What a daemon calls. Each function is one transaction; none is open while an image is fetched or a model runs.
-- Only the database's clock counts.

set local role gloss_owner;

create function gloss.register_worker(host text, pid int, version text, models text[], tasks text[] default '{}')
returns bigint
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    insert into gloss.incarnation (host, pid, version, models, tasks)
    values (host, pid, version, models, tasks::gloss.task[]) returning id
$$;

-- Moves what has become due to ready.
create function gloss.promote(most int) returns void
language sql
as $$
    with due as (
        select job_id from gloss.scheduled where run_at <= now() order by run_at limit most for update skip locked
    ), gone as (
        delete from gloss.scheduled s using due where s.job_id = due.job_id returning s.*
    )
    insert into gloss.ready
    select case when g.rescues >= 2 then -j.lane else j.lane end, j.priority, j.id, g.attempts, g.rescues
    from gone g join gloss.job j on j.id = g.job_id
$$;

-- The host of an image's URL, or null.
create function gloss.host_of(url text) returns text
language sql immutable parallel safe
as $$ select lower(substring(url from '^[hH][tT][tT][pP][sS]?://(\[[^]]*\]|[^/:?#]+)')) $$;

-- Leases up to `room` jobs of some lanes. Jobs that turn out to be of a paused batch or a parked host go aside: they
-- are met once, not by every claim. `floors` says, a lane, behind which [priority, job] to look; the answer's floors
-- are the last ones met.
create function gloss.take(
    worker bigint, lanes smallint[], room int, inout floors jsonb, out jobs jsonb[], out aside int)
language sql
as $$
    with first as (
        select r.place, r.priority, r.job_id
        from (select id, coalesce((floors -> id::text ->> 0)::smallint, -32768) as priority,
                     coalesce((floors -> id::text ->> 1)::bigint, 0) as job_id from unnest(lanes) l (id)) l
        cross join lateral (
            select ctid as place, priority, job_id from gloss.ready r
            where r.lane = l.id and (r.priority, r.job_id) > (l.priority, l.job_id)
            order by r.lane, r.priority, r.job_id limit room for update skip locked) r
        order by r.priority, r.job_id limit room
    ), taken as (
        delete from gloss.ready r using first f where r.ctid = f.place
        returning r.lane, r.job_id, r.priority, r.attempts, r.rescues
    ), known as (
        select t.job_id, t.priority, t.attempts, t.rescues, j.key, j.task, j.image_urls, j.spec, j.max_attempts,
               j.batch_id, b.name as batch, coalesce(b.paused, false) as held, l.model,
               (select max(h.until) from gloss.parked_host h
                where h.until > now() and h.host in (select gloss.host_of(u) from unnest(j.image_urls) u)) as parked
        from taken t join gloss.job j on j.id = t.job_id join gloss.lane l on l.id = j.lane
        left join gloss.batch b on b.id = j.batch_id
    ), as_held as (
        insert into gloss.held select batch_id, job_id, null, attempts, rescues from known where held
    ), as_scheduled as (
        insert into gloss.scheduled select job_id, parked + random() * (parked - now()) / 10, attempts, rescues
        from known where not held and parked is not null
    ), leased as (
        insert into gloss.leased
        select job_id, nextval('gloss.fence'), take.worker, attempts, rescues, now()
        from known where not held and parked is null
        returning job_id, fence
    )
    select floors || coalesce((
            select jsonb_object_agg(lane, jsonb_build_array(priority, job_id)) from (
                select distinct on (lane) lane, priority, job_id from taken
                order by lane, priority desc, job_id desc) x), '{}'),
        array_agg(jsonb_build_object(
            'job', k.job_id, 'fence', l.fence, 'key', k.key, 'batch', k.batch, 'attempt', k.attempts + 1,
            'max_attempts', k.max_attempts, 'rescues', k.rescues, 'task', k.task, 'image_urls', k.image_urls,
            'model', k.model, 'spec', k.spec,
            'done_views', (select jsonb_agg(c.payload order by c.view)
                           from gloss.checkpoint c where c.job_id = k.job_id)
        ) order by k.priority, k.job_id) filter (where l.fence is not null),
        (count(*) filter (where l.fence is null))::int
    from known k left join leased l on l.job_id = k.job_id
$$;

-- A long transaction somewhere keeps deleted rows from being cleaned up, and each look for the first row of a lane has
-- to step over all of them. So a claim that took long for that reason remembers, in its session, up to where it came,
-- and for twenty times as long the next ones start there. Jobs that come in before that point (an earlier priority, a
-- retry) wait so long. These two functions read and keep the note: {"until": …, "floors": {lane: [priority, job]}}.
create function gloss.claim_note() returns jsonb
language plpgsql
as $$
declare
    note constant jsonb := nullif(current_setting('gloss.claim_note', true), '');
begin
    return case when (note ->> 'until')::float8 > extract(epoch from clock_timestamp()) then note end;
end $$;

create function gloss.keep_claim_note(note jsonb, floors jsonb, started timestamptz) returns void
language plpgsql
as $$
declare
    took constant float8 := extract(epoch from clock_timestamp() - started);
begin
    if note is null and took > 0.02 and pg_stat_get_dead_tuples('gloss.ready'::regclass) > 20000 then
        note := jsonb_build_object('until', extract(epoch from clock_timestamp()) + 20 * took);
    end if;
    if note is not null then
        perform set_config('gloss.claim_note', (note || jsonb_build_object('floors', floors))::text, false);
    end if;
end $$;

-- Leases up to max_jobs jobs that are due, by priority and age; each is a JSON object.
create function gloss.claim(worker bigint, max_jobs int) returns setof jsonb
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_sort = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    started constant timestamptz := clock_timestamp();
    note constant jsonb := claim_note();
    floors jsonb := coalesce(note -> 'floors', '{}');
    me gloss.incarnation;
    lanes smallint[];
    suspects smallint[];
    room int := least(max_jobs, 1000);
    got record;
begin
    select * into me from incarnation i where i.id = worker and i.stopped_at is null;
    if not found or room < 1 or exists (select from pause p where p.task is null) then return; end if;
    if note is null then perform promote(500); end if;

    lanes := array(
        select l.id from lane l
        where (l.model is null or l.model = any (me.models)) and (me.tasks = '{}' or l.task = any (me.tasks))
          and not exists (select from pause p where p.task = l.task));

    -- A suspect runs alone: if its daemon dies a third time, it was that job, and not one beside it. So a worker gets one
    -- when it holds nothing, gets nothing until then, and nothing else beside it.
    if exists (select from leased l where l.worker = claim.worker and l.rescues >= 2) then return; end if;
    suspects := array(select -l from unnest(lanes) l);
    if exists (select from unnest(suspects) l cross join lateral (
                   select from ready r where r.lane = l order by r.lane, r.priority, r.job_id limit 1) r) then
        if exists (select from leased l where l.worker = claim.worker) then return; end if;
        select * into got from take(worker, suspects, 1, '{}');
        if got.jobs is not null then
            return query select unnest(got.jobs);
            return;
        end if;
    end if;
    for round in 1..10 loop
        exit when room < 1;
        select * into got from take(worker, lanes, room, floors);
        floors := got.floors;
        return query select unnest(got.jobs);
        room := room - coalesce(cardinality(got.jobs), 0);
        exit when got.aside = 0;
    end loop;
    perform keep_claim_note(note, floors, started);
end $$;

-- Says that a worker lives, and what it has done by stage (null: as said before). registered: false if it was taken for
-- dead. lost: of the fences given, those that are no longer held.
create function gloss.heartbeat(
    worker bigint, jobs bigint[], fences bigint[], stages jsonb default null,
    out registered boolean, out lost bigint[])
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    update incarnation i set heartbeat_at = clock_timestamp(), stages = coalesce(heartbeat.stages, i.stages)
    where i.id = worker and i.stopped_at is null;
    registered := found;
    lost := array(
        select h.fence from unnest(jobs, fences) h (job, fence)
        where not exists (select from leased l where l.job_id = h.job and l.fence = h.fence));
end $$;

-- Keeps a finished view. False if the lease is gone; then nothing is written.
create function gloss.checkpoint(job bigint, fence bigint, view int, payload jsonb) returns boolean
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    with held as (
        select l.job_id from gloss.leased l where l.job_id = checkpoint.job and l.fence = checkpoint.fence for share
    ), kept as (
        insert into gloss.checkpoint select job_id, checkpoint.view, checkpoint.payload from held
        on conflict (job_id, view) do update set payload = excluded.payload
        returning 1
    )
    select exists (select from kept)
$$;

create function gloss.deregister_worker(worker bigint) returns void
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    update incarnation i set stopped_at = clock_timestamp() where i.id = worker and i.stopped_at is null;
    with gone as (
        delete from leased l where l.worker = deregister_worker.worker returning *
    ), back as (
        insert into ready
        select case when g.rescues >= 2 then -j.lane else j.lane end, j.priority, j.id, g.attempts, g.rescues
        from gone g join job j on j.id = g.job_id
    )
    insert into attempt (job_id, fence, attempt, outcome, reason, worker)
    select job_id, fence, attempts + 1, 'released', 'the daemon stopped', gone.worker from gone;
    perform notify_ready();
end $$;

-- Gives back the leases of a worker that it does not know of: those of a claim whose answer never arrived. The worker asks
-- between two claims, with all the fences that it holds.
create function gloss.release_unheld(worker bigint, held bigint[]) returns int
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    released int;
begin
    with gone as (
        delete from leased l where l.worker = release_unheld.worker and l.fence <> all (held) returning *
    ), back as (
        insert into ready
        select case when g.rescues >= 2 then -j.lane else j.lane end, j.priority, j.id, g.attempts, g.rescues
        from gone g join job j on j.id = g.job_id
    )
    insert into attempt (job_id, fence, attempt, outcome, reason, worker)
    select job_id, fence, attempts + 1, 'released', 'the answer to the claim was lost', gone.worker from gone;
    get diagnostics released = row_count;
    if released > 0 then perform notify_ready(); end if;
    return released;
end $$;

-- Takes back the jobs of workers that have been silent for longer than `silence`, or that have stopped. A restart of
-- the server silences everybody, so silence is counted from the server's start at the earliest. A job that was
-- rescued a third time is quarantined.
create function gloss.rescue(
    silence interval default '15 seconds', out lost_workers int, out rescued int, out poisoned int)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    up_since constant timestamptz :=
        coalesce(nullif(current_setting('gloss.up_since', true), '')::timestamptz, pg_postmaster_start_time());
begin
    update incarnation i set stopped_at = clock_timestamp(), lost = true
    where i.stopped_at is null and greatest(i.heartbeat_at, up_since) < clock_timestamp() - silence;
    get diagnostics lost_workers = row_count;

    with gone as (
        delete from leased l using incarnation i where i.id = l.worker and i.stopped_at is not null
        returning l.job_id, l.fence, l.worker, l.attempts, (l.rescues + 1)::smallint as rescues
    ), known as (
        select g.*, j.lane, j.priority, j.batch_id from gone g join job j on j.id = g.job_id
    ), back as (
        insert into ready
        select case when rescues >= 2 then -lane else lane end, priority, job_id, attempts, rescues
        from known where rescues < 3 returning 1
    ), quarantined as (
        insert into died (job_id, code, reason, attempts, rescues)
        select job_id, 'poison', format('poison: %s daemons died while they held this job', rescues), attempts, rescues
        from known where rescues >= 3 returning 1
    ), counted as (
        insert into tally (batch_id, lane, dead)
        select coalesce(batch_id, 0), lane, count(*) from known where rescues >= 3 group by 1, 2
    ), logged as (
        insert into attempt (job_id, fence, attempt, outcome, reason, worker)
        select job_id, fence, attempts + 1, 'rescued', 'the daemon that held it died', worker from known
    )
    select (select count(*) from back), (select count(*) from quarantined) into rescued, poisoned;
    if rescued > 0 then perform notify_ready(); end if;
    perform fold_tally(1000);
end $$;

-- Adds up the counts once there are more than `most` new rows. Not twice at the same time.
create function gloss.fold_tally(most int) returns void
language plpgsql
as $$
begin
    if (select count(*) from (select from gloss.tally where not folded limit most + 1) x) <= most
        or not pg_try_advisory_xact_lock(hashtext('gloss.fold_tally')) then return;
    end if;
    with old as (delete from gloss.tally returning *)
    insert into gloss.tally
    select batch_id, lane, case when minute < now() - interval '16 minutes' then '-infinity' else minute end, true,
           sum(enqueued), sum(done), sum(dead)
    from old group by 1, 2, 3;
end $$;
