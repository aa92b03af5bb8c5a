-- URLs of object stores: s3://bucket/key, gs://bucket/key, az://container/key. The key is what stands behind the bucket, to the letter.

set local role gloss_owner;

-- Whether each line is a URL as almost all are. To look at many at once takes a third of the time. (A key with a part that
-- begins with a dot is none of these.)
create or replace function gloss.are_plain_urls(lines text) returns boolean
language sql immutable
as $$
    select lines || E'\n' ~ ('^(https?://[[:alnum:].-]+(:[0-9]+)?(/[!-~]*)?\n'
        || '|(s3|gs|az)://[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]/(?!\.)([!-.0-~]|/(?!\.))+\n)+$')
$$;

create or replace function gloss.url_problem(url text) returns text
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
    if url !~* '^(https?|s3|gs|az|file)://' then
        return 'the image URL ' || shown || ' must begin with https://, http://, s3://, gs://, az://, file:// or data:';
    end if;
    if length(url) > 8192 then return 'the image URL ' || shown || '… is longer than 8192 characters'; end if;
    if url ~* '^(s3|gs|az)://' then
        if url ~ '[[:cntrl:]]' then return 'the image URL ' || shown || ' contains a control character'; end if;
        if gloss.origin_of(url) is null then
            return 'the image URL ' || shown
                || ' names no bucket: its name has 3 to 63 lowercase letters, digits, dots and hyphens';
        end if;
        if url !~ '^[^/]*//[^/]*/.' then return 'the image URL ' || shown || ' names no object of the bucket'; end if;
        if url ~ '^[^/]*//.*/\.\.?(/|$)' then
            return 'the image URL ' || shown || ' has a part . or .., which would lead elsewhere';
        end if;
        return null;
    end if;
    if url ~ '[[:cntrl:]]' then return 'the image URL ' || shown || ' contains a control character'; end if;
    -- In a path and a query the fetcher encodes them.
    if url ~ '^[^/]*//[^/?#]*[[:space:]]|[[:space:]]$' then
        return 'the image URL ' || shown || ' has a space in its host or at its end';
    end if;
    if url ~* '^https?://[^/?#]*@' then
        return 'the image URL contains a user name or password; gloss does not fetch such URLs';
    end if;
    if url ~* '^https?://([/?#:]|$)' then return 'the image URL ' || shown || ' names no host'; end if;
    return null;
end $$;

-- scheme://host[:port] of an image's URL: lower case, ASCII, no default port, no dot at the end of the host; of an object
-- its store and bucket, as in s3://bucket. Null for a URL that names no host, such as file: and data:, and for one that no
-- daemon fetches. (ImageFetcher.origin(of:) in Swift gives the same: Tests/Fixtures/origins.tsv.)
create or replace function gloss.origin_of(url text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    parts text[];
    scheme text := split_part(url, '/', 1);
    host text := split_part(url, '/', 3);
    port text;
begin
    -- Most URLs are plain. To look at their characters costs a fifth of a regular expression.
    if scheme in ('https:', 'http:') and split_part(url, '/', 2) = '' and strpos(host, '0x') = 0
        and translate(host, 'abcdefghijklmnopqrstuvwxyz0123456789.-', '') = '' and host <> ''
        and strpos('abcdefghijklmnopqrstuvwxyz', right(host, 1)) > 0 then
        return scheme || '//' || host;
    end if;
    parts := regexp_match(url, '^([sS]3|[gG][sS]|[aA][zZ])://([a-z0-9][a-z0-9._-]{1,61}[a-z0-9])(?:/|$)');
    if parts is not null then return lower(parts[1]) || '://' || parts[2]; end if;
    parts := regexp_match(url,
        '^([hH][tT][tT][pP][sS]?):/{1,3}(\[[^]/?#]*\]|[^]/?#:@\\[:space:][]+)(?::([0-9]*))?(?:[/?#]|$)');
    if parts is null then return null; end if;
    scheme := lower(parts[1]);
    host := gloss.host_spelling(parts[2]);
    port := ltrim(parts[3], '0');
    if length(port) > 5 or nullif(port, '')::int > 65535 then return null; end if;
    return scheme || '://' || host
        || case when coalesce(port, '') in ('', case scheme when 'https' then '443' else '80' end) then ''
           else ':' || port end;
end $$;

-- The host of an origin, or the bucket.
create or replace function gloss.host_of(origin text) returns text
language sql immutable parallel safe strict
return substring(origin from '^[a-z0-9]+://(\[[^]]*\]|[^:]+)');

-- What a person writes for a host (example.org), an origin (https://example.org:8443) or a bucket (s3://images), as
-- parked_origin has it; null: it is none of these.
create or replace function gloss.parked_name(written text) returns text
language plpgsql immutable strict
as $$
begin
    if written ~* '^https?://([^]/:?#@[:space:]]+|\[[0-9a-f:.]+\])(:[0-9]+)?/?$'
        or written ~* '^(s3|gs|az)://[^/]+/?$' then
        return gloss.origin_of(written);
    end if;
    if written ~* '^([^]/:?#@[:space:]]+|\[[0-9a-f:.]+\])$' then return gloss.host_spelling(written); end if;
    return null;
end $$;

insert into gloss.failure_code (code, meaning, advice, retried) values
    ('credentials', 'The object store refuses our credentials, or there are none.', 'Look at the key for s3: and at what it may read; then `glossctl retry`.', false);
update gloss.failure_code set
    meaning = 'URLs of this scheme are not fetched: http and https are.',
    advice = 'Use such a URL, or allow `s3:`, `file:` or `data:` in the configuration.'
where code = 'scheme_not_allowed';
update gloss.failure_code set
    advice = 'Look at the URL. Gloss tries again what passes by itself: docs/fetching.md has the table.'
where code = 'http_*';
update gloss.failure_code set
    advice = 'Upload it again. Gloss tries again where the transfer may have been cut.'
where code = 'truncated';
