-- Views for people. Each is cheap with ten million jobs: counts come from gloss.tally and from tables that are small.

set local role gloss_owner;

create view gloss.depth as
select l.task::text, l.model, c.enqueued - c.done - c.dead - coalesce(r.running, 0) as waiting,
       coalesce(r.running, 0) as running, c.done, c.dead,
       exists (select from gloss.pause p where p.task is null or p.task = l.task) as paused,
       extract(epoch from now() - (
           select min(j.created_at)
           from unnest(l.lanes, l.turns) x (id, turn)
           cross join lateral (
               select job_id from gloss.ready r where r.lane = x.id and r.turn >= x.turn
               order by r.lane, r.turn limit 1) r
           join gloss.job j on j.id = r.job_id))::float8 as oldest_seconds
from (
    select task, model, array_agg(id) as lanes, array_agg(turn) as turns from gloss.lane group by task, model
) l
join lateral (
    select sum(enqueued)::bigint as enqueued, sum(done)::bigint as done, sum(dead)::bigint as dead
    from gloss.tally t where t.lane = any (l.lanes)
) c on c.enqueued > 0
left join (
    select x.task, x.model, count(*) as running
    from gloss.leased r join gloss.job j on j.id = r.job_id join gloss.lane x on x.id = j.lane group by x.task, x.model
) r on r.task = l.task and r.model is not distinct from l.model
order by l.task, l.model;

create view gloss.batch_progress as
select b.name as batch, c.total, c.done, c.dead, c.total - c.done - c.dead as left,
       round(100.0 * c.done / nullif(c.total, 0), 2)::float8 as percent, b.paused, c.rate,
       case when c.rate > 0 then (c.total - c.done - c.dead) / c.rate end as eta_seconds, b.created_at
from gloss.batch b
join lateral (
    select coalesce(sum(t.enqueued), 0)::bigint as total, coalesce(sum(t.done), 0)::bigint as done,
           coalesce(sum(t.dead), 0)::bigint as dead,
           -- Over the time since the first of these minutes, 15 minutes at most.
           (sum(t.done + t.dead) filter (where t.minute > now() - interval '15 minutes' and t.done + t.dead > 0)
               / greatest(extract(epoch from now() - min(t.minute)
                   filter (where t.minute > now() - interval '15 minutes' and t.done + t.dead > 0)), 1))::float8 as rate
    from gloss.tally t where t.batch_id = b.id
) c on true;

create view gloss.worker as
select i.id as worker, i.host, i.pid, i.version, i.models, i.started_at,
       extract(epoch from now() - i.heartbeat_at)::float8 as silent_seconds,
       (select count(*) from gloss.leased l where l.worker = i.id) as running,
       i.stopped_at is null and i.heartbeat_at > now() - interval '15 seconds' as alive,
       i.stopped_at, i.lost, i.stages, i.holdup
from gloss.incarnation i;

-- Where the time of the workers that are alive went, since each of them started.
create view gloss.stage as
select s.stage, count(*) as workers, sum((s.totals ->> 'seconds')::float8) as seconds,
       sum((s.totals ->> 'units')::bigint)::bigint as units, sum((s.totals ->> 'rows')::bigint)::bigint as rows
from gloss.worker w cross join jsonb_each(w.stages) s (stage, totals)
where w.alive
group by s.stage;

create view gloss.host as
select host, until as parked_until, extract(epoch from until - now())::float8 as seconds_left, reason, parked_at
from gloss.parked_host where until > now();

-- Of the last 10 000 attempts without a result: what failed how often.
create view gloss.error_frequency as
select j.task::text, x.code, count(*) as count, max(x.at) as last_at,
       (array_agg(x.reason order by x.at desc))[1] as example, (array_agg(x.job_id order by x.at desc))[1] as job_id
from (select * from gloss.attempt order by at desc limit 10000) x join gloss.job j on j.id = x.job_id
where x.outcome = 'failed'
group by j.task, x.code;

create view gloss.dead as
select j.id as job_id, j.task::text, j.key, b.name as batch, d.code, d.reason, d.died_at, d.attempts, d.rescues,
       j.image_urls
from gloss.died d join gloss.job j on j.id = d.job_id left join gloss.batch b on b.id = j.batch_id;

-- Where each job is. Look up few jobs with it; for many, use the counts above.
create view gloss.job_state as
select j.id as job_id, j.task::text, j.key, b.name as batch,
       case when a.job_id is not null then 'done' when d.job_id is not null then 'dead'
            when l.job_id is not null then 'leased' when s.job_id is not null then 'scheduled'
            when h.job_id is not null then 'paused' when r.job_id is not null then 'ready'
            else 'moving' end as state,
       coalesce(a.attempts, d.attempts, l.attempts, s.attempts, h.attempts, r.attempts, 0) as attempts,
       j.max_attempts, j.priority, j.created_at,
       coalesce(a.finished_at, d.died_at, l.leased_at, s.run_at, h.run_at) as at,
       coalesce(d.reason, t.reason) as reason, j.image_urls[1] as image_url
from gloss.job j
left join gloss.batch b on b.id = j.batch_id
left join gloss.annotation a on a.job_id = j.id
left join gloss.died d on d.job_id = j.id
left join gloss.leased l on l.job_id = j.id
left join gloss.scheduled s on s.job_id = j.id
left join gloss.held h on h.batch_id = j.batch_id and h.job_id = j.id
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
        when 'ready' then 'ready' when 'scheduled' then 'scheduled' when 'paused' then 'held'
        when 'leased' then 'leased' when 'done' then 'annotation' when 'dead' then 'died' end;
    source text;
    chosen bigint[];
begin
    if state is not null and place is null then
        perform refuse('state must be ready, scheduled, paused, leased, done or dead, not ' || state);
    end if;
    source := case
        when place is null then 'j.id from job j where true'
        when batch is null and key is null then
            format('x.job_id as id from %I x join job j on j.id = x.job_id where true', place)
        else format('j.id from job j where exists (select from %I x where x.job_id = j.id)', place) end;
    execute 'select array(select ' || source
        || case when batch is not null then ' and j.batch_id = (select id from batch where name = $1)' else '' end
        || case when task is not null then ' and j.task = $2::task' else '' end
        || case when key is not null then ' and j.key = $3' else '' end
        || case when before is not null then ' and j.id < $5' else '' end
        || ' order by 1 desc limit $4)' into chosen using batch, task, key, most, before;
    -- By number: so the view looks up these jobs and no others.
    return query select s.* from job_state s where s.job_id = any (chosen) order by s.job_id desc;
end $$;

-- Jobs that are not in exactly one state: always none. For tests and after accidents.
create view gloss.misplaced_job as
select j.id as job_id, count(p.place) as places, array_agg(p.place) as place
from gloss.job j
left join (
    select job_id, 'ready' as place from gloss.ready union all select job_id, 'scheduled' from gloss.scheduled
    union all select job_id, 'paused' from gloss.held union all select job_id, 'leased' from gloss.leased
    union all select job_id, 'done' from gloss.annotation union all select job_id, 'dead' from gloss.died
) p on p.job_id = j.id
group by j.id having count(p.place) <> 1;
