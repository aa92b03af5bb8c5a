-- draw_box: a box that is drawn into a job's one image before the model sees it (big_vision's WidgetCap). It is in a job's
-- spec only where it was given.

set local role gloss_owner;

alter table gloss.inbox
    add column draw_box real[];           -- y1, x1, y2, x2: fractions of the height and the width

-- What is wrong with the box that is to be drawn.
create function gloss.drawn_box_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    box constant real[] := i.draw_box;
begin
    if box is null then return null; end if;
    if (t.limits ->> 'views')::bool then return t.name || ' takes no draw_box: its images are views'; end if;
    if cardinality(gloss.urls_of(i)) > 1 then
        return format('draw_box is for jobs of one image, not of %s', cardinality(gloss.urls_of(i)));
    end if;
    if (array_ndims(box) = 1 and array_lower(box, 1) = 1 and cardinality(box) = 4 and array_position(box, null) is null
        and 0 <= all (box) and 1 >= all (box) and box[1] <= box[3] and box[2] <= box[4]) is not true then
        return 'draw_box is y1,x1,y2,x2, fractions of the height and the width such as 0.1,0.2,0.9,0.8, not "'
            || left(array_to_string(box, ',', 'null'), 200) || '"';
    end if;
    return null;
end $$;

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
                            then gloss.choices_problem(rows[i.ordinality], t) is null else true end
                   and case when i.draw_box is not null
                            then gloss.drawn_box_problem(rows[i.ordinality], t) is null else true end)
               and gloss.are_plain_urls(string_agg(u.url, E'\n')) as is_plain
        from unnest(rows) with ordinality i
        cross join lateral (select coalesce(i.image_url, i.image_urls[1]) as url) u
        group by i.ordinality / 100) x;
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
           case when num_nonnulls((r.i).prompt, (r.i).texts, (r.i).options, (r.i).draw_box) = 0 then specs[k.n]
                when num_nonnulls((r.i).options, (r.i).draw_box) = 0
                then specs[k.n] || jsonb_build_object('texts', gloss.texts_of(r.i, tasks[k.n]))
                else specs[k.n] || jsonb_strip_nulls(jsonb_build_object('texts', gloss.texts_of(r.i, tasks[k.n]),
                    'options', gloss.trimmed((r.i).options), 'draw_box', to_jsonb((r.i).draw_box))) end
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

create or replace function gloss.problem(i gloss.inbox, t gloss.task) returns text
language plpgsql stable
as $$
declare
    problem constant text := coalesce(gloss.images_problem(i, t), gloss.texts_problem(i, t),
        case when i.options is not null or t.limits ? 'options' then gloss.choices_problem(i, t) end,
        case when i.draw_box is not null then gloss.drawn_box_problem(i, t) end,
        gloss.row_problem(i));
    responses bigint;
begin
    if problem is not null then return problem; end if;
    if (t.limits ->> 'views')::bool then
        responses := cardinality(gloss.urls_of(i))::bigint
            * gloss.question_count(t, i.style, cardinality(gloss.texts_of(i, t)))
            * coalesce(i.samples, (t.defaults ->> 'samples')::int);
        if responses > 32767 then
            return format('views × questions × samples must be at most 32767, not %s × %s × %s',
                cardinality(gloss.urls_of(i)), gloss.question_count(t, i.style, cardinality(gloss.texts_of(i, t))),
                coalesce(i.samples, (t.defaults ->> 'samples')::int));
        end if;
    end if;
    return null;
end $$;

-- The doors, with the new argument behind the old ones.
create or replace view gloss.submission as
select null::bigint as job_id, null::text as outcome, i.task, i.image_url, i.image_urls, i.prompt, i.texts, i.key,
       i.batch, i.priority, i.run_at, i.max_attempts, i.model, i.language, i.style, i.score, i.background, i.max_tokens,
       i.samples, i.beams, i.temperature, i.top_k, i.top_p, i.seed, i.pick, i.continue_from, i.max_repeats,
       i.token_scores, i.frames, i.options, i.follow_ups, i.ignore, i.draw_box
from gloss.inbox i where false;

drop function gloss.enqueue, gloss.enqueue_caption, gloss.enqueue_vqa, gloss.enqueue_choice;

create function gloss.enqueue(
    task text, image_url text default null, image_urls text[] default null, prompt text default null,
    texts text[] default null, key text default null, batch text default null, priority int default null,
    run_at timestamptz default null, max_attempts int default null, model text default null,
    language text default null, style text default null, score text default null, background text default null,
    max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, pick text default null, continue_from text default null, max_repeats int default null,
    token_scores boolean default null, frames int default null, options text[] default null,
    follow_ups text[] default null, ignore text[] default null, draw_box double precision[] default null,
    out job_id bigint, out outcome text)
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
    i.pick := pick;
    i.continue_from := continue_from;
    i.max_repeats := max_repeats;
    i.token_scores := token_scores;
    i.frames := frames;
    i.options := options;
    i.follow_ups := follow_ups;
    i.ignore := ignore;
    i.draw_box := draw_box;
    answer := enqueue_rows(array[i], null, true);
    job_id := answer.job_ids[1];
    outcome := answer.outcomes[1];
end $$;

create function gloss.enqueue_caption(
    url text default null, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, prompt text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    urls text[] default null, frames int default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null,
    draw_box double precision[] default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'caption', image_urls => given_urls(url, urls), prompt => prompt, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, language => language,
        style => style, background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, frames => frames, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores,
        draw_box => draw_box) e;
end $$;

create function gloss.enqueue_vqa(
    url text default null, question text default null, key text default null, language text default 'en',
    batch text default null, priority int default 0, run_at timestamptz default null, max_attempts int default 5,
    model text default null, style text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    urls text[] default null, frames int default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null,
    draw_box double precision[] default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'vqa', image_urls => given_urls(url, urls), prompt => question, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, language => language,
        style => style, background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, frames => frames, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores,
        draw_box => draw_box) e;
end $$;

create function gloss.enqueue_choice(
    url text default null, question text default null, options text[] default null, key text default null,
    language text default 'en', batch text default null, priority int default 0, run_at timestamptz default null,
    max_attempts int default 5, model text default null, style text default null, score text default 'sum',
    background text default null, urls text[] default null, frames int default null, token_scores boolean default null,
    draw_box double precision[] default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'choice', image_urls => given_urls(url, urls), prompt => question, options => options,
        key => key, batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts,
        model => model, language => language, style => style, score => score, background => background,
        frames => frames, token_scores => token_scores, draw_box => draw_box) e;
end $$;

create or replace view gloss.result as
select j.id as job_id, a.task, j.key, b.name as batch, coalesce(a.answers[1], a.texts[1]) as text,
       a.probabilities[1] as probability,
       case when a.responses is null then a.sums[r.n] end as sum_logprob,
       case when a.responses is null then a.norms[r.n] end as norm_logprob,
       case when strpos(a.finish, 'l') > 0 then 'length' when strpos(a.finish, 'r') > 0 then 'repetition' else 'eos' end
           as finish_reason,
       a.texts, f.labels, f.scores as box_scores, f.boxes, a.answers, a.probabilities,
       case when j.bytes > 200 then gloss.shown_urls(j.image_urls) else j.image_urls end as image_urls,
       case when j.bytes > 200 then gloss.shown_urls(a.final_urls) else a.final_urls end as final_urls,
       array(select encode(h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by n) as image_sha256,
       a.prompts, s.settings, (s.settings ->> 'seed')::bigint as seed, e.model, e.digest as model_digest,
       e.version as gloss_version, a.timings, a.attempts, a.rescues, w.host as worker_host, a.worker, j.created_at,
       a.finished_at, a.score, a.not_understood, i.widths, i.heights, i.orientations, i.formats, i.byte_counts,
       nullif(k.model, '') as asked_model, nullif(e.adapter_digest, '') as adapter_digest,
       nullif(e.mask_digest, '') as mask_digest, e.precision, e.resize, nullif(e.window_size, 0) as window_size,
       case when j.spec ? 'draw_box' then array(select x::real from jsonb_array_elements_text(j.spec -> 'draw_box') x) end
           as draw_box
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.kind k on k.id = j.kind
join gloss.engine e on e.id = a.engine
cross join lateral (select coalesce(array_position(a.texts, a.answers[1]), 1) as n) r
cross join lateral (select coalesce(a.settings, j.spec -> 'settings') as settings) s
left join lateral (
    select array_agg(x.label order by x.n) as labels, array_agg(x.score order by x.n) as scores,
           array(select v.edge from gloss.finding y cross join lateral unnest(array[y.y1, y.x1, y.y2, y.x2])
                     with ordinality v (edge, m)
                 where y.job_id = a.job_id and y.fence = a.fence and v.edge is not null order by y.n, v.m) as boxes
    from gloss.finding x where x.job_id = a.job_id and x.fence = a.fence
) f on a.findings > 0
left join lateral (
    select array_agg(x.width order by u.n) as widths, array_agg(x.height order by u.n) as heights,
           array_agg(x.orientation order by u.n) as orientations, array_agg(x.format order by u.n) as formats,
           array_agg(x.byte_count order by u.n) as byte_counts
    from unnest(a.image_sha256) with ordinality u (sha256, n) left join gloss.image x on x.sha256 = u.sha256
) i on true
left join gloss.batch b on b.id = j.batch_id left join gloss.registered_worker w on w.id = a.worker;
