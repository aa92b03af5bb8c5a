-- What can be asked (tasks), and why a job may fail (codes).

set local role gloss_owner;

-- A task: what an enqueue checks and fills in. Its row is written by glossctl migrate from the program's own definition,
-- so a new task needs no migration.
create table gloss.task (
    name          text primary key check (name ~ '^[a-z][a-z0-9_]{0,39}$'),
    summary       text not null,
    default_style text not null,
    styles        jsonb not null,         -- {style: {prompt, texts: [least, most]}}
    defaults      jsonb not null,         -- settings of a job that says nothing: max_tokens, samples, …
    default_texts text[] not null,        -- of a job that gives none
    text_noun     text,                   -- what a user calls one of its texts: question, thing
    limits        jsonb not null,         -- images, views (each image is a view), samples; max_tokens, text_length
    separator     text,                   -- between the texts in prompt, for styles that join texts
    check (styles ? default_style)
);
comment on table gloss.task is 'What can be asked. Written by glossctl migrate';

-- Writes a task's row; the same row again changes nothing.
create function gloss.define_task(definition jsonb) returns void
language plpgsql
as $$
declare
    t gloss.task;
    style text;
    range jsonb;
begin
    t := jsonb_populate_record(null::gloss.task, definition);
    t.default_texts := coalesce(t.default_texts, '{}');
    for style, range in select s.key, s.value -> 'texts' from jsonb_each(t.styles) s loop
        if t.styles -> style ->> 'prompt' is null or jsonb_array_length(range) <> 2 then
            raise exception using errcode = '22023',
                message = format('the style %s of the task %s needs prompt and texts: [least, most]', style, t.name);
        end if;
    end loop;
    if (t.defaults ->> 'max_tokens')::int is null or (t.defaults ->> 'samples')::int is null
        or (t.limits ->> 'images')::int is null or (t.limits ->> 'views')::bool is null then
        raise exception using errcode = '22023', message = format(
            'the task %s needs defaults with max_tokens and samples, and limits with images and views', t.name);
    end if;
    insert into gloss.task as o (name, summary, default_style, styles, defaults, default_texts, text_noun, limits,
        separator)
    values (t.name, t.summary, t.default_style, t.styles, t.defaults, t.default_texts, t.text_noun, t.limits,
        t.separator)
    on conflict (name) do update set
        summary = excluded.summary, default_style = excluded.default_style, styles = excluded.styles,
        defaults = excluded.defaults, default_texts = excluded.default_texts, text_noun = excluded.text_noun,
        limits = excluded.limits, separator = excluded.separator
    where o is distinct from excluded;
    -- Its first job need not wait for another's transaction that makes these.
    perform gloss.lane_of(gloss.kind_of(t.name, ''), 0);
end $$;

-- The codes of failed attempts and dead jobs.
create table gloss.failure_code (
    code      text primary key,           -- http_* stands for every other status of HTTP
    meaning   text not null,
    advice    text not null,
    retried   boolean not null            -- whether another attempt is made
);
insert into gloss.failure_code (code, meaning, advice, retried) values
    ('invalid_url', 'The image URL cannot be read.', 'Correct the URL and enqueue again.', false),
    ('scheme_not_allowed', 'The daemon does not fetch URLs of this scheme.', 'Use https; file: and data: URLs need local_roots or allow_data in the daemon''s configuration.', false),
    ('port_not_allowed', 'The daemon does not connect to this port.', 'Add the port to fetch.ports if that is wanted.', false),
    ('userinfo', 'The URL, or where it redirects to, contains a user name or a password.', 'Remove them from the URL.', false),
    ('address_not_allowed', 'The host has a private or reserved address.', 'Add its network to fetch.allow_networks if that is wanted.', false),
    ('path_not_allowed', 'The file is outside the daemon''s local roots.', 'Add its folder to fetch.local_roots if that is wanted.', false),
    ('too_many_redirects', 'The URL redirects more often than is followed.', 'Enqueue the final URL.', false),
    ('host_not_found', 'The host''s name does not exist.', 'Correct the host''s name.', false),
    ('name_server_failure', 'The name server gave no answer.', 'Look at the daemon''s name servers.', true),
    ('connect_failed', 'No connection to the host.', 'Is the host up, and does a firewall stand between?', true),
    ('connection_lost', 'The connection ended in the middle.', 'It is retried.', true),
    ('tls', 'TLS failed.', 'It is retried; look at the host''s TLS.', true),
    ('bad_certificate', 'The host''s certificate is not valid.', 'The host must renew it; also look at the clock and CA file of the daemon.', false),
    ('timeout', 'The image did not arrive in time.', 'It is retried; fetch.timeout is the daemon''s limit.', true),
    ('too_slow', 'The image arrived too slowly.', 'It is retried; fetch.minimum_speed is the daemon''s limit.', true),
    ('file_not_found', 'The file does not exist, or the daemon may not read it.', 'Look at the path and its rights.', false),
    ('http_400', 'The server called the request bad.', 'Look at the URL.', false),
    ('http_401', 'The server wants a log-in.', 'Use a signed or public URL.', false),
    ('http_403', 'The server refused the request.', 'Is the URL public, and has a signature expired?', false),
    ('http_404', 'The server has no such image.', 'Correct the URL.', false),
    ('http_410', 'The server says that the image is gone.', 'Look for another source.', false),
    ('http_429', 'The server asks for fewer requests.', 'Lower fetch.per_host or raise fetch.delay.', true),
    ('http_451', 'The server may not give out the image for legal reasons.', 'Look for another source.', false),
    ('http_500', 'The server failed.', 'It is retried.', true),
    ('http_503', 'The server is overloaded or down.', 'It is retried.', true),
    ('http_*', 'The server answered with this status.', '408, 425, 429 and 5xx are retried, others are final.', true),
    ('bad_response', 'The server''s answer breaks the rules of HTTP.', 'It is retried.', true),
    ('too_large', 'The file is larger than is fetched.', 'fetch.max_bytes is the daemon''s limit.', false),
    ('empty_body', 'The server sent nothing.', 'Look at the URL.', true),
    ('not_an_image', 'The file is no image.', 'Look at the URL: it may be a page around the image.', false),
    ('unsupported_format', 'The image''s format is not read.', 'Convert it.', false),
    ('truncated', 'The file ends in the middle of the image.', 'Upload the image again.', false),
    ('corrupt', 'The file is damaged.', 'Upload the image again.', false),
    ('too_many_pixels', 'The image has more pixels than are decoded.', 'images.max_pixels is the daemon''s limit.', false),
    ('decoder_failed', 'The decoder died or took too long.', 'The file may be an attack; look at the daemon''s log.', true),
    ('out_of_memory', 'The daemon has no memory for the image.', 'Give the daemon more memory.', true),
    ('local_failure', 'The daemon''s machine failed.', 'Look at the daemon''s log.', true),
    ('stood_still', 'The daemon''s process was stopped during the fetch.', 'It is retried.', true),
    ('no_answer', 'The model''s responses have no words.', 'Another prompt may do better.', false),
    ('not_finite', 'The model computed a value that is not a number.', 'Look at the model''s weights.', false),
    ('unreadable', 'The daemon''s version cannot read the job.', 'Upgrade the daemon.', true),
    ('unrecordable', 'The database refused the result.', 'The reason says what it refused; report it.', false),
    ('host_unavailable', 'An image''s host failed for longer than the setting give_up_after.', 'When the host is back: gloss.retry.', false),
    ('poison', 'Three daemons died while they worked on the job.', 'The daemons'' logs may tell why. To try again: gloss.retry.', false),
    ('cancelled', 'Somebody cancelled the job.', 'To run it after all: gloss.retry.', false),
    ('unknown', 'The daemon gave no code.', 'Report it.', false);
