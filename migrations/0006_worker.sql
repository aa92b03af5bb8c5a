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

-- Puts jobs that waited elsewhere into their lanes: those that were tried before at the head, the others at the end of
-- their batch, in order of age.
create function gloss.line_up(jobs bigint[], attempts smallint[], rescues smallint[]) returns void
language plpgsql
as $$
begin
    with known as (
        select j.id, j.lane, coalesce(j.batch_id, 0) as batch, x.attempts, x.rescues,
               x.attempts + x.rescues > 0 as tried
        from unnest(jobs, attempts, rescues) x (id, attempts, rescues) join gloss.job j on j.id = x.id
    ), line as (
        select lane, batch, gloss.next_turn(lane, batch) as next
        from (select distinct lane, batch from known where not tried) x
    ), fresh as (
        select k.id, k.lane, k.batch,
               line.next - 1 + row_number() over (partition by k.lane, k.batch order by k.id) as turn
        from known k join line on line.lane = k.lane and line.batch = k.batch
        where not k.tried
    ), counted as (
        insert into gloss.tally (batch_id, lane, turn) select batch, lane, max(turn) from fresh group by 1, 2
    ), again as (
        insert into gloss.ready (lane, attempts, rescues, turn, job_id)
        select case when k.rescues >= 2 then -k.lane else k.lane end, k.attempts, k.rescues, l.turn, k.id
        from known k join gloss.lane l on l.id = k.lane
        where k.tried
    )
    insert into gloss.ready (lane, attempts, rescues, turn, job_id) select lane, 0, 0, turn, id from fresh;
end $$;

-- Moves what has become due to ready: a little more than the claim can take.
create function gloss.promote(most int) returns void
language plpgsql
as $$
declare
    due record;
begin
    with found as (
        select job_id from gloss.scheduled where run_at <= now() order by run_at limit most for update skip locked
    ), gone as (
        delete from gloss.scheduled s using found where s.job_id = found.job_id returning s.*
    )
    select array_agg(job_id) as jobs, array_agg(attempts) as attempts, array_agg(rescues) as rescues into due from gone;
    if due.jobs is not null then perform gloss.line_up(due.jobs, due.attempts, due.rescues); end if;
end $$;

-- The host of an image's URL, or null.
create function gloss.host_of(url text) returns text
language sql immutable parallel safe
return lower(substring(url from '^[hH][tT][tT][pP][sS]?://(\[[^]]*\]|[^/:?#]+)'));

-- Leases up to `room` jobs of some lanes, each from a turn on. Jobs that turn out to be of a paused batch or a parked
-- host go aside: they are met once, not by every claim.
create function gloss.take(
    worker bigint, lanes int[], turns bigint[], priorities smallint[], room int, out jobs json[], out aside int)
language plpgsql
as $$
begin
    with first as (
        select r.place, l.priority, r.turn, r.job_id
        from unnest(lanes, turns, priorities) l (id, turn, priority)
        cross join lateral (
            select r.ctid as place, r.turn, r.job_id from gloss.ready r
            where r.lane = l.id and r.turn >= l.turn
            order by r.lane, r.turn limit room for update skip locked) r
        order by l.priority, r.turn, r.job_id limit room
    ), taken as (
        delete from gloss.ready r using first f where r.ctid = f.place
        returning r.job_id, r.attempts, r.rescues, f.priority, f.turn
    ), known as (
        select t.job_id, t.priority, t.turn, t.attempts, t.rescues, j.key, j.task, j.image_urls, j.spec, j.max_attempts,
               j.batch_id, b.name as batch, coalesce(b.paused, false) as held, l.model, nextval('gloss.fence') as fence,
               case when exists (select from gloss.parked_host h where h.until > now()) then
                   (select max(h.until) from gloss.parked_host h
                    where h.until > now() and h.host in (select gloss.host_of(u) from unnest(j.image_urls) u)) end
               as parked
        from taken t join gloss.job j on j.id = t.job_id join gloss.lane l on l.id = j.lane
        left join gloss.batch b on b.id = j.batch_id
    ), as_held as (
        insert into gloss.held select batch_id, job_id, null, attempts, rescues from known where held
    ), as_scheduled as (
        insert into gloss.scheduled
        select job_id, case when isfinite(parked) then parked + random() * (parked - now()) / 10 else parked end,
               attempts, rescues
        from known where not held and parked is not null
    ), as_leased as (
        insert into gloss.leased
        select job_id, fence, take.worker, attempts, rescues, now() from known where not held and parked is null
    )
    select array_agg(json_build_object(
            'job', k.job_id, 'fence', k.fence, 'key', k.key, 'batch', k.batch, 'attempt', k.attempts + 1,
            'max_attempts', k.max_attempts, 'rescues', k.rescues, 'task', k.task, 'image_urls', k.image_urls,
            'model', k.model, 'spec', k.spec,
            'done_views', (select jsonb_agg(c.payload order by c.view)
                           from gloss.checkpoint c where c.job_id = k.job_id)
        ) order by k.priority, k.turn, k.job_id) filter (where not k.held and k.parked is null),
        (count(*) filter (where k.held or k.parked is not null))::int
    into take.jobs, take.aside
    from known k;
end $$;

-- Moves each lane's turn on to that of its first waiting job; that of an empty lane goes along with the others of its
-- priority, so that what comes into it has no lead over what waits elsewhere. At most one at a time does this, once a
-- second: the turn may lag behind what is served, and then claims step over some deleted rows.
--
-- It may also be ahead of a job, if that came in under a transaction that began long ago, or went back into the queue
-- when its claim was rolled back. So now and then (`sweep`) the first waiting job is looked for from the start.
create function gloss.move_turns(sweep boolean) returns void
language plpgsql
as $$
begin
    if not pg_try_advisory_xact_lock(hashtext('gloss.move_turns')) then return; end if;
    with head as (
        select l.id, l.turn, l.priority, first.turn as first
        from gloss.lane l left join lateral (
            select r.turn from gloss.ready r
            where r.lane = l.id and r.turn >= case when sweep then 0 else l.turn end
            order by r.lane, r.turn limit 1) first on true
    ), moved as (
        select id, turn as old, coalesce(first, greatest(turn, max(first) over (partition by priority))) as turn
        from head
    )
    update gloss.lane l
    set turn = m.turn, moved_at = clock_timestamp(), swept_at = case when sweep then clock_timestamp() else swept_at end
    from moved m where m.id = l.id and (sweep or m.turn <> m.old);
end $$;

-- Leases up to max_jobs jobs that are due, by priority and turn; each is a JSON object.
create function gloss.claim(worker bigint, max_jobs int) returns setof json
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_sort = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    me gloss.incarnation;
    line record;
    room int := least(max_jobs, 1000);
    got record;
begin
    select * into me from incarnation i where i.id = worker and i.stopped_at is null;
    if not found or room < 1 or exists (select from pause p where p.task is null) then return; end if;
    if exists (select from scheduled s where s.run_at <= now() order by s.run_at limit 1) then
        perform promote(room + 100);
    end if;

    select array_agg(l.id) as lanes, array_agg(-l.id) as suspects, array_agg(l.turn) as turns,
           array_agg(l.priority) as priorities, max(l.moved_at) < clock_timestamp() - interval '1 second' as is_old
    into line
    from lane l
    where (l.model is null or l.model = any (me.models)) and (me.tasks = '{}' or l.task = any (me.tasks))
      and not exists (select from pause p where p.task = l.task);

    if line.lanes is null then return; end if;

    -- A suspect runs alone: if its daemon dies a third time, it was that job, and not one beside it. So a worker gets one
    -- when it holds nothing, gets nothing until then, and nothing else beside it.
    if exists (select from leased l where l.worker = claim.worker and l.rescues >= 2) then return; end if;
    if exists (select from unnest(line.suspects) s cross join lateral (
                   select from ready r where r.lane = s order by r.lane, r.turn limit 1) r) then
        if exists (select from leased l where l.worker = claim.worker) then return; end if;
        select * into got from take(worker, line.suspects, array_fill(0::bigint, array[cardinality(line.lanes)]),
            line.priorities, 1);
        if got.jobs is not null then
            return query select unnest(got.jobs);
            return;
        end if;
    end if;
    for round in 1..10 loop
        exit when room < 1;
        select * into got from take(worker, line.lanes, line.turns, line.priorities, room);
        return query select unnest(got.jobs);
        room := room - coalesce(cardinality(got.jobs), 0);
        exit when got.aside = 0;
    end loop;
    if line.is_old then perform move_turns(false); end if;
end $$;

-- Says that a worker lives, what it has done by stage (null: as said before), where its jobs are, and why it claims
-- none. registered: false if it was taken for dead. lost: of the fences given, those that are no longer held. workers:
-- how many live.
create function gloss.heartbeat(
    worker bigint, jobs bigint[], fences bigint[], stages jsonb default null, phases jsonb default null,
    holdup text default null, out registered boolean, out lost bigint[],
    out workers int)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    update incarnation i
    set heartbeat_at = clock_timestamp(), stages = coalesce(heartbeat.stages, i.stages), phases = heartbeat.phases,
        holdup = heartbeat.holdup
    where i.id = worker and i.stopped_at is null;
    registered := found;
    lost := array(
        select h.fence from unnest(jobs, fences) h (job, fence)
        where not exists (select from leased l where l.job_id = h.job and l.fence = h.fence));
    workers := (select count(*) from incarnation i
                where i.stopped_at is null and i.heartbeat_at > clock_timestamp() - interval '15 seconds');
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
        insert into ready (lane, attempts, rescues, turn, job_id)
        select case when g.rescues >= 2 then -l.id else l.id end, g.attempts, g.rescues, l.turn, g.job_id
        from gone g join job j on j.id = g.job_id join lane l on l.id = j.lane
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
        insert into ready (lane, attempts, rescues, turn, job_id)
        select case when g.rescues >= 2 then -l.id else l.id end, g.attempts, g.rescues, l.turn, g.job_id
        from gone g join job j on j.id = g.job_id join lane l on l.id = j.lane
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
set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
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
        select g.*, j.lane, j.batch_id from gone g join job j on j.id = g.job_id
    ), back as (
        insert into ready (lane, attempts, rescues, turn, job_id)
        select case when k.rescues >= 2 then -l.id else l.id end, k.attempts, k.rescues, l.turn, k.job_id
        from known k join lane l on l.id = k.lane
        where k.rescues < 3 returning 1
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
    if (select max(swept_at) from lane) < clock_timestamp() - interval '10 seconds' then
        perform move_turns(true);
    end if;
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
           sum(enqueued), sum(done), sum(dead), max(turn)
    from old group by 1, 2, 3;
end $$;
