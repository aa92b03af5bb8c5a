-- Origins: which images go to the same server. Parking and pausing go by them.

set local role gloss_owner;

-- RFC 3492: a label of a host's name in ASCII, without the prefix xn--.
create function gloss.punycode(label text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    points constant int[] := array(
        select ascii(c) from regexp_split_to_table(label, '') with ordinality x (c, i) order by i);
    basic constant text := regexp_replace(label, '[^\x01-\x7f]', '', 'g');
    digits constant text := 'abcdefghijklmnopqrstuvwxyz0123456789';
    result text := basic || case when basic = '' then '' else '-' end;
    done int := length(basic);
    n int := 128;
    delta bigint := 0;
    bias int := 72;
    point int;
    q bigint;
    k int;
    t int;
begin
    while done < cardinality(points) loop
        select min(p) into point from unnest(points) p where p >= n;
        delta := delta + (point - n)::bigint * (done + 1);
        n := point;
        foreach point in array points loop
            if point < n then delta := delta + 1; end if;
            continue when point <> n;
            q := delta;
            k := 36;
            loop
                t := least(greatest(k - bias, 1), 26);
                exit when q < t;
                result := result || substr(digits, (t + (q - t) % (36 - t))::int + 1, 1);
                q := (q - t) / (36 - t);
                k := k + 36;
            end loop;
            result := result || substr(digits, q::int + 1, 1);
            -- The bias of the next one.
            delta := case when done = length(basic) then delta / 700 else delta / 2 end;
            delta := delta + delta / (done + 1);
            k := 0;
            while delta > 455 loop
                delta := delta / 35;
                k := k + 36;
            end loop;
            bias := k + 36 * delta::int / (delta::int + 38);
            delta := 0;
            done := done + 1;
        end loop;
        delta := delta + 1;
        n := n + 1;
    end loop;
    return result;
end $$;

-- Bytes written as %XX.
create function gloss.percent_decoded(t text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    bytes bytea := '';
    piece text;
begin
    if strpos(t, '%') = 0 then return t; end if;
    for piece in select x[1] from regexp_matches(t, '%[0-9a-fA-F]{2}|[^%]+|%', 'g') x loop
        bytes := bytes || case when piece ~ '^%[0-9a-fA-F]{2}$' then decode(substr(piece, 2), 'hex')
                               else convert_to(piece, 'UTF8') end;
    end loop;
    return convert_from(bytes, 'UTF8');
exception when character_not_in_repertoire or untranslatable_character then
    return t;
end $$;

-- An IPv4 address of one to four numbers, decimal, octal or hexadecimal, as four decimal ones; null: it is none.
create function gloss.ipv4_of(host text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    parts constant text[] := string_to_array(host, '.');
    count constant int := cardinality(parts);
    value bigint := 0;
    number bigint;
    part text;
    digits text;
    base int;
    i int := 0;
begin
    if count > 4 or host !~ '^(0x[0-9a-f]{0,8}|[0-9]{1,12})(\.(0x[0-9a-f]{0,8}|[0-9]{1,12}))*$' then return null; end if;
    foreach part in array parts loop
        i := i + 1;
        base := case when part like '0x%' then 16 when part ~ '^0[0-9]' then 8 else 10 end;
        digits := case base when 16 then substr(part, 3) else part end;
        if base = 8 and digits ~ '[89]' then return null; end if;
        number := 0;
        for k in 1..length(digits) loop
            number := number * base + strpos('0123456789abcdef', substr(digits, k, 1)) - 1;
        end loop;
        if i < count and number > 255 or number >= (256::bigint ^ (5 - count)) and i = count then return null; end if;
        value := case when i < count then value + number * (256::bigint ^ (4 - i))::bigint else value + number end;
    end loop;
    return format('%s.%s.%s.%s', value >> 24, value >> 16 & 255, value >> 8 & 255, value & 255);
end $$;

-- A host's name in one spelling: ASCII, lower case, no dot at the end. Null: it is none.
create function gloss.host_spelling(host text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    name text := host;
begin
    if name like '[%]' then
        begin
            return '[' || host(btrim(name, '[]')::inet) || ']';
        exception when invalid_text_representation then
            return null;
        end;
    end if;
    if name ~ '%(?![0-9a-fA-F]{2})' then return null; end if;
    name := gloss.percent_decoded(name);
    if name ~ '[^\x01-\x7f]' then
        name := lower(normalize(translate(name, U&'\3002\ff0e\ff61', '...'), nfkc));
        name := (select string_agg(case when l.label ~ '[^\x01-\x7f]' then 'xn--' || gloss.punycode(l.label)
                                        else l.label end, '.' order by l.n)
                 from string_to_table(name, '.') with ordinality l (label, n));
    end if;
    name := lower(rtrim(name, '.'));
    if name = '' or name ~ '[^a-z0-9._~-]' then return null; end if;
    return coalesce(gloss.ipv4_of(name), name);
end $$;

-- scheme://host[:port] of an image's URL: lower case, ASCII, no default port, no dot at the end of the host. Null for a
-- URL that names no host, such as file: and data:, and for one that no daemon fetches. (ImageFetcher.origin(of:) in Swift
-- gives the same: Tests/Fixtures/origins.tsv.)
create function gloss.origin_of(url text) returns text
language plpgsql immutable strict set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    parts text[];
    scheme text;
    host text;
    port text;
begin
    -- Most URLs are plain.
    parts := regexp_match(url, '^(https?)://([a-z0-9.-]*[a-z][a-z0-9-]*)(?:[/?#]|$)');
    if parts is not null and parts[2] !~ '^0x|\.0x' then return parts[1] || '://' || parts[2]; end if;
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

-- The host of an origin.
create function gloss.host_of(origin text) returns text
language sql immutable parallel safe strict
return substring(origin from '^[a-z]+://(\[[^]]*\]|[^:]+)');

-- What a row of gloss.parked_origin that stops these images may be called: their origins and their hosts.
create function gloss.origins_of(urls text[]) returns setof text
language sql immutable strict
as $$
    select o from unnest(urls) u, gloss.origin_of(u) o where o is not null
    union
    select gloss.host_of(o) from unnest(urls) u, gloss.origin_of(u) o where o is not null
$$;

-- What a person writes for a host (example.org) or an origin (https://example.org:8443), as parked_origin has it; null:
-- it is neither.
create function gloss.parked_name(written text) returns text
language plpgsql immutable strict
as $$
begin
    if written ~* '^https?://([^]/:?#@[:space:]]+|\[[0-9a-f:.]+\])(:[0-9]+)?/?$' then
        return gloss.origin_of(written);
    end if;
    if written ~* '^([^]/:?#@[:space:]]+|\[[0-9a-f:.]+\])$' then return gloss.host_spelling(written); end if;
    return null;
end $$;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f
from unnest(array['gloss_reader', 'gloss_admin']) r,
    unnest(array['origin_of', 'host_spelling', 'ipv4_of', 'percent_decoded', 'punycode']) f;
