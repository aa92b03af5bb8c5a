-- The end of a lease. The reports of one call are one statement: each either finds its lease and is written whole, or
-- finds none and writes nothing.

set local role gloss_owner;

-- Each report is an object:
--   job, fence, outcome: completed, failed or released
--   completed: result, an object of columns of gloss.annotation and model, digest, version
--   failed:    code, reason, permanent, delay (seconds until the next attempt)
--   released:  reason, delay
-- Returns one word a report: recorded, already_recorded (this very report was written before) or stale (the lease is
-- gone, nothing was written). And the jobs that are done or dead by this call, for gloss.announce.
create function gloss.record(reports jsonb, out receipts text[], out ended bigint[])
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    jobs constant bigint[] := array(select (r ->> 'job')::bigint from jsonb_array_elements(reports) r);
    put_back bigint;
begin
    -- What the results' engines are called, made known beforehand.
    insert into engine (model, digest, version)
    select distinct r ->> 'model', r ->> 'digest', r ->> 'version'
    from (select jsonb_array_elements(reports) -> 'result') x (r)
    where jsonb_typeof(r) = 'object'
      and not exists (select from engine e
                      where (e.model, e.digest, e.version) = (r ->> 'model', r ->> 'digest', r ->> 'version'))
    on conflict do nothing;

    with report as materialized (
        select r.*, e.n
        from jsonb_array_elements(reports) with ordinality e (report, n)
        cross join lateral jsonb_to_record(e.report) r (
            job bigint, fence bigint, outcome text, code text, reason text, delay float8, permanent boolean,
            result jsonb)
    ), returned as (
        -- By the array first: whatever the planner believes of the table's size, it goes by the index.
        delete from leased l using report r where l.job_id = any (jobs) and l.job_id = r.job and l.fence = r.fence
        returning l.job_id, l.fence, l.worker, l.attempts, l.rescues, r.n, r.outcome, r.code, r.reason, r.permanent,
                  r.result, greatest(coalesce(r.delay, 0), 0) as delay
    ), fate as (
        select e.*, j.lane, j.batch_id, (e.attempts + (e.outcome = 'failed')::int)::smallint as failed,
               case when e.outcome = 'completed' then 'done'
                    when e.outcome = 'failed' and (e.permanent or e.attempts + 1 >= j.max_attempts) then 'dead'
                    when e.delay > 0 then 'scheduled'
                    else 'ready' end as state
        from returned e join job j on j.id = e.job_id
    ), as_done as (
        insert into annotation
        select f.job_id, f.fence, f.worker, e.id, f.attempts, f.rescues, now(), a.texts, a.responses, a.sums, a.norms,
               a.tokens, a.truncated, a.views, a.questions, a.samples, a.labels, a.box_scores, a.boxes, a.answers,
               a.probabilities, a.prompts, a.settings, a.image_sha256, a.final_urls, a.timings
        from fate f cross join lateral jsonb_populate_record(null::annotation, f.result) a
        left join engine e
            on (e.model, e.digest, e.version) = (f.result ->> 'model', f.result ->> 'digest', f.result ->> 'version')
        where f.state = 'done'
    ), as_dead as (
        insert into died (job_id, code, reason, attempts, rescues)
        select job_id, coalesce(code, 'unknown'),
               coalesce(reason, 'unknown')
                   || case when permanent then '' else format(' (attempt %s, the last)', failed) end,
               failed, rescues
        from fate where state = 'dead'
    ), as_scheduled as (
        insert into scheduled select job_id, now() + make_interval(secs => delay), failed, rescues
        from fate where state = 'scheduled'
    ), as_ready as (
        insert into ready (lane, attempts, rescues, turn, job_id)
        select case when f.rescues >= 2 then -l.id else l.id end, f.failed, f.rescues, l.turn, f.job_id
        from fate f join lane l on l.id = f.lane
        where f.state = 'ready'
    ), logged as (
        insert into attempt (job_id, fence, attempt, outcome, code, reason, worker)
        select job_id, fence, attempts + 1, outcome, code, reason, worker from fate where outcome <> 'completed'
    ), counted as (
        insert into tally (batch_id, lane, done, dead)
        select coalesce(batch_id, 0), lane,
               count(*) filter (where state = 'done'), count(*) filter (where state = 'dead')
        from fate where state in ('done', 'dead') group by 1, 2
    ), cleared as (
        delete from checkpoint c using fate f
        where c.job_id = any (jobs) and c.job_id = f.job_id and f.state in ('done', 'dead')
    )
    select array_agg(case
               when f.n is not null then 'recorded'
               when exists (select from annotation a where a.job_id = r.job and a.fence = r.fence)
                 or exists (select from attempt t where t.job_id = r.job and t.fence = r.fence
                            and t.outcome in ('failed', 'released')) then 'already_recorded'
               else 'stale' end order by r.n),
           array_agg(r.job) filter (where f.state in ('done', 'dead')),
           count(*) filter (where f.state = 'ready')
    into record.receipts, record.ended, put_back
    from report r left join fate f on f.n = r.n;

    if put_back > 0 then perform notify_ready(); end if;
    receipts := coalesce(receipts, '{}');
    ended := coalesce(ended, '{}');
end $$;

-- Tells listeners which jobs have ended: their numbers as far as they fit; an empty payload says: look for yourself.
-- It is a call of its own, after the one that recorded them, because PostgreSQL lets transactions that notify commit
-- one at a time, and one that has written something waits for the disk meanwhile. This one writes nothing.
create function gloss.announce(jobs bigint[]) returns void
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select pg_notify('gloss_done', case when cardinality(jobs) <= 300 then array_to_string(jobs, ',') else '' end)
    where jobs <> '{}'
$$;
