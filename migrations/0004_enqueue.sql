-- Enqueue: one job by a function, many by INSERT or COPY into gloss.inbox. Bad input is refused here, with SQLSTATE
-- 22023 and a message that says what and why, before it costs anything.

set local role gloss_owner;

-- A door, not a place: the trigger moves each statement's rows into the queue, and the table is empty again. It is
-- unlogged because no row outlives its statement. A null option means its default.
create unlogged table gloss.inbox (
    id           bigint generated always as identity primary key,
    task         text,                    -- caption, vqa, detect, multiview
    image_urls   text[],                  -- several: one input of several images; multiview: the views
    prompt       text,                    -- vqa: the question; detect: the things, separated by ;
    texts        text[],                  -- instead of prompt: the questions of multiview, the things of detect
    key          text,                    -- your own name for the job; results join on it
    batch        text,
    priority     int,                     -- -100 (first) to 100; 0
    run_at       timestamptz,             -- not before; now
    max_attempts int,                     -- 5
    model        text,                    -- name or digest; any
    language     text,                    -- en
    style        text,                    -- caption, cap, describe, ocr, answer, detect, raw; the task's own
    score        text,                    -- multiview: sum or normalised; sum
    background   text,                    -- under transparent pixels, #rrggbb; white
    max_tokens   int,                     -- caption 64, vqa 32, detect 256, multiview 24
    samples      int,                     -- 1; multiview 5
    beams        int,                     -- 1
    temperature  real,                    -- 0; 1 if samples > 1
    top_k        int,                     -- 0: all
    top_p        real,                    -- 1: all
    seed         bigint                   -- 0
);
comment on table gloss.inbox is 'INSERT or COPY jobs here; they move to the queue at once';

-- The user's texts in one form. (These functions are PL/pgSQL for speed: as SQL they cannot be inlined, and cost
-- ten times as much.)
create function gloss.texts_of(i gloss.inbox) returns text[]
language plpgsql immutable
as $$
begin
    if i.texts is not null then return i.texts; end if;
    if i.prompt is not null then
        if i.task <> 'detect' or i.style = 'raw' then return array[i.prompt]; end if;
        return array(select btrim(x) from string_to_table(i.prompt, ';') x where btrim(x) <> '');
    end if;
    if i.task <> 'multiview' then return '{}'; end if;
    return array['What is this?', 'What type of object is this?', 'What is in the image?',
        'Describe the object in the image'];
end $$;

-- Whether each line is a URL as almost all are. To look at many at once takes a third of the time.
create function gloss.are_plain_urls(lines text) returns boolean
language sql immutable
as $$ select lines || E'\n' ~ '^(https?://[[:alnum:].-]+(:[0-9]+)?(/[!-~]*)?\n)+$' $$;

create function gloss.is_plain_url(url text) returns boolean
language sql immutable
as $$ select length(url) <= 8192 and strpos(url, E'\n') = 0 and gloss.are_plain_urls(url) $$;

create function gloss.url_problem(url text) returns text
language plpgsql immutable
as $$
declare
    -- What stands in an error also comes into logs: neither a password nor a signature belongs there.
    shown constant text := '"' || left(
        regexp_replace(regexp_replace(url, '//[^/?#]*@', '//…@'), '[?#].*', '?…'), 200) || '"';
begin
    if gloss.is_plain_url(url) then return null; end if;
    if url is null or url = '' then return 'an image URL is empty'; end if;
    if url ~* '^data:' then
        return case when length(url) > 16777216 then 'a data: URL is longer than 16 MiB' end;
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

create function gloss.images_problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
declare
    most constant int := case when i.task = 'multiview' then 64 else 16 end;
    url text;
    problem text;
begin
    if coalesce(cardinality(i.image_urls), 0) = 0 then return 'there is no image URL'; end if;
    if array_ndims(i.image_urls) > 1 or array_lower(i.image_urls, 1) <> 1 then
        return 'image_urls must be a plain list that counts from 1';
    end if;
    if cardinality(i.image_urls) > most then
        return format('%s images are too many: %s takes at most %s', cardinality(i.image_urls), i.task, most);
    end if;
    if pg_column_size(i.image_urls) > 33554432 then return 'the image URLs have more than 32 MiB together'; end if;
    foreach url in array i.image_urls loop
        problem := gloss.url_problem(url);
        if problem is not null then return problem; end if;
    end loop;
    return null;
end $$;

create function gloss.texts_problem(i gloss.inbox, texts text[]) returns text
language plpgsql immutable
as $$
declare
    count constant int := cardinality(texts);
    one text;
begin
    if i.prompt is not null and i.texts is not null then return 'give either prompt or texts, not both'; end if;
    if array_ndims(texts) > 1 or array_lower(texts, 1) <> 1 then
        return 'texts must be a plain list that counts from 1';
    end if;
    if i.task = 'caption' and coalesce(i.style, '') <> 'raw' then
        return case when count > 0 then 'caption takes no prompt, except with the style raw' end;
    elsif (i.task in ('caption', 'vqa') or i.task = 'detect' and i.style = 'raw') and count <> 1 then
        return case when count = 0 then i.task || ' needs a prompt' else i.task || ' takes one prompt' end;
    elsif i.task = 'detect' and not count between 1 and 32 then
        return 'detect needs 1 to 32 things to look for, not ' || count;
    elsif i.task = 'multiview' and not count between 1 and 16 then
        return 'multiview needs 1 to 16 questions, not ' || count;
    end if;
    foreach one in array texts loop
        if one is null or btrim(one) = '' then return 'a prompt is empty'; end if;
        if length(one) > 2000 then return format('a prompt has %s characters; at most 2000 are taken', length(one));
        end if;
        if one ~ '[[:cntrl:]]' then return 'a prompt contains a line break or another control character'; end if;
        if i.task = 'detect' and coalesce(i.style, '') <> 'raw' and one like '%;%' then
            return 'the name of a thing contains a semicolon: ' || one;
        end if;
    end loop;
    return null;
end $$;

create function gloss.options_problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
begin
    if i.key = '' then return 'the key is empty; leave it out instead'; end if;
    if length(i.key) > 512 then return 'the key is longer than 512 characters'; end if;
    if i.batch = '' then return 'the name of the batch is empty; leave it out instead'; end if;
    if length(i.batch) > 200 then return 'the name of the batch is longer than 200 characters'; end if;
    if not i.priority between -100 and 100 then return 'priority must be -100 to 100, not ' || i.priority; end if;
    if not isfinite(i.run_at) then return 'run_at must be a time, not ' || i.run_at; end if;
    if not i.max_attempts between 1 and 100 then return 'max_attempts must be 1 to 100, not ' || i.max_attempts; end if;
    if i.model !~ '^[[:graph:]]{1,200}$' then
        return 'model must have 1 to 200 characters and no spaces, not "' || left(i.model, 200) || '"';
    end if;
    if i.language !~ '^[a-z]{2,3}(-[A-Za-z]{2,8})?$' then
        return 'language must be a code such as en or pt-BR, not "' || left(i.language, 200) || '"';
    end if;
    if i.score not in ('sum', 'normalised') then
        return 'score must be sum or normalised, not "' || left(i.score, 200) || '"';
    end if;
    if i.background !~* '^#[0-9a-f]{6}$' then
        return 'background must be like #ffffff, not "' || left(i.background, 200) || '"';
    end if;
    return null;
end $$;

create function gloss.style_problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
declare
    allowed text;
begin
    if i.style is null then return null; end if;
    allowed := case i.task
        when 'caption' then 'caption, cap, describe, ocr, raw'
        when 'detect' then 'detect, raw'
        else 'answer, raw' end;
    if i.style = any (string_to_array(allowed, ', ')) then return null; end if;
    return format('style "%s" does not go with %s, which has: %s', left(i.style, 200), i.task, allowed);
end $$;

create function gloss.settings_problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
begin
    if not i.max_tokens between 1 and 1024 then return 'max_tokens must be 1 to 1024, not ' || i.max_tokens; end if;
    if not i.samples between 1 and 64 then return 'samples must be 1 to 64, not ' || i.samples; end if;
    if i.samples * coalesce(i.max_tokens, 1) > 16384 then
        return format('samples × max_tokens must be at most 16384, not %s × %s', i.samples, i.max_tokens);
    end if;
    if i.task = 'multiview'
        and cardinality(i.image_urls) * cardinality(gloss.texts_of(i)) * coalesce(i.samples, 5) > 32767 then
        return format('views × questions × samples must be at most 32767, not %s × %s × %s',
            cardinality(i.image_urls), cardinality(gloss.texts_of(i)), coalesce(i.samples, 5));
    end if;
    if i.beams <> 1 then return 'beams must be 1, not ' || i.beams || ': there is no beam search yet'; end if;
    if not i.temperature between 0 and 5 then return 'temperature must be 0 to 5, not ' || i.temperature; end if;
    if i.temperature = 0 and coalesce(i.samples, case when i.task = 'multiview' then 5 else 1 end) > 1 then
        return 'temperature 0 is greedy: all samples would be the same; give a temperature above 0 or samples => 1';
    end if;
    if not i.top_k between 0 and 257152 then return 'top_k must be 0 (all) to 257152, not ' || i.top_k; end if;
    if not (i.top_p > 0 and i.top_p <= 1) then return 'top_p must be above 0 and at most 1, not ' || i.top_p; end if;
    if i.seed < 0 then return 'seed must not be negative, not ' || i.seed; end if;
    if i.task = 'detect' and i.samples > 1 then return 'detect takes samples => 1 only'; end if;
    return null;
end $$;

-- Why a submission is refused, or null.
create function gloss.problem(i gloss.inbox) returns text
language plpgsql immutable
as $$
begin
    if i.task is null or i.task not in ('caption', 'vqa', 'detect', 'multiview') then
        return 'task must be caption, vqa, detect or multiview, not '
            || coalesce('"' || left(i.task, 200) || '"', 'null');
    end if;
    return coalesce(gloss.images_problem(i), gloss.style_problem(i), gloss.texts_problem(i, gloss.texts_of(i)),
        gloss.options_problem(i), gloss.settings_problem(i));
end $$;

-- The immutable part of a good submission that only the daemon reads, with all defaults filled in.
create function gloss.spec_of(i gloss.inbox) returns jsonb
language plpgsql immutable
as $$
declare
    style constant text := case i.task when 'caption' then 'caption' when 'detect' then 'detect' else 'answer' end;
    tokens constant int := case i.task when 'caption' then 64 when 'vqa' then 32 when 'detect' then 256 else 24 end;
    samples constant int := coalesce(i.samples, case when i.task = 'multiview' then 5 else 1 end);
begin
    return jsonb_build_object(
        'style', coalesce(i.style, style),
        'language', coalesce(i.language, 'en'),
        'texts', gloss.texts_of(i),
        'score', coalesce(i.score, 'sum'),
        'background', lower(i.background),
        'settings', jsonb_build_object(
            'max_tokens', coalesce(i.max_tokens, tokens),
            'samples', samples,
            'beams', 1,
            'temperature', coalesce(i.temperature, case when samples > 1 then 1 else 0 end),
            'top_k', coalesce(i.top_k, 0),
            'top_p', coalesce(i.top_p, 1),
            'seed', coalesce(i.seed, 0)));
end $$;

-- What a job asks, in short: all that is left of it once it is pruned (gloss.prune).
create function gloss.digest_of(image_urls text[], spec jsonb, model text) returns text
language plpgsql stable
as $$
begin
    return encode(sha256(convert_to(jsonb_build_array(image_urls, spec, model)::text, 'UTF8')), 'hex');
end $$;

-- Whether a job asks the same as a submission.
create function gloss.is_same(j gloss.job, image_urls text[], spec jsonb, model text) returns boolean
language plpgsql stable
as $$
begin
    if j.image_urls = '{}' then return j.spec ->> 'pruned' = gloss.digest_of(image_urls, spec, model); end if;
    return j.image_urls = image_urls and j.spec = spec
        and (select l.model from gloss.lane l where l.id = j.lane) is not distinct from model;
end $$;

-- Tells workers that there is something to do. A bulk load may say: set local gloss.notify = off
create function gloss.notify_ready() returns void
language plpgsql
as $$
begin
    if coalesce(current_setting('gloss.notify', true), '') <> 'off' then
        perform pg_notify('gloss_ready', '');
    end if;
end $$;
