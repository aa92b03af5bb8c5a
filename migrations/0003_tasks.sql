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
    ('invalid_url', 'The text is no URL.', 'Correct it.', false),
    ('scheme_not_allowed', 'The URL is not of http or https.', 'Use such a URL, or allow `file:` or `data:` in the configuration.', false),
    ('port_not_allowed', 'The URL has a port that `fetch.ports` does not list.', 'List the port.', false),
    ('userinfo', 'The URL has a user name or a password.', 'Leave it out.', false),
    ('address_not_allowed', 'The host has no public address.', 'Allow its network with `fetch.networks` if you trust who writes URLs.', false),
    ('path_not_allowed', 'The local file is not below a folder of `fetch.local_roots`.', 'List the folder.', false),
    ('too_many_redirects', 'The URL redirects more than three times.', 'Use the last URL.', false),
    ('host_not_found', 'There is no host of this name.', 'Correct the name.', false),
    ('name_server_failure', 'The name servers of this host do not answer.', 'Wait: Gloss tries again.', true),
    ('connect_failed', 'The host refuses the connection, or cannot be reached.', 'Wait: Gloss tries again.', true),
    ('connection_lost', 'The connection broke before the file was whole.', 'Wait: Gloss tries again.', true),
    ('tls', 'The TLS handshake failed.', 'Wait, or look at the server.', true),
    ('bad_certificate', 'The server''s certificate is expired, or of another host, or of an unknown authority.', 'Renew it, or trust its authority with `fetch.certificate_authorities`.', false),
    ('timeout', 'The host did not answer in time.', 'Wait, or raise `fetch.timeout_seconds`.', true),
    ('too_slow', 'The file came slower than `fetch.min_bytes_per_second`.', 'Wait: Gloss tries again.', true),
    ('origin_parked', 'The URL leads to a host that is left alone for a while.', 'Wait, or `glossctl resume --host`.', true),
    ('file_not_found', 'There is no local file of this name, or it cannot be read.', 'Look at it.', false),
    ('http_400', 'The server called the request bad.', 'Look at the URL.', false),
    ('http_401', 'The server wants a log-in.', 'Use a signed or public URL.', false),
    ('http_403', 'The server refused the request.', 'Is the URL public, and has a signature expired?', false),
    ('http_404', 'The server has no such image.', 'Correct the URL.', false),
    ('http_410', 'The server says that the image is gone.', 'Look for another source.', false),
    ('http_429', 'The server asks for fewer requests.', 'Lower `fetch.per_host_concurrency` or raise `fetch.per_host_delay_seconds`.', true),
    ('http_451', 'The server may not give out the image for legal reasons.', 'Look for another source.', false),
    ('http_500', 'The server failed.', 'It is retried.', true),
    ('http_503', 'The server is overloaded or down.', 'It is retried.', true),
    ('http_*', 'The server answered with this status, such as `http_404`.', 'Look at the URL. Gloss tries 408, 425, 429 and 5xx again.', true),
    ('bad_response', 'The server''s answer is no HTTP, or is damaged.', 'Wait: Gloss tries again.', true),
    ('too_large', 'The file has more bytes than `fetch.max_bytes`.', 'Raise the limit.', false),
    ('empty_body', 'The file is empty.', 'Look at the URL.', false),
    ('not_an_image', 'The file is no image: HTML, for example.', 'Look at the URL.', false),
    ('unsupported_format', 'The image is of a format that Gloss does not read.', 'Convert it.', false),
    ('truncated', 'The file ends before the image does.', 'Upload it again.', false),
    ('corrupt', 'The file is damaged.', 'Upload it again.', false),
    ('too_many_pixels', 'The image has more pixels than `images.max_pixels`.', 'Raise the limit.', false),
    ('decoder_failed', 'The decoder did not survive this file. The second time is final.', 'Be careful with the file: it may be an attack.', true),
    ('decoder_cpu_limit', 'Decoding the file takes too much processor time.', 'Be careful with the file: it may be an attack.', false),
    ('decoder_late', 'The decoder was not done in time, because the machine is busy.', 'Give the daemon more processors.', true),
    ('outage', 'Many hosts fail in the same way and none answers: this machine''s network, name server or clock.', 'Look at the machine. Its jobs wait.', true),
    ('out_of_memory', 'This machine has no memory for the image.', 'Add memory.', true),
    ('stood_still', 'The daemon itself stood still meanwhile.', 'Nothing: Gloss tries again.', true),
    ('cancelled', 'Somebody cancelled the job, or the daemon gave the image up, to stop for example.', 'To run a cancelled job after all: `glossctl retry`.', true),
    ('local_failure', 'This machine cannot fetch or decode now: it has no sockets, for example.', 'Read the log. Its jobs wait.', true),
    ('no_answer', 'The model''s responses have no words.', 'Another prompt may do better.', false),
    ('not_finite', 'The model computed a value that is not a number.', 'Look at the model''s weights. The daemon is held up, and its jobs wait.', true),
    ('invalid_request', 'The model cannot serve the job: its images and prompt have too many tokens, for example.', 'The reason says what to change; enqueue again.', false),
    ('held_up', 'The daemon is held up, and gives its jobs back.', 'Look at the daemon''s log and status. The job waits.', true),
    ('slow_origin', 'The image''s host is slow, and the daemon holds enough jobs that wait for it.', 'Nothing: the job waits for its turn.', true),
    ('surplus', 'The daemon held more work than it could do soon.', 'Nothing: others may take the job.', true),
    ('shutdown', 'The daemon stopped before the job was done.', 'Nothing: the job goes on elsewhere.', true),
    ('unreadable', 'The daemon''s version cannot read the job.', 'Upgrade the daemon.', true),
    ('unrecordable', 'The database refused the result.', 'The reason says what it refused; report it.', false),
    ('host_unavailable', 'An image''s host failed for longer than the setting give_up_after.', 'When the host is back: gloss.retry.', false),
    ('poison', 'Three daemons died while they worked on the job.', 'The daemons'' logs may tell why. To try again: gloss.retry.', false),
    ('unknown', 'The daemon gave no code.', 'Report it.', false);
