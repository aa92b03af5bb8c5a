"""The suite's views of the queue, in SQL: all that knows the names of gloss's tables."""

SCHEMA = """
create schema chaos;
create table chaos.expected (template text primary key, outcome text not null, attempts int not null, digest text);

-- A result without what may depend on when, where and how often it was tried.
create function chaos.digest(result jsonb, key text) returns text language sql stable as $$
    select md5(replace((result - array['job_id', 'fence', 'worker', 'engine', 'attempts', 'rescues', 'finished_at',
                                       'timings', 'superseded_at', 'superseded_by'])::text,
                       replace(key, '/', '_'), '')
        || (select (to_jsonb(e) - array['id', 'version'])::text
            from gloss.engine e where e.id = (result ->> 'engine')::int)
        || coalesce((select string_agg((to_jsonb(f) - array['job_id', 'fence'])::text, ' ' order by n)
                     from gloss.finding f
                     where f.job_id = (result ->> 'job_id')::bigint and f.fence = (result ->> 'fence')::bigint), '')
        || coalesce((select string_agg((to_jsonb(s) - array['job_id', 'fence'])::text, ' ' order by stage)
                     from gloss.annotation_stage s
                     where s.job_id = (result ->> 'job_id')::bigint and s.fence = (result ->> 'fence')::bigint), ''))
$$;

-- What a job came to; null: it has not ended.
create view chaos.outcome as
select j.id, b.name as batch, j.key, split_part(j.key, '/', 2) as template,
       case when a.job_id is not null then 'done' when d.job_id is not null then 'dead: ' || d.code
            when j.image_urls = '{}' then 'pruned' end as outcome,
       coalesce(a.attempts, d.attempts) as attempts, coalesce(a.rescues, d.rescues) as rescues,
       coalesce(a.finished_at, d.died_at) as at, k.task, j.image_urls, chaos.digest(to_jsonb(a), j.key) as digest
from gloss.job j join gloss.batch b on b.id = j.batch_id join gloss.kind k on k.id = j.kind
left join gloss.annotation a on a.job_id = j.id
left join gloss.dead_job d on d.job_id = j.id;

create function chaos.hosts(urls text[]) returns setof text language sql immutable as $$
    select h from unnest(urls) u, unnest(regexp_match(u, '^((?:http://)([^/:]+)[^/]*)')) h
$$;

create view chaos.result as
select job_id, fence, findings, image_sha256 from gloss.annotation
union all select job_id, fence, findings, image_sha256 from gloss.superseded;

-- Always empty.
create view chaos.wrong as
select format('misplaced: job %s is in %s: %s', job_id, place, reason) as what from gloss.misplaced_job
union all
select format('gloss.miscount: %s of %s in %s: counted %s, found %s', what, task, batch, counted, found)
from gloss.miscount
union all
select 'a ' || place || ' without a job: ' || job_id from (
    select 'result', job_id from gloss.annotation union all select 'death', job_id from gloss.dead_job
    union all select 'lease', job_id from gloss.leased union all select 'due job', job_id from gloss.ready
    union all select 'schedule', job_id from gloss.scheduled union all select 'pause', job_id from gloss.paused_job
    union all select 'checkpoint', job_id from gloss.checkpoint union all select 'attempt', job_id from gloss.attempt
    union all select 'superseded result', job_id from gloss.superseded) x (place, job_id)
where not exists (select from gloss.job j where j.id = x.job_id)
union all
select format('a %s without a result: job %s', x.place, x.job_id) from (
    select 'finding', job_id, fence from gloss.finding
    union all select 'stage', job_id, fence from gloss.annotation_stage
    union all select 'use of an image', job_id, fence from gloss.image_use) x (place, job_id, fence)
where not exists (select from chaos.result r where r.job_id = x.job_id and r.fence = x.fence)
union all
select format('the result of job %s says that it has %s findings, and has %s', r.job_id, r.findings, f.count)
from chaos.result r cross join lateral (
    select count(*) from gloss.finding f where f.job_id = r.job_id and f.fence = r.fence) f
where f.count <> r.findings
union all
select 'an image of a result that is not in gloss.image, or not used there: job ' || r.job_id
from chaos.result r cross join lateral unnest(r.image_sha256) sha256
where not exists (select from gloss.image i join gloss.image_use u on u.image_id = i.id
                  where i.sha256 = sha256 and u.job_id = r.job_id and u.fence = r.fence)
union all
select 'a checkpoint of an ended job: ' || c.job_id from gloss.checkpoint c
where exists (select from gloss.annotation a where a.job_id = c.job_id)
   or exists (select from gloss.dead_job d where d.job_id = c.job_id)
union all
select 'a lease of a worker that nobody knows: ' || l.job_id from gloss.leased l
where not exists (select from gloss.registered_worker w where w.id = l.worker)
union all
select 'one fence for two leases: ' || fence from (
    select fence from gloss.leased union all select fence from gloss.annotation
    union all select fence from gloss.superseded
    union all select fence from gloss.attempt) f group by fence having count(*) > 1
union all
-- What gloss's own views should know, written down independently.
select format('job %s is held though its batch %s is not paused', p.job_id, b.name)
from gloss.paused_job p join gloss.batch b on b.id = p.batch_id where not b.paused
union all
select format('job %s is scheduled for ever though none of its hosts is parked', s.job_id)
from gloss.scheduled s join gloss.job j on j.id = s.job_id
where s.run_at = 'infinity' and not exists (
    select from gloss.parked_origin h where h.until > now() and h.origin in (select chaos.hosts(j.image_urls)));

-- A share of the statements that write a state takes its time before the transaction ends, as on a slow disk.
create table chaos.dawdling (share real not null);
insert into chaos.dawdling values (0);
create function chaos.dawdle() returns trigger language plpgsql security definer as $$
begin
    if random() < (select share from chaos.dawdling) then perform pg_sleep(random() * 0.3); end if;
    return null;
end $$;
do $$
declare
    name text;
begin
    foreach name in array array['ready', 'scheduled', 'paused_job', 'leased', 'dead_job', 'annotation'] loop
        execute format('create trigger chaos_dawdle after insert on gloss.%I execute function chaos.dawdle()', name);
    end loop;
end $$;

grant usage on schema chaos to gloss_admin;
grant select on chaos.outcome to gloss_admin;
"""

# As long as a daemon's own patience, so that kills soon after a start of the server are seen.
SETTINGS = "select gloss.change_setting('restart_grace', '{rescue} seconds')"

DAWDLE = "update chaos.dawdling set share = {share}"

# What is paused or parked for ever.
PAUSED = """
select 'the batch ' || name || ' is paused' from gloss.batch where paused
union all select 'the task ' || coalesce(nullif(task, ''), '(all)') || ' is paused' from gloss.paused_task
union all select 'the host ' || origin || ' is paused' from gloss.parked_origin where until = 'infinity'
"""

# Undoes all of that.
RESUME_ALL = """
select gloss.resume(batch => name) from gloss.batch where paused
union all select gloss.resume(task => nullif(task, ''), everything => task = '') from gloss.paused_task
union all select gloss.resume(host => origin) from gloss.parked_origin where until = 'infinity'
"""

UNPARK_ALL = "select gloss.unpark_origin(origin) from gloss.parked_origin"

# The counts that views show against the tables, of one moment.
COUNTS = """
with job as materialized (
    select j.batch_id, j.kind, a.job_id is not null or j.spec ->> 'was' = 'done' as is_done,
           d.job_id is not null or j.spec ->> 'was' = 'dead' as is_dead, r.job_id is not null as is_running
    from gloss.job j left join gloss.annotation a on a.job_id = j.id
    left join gloss.dead_job d on d.job_id = j.id left join gloss.leased r on r.job_id = j.id
), real as (
    select batch_id, count(*) as total, count(*) filter (where is_done) as done, count(*) filter (where is_dead) as dead
    from job group by 1
), kind as (
    select k.task, nullif(k.model, '') as model, count(*) filter (where is_running) as running,
           count(*) filter (where is_done) as done, count(*) filter (where is_dead) as dead, count(*) as total
    from job join gloss.kind k on k.id = job.kind group by 1, 2
)
select format('batch_progress says of %s: %s jobs, %s done, %s dead; the tables: %s, %s, %s', b.name, p.total, p.done,
              p.dead, r.total, r.done, r.dead)
from gloss.batch b left join gloss.batch_progress p on p.batch = b.name left join real r on r.batch_id = b.id
where (coalesce(p.total, 0), coalesce(p.done, 0), coalesce(p.dead, 0))
    <> (coalesce(r.total, 0), coalesce(r.done, 0), coalesce(r.dead, 0))
union all
select format('depth says of %s: %s waiting, %s running, %s done, %s dead; the tables: %s, %s, %s, %s',
              coalesce(d.task, r.task), d.waiting, d.running, d.done, d.dead, r.total - r.running - r.done - r.dead,
              r.running, r.done, r.dead)
from gloss.depth d full join kind r on r.task = d.task and r.model is not distinct from d.model
where (coalesce(d.waiting, 0), coalesce(d.running, 0), coalesce(d.done, 0), coalesce(d.dead, 0))
    <> (coalesce(r.total - r.running - r.done - r.dead, 0), coalesce(r.running, 0), coalesce(r.done, 0),
        coalesce(r.dead, 0))
"""

# Results that are not what the like of their jobs came to, earlier results included.
WRONG_RESULTS = """
select format('%s: its result is %s; expected %s', key, o.digest, e.digest)
from chaos.outcome o join chaos.expected e using (template)
where o.outcome = 'done' and o.digest <> e.digest
union all
select format('%s: its earlier result was %s; expected %s', j.key, o.digest, e.digest)
from gloss.superseded s join gloss.job j on j.id = s.job_id
cross join lateral chaos.digest(to_jsonb(s), j.key) o (digest)
join chaos.expected e on e.template = split_part(j.key, '/', 2)
where o.digest <> e.digest
"""

# Attempts that are counted are those in the history, unless somebody started the job afresh.
WRONG_ATTEMPTS = """
select b.name, j.key, format('%s failed %s times and counts %s attempts', j.key, n, l.attempts) from (
    select job_id, attempts from gloss.annotation union all select job_id, attempts from gloss.ready
    union all select job_id, attempts from gloss.scheduled union all select job_id, attempts from gloss.paused_job
    union all select job_id, attempts from gloss.leased union all select job_id, attempts from gloss.dead_job) l
cross join lateral (select count(*) as n from gloss.attempt t where t.job_id = l.job_id and t.outcome = 'failed') t
join gloss.job j on j.id = l.job_id join gloss.batch b on b.id = j.batch_id
where n <> l.attempts
"""

# Jobs that the next claims take, and jobs that are leased; for `from`.
NEXT = """chaos.outcome join (
    select job_id from gloss.ready order by lane, turn limit 12) ready on ready.job_id = chaos.outcome.id"""
LEASED = "chaos.outcome join gloss.leased on leased.job_id = chaos.outcome.id"

# By batch: jobs that have not ended, and all.
LEFT = """
select b.name, count(*) filter (where o.outcome is null), count(*) from gloss.batch b
join chaos.outcome o on o.batch = b.name group by 1 order by 1
"""

ENDED = """
select o.key, o.outcome, o.attempts, o.rescues, extract(epoch from o.at), o.digest,
       e.outcome, e.attempts, e.digest,
       (select string_agg(format('%s × %s (%s) until fence %s by %s at %s: %s %s', t.count, t.outcome, t.cause, t.fence,
                                 t.worker, t.at, t.code, t.reason), ', ' order by t.fence)
        from gloss.attempt t where t.job_id = o.id)
from chaos.outcome o left join chaos.expected e using (template) where o.batch = '{batch}'
"""

# The last rescue of each job: rescues of a job are one row, and so are releases after a death.
RESCUES = """
select o.key, coalesce(o.outcome, ''), w.pid, extract(epoch from t.at), t.worker, t.outcome = 'rescued'
from gloss.attempt t join chaos.outcome o on o.id = t.job_id left join gloss.registered_worker w on w.id = t.worker
where o.batch = '{batch}' and (t.outcome = 'rescued' or t.reason like 'the daemon died%') order by o.key, t.fence
"""

POISON = """
select o.template, l.rescues, o.key, l.fence from chaos.outcome o join gloss.leased l on l.job_id = o.id
where o.id in ({jobs}) and o.template like 'poison%'
"""

# Under which lease a result was recorded.
FENCE = "select a.fence from gloss.annotation a join chaos.outcome o on o.id = a.job_id where o.key = '{key}'"

# Which process recorded a result when.
PROGRESS = """
select w.pid, extract(epoch from max(a.finished_at)) from gloss.annotation a
join gloss.registered_worker w on w.id = a.worker where a.finished_at > now() - interval '1 minute' group by 1
"""

# Jobs that are due, and those that wait for something.
WAITING = """
select (select count(*) from gloss.ready),
       (select count(*) from gloss.scheduled) + (select count(*) from gloss.paused_job)
"""
