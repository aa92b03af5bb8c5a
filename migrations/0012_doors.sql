-- The ways into the queue, all on the core of 0011: INSERT or COPY into gloss.inbox, INSERT into gloss.submission, a
-- function a task, and JSON.

set local role gloss_owner;

-- Moves the rows of one INSERT or COPY into the queue.
create function gloss.take_inbox() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set plan_cache_mode = force_generic_plan set enable_mergejoin = off set work_mem = '64MB'
as $$
declare
    size constant int := 100000;  -- rows at a time, so that memory does not grow with the statement
    chunk inbox[];
    first_id bigint;
    last_id bigint;
    first_row int := 1;
begin
    select array_agg(i::inbox), min(i.id), max(i.id) into chunk, first_id, last_id
    from (select * from new_rows limit size + 1) i;
    if chunk is null then return null; end if;
    if cardinality(chunk) <= size then
        perform enqueue_rows(chunk, 1, false);
    else
        select min(i.id), max(i.id) into first_id, last_id from new_rows i;
        for start in first_id .. last_id by size loop
            select array_agg(i::inbox order by i.id) into chunk from new_rows i where i.id >= start and i.id < start + size;
            continue when chunk is null;
            perform enqueue_rows(chunk, first_row, false);
            first_row := first_row + cardinality(chunk);
        end loop;
    end if;
    delete from inbox i where i.id between first_id and last_id;
    return null;
end $$;

create trigger take_inbox after insert on gloss.inbox
referencing new table as new_rows for each statement execute function gloss.take_inbox();

-- For programs that insert one row and want its number back, as ORMs do:
--   insert into gloss.submission (task, image_url, key) values (…) returning job_id, outcome
-- It is always empty.
create view gloss.submission as
select null::bigint as job_id, null::text as outcome, i.task, i.image_url, i.image_urls, i.prompt, i.texts, i.key,
       i.batch, i.priority, i.run_at, i.max_attempts, i.model, i.language, i.style, i.score, i.background, i.max_tokens,
       i.samples, i.beams, i.temperature, i.top_k, i.top_p, i.seed
from gloss.inbox i where false;

create function gloss.take_submission() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
    i inbox;
    answer record;
begin
    i := jsonb_populate_record(null::inbox, to_jsonb(new) - 'job_id' - 'outcome');
    answer := enqueue_rows(array[i], null, true);
    new.job_id := answer.job_ids[1];
    new.outcome := answer.outcomes[1];
    return new;
end $$;

create trigger take_submission instead of insert on gloss.submission
for each row execute function gloss.take_submission();

-- A submission as JSON, with its defaults, as a row. run_in is seconds from now, instead of run_at.
create function gloss.json_row(whole jsonb) returns gloss.inbox
language sql stable
as $$
    select jsonb_populate_record(null::gloss.inbox, (whole - 'id' - 'run_in')
        || case when (whole ->> 'run_in')::float8 > 0
           then jsonb_build_object('run_at', now() + make_interval(secs => (whole ->> 'run_in')::float8))
           else '{}' end)
$$;

-- Submissions as JSON: an array of objects with the columns of gloss.inbox, and run_in. What one leaves out it has from
-- `defaults`. One answer each, in the same order; all or none.
create function gloss.enqueue_json_rows(
    submissions jsonb, defaults jsonb default '{}', out job_id bigint, out outcome text)
returns setof record
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set plan_cache_mode = force_generic_plan set enable_mergejoin = off set work_mem = '64MB'
as $$
declare
    rows inbox[];
    answer record;
begin
    select array_agg(json_row(defaults || e.value) order by e.n) into rows
    from jsonb_array_elements(submissions) with ordinality e (value, n);
    if rows is null then return; end if;
    answer := enqueue_rows(rows, case when cardinality(rows) > 1 then 1 end, true);
    return query select a.job_id, a.outcome from unnest(answer.job_ids, answer.outcomes) a (job_id, outcome);
end $$;

-- What is wrong with such submissions, one by one: all that enqueue_json_rows refuses but for conflicts. Nothing is
-- enqueued.
create function gloss.bad_json_rows(submissions jsonb, defaults jsonb default '{}', out n int, out problem text)
returns setof record
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    one jsonb;
    i inbox;
    t task;
    f form;
    last form;
    problem_of_form text;
begin
    n := 0;
    for one in select e.value from jsonb_array_elements(submissions) with ordinality e (value, k) order by e.k loop
        n := n + 1;
        begin
            i := json_row(defaults || one);
            f := form_of(i);
            if n = 1 or f is distinct from last then
                select * into t from task x where x.name = i.task;
                problem_of_form := form_problem(f, t);
                last := f;
            end if;
            problem := coalesce(problem_of_form, gloss.problem(i, t));
        exception when data_exception then
            problem := sqlerrm;
        end;
        if problem is not null then return next; end if;
    end loop;
end $$;

-- One submission as JSON.
create function gloss.enqueue_json(submission jsonb, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$ select e.job_id, e.outcome from gloss.enqueue_json_rows(jsonb_build_array(submission)) e $$;

-- One job of any task. The functions below are this one with the names of their tasks.
create function gloss.enqueue(
    task text, image_url text default null, image_urls text[] default null, prompt text default null,
    texts text[] default null, key text default null, batch text default null, priority int default null,
    run_at timestamptz default null, max_attempts int default null, model text default null,
    language text default null, style text default null, score text default null, background text default null,
    max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set plan_cache_mode = force_generic_plan
as $$
declare
    i inbox;
    answer record;
begin
    i.task := task;
    i.image_url := image_url;
    i.image_urls := image_urls;
    i.prompt := prompt;
    i.texts := texts;
    i.key := key;
    i.batch := batch;
    i.priority := priority;
    i.run_at := run_at;
    i.max_attempts := max_attempts;
    i.model := model;
    i.language := language;
    i.style := style;
    i.score := score;
    i.background := background;
    i.max_tokens := max_tokens;
    i.samples := samples;
    i.beams := beams;
    i.temperature := temperature;
    i.top_k := top_k;
    i.top_p := top_p;
    i.seed := seed;
    answer := enqueue_rows(array[i], null, true);
    job_id := answer.job_ids[1];
    outcome := answer.outcomes[1];
end $$;

create function gloss.enqueue_caption(
    url text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, prompt text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'caption', image_urls => array[url], prompt => prompt, key => key,
        batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts, model => model,
        language => language, style => style, background => background, max_tokens => max_tokens, samples => samples,
        beams => beams, temperature => temperature, top_k => top_k, top_p => top_p, seed => seed) e;
end $$;

create function gloss.enqueue_vqa(
    url text, question text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'vqa', image_urls => array[url], prompt => question, key => key,
        batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts, model => model,
        language => language, style => style, background => background, max_tokens => max_tokens, samples => samples,
        beams => beams, temperature => temperature, top_k => top_k, top_p => top_p, seed => seed) e;
end $$;

create function gloss.enqueue_detect(
    url text, things text[], key text default null, batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    max_tokens int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'detect', image_urls => array[url], texts => things, key => key,
        batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts, model => model,
        background => background, max_tokens => max_tokens, temperature => temperature, top_k => top_k,
        top_p => top_p, seed => seed) e;
end $$;

create function gloss.enqueue_multiview(
    object text, view_urls text[], questions text[] default null, samples int default 5, key text default null,
    language text default 'en', score text default 'sum', batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, style text default null,
    max_tokens int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'multiview', image_urls => view_urls, texts => questions,
        key => coalesce(key, object), batch => batch, priority => priority, run_at => run_at,
        max_attempts => max_attempts, model => model, language => language, style => style, score => score,
        background => background, max_tokens => max_tokens, samples => samples, temperature => temperature,
        top_k => top_k, top_p => top_p, seed => seed) e;
end $$;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f from unnest(array['gloss_producer', 'gloss_admin']) r,
    unnest(array['enqueue', 'enqueue_caption', 'enqueue_vqa', 'enqueue_detect', 'enqueue_multiview', 'enqueue_json',
        'enqueue_json_rows', 'bad_json_rows']) f;
insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'insert', 'inbox'), ('gloss_admin', 'insert', 'inbox'),
    ('gloss_producer', 'insert', 'submission'), ('gloss_admin', 'insert', 'submission'),
    ('gloss_producer', 'select', 'submission');
