-- What an enqueue does with rows: their forms, what those have in common, and the jobs that are made of them.

set local role gloss_owner;

-- By name: in no other place is one written by position.
create function gloss.form_row(
    task text, model text, priority int, max_attempts int, language text, style text, score text, background text,
    max_tokens int, samples int, beams int, temperature double precision, top_k int, top_p double precision, seed bigint)
returns gloss.form
language sql immutable
as $$
    select row(task, model, priority, max_attempts, language, style, score, background, max_tokens, samples, beams,
        temperature, top_k, top_p, seed)::gloss.form
$$;

create function gloss.form_of(i gloss.inbox) returns gloss.form
language plpgsql immutable
as $$
begin
    return gloss.form_row(task => i.task, model => i.model, priority => i.priority, max_attempts => i.max_attempts,
        language => i.language, style => i.style, score => i.score, background => i.background,
        max_tokens => i.max_tokens, samples => i.samples, beams => i.beams, temperature => i.temperature,
        top_k => i.top_k, top_p => i.top_p, seed => i.seed);
end $$;

-- The forms of rows, and which rows have each: by number, from 1.
create function gloss.forms_of(rows gloss.inbox[], out form gloss.form, out n bigint, out members bigint[])
returns setof record
language sql stable
as $$
    select x.form, row_number() over (order by x.first), x.members
    from (
        select gloss.form_row(task => i.task, model => i.model, priority => i.priority, max_attempts => i.max_attempts,
                   language => i.language, style => i.style, score => i.score, background => i.background,
                   max_tokens => i.max_tokens, samples => i.samples, beams => i.beams, temperature => i.temperature,
                   top_k => i.top_k, top_p => i.top_p, seed => i.seed) as form,
               array_agg(i.ordinality) as members, min(i.ordinality) as first
        from unnest(rows) with ordinality i group by 1) x
$$;

-- One look at many rows: whether they have one form and one batch, and whether each is seen to be good apart from its
-- form. URLs are judged by the hundred.
create function gloss.look_at(
    rows gloss.inbox[], first gloss.form, out is_uniform boolean, out is_one_batch boolean, out is_plain boolean,
    out has_run_at boolean)
language plpgsql stable
as $$
declare
    t gloss.task;
    first_batch constant text := rows[1].batch;
    needs_no_text boolean;
begin
    select * into t from gloss.task x where x.name = first.task;
    needs_no_text := gloss.count_problem(t, coalesce(first.style, t.default_style), cardinality(t.default_texts)) is null;
    select bool_and(x.has_first_form), bool_and(x.has_first_batch), coalesce(bool_and(x.is_plain), false),
           bool_or(x.has_run_at)
    into is_uniform, is_one_batch, is_plain, has_run_at
    from (
        select bool_and(
                   (i.task, i.model, i.priority, i.max_attempts, i.language, i.style, i.score, i.background, i.max_tokens,
                    i.samples, i.beams, i.temperature, i.top_k, i.top_p, i.seed)
                   is not distinct from (first.task, first.model, first.priority, first.max_attempts, first.language,
                    first.style, first.score, first.background, first.max_tokens, first.samples, first.beams,
                    first.temperature, first.top_k, first.top_p, first.seed)) as has_first_form,
               bool_and(i.batch is not distinct from first_batch) as has_first_batch,
               bool_or(i.run_at is not null) as has_run_at,
               bool_and(
                   i.task = t.name and i.style is not distinct from first.style
                   and num_nonnulls(i.image_url, i.image_urls) = 1 and coalesce(cardinality(i.image_urls), 1) = 1
                   and u.url is not null and length(u.url) <= 8192 and strpos(u.url, E'\n') = 0
                   and (i.key is null or length(i.key) between 1 and 512)
                   and (i.batch is null or length(i.batch) between 1 and 200)
                   and (i.run_at is null or isfinite(i.run_at))
                   and case when num_nonnulls(i.prompt, i.texts) = 0 then needs_no_text
                            else gloss.texts_problem(rows[i.ordinality], t) is null end)
               and gloss.are_plain_urls(string_agg(u.url, E'\n')) as is_plain
        from unnest(rows) with ordinality i
        cross join lateral (select coalesce(i.image_url, i.image_urls[1]) as url) u
        group by i.ordinality / 100) x;
end $$;

-- What rows of one form have in common: arrays, so that a row finds its own by the number of its form.
create type gloss.form_facts as (
    tasks     gloss.task[],
    problems  text[],
    kinds     int[],
    lanes     int[],
    specs     jsonb[],
    are_views boolean[],  -- each image is a view
    are_each  boolean[],  -- each text is a prompt
    usual     int[],      -- texts of a row that gives none
    tokens    int[]       -- samples × max_tokens
);

create function gloss.facts_of(forms gloss.form[]) returns gloss.form_facts
language plpgsql
as $$
declare
    -- Arrays of their own: to add to one within a record copies it.
    tasks gloss.task[];
    problems text[];
    kinds int[];
    lanes int[];
    specs jsonb[];
    are_views boolean[];
    are_each boolean[];
    usual int[];
    tokens int[];
    facts gloss.form_facts;
    f gloss.form;
    t gloss.task;
    problem text;
    spec jsonb;
    kind int;
    k int := 0;
begin
    -- Two bulks make new kinds and lanes in the same order, so that they cannot wait for each other.
    if cardinality(forms) > 1 then
        perform gloss.lane_of(gloss.kind_of(x.task, x.model), x.priority)
        from (
            select u.task, u.model, coalesce(u.priority, 0) as priority
            from unnest(forms) u join gloss.task x on x.name = u.task
            where gloss.form_problem(u, x) is null
            group by u.task, u.model, coalesce(u.priority, 0)
            order by u.task collate "C", u.model collate "C", coalesce(u.priority, 0) offset 0) x;
    end if;
    foreach f in array forms loop
        k := k + 1;
        if t.name is distinct from f.task or k = 1 then select * into t from gloss.task x where x.name = f.task; end if;
        problem := gloss.form_problem(f, t);
        tasks[k] := t;
        problems[k] := problem;
        continue when problem is not null;
        kind := gloss.kind_of(f.task, f.model);
        spec := gloss.spec_of(f, t);
        kinds[k] := kind;
        lanes[k] := gloss.lane_of(kind, coalesce(f.priority, 0));
        specs[k] := spec;
        are_views[k] := (t.limits ->> 'views')::bool;
        are_each[k] := strpos(gloss.prompt_of(t, f.style), '{text}') > 0;
        usual[k] := cardinality(t.default_texts);
        tokens[k] := (spec #>> '{settings,samples}')::int * (spec #>> '{settings,max_tokens}')::int;
    end loop;
    facts.tasks := tasks;
    facts.problems := problems;
    facts.kinds := kinds;
    facts.lanes := lanes;
    facts.specs := specs;
    facts.are_views := are_views;
    facts.are_each := are_each;
    facts.usual := usual;
    facts.tokens := tokens;
    return facts;
end $$;

-- A row that is to come into gloss.job: a type of its own, since that table may get more columns.
create type gloss.new_job as (
    id           bigint,
    created_at   timestamptz,
    run_at       timestamptz,
    batch_id     int,
    kind         int,
    prefills     int,
    tokens       int,
    bytes        int,
    images       smallint,
    priority     smallint,
    max_attempts smallint,
    key          text,
    image_urls   text[],
    spec         jsonb
);

-- The rows for good submissions, in the order of `ordered`, numbers of rows. ids: of each row.
-- numbers: of each row's form; none: all have the first. batches: of each row; one: of all.
create function gloss.new_jobs(
    rows gloss.inbox[], ordered int[], ids bigint[], numbers int[], batches int[], tasks gloss.task[], kinds int[],
    specs jsonb[], are_views boolean[], are_each boolean[], usual int[], tokens int[])
returns setof gloss.new_job
language sql stable
as $$
    select ids[o.row], now(), (r.i).run_at, case cardinality(batches) when 1 then batches[1] else batches[o.row] end,
           kinds[k.n], q.prefills, q.prefills * tokens[k.n],
           octet_length(coalesce((r.i).image_url, array_to_string((r.i).image_urls, ''))),
           coalesce(cardinality((r.i).image_urls), 1)::smallint, coalesce((r.i).priority, 0)::smallint,
           coalesce((r.i).max_attempts, 5)::smallint, (r.i).key, coalesce((r.i).image_urls, array[(r.i).image_url]),
           case when num_nonnulls((r.i).prompt, (r.i).texts) = 0 then specs[k.n]
                else specs[k.n] || jsonb_build_object('texts', gloss.texts_of(r.i, tasks[k.n])) end
    from unnest(ordered) o (row)
    cross join lateral (select rows[o.row] as i offset 0) r
    cross join lateral (select coalesce(numbers[o.row], 1) as n) k
    cross join lateral (
        select case when are_views[k.n] then coalesce(cardinality((r.i).image_urls), 1) else 1 end
            * case when not are_each[k.n] then 1 when (r.i).texts is not null then cardinality((r.i).texts)
                   when (r.i).prompt is not null then 1 else usual[k.n] end as prefills) q
$$;

-- Inserts jobs. known_keys: whether some of the keys may be known, and their rows are left out; to look for each key
-- first takes a third of the time of a bulk. Returns what was inserted, an array a column.
create function gloss.insert_jobs(
    rows gloss.inbox[], ordered int[], job_ids bigint[], numbers int[], batches int[], facts gloss.form_facts,
    known_keys boolean, out ids bigint[], out batch_ids int[], out lanes int[], out run_ats timestamptz[])
language plpgsql
as $$
#variable_conflict use_column
declare
    tasks constant gloss.task[] := facts.tasks;
    kinds constant int[] := facts.kinds;
    specs constant jsonb[] := facts.specs;
    are_views constant boolean[] := facts.are_views;
    are_each constant boolean[] := facts.are_each;
    usual constant int[] := facts.usual;
    tokens constant int[] := facts.tokens;
    only_lane constant int := case when cardinality(kinds) = 1 then facts.lanes[1] end;
begin
    if known_keys then
        with new as (
            insert into gloss.job (id, created_at, run_at, batch_id, kind, prefills, tokens, bytes, images, priority,
                max_attempts, key, image_urls, spec)
            overriding system value
            select n.id, n.created_at, n.run_at, n.batch_id, n.kind, n.prefills, n.tokens, n.bytes, n.images, n.priority,
                n.max_attempts, n.key, n.image_urls, n.spec
            from gloss.new_jobs(rows, ordered, job_ids, numbers, batches, tasks, kinds, specs, are_views, are_each, usual,
                tokens) n
            on conflict (key, kind) where key is not null do nothing
            returning id, batch_id, kind, priority, run_at
        )
        select array_agg(n.id), array_agg(n.batch_id), array_agg(coalesce(only_lane, (
                   select l.id from gloss.lane l where l.kind = n.kind and l.priority = n.priority))),
               array_agg(n.run_at)
        into ids, batch_ids, lanes, run_ats from new n;
    else
        with new as (
            insert into gloss.job (id, created_at, run_at, batch_id, kind, prefills, tokens, bytes, images, priority,
                max_attempts, key, image_urls, spec)
            overriding system value
            select n.id, n.created_at, n.run_at, n.batch_id, n.kind, n.prefills, n.tokens, n.bytes, n.images, n.priority,
                n.max_attempts, n.key, n.image_urls, n.spec
            from gloss.new_jobs(rows, ordered, job_ids, numbers, batches, tasks, kinds, specs, are_views, are_each, usual,
                tokens) n
            returning id, batch_id, kind, priority, run_at
        )
        select array_agg(n.id), array_agg(n.batch_id), array_agg(coalesce(only_lane, (
                   select l.id from gloss.lane l where l.kind = n.kind and l.priority = n.priority))),
               array_agg(n.run_at)
        into ids, batch_ids, lanes, run_ats from new n;
    end if;
end $$;

-- Puts new jobs where they belong: ready, scheduled, or, if their batch is one of `paused`, paused.
create function gloss.place_new(ids bigint[], batch_ids int[], lanes int[], run_ats timestamptz[], paused int[])
returns void
language plpgsql
as $$
declare
    ready record;
    others gloss.move[];
begin
    select array_agg(x.id order by x.id) as ids, array_agg(x.lane order by x.id) as lanes,
           array_agg(x.batch_id order by x.id) as batches
    into ready
    from unnest(ids, lanes, batch_ids, run_ats) x (id, lane, batch_id, run_at)
    where coalesce(x.run_at <= now(), true) and (x.batch_id = any (paused)) is not true;
    if ready.ids is not null then
        perform gloss.line_up_all(ready.ids, ready.lanes, ready.batches, true);
        perform gloss.notify_ready();
    end if;
    if coalesce(cardinality(ready.ids), 0) < cardinality(ids) then
        select array_agg(gloss.move_of(job_id => x.id, batch_id => x.batch_id, lane => x.lane,
            run_at => case when x.run_at > now() then x.run_at end,
            target => case when x.batch_id = any (paused) then 'paused' else 'scheduled' end))
        into others
        from unnest(ids, lanes, batch_ids, run_ats) x (id, lane, batch_id, run_at)
        where x.run_at > now() or x.batch_id = any (paused);
        perform gloss.place(others);
    end if;
end $$;

