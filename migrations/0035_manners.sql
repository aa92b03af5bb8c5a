-- What sites wish, and what hosts that ask for patience allow to all daemons together.

set local role gloss_owner;

insert into gloss.failure_code (code, meaning, advice, retried) values
    ('robots_unreachable', 'The host''s robots.txt cannot be had now, so nobody knows what it allows.',
     'Wait: Gloss tries again. A rule of `fetch.hosts` with `opt_outs: off` does not ask for it.', true),
    ('opted_out', 'The site does not want its images used: `robots.txt`, `X-Robots-Tag` or `TDM-Reservation`.',
     'Leave the image out. `fetch.opt_outs` says what is obeyed.', false);

-- A host that answered 429 or the like has half of its places from then on, and one more each ten seconds. A row is of use for
-- three hours: after that the most places of all are back.
create table gloss.host_allowance (
    line   text primary key,              -- what requests are counted by: an origin, a domain, an address
    cuts   bigint not null,               -- how often it was halved
    places int not null check (places > 0),  -- right after the last time
    cut_at timestamptz not null
);
comment on table gloss.host_allowance is 'What hosts that asked for patience allow to all daemons together';

-- Halves what hosts allow. Each is {line, cuts, places}: cuts is how often the line had been halved, as far as was known when
-- the request started, and places is what is allowed before it is halved at all. So of answers to requests that were under way
-- together, on one daemon or on several, one counts.
create function gloss.cut_hosts(hosts jsonb) returns void
language plpgsql
as $$
declare
    clock constant timestamptz := clock_timestamp();
    x record;
begin
    delete from gloss.host_allowance h
    where h.line in (select o.line from gloss.host_allowance o where o.cut_at < clock - interval '3 hours'
                     order by o.line limit 1000 for update skip locked);
    -- Everybody takes the rows in one order.
    for x in
        select left(r.line, 300) as line, r.cuts, r.places
        from jsonb_to_recordset(hosts) r (line text, cuts bigint, places int)
        where r.line <> '' and r.cuts >= 0 and r.places between 1 and 1024
        order by 1, 2
    loop
        insert into gloss.host_allowance as h (line, cuts, places, cut_at)
        values (x.line, x.cuts + 1, greatest(1, x.places / 2), clock)
        on conflict on constraint host_allowance_pkey do update
            set cuts = excluded.cuts, cut_at = excluded.cut_at,
                places = greatest(1, least(x.places,
                    h.places + floor(extract(epoch from clock - h.cut_at) / 10)::int) / 2)
            where h.cuts <= x.cuts;
    end loop;
end $$;

-- As before; and cuts are told, and answered with allowances: what hosts allow that were halved since the heartbeat before the
-- last one and a minute, or that the worker named; all of them for one that is new.
drop function gloss.heartbeat;
create function gloss.heartbeat(
    worker bigint, identity uuid, jobs bigint[], fences bigint[], stages jsonb default null, phases jsonb default null,
    holdup text default null, cuts jsonb default null,
    out registered boolean, out lost bigint[], out workers int, out allowances jsonb)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    before_last timestamptz;
    is_new boolean;
    unknown bigint[];
begin
    update registered_worker w
    set heartbeat_at = clock_timestamp(), previous_at = w.heartbeat_at, beats = w.beats + 1,
        stages = coalesce(heartbeat.stages, w.stages), phases = heartbeat.phases, holdup = heartbeat.holdup
    from (select x.previous_at from registered_worker x where x.id = worker) old
    where w.id = worker and w.identity = heartbeat.identity and w.stopped_at is null
    returning old.previous_at, w.beats <= 2 into before_last, is_new;
    registered := found;
    lost := array(
        select h.fence from unnest(jobs, fences) h (job, fence)
        where not registered or not exists (
            select from leased l where l.job_id = h.job and l.fence = h.fence and l.worker = heartbeat.worker));
    if registered then
        unknown := array(
            select l.job_id from leased l
            where l.worker = heartbeat.worker and l.leased_at < before_last and l.fence <> all (fences)
            order by l.job_id);
        if unknown <> '{}' then perform give_back(unknown, 'lost', 'the daemon does not know of its lease'); end if;
        -- Last, since others wait for these rows.
        if jsonb_array_length(heartbeat.cuts) > 0 then perform cut_hosts(heartbeat.cuts); end if;
        allowances := (
            select jsonb_agg(jsonb_build_object('line', h.line, 'cuts', h.cuts, 'places', h.places,
                'age', greatest(0, extract(epoch from clock_timestamp() - h.cut_at))))
            from (select o.* from host_allowance o
                  where is_new or o.cut_at > before_last - interval '1 minute'
                     or o.line in (select r ->> 'line' from jsonb_array_elements(heartbeat.cuts) r)
                  order by o.cut_at desc limit 10000) h);
    end if;
    workers := (select count(*) from registered_worker w
                where not w.is_cleared and w.stopped_at is null
                  and w.heartbeat_at > clock_timestamp() - w.rescue_after);
end $$;
