-- The one way in which a job goes from state to state: gloss.lift takes it out of its table, gloss.place puts it into
-- the next, and keeps counts, history, checkpoints and notifications right.

set local role gloss_owner;

-- A job on its way.
create type gloss.move as (
    job_id   bigint,
    batch_id int,         -- null: none
    lane     int,
    attempts smallint,    -- failed so far
    rescues  smallint,
    run_at   timestamptz, -- scheduled: when it is due; paused: when it was
    source   text,        -- the state that it was in: ready, scheduled, paused, leased, done, dead; null: it is new
    target   text,        -- the state that it comes into
    origin   text,        -- scheduled: for which it waits
    fence    bigint,      -- of the lease that ended
    worker   bigint,
    begun_at timestamptz,
    outcome  text,        -- what gloss.attempt says of that lease; null: nothing
    cause    text,        -- of a release
    code     text,
    reason   text
);

-- By name: in no other place is one written by position.
create function gloss.move_of(
    job_id bigint, batch_id int, lane int, target text, attempts smallint default 0::smallint,
    rescues smallint default 0::smallint, run_at timestamptz default null, source text default null,
    origin text default null, fence bigint default null, worker bigint default null, begun_at timestamptz default null,
    outcome text default null, cause text default null, code text default null, reason text default null)
returns gloss.move
language sql immutable
as $$
    select row(job_id, batch_id, lane, attempts, rescues, run_at, source, target, origin, fence, worker, begun_at,
        outcome, cause, code, reason)::gloss.move
$$;

-- The same move to a target. attempts and rescues: null leaves them.
create function gloss.aim(
    m gloss.move, target text, run_at timestamptz default null, origin text default null, attempts int default null,
    rescues int default null, outcome text default null, cause text default null, code text default null,
    reason text default null)
returns gloss.move
language plpgsql immutable
as $$
begin
    m.target := target;
    m.run_at := run_at;
    m.origin := origin;
    m.attempts := coalesce(attempts, m.attempts);
    m.rescues := coalesce(rescues, m.rescues);
    m.outcome := outcome;
    m.cause := cause;
    m.code := code;
    m.reason := reason;
    return m;
end $$;

-- Tells workers that there is something to do. A bulk load may say: set local gloss.notify = off
create function gloss.notify_ready() returns void
language plpgsql
as $$
begin
    if coalesce(current_setting('gloss.notify', true), '') <> 'off' then
        perform pg_notify('gloss_ready', '');
    end if;
end $$;

-- The next three look a name up, and make it known if it is new. Rows that nothing uses are removed after a while
-- (gloss.remove_idle). One that is marked for that is unmarked here; a transaction that began before the mark prevents
-- the removal as long as it lasts. Under repeatable read the mark may be invisible, so there the row is locked.

create function gloss.batch_of(batch_name text) returns int
language plpgsql
as $$
declare
    known record;
begin
    if batch_name is null then return null; end if;
    loop
        select b.id, b.idle_since into known from gloss.batch b where b.name = batch_name;
        if not found then
            insert into gloss.batch (name) values (batch_name) on conflict do nothing returning id into known.id;
        elsif known.idle_since is not null then
            update gloss.batch b set idle_since = null, idle_xid = null where b.id = known.id returning b.id into known.id;
        elsif current_setting('transaction_isolation') <> 'read committed' then
            select b.id into known.id from gloss.batch b where b.id = known.id for key share;
        end if;
        if known.id is not null then return known.id; end if;
    end loop;
end $$;

create function gloss.kind_of(task text, model text) returns int
language plpgsql
as $$
declare
    asked constant text := coalesce(model, '');
    known record;
begin
    loop
        select k.id, k.idle_since into known from gloss.kind k where k.task = kind_of.task and k.model = asked;
        if not found then
            insert into gloss.kind (task, model) values (kind_of.task, asked) on conflict do nothing
            returning id into known.id;
        elsif known.idle_since is not null then
            update gloss.kind k set idle_since = null, idle_xid = null where k.id = known.id returning k.id into known.id;
        elsif current_setting('transaction_isolation') <> 'read committed' then
            select k.id into known.id from gloss.kind k where k.id = known.id for key share;
        end if;
        if known.id is not null then return known.id; end if;
    end loop;
end $$;

create function gloss.lane_of(kind int, priority int) returns int
language plpgsql
as $$
declare
    known record;
begin
    loop
        select l.id, l.idle_since into known
        from gloss.lane l where l.kind = lane_of.kind and l.priority = lane_of.priority;
        if not found then
            -- It begins where others of its priority are, or its jobs would all be before theirs.
            insert into gloss.lane (kind, priority, turn)
            select lane_of.kind, lane_of.priority, coalesce(max(x.turn), 0)
            from (select l.turn from gloss.lane l where l.priority = lane_of.priority limit 100) x
            on conflict do nothing returning id into known.id;
        elsif known.idle_since is not null then
            update gloss.lane l set idle_since = null, idle_xid = null where l.id = known.id returning l.id into known.id;
        elsif current_setting('transaction_isolation') <> 'read committed' then
            select l.id into known.id from gloss.lane l where l.id = known.id for key share;
        end if;
        if known.id is not null then return known.id; end if;
    end loop;
end $$;

-- The turn of the next job of a batch (0: of none) in a lane: after the batch's last one, and not before the one that
-- is being served. Nothing is locked, so two transactions may get the same; then the batch is served a little faster.
create function gloss.next_turn(lane int, batch int) returns bigint
language plpgsql stable
set enable_seqscan = off set enable_sort = off
as $$
declare
    served constant bigint := (select l.turn from gloss.lane l where l.id = next_turn.lane);
    last constant bigint := coalesce(
        (select b.turn from gloss.batch_turn b where b.batch_id = batch and b.lane = next_turn.lane), 0);
begin
    return greatest(served, last + 1, 1, 1 + (
        select t.turn from gloss.tally t
        where t.batch_id = batch and t.lane = next_turn.lane and t.turn > greatest(served, last)
        order by t.batch_id desc, t.lane desc, t.turn desc limit 1));
end $$;

-- Whether so much waits in a lane that its workers are awake. PostgreSQL lets transactions that notify commit one at a
-- time, each with its own wait for the disk, so sessions that enqueue one job each would wait for each other.
create function gloss.is_long(lane int) returns boolean
language plpgsql stable
set enable_sort = off
as $$
begin
    return exists (
        select from gloss.ready r
        where r.lane = is_long.lane and r.turn >= (select l.turn from gloss.lane l where l.id = is_long.lane)
        order by r.lane, r.turn offset 100 limit 1);
end $$;

-- Takes jobs out of the tables of some states: ready, scheduled, paused, leased, dead, done. The result of one that is
-- done goes to gloss.superseded. What moves at this moment under somebody else's hands is waited for, and then missed.
-- Rows are locked in the order of their numbers, so that two of these cannot wait for each other.
create function gloss.lift(jobs bigint[], states text[]) returns setof gloss.move
language plpgsql
as $$
begin
    return query
    with ready_row as (
        delete from gloss.ready x where 'ready' = any (states) and x.job_id = any (jobs)
        returning x.job_id, x.attempts, x.rescues
    ), scheduled_row as (
        delete from gloss.scheduled x where 'scheduled' = any (states) and x.job_id = any (jobs)
        returning x.job_id, x.attempts, x.rescues, x.run_at, x.origin
    ), paused_row as (
        delete from gloss.paused_job x where 'paused' = any (states) and x.job_id = any (jobs)
        returning x.job_id, x.attempts, x.rescues, x.run_at
    ), leased_row as (
        delete from gloss.leased x where 'leased' = any (states) and x.job_id = any (jobs)
        returning x.job_id, x.attempts, x.rescues, x.fence, x.worker, x.begun_at
    ), dead_row as (
        delete from gloss.dead_job x where 'dead' = any (states) and x.job_id = any (jobs)
        returning x.job_id, x.attempts, x.rescues
    ), done_row as (
        delete from gloss.annotation x where 'done' = any (states) and x.job_id = any (jobs)
        returning x.*
    ), kept as (
        insert into gloss.superseded (job_id, fence, worker, finished_at, engine, score, attempts, rescues,
            not_understood, findings, views, questions, samples, task, finish, texts, responses, sums, norms, tokens,
            token_scores, answers, probabilities, prompts, settings, image_sha256, final_urls, timings)
        select d.job_id, d.fence, d.worker, d.finished_at, d.engine, d.score, d.attempts, d.rescues,
            d.not_understood, d.findings, d.views, d.questions, d.samples, d.task, d.finish, d.texts, d.responses,
            d.sums, d.norms, d.tokens, d.token_scores, d.answers, d.probabilities, d.prompts, d.settings,
            d.image_sha256, d.final_urls, d.timings
        from done_row d
    ), lifted as (
        select 'ready' as source, r.job_id, r.attempts, r.rescues, null::timestamptz as run_at, null as origin,
               null::bigint as fence, null::bigint as worker, null::timestamptz as begun_at from ready_row r
        union all
        select 'scheduled', s.job_id, s.attempts, s.rescues, s.run_at, s.origin, null, null, null from scheduled_row s
        union all
        select 'paused', p.job_id, p.attempts, p.rescues, p.run_at, null, null, null, null from paused_row p
        union all
        select 'leased', l.job_id, l.attempts, l.rescues, null, null, l.fence, l.worker, l.begun_at from leased_row l
        union all
        select 'dead', d.job_id, d.attempts, d.rescues, null, null, null, null, null from dead_row d
        union all
        select 'done', d.job_id, d.attempts, d.rescues, null, null, null, null, null from done_row d
    )
    select x.job_id, j.batch_id, coalesce(l.id, gloss.lane_of(j.kind, j.priority)), x.attempts, x.rescues, x.run_at,
           x.source, null::text, x.origin, x.fence, x.worker, x.begun_at, null::text, null::text, null::text, null::text
    from lifted x join gloss.job j on j.id = x.job_id
    left join gloss.lane l on l.kind = j.kind and l.priority = j.priority and l.idle_since is null;
end $$;

-- Gives turns to jobs that were not tried yet, all of one lane and batch (null: none): at the end of the batch, in their
-- order. are_new: they are counted as enqueued.
create function gloss.line_up(jobs bigint[], lane int, batch_id int, are_new boolean) returns void
language plpgsql
as $$
declare
    batch constant int := coalesce(batch_id, 0);
    next constant bigint := gloss.next_turn(lane, batch);
    count constant int := cardinality(jobs);
    new_count constant int := case when are_new then count else 0 end;
begin
    if count = 1 then
        insert into gloss.ready (lane, attempts, rescues, turn, job_id) values (lane, 0, 0, next, jobs[1]);
    else
        insert into gloss.ready (lane, attempts, rescues, turn, job_id)
        select line_up.lane, 0, 0, next - 1 + j.n, j.id from unnest(jobs) with ordinality j (id, n);
    end if;
    insert into gloss.tally (batch_id, lane, turn, enqueued, jobs)
    values (batch, lane, next - 1 + count, new_count, new_count);
end $$;

-- The same for jobs of several lanes and batches. (Whatever the planner believes of their number, there may be a hundred
-- thousand, each of another batch.)
create function gloss.line_up_all(jobs bigint[], lanes int[], batches int[], are_new boolean) returns void
language plpgsql
set enable_nestloop = off set enable_mergejoin = off set enable_seqscan = off set enable_bitmapscan = off
as $$
begin
    with fresh as materialized (
        select f.id, f.lane, coalesce(f.batch_id, 0) as batch, f.n
        from unnest(jobs, lanes, batches) with ordinality f (id, lane, batch_id, n)
    ), line as materialized (
        -- gloss.next_turn, without a call for each.
        select x.lane, x.batch, x.count, greatest(
                   (select l.turn from gloss.lane l where l.id = x.lane),
                   1 + (select b.turn from gloss.batch_turn b where b.batch_id = x.batch and b.lane = x.lane),
                   1 + (select t.turn from gloss.tally t where t.batch_id = x.batch and t.lane = x.lane and t.turn > 0
                        order by t.batch_id desc, t.lane desc, t.turn desc limit 1), 1) as next
        from (select f.lane, f.batch, count(*)::int as count from fresh f group by f.lane, f.batch) x
    ), as_ready as (
        insert into gloss.ready (lane, attempts, rescues, turn, job_id)
        select f.lane, 0, 0, l.next - 1 + f.place, f.id
        from (select x.*, row_number() over (partition by x.lane, x.batch order by x.n) as place from fresh x) f
        join line l on l.lane = f.lane and l.batch = f.batch
    )
    insert into gloss.tally (batch_id, lane, turn, enqueued, jobs)
    select l.batch, l.lane, l.next - 1 + l.count, case when are_new then l.count else 0 end,
           case when are_new then l.count else 0 end
    from line l;
end $$;

-- Puts jobs that are in no state into the table of their target: ready, scheduled, paused, dead; a result (done) is
-- written by gloss.record itself.
--
-- A job that was not tried yet joins the end of its batch, in the order of its number; one that was had its turn, and
-- goes to the head of its lane. quiet: somebody else tells of the jobs that ended.
create function gloss.place(moves gloss.move[], quiet boolean default false) returns void
language plpgsql
as $$
declare
    has record;
    fresh record;
begin
    select bool_or(m.target = 'ready') as ready, bool_or(m.target = 'scheduled') as scheduled,
           bool_or(m.target = 'paused') as paused, bool_or(m.target = 'dead') as dead,
           bool_or(m.target in ('done', 'dead')) as ended, bool_or(m.outcome is not null) as reported,
           count(*) as count,
           bool_or(m.target = 'ready' and m.attempts + m.rescues = 0) as fresh,
           bool_or(m.target = 'ready' and m.attempts + m.rescues > 0) as tried,
           bool_or(m.source is null or m.source in ('done', 'dead') or m.target in ('done', 'dead')) as counted
    into has from unnest(moves) m;

    if has.fresh then
        select array_agg(m.job_id order by m.job_id) as jobs, array_agg(m.lane order by m.job_id) as lanes,
               array_agg(m.batch_id order by m.job_id) as batches
        into fresh from unnest(moves) m where m.target = 'ready' and m.attempts + m.rescues = 0;
        if fresh.lanes = array_fill(fresh.lanes[1], array[cardinality(fresh.lanes)])
            and fresh.batches is not distinct from array_fill(fresh.batches[1], array[cardinality(fresh.lanes)]) then
            perform gloss.line_up(fresh.jobs, fresh.lanes[1], fresh.batches[1], false);
        else
            perform gloss.line_up_all(fresh.jobs, fresh.lanes, fresh.batches, false);
        end if;
    end if;
    if has.counted then
        insert into gloss.tally (batch_id, lane, enqueued, jobs, done, dead)
        select coalesce(m.batch_id, 0), m.lane, count(*) filter (where m.source is null),
               count(*) filter (where m.source is null),
               count(*) filter (where m.target = 'done') - count(*) filter (where m.source = 'done'),
               count(*) filter (where m.target = 'dead') - count(*) filter (where m.source = 'dead')
        from unnest(moves) m
        where m.source is null or m.source in ('done', 'dead') or m.target in ('done', 'dead')
        group by m.batch_id, m.lane;
    end if;
    if has.tried then
        insert into gloss.ready (lane, attempts, rescues, turn, job_id)
        select case when m.rescues >= 2 then -m.lane else m.lane end, m.attempts, m.rescues,
               (select l.turn from gloss.lane l where l.id = m.lane), m.job_id
        from unnest(moves) m where m.target = 'ready' and m.attempts + m.rescues > 0;
    end if;
    if has.scheduled then
        insert into gloss.scheduled (job_id, run_at, attempts, rescues, origin)
        select m.job_id, m.run_at, m.attempts, m.rescues, m.origin from unnest(moves) m where m.target = 'scheduled';
    end if;
    if has.paused then
        insert into gloss.paused_job (job_id, batch_id, run_at, attempts, rescues)
        select m.job_id, m.batch_id, m.run_at, m.attempts, m.rescues from unnest(moves) m where m.target = 'paused';
    end if;
    if has.dead then
        insert into gloss.dead_job (job_id, code, reason, attempts, rescues)
        select m.job_id, m.code, m.reason, m.attempts, m.rescues from unnest(moves) m where m.target = 'dead';
    end if;
    if has.ended then
        delete from gloss.checkpoint c
        where c.job_id = any (array(select m.job_id from unnest(moves) m where m.target in ('done', 'dead')));
    end if;
    if has.reported then perform gloss.note_attempts(moves); end if;

    if has.ready then perform gloss.notify_ready(); end if;
    if has.dead and not quiet then perform pg_notify('gloss_done', ''); end if;
end $$;

-- Writes down attempts that ended without a result. Releases for one cause, and rescues, are one row each.
create function gloss.note_attempts(moves gloss.move[]) returns void
language plpgsql
as $$
begin
    update gloss.attempt t
    set fence = m.fence, at = now(), count = t.count + 1, since = coalesce(t.since, now()), code = m.code,
        reason = m.reason, worker = m.worker, attempt = m.attempts + 1
    from unnest(moves) m
    where m.outcome in ('released', 'rescued') and t.job_id = m.job_id and t.outcome = m.outcome
      and t.cause is not distinct from m.cause;
    insert into gloss.attempt (job_id, fence, since, attempt, outcome, cause, code, reason, worker)
    select m.job_id, m.fence, case when m.outcome = 'released' then now() end,
           m.attempts + case when m.outcome = 'failed' then 0 else 1 end, m.outcome, m.cause, m.code, m.reason, m.worker
    from unnest(moves) m
    where m.outcome is not null
      and not exists (select from gloss.attempt t where t.job_id = m.job_id and t.fence = m.fence);
    -- An attempt of its own: its host answered.
    update gloss.attempt t set since = null
    from unnest(moves) m
    where m.outcome = 'failed' and t.job_id = m.job_id and t.since is not null;
end $$;
