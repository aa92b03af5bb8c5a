-- Claims. Each call of a daemon is one transaction; none is open while an image is fetched or a model runs. Only the
-- database's clock counts.

set local role gloss_owner;

-- A job as a claim gives it.
create type gloss.claimed_job as (
    job          bigint,
    fence        bigint,
    task         text,
    key          text,
    batch        text,
    attempt      int,         -- this one, from 1
    max_attempts int,
    rescues      int,
    priority     int,
    image_urls   text[],
    model        text,
    spec         jsonb,
    images       int,         -- its work at most
    prefills     int,
    tokens       int,
    bytes        int,         -- of image_urls
    checkpoints  jsonb        -- an array of payloads, in the order of stage and view; null: none
);

-- By name: in no other place is one written by position.
create function gloss.claimed_job_of(
    job bigint, fence bigint, task text, key text, batch text, attempt int, max_attempts int, rescues int, priority int,
    image_urls text[], model text, spec jsonb, images int, prefills int, tokens int, bytes int, checkpoints jsonb)
returns gloss.claimed_job
language sql immutable
as $$
    select row(job, fence, task, key, batch, attempt, max_attempts, rescues, priority, image_urls, model, spec, images,
        prefills, tokens, bytes, checkpoints)::gloss.claimed_job
$$;

-- Moves what has become due to ready: a little more than the claim can take.
create function gloss.promote(most int) returns void
language plpgsql
as $$
declare
    due constant bigint[] := array(
        select job_id from gloss.scheduled where run_at <= now() order by run_at limit most for update skip locked);
    moves gloss.move[];
begin
    moves := array(select gloss.aim(m, target => 'ready') from gloss.lift(due, '{scheduled}') m);
    if moves <> '{}' then perform gloss.place(moves); end if;
end $$;

-- Puts jobs aside that are ready, but of a paused batch or with an image of a parked origin: they are met once, not by
-- every claim. The rows are the caller's already. Batch and origin are locked while that is done, so that a resume
-- waits, and then finds the jobs; what somebody else has locked is about to change, and its jobs stay where they are.
-- Returns how many were moved.
create function gloss.set_aside(jobs bigint[]) returns int
language plpgsql
as $$
declare
    paused constant int[] := array(
        select b.id from gloss.batch b
        where b.paused and b.id in (select j.batch_id from gloss.job j where j.id = any (jobs))
        for share skip locked);
    parked constant text[] := array(
        select h.origin from gloss.parked_origin h where h.until > now() for share skip locked);
    give_up_after interval;
    moves gloss.move[];
begin
    if parked <> '{}' then give_up_after := gloss.setting_of('give_up_after')::interval; end if;
    with known as (
        select j.id, j.batch_id = any (paused) as is_paused, h.origin, h.until,
               h.until < 'infinity' and greatest(h.since, j.created_at) < now() - give_up_after as is_hopeless,
               h.reason, h.since
        from gloss.job j
        left join lateral (
            select o.* from gloss.parked_origin o
            where o.origin = any (parked) and o.origin in (select gloss.origins_of(j.image_urls))
            order by o.until desc limit 1) h on true
        where j.id = any (jobs)
    ), aside as (
        select * from known k where k.is_paused or k.origin is not null
    )
    select array_agg(case
        when a.is_paused then gloss.aim(m, target => 'paused')
        when a.is_hopeless then gloss.aim(m, target => 'dead', code => 'host_unavailable', reason => format(
            '%s has not answered since %s: %s', a.origin, date_trunc('second', a.since), a.reason))
        else gloss.aim(m, target => 'scheduled', origin => a.origin, run_at =>
            case when isfinite(a.until) then a.until + random() * (a.until - now()) / 10 else a.until end) end)
    into moves
    from gloss.lift(array(select a.id from aside a), '{ready}') m join aside a on a.id = m.job_id;
    if moves is null then return 0; end if;
    perform gloss.place(moves);
    return cardinality(moves);
end $$;

-- Lanes from which a worker claims, an array each.
create type gloss.claim_lanes as (
    ids           int[],
    turns         bigint[],   -- from which on
    priorities    smallint[],
    tasks         text[],
    models        text[],
    token_seconds float8[]    -- of a token of this task
);

-- Leases jobs of some lanes as far as the budget goes; at least one if needs_one. cut: the budget ended it. seen: rows
-- looked at. aside: jobs that were met and are not to run now.
create function gloss.take(
    worker bigint, lanes gloss.claim_lanes, prefill_seconds float8, image_seconds float8, room int, max_bytes bigint,
    max_seconds float8, needs_one boolean,
    out jobs gloss.claimed_job[], out bytes bigint, out seconds float8, out seen int, out cut boolean,
    out aside bigint[])
language plpgsql
as $$
#variable_conflict use_column
begin
    with first as (
        select l.n, l.priority, l.token_seconds, r.place, r.turn, r.job_id, r.attempts, r.rescues
        from unnest(lanes.ids, lanes.turns, lanes.priorities, lanes.token_seconds)
            with ordinality l (id, turn, priority, token_seconds, n)
        cross join lateral (
            select r.ctid as place, r.turn, r.job_id, r.attempts, r.rescues from gloss.ready r
            where r.lane = l.id and r.turn >= l.turn
            order by r.lane, r.turn limit room for update skip locked) r
        order by l.priority, r.turn, r.job_id limit room
    ), known as materialized (
        -- Narrow rows; what a job asks is read when it is taken.
        select f.n as lane, f.priority, f.place, f.turn, f.job_id, f.attempts, f.rescues, j.ctid as job_place,
               j.bytes, j.images * image_seconds + j.prefills * prefill_seconds + j.tokens * f.token_seconds as cost,
               b.name as batch,
               coalesce(b.paused, false) or case when exists (select from gloss.parked_origin h where h.until > now()) then
                   exists (select from gloss.parked_origin h
                           where h.until > now() and h.origin in (select gloss.origins_of(j.image_urls))) else false end
               as is_aside
        from first f join gloss.job j on j.id = f.job_id
        left join gloss.batch b on b.id = j.batch_id
    ), chosen as materialized (
        select x.*, nextval('gloss.fence') as fence
        from (
            select k.*, sum(k.cost) over o as cost_so_far, sum(k.bytes) over o as bytes_so_far, row_number() over o as n
            from known k where not k.is_aside window o as (order by k.priority, k.turn, k.job_id)) x
        where x.cost_so_far <= max_seconds and x.bytes_so_far <= max_bytes or x.n = 1 and needs_one
    ), taken as (
        delete from gloss.ready r where r.ctid = any (array(select c.place from chosen c))
    ), as_leased as (
        insert into gloss.leased (job_id, fence, worker, leased_at, lane, attempts, rescues)
        select c.job_id, c.fence, take.worker, now(), abs(lanes.ids[c.lane]), c.attempts, c.rescues from chosen c
    )
    select array_agg(gloss.claimed_job_of(job => c.job_id, fence => c.fence, task => lanes.tasks[c.lane], key => j.key,
               batch => c.batch, attempt => c.attempts + 1, max_attempts => j.max_attempts, rescues => c.rescues,
               priority => c.priority, image_urls => j.image_urls, model => nullif(lanes.models[c.lane], ''),
               spec => j.spec, images => j.images, prefills => j.prefills, tokens => j.tokens, bytes => j.bytes,
               checkpoints => (select jsonb_agg(p.payload order by p.stage, p.view)
                               from gloss.checkpoint p where p.job_id = c.job_id)) order by c.n),
           coalesce(sum(c.bytes), 0), coalesce(sum(c.cost), 0), (select count(*) from known)::int,
           count(*) < (select count(*) from known k where not k.is_aside),
           (select array_agg(k.job_id order by k.job_id) from known k where k.is_aside)
    into take.jobs, take.bytes, take.seconds, take.seen, take.cut, take.aside
    from chosen c join gloss.job j on j.ctid = c.job_place;
end $$;

-- Moves the turn of each of these lanes on to that of its first waiting job; that of an empty lane goes along with the
-- others of its priority, so that what comes into it has no lead over what waits elsewhere. At most one at a time does
-- this: the turn may lag behind what is served, and then claims step over some deleted rows.
--
-- It may also be ahead of a job, if that came in under a transaction that began long ago, or went back into the queue
-- when its claim was rolled back. So now and then (`sweep`) the first waiting job is looked for from the start.
create function gloss.move_turns(lanes int[], sweep boolean) returns void
language plpgsql
as $$
declare
    moved record;
begin
    if not pg_try_advisory_xact_lock(hashtext('gloss.move_turns')) then return; end if;
    with head as (
        select l.id, l.turn, l.priority, first.turn as first
        from gloss.lane l left join lateral (
            select r.turn from gloss.ready r
            where r.lane = l.id and r.turn >= case when sweep then 0 else l.turn end
            order by r.lane, r.turn limit 1) first on true
        where l.id = any (lanes)
    ), goal as (
        select h.id, h.turn as old,
               coalesce(h.first, greatest(h.turn, max(h.first) over (partition by h.priority))) as turn
        from head h
    ), free as (
        -- Who enqueues holds a lane that he has woken until he commits: it has to wait.
        select g.id, g.turn from goal g join gloss.lane l on l.id = g.id where g.turn <> g.old
        for no key update of l skip locked
    )
    update gloss.lane l set turn = f.turn, moved_at = clock_timestamp() from free f where l.id = f.id;
end $$;

-- Leases jobs that are due, by priority and turn: at most max_jobs, with at most max_bytes of image URLs, of at most
-- max_seconds of work; at least one, whatever it costs. weights: {image, prefill, token: seconds, tasks: {task: share
-- of its tokens that is decoded}}.
create function gloss.claim(
    worker bigint, identity uuid, max_jobs int, max_bytes bigint default 8388608, max_seconds float8 default 'infinity',
    weights jsonb default '{}')
returns setof gloss.claimed_job
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_sort = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    me registered_worker;
    lanes claim_lanes;
    suspects claim_lanes;
    is_old boolean;
    room int := least(max_jobs, 1000);
    looked int;
    bytes_left bigint := max_bytes;
    seconds_left float8 := max_seconds;
    image_seconds constant float8 := coalesce((weights ->> 'image')::float8, 0);
    prefill_seconds constant float8 := coalesce((weights ->> 'prefill')::float8, 0);
    token_weight constant float8 := coalesce((weights ->> 'token')::float8, 0);
    least_cost float8;
    got record;
begin
    select * into me from registered_worker w
    where w.id = worker and w.identity = claim.identity and w.stopped_at is null;
    if not found or room < 1 or exists (select from paused_task p where p.task = '') then return; end if;
    if exists (select from scheduled s where s.run_at <= now() order by s.run_at limit 1) then
        perform promote(room + 100);
    end if;

    select array_agg(l.id), array_agg(l.turn), array_agg(l.priority), array_agg(k.task), array_agg(k.model),
           array_agg(token_weight * coalesce((weights #>> array['tasks', k.task])::float8, 1)),
           max(l.moved_at) < clock_timestamp() - interval '1 second'
    into lanes.ids, lanes.turns, lanes.priorities, lanes.tasks, lanes.models, lanes.token_seconds, is_old
    from kind k join lane l on l.kind = k.id
    where k.task = any (me.tasks) and k.model = any (array_append(me.models, ''))
      and not exists (select from paused_task p where p.task = k.task);

    if lanes.ids is null then return; end if;

    -- A suspect runs alone: if its daemon dies a third time, it was that job, and not one beside it. So a worker gets one
    -- when it holds nothing, gets nothing until then, and nothing else beside it.
    if exists (select from leased l where l.worker = claim.worker and l.rescues >= 2) then return; end if;
    if exists (select from unnest(lanes.ids) l cross join lateral (
                   select from ready r where r.lane = -l order by r.lane, r.turn limit 1) r) then
        if exists (select from leased l where l.worker = claim.worker) then return; end if;
        suspects := lanes;
        suspects.ids := array(select -l from unnest(lanes.ids) with ordinality x (l, n) order by x.n);
        suspects.turns := array_fill(0::bigint, array[cardinality(lanes.ids)]);
        got := take(worker, suspects, prefill_seconds, image_seconds, 1, max_bytes, max_seconds, true);
        if got.jobs is not null then
            return query select j.* from unnest(got.jobs) j;
            return;
        end if;
        if got.aside is not null then perform set_aside(got.aside); end if;
    end if;

    looked := room;
    if max_seconds < 'infinity' then
        -- Rows that do not fit are locked for nothing. The first jobs tell how many are likely to.
        select min(j.images * image_seconds + j.prefills * prefill_seconds + j.tokens * l.token_seconds) into least_cost
        from unnest(lanes.ids, lanes.turns, lanes.token_seconds) l (id, turn, token_seconds)
        cross join lateral (
            select r.job_id from ready r where r.lane = l.id and r.turn >= l.turn order by r.lane, r.turn limit 1) r
        join job j on j.id = r.job_id;
        if least_cost > 0 then looked := least(room, 1 + ceil(least(max_seconds / least_cost, 1000))); end if;
    end if;
    for round in 1..10 loop
        exit when room < 1;
        got := take(worker, lanes, prefill_seconds, image_seconds, least(looked, room), bytes_left, seconds_left,
            bytes_left = max_bytes and seconds_left = max_seconds);
        return query select j.* from unnest(got.jobs) j;
        bytes_left := bytes_left - got.bytes;
        seconds_left := seconds_left - got.seconds;
        exit when got.cut or seconds_left <= 0 or bytes_left <= 0;
        if got.aside is not null then
            exit when set_aside(got.aside) = 0;
        else
            exit when got.seen < least(looked, room);
        end if;
        room := room - coalesce(cardinality(got.jobs), 0);
    end loop;
    if is_old then perform move_turns(lanes.ids, false); end if;
end $$;
