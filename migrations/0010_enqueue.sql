-- The core of every enqueue: many rows or one, from the inbox, a function or JSON.

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

-- The rows of gloss.job for good submissions, in the order of `ordered`, numbers of rows. ids: of each row.
-- numbers: of each row's form; none: all have the first. batches: of each row; one: of all.
create function gloss.new_jobs(
    rows gloss.inbox[], ordered int[], ids bigint[], numbers int[], batches int[], tasks gloss.task[], kinds int[],
    specs jsonb[], are_views boolean[], are_each boolean[], usual int[], tokens int[])
returns setof gloss.job
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
        select case when are_views[k.n] then cardinality((r.i).image_urls) else 1 end
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

-- Makes the names of batches known; gives back their numbers in the order of the rows.
create function gloss.batches_of(rows gloss.inbox[]) returns int[]
language plpgsql
as $$
declare
    names constant text[] := array(select distinct i.batch from unnest(rows) i where i.batch is not null order by 1);
begin
    update gloss.batch b set idle_since = null, idle_xid = null
    where b.id in (select x.id from gloss.batch x where x.name = any (names) and x.idle_since is not null
                   order by x.id for update);
    insert into gloss.batch (name)
    select n from unnest(names) n where not exists (select from gloss.batch b where b.name = n)
    order by n on conflict do nothing;
    if current_setting('transaction_isolation') <> 'read committed' then
        perform from gloss.batch b where b.name = any (names) order by b.id for key share;
    end if;
    return array(select (select b.id from gloss.batch b where b.name = i.batch)
                 from unnest(rows) with ordinality i order by i.ordinality);
end $$;

-- Raises what is wrong with the first bad row; nothing if all are good after all.
create function gloss.refuse_bad_rows(rows gloss.inbox[], numbers int[], facts gloss.form_facts, first_row int)
returns void
language plpgsql
as $$
declare
    tasks constant gloss.task[] := facts.tasks;
    problems constant text[] := facts.problems;
    bad record;
begin
    select x.n, x.problem, count(*) over () as count into bad
    from (
        select g as n, coalesce(problems[coalesce(numbers[g], 1)],
            gloss.problem(rows[g], tasks[coalesce(numbers[g], 1)])) as problem
        from generate_series(1, cardinality(rows)) g) x
    where x.problem is not null order by x.n limit 1;
    if not found then return; end if;
    raise exception using errcode = '22023',
        message = format('row %s%s: %s', first_row + bad.n - 1, ' (key "' || left(rows[bad.n].key, 200) || '")',
            bad.problem),
        detail = format('%s of %s rows are no good; nothing was enqueued', bad.count, cardinality(rows));
end $$;

-- The same for a single job, which has no number.
create function gloss.refuse_bad_row(i gloss.inbox, facts gloss.form_facts) returns void
language plpgsql
as $$
declare
    problem constant text := coalesce(facts.problems[1], gloss.problem(i, facts.tasks[1]));
begin
    if problem is not null then perform gloss.refuse(problem); end if;
end $$;

-- Rows whose key names another job: an error, since an INSERT has no other way to say so.
create function gloss.refuse_conflicts(rows gloss.inbox[], outcomes text[]) returns void
language plpgsql
as $$
declare
    keys constant text[] := array(
        select left(rows[o.n].key, 200) from unnest(outcomes) with ordinality o (outcome, n)
        where o.outcome = 'conflict' order by o.n limit 3);
begin
    raise exception using errcode = '23505',
        message = format('the key "%s" already names another %s job', keys[1],
            rows[array_position(outcomes, 'conflict')].task),
        detail = 'A key names one job of its task and model, with its images, prompt and settings; '
            || 'other keys of this statement with the same trouble: '
            || coalesce(nullif(array_to_string(keys[2:], ', '), ''), 'none'),
        hint = 'Add to the key what tells the jobs apart, such as row-17/colour, or: select gloss.forget(key => …)';
end $$;

-- What became of rows, of which not all were inserted: the jobs that their keys name. Null: neither; the key's job was
-- forgotten in between.
create function gloss.outcomes_of(
    rows gloss.inbox[], all_ids bigint[], numbers int[], facts gloss.form_facts, inserted bigint[],
    out job_ids bigint[], out outcomes text[])
language plpgsql stable
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
begin
    select array_agg(x.job order by x.id), array_agg(x.outcome order by x.id) into job_ids, outcomes
    from (
        select w.id, coalesce(m.id, j.id) as job,
               case when m.id is not null then 'inserted' when j.id is null then null
                    when gloss.is_same(j, w.image_urls, w.spec) then 'duplicate' else 'conflict' end as outcome
        from gloss.new_jobs(rows, array(select generate_series(1, cardinality(rows))), all_ids, numbers, '{0}', tasks,
            kinds, specs, are_views, are_each, usual, tokens) w
        left join unnest(inserted) m (id) on m.id = w.id
        left join gloss.job j on m.id is null and j.key = w.key and j.kind = w.kind
    ) x;
end $$;

-- Enqueues rows, all or none. first_row: the number of the first in its statement, for messages; null: a single job.
-- outcomes: inserted, duplicate (the key names the same job), conflict (it names another one; nothing was changed);
-- without wants_outcomes a conflict is an error, and there are none.
create function gloss.enqueue_rows(
    rows gloss.inbox[], first_row int, wants_outcomes boolean, out job_ids bigint[], out outcomes text[])
language plpgsql
as $$
declare
    n constant int := cardinality(rows);
    forms gloss.form[] := array[gloss.form_of(rows[1])];
    facts gloss.form_facts;
    numbers int[] := '{}';
    batches int[];
    paused int[] := '{}';
    patience text;
    made record;
    again int[];
    others record;
    look record;
begin
    if n is null then return; end if;
    -- From here on gloss.remove_idle waits for this transaction.
    perform pg_current_xact_id();

    -- Most rows are seen to be good at one look.
    if n = 1 then
        select true as is_uniform, true as is_one_batch, false as is_plain,
               coalesce(rows[1].run_at > now(), false) as has_run_at into look;
    else
        look := gloss.look_at(rows, forms[1]);
    end if;
    if not look.is_uniform then
        with f as materialized (select * from gloss.forms_of(rows))
        select (select array_agg(f.form order by f.n) from f),
               (select array_agg(m.n order by m.member)
                from (select f.n::int as n, unnest(f.members) as member from f) m)
        into forms, numbers;
    end if;
    facts := gloss.facts_of(forms);
    if first_row is null then
        perform gloss.refuse_bad_row(rows[1], facts);
    elsif not look.is_plain or num_nonnulls(variadic facts.problems) > 0 then
        perform gloss.refuse_bad_rows(rows, numbers, facts, first_row);
    end if;

    -- A batch that is paused now is locked, so that gloss.resume waits, and then finds these jobs.
    batches := case when look.is_one_batch then array[gloss.batch_of(rows[1].batch)] else gloss.batches_of(rows) end;
    if exists (select from gloss.batch b where b.id = any (batches) and b.paused) then
        paused := array(select b.id from gloss.batch b where b.id = any (batches) and b.paused order by b.id for share);
    end if;

    job_ids := case n when 1 then array[nextval('gloss.job_id_seq')]
                      else array(select nextval('gloss.job_id_seq') from generate_series(1, n)) end;
    -- That the keys of a bulk are new is taken for granted at first. If one is known, or somebody else is about to insert
    -- it, start again in the order of the keys: two of these wait for each other, and not both. (Who is still at his first
    -- try has a lock_timeout, and gives way.)
    made := null;
    if n >= 10 then
        patience := current_setting('lock_timeout');
        begin
            perform set_config('lock_timeout', '100ms', true);
            made := gloss.insert_jobs(rows, array(select generate_series(1, n)), job_ids, numbers, batches, facts, false);
        exception when unique_violation or lock_not_available or deadlock_detected then
            made := null;
        end;
        perform set_config('lock_timeout', patience, true);
    end if;
    if made is null then
        made := gloss.insert_jobs(rows, array(
            select i.ordinality::int from unnest(rows) with ordinality i order by i.key collate "C", i.ordinality),
            job_ids, numbers, batches, facts, true);
    end if;
    if cardinality(made.ids) = n and look.is_uniform and look.is_one_batch and not look.has_run_at and paused = '{}' then
        perform gloss.line_up(job_ids, made.lanes[1], made.batch_ids[1], true);
        -- Of a single job the workers hear only if they may be asleep.
        if n > 1 or not gloss.is_long(made.lanes[1]) then perform gloss.notify_ready(); end if;
    elsif made.ids is not null then
        perform gloss.place_new(made.ids, made.batch_ids, made.lanes, made.run_ats, paused);
    end if;

    if cardinality(made.ids) = n then
        outcomes := case when wants_outcomes then array_fill('inserted'::text, array[n]) end;
        return;
    end if;
    -- What the others' keys name.
    select x.job_ids, x.outcomes into job_ids, outcomes
    from gloss.outcomes_of(rows, job_ids, numbers, facts, made.ids) x;
    if not wants_outcomes and 'conflict' = any (outcomes) then perform gloss.refuse_conflicts(rows, outcomes); end if;
    -- The key was forgotten in between: it is free now.
    again := array(select o.n::int from unnest(outcomes) with ordinality o (outcome, n) where o.outcome is null);
    if again <> '{}' then
        others := gloss.enqueue_rows(array(select rows[g] from unnest(again) g), first_row, true);
        for g in 1..cardinality(again) loop
            job_ids[again[g]] := others.job_ids[g];
            outcomes[again[g]] := others.outcomes[g];
        end loop;
    end if;
end $$;
