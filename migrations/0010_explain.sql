-- gloss.explain: why is a job where it is?

set local role gloss_owner;

-- Why a waiting job is not running, a reason a row.
create function gloss.obstacles(j gloss.job, s gloss.job_state) returns setof text
language plpgsql stable
as $$
declare
    wanted constant text := (select model from gloss.lane where id = j.lane);
    ahead bigint;
begin
    if exists (select from gloss.pause where task is null) then
        return next 'the whole queue is paused: select gloss.resume(everything => true)';
    end if;
    if exists (select from gloss.pause p where p.task = j.task) then
        return next format('the task is paused: select gloss.resume(task => %L)', j.task);
    end if;
    if (select paused from gloss.batch where id = j.batch_id) then
        return next format('the batch is paused: select gloss.resume(batch => %L)', s.batch);
    end if;
    if s.state = 'scheduled' then
        return next format('it is due at %s, in %s s', s.at, round(extract(epoch from s.at - now())));
    end if;
    return query
        select format('the host %s is parked until %s: %s', h.host, h.until, h.reason)
        from gloss.parked_host h
        where h.until > now() and h.host in (select gloss.host_of(u) from unnest(j.image_urls) u);
    if not exists (select from gloss.worker where alive) then
        return next 'no worker is alive: is glossd running?';
    elsif not exists (
        select from gloss.incarnation i join gloss.worker w on w.worker = i.id and w.alive
        where (wanted is null or wanted = any (i.models)) and (i.tasks = '{}' or j.task = any (i.tasks))) then
        return next format('no worker that is alive takes the task %s with %s', j.task,
            coalesce('the model ' || wanted, 'any model'));
    end if;
    if s.state = 'ready' then
        select count(*) into ahead from (
            select from gloss.ready me
            join gloss.lane l on l.task = j.task and l.model is not distinct from wanted and l.priority <= j.priority
            join gloss.ready r on r.lane = l.id and r.turn >= l.turn
                and r.turn <= case when l.priority = j.priority then me.turn else 9223372036854775807 end
            where me.job_id = j.id and (l.priority, r.turn, r.job_id) < (j.priority, me.turn, j.id)
            limit 10001) x;
        return next case when ahead = 0 then 'it is the next of its kind'
            when ahead > 10000 then 'more than 10000 jobs of its kind are ahead of it'
            else format('jobs of its kind that are ahead of it: %s', ahead) end;
    end if;
end $$;

-- Lines for a person: where the job is, why, and what happened to it so far.
create function gloss.explain(job bigint) returns setof text
language plpgsql stable security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    j gloss.job;
    s gloss.job_state;
begin
    select * into j from job x where x.id = explain.job;
    if not found then
        return next format('there is no job %s', job);
        return;
    end if;
    select * into s from job_state x where x.job_id = explain.job;
    return next format('job %s (%s%s%s) is %s', j.id, j.task, ', key "' || j.key || '"', ', batch "' || s.batch || '"',
        s.state);
    case s.state
        when 'done' then return next format('it finished at %s', s.at);
        when 'dead' then
            return next format('it died at %s after %s failed attempts: %s', s.at, s.attempts, s.reason);
            return next format('to try again: select gloss.retry(job => %s)', j.id);
        when 'leased' then
            return query
                select format('worker %s (%s, pid %s) has held it for %s s, and gave its last sign of life %s s ago',
                    w.worker, w.host, w.pid, round(extract(epoch from now() - s.at)), round(w.silent_seconds))
                from leased l join worker w on w.worker = l.worker where l.job_id = j.id;
        else return query select obstacles(j, s);
    end case;
    return query
        select format('attempt %s %s at %s%s', t.attempt, t.outcome, t.at, ': ' || concat_ws(', ', t.code, t.reason))
        from attempt t where t.job_id = j.id order by t.fence;
end $$;
