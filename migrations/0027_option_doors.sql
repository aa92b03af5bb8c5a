-- The doors of 0012 with the options of 0025, and those of the tasks since. New arguments stand behind the old ones, so that
-- calls by position go on.

set local role gloss_owner;

create or replace view gloss.submission as
select null::bigint as job_id, null::text as outcome, i.task, i.image_url, i.image_urls, i.prompt, i.texts, i.key,
       i.batch, i.priority, i.run_at, i.max_attempts, i.model, i.language, i.style, i.score, i.background, i.max_tokens,
       i.samples, i.beams, i.temperature, i.top_k, i.top_p, i.seed, i.pick, i.continue_from, i.max_repeats,
       i.token_scores, i.frames, i.options, i.follow_ups, i.ignore
from gloss.inbox i where false;

drop function gloss.enqueue, gloss.enqueue_caption, gloss.enqueue_vqa, gloss.enqueue_detect, gloss.enqueue_multiview;

create function gloss.enqueue(
    task text, image_url text default null, image_urls text[] default null, prompt text default null,
    texts text[] default null, key text default null, batch text default null, priority int default null,
    run_at timestamptz default null, max_attempts int default null, model text default null,
    language text default null, style text default null, score text default null, background text default null,
    max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, pick text default null, continue_from text default null, max_repeats int default null,
    token_scores boolean default null, frames int default null, options text[] default null,
    follow_ups text[] default null, ignore text[] default null, out job_id bigint, out outcome text)
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
    answer := enqueue_rows(array[i], null, true);
    job_id := answer.job_ids[1];
    outcome := answer.outcomes[1];
end $$;

-- The images of a function that takes one URL or several. Two nulls are one URL that is empty.
create function gloss.given_urls(url text, urls text[]) returns text[]
language plpgsql
as $$
begin
    if url is not null and urls is not null then perform gloss.refuse('give either url or urls, not both'); end if;
    return coalesce(urls, array[url]);
end $$;

create function gloss.enqueue_caption(
    url text default null, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, prompt text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    urls text[] default null, frames int default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'caption', image_urls => given_urls(url, urls), prompt => prompt, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, language => language,
        style => style, background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, frames => frames, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

create function gloss.enqueue_vqa(
    url text default null, question text default null, key text default null, language text default 'en',
    batch text default null, priority int default 0, run_at timestamptz default null, max_attempts int default 5,
    model text default null, style text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    urls text[] default null, frames int default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'vqa', image_urls => given_urls(url, urls), prompt => question, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, language => language,
        style => style, background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, frames => frames, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

create function gloss.enqueue_ocr(
    url text, key text default null, batch text default null, priority int default 0, run_at timestamptz default null,
    max_attempts int default 5, model text default null, style text default null, prompt text default null,
    max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'ocr', image_urls => array[url], prompt => prompt, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, style => style,
        background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

create function gloss.enqueue_question(
    url text, answer text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'question', image_urls => array[url], prompt => answer, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, language => language,
        style => style, background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed, pick => pick,
        continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

-- Describes a part of an image: box is y1, x1, y2, x2, fractions of the height and the width.
create function gloss.enqueue_caption_box(
    url text, box double precision[], key text default null, batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, max_tokens int default null,
    samples int default null, beams int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null, pick text default null,
    continue_from text default null, max_repeats int default null, token_scores boolean default null, out job_id bigint,
    out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'caption', style => 'box', image_urls => array[url],
        texts => array[array_to_string(box, ',', 'null')], key => key, batch => batch, priority => priority,
        run_at => run_at, max_attempts => max_attempts, model => model, background => background,
        max_tokens => max_tokens, samples => samples, beams => beams, temperature => temperature, top_k => top_k,
        top_p => top_p, seed => seed, pick => pick, continue_from => continue_from, max_repeats => max_repeats,
        token_scores => token_scores) e;
end $$;

create function gloss.enqueue_detect(
    url text, things text[], key text default null, batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, max_tokens int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, style text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'detect', image_urls => array[url], texts => things, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, style => style,
        background => background, max_tokens => max_tokens, temperature => temperature, top_k => top_k, top_p => top_p,
        seed => seed, continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

create function gloss.enqueue_segment(
    url text, things text[], key text default null, batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, style text default null,
    max_tokens int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    continue_from text default null, max_repeats int default null, token_scores boolean default null, out job_id bigint,
    out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'segment', image_urls => array[url], texts => things, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, style => style,
        background => background, max_tokens => max_tokens, temperature => temperature, top_k => top_k, top_p => top_p,
        seed => seed, continue_from => continue_from, max_repeats => max_repeats, token_scores => token_scores) e;
end $$;

create function gloss.enqueue_multiview(
    object text, view_urls text[], questions text[] default null, samples int default 5, key text default null,
    language text default 'en', score text default 'sum', batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, style text default null,
    max_tokens int default null, temperature double precision default null, top_k int default null,
    top_p double precision default null, seed bigint default null, background text default null,
    follow_ups text[] default null, ignore text[] default null, pick text default null, continue_from text default null,
    max_repeats int default null, token_scores boolean default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'multiview', image_urls => view_urls, texts => questions, key => coalesce(key, object),
        batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts, model => model,
        language => language, style => style, score => score, background => background, max_tokens => max_tokens,
        samples => samples, temperature => temperature, top_k => top_k, top_p => top_p, seed => seed,
        follow_ups => follow_ups, ignore => ignore, pick => pick, continue_from => continue_from,
        max_repeats => max_repeats, token_scores => token_scores) e;
end $$;
