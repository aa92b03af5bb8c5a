-- The core of every enqueue: many rows or one, from the inbox, a function or JSON.

set local role gloss_owner;

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
