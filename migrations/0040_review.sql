-- What people say of results. A review names the result that it judges and holds the whole answer, so what is true of an
-- image outlives its result: gloss.truth.

set local role gloss_owner;

create or replace function gloss.grant_rights() returns void
language plpgsql set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    command text;
begin
    revoke all on all tables in schema gloss
        from public, gloss_producer, gloss_worker, gloss_reader, gloss_reviewer, gloss_admin, gloss_console;
    revoke all on all functions in schema gloss
        from public, gloss_producer, gloss_worker, gloss_reader, gloss_reviewer, gloss_admin, gloss_console;
    revoke all on schema gloss
        from public, gloss_producer, gloss_worker, gloss_reader, gloss_reviewer, gloss_admin, gloss_console;
    grant usage on schema gloss
        to gloss_producer, gloss_worker, gloss_reader, gloss_reviewer, gloss_admin, gloss_console;
    grant select on all tables in schema gloss to gloss_reader, gloss_admin;
    for command in
        select format('grant execute on function %s to %I', f.oid::regprocedure, p.grantee)
        from gloss.privilege p join pg_proc f on f.proname = p.object and f.pronamespace = 'gloss'::regnamespace
        where p.privilege = 'execute'
        union all
        select format('grant %s on gloss.%I to %I', p.privilege, p.object, p.grantee)
        from gloss.privilege p where p.privilege <> 'execute'
    loop
        execute command;
    end loop;
end $$;

-- Rows are never changed, and go with gloss.forget_reviews alone. No reference to gloss.job: a review outlives its job.
create table gloss.review (
    id           bigint generated always as identity primary key,
    job_id       bigint not null,
    fence        bigint not null,         -- the result that was judged
    task         text not null,
    key          text,
    batch        text,
    item         text not null,           -- what truth is about: gloss.review_item
    model        text not null,           -- gloss.engine
    model_digest text not null,
    image_sha256 bytea[] not null,        -- as the result names them
    score        real,                    -- the result's
    reviewer     text not null,
    at           timestamptz not null default now(),
    verdict      text not null check (verdict in ('accept', 'edit', 'reject', 'looked', 'skip', 'undo')),
    policy       text,                    -- by which it was chosen: gloss.review_next
    seed         text,                    -- of the sample that drew it
    filter       jsonb,                   -- from what it was drawn: {batch, task, model, label, low, high}
    answer       jsonb,
    note         text,
    undoes       bigint,                  -- of an undo: the review that it withdraws
    constraint review_answer check ((verdict in ('accept', 'edit')) = (answer is not null)),
    constraint review_undo check ((verdict = 'undo') = (undoes is not null))
);
comment on table gloss.review is 'What people say of results: append only';
create index review_job on gloss.review (job_id, fence, reviewer);
create index review_truth on gloss.review (task, item, id) where answer is not null;
create index review_reviewer on gloss.review (reviewer, id);
create index review_batch on gloss.review (batch, task) where batch is not null;
create index review_drawn on gloss.review (seed, filter) where seed is not null;
create unique index review_undoes on gloss.review (undoes) where undoes is not null;

-- Who looks at what. One that has expired holds nothing.
create table gloss.review_lease (
    job_id       bigint primary key,
    fence        bigint not null,
    reviewer     text not null,
    leased_until timestamptz not null,
    policy       text,
    seed         text,
    filter       jsonb
);
create index review_lease_reviewer on gloss.review_lease (reviewer);
create index review_lease_until on gloss.review_lease (leased_until);

-- How many reviewers have judged the result, or looked at it.
alter table gloss.annotation add column reviews smallint not null default 0;
alter table gloss.superseded add column reviews smallint not null default 0;

-- As before, and reviews are counted on.
create or replace function gloss.lift(jobs bigint[], states text[]) returns setof gloss.move
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
            token_scores, answers, probabilities, prompts, settings, image_sha256, final_urls, timings, reviews)
        select d.job_id, d.fence, d.worker, d.finished_at, d.engine, d.score, d.attempts, d.rescues,
            d.not_understood, d.findings, d.views, d.questions, d.samples, d.task, d.finish, d.texts, d.responses,
            d.sums, d.norms, d.tokens, d.token_scores, d.answers, d.probabilities, d.prompts, d.settings,
            d.image_sha256, d.final_urls, d.timings, d.reviews
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

-- What each reviewer says of a result last. A verdict replaces this reviewer's earlier ones; "looked" replaces none.
create view gloss.standing_review as
select r.* from gloss.review r
where r.verdict in ('accept', 'edit', 'reject', 'looked')
  and not exists (select from gloss.review u where u.undoes = r.id)
  and not exists (
      select from gloss.review n
      where n.job_id = r.job_id and n.fence = r.fence and n.reviewer = r.reviewer and n.id > r.id
        and n.verdict in ('accept', 'edit', 'reject')
        and not exists (select from gloss.review u where u.undoes = n.id));

-- The latest answer that was accepted or edited, one row a key of a task. What has no key is known by its images and prompts.
create view gloss.truth as
select r.job_id, r.fence, r.task, r.key, r.batch, r.image_sha256, r.answer, r.reviewer, r.at, r.verdict, r.id as review_id,
       r.item
from gloss.standing_review r
where r.answer is not null
  and not exists (
      select from gloss.standing_review n
      where n.task = r.task and n.item = r.item and n.answer is not null and n.id > r.id);

-- What a truth is about: of results with equal items, one answer is true of all.
create function gloss.review_item(key text, images bytea[], prompts text[]) returns text
language sql stable
as $$
    select coalesce('key ' || key,
        'images ' || encode(sha256(convert_to(to_json(prompts)::text
            || (select string_agg(encode(i, 'hex'), ' ' order by n) from unnest(images) with ordinality u (i, n)), 'UTF8')),
            'hex'))
$$;

-- The name under which somebody reviews; null: that of the session.
create function gloss.reviewer_of(name text) returns text
language plpgsql stable
as $$
begin
    if name is null or name = session_user then return session_user; end if;
    if not pg_has_role(session_user, 'gloss_console', 'member') and not pg_has_role(session_user, 'gloss_admin', 'member') then
        raise exception using errcode = '42501', message = format(
            '%s may not review as "%s": only members of gloss_console and gloss_admin name another reviewer',
            session_user, left(name, 200));
    end if;
    if name !~ '^[^[:cntrl:]]{1,200}$' or btrim(name) = '' then
        perform gloss.refuse('a reviewer''s name has 1 to 200 characters and no control characters');
    end if;
    return name;
end $$;

-- What an answer to a task looks like: "boxes" of one that looks for things, "answer" of one that asks about the views of an
-- object, and "text" of each other one.
create function gloss.answer_form(task text) returns text
language sql stable
return (
    select case when t.text_noun = 'thing' then 'boxes' when (t.limits ->> 'views')::boolean then 'answer' else 'text' end
    from gloss.task t where t.name = answer_form.task);

-- The answer that a result gives.
create function gloss.answer_of(a gloss.annotation) returns jsonb
language sql stable
as $$
    select case gloss.answer_form(a.task)
        when 'boxes' then jsonb_build_object('boxes', coalesce((
            select jsonb_agg(jsonb_strip_nulls(jsonb_build_object('label', f.label, 'image', nullif(f.image, 1),
                       'box', jsonb_build_array(f.y1, f.x1, f.y2, f.x2),
                       'mask', case when f.mask is not null then jsonb_build_object(
                           'size', jsonb_build_array(i.height, i.width), 'counts', f.mask) end)) order by f.n)
            from gloss.finding f left join gloss.image i on i.sha256 = a.image_sha256[f.image]
            where f.job_id = a.job_id and f.fence = a.fence and f.y1 is not null), '[]'))
        when 'answer' then jsonb_build_object('answer', a.answers[1])
        else jsonb_build_object('text', coalesce(a.answers[1], a.texts[1])) end
$$;

-- What is wrong with a box of an answer; images: those of the result.
create function gloss.box_problem(box jsonb, images bytea[]) returns text
language plpgsql stable
as $$
declare
    edges jsonb := box -> 'box';
    mask jsonb := box -> 'mask';
    image int := 1;
    size text;
begin
    if jsonb_typeof(box) <> 'object' or not box ?& '{label,box}' or (box - '{label,box,mask,image}'::text[]) <> '{}' then
        return 'is an object of label, box, mask and image';
    end if;
    if jsonb_typeof(box -> 'label') <> 'string' then return 'has a label that is no text'; end if;
    if box ? 'image' then
        if jsonb_typeof(box -> 'image') <> 'number' or not (box -> 'image')::numeric = any (
            select g::numeric from generate_series(1, cardinality(images)) g) then
            return format('names no image: its result has %s', cardinality(images));
        end if;
        image := (box -> 'image')::int;
    end if;
    if jsonb_typeof(edges) <> 'array' or jsonb_array_length(edges) <> 4
        or exists (select from jsonb_array_elements(edges) e where jsonb_typeof(e) <> 'number') then
        return 'has no four numbers y1, x1, y2, x2';
    end if;
    if (edges -> 0)::numeric < 0 or (edges -> 1)::numeric < 0 or (edges -> 2)::numeric > 1 or (edges -> 3)::numeric > 1
        or (edges -> 0)::float8 >= (edges -> 2)::float8 or (edges -> 1)::float8 >= (edges -> 3)::float8 then
        return 'needs 0 ≤ y1 < y2 ≤ 1 and 0 ≤ x1 < x2 ≤ 1';
    end if;
    if mask is null then return null; end if;
    if jsonb_typeof(mask) <> 'object' or not mask ?& '{size,counts}' or (mask - '{size,counts}'::text[]) <> '{}'
        or jsonb_typeof(mask -> 'counts') <> 'string' or mask ->> 'counts' !~ '^[0-o]+$' then
        return 'has a mask that is no object of size [height, width] and counts, run lengths as COCO writes them';
    end if;
    size := (select jsonb_build_array(i.height, i.width)::text from gloss.image i where i.sha256 = images[image]);
    if mask ->> 'size' <> size then
        return format('has a mask of the size %s, and the image has %s', left(mask ->> 'size', 100), size);
    end if;
    return null;
end $$;

-- What is wrong with an answer of a form.
create function gloss.answer_problem(form text, answer jsonb, images bytea[]) returns text
language plpgsql stable
as $$
declare
    texts bigint;
    masks bigint;
    problem text;
begin
    if jsonb_typeof(answer) <> 'object' or not answer ? form or (answer - form) <> '{}'
        or jsonb_typeof(answer -> form) <> (case form when 'boxes' then 'array' else 'string' end) then
        return case form when 'boxes' then 'is an object with "boxes", an array, and nothing else'
            else format('is an object with "%s", a text, and nothing else', form) end;
    end if;
    if form <> 'boxes' then
        texts := octet_length(answer ->> form);
    else
        if jsonb_array_length(answer -> 'boxes') > 1000 then
            return format('has %s boxes, and 1,000 are taken at most', jsonb_array_length(answer -> 'boxes'));
        end if;
        select format('is no good: box %s %s', b.n, x.problem) into problem
        from jsonb_array_elements(answer -> 'boxes') with ordinality b (box, n)
        cross join lateral (select gloss.box_problem(b.box, images) as problem) x
        where x.problem is not null order by b.n limit 1;
        if problem is not null then return problem; end if;
        select coalesce(sum(octet_length(b ->> 'label')), 0), coalesce(sum(octet_length(b #>> '{mask,counts}')), 0)
        into texts, masks from jsonb_array_elements(answer -> 'boxes') b;
    end if;
    if texts > 65536 then return 'has more than 64 KiB of text'; end if;
    if masks > 4194304 then return 'has more than 4 MiB of masks'; end if;
    return null;
end $$;

-- Counts anew who has judged a result.
create function gloss.count_reviews(job bigint, fence bigint) returns void
language plpgsql
as $$
declare
    count constant smallint := (
        select least(count(distinct s.reviewer), 32767) from gloss.standing_review s
        where s.job_id = count_reviews.job and s.fence = count_reviews.fence);
begin
    update gloss.annotation a set reviews = count
    where a.job_id = count_reviews.job and a.fence = count_reviews.fence and a.reviews <> count;
    if found then return; end if;
    update gloss.superseded a set reviews = count
    where a.job_id = count_reviews.job and a.fence = count_reviews.fence and a.reviews <> count;
end $$;

-- Writes down a verdict on a result, and gives its lease back. verdict: accept (without an answer: the result's own), edit
-- (with one), reject, looked (at, without judging) or skip. An older fence is refused with 55000. Returns the review's number.
create function gloss.record_review(
    job bigint, fence bigint, reviewer text default null, verdict text default null, answer jsonb default null,
    policy text default null, note text default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    who constant text := reviewer_of(reviewer);
    result annotation;
    held review_lease;
    problem text;
    number bigint;
begin
    if num_nulls(job, fence) > 0 then perform refuse('a review names a job and a fence'); end if;
    if verdict is null or verdict not in ('accept', 'edit', 'reject', 'looked', 'skip') then
        perform refuse(format('a verdict is accept, edit, reject, looked or skip, not "%s"', left(verdict, 200)));
    end if;
    if policy is not null and policy <> all (review_policies()) then
        perform refuse(format('there is no policy "%s": they are %s', left(policy, 200),
            array_to_string(review_policies(), ', ')));
    end if;
    if length(note) > 2000 then perform refuse('a note has 2,000 characters at most'); end if;
    if verdict = 'edit' and answer is null then perform refuse('an edit needs an answer'); end if;
    if verdict not in ('accept', 'edit') and answer is not null then
        perform refuse(format('%s takes no answer', verdict));
    end if;
    -- Who runs it again or judges it at the same time waits.
    select a.* into result from annotation a where a.job_id = job for no key update;
    if not result.fence = fence or result.job_id is null then
        raise exception using errcode = '55000',
            message = format(case when result.job_id is null then 'job %s has no result now'
                else 'the result of job %s is another now (fence %s)' end, job, result.fence),
            hint = 'Look at it again.';
    end if;
    if answer is not null then
        problem := answer_problem(answer_form(result.task), answer, result.image_sha256);
        if problem is not null then perform refuse('the answer ' || problem); end if;
    end if;
    delete from review_lease l where l.job_id = job and l.reviewer = who returning l.* into held;
    insert into review (job_id, fence, task, key, batch, item, model, model_digest, image_sha256, score, reviewer, verdict,
        policy, seed, filter, answer, note)
    select job, fence, result.task, j.key, b.name, review_item(j.key, result.image_sha256, result.prompts), e.model, e.digest,
           result.image_sha256, result.score, who, verdict, coalesce(policy, held.policy),
           case when held.fence = fence then held.seed end, case when held.fence = fence then held.filter end,
           case when verdict in ('accept', 'edit') then coalesce(answer, answer_of(result)) end, nullif(note, '')
    from job j join engine e on e.id = result.engine left join batch b on b.id = j.batch_id
    where j.id = job
    returning id into number;
    perform count_reviews(job, fence);
    return number;
end $$;

-- Withdraws a reviewer's latest review, of the last day; it stays in the table, and is valid no more. Returns its job and
-- fence, or nothing if there is none.
create function gloss.undo_review(reviewer text default null, out job_id bigint, out fence bigint)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_column
declare
    who constant text := reviewer_of(undo_review.reviewer);
    last review;
begin
    -- Two clicks withdraw two reviews, not one twice.
    perform pg_advisory_xact_lock(hashtextextended('gloss.undo_review ' || who, 0));
    select r.* into last from review r
    where r.reviewer = who and r.verdict <> 'undo' and not exists (select from review u where u.undoes = r.id)
    order by r.id desc limit 1;
    if last.id is null or last.at < now() - interval '1 day' then return; end if;
    job_id := last.job_id;
    fence := last.fence;
    perform from annotation a where a.job_id = last.job_id for no key update;
    insert into review (job_id, fence, task, key, batch, item, model, model_digest, image_sha256, score, reviewer, verdict,
        policy, undoes)
    values (last.job_id, last.fence, last.task, last.key, last.batch, last.item, last.model, last.model_digest,
        last.image_sha256, last.score, who, 'undo', last.policy, last.id);
    perform count_reviews(last.job_id, last.fence);
end $$;
