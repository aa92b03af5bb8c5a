-- What an enqueue refuses of the options of 0025.

set local role gloss_owner;

create or replace function gloss.images_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql stable
as $$
declare
    most constant int := (t.limits ->> 'images')::int;
    urls text[];
    url text;
    problem text;
begin
    if i.image_url is not null and i.image_urls is not null then
        return 'give either image_url or image_urls, not both';
    end if;
    if i.frames is not null then
        if (t.limits ->> 'views')::bool then return t.name || ' takes no frames: its images are views'; end if;
        if not i.frames between 1 and most then
            return format('frames must be 1 to %s, not %s', most, i.frames);
        end if;
    end if;
    if not gloss.is_plain_list(i.image_urls) then return 'image_urls must be a plain list that counts from 1'; end if;
    urls := gloss.urls_of(i);
    if coalesce(cardinality(urls), 0) = 0 then return 'there is no image URL'; end if;
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

-- What is wrong with the answers to choose from.
create function gloss.choices_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    least constant int := (t.limits #>> '{options,0}')::int;
    most constant int := (t.limits #>> '{options,1}')::int;
    most_length constant int := coalesce((t.limits ->> 'text_length')::int, 2000);
    count constant int := coalesce(cardinality(i.options), 0);
    style constant text := coalesce(i.style, t.default_style);
    options text[];
    texts text[];
    one text;
    problem text;
begin
    if least is null then
        return case when count > 0 then t.name || ' takes no options' end;
    end if;
    if not gloss.is_plain_list(i.options) then return 'options must be a plain list that counts from 1'; end if;
    if not count between least and most then
        return format('%s needs %s to %s options, not %s', t.name, least, most, count);
    end if;
    options := gloss.trimmed(i.options);
    foreach one in array options loop
        problem := gloss.characters_problem('an option', one, most_length);
        if problem is not null then return problem; end if;
        if cardinality(array_positions(options, one)) > 1 then
            return 'the option "' || left(one, 200) || '" is given twice';
        end if;
    end loop;
    if strpos(gloss.prompt_of(t, style), '{options}') > 0 then
        if strpos(array_to_string(options, ''), E'\t') > 0 then
            return 'an option contains a TAB, which separates them in the style ' || style;
        end if;
        texts := gloss.texts_of(i, t);
        if length(array_to_string(texts || options, E' \t ')) > most_length then
            return format('question and options have %s characters together; at most %s are taken in the style %s',
                length(array_to_string(texts || options, E' \t ')), most_length, style);
        end if;
    end if;
    return null;
end $$;

create function gloss.rare_problem(f gloss.form, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    rare constant gloss.rare_options := f.rare;
    follow_ups constant text[] := gloss.trimmed(rare.follow_ups);
    ignore constant text[] := gloss.trimmed(rare.ignore);
    one text;
    problem text;
begin
    if rare.pick not in ('all', 'likeliest') then
        return 'pick must be all or likeliest, not "' || left(rare.pick, 200) || '"';
    end if;
    if not rare.max_repeats between 2 and 100 and rare.max_repeats <> 0 then
        return 'max_repeats must be 0 (off) or 2 to 100, not ' || rare.max_repeats;
    end if;
    if rare.max_repeats > 0 and f.beams > 1 then
        return 'a beam search does not stop at a repetition: give max_repeats => 0 or beams => 1';
    end if;
    if btrim(rare.continue_from) <> '' then
        problem := gloss.characters_problem('continue_from', btrim(rare.continue_from), 2000);
        if problem is not null then return problem; end if;
    end if;
    if t.limits ? 'options' and (rare.pick <> 'all' or btrim(rare.continue_from) <> '' or rare.max_repeats > 0) then
        return t.name || ' scores its options and draws no response: pick, continue_from and max_repeats mean nothing';
    end if;
    if coalesce(follow_ups, ignore) is null then return null; end if;
    if not (t.limits ->> 'views')::bool then
        return t.name || ' takes no follow_ups and no ignore: those are for tasks that ask about several views';
    end if;
    if not (gloss.is_plain_list(rare.follow_ups) and gloss.is_plain_list(rare.ignore)) then
        return 'follow_ups and ignore must be plain lists that count from 1';
    end if;
    if cardinality(follow_ups) > 8 then
        return format('%s follow-up questions are too many: at most 8 are taken', cardinality(follow_ups));
    end if;
    if cardinality(ignore) > 64 then
        return format('%s answers to ignore are too many: at most 64 are taken', cardinality(ignore));
    end if;
    foreach one in array coalesce(follow_ups, '{}') loop
        problem := gloss.text_problem(one, t, coalesce(f.style, t.default_style));
        if problem is not null then return 'follow_ups: ' || problem; end if;
    end loop;
    foreach one in array coalesce(ignore, '{}') loop
        problem := gloss.characters_problem('an answer to ignore', one, 2000);
        if problem is not null then return problem; end if;
    end loop;
    return null;
end $$;

create or replace function gloss.settings_problem(f gloss.form, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    usual constant int := (t.defaults ->> 'samples')::int;
    most_samples constant int := coalesce((t.limits ->> 'samples')::int, 64);
    most_beams constant int := coalesce((t.limits ->> 'beams')::int, 1);
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
    if most_beams = 1 and f.beams > 1 then
        return t.name || ' takes beams => 1 only: a beam search is for tasks that answer with one text';
    end if;
    if not f.beams between 1 and most_beams then
        return format('beams must be 1 to %s, not %s', most_beams, f.beams);
    end if;
    if f.beams > 1 and (coalesce(f.samples, usual) > 1 or f.temperature > 0) then
        return 'a beam search gives the one response that it finds likeliest: give samples => 1 and temperature => 0';
    end if;
    if not f.temperature between 0 and 5 then return 'temperature must be 0 to 5, not ' || f.temperature; end if;
    if f.temperature = 0 and coalesce(f.samples, usual) > 1 then
        return 'temperature 0 is greedy: all samples would be the same; give a temperature above 0 or samples => 1';
    end if;
    if not f.top_k between 0 and 257152 then return 'top_k must be 0 (all) to 257152, not ' || f.top_k; end if;
    if not (f.top_p > 0 and f.top_p <= 1) then return 'top_p must be above 0 and at most 1, not ' || f.top_p; end if;
    if f.seed < 0 then return 'seed must not be negative, not ' || f.seed; end if;
    return null;
end $$;

create or replace function gloss.form_problem(f gloss.form, t gloss.task) returns text
language plpgsql stable
as $$
begin
    if t.name is null then
        return format('task must be %s, not %s',
            coalesce((select string_agg(name, ', ' order by name) from gloss.task), '(there are none: glossctl migrate)'),
            coalesce('"' || left(f.task, 200) || '"', 'null'));
    end if;
    return coalesce(gloss.style_problem(f, t), gloss.options_problem(f), gloss.settings_problem(f, t),
        case when not (f.rare is null) then gloss.rare_problem(f, t) end);
end $$;

create or replace function gloss.problem(i gloss.inbox, t gloss.task) returns text
language plpgsql stable
as $$
declare
    problem constant text := coalesce(gloss.images_problem(i, t), gloss.texts_problem(i, t),
        case when i.options is not null or t.limits ? 'options' then gloss.choices_problem(i, t) end,
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
