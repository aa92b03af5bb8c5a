-- What an enqueue takes. Bad input is refused with SQLSTATE 22023 and a message that says what and why, before it costs
-- anything. The rules of a task are in its row of gloss.task.

set local role gloss_owner;

create function gloss.refuse(message text) returns void
language plpgsql
as $$ begin raise exception using errcode = '22023', message = message; end $$;

-- A door, not a place: the trigger moves each statement's rows into the queue, and the table is empty again. It is
-- unlogged because no row outlives its statement. A null option means its default.
create unlogged table gloss.inbox (
    id           bigint generated always as identity primary key,
    task         text,                    -- a name in gloss.task
    image_url    text,                    -- one image
    image_urls   text[],                  -- or several: one input of several images, or the views of an object
    prompt       text,                    -- the question; the things to find, separated by ;
    texts        text[],                  -- instead of prompt: one a question or thing
    key          text,                    -- your own name for the job; results join on it
    batch        text,
    priority     int,                     -- -100 (first) to 100; 0
    run_at       timestamptz,             -- not before; now
    max_attempts int,                     -- 5
    model        text,                    -- name or digest; any
    language     text,                    -- en
    style        text,                    -- a style of the task; its default
    score        text,                    -- what is aggregated: sum or normalised; sum
    background   text,                    -- under transparent pixels, #rrggbb; white
    max_tokens   int,                     -- the task's default
    samples      int,                     -- the task's default
    beams        int,                     -- 1
    temperature  double precision,        -- 0; 1 if samples > 1
    top_k        int,                     -- 0: all
    top_p        double precision,        -- 1: all
    seed         bigint                   -- 0
);
comment on table gloss.inbox is 'INSERT or COPY jobs here; they move to the queue at once';

-- What most rows of a bulk have in common, so that it is judged, and the spec is made, once for all of them.
create type gloss.form as (
    task         text,
    model        text,
    priority     int,
    max_attempts int,
    language     text,
    style        text,
    score        text,
    background   text,
    max_tokens   int,
    samples      int,
    beams        int,
    temperature  double precision,
    top_k        int,
    top_p        double precision,
    seed         bigint
);

-- (These functions are PL/pgSQL for speed: as SQL they cannot be inlined, and cost ten times as much.)
create function gloss.prompt_of(t gloss.task, style text) returns text
language plpgsql immutable
as $$ begin return t.styles -> coalesce(style, t.default_style) ->> 'prompt'; end $$;

create function gloss.urls_of(i gloss.inbox) returns text[]
language plpgsql immutable
as $$ begin return coalesce(i.image_urls, case when i.image_url is not null then array[i.image_url] end); end $$;

-- The user's texts in one form, without blanks around them. A prompt of a style that joins texts is taken apart.
create function gloss.texts_of(i gloss.inbox, t gloss.task) returns text[]
language plpgsql immutable
as $$
begin
    if i.texts is not null then
        if array_ndims(i.texts) > 1 then return i.texts; end if;
        return array(select btrim(x) from unnest(i.texts) with ordinality u (x, n) order by n);
    end if;
    if i.prompt is null then return t.default_texts; end if;
    if t.separator is null or strpos(gloss.prompt_of(t, i.style), '{texts}') = 0 then
        return array[btrim(i.prompt)];
    end if;
    return array(select btrim(x) from string_to_table(i.prompt, t.separator) x where btrim(x) <> '');
end $$;

-- How many prompts a view gets: as many as texts, if each is a prompt of its own.
create function gloss.question_count(t gloss.task, style text, text_count int) returns int
language plpgsql immutable
as $$ begin return case when strpos(gloss.prompt_of(t, style), '{text}') > 0 then text_count else 1 end; end $$;

-- Whether each line is a URL as almost all are. To look at many at once takes a third of the time.
create function gloss.are_plain_urls(lines text) returns boolean
language sql immutable
as $$ select lines || E'\n' ~ '^(https?://[[:alnum:].-]+(:[0-9]+)?(/[!-~]*)?\n)+$' $$;

create function gloss.is_plain_url(url text) returns boolean
language sql immutable
as $$ select length(url) <= 8192 and strpos(url, E'\n') = 0 and gloss.are_plain_urls(url) $$;

create function gloss.url_problem(url text) returns text
language plpgsql stable
as $$
declare
    -- What stands in an error also comes into logs: neither a password nor a signature belongs there.
    shown constant text := '"' || left(
        regexp_replace(regexp_replace(url, '//[^/?#]*@', '//…@'), '[?#].*', '?…'), 200) || '"';
    most int;
begin
    if gloss.is_plain_url(url) then return null; end if;
    if url is null or url = '' then return 'an image URL is empty'; end if;
    if url ~* '^data:' then
        most := gloss.setting_of('data_url_bytes')::int;
        return case when octet_length(url) > most then format(
            'a data: URL has %s bytes, and %s are taken at most; an administrator may change the setting data_url_bytes',
            octet_length(url), most) end;
    end if;
    if url !~* '^(https?|file)://' then
        return 'the image URL ' || shown || ' must begin with https://, http://, file:// or data:';
    end if;
    if length(url) > 8192 then return 'the image URL ' || shown || '… is longer than 8192 characters'; end if;
    if url ~ '[[:space:][:cntrl:]]' then return 'the image URL ' || shown || ' contains a space or control character';
    end if;
    if url ~* '^https?://[^/?#]*@' then
        return 'the image URL contains a user name or password; gloss does not fetch such URLs';
    end if;
    if url ~* '^https?://([/?#:]|$)' then return 'the image URL ' || shown || ' names no host'; end if;
    return null;
end $$;

create function gloss.images_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql stable
as $$
declare
    most constant int := (t.limits ->> 'images')::int;
    urls constant text[] := gloss.urls_of(i);
    url text;
    problem text;
begin
    if i.image_url is not null and i.image_urls is not null then
        return 'give either image_url or image_urls, not both';
    end if;
    if coalesce(cardinality(urls), 0) = 0 then return 'there is no image URL'; end if;
    if array_ndims(urls) > 1 or array_lower(urls, 1) <> 1 then
        return 'image_urls must be a plain list that counts from 1';
    end if;
    if cardinality(urls) > most then
        return format('%s images are too many: %s takes at most %s', cardinality(urls), t.name, most);
    end if;
    if octet_length(array_to_string(urls, '')) > 33554432 then
        return 'the image URLs have more than 32 MiB together';
    end if;
    foreach url in array urls loop
        problem := gloss.url_problem(url);
        if problem is not null then return problem; end if;
    end loop;
    return null;
end $$;

-- How many texts there may be, as a refusal says it.
create function gloss.count_problem(t gloss.task, style text, count int) returns text
language plpgsql immutable
as $$
declare
    least constant int := (t.styles -> style -> 'texts' ->> 0)::int;
    most constant int := (t.styles -> style -> 'texts' ->> 1)::int;
    noun constant text := coalesce(t.text_noun, 'text');
begin
    if count between least and most then return null; end if;
    if most = 0 then
        return format('%s takes no prompt with the style %s', t.name, style)
            || coalesce((select '; the style ' || s.key || ' takes one' from jsonb_each(t.styles) s
                         where (s.value -> 'texts' ->> 1)::int > 0 order by s.key limit 1), '');
    end if;
    if most = 1 then
        return case when count = 0 then format('%s needs a prompt', t.name) else format('%s takes one prompt', t.name) end;
    end if;
    return format('%s needs %s to %s %ss, not %s', t.name, least, most, noun, count);
end $$;

create function gloss.texts_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    style constant text := coalesce(i.style, t.default_style);
    most constant int := coalesce((t.limits ->> 'text_length')::int, 2000);
    joins constant boolean := t.separator is not null and strpos(gloss.prompt_of(t, style), '{texts}') > 0;
    texts text[];
    one text;
    problem text;
begin
    if i.prompt is not null and i.texts is not null then return 'give either prompt or texts, not both'; end if;
    if array_ndims(i.texts) > 1 or array_lower(i.texts, 1) <> 1 then
        return 'texts must be a plain list that counts from 1';
    end if;
    texts := gloss.texts_of(i, t);
    problem := gloss.count_problem(t, style, cardinality(texts));
    if problem is not null then return problem; end if;
    foreach one in array texts loop
        if one is null or one = '' then return 'a prompt is empty'; end if;
        if length(one) > most then
            return format('a prompt has %s characters; at most %s are taken', length(one), most);
        end if;
        if one ~ '[[:cntrl:]]' then return 'a prompt contains a line break or another control character'; end if;
        if one ~ '^(<image>|<bos>)' or one ~ '\\n$' then
            return 'gloss itself adds <image>, <bos> and the line break at the end: leave them out of "'
                || left(one, 200) || '"';
        end if;
        if joins and strpos(one, t.separator) > 0 then
            return format('the name of a %s contains a %s: %s', coalesce(t.text_noun, 'text'),
                case t.separator when ';' then 'semicolon' else t.separator end, one);
        end if;
    end loop;
    return null;
end $$;

-- What is wrong with what a row has beside its form, its images and its texts.
create function gloss.row_problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
begin
    if i.key = '' then return 'the key is empty; leave it out instead'; end if;
    if length(i.key) > 512 then return 'the key is longer than 512 characters'; end if;
    if i.batch = '' then return 'the name of the batch is empty; leave it out instead'; end if;
    if length(i.batch) > 200 then return 'the name of the batch is longer than 200 characters'; end if;
    if not isfinite(i.run_at) then return 'run_at must be a time, not ' || i.run_at; end if;
    return null;
end $$;

create function gloss.options_problem(f gloss.form) returns text
language plpgsql immutable
as $$
begin
    if not f.priority between -100 and 100 then return 'priority must be -100 to 100, not ' || f.priority; end if;
    if not f.max_attempts between 1 and 100 then return 'max_attempts must be 1 to 100, not ' || f.max_attempts; end if;
    if f.model !~ '^[[:graph:]]{1,200}$' then
        return 'model must have 1 to 200 characters and no spaces, not "' || left(f.model, 200) || '"';
    end if;
    if f.language !~ '^[a-z]{2,3}(-[A-Za-z]{2,8})?$' then
        return 'language must be a code such as en or pt-BR, not "' || left(f.language, 200) || '"';
    end if;
    if f.score not in ('sum', 'normalised') then
        return 'score must be sum or normalised, not "' || left(f.score, 200) || '"';
    end if;
    if f.background !~* '^#[0-9a-f]{6}$' then
        return 'background must be like #ffffff, not "' || left(f.background, 200) || '"';
    end if;
    return null;
end $$;

create function gloss.style_problem(f gloss.form, t gloss.task) returns text
language plpgsql immutable
as $$
begin
    if f.style is null or t.styles ? f.style then return null; end if;
    return format('style "%s" does not go with %s, which has: %s', left(f.style, 200), t.name,
        (select string_agg(k, ', ' order by k <> t.default_style, k = 'raw', k) from jsonb_object_keys(t.styles) k));
end $$;

create function gloss.settings_problem(f gloss.form, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    usual constant int := (t.defaults ->> 'samples')::int;
    most_samples constant int := coalesce((t.limits ->> 'samples')::int, 64);
    most_tokens constant int := coalesce((t.limits ->> 'max_tokens')::int, 1024);
begin
    if not f.max_tokens between 1 and most_tokens then
        return format('max_tokens must be 1 to %s, not %s', most_tokens, f.max_tokens);
    end if;
    if most_samples = 1 and f.samples > 1 then return t.name || ' takes samples => 1 only'; end if;
    if not f.samples between 1 and most_samples then
        return format('samples must be 1 to %s, not %s', most_samples, f.samples);
    end if;
    if coalesce(f.samples, usual) * coalesce(f.max_tokens, (t.defaults ->> 'max_tokens')::int) > 16384 then
        return format('samples × max_tokens must be at most 16384, not %s × %s', coalesce(f.samples, usual),
            coalesce(f.max_tokens, (t.defaults ->> 'max_tokens')::int));
    end if;
    if f.beams <> 1 then return 'beams must be 1, not ' || f.beams || ': there is no beam search yet'; end if;
    if not f.temperature between 0 and 5 then return 'temperature must be 0 to 5, not ' || f.temperature; end if;
    if f.temperature = 0 and coalesce(f.samples, usual) > 1 then
        return 'temperature 0 is greedy: all samples would be the same; give a temperature above 0 or samples => 1';
    end if;
    if not f.top_k between 0 and 257152 then return 'top_k must be 0 (all) to 257152, not ' || f.top_k; end if;
    if not (f.top_p > 0 and f.top_p <= 1) then return 'top_p must be above 0 and at most 1, not ' || f.top_p; end if;
    if f.seed < 0 then return 'seed must not be negative, not ' || f.seed; end if;
    return null;
end $$;

create function gloss.form_problem(f gloss.form, t gloss.task) returns text
language plpgsql stable
as $$
begin
    if t.name is null then
        return format('task must be %s, not %s',
            coalesce((select string_agg(name, ', ' order by name) from gloss.task), '(there are none: glossctl migrate)'),
            coalesce('"' || left(f.task, 200) || '"', 'null'));
    end if;
    return coalesce(gloss.style_problem(f, t), gloss.options_problem(f), gloss.settings_problem(f, t));
end $$;

-- What is wrong with a row beside its form; null: nothing.
create function gloss.problem(i gloss.inbox, t gloss.task) returns text
language plpgsql stable
as $$
declare
    problem constant text := coalesce(gloss.images_problem(i, t), gloss.texts_problem(i, t), gloss.row_problem(i));
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

-- The part of a good submission that only the daemon reads, with all defaults filled in; of one without texts.
create function gloss.spec_of(f gloss.form, t gloss.task) returns jsonb
language plpgsql immutable
as $$
declare
    usual constant int := (t.defaults ->> 'samples')::int;
    samples constant int := coalesce(f.samples, usual);
begin
    return jsonb_build_object(
        'style', coalesce(f.style, t.default_style),
        'language', coalesce(f.language, 'en'),
        'texts', t.default_texts,
        'score', coalesce(f.score, 'sum'),
        'background', lower(f.background),
        'settings', t.defaults || jsonb_build_object(
            'max_tokens', coalesce(f.max_tokens, (t.defaults ->> 'max_tokens')::int),
            'samples', samples,
            'beams', 1,
            'temperature', coalesce(f.temperature,
                case when samples = usual then (t.defaults ->> 'temperature')::float8
                     when samples > 1 then 1 else 0 end, 0),
            'top_k', coalesce(f.top_k, 0),
            'top_p', coalesce(f.top_p, 1),
            'seed', coalesce(f.seed, 0)));
end $$;

-- What a job asks, in short: all that is left of it once it is pruned (gloss.prune).
create function gloss.digest_of(image_urls text[], spec jsonb) returns text
language plpgsql stable
as $$
begin
    return encode(sha256(convert_to(jsonb_build_array(image_urls, spec)::text, 'UTF8')), 'hex');
end $$;

-- Whether a job of the same key asks the same.
create function gloss.is_same(j gloss.job, image_urls text[], spec jsonb) returns boolean
language plpgsql stable
as $$
begin
    if j.image_urls = '{}' then return j.spec ->> 'pruned' = gloss.digest_of(image_urls, spec); end if;
    return j.image_urls = image_urls and j.spec = spec;
end $$;
