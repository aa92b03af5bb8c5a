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
language plpgsql immutable strict parallel safe set search_path = pg_catalog, gloss, pg_temp
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
language plpgsql immutable strict parallel safe set search_path = pg_catalog, gloss, pg_temp
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

-- One index for all results in the order of their scores: what was judged is stepped over within it.
drop index gloss.annotation_score;
create index annotation_score on gloss.annotation (task, score, reviews);
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
            || 'and f.label = %L%s%s)', filter ->> 'label',
            case when low is null then '' else format(' and f.score >= %L::real', low) end,
            case when high is null then '' else format(' and f.score <= %L::real', high) end);
    else
        if low is not null then terms := terms || format('a.score >= %L::real', low); end if;
        if high is not null then terms := terms || format('a.score <= %L::real', high); end if;
    end if;
    return coalesce(nullif(array_to_string(terms, ' and '), ''), 'true');
end $$;

-- Where the results of a task (null: of all) are best looked for that nobody has judged. A walk along an index steps over those of other
-- batches; a small batch, or one with little left, is read whole.
create function gloss.review_source(batch text, task text) returns text
language plpgsql stable
-- review_candidates, which calls it, avoids sorts. PostgreSQL 18 would then count what is distinct along an index of all reviews.
set enable_sort = on
as $$
declare
    number constant int := (select b.id from gloss.batch b where b.name = review_source.batch);
    kinds constant int[] := array(select k.id from gloss.kind k where k.task = coalesce(review_source.task, k.task));
    lanes constant int[] := array(select l.id from gloss.lane l where l.kind = any (kinds));
    mine float8;
    others float8;
begin
    if number is null then return 'gloss.annotation'; end if;
    select coalesce(sum(x.done) filter (where x.batch_id = number), 0),
           coalesce(sum(x.done) filter (where x.batch_id <> number), 0) into mine, others
    from (select t.batch_id, t.done from gloss.total t where t.kind = any (kinds)
          union all select t.batch_id, t.done from gloss.tally t where t.lane = any (lanes)) x;
    -- Nobody looks through a larger one to its end.
    if mine <= 10000 then
        mine := mine - (select count(distinct r.job_id) from gloss.review r
                        where r.batch = review_source.batch and r.task = coalesce(review_source.task, r.task));
    end if;
    -- Four are looked for.
    if mine * mine > 4 * (mine + others) then return 'gloss.annotation'; end if;
    return format('(select x.* from gloss.job j join gloss.annotation x on x.job_id = j.id where j.batch_id = %s offset 0)',
        number);
end $$;

-- The first results in a policy's order that fulfil a condition, that this reviewer has neither judged nor skipped, and that
-- nobody holds. judged: how many others have judged them. (offset 0: it asks for one result after the other, and does not read all that a
-- reviewer has judged. Statistics of a young table make that look like one row.)
create function gloss.review_candidates(policy text, filter jsonb, seed text, who text, judged int, most int)
returns table (job_id bigint, fence bigint)
language plpgsql
-- A policy walks along an index. What is estimated of a filter must not make it read and sort a whole task.
set enable_sort = off
as $$
declare
    condition constant text := gloss.review_condition(filter);
    -- Those of which there is anything at all.
    tasks text[] := array(
        select distinct k.task from gloss.kind k
        where k.task = coalesce(filter ->> 'task', k.task)
          -- By the index, whatever the statistics are.
          and (select a.job_id from gloss.annotation a where a.task = k.task order by a.task, a.score limit 1) is not null
          and (not filter ? 'batch' or exists (
              select from gloss.batch b join gloss.total t on t.batch_id = b.id
              where b.name = filter ->> 'batch' and t.kind = k.id
              union all
              select from gloss.batch b join gloss.tally t on t.batch_id = b.id join gloss.lane l on l.id = t.lane
              where b.name = filter ->> 'batch' and l.kind = k.id)));
    -- The condition of the policy, the order within a task and the order between tasks.
    chosen text := 'true';
    ordered text;
    rank text;
    -- A sample walks from its start to the last place, and then from the first one.
    start constant bigint := gloss.draw_start(seed);
    turns text[] := array['true'];
    turn text;
    places text[] := array(select format('a.task = %L', t) from unnest(tasks) t);
begin
    if tasks = '{}' then return; end if;
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
            -- Its index is of all tasks.
            places := array[format('a.task = any (%L)', tasks)];
    end case;
    foreach turn in array turns loop
        return query execute (
            select format('select x.job_id, x.fence from (%s) x order by x.rank limit %s',
                string_agg(format($sql$
                    (select a.job_id, a.fence, (%s)::float8 as rank
                     from %s a
                     where %s and a.reviews = %s and %s and %s and %s
                       and not exists (
                           select from gloss.review_lease l where l.job_id = a.job_id and l.leased_until > now())
                       and not exists (
                           select from gloss.review r
                           where r.job_id = a.job_id and r.fence = a.fence and r.reviewer = %L and r.verdict <> 'undo'
                             and not exists (select from gloss.review u where u.undoes = r.id) offset 0)
                     order by %s limit %s) $sql$,
                    coalesce(rank, split_part(ordered, ' desc', 1)),
                    case when judged = 0 then gloss.review_source(filter ->> 'batch', case when cardinality(places) = cardinality(tasks) then tasks[p.n] end) else 'gloss.annotation' end,
                    p.place, judged, chosen, turn, condition, who, ordered, most), ' union all '), most)
            from unnest(places) with ordinality p (place, n));
        if found then return; end if;
    end loop;
end $$;

-- What a result says, to compare it with another: the labels of what was found, or the answer.
create function gloss.gist(a gloss.annotation) returns text
language sql stable
as $$
    select coalesce(
        (select string_agg(f.label, E'\n' order by f.label) from gloss.finding f where f.job_id = a.job_id and f.fence = a.fence),
        lower(btrim(coalesce(a.answers[1], a.texts[1]), E' \t\n.')))
$$;

-- Results on which reviewers do not agree, the latest first; else some on which models do not: those that give one key of a
-- task different answers, as they are met by chance. Nobody has judged the latter.
create function gloss.review_disputes(filter jsonb, who text, most int) returns table (job_id bigint, fence bigint)
language plpgsql
as $$
declare
    condition constant text := gloss.review_condition(filter);
    free constant text := format($sql$
        not exists (select from gloss.review_lease l where l.job_id = a.job_id and l.leased_until > now())
        and not exists (
            select from gloss.review r where r.job_id = a.job_id and r.fence = a.fence and r.reviewer = %L offset 0) $sql$,
        who);
    -- Those that several models were asked.
    tasks constant text[] := array(
        select k.task from gloss.kind k where k.task = coalesce(filter ->> 'task', k.task) group by 1 having count(*) > 1);
    task text;
begin
    return query execute format($sql$
        select a.job_id, a.fence from gloss.annotation a
        where a.reviews > 1 and %s and %s
          and (select count(distinct (s.verdict = 'reject', s.answer)) from gloss.standing_review s
               where s.job_id = a.job_id and s.fence = a.fence and s.verdict <> 'looked') > 1
        order by a.job_id desc limit %s $sql$, condition, free, most);
    if found or tasks = '{}' then return; end if;
    for part in 1..10 loop
        task := tasks[1 + floor(random() * cardinality(tasks))];
        return query execute format($sql$
            select c.job_id, c.fence
            from (select a.job_id, a.fence, a.task from %s a
                  where a.task = %L and a.reviews = 0 and gloss.draw_place(a.job_id) >= %s and %s and %s
                  order by gloss.draw_place(a.job_id) limit 50) c
            join gloss.job j on j.id = c.job_id join gloss.annotation m on m.job_id = c.job_id
            where exists (
                select from gloss.job o join gloss.kind k on k.id = o.kind join gloss.annotation b on b.job_id = o.id
                where o.key = j.key and o.id <> j.id and k.task = c.task and gloss.gist(b) <> gloss.gist(m))
            limit %s $sql$, gloss.review_source(filter ->> 'batch', task), task,
            gloss.draw_start(random()::text), condition, free, most);
        if found then return; end if;
    end loop;
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
-- policy: lowest (score), margin (the least), entropy (the largest), disagreement (of reviewers, of models, of samples), random (the
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
    delete from review_lease l where l.reviewer = who;
    delete from review_lease l
    where l.job_id in (select o.job_id from review_lease o where o.leased_until <= now()
                       order by o.leased_until limit 100 for update skip locked);
    if policy = 'disagreement' then
        for one in select d.job_id, d.fence from review_disputes(filter, who, 8) d loop
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
        -- Of few candidates others may take all while this one looks.
        for part in 0..6 loop
            is_none := true;
            for one in
                select c.job_id, c.fence from review_candidates(policy, filter, sample, who, judged, 4 << part) c
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
