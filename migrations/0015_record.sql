-- The end of a lease. The reports of one call are one transaction: each either finds its lease and is written whole, or
-- finds none and writes nothing.

set local role gloss_owner;

-- A letter a response.
create function gloss.finish_letters(finish text[]) returns text
language sql stable
as $$ select replace(replace(array_to_string(finish, ''), 'eos', 'e'), 'length', 'l') $$;

-- The number of an engine; it is made known if it is new.
create function gloss.engine_of(
    model text, digest text, adapter_digest text, mask_digest text, arithmetic text, filter text, size int, version text)
returns int
language plpgsql
as $$
#variable_conflict use_column
declare
    known int;
begin
    loop
        select e.id into known from gloss.engine e
        where e.model = engine_of.model and e.digest = engine_of.digest
          and e.adapter_digest = coalesce(engine_of.adapter_digest, '')
          and e.mask_digest = coalesce(engine_of.mask_digest, '') and e.precision = coalesce(arithmetic, '')
          and e.resize = coalesce(filter, '') and e.window_size = coalesce(size, 0) and e.version = engine_of.version;
        if known is not null then return known; end if;
        insert into gloss.engine (model, digest, adapter_digest, mask_digest, precision, resize, window_size, version)
        values (engine_of.model, engine_of.digest, coalesce(engine_of.adapter_digest, ''),
            coalesce(engine_of.mask_digest, ''), coalesce(arithmetic, ''), coalesce(filter, ''), coalesce(size, 0),
            engine_of.version)
        on conflict do nothing;
    end loop;
end $$;

-- Writes down which images results name, and makes those known that are new, in the order of their digests, so that two
-- of these cannot wait for each other. One that was about to be removed stays. jobs, fences, digests: an entry a use;
-- done_jobs, done_fences, images: an entry a result.
create function gloss.note_images(
    jobs bigint[], fences bigint[], digests bytea[], done_jobs bigint[], done_fences bigint[], images jsonb[])
returns void
language plpgsql
as $$
declare
    is_known boolean;
    new_count int;
begin
    -- Each is looked up by its digest, also by a plan that was made when the table was empty.
    select bool_and((select i.id from gloss.image i where i.sha256 = d.sha256) is not null) into is_known
    from unnest(digests) d (sha256);
    if not is_known then
        insert into gloss.image (sha256, width, height, byte_count, orientation, format, job_id, fence)
        select n.digest, n.width, n.height, n.byte_count, n.orientation, n.format, n.job_id, n.fence
        from (
            select distinct on (x.sha256) decode(x.sha256, 'hex') as digest, x.width, x.height, x.byte_count,
                   x.orientation, x.format, r.job_id, r.fence
            from unnest(done_jobs, done_fences, images) r (job_id, fence, images)
            cross join lateral jsonb_to_recordset(r.images) x (sha256 text, width int, height int,
                byte_count int, orientation smallint, format text)
            order by x.sha256) n
        where n.digest = any (digests)
        on conflict do nothing;
        get diagnostics new_count = row_count;
    end if;
    if new_count = cardinality(digests) then return; end if;
    if exists (select from gloss.image i where i.idle_since is not null) then
        update gloss.image i set idle_since = null, idle_xid = null
        where i.sha256 in (
            select o.sha256 from gloss.image o where o.idle_since is not null and o.sha256 = any (digests)
            order by o.sha256 for update);
    end if;
    insert into gloss.image_link (image_id, job_id, fence)
    select distinct i.id, u.job_id, u.fence
    from unnest(digests, jobs, fences) u (sha256, job_id, fence)
    cross join lateral (
        select o.id, o.job_id, o.fence from gloss.image o where o.sha256 = u.sha256 offset 0) i
    where (i.job_id, i.fence) <> (u.job_id, u.fence);
end $$;

-- Ends leases. Each report is an object:
--   job, fence, outcome: completed, failed or released
--   completed: result, an object of columns of gloss.annotation and gloss.engine ("window" is window_size);
--              without digest: of the same engine as the first result; views and questions may be left out if they are 1,
--              samples then; finish: ["eos", "length", …], a word a response, left out if all are eos;
--              image_sha256: hexadecimal;
--              images: [{sha256, width, height, orientation, format, byte_count}];
--              findings: [columns of gloss.finding], image counts from 0;
--              stages: [columns of gloss.annotation_stage], those after the first
--   failed:    code, reason, permanent, delay (seconds until the next attempt)
--   released:  cause (shutdown, host, outage, surplus), code, reason, delay; origin: the parked one that it waits for,
--              known: gloss.park_origin has returned for it
-- Returns one word a report: recorded, already_recorded (this very report was written before), stale (the lease is
-- gone, nothing was written) or unparked (written, but the job does not wait: somebody has taken up its origin again,
-- as the worker does not know). And the jobs that are done or dead by this call, for gloss.announce.
create function gloss.record(
    worker bigint, identity uuid, reports jsonb, out receipts text[], out ended bigint[])
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    -- The fields of the reports, an array each.
    jobs bigint[];
    fences bigint[];
    outcomes text[];
    causes text[];
    codes text[];
    reasons text[];
    delays float8[];
    finals boolean[];
    origins text[];
    known boolean[];
    parked text[];    -- of these origins and their hosts
    written int[];    -- numbers of those that found their lease
    unparked int[];
    n int;
    -- The images of each that is done.
    used_by bigint[];
    used_fences bigint[];
    used bytea[];
    done_jobs bigint[];
    done_fences bigint[];
    images jsonb[];
    first engine;     -- of the first result, and mostly of all
    moves move[];
    give_up_after interval;
begin
    select array_agg(r.job), array_agg(r.fence), array_agg(r.outcome), array_agg(r.cause), array_agg(r.code),
           array_agg(r.reason), array_agg(greatest(coalesce(r.delay, 0), 0)), array_agg(coalesce(r.permanent, false)),
           array_agg(r.origin), array_agg(coalesce(r.known, false) and r.origin is not null)
    into jobs, fences, outcomes, causes, codes, reasons, delays, finals, origins, known
    from jsonb_to_recordset(reports) r (job bigint, fence bigint, outcome text, cause text, code text, reason text,
        delay float8, permanent boolean, origin text, known boolean);
    receipts := '{}';
    ended := '{}';
    if jobs is null then return; end if;
    -- From here on gloss.remove_idle waits for this transaction.
    perform pg_current_xact_id();
    if not is_worker(worker, identity) then
        receipts := array_fill('stale'::text, array[cardinality(jobs)]);
        return;
    end if;
    if 'completed' = any (outcomes) then
        select engine_of(x.model, x.digest, x.adapter_digest, x.mask_digest, x."precision", x.resize, x."window", x.version)
        into first.id
        from jsonb_to_record(reports -> array_position(outcomes, 'completed') - 1 -> 'result') x (model text,
            digest text, adapter_digest text, mask_digest text, "precision" text, resize text, "window" int,
            version text);
        -- In a statement of its own, which sees it if it is new.
        select e.* into first from engine e where e.id = first.id;
    end if;
    if 'host' = any (causes) then
        give_up_after := setting_of('give_up_after')::interval;
        -- Whoever takes one of them up waits for this transaction, and sees its jobs. What is being taken up now counts as gone.
        parked := array(
            select h.origin from parked_origin h
            where h.origin = any (origins || array(select host_of(o) from unnest(origins) o where o is not null))
            for key share skip locked);
    end if;

    with returned as (
        -- By the job's index, in its order; whatever the planner believes of the worker's.
        delete from leased l
        where l.job_id = any (jobs) and jobs[array_position(fences, l.fence)] = l.job_id and l.worker + 0 = record.worker
        returning l.job_id, l.fence, l.lane, l.attempts, l.rescues, l.begun_at, array_position(fences, l.fence) as n
    ), held_for as (
        select e.*, origins[e.n] as origin,
               case when origins[e.n] is null then null
                    when origins[e.n] = any (parked) then origins[e.n]
                    when host_of(origins[e.n]) = any (parked) then host_of(origins[e.n]) end as parked_as
        from returned e
    ), fate as materialized (
        select e.job_id, e.fence, e.lane, e.attempts, e.rescues, e.begun_at, e.n, j.batch_id, k.task,
               reports -> e.n - 1 -> 'result' as result,
               case when outcomes[e.n] = 'completed' then j.spec -> 'settings' end as asked,
               (e.attempts + (outcomes[e.n] = 'failed')::int)::smallint as failed,
               case when outcomes[e.n] = 'completed' then 'done'
                    when outcomes[e.n] = 'failed' and (finals[e.n] or e.attempts + 1 >= j.max_attempts) then 'dead'
                    when known[e.n] and e.parked_as is null then 'ready'
                    when causes[e.n] = 'host' and exists (
                        select from attempt t
                        where t.job_id = e.job_id and t.outcome = 'released' and t.cause = 'host'
                          and t.since < now() - give_up_after) then 'hopeless'
                    when delays[e.n] > 0 then 'scheduled'
                    else 'ready' end as state,
               -- Perhaps it is about to be parked.
               case when causes[e.n] = 'host' and delays[e.n] > 0 then coalesce(e.parked_as, e.origin, (
                   select h.origin from parked_origin h
                   where h.until > now() and h.origin in (select origins_of(j.image_urls)) limit 1)) end as origin,
               known[e.n] and e.parked_as is null as is_unparked
        from held_for e join job j on j.id = e.job_id join kind k on k.id = j.kind
    ), as_done as (
        insert into annotation (job_id, fence, worker, finished_at, engine, score, attempts, rescues, not_understood,
            findings, views, questions, samples, task, finish, texts, responses, sums, norms, tokens, token_scores,
            answers, probabilities, prompts, settings, image_sha256, final_urls, timings)
        select f.job_id, f.fence, record.worker, now(),
            case when a.digest is null or a.digest = first.digest and a.model = first.model and a.version = first.version
                      and coalesce(a.adapter_digest, '') = first.adapter_digest
                      and coalesce(a.mask_digest, '') = first.mask_digest
                      and coalesce(a."precision", '') = first.precision and coalesce(a.resize, '') = first.resize
                      and coalesce(a."window", 0) = first.window_size
                 then first.id
                 else engine_of(a.model, a.digest, a.adapter_digest, a.mask_digest, a."precision", a.resize, a."window",
                     a.version) end,
            a.score, f.attempts, f.rescues, coalesce(a.not_understood, 0), coalesce(jsonb_array_length(a.findings), 0),
            coalesce(a.views, 1), coalesce(a.questions, 1), coalesce(a.samples, cardinality(a.sums)), f.task,
            coalesce(finish_letters(a.finish), repeat('e', cardinality(a.sums))), a.texts, a.responses, a.sums, a.norms, a.tokens, a.token_scores, a.answers,
            a.probabilities, a.prompts, nullif(a.settings, f.asked),
            case when cardinality(a.image_sha256) = 1 then array[decode(a.image_sha256[1], 'hex')]
                 else array(select decode(h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by u.n) end,
            case when a.final_urls[1] ilike 'data:%' or pg_column_size(a.final_urls) > 8192 then shown_urls(a.final_urls)
                 else a.final_urls end,
            a.timings
        from fate f
        cross join lateral jsonb_to_record(f.result) a (model text, digest text, adapter_digest text,
            mask_digest text, "precision" text, resize text, "window" int, version text, score real,
            not_understood smallint, findings jsonb, views smallint, questions smallint, samples smallint, finish text[],
            texts text[], responses smallint[], sums real[], norms real[], tokens smallint[], token_scores real[],
            answers text[], probabilities real[], prompts text[], settings jsonb, image_sha256 text[], final_urls text[],
            timings jsonb)
        where f.state = 'done'
        returning job_id, fence, image_sha256
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
        select f.job_id, f.fence, x.stage, coalesce(x.views, 1), coalesce(x.questions, 1),
            coalesce(x.samples, cardinality(x.sums)),
            coalesce(finish_letters(x.finish), repeat('e', cardinality(x.sums))), x.prompts, x.texts,
            x.responses, x.sums, x.norms, x.tokens, x.token_scores, x.answers, x.probabilities
        from fate f
        cross join lateral jsonb_to_recordset(f.result -> 'stages') x (stage smallint, views smallint,
            questions smallint, samples smallint, finish text[], prompts text[], texts text[], responses smallint[],
            sums real[], norms real[], tokens smallint[], token_scores real[], answers text[], probabilities real[])
        where f.state = 'done' and f.result ? 'stages'
    ), counted as (
        insert into tally (batch_id, lane, done)
        select coalesce(f.batch_id, 0), f.lane, count(*) from fate f where f.state = 'done' group by f.batch_id, f.lane
    ), used as materialized (
        select d.job_id, d.fence, unnest(d.image_sha256) as sha256 from as_done d
    )
    select array_agg(move_of(
               job_id => f.job_id, batch_id => f.batch_id, lane => f.lane, attempts => f.failed, rescues => f.rescues,
               run_at => case f.state when 'scheduled' then now() + make_interval(secs => delays[f.n]) end,
               source => 'leased', target => case f.state when 'hopeless' then 'dead' else f.state end,
               origin => f.origin, fence => f.fence, worker => record.worker, begun_at => f.begun_at,
               outcome => nullif(outcomes[f.n], 'completed'), cause => causes[f.n],
               code => case f.state when 'hopeless' then 'host_unavailable' when 'dead' then coalesce(codes[f.n], 'unknown')
                       else codes[f.n] end,
               reason => case when f.state = 'dead' then coalesce(reasons[f.n], 'unknown')
                              || case when finals[f.n] then '' else format(' (attempt %s, the last)', f.failed) end
                              when f.state = 'hopeless' then format('its host has failed for longer than %s: %s',
                                  give_up_after, reasons[f.n])
                              else reasons[f.n] end)) filter (where f.state <> 'done'),
           coalesce(array_agg(f.job_id) filter (where f.state in ('done', 'dead', 'hopeless')), '{}'),
           coalesce(array_agg(f.n), '{}'), (select array_agg(u.job_id) from used u),
           (select array_agg(u.fence) from used u), (select array_agg(u.sha256) from used u),
           array_agg(f.job_id) filter (where f.state = 'done'), array_agg(f.fence) filter (where f.state = 'done'),
           array_agg(f.result -> 'images') filter (where f.state = 'done'),
           coalesce(array_agg(f.n) filter (where f.is_unparked), '{}')
    into moves, record.ended, written, used_by, used_fences, used, done_jobs, done_fences, images, unparked
    from fate f;
    -- In a statement of its own: one that was being written meanwhile had its lease locked, and is seen only now.
    if ended <> '{}' then delete from checkpoint c where c.job_id = any (ended); end if;
    if used is not null then perform note_images(used_by, used_fences, used, done_jobs, done_fences, images); end if;

    if cardinality(written) = cardinality(jobs) then
        receipts := array_fill('recorded'::text, array[cardinality(jobs)]);
    else
        receipts := array(
            select case
                when r.n = any (written) then 'recorded'
                when exists (select from annotation a
                             where a.job_id = r.job and a.fence = r.fence and a.worker = record.worker)
                  or exists (select from attempt t
                             where t.job_id = r.job and t.fence = r.fence and t.worker = record.worker
                               and (t.outcome = outcomes[r.n] and t.cause is not distinct from causes[r.n]
                                    or outcomes[r.n] = 'completed' and t.code = 'unrecordable'))
                     then 'already_recorded'
                else 'stale' end
            from unnest(jobs, fences) with ordinality r (job, fence, n) order by r.n);
    end if;
    foreach n in array unparked loop receipts[n] := 'unparked'; end loop;
    if moves is not null then perform place(moves, quiet => true); end if;
    -- An origin that was parked and answers again.
    if exists (select from parked_origin h where h.until <= now()) then
        delete from parked_origin h
        where h.origin in (
            select o.origin from parked_origin o
            where o.until <= now() and o.origin in (
                select origins_of(j.image_urls) from job j
                where j.id = any (ended) and exists (select from annotation a where a.job_id = j.id))
            order by o.origin for update skip locked);
    end if;
end $$;

-- Tells listeners which jobs have ended: their numbers as far as they fit; an empty payload says: look for yourself.
-- It is a call of its own, after the one that recorded them, because PostgreSQL lets transactions that notify commit
-- one at a time, and one that has written something waits for the disk meanwhile. This one writes nothing.
create function gloss.announce(jobs bigint[]) returns void
language sql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
    select pg_notify('gloss_done', case when cardinality(jobs) <= 300 then array_to_string(jobs, ',') else '' end)
    where jobs <> '{}'
$$;
