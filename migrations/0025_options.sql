-- Options that most jobs do not have: how responses are chosen and what is kept of them, answers to choose from, further
-- questions. They are in a job's spec only where they are not the default.

set local role gloss_owner;

alter table gloss.inbox
    add column pick          text,        -- which of several samples are kept: all or likeliest; all
    add column continue_from text,        -- what each response begins with; nothing
    add column max_repeats   int,         -- a response ends where a run of tokens stands so often in a row; 0: never
    add column token_scores  boolean,     -- the log-probability of each token is kept; false
    add column frames        int,         -- the images are repeated in their order, or cut, to so many
    add column options       text[],      -- the answers to choose from
    add column follow_ups    text[],      -- of an object: further questions; {answer} is the first ones' best answer
    add column ignore        text[];      -- of an object: answers that count for nothing

-- Those that rows of a bulk have in common; null: the row has none of them.
create type gloss.rare_options as (
    pick          text,
    continue_from text,
    max_repeats   int,
    token_scores  boolean,
    follow_ups    text[],
    ignore        text[]
);

alter type gloss.form add attribute rare gloss.rare_options;

create function gloss.rare_of(
    pick text, continue_from text, max_repeats int, token_scores boolean, follow_ups text[], ignore text[])
returns gloss.rare_options
language sql immutable
as $$
    select case when num_nonnulls(pick, continue_from, max_repeats, token_scores, follow_ups, ignore) > 0
           then row(pick, continue_from, max_repeats, token_scores, follow_ups, ignore)::gloss.rare_options end
$$;

drop function gloss.form_row;
create function gloss.form_row(
    task text, model text, priority int, max_attempts int, language text, style text, score text, background text,
    max_tokens int, samples int, beams int, temperature double precision, top_k int, top_p double precision, seed bigint,
    rare gloss.rare_options)
returns gloss.form
language sql immutable
as $$
    select row(task, model, priority, max_attempts, language, style, score, background, max_tokens, samples, beams,
        temperature, top_k, top_p, seed, rare)::gloss.form
$$;

create or replace function gloss.form_of(i gloss.inbox) returns gloss.form
language plpgsql immutable
as $$
begin
    return gloss.form_row(task => i.task, model => i.model, priority => i.priority, max_attempts => i.max_attempts,
        language => i.language, style => i.style, score => i.score, background => i.background,
        max_tokens => i.max_tokens, samples => i.samples, beams => i.beams, temperature => i.temperature,
        top_k => i.top_k, top_p => i.top_p, seed => i.seed,
        rare => gloss.rare_of(i.pick, i.continue_from, i.max_repeats, i.token_scores, i.follow_ups, i.ignore));
end $$;

create or replace function gloss.forms_of(rows gloss.inbox[], out form gloss.form, out n bigint, out members bigint[])
returns setof record
language sql stable
as $$
    select x.form, row_number() over (order by x.first), x.members
    from (
        select gloss.form_row(task => i.task, model => i.model, priority => i.priority, max_attempts => i.max_attempts,
                   language => i.language, style => i.style, score => i.score, background => i.background,
                   max_tokens => i.max_tokens, samples => i.samples, beams => i.beams, temperature => i.temperature,
                   top_k => i.top_k, top_p => i.top_p, seed => i.seed,
                   rare => gloss.rare_of(i.pick, i.continue_from, i.max_repeats, i.token_scores, i.follow_ups,
                       i.ignore)) as form,
               array_agg(i.ordinality) as members, min(i.ordinality) as first
        from unnest(rows) with ordinality i group by 1) x
$$;

create or replace function gloss.look_at(
    rows gloss.inbox[], first gloss.form, out is_uniform boolean, out is_one_batch boolean, out is_plain boolean,
    out has_run_at boolean)
language plpgsql stable
as $$
declare
    t gloss.task;
    first_batch constant text := rows[1].batch;
    first_rare constant gloss.rare_options := first.rare;
    has_rare constant boolean := not (first_rare is null);
    needs_no_text boolean;
    is_choice boolean;
begin
    select * into t from gloss.task x where x.name = first.task;
    needs_no_text := gloss.count_problem(t, coalesce(first.style, t.default_style), cardinality(t.default_texts)) is null;
    is_choice := t.limits ? 'options';
    select bool_and(x.has_first_form), bool_and(x.has_first_batch), coalesce(bool_and(x.is_plain), false),
           bool_or(x.has_run_at)
    into is_uniform, is_one_batch, is_plain, has_run_at
    from (
        select bool_and(
                   (i.task, i.model, i.priority, i.max_attempts, i.language, i.style, i.score, i.background, i.max_tokens,
                    i.samples, i.beams, i.temperature, i.top_k, i.top_p, i.seed)
                   is not distinct from (first.task, first.model, first.priority, first.max_attempts, first.language,
                    first.style, first.score, first.background, first.max_tokens, first.samples, first.beams,
                    first.temperature, first.top_k, first.top_p, first.seed)
                   and case when num_nonnulls(i.pick, i.continue_from, i.max_repeats, i.token_scores, i.follow_ups,
                                i.ignore) = 0 then not has_rare
                            else has_rare and (i.pick, i.continue_from, i.max_repeats, i.token_scores, i.follow_ups,
                                i.ignore) is not distinct from (first_rare.pick, first_rare.continue_from,
                                first_rare.max_repeats, first_rare.token_scores, first_rare.follow_ups,
                                first_rare.ignore) end) as has_first_form,
               bool_and(i.batch is not distinct from first_batch) as has_first_batch,
               bool_or(i.run_at is not null) as has_run_at,
               bool_and(
                   i.task = t.name and i.style is not distinct from first.style
                   and num_nonnulls(i.image_url, i.image_urls) = 1 and coalesce(cardinality(i.image_urls), 1) = 1
                   and i.frames is null
                   and u.url is not null and length(u.url) <= 8192 and strpos(u.url, E'\n') = 0
                   and (i.key is null or length(i.key) between 1 and 512)
                   and (i.batch is null or length(i.batch) between 1 and 200)
                   and (i.run_at is null or isfinite(i.run_at))
                   and case when num_nonnulls(i.prompt, i.texts) = 0 then needs_no_text
                            else gloss.texts_problem(rows[i.ordinality], t) is null end
                   and case when is_choice or i.options is not null
                            then gloss.choices_problem(rows[i.ordinality], t) is null else true end)
               and gloss.are_plain_urls(string_agg(u.url, E'\n')) as is_plain
        from unnest(rows) with ordinality i
        cross join lateral (select coalesce(i.image_url, i.image_urls[1]) as url) u
        group by i.ordinality / 100) x;
end $$;

-- Texts without blanks around them; null: none.
create function gloss.trimmed(texts text[]) returns text[]
language plpgsql immutable
as $$
begin
    if coalesce(cardinality(texts), 0) = 0 then return null; end if;
    return array(select btrim(x) from unnest(texts) with ordinality u (x, n) order by n);
end $$;

-- Whether a list counts from 1 and holds no lists.
create function gloss.is_plain_list(list text[]) returns boolean
language sql immutable
as $$ select coalesce(array_ndims(list) = 1 and array_lower(list, 1) = 1, true) $$;

-- The images of a job: `frames` of them, as big_vision makes a clip longer.
create or replace function gloss.urls_of(i gloss.inbox) returns text[]
language plpgsql immutable
as $$
declare
    urls constant text[] := coalesce(i.image_urls, case when i.image_url is not null then array[i.image_url] end);
begin
    if i.frames is null or coalesce(cardinality(urls), 0) = 0 then return urls; end if;
    return array(select urls[(n - 1) % cardinality(urls) + 1] from generate_series(1, i.frames) n);
end $$;

-- What of a spec the rare options are; nothing of those that say the default.
create function gloss.rare_spec(rare gloss.rare_options) returns jsonb
language plpgsql immutable
as $$
begin
    return jsonb_strip_nulls(jsonb_build_object('follow_ups', gloss.trimmed(rare.follow_ups),
        'ignore', gloss.trimmed(rare.ignore)));
end $$;

create function gloss.rare_settings(rare gloss.rare_options) returns jsonb
language plpgsql immutable
as $$
begin
    return jsonb_strip_nulls(jsonb_build_object('pick', nullif(rare.pick, 'all'),
        'continue_from', nullif(btrim(rare.continue_from), ''), 'max_repeats', nullif(rare.max_repeats, 0),
        'token_scores', nullif(rare.token_scores, false)));
end $$;

create or replace function gloss.spec_of(f gloss.form, t gloss.task) returns jsonb
language plpgsql immutable
as $$
declare
    usual constant int := (t.defaults ->> 'samples')::int;
    samples constant int := coalesce(f.samples, usual);
    settings jsonb := t.defaults || jsonb_build_object(
        'max_tokens', coalesce(f.max_tokens, (t.defaults ->> 'max_tokens')::int),
        'samples', samples,
        'beams', coalesce(f.beams, 1),
        'temperature', coalesce(f.temperature,
            case when samples = usual then (t.defaults ->> 'temperature')::float8
                 when samples > 1 then 1 else 0 end, 0),
        'top_k', coalesce(f.top_k, 0),
        'top_p', coalesce(f.top_p, 1),
        'seed', coalesce(f.seed, 0));
    more jsonb := '{}';
begin
    if not (f.rare is null) then
        settings := settings || gloss.rare_settings(f.rare);
        more := gloss.rare_spec(f.rare);
    end if;
    return jsonb_build_object(
        'style', coalesce(f.style, t.default_style),
        'language', coalesce(f.language, 'en'),
        'texts', t.default_texts,
        'score', coalesce(f.score, 'sum'),
        'background', lower(f.background),
        'settings', settings) || more;
end $$;

-- Each beam is a response that is extended.
create or replace function gloss.facts_of(forms gloss.form[]) returns gloss.form_facts
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
        tokens[k] := (spec #>> '{settings,samples}')::int * (spec #>> '{settings,beams}')::int
            * (spec #>> '{settings,max_tokens}')::int;
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

-- Further questions are asked of each view, and options are scored as many responses would be drawn.
create or replace function gloss.new_jobs(
    rows gloss.inbox[], ordered int[], ids bigint[], numbers int[], batches int[], tasks gloss.task[], kinds int[],
    specs jsonb[], are_views boolean[], are_each boolean[], usual int[], tokens int[])
returns setof gloss.new_job
language sql stable
as $$
    select ids[o.row], now(), (r.i).run_at, case cardinality(batches) when 1 then batches[1] else batches[o.row] end,
           kinds[k.n], q.prefills, q.prefills * tokens[k.n] * coalesce(nullif(cardinality((r.i).options), 0), 1),
           octet_length(case when (r.i).frames is null
               then coalesce((r.i).image_url, array_to_string((r.i).image_urls, '')) else array_to_string(u.urls, '') end),
           coalesce((r.i).frames, cardinality((r.i).image_urls), 1)::smallint, coalesce((r.i).priority, 0)::smallint,
           coalesce((r.i).max_attempts, 5)::smallint, (r.i).key, u.urls,
           case when num_nonnulls((r.i).prompt, (r.i).texts, (r.i).options) = 0 then specs[k.n]
                when (r.i).options is null
                then specs[k.n] || jsonb_build_object('texts', gloss.texts_of(r.i, tasks[k.n]))
                else specs[k.n] || jsonb_strip_nulls(jsonb_build_object('texts', gloss.texts_of(r.i, tasks[k.n]),
                    'options', gloss.trimmed((r.i).options))) end
    from unnest(ordered) o (row)
    cross join lateral (select rows[o.row] as i offset 0) r
    cross join lateral (select coalesce(numbers[o.row], 1) as n) k
    cross join lateral (
        select case when (r.i).frames is null then coalesce((r.i).image_urls, array[(r.i).image_url])
                    else gloss.urls_of(r.i) end as urls) u
    cross join lateral (
        select case when are_views[k.n] then coalesce(cardinality((r.i).image_urls), 1) else 1 end
            * (case when not are_each[k.n] then 1 when (r.i).texts is not null then cardinality((r.i).texts)
                    when (r.i).prompt is not null then 1 else usual[k.n] end
               + case when are_views[k.n] then coalesce(jsonb_array_length(specs[k.n] -> 'follow_ups'), 0)
                      else 0 end) as prefills) q
$$;
