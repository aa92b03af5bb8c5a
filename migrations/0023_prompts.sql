-- What texts may hold, now that prompts have lines (ScienceQA), tabs (multiple choice) and boxes.

set local role gloss_owner;

-- Four numbers as array_to_string writes them.
create function gloss.is_box(text text) returns boolean
language sql immutable
as $$ select text ~ '^ *([0-9]*\.?[0-9]+(e-?[0-9]+)?)( *, *[0-9]*\.?[0-9]+(e-?[0-9]+)?){3} *$' $$;

-- What is wrong with the characters of any text of a user; `what` is what he calls it.
create function gloss.characters_problem(what text, one text, most int) returns text
language plpgsql immutable
as $$
begin
    if one is null or one = '' then return what || ' is empty'; end if;
    if length(one) > most then
        return format('%s has %s characters; at most %s are taken', what, length(one), most);
    end if;
    if one ~ '[[:cntrl:]]' then
        if translate(one, E'\t\n', '') ~ '[[:cntrl:]]' then
            return what || ' contains a control character other than TAB and line feed';
        end if;
        -- The line feed that ends a prompt is a token of its own: one before it would become one with it.
        if one ~ '^[\t\n ]|[\t\n ]$' then return what || ' begins or ends with a TAB or a line feed'; end if;
    end if;
    return null;
end $$;

create function gloss.text_problem(one text, t gloss.task, style text) returns text
language plpgsql immutable
as $$
declare
    most constant int := coalesce((t.limits ->> 'text_length')::int, 2000);
    problem text;
begin
    -- Almost all are good: a call for each costs a bulk some hundredths of its time.
    if (length(one) between 1 and most and one !~ '[[:cntrl:]]') is not true then
        problem := gloss.characters_problem('a prompt', one, most);
        if problem is not null then return problem; end if;
    end if;
    if one ~ '^(<image>|<bos>)' or one ~ '\\n$' then
        return 'gloss itself adds <image>, <bos> and the line break at the end: leave them out of "' || left(one, 200)
            || '"';
    end if;
    if strpos(gloss.prompt_of(t, style), '{box}') > 0 and not gloss.is_box(one) then
        return 'a box is y1,x1,y2,x2, fractions of the height and the width such as 0.1,0.2,0.9,0.8, not "'
            || left(one, 200) || '"';
    end if;
    return null;
end $$;

create or replace function gloss.texts_problem(i gloss.inbox, t gloss.task) returns text
language plpgsql immutable
as $$
declare
    style constant text := coalesce(i.style, t.default_style);
    most constant int := coalesce((t.limits ->> 'text_length')::int, 2000);
    joins constant boolean := t.separator is not null and strpos(gloss.prompt_of(t, style), '{texts}') > 0;
    noun constant text := coalesce(t.text_noun, 'text');
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
        problem := gloss.text_problem(one, t, style);
        if problem is not null then return problem; end if;
        if joins and strpos(one, t.separator) > 0 then
            return format('the name of a %s contains a %s: %s', noun,
                case t.separator when ';' then 'semicolon' else t.separator end, one);
        end if;
    end loop;
    -- They are one prompt.
    if joins and length(array_to_string(texts, ' ; ')) > most then
        return format('%s %ss have %s characters together; at most %s are taken: divide them among several jobs',
            cardinality(texts), noun, length(array_to_string(texts, ' ; ')), most);
    end if;
    return null;
end $$;

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'enqueue_caption_box'), ('gloss_admin', 'execute', 'enqueue_caption_box');
