-- What reviews say of all results: accuracy, agreement, progress.

set local role gloss_owner;

-- The interval of Wilson's score at 95 % for a share of some answers; their count may be no whole number. 3.84… is 1.96… ^ 2.
create function gloss.wilson(share float8, count float8, out low float8, out high float8)
language sql immutable parallel safe
return (
    select (case when x.half is not null
                then greatest(0, (share + 3.8414588 / (2 * n) - x.half) / (1 + 3.8414588 / n)) end,
            case when x.half is not null
                then least(1, (share + 3.8414588 / (2 * n) + x.half) / (1 + 3.8414588 / n)) end)
    from (select nullif(count, 0) as n) y
    cross join lateral (select 1.9599640 * sqrt(share * (1 - share) / n + 3.8414588 / (4 * n * n)) as half) x);

-- The results that random samples drew, with the verdicts on them: of each sample the places from its start to the last one
-- that was shown, whoever judged them and whatever chose them. Samples from a part, or from other results, do not count.
create function gloss.drawn_results(batch text, task text, model text)
returns table (job_id bigint, score real, is_right boolean)
language plpgsql stable
as $$
declare
    filter constant jsonb := gloss.review_filter(batch, task, model, null, null, null);
    condition constant text := gloss.review_condition(filter);
begin
    return query execute format($sql$
        with drawn as (
            select distinct r.seed, r.filter from gloss.review r
            where r.seed is not null and not r.filter ?| '{label,low,high}' and %L::jsonb @> r.filter
        ), run as (
            select gloss.draw_start(d.seed) as first, x.last
            from drawn d cross join lateral (
                select gloss.draw_place(r.job_id) as last from gloss.review r
                where r.seed = d.seed and r.filter = d.filter
                order by gloss.draw_place(r.job_id) < gloss.draw_start(d.seed) desc, gloss.draw_place(r.job_id) desc
                limit 1) x
        )
        select a.job_id, a.score, s.verdict <> 'reject' and s.verdict <> 'edit'
        from gloss.annotation a
        left join lateral (
            select v.verdict from gloss.standing_review v
            where v.job_id = a.job_id and v.fence = a.fence and v.verdict <> 'looked'
            order by v.id desc limit 1) s on a.reviews > 0
        where %s and exists (
            select from run
            where case when run.first <= run.last then gloss.draw_place(a.job_id) between run.first and run.last
                       else gloss.draw_place(a.job_id) >= run.first or gloss.draw_place(a.job_id) <= run.last end) $sql$,
        filter, condition);
end $$;

-- How many results are right, estimated from the random samples of reviews: accept is right, edit and reject are wrong. A row
-- for each stratum of scores, and one for all (stratum 0), whose share weighs each stratum by its size. The strata are
-- some quintiles of the sample, 20 reviews each at least; results without a score are below all others. low and high: at 95 %,
-- Wilson's interval with as many reviews as a simple sample would need for the variance of this one. No row: no review.
create function gloss.review_accuracy(
    batch text default null, task text default null, model text default null, out stratum int, out score_from real,
    out score_to real, out n bigint, out reviewed bigint, out right_count bigint, out unjudged bigint, out estimate float8,
    out low float8, out high float8)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
#variable_conflict use_column
declare
    condition constant text := review_condition(review_filter(review_accuracy.batch, review_accuracy.task,
        review_accuracy.model, null, null, null));
    scores real[];
    rights boolean[];
    edges real[];                         -- the lower ones
    sizes bigint[];
begin
    select array_agg(coalesce(d.score, '-infinity')), array_agg(d.is_right) into scores, rights
    from drawn_results(review_accuracy.batch, review_accuracy.task, review_accuracy.model) d;
    edges := array(
        select distinct e.edge
        from (select (count(*) / 20)::int as k from unnest(rights) r where r is not null) x
        cross join lateral (
            select percentile_disc(array(select g / least(5, x.k)::float8 from generate_series(1, least(5, x.k) - 1) g))
                       within group (order by u.score) as at
            from unnest(scores, rights) u (score, is_right) where u.is_right is not null) q
        cross join lateral unnest('-infinity'::real || coalesce(q.at, '{}')) e (edge)
        order by 1);
    if true = any (rights) is not true and false = any (rights) is not true then return; end if;
    execute format($sql$
        select array_agg(coalesce(x.count, 0) order by h)
        from generate_series(1, cardinality($1)) h
        left join (select width_bucket(coalesce(a.score, '-infinity'::real), $1) as h, count(*) from gloss.annotation a
                   where %s group by 1) x using (h) $sql$, condition) into sizes using edges;
    return query
    with stratum as (
        select h::int as h, edges[h] as score_from, edges[h + 1] as score_to, sizes[h] as n, x.reviewed, x.rights,
               x.unjudged, (x.rights + 1) / (x.reviewed + 2)::float8 as smooth
        from generate_series(1, cardinality(edges)) h
        cross join lateral (
            select count(u.is_right) as reviewed, count(*) filter (where u.is_right) as rights,
                   count(*) filter (where u.is_right is null) as unjudged
            from unnest(scores, rights) u (score, is_right) where width_bucket(u.score, edges) = h) x
    ), whole as (
        select sum(s.n)::bigint as n, sum(s.reviewed)::bigint as reviewed, sum(s.rights)::bigint as rights,
               sum(s.unjudged)::bigint as unjudged, sum(s.n * s.smooth) / sum(s.n) as smooth,
               sum(s.n * case when s.reviewed > 0 then s.rights / s.reviewed::float8 else s.smooth end) / sum(s.n) as share,
               sum((s.n / t.n) ^ 2 * s.smooth * (1 - s.smooth) / greatest(s.reviewed, 1)
                   * greatest(0, 1 - s.reviewed / greatest(s.n, 1)::float8)) as variance
        from stratum s cross join (select sum(n)::float8 as n from stratum) t
    )
    select 0, null::real, null::real, w.n, w.reviewed, w.rights, w.unjudged, w.share,
           -- With all reviewed there is nothing to be unsure of.
           coalesce(i.low, w.share), coalesce(i.high, w.share)
    from whole w cross join lateral wilson(w.share, w.smooth * (1 - w.smooth) / nullif(w.variance, 0)) i
    union all
    select s.h, nullif(s.score_from, '-infinity'), s.score_to, s.n, s.reviewed, s.rights, s.unjudged,
           s.rights / nullif(s.reviewed, 0)::float8, i.low, i.high
    from stratum s cross join lateral wilson(s.rights / nullif(s.reviewed, 0)::float8, s.reviewed) i
    order by 1;
end $$;

-- How far two reviewers who judged the same results agree: on the verdict (kappa: beyond chance, by Cohen; null if both always
-- say the same word), and on the answer.
create function gloss.review_agreement(
    batch text default null, task text default null, out one text, out other text, out both_judged bigint,
    out same_verdict bigint, out same_answer bigint, out kappa float8)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_column
begin
    return query
    with pair as (
        select x.reviewer as one, y.reviewer as other, x.verdict as verdict, y.verdict as verdict2,
               (x.answer is not distinct from y.answer) as is_same
        from standing_review x join standing_review y using (job_id, fence)
        where x.reviewer < y.reviewer and x.verdict <> 'looked' and y.verdict <> 'looked'
          and (review_agreement.batch is null or x.batch = review_agreement.batch)
          and (review_agreement.task is null or x.task = review_agreement.task)
    ), chance as (
        select p.one, p.other, sum(p.share) as expected
        from (
            select q.one, q.other, v.verdict,
                   avg((q.verdict = v.verdict)::int)::float8 * avg((q.verdict2 = v.verdict)::int)::float8 as share
            from pair q cross join unnest(array['accept', 'edit', 'reject']) v (verdict) group by 1, 2, 3) p
        group by p.one, p.other
    )
    select p.one, p.other, count(*), count(*) filter (where p.verdict = p.verdict2), count(*) filter (where p.is_same),
           (avg((p.verdict = p.verdict2)::int)::float8 - c.expected) / nullif(1 - c.expected, 0)
    from pair p join chance c using (one, other)
    group by p.one, p.other, c.expected order by 3 desc, 1, 2;
end $$;

-- What was reviewed, a row each reviewer and one for all (reviewer null) with what is left: results that nobody has judged or
-- looked at, counted up to 100,001.
create function gloss.review_progress(
    batch text default null, task text default null, out reviewer text, out accepted bigint, out edited bigint,
    out rejected bigint, out looked bigint, out skipped bigint, out last_at timestamptz, out remaining bigint)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_column
declare
    count bigint;
begin
    execute format('select count(*) from (select from gloss.annotation a where a.reviews = 0 and %s limit 100001) x',
        review_condition(review_filter(review_progress.batch, review_progress.task, null, null, null, null))) into count;
    return query
    select r.reviewer, count(*) filter (where r.verdict = 'accept'), count(*) filter (where r.verdict = 'edit'),
           count(*) filter (where r.verdict = 'reject'), count(*) filter (where r.verdict = 'looked'),
           count(*) filter (where r.verdict = 'skip'), max(r.at), case when grouping(r.reviewer) = 1 then count end
    from (
        select s.reviewer, s.verdict, s.at, s.batch, s.task from standing_review s
        union all
        select s.reviewer, s.verdict, s.at, s.batch, s.task from review s
        where s.verdict = 'skip' and not exists (select from review u where u.undoes = s.id)) r
    where (review_progress.batch is null or r.batch = review_progress.batch)
      and (review_progress.task is null or r.task = review_progress.task)
    group by grouping sets ((), (r.reviewer)) order by grouping(r.reviewer) desc, r.reviewer;
end $$;

-- Deletes reviews, with what they say is true: those for which all that is given holds, `most` of them. image: its SHA-256 in
-- hexadecimal. gloss.forget leaves them alone. Returns how many; call it again until that is 0.
create function gloss.forget_reviews(
    job bigint default null, key text default null, batch text default null, task text default null,
    image text default null, reviewer text default null, most int default 10000) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    jobs bigint[];
    fences bigint[];
begin
    if num_nonnulls(job, key, batch, task, image, reviewer) = 0 then
        perform refuse('say which reviews: job, key, batch, task, image or reviewer');
    end if;
    if image !~* '^[0-9a-f]{64}$' then perform refuse('an image is named by its SHA-256: 64 hexadecimal digits'); end if;
    with gone as (
        delete from review r
        where r.id in (
            select x.id from review x
            where (job is null or x.job_id = job) and (key is null or x.key = key) and (batch is null or x.batch = batch)
              and (task is null or x.task = task) and (reviewer is null or x.reviewer = reviewer)
              and (image is null or decode(image, 'hex') = any (x.image_sha256))
            order by x.id desc limit most for update)
        returning r.job_id, r.fence
    )
    select array_agg(g.job_id), array_agg(g.fence) into jobs, fences from gone g;
    perform count_reviews(u.job, u.fence)
    from (select distinct x.job, x.fence from unnest(jobs, fences) x (job, fence) order by 1) u;
    return coalesce(cardinality(jobs), 0);
end $$;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f
from unnest(array['gloss_reader', 'gloss_admin']) r,
    unnest(array['review_accuracy', 'review_agreement', 'review_progress', 'wilson', 'answer_form']) f
union all
values ('gloss_admin', 'execute', 'forget_reviews');
