-- Views for people. Each is cheap with ten million jobs: counts come from gloss.tally and from tables that are small.

set local role gloss_owner;

create view gloss.depth as
select l.task::text, l.model, c.enqueued - c.done - c.dead - c.running as waiting, c.running, c.done, c.dead,
       exists (select from gloss.pause p where p.task is null or p.task = l.task) as paused,
       extract(epoch from now() - (
           select j.created_at
           from (select job_id from gloss.ready r where r.lane = l.id order by r.lane, r.priority, r.job_id limit 1) r
           join gloss.job j on j.id = r.job_id))::float8 as oldest_seconds
from gloss.lane l
join lateral (
    select coalesce(sum(t.enqueued), 0)::bigint as enqueued, coalesce(sum(t.done), 0)::bigint as done,
           coalesce(sum(t.dead), 0)::bigint as dead,
           (select count(*) from gloss.leased x join gloss.job j on j.id = x.job_id where j.lane = l.id) as running
    from gloss.tally t where t.lane = l.id
) c on c.enqueued > 0
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
       i.stopped_at, i.lost
from gloss.incarnation i;

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
left join gloss.ready r on r.lane in (j.lane, -j.lane) and r.priority = j.priority and r.job_id = j.id
left join lateral (select x.reason from gloss.attempt x where x.job_id = j.id and a.job_id is null
                   order by x.fence desc limit 1) t on true;

-- Jobs, newest first, by any of state, batch, task and key, below the number `before`.
create function gloss.jobs(state text, batch text, task text, key text, most int default 50, before bigint default null)
returns setof gloss.job_state
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    -- A state is a table; asking it first lets rare states be found among many jobs.
    place constant text := case state
        when 'ready' then 'ready x where x.lane in (j.lane, -j.lane) and x.priority = j.priority and x.job_id = j.id'
        when 'scheduled' then 'scheduled x where x.job_id = j.id'
        when 'paused' then 'held x where x.batch_id = j.batch_id and x.job_id = j.id'
        when 'leased' then 'leased x where x.job_id = j.id'
        when 'done' then 'annotation x where x.job_id = j.id'
        when 'dead' then 'died x where x.job_id = j.id' end;
begin
    if state is not null and place is null then
        perform refuse('state must be ready, scheduled, paused, leased, done or dead, not ' || state);
    end if;
    return query execute
        'select s.* from (select j.id from job j where true'
        || case when place is not null then ' and exists (select from ' || place || ')' else '' end
        || case when batch is not null then ' and j.batch_id = (select id from batch where name = $1)' else '' end
        || case when task is not null then ' and j.task = $2::task' else '' end
        || case when key is not null then ' and j.key = $3' else '' end
        || case when before is not null then ' and j.id < $5' else '' end
        || ' order by j.id desc limit $4) f join job_state s on s.job_id = f.id order by s.job_id desc'
        using batch, task, key, most, before;
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
