-- The end of a lease. The reports of one call are one transaction: each either finds its lease and is written whole, or
-- finds none and writes nothing.

set local role gloss_owner;

-- Makes the engines of results known.
create function gloss.note_engines(reports jsonb) returns void
language plpgsql
as $$
begin
    insert into gloss.engine (model, digest, adapter_digest, mask_digest, precision, resize, window_size, version)
    select n.model, n.digest, n.adapter_digest, n.mask_digest, n.precision, n.resize, n.window_size, n.version
    from (
        select distinct x.model, x.digest, coalesce(x.adapter_digest, '') as adapter_digest,
               coalesce(x.mask_digest, '') as mask_digest, coalesce(x."precision", '') as "precision",
               coalesce(x.resize, '') as resize, coalesce(x."window", 0) as window_size, x.version
        from jsonb_array_elements(reports) r
        cross join lateral jsonb_to_record(r -> 'result') x (model text, digest text, adapter_digest text,
            mask_digest text, "precision" text, resize text, "window" int, version text)
        where jsonb_typeof(r -> 'result') = 'object') n
    where not exists (
        select from gloss.engine e
        where e.model = n.model and e.digest = n.digest and e.adapter_digest = n.adapter_digest
          and e.mask_digest = n.mask_digest and e.precision = n.precision and e.resize = n.resize
          and e.window_size = n.window_size and e.version = n.version)
    on conflict do nothing;
end $$;

-- Makes the images of results known, in the order of their digests, so that two of these cannot wait for each other. One
-- that was about to be removed stays.
create function gloss.note_images(reports jsonb) returns void
language plpgsql
as $$
begin
    insert into gloss.image (sha256, width, height, byte_count, orientation, format)
    select n.digest, n.width, n.height, n.byte_count, n.orientation, n.format
    from (
        select distinct on (x.sha256) decode(x.sha256, 'hex') as digest, x.width, x.height, x.byte_count, x.orientation,
               x.format
        from jsonb_array_elements(reports) r
        cross join lateral jsonb_to_recordset(r #> '{result,images}') x (sha256 text, width int, height int,
            byte_count int, orientation smallint, format text)
        order by x.sha256) n
    where not exists (select from gloss.image i where i.sha256 = n.digest)
    order by n.digest
    on conflict do nothing;
    if exists (select from gloss.image i where i.idle_since is not null) then
        update gloss.image i set idle_since = null, idle_xid = null
        where i.sha256 in (
            select o.sha256 from gloss.image o
            where o.idle_since is not null and o.sha256 in (
                select decode(x.sha256, 'hex') from jsonb_array_elements(reports) r
                cross join lateral jsonb_to_recordset(r #> '{result,images}') x (sha256 text))
            order by o.sha256 for update);
    end if;
end $$;

-- Each report is an object:
--   job, fence, outcome: completed, failed or released
--   completed: result, an object of columns of gloss.annotation and gloss.engine; finish: ["eos", "length", …], a word a
--              response; image_sha256: hexadecimal; images: [{sha256, width, height, orientation, format, byte_count}];
--              findings: [columns of gloss.finding], image counts from 0; stages: [columns of gloss.annotation_stage],
--              those after the first
--   failed:    code, reason, permanent, delay (seconds until the next attempt)
--   released:  cause (shutdown, host, outage, surplus), code, reason, delay
-- Returns one word a report: recorded, already_recorded (this very report was written before) or stale (the lease is
-- gone, nothing was written). And the jobs that are done or dead by this call, for gloss.announce.
create function gloss.record(
    worker bigint, identity uuid, reports jsonb, out receipts text[], out ended bigint[])
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    jobs constant bigint[] := array(select (r ->> 'job')::bigint from jsonb_array_elements(reports) r);
    moves move[];
    give_up_after interval;
begin
    receipts := '{}';
    ended := '{}';
    if jobs = '{}' then return; end if;
    -- From here on gloss.remove_idle waits for this transaction.
    perform pg_current_xact_id();
    if not is_worker(worker, identity) then
        receipts := array_fill('stale'::text, array[cardinality(jobs)]);
        return;
    end if;
    perform note_engines(reports);
    perform note_images(reports);
    if reports @? '$[*] ? (@.cause == "host")' then give_up_after := setting_of('give_up_after')::interval; end if;

    with report as materialized (
        select r.*, e.n
        from jsonb_array_elements(reports) with ordinality e (report, n)
        cross join lateral jsonb_to_record(e.report) r (
            job bigint, fence bigint, outcome text, cause text, code text, reason text, delay float8, permanent boolean,
            result jsonb)
    ), returned as (
        -- By the array first: whatever the planner believes of the table's size, it goes by the index, in its order.
        delete from leased l using report r
        where l.job_id = any (jobs) and l.job_id = r.job and l.fence = r.fence and l.worker = record.worker
        returning l.job_id, l.fence, l.lane, l.attempts, l.rescues, l.begun_at, r.n, r.outcome, r.cause, r.code, r.reason,
                  r.permanent, r.result, greatest(coalesce(r.delay, 0), 0) as delay
    ), fate as materialized (
        select e.*, j.batch_id, j.spec -> 'settings' as asked,
               (e.attempts + (e.outcome = 'failed')::int)::smallint as failed,
               case when e.outcome = 'completed' then 'done'
                    when e.outcome = 'failed' and (e.permanent or e.attempts + 1 >= j.max_attempts) then 'dead'
                    when e.cause = 'host' and exists (
                        select from attempt t
                        where t.job_id = e.job_id and t.outcome = 'released' and t.cause = 'host'
                          and t.since < now() - give_up_after) then 'hopeless'
                    when e.delay > 0 then 'scheduled'
                    else 'ready' end as state,
               case when e.cause = 'host' and e.delay > 0 then (
                   select h.origin from parked_origin h
                   where h.until > now() and h.origin in (select origins_of(j.image_urls)) limit 1) end as origin
        from returned e join job j on j.id = e.job_id
    ), as_done as (
        insert into annotation (job_id, fence, worker, finished_at, engine, score, attempts, rescues, not_understood,
            findings, views, questions, samples, task, finish, texts, responses, sums, norms, tokens, token_scores,
            answers, probabilities, prompts, settings, image_sha256, final_urls, timings)
        select f.job_id, f.fence, record.worker, now(), (
                select g.id from engine g
                where g.model = a.model and g.digest = a.digest and g.adapter_digest = coalesce(a.adapter_digest, '')
                  and g.mask_digest = coalesce(a.mask_digest, '') and g.precision = coalesce(a."precision", '')
                  and g.resize = coalesce(a.resize, '') and g.window_size = coalesce(a."window", 0)
                  and g.version = a.version),
            a.score, f.attempts, f.rescues, coalesce(a.not_understood, 0),
            coalesce(jsonb_array_length(a.findings), 0), coalesce(a.views, 1), coalesce(a.questions, 1),
            coalesce(a.samples, cardinality(a.sums)), (
                select k.task from kind k join lane l on l.kind = k.id where l.id = f.lane),
            translate(replace(replace(a.finish::text, '"eos"', 'e'), '"length"', 'l'), '[], ', ''),
            a.texts, a.responses, a.sums, a.norms, a.tokens, a.token_scores, a.answers, a.probabilities, a.prompts,
            nullif(a.settings, f.asked),
            array(select decode(h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by u.n),
            case when a.final_urls[1] ilike 'data:%' or pg_column_size(a.final_urls) > 8192 then shown_urls(a.final_urls)
                 else a.final_urls end,
            a.timings
        from fate f
        cross join lateral jsonb_to_record(f.result) a (model text, digest text, adapter_digest text, mask_digest text,
            "precision" text, resize text, "window" int, version text, score real, not_understood smallint,
            findings jsonb, views smallint, questions smallint, samples smallint, finish jsonb, texts text[],
            responses smallint[], sums real[], norms real[], tokens smallint[], token_scores real[], answers text[],
            probabilities real[], prompts text[], settings jsonb, image_sha256 text[], final_urls text[], timings jsonb)
        where f.state = 'done'
    ), as_found as (
        insert into finding (job_id, fence, n, image, score, token_score, y1, x1, y2, x2, label, codes, mask, note)
        select f.job_id, f.fence, x.n, x.image + 1, x.score, x.token_score, x.y1, x.x1, x.y2, x.x2, x.label, x.codes,
            x.mask, x.note
        from fate f
        cross join lateral jsonb_to_recordset(f.result -> 'findings') x (n smallint, image smallint, score real,
            token_score real, y1 real, x1 real, y2 real, x2 real, label text, codes smallint[], mask text, note text)
        where f.state = 'done' and f.result -> 'findings' <> '[]'
    ), as_stages as (
        insert into annotation_stage (job_id, fence, stage, views, questions, samples, finish, prompts, texts, responses,
            sums, norms, tokens, token_scores, answers, probabilities)
        select f.job_id, f.fence, x.stage, x.views, x.questions, x.samples,
            translate(replace(replace(x.finish::text, '"eos"', 'e'), '"length"', 'l'), '[], ', ''),
            x.prompts, x.texts, x.responses, x.sums, x.norms, x.tokens, x.token_scores, x.answers, x.probabilities
        from fate f
        cross join lateral jsonb_to_recordset(f.result -> 'stages') x (stage smallint, views smallint,
            questions smallint, samples smallint, finish jsonb, prompts text[], texts text[], responses smallint[],
            sums real[], norms real[], tokens smallint[], token_scores real[], answers text[], probabilities real[])
        where f.state = 'done' and f.result ? 'stages'
    ), as_used as (
        insert into image_use (image_id, job_id, fence)
        select distinct i.id, f.job_id, f.fence
        from fate f cross join lateral jsonb_array_elements_text(f.result -> 'image_sha256') h
        join image i on i.sha256 = decode(h, 'hex')
        where f.state = 'done'
    )
    select array_agg(case
               when f.n is not null then 'recorded'
               when exists (select from annotation a
                            where a.job_id = r.job and a.fence = r.fence and a.worker = record.worker)
                 or exists (select from attempt t where t.job_id = r.job and t.fence = r.fence and t.worker = record.worker
                            and t.outcome in ('failed', 'released')) then 'already_recorded'
               else 'stale' end order by r.n),
           array_agg(r.job) filter (where f.state in ('done', 'dead', 'hopeless')),
           array_agg(move_of(
               job_id => f.job_id, batch_id => f.batch_id, lane => f.lane, attempts => f.failed, rescues => f.rescues,
               run_at => case f.state when 'scheduled' then now() + make_interval(secs => f.delay) end,
               source => 'leased', target => case f.state when 'hopeless' then 'dead' else f.state end,
               origin => f.origin, fence => f.fence, worker => record.worker, begun_at => f.begun_at,
               outcome => nullif(f.outcome, 'completed'), cause => f.cause,
               code => case f.state when 'hopeless' then 'host_unavailable' when 'dead' then coalesce(f.code, 'unknown')
                       else f.code end,
               reason => case when f.state = 'dead' then coalesce(f.reason, 'unknown')
                              || case when f.permanent then '' else format(' (attempt %s, the last)', f.failed) end
                              when f.state = 'hopeless' then format('its host has failed for longer than %s: %s',
                                  give_up_after, f.reason)
                              else f.reason end)) filter (where f.n is not null)
    into record.receipts, record.ended, moves
    from report r left join fate f on f.n = r.n;

    if moves is not null then perform place(moves, quiet => true); end if;
    ended := coalesce(ended, '{}');
    -- An origin that was parked and answers again.
    if exists (select from parked_origin h where h.until <= now()) then
        delete from parked_origin h
        where h.origin in (
            select o.origin from parked_origin o
            where o.until <= now() and o.origin in (
                select origins_of(j.image_urls) from unnest(moves) m join job j on j.id = m.job_id where m.target = 'done')
            order by o.origin for update skip locked);
    end if;
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
