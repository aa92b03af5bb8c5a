-- Views for people. They are cheap with ten million jobs, a hundred thousand batches and thousands of models: counts come
-- from gloss.total and the few rows of gloss.tally that are not in it yet, each read once.

set local role gloss_owner;

-- Jobs by task and model.
create view gloss.depth as
select k.task, nullif(k.model, '') as model, c.enqueued - c.done - c.dead - coalesce(r.running, 0) as waiting,
       coalesce(r.running, 0) as running, c.done, c.dead,
       exists (select from gloss.paused_task p where p.task in ('', k.task)) as paused,
       extract(epoch from now() - o.oldest)::float8 as oldest_seconds
from gloss.kind k
join (
    select x.kind, sum(x.enqueued)::bigint as enqueued, sum(x.done)::bigint as done, sum(x.dead)::bigint as dead
    from (
        select t.kind, t.enqueued, t.done, t.dead from gloss.total t
        union all
        select l.kind, t.enqueued, t.done, t.dead from gloss.tally t join gloss.lane l on l.id = t.lane) x
    group by x.kind
) c on c.kind = k.id and c.enqueued > 0
left join (
    select l.kind, count(*) as running from gloss.leased x join gloss.lane l on l.id = x.lane group by l.kind
) r on r.kind = k.id
left join (
    select l.kind, min(j.created_at) as oldest
    from gloss.lane l
    cross join lateral (
        select x.job_id from gloss.ready x where x.lane = l.id and x.turn >= l.turn order by x.lane, x.turn limit 1) x
    join gloss.job j on j.id = x.job_id
    group by l.kind
) o on o.kind = k.id
order by k.task, k.model;

-- Batches, with the rate of the last quarter of an hour and the time that is left at that rate.
create view gloss.batch_progress as
select b.name as batch, coalesce(c.total, 0) as total, coalesce(c.done, 0) as done, coalesce(c.dead, 0) as dead,
       coalesce(c.total - c.done - c.dead, 0) as left,
       round(100.0 * c.done / nullif(c.total, 0), 2)::float8 as percent, b.paused, r.rate,
       case when r.rate > 0 then (c.total - c.done - c.dead) / r.rate end as eta_seconds, b.created_at
from gloss.batch b
left join (
    select x.batch_id, sum(x.enqueued)::bigint as total, sum(x.done)::bigint as done, sum(x.dead)::bigint as dead
    from (
        select t.batch_id, t.enqueued, t.done, t.dead from gloss.total t
        union all
        select t.batch_id, t.enqueued, t.done, t.dead from gloss.tally t) x
    group by x.batch_id
) c on c.batch_id = b.id
left join (
    select x.batch_id, (sum(x.ended) / greatest(extract(epoch from now() - min(x.minute)), 1))::float8 as rate
    from (
        select t.batch_id, t.minute, t.ended from gloss.rate t
        union all
        select t.batch_id, t.minute, t.done + t.dead from gloss.tally t where t.done + t.dead > 0) x
    where x.minute > now() - interval '15 minutes'
    group by x.batch_id
) r on r.batch_id = b.id;

create view gloss.worker as
select w.id as worker, w.host, w.pid, w.version, w.models, w.tasks, w.started_at,
       extract(epoch from now() - w.heartbeat_at)::float8 as silent_seconds,
       (select count(*) from gloss.leased l where l.worker = w.id) as running,
       w.stopped_at is null and w.heartbeat_at > now() - w.rescue_after as alive,
       w.stopped_at, w.lost, w.stages, w.holdup
from gloss.registered_worker w;

-- Where the time of the workers that are alive went, since each of them started.
create view gloss.stage as
select s.stage, count(*) as workers, sum((s.totals ->> 'seconds')::float8) as seconds,
       sum((s.totals ->> 'units')::bigint)::bigint as units, sum((s.totals ->> 'rows')::bigint)::bigint as rows
from gloss.worker w cross join jsonb_each(w.stages) s (stage, totals)
where w.alive
group by s.stage;

-- Origins whose images are not fetched for now. For one that a person has paused, until is infinity, and there are no
-- seconds.
create view gloss.host as
select h.origin as host, h.until as parked_until,
       case when isfinite(h.until) then extract(epoch from h.until - now())::float8 end as seconds_left, h.reason,
       h.since, h.parked_at
from gloss.parked_origin h where h.until > now();

-- Of the last 10 000 attempts without a result: what failed how often.
create view gloss.error_frequency as
select k.task, x.code, sum(x.count)::bigint as count, max(x.at) as last_at,
       (array_agg(x.reason order by x.at desc))[1] as example, (array_agg(x.job_id order by x.at desc))[1] as job_id
from (select * from gloss.attempt order by at desc limit 10000) x join gloss.job j on j.id = x.job_id
join gloss.kind k on k.id = j.kind
where x.outcome = 'failed'
group by k.task, x.code;

create view gloss.dead as
select j.id as job_id, k.task, nullif(k.model, '') as model, j.key, b.name as batch, d.code, d.reason, d.died_at,
       d.attempts, d.rescues,
       case when j.bytes > 200 then gloss.shown_urls(j.image_urls) else j.image_urls end as image_urls
from gloss.dead_job d join gloss.job j on j.id = d.job_id join gloss.kind k on k.id = j.kind
left join gloss.batch b on b.id = j.batch_id;

-- Where each job is. Look up few jobs with it; for many, use the counts above.
create view gloss.job_state as
select j.id as job_id, k.task, nullif(k.model, '') as model, j.key, b.name as batch,
       case when a.job_id is not null then 'done' when d.job_id is not null then 'dead'
            when l.job_id is not null then 'leased' when s.job_id is not null then 'scheduled'
            when h.job_id is not null then 'paused' when r.job_id is not null then 'ready'
            when j.image_urls = '{}' then 'pruned' else 'moving' end as state,
       coalesce(a.attempts, d.attempts, l.attempts, s.attempts, h.attempts, r.attempts, 0) as attempts,
       j.max_attempts, j.priority, j.created_at,
       coalesce(a.finished_at, d.died_at, l.leased_at, s.run_at, h.run_at) as at,
       coalesce(d.reason, t.reason) as reason,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url
from gloss.job j
join gloss.kind k on k.id = j.kind
left join gloss.batch b on b.id = j.batch_id
left join gloss.annotation a on a.job_id = j.id
left join gloss.dead_job d on d.job_id = j.id
left join gloss.leased l on l.job_id = j.id
left join gloss.scheduled s on s.job_id = j.id
left join gloss.paused_job h on h.job_id = j.id
left join gloss.ready r on r.job_id = j.id
left join lateral (select x.reason from gloss.attempt x where x.job_id = j.id and a.job_id is null
                   order by x.fence desc limit 1) t on true;

-- Jobs, newest first, by any of state, batch, task and key, below the number `before`. A state is a table with the
-- job's number as its key: without a batch or key, it is read from its end, so that rare states are found among many
-- jobs.
create function gloss.jobs(state text, batch text, task text, key text, most int default 50, before bigint default null)
returns setof gloss.job_state
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_seqscan = off set enable_hashjoin = off set enable_mergejoin = off
as $$
declare
    place constant text := case state
        when 'ready' then 'ready' when 'scheduled' then 'scheduled' when 'paused' then 'paused_job'
        when 'leased' then 'leased' when 'done' then 'annotation' when 'dead' then 'dead_job' end;
    source text;
    chosen bigint[];
begin
    if state <> 'pruned' and place is null then
        perform refuse('state must be ready, scheduled, paused, leased, done, dead or pruned, not ' || left(state, 200));
    end if;
    source := case
        when state = 'pruned' then 'j.id from job j where j.image_urls = ''{}'''
        when place is null then 'j.id from job j where true'
        when batch is null and key is null then
            format('x.job_id as id from %I x join job j on j.id = x.job_id where true', place)
        else format('j.id from job j where exists (select from %I x where x.job_id = j.id)', place) end;
    execute 'select array(select ' || source
        || case when batch is not null then ' and j.batch_id = (select id from batch where name = $1)' else '' end
        || case when task is not null then ' and j.kind = any (array(select k.id from kind k where k.task = $2))'
           else '' end
        || case when key is not null then ' and j.key = $3' else '' end
        || case when before is not null then ' and j.id < $5' else '' end
        || ' order by 1 desc limit $4)' into chosen using batch, task, key, most, before;
    -- By number: so the view looks up these jobs and no others.
    return query select s.* from job_state s where s.job_id = any (chosen) order by s.job_id desc;
end $$;

-- Jobs that are where they should not be: always none. For tests, doctor and after accidents.
create view gloss.misplaced_job as
select j.id as job_id, count(p.place) as places, array_agg(p.place order by p.place) as place,
       'not in exactly one state (pruned: in none)' as reason
from gloss.job j
left join (
    select job_id, 'ready' as place from gloss.ready union all select job_id, 'scheduled' from gloss.scheduled
    union all select job_id, 'paused' from gloss.paused_job union all select job_id, 'leased' from gloss.leased
    union all select job_id, 'done' from gloss.annotation union all select job_id, 'dead' from gloss.dead_job
) p on p.job_id = j.id
group by j.id having count(p.place) <> (j.image_urls <> '{}')::int
union all
select x.job_id, 1, array[x.place], 'there is no such job'
from (
    select job_id, 'ready' as place from gloss.ready union all select job_id, 'scheduled' from gloss.scheduled
    union all select job_id, 'paused' from gloss.paused_job union all select job_id, 'leased' from gloss.leased
    union all select job_id, 'done' from gloss.annotation union all select job_id, 'dead' from gloss.dead_job
) x where not exists (select from gloss.job j where j.id = x.job_id)
union all
select p.job_id, 1, array['paused'], 'its batch is not paused'
from gloss.paused_job p where not exists (select from gloss.batch b where b.id = p.batch_id and b.paused)
union all
select s.job_id, 1, array['scheduled'], 'its host is not paused'
from gloss.scheduled s
where s.run_at = 'infinity' and not exists (
    select from gloss.parked_origin h where h.origin = s.origin and h.until = 'infinity');

-- Counts that are not those of the tables: always none.
create view gloss.miscount as
select b.name as batch, k.task, nullif(k.model, '') as model, x.what, x.counted, x.found
from (
    select batch_id, kind, what, sum(counted)::bigint as counted, sum(found)::bigint as found
    from (
        select t.batch_id, t.kind, v.what, v.count as counted, 0 as found
        from (
            select o.batch_id, o.kind, o.enqueued, o.done, o.dead, o.jobs from gloss.total o
            union all
            select y.batch_id, l.kind, y.enqueued, y.done, y.dead, y.jobs
            from gloss.tally y join gloss.lane l on l.id = y.lane) t
        cross join lateral (values ('jobs', t.jobs), ('unfinished', t.enqueued - t.done - t.dead)) v (what, count)
        union all
        select coalesce(j.batch_id, 0), j.kind, 'jobs', 0, 1 from gloss.job j
        union all
        select coalesce(j.batch_id, 0), j.kind, 'unfinished', 0, 1
        from (
            select job_id from gloss.ready union all select job_id from gloss.scheduled
            union all select job_id from gloss.paused_job union all select job_id from gloss.leased) u
        join gloss.job j on j.id = u.job_id) z
    group by batch_id, kind, what
) x
left join gloss.batch b on b.id = x.batch_id left join gloss.kind k on k.id = x.kind
where x.counted <> x.found;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f from unnest(array['gloss_reader', 'gloss_admin']) r, unnest(array['jobs', 'explain']) f;
