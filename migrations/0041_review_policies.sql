-- What to look at next. Each policy walks an index in its order, over results that nobody has judged.

set local role gloss_owner;

create function gloss.review_policies() returns text[]
language sql immutable
return array['lowest', 'margin', 'entropy', 'disagreement', 'random', 'newest'];

-- How much likelier the first of several answers is than the second: 1 if it is alone.
create function gloss.margin(probabilities real[]) returns real
language sql immutable parallel safe
return probabilities[1] - coalesce(probabilities[2], 0);

-- In nats: 0 if one answer has all probability. (PL/pgSQL for speed, like the next one: results pay for it as they are recorded.)
create function gloss.entropy(probabilities real[]) returns real
language plpgsql immutable strict parallel safe
as $$
declare
    p float8;
    sum float8 := 0;
begin
    foreach p in array probabilities loop
        if p > 0 then sum := sum - p * ln(p); end if;
    end loop;
    return sum;
end $$;

-- The share of samples that say something else than most do, blanks and letters' case aside.
create function gloss.dissent(texts text[]) returns real
language plpgsql immutable strict parallel safe
as $$
begin
    return (select 1 - max(x.count)::float8 / cardinality(texts)
            from (select count(*) as count from unnest(texts) t group by lower(btrim(t, E' \t\n.'))) x);
end $$;

-- The place of a job in the order of the random samples. It depends on the number alone, so whatever has been judged, a run
-- of places is a simple random sample of all results.
create function gloss.draw_place(job bigint) returns bigint
language sql immutable parallel safe
return hashint8extended(job, 0);

-- Where the sample of a seed begins; after the last place comes the first one.
create function gloss.draw_start(seed text) returns bigint
language sql immutable parallel safe
return hashtextextended(coalesce(seed, ''), 0);

create index annotation_lowest on gloss.annotation (task, score) where reviews = 0;
create index annotation_drawn on gloss.annotation (task, gloss.draw_place(job_id)) where reviews = 0;
create index annotation_margin on gloss.annotation (task, gloss.margin(probabilities))
where reviews = 0 and probabilities is not null;
create index annotation_entropy on gloss.annotation (task, gloss.entropy(probabilities) desc)
where reviews = 0 and probabilities is not null;
create index annotation_dissent on gloss.annotation (task, gloss.dissent(texts) desc)
where reviews = 0 and samples > 1 and probabilities is null;
create index annotation_reviewed on gloss.annotation (task, gloss.draw_place(job_id)) where reviews > 0;

-- The filter of a review as its table has it, without what is not asked for.
create function gloss.review_filter(batch text, task text, model text, label text, low real, high real) returns jsonb
language sql immutable
return jsonb_strip_nulls(jsonb_build_object('batch', batch, 'task', task, 'model', model, 'label', label, 'low', low,
    'high', high));

-- The condition on gloss.annotation (as a) for all that is given. low and high: of the score of the result, or, with a label,
-- of a thing of this label.
create function gloss.review_condition(filter jsonb) returns text
language plpgsql stable
as $$
declare
    terms text[] := '{}';
    low constant real := (filter ->> 'low')::real;
    high constant real := (filter ->> 'high')::real;
    engines int[];
begin
    -- It refuses names that do not exist.
    if filter ?| '{batch,task}' then perform gloss.selection(null, null, filter ->> 'batch', filter ->> 'task', false); end if;
    if filter ? 'task' then terms := terms || format('a.task = %L', filter ->> 'task'); end if;
    if filter ? 'batch' then
        terms := terms || format('(select j.batch_id from gloss.job j where j.id = a.job_id) = %s',
            (select b.id from gloss.batch b where b.name = filter ->> 'batch'));
    end if;
    if filter ? 'model' then
        engines := array(select e.id from gloss.engine e where filter ->> 'model' in (e.model, e.digest));
        if engines = '{}' then
            perform gloss.refuse(format('no result is of the model "%s"', left(filter ->> 'model', 200)));
        end if;
        terms := terms || format('a.engine = any (%L::int[])', engines);
    end if;
    if filter ? 'label' then
        terms := terms || format('exists (select from gloss.finding f where f.job_id = a.job_id and f.fence = a.fence '
            || 'and f.label = %L%s%s)', filter ->> 'label', coalesce(format(' and f.score >= %L::real', low), ''),
            coalesce(format(' and f.score <= %L::real', high), ''));
    else
        if low is not null then terms := terms || format('a.score >= %L::real', low); end if;
        if high is not null then terms := terms || format('a.score <= %L::real', high); end if;
    end if;
    return coalesce(nullif(array_to_string(terms, ' and '), ''), 'true');
end $$;

-- The first results in a policy's order that fulfil a condition, that this reviewer has neither judged nor skipped, and that
-- nobody holds. judged: how many others have judged them.
create function gloss.review_candidates(policy text, task text, condition text, seed text, who text, judged int, most int)
returns table (job_id bigint, fence bigint)
language plpgsql
as $$
declare
    tasks text[] := case when task is not null then array[task] else array(select t.name from gloss.task t order by 1) end;
    -- The condition of the policy, the order within a task and the order between tasks.
    chosen text := 'true';
    ordered text;
    rank text;
    -- A sample walks from its start to the last place, and then from the first one.
    start constant bigint := gloss.draw_start(seed);
    turns text[] := array['true'];
    turn text;
begin
    case policy
        when 'lowest' then
            chosen := 'a.score is not null';
            ordered := 'a.score';
            -- Of texts the score is a logarithm.
            rank := 'case when a.score <= 0 then exp(a.score) else a.score end';
        when 'margin' then
            chosen := 'a.probabilities is not null';
            ordered := 'gloss.margin(a.probabilities)';
        when 'entropy' then
            chosen := 'a.probabilities is not null';
            ordered := 'gloss.entropy(a.probabilities) desc';
            rank := '-gloss.entropy(a.probabilities)';
        when 'disagreement' then
            chosen := 'a.samples > 1 and a.probabilities is null and gloss.dissent(a.texts) > 0';
            ordered := 'gloss.dissent(a.texts) desc';
            rank := '-gloss.dissent(a.texts)';
        when 'random' then
            ordered := 'gloss.draw_place(a.job_id)';
            turns := array[format('gloss.draw_place(a.job_id) >= %s', start),
                format('gloss.draw_place(a.job_id) < %s', start)];
        when 'newest' then
            ordered := 'a.finished_at desc';
            rank := '-extract(epoch from a.finished_at)';
            tasks := array[task];
    end case;
    foreach turn in array turns loop
        return query execute format($sql$
            select x.job_id, x.fence
            from unnest(%L::text[]) t (name) cross join lateral (
                select a.job_id, a.fence, (%s)::float8 as rank
                from gloss.annotation a
                where %s and a.reviews = %s and %s and %s and %s
                  and not exists (select from gloss.review_lease l where l.job_id = a.job_id and l.leased_until > now())
                  and not exists (
                      select from gloss.review r
                      where r.job_id = a.job_id and r.fence = a.fence and r.reviewer = %L and r.verdict <> 'undo'
                        and not exists (select from gloss.review u where u.undoes = r.id))
                order by %s limit %s) x
            order by x.rank limit %s $sql$,
            tasks, coalesce(rank, split_part(ordered, ' desc', 1)), case when policy = 'newest' then 'true' else 'a.task = t.name' end,
            judged, chosen, turn, condition, who, ordered, most, most);
        if found then return; end if;
    end loop;
end $$;

-- Of results that several have judged: those on which they do not agree, the latest first.
create function gloss.review_disputes(condition text, who text, most int) returns table (job_id bigint, fence bigint)
language plpgsql
as $$
begin
    return query execute format($sql$
        select a.job_id, a.fence
        from gloss.annotation a
        where a.reviews > 1 and %s
          and not exists (select from gloss.review_lease l where l.job_id = a.job_id and l.leased_until > now())
          and not exists (select from gloss.review r where r.job_id = a.job_id and r.fence = a.fence and r.reviewer = %L)
          and (select count(distinct (s.verdict = 'reject', s.answer)) from gloss.standing_review s
               where s.job_id = a.job_id and s.fence = a.fence and s.verdict <> 'looked') > 1
        order by a.job_id desc limit %s $sql$, condition, who, most);
end $$;

-- Leases a result to a reviewer, unless somebody else was faster. judged: how many had judged it. Returns until when; null: no.
create function gloss.take_lease(
    job bigint, fence bigint, who text, judged int, policy text, seed text, filter jsonb) returns timestamptz
language plpgsql
as $$
#variable_conflict use_variable
declare
    until timestamptz;
begin
    perform from gloss.annotation a
    where a.job_id = job and a.fence = fence and a.reviews = coalesce(judged, a.reviews) for no key update skip locked;
    if not found then return null; end if;
    insert into gloss.review_lease as l (job_id, fence, reviewer, leased_until, policy, seed, filter)
    values (job, fence, who, now() + interval '10 minutes', policy, seed, filter)
    on conflict on constraint review_lease_pkey do update
        set fence = excluded.fence, reviewer = excluded.reviewer, leased_until = excluded.leased_until,
            policy = excluded.policy, seed = excluded.seed, filter = excluded.filter
        where l.leased_until <= now()
    returning l.leased_until into until;
    return until;
end $$;

-- The next result to look at, leased to this reviewer for ten minutes; nothing if there is none. What the reviewer holds goes
-- back: a reviewer holds one result. Nobody gets what another one holds. opinions: how many reviewers shall judge a result.
-- policy: lowest (score), margin (the least), entropy (the largest), disagreement (of reviewers, then of samples), random (the
-- sample of the seed, in its order) or newest. low and high: of the score, or, with a label, of a thing of this label.
create function gloss.review_next(
    policy text default 'lowest', batch text default null, task text default null, model text default null,
    label text default null, low real default null, high real default null, seed text default null,
    reviewer text default null, opinions int default 1, out job_id bigint, out fence bigint, out leased_until timestamptz)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
#variable_conflict use_variable
declare
    who constant text := reviewer_of(reviewer);
    filter constant jsonb := review_filter(batch, task, model, label, low, high);
    -- A seed is that of a sample; without one it is ''.
    sample constant text := case when policy = 'random' then coalesce(seed, '') end;
    condition text;
    one record;
    is_none boolean;
begin
    if policy is null or policy <> all (review_policies()) then
        perform refuse(format('there is no policy "%s": they are %s', left(policy, 200),
            array_to_string(review_policies(), ', ')));
    end if;
    if opinions is null or opinions not between 1 and 10 then perform refuse('opinions must be 1 to 10'); end if;
    if low = 'NaN' or high = 'NaN' or low > high then perform refuse('low must be a number no larger than high'); end if;
    if length(seed) > 200 then perform refuse('a seed has 200 characters at most'); end if;
    condition := review_condition(filter);
    delete from review_lease l where l.reviewer = who;
    delete from review_lease l
    where l.job_id in (select o.job_id from review_lease o where o.leased_until <= now()
                       order by o.leased_until limit 100 for update skip locked);
    if policy = 'disagreement' then
        for one in select d.job_id, d.fence from review_disputes(condition, who, 8) d loop
            leased_until := take_lease(one.job_id, one.fence, who, null, policy, sample, filter);
            if leased_until is not null then
                job_id := one.job_id;
                fence := one.fence;
                return;
            end if;
        end loop;
    end if;
    -- A second opinion comes before a first one.
    for judged in reverse opinions - 1..0 loop
        loop
            is_none := true;
            for one in
                select c.job_id, c.fence from review_candidates(policy, task, condition, sample, who, judged, 4) c
            loop
                is_none := false;
                -- What is judged already lies anywhere in the sample.
                leased_until := take_lease(one.job_id, one.fence, who, judged, policy,
                    case when judged = 0 then sample end, filter);
                if leased_until is not null then
                    job_id := one.job_id;
                    fence := one.fence;
                    return;
                end if;
            end loop;
            exit when is_none;
        end loop;
    end loop;
end $$;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f
from unnest(array['gloss_reviewer', 'gloss_admin']) r, unnest(array['review_next', 'record_review', 'undo_review']) f
union all
select r, 'execute', f
from unnest(array['gloss_reader', 'gloss_admin']) r,
    unnest(array['review_policies', 'margin', 'entropy', 'dissent', 'draw_place', 'draw_start']) f;
