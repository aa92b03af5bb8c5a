-- What was lost, and why: dead jobs by code and host, the retry of these, and the notification that a batch has ended.

set local role gloss_owner;

-- The host that an image's failure is about: that of the image whose host the reason names, else that of the first one.
-- Empty for a local file, a data: URL and what names no host.
create function gloss.failing_host(urls text[], reason text) returns text
language plpgsql immutable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    host text;
begin
    if cardinality(urls) = 1 then
        host := coalesce(split_part(origin_of(urls[1]), '/', 3), '');
        return case when host like '[%' then host_of('http://' || host) else split_part(host, ':', 1) end;
    end if;
    return coalesce((
        select x.host
        from (select coalesce(host_of(origin_of(u.url)), '') as host, u.n from unnest(urls) with ordinality u (url, n)) x
        order by x.host <> '' and strpos(reason, x.host) > 0 desc, x.n limit 1), '');
end $$;

-- Dead jobs are counted and chosen without a look at gloss.job, which is much larger.
alter table gloss.dead_job
    add column batch_id int,              -- gloss.batch
    add column host text;                 -- gloss.failing_host

update gloss.dead_job d set batch_id = j.batch_id, host = gloss.failing_host(j.image_urls, d.reason)
from gloss.job j where j.id = d.job_id;

alter table gloss.dead_job alter column host set not null;
create index dead_job_cause on gloss.dead_job (code, host, job_id) include (died_at);
create index dead_job_batch on gloss.dead_job (batch_id, code, host) where batch_id is not null;
-- Those that failed before: a few of many.
create index ready_tried on gloss.ready (job_id) where attempts > 0;

create function gloss.describe_death() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    select j.batch_id, failing_host(j.image_urls, new.reason) into new.batch_id, new.host
    from job j where j.id = new.job_id;
    return new;
end $$;
create trigger dead_job_described before insert on gloss.dead_job
for each row when (new.host is null) execute function gloss.describe_death();

-- What fails, by host and code: the jobs that died of it, and those that wait for another attempt after it. batch: of
-- this one; null: of all. The last three columns cost a look for each row that is shown, and none for the others.
create function gloss.failures_of(
    batch text, out host text, out code text, out dead bigint, out waiting bigint, out first_at timestamptz,
    out last_at timestamptz, out job_ids bigint[], out image_url text, out reason text, out advice text)
returns setof record
language sql stable
begin atomic
    select f.host, f.code, f.dead, f.waiting, f.first_at, f.last_at,
           case when f.dead = 0 then array[f.job_id] else array(
               select d.job_id from gloss.dead_job d
               where d.code = f.code and d.host = f.host
                 and (failures_of.batch is null
                      or d.batch_id = (select b.id from gloss.batch b where b.name = failures_of.batch))
               order by d.job_id desc limit 3) end,
           (select (gloss.shown_urls(j.image_urls))[1] from gloss.job j where j.id = f.job_id),
           coalesce((select d.reason from gloss.dead_job d where d.job_id = f.job_id),
               (select t.reason from gloss.attempt t where t.job_id = f.job_id order by t.fence desc limit 1)),
           (select c.advice from gloss.failure_code c
            where c.code in (f.code, regexp_replace(f.code, '^http_[0-9]+$', 'http_*'))
            order by c.code = f.code desc limit 1)
    from (
        select x.host, x.code, sum(x.dead)::bigint as dead, sum(x.waiting)::bigint as waiting,
               min(x.first_at) as first_at, max(x.last_at) as last_at,
               coalesce(max(x.job_id) filter (where x.dead > 0), max(x.job_id)) as job_id
        from (
            select d.host, d.code, count(*) as dead, 0 as waiting, min(d.died_at) as first_at, max(d.died_at) as last_at,
                   max(d.job_id) as job_id
            from gloss.dead_job d
            where failures_of.batch is null
               or d.batch_id = (select b.id from gloss.batch b where b.name = failures_of.batch)
            group by d.host, d.code
            union all
            select gloss.failing_host(j.image_urls, t.reason), t.code, 0, 1, t.first_at, t.at, w.job_id
            from (
                select s.job_id from gloss.scheduled s where s.attempts > 0 or s.origin is not null
                union all select r.job_id from gloss.ready r where r.attempts > 0
                union all select p.job_id from gloss.paused_job p where p.attempts > 0) w
            join gloss.job j on j.id = w.job_id
            cross join lateral (
                select a.* from gloss.attempt a
                where a.job_id = w.job_id and (a.outcome = 'failed' or a.cause = 'host')
                order by a.fence desc limit 1) t
            where failures_of.batch is null
               or j.batch_id = (select b.id from gloss.batch b where b.name = failures_of.batch)) x
        group by x.host, x.code) f;
end;

create view gloss.failures as select * from gloss.failures_of(null);

-- The codes of dead jobs: a look for each, however many jobs it has.
create function gloss.dead_codes() returns setof text
language sql stable
as $$
    with recursive known as (
        (select d.code from gloss.dead_job d order by d.code limit 1)
        union all
        select (select d.code from gloss.dead_job d where d.code > k.code order by d.code limit 1)
        from known k where k.code is not null
    )
    select k.code from known k where k.code is not null
$$;

-- The condition on gloss.dead_job (as d) for all that is given. code may have a % for any characters.
create function gloss.death_condition(
    job bigint, key text, batch text, task text, everything boolean, code text, host text, died_before timestamptz)
returns text
language plpgsql stable
as $$
declare
    terms text[] := '{}';
    pattern constant text := replace(replace(code, '\', '\\'), '_', '\_');
    codes text[];
    name text;
begin
    if num_nonnulls(job, key, batch, task, code, host) = 0 and everything is not true then
        perform gloss.refuse('say which jobs: job, key, batch, task, code, host or everything => true');
    end if;
    -- It refuses names that do not exist.
    if num_nonnulls(batch, task) > 0 then perform gloss.selection(null, null, batch, task, false); end if;
    if job is not null then terms := terms || format('d.job_id = %s', job); end if;
    if key is not null then
        terms := terms || format('d.job_id in (select j.id from gloss.job j where j.key = %L)', key);
    end if;
    if batch is not null then
        terms := terms || format('d.batch_id = %s',
            (select b.id from gloss.batch b where b.name = death_condition.batch));
    end if;
    if task is not null then
        terms := terms || format('exists (select from gloss.job j where j.id = d.job_id and j.kind = any (array('
            || 'select k.id from gloss.kind k where k.task = %L)))', task);
    end if;
    if num_nonnulls(code, host) > 0 then
        -- With the codes spelt out, one index serves a code, a host and both.
        codes := array(select c from gloss.dead_codes() c where code is null or c like pattern);
        if codes = '{}' and code !~ '^http_[1-5][0-9][0-9]$'
            and not exists (select from gloss.failure_code f where f.code like pattern) then
            perform gloss.refuse(format('there is no code "%s"', left(code, 200)));
        end if;
        terms := terms || format('d.code = any (%L::text[])', codes);
    end if;
    if host is not null then
        name := gloss.parked_name(host);
        if name is null then
            perform gloss.refuse(format('host is a name such as images.example.org, or an origin such as '
                || 'https://images.example.org:8443, not "%s"', left(host, 200)));
        end if;
        terms := terms || format('d.host = %L', coalesce(gloss.host_of(name), name));
        if gloss.host_of(name) is not null then
            terms := terms || format('exists (select from gloss.job j, unnest(j.image_urls) u '
                || 'where j.id = d.job_id and gloss.origin_of(u) = %L)', name);
        end if;
    end if;
    if died_before is not null then terms := terms || format('d.died_at < %L', died_before); end if;
    return coalesce(nullif(array_to_string(terms, ' and '), ''), 'true');
end $$;

-- Lines up some jobs that have ended, with fresh attempts. Hosts that are parked have to fail afresh before they give up.
create function gloss.reset_jobs(jobs bigint[], states text[]) returns bigint
language plpgsql
as $$
declare
    moves constant gloss.move[] := array(
        select gloss.aim(m, target => 'ready', attempts => 0, rescues => 0) from gloss.lift(jobs, states) m);
begin
    if moves <> '{}' then perform gloss.place(moves); end if;
    update gloss.attempt t set since = null where t.job_id = any (jobs) and t.since is not null;
    if exists (select from gloss.parked_origin h where h.since < now()) then
        update gloss.parked_origin h set since = now()
        where h.origin in (
            select o.origin from gloss.parked_origin o
            where o.origin in (select gloss.origins_of(j.image_urls) from gloss.job j where j.id = any (jobs))
            order by o.origin for update);
    end if;
    return cardinality(moves);
end $$;

create or replace function gloss.reset_and_requeue(condition text, states text[]) returns bigint
language plpgsql
as $$
declare
    after bigint := 0;
    jobs bigint[];
    total bigint := 0;
begin
    loop
        jobs := gloss.chosen(condition, states, after);
        exit when jobs = '{}';
        total := total + gloss.reset_jobs(jobs, states);
        after := jobs[cardinality(jobs)];
    end loop;
    return total;
end $$;

-- Puts dead jobs back with fresh attempts: those for which all that is given holds, `most` of them (null: all). code may
-- have a % for any characters: http_5%. host: of the image that failed; a name, for all its origins, or an origin.
-- Returns how many.
drop function gloss.retry;
create function gloss.retry(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false, code text default null, host text default null,
    died_before timestamptz default null, most int default null) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    jobs bigint[];
    total bigint := 0;
begin
    execute format('select array(select d.job_id from gloss.dead_job d where %s order by d.job_id limit $1)',
        death_condition(job, key, batch, task, everything, code, host, died_before)) into jobs using most;
    for part in 0..(cardinality(jobs) - 1) / 10000 loop
        exit when jobs = '{}';
        total := total + reset_jobs(jobs[part * 10000 + 1:(part + 1) * 10000], '{dead}');
    end loop;
    return total;
end $$;

-- How many jobs gloss.retry would put back.
create function gloss.would_retry(
    job bigint default null, key text default null, batch text default null, task text default null,
    everything boolean default false, code text default null, host text default null,
    died_before timestamptz default null) returns bigint
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    total bigint;
begin
    execute format('select count(*) from gloss.dead_job d where %s',
        death_condition(job, key, batch, task, everything, code, host, died_before)) into total;
    return total;
end $$;

-- What was enqueued of a batch, how it ended, and what is left.
create function gloss.count_of_batch(
    batch int, out enqueued bigint, out done bigint, out dead bigint, out rest bigint)
language plpgsql stable
as $$
#variable_conflict use_column
begin
    select coalesce(sum(c.enqueued), 0), coalesce(sum(c.done), 0), coalesce(sum(c.dead), 0),
           coalesce(sum(c.enqueued - c.done - c.dead), 0)
    into count_of_batch.enqueued, count_of_batch.done, count_of_batch.dead, count_of_batch.rest
    from (select t.enqueued, t.done, t.dead from gloss.total t where t.batch_id = batch
          union all
          select t.enqueued, t.done, t.dead from gloss.tally t where t.batch_id = batch) c;
end $$;

-- Whether all that is left of a batch is leased, so that its last jobs may be ending now.
--
-- Mostly one of the newest jobs still waits. Otherwise the counts tell, and as many leases are looked at.
create function gloss.is_near_its_end(batch int) returns boolean
language plpgsql stable
as $$
declare
    rest bigint;
begin
    if exists (
        select from (select j.id from gloss.job j where j.batch_id = batch order by j.batch_id desc, j.id desc limit 16) n
        where exists (select from gloss.ready r where r.job_id = n.id)
           or exists (select from gloss.scheduled s where s.job_id = n.id)
           or exists (select from gloss.paused_job p where p.job_id = n.id)) then
        return false;
    end if;
    rest := (gloss.count_of_batch(batch)).rest;
    return rest = 0 or exists (select from gloss.leased offset greatest(rest - 1, 0));
end $$;

-- Notes for the end of the transaction that jobs of a batch end with it: the batch's number, negative if some die.
create function gloss.note_end() returns trigger
language plpgsql set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    noted constant text := coalesce(current_setting('gloss.ended', true), '');
begin
    -- Of very many it is enough to know that they are.
    if length(noted) < 4000 then
        perform set_config('gloss.ended',
            noted || ',' || case when new.dead > 0 then -new.batch_id else new.batch_id end, true);
    end if;
    return null;
end $$;

-- Notifies gloss_batch_done of each batch whose last job ends with this transaction: {"batch", "total", "done", "dead"}.
-- It is the last thing that a transaction does, so who waits here for another one waits for its commit alone.
--
-- Two that end the last two jobs do not see each other. So whoever ends a job locks its batch until he has committed, and
-- then looks: in shared mode, in which nobody waits, if a job of the batch is seen that nobody holds. Its end is yet to
-- come, under a lock that is taken after this one. If all that is left is leased, others may be ending it now: then the
-- lock is exclusive, and what is seen under it is so. Jobs that end without a lease always take it exclusively, because
-- others see them wait until that is committed.
create function gloss.tell_of_batches() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_sort = off set enable_hashjoin = off set enable_mergejoin = off
set plan_cache_mode = force_generic_plan
as $$
declare
    lock constant int := hashtext('gloss.batch_done');
    noted constant text := coalesce(current_setting('gloss.ended', true), '');
    batches int[];
    exclusive int[] := '{}';
    found int[];
begin
    -- Once a transaction, for all its batches, in their order: so two of these cannot wait for each other.
    if noted = '' then return null; end if;
    perform set_config('gloss.ended', '', true);
    batches := string_to_array(substr(noted, 2), ',')::int[];
    if length(noted) >= 4000 then
        -- Locks are few: one for all batches.
        perform pg_advisory_xact_lock(lock, 0);
        exclusive := array(
            select distinct x.batch_id
            from (select d.batch_id from dead_job d where d.died_at = now()
                  union all
                  select j.batch_id from annotation a join job j on j.id = a.job_id where a.finished_at = now()) x
            where x.batch_id is not null);
    else
        if 0 > any (batches) then
            exclusive := array(
                select distinct d.batch_id from dead_job d
                where d.died_at = now() and d.code in ('cancelled', 'host_unavailable') and d.batch_id is not null);
        end if;
        if cardinality(batches) > 1 or batches[1] < 0 then
            batches := array(select distinct abs(b) from unnest(batches) b order by 1);
        end if;
        loop
            begin
                perform pg_advisory_xact_lock_shared(lock, 0);
                perform case when b = any (exclusive) then pg_advisory_xact_lock(lock, b)
                             else pg_advisory_xact_lock_shared(lock, b) end
                from unnest(batches) b;
                found := array(select b from unnest(batches) b where b <> all (exclusive) and is_near_its_end(b));
                exit when found = '{}';
                -- Who holds a shared lock and waits for the exclusive one may wait for another who does. So give back.
                raise exception using errcode = 'GB001';
            exception when sqlstate 'GB001' then
                exclusive := exclusive || found;
            end;
        end loop;
    end if;
    if exclusive = '{}' then return null; end if;
    perform pg_notify('gloss_batch_done', json_build_object('batch', b.name, 'total', c.enqueued, 'done', c.done,
        'dead', c.dead)::text)
    from unnest(exclusive) x (id) join batch b on b.id = x.id cross join lateral count_of_batch(x.id) c
    where c.rest = 0;
    return null;
end $$;
create trigger tally_noted after insert on gloss.tally
for each row when (new.batch_id > 0 and new.done + new.dead > 0) execute function gloss.note_end();
create constraint trigger tally_told after insert on gloss.tally
deferrable initially deferred for each row when (new.batch_id > 0 and new.done + new.dead > 0)
execute function gloss.tell_of_batches();

-- With the host of the failure.
create or replace view gloss.dead as
select j.id as job_id, k.task, nullif(k.model, '') as model, j.key, b.name as batch, d.code, d.reason, d.died_at,
       d.attempts, d.rescues,
       case when j.bytes > 200 then gloss.shown_urls(j.image_urls) else j.image_urls end as image_urls, d.host
from gloss.dead_job d join gloss.job j on j.id = d.job_id join gloss.kind k on k.id = j.kind
left join gloss.batch b on b.id = j.batch_id;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f
from unnest(array['gloss_reader', 'gloss_admin']) r, unnest(array['failures_of', 'failing_host', 'would_retry']) f;
