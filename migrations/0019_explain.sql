-- gloss.explain: why is a job where it is?

set local role gloss_owner;

-- A stretch of time as people say it: 45 s, 12 min, 5 h, 3 days.
create function gloss.span(i interval) returns text
language plpgsql immutable
as $$
declare
    s constant numeric := round(extract(epoch from i));
begin
    return case when s < 120 then s || ' s' when s < 7200 then round(s / 60) || ' min'
        when s < 172800 then round(s / 3600) || ' h' else round(s / 86400) || ' days' end;
end $$;

-- A moment to come, and how far it is off.
create function gloss.moment(at timestamptz) returns text
language plpgsql stable
as $$ begin return format('%s, in %s', date_trunc('second', at), gloss.span(at - now())); end $$;

-- What a person has paused, a reason a row.
create function gloss.pauses(s gloss.job_state) returns setof text
language sql stable
as $$
    select format('everything is paused since %s; to go on: select gloss.resume(everything => true)',
                  date_trunc('second', p.at))
    from gloss.paused_task p where p.task = ''
    union all
    select format('the task %s is paused since %s; to go on: select gloss.resume(task => %L)',
                  s.task, date_trunc('second', p.at), s.task)
    from gloss.paused_task p where p.task = s.task
    union all
    select format('its batch is paused; to go on: select gloss.resume(batch => %L)', s.batch)
    from gloss.batch b where b.name = s.batch and b.paused
$$;

-- Hosts of its images that are left alone for now.
create function gloss.parked_hosts(j gloss.job) returns setof text
language sql stable
as $$
    select case when h.until = 'infinity'
                then format('the host %s is paused: %s; to go on: select gloss.resume(host => %L)',
                    h.origin, h.reason, h.origin)
                else format('the host %s is parked until %s: %s', h.origin, gloss.moment(h.until), h.reason) end
    from gloss.parked_origin h
    where h.until > now() and h.origin in (select gloss.origins_of(j.image_urls))
$$;

-- Why a job is to wait until a certain time.
create function gloss.delay_of(j gloss.job, s gloss.job_state) returns text
language plpgsql stable
as $$
declare
    last gloss.attempt;
begin
    if s.at <= now() then return 'it has just become due: the next claim looks at it'; end if;
    select * into last from gloss.attempt t where t.job_id = j.id order by t.fence desc limit 1;
    return case
        when last.outcome = 'failed' then format('attempt %s of %s failed (%s: %s); the next one is due at %s',
            last.attempt, j.max_attempts, last.code, last.reason, gloss.moment(s.at))
        when last.outcome is not null then
            format('it was given back (%s), and is due again at %s', last.reason, gloss.moment(s.at))
        when s.at = j.run_at then format('it was asked for at %s', gloss.moment(s.at))
        else format('it was put aside, and is due again at %s', gloss.moment(s.at)) end;
end $$;

-- What keeps the daemons from running it, a reason a row; none if one of them takes such jobs.
create function gloss.worker_problems(s gloss.job_state) returns setof text
language plpgsql stable
as $$
declare
    fit constant bigint[] := array(
        select w.worker from gloss.worker w
        where w.alive and (s.model is null or s.model = any (w.models)) and s.task = any (w.tasks));
    last gloss.worker;
    served text;
begin
    if not exists (select from gloss.worker w where w.alive) then
        select * into last from gloss.worker w order by w.silent_seconds limit 1;
        return next 'no daemon is alive: is glossd running?' || case when not found then '' else format(
            ' The last one, on %s, was heard %s ago', last.host,
            gloss.span(make_interval(secs => last.silent_seconds))) end;
    elsif fit = '{}' then
        -- Digests are of use to those only who ask for one.
        select string_agg(distinct m, ', ') into served
        from gloss.worker w, unnest(w.models) m
        where w.alive and (m !~ '^[0-9a-f]{64}$' or s.model ~ '^[0-9a-f]{64}$');
        return next case when s.model is null then format('no daemon that is alive takes the task %s', s.task)
            else format('no daemon that is alive serves the model %s for the task %s; those that are serve: %s',
                s.model, s.task, coalesce(served, 'none')) end;
    elsif not exists (select from gloss.registered_worker w where w.id = any (fit) and w.holdup is null) then
        return query
            select format('the daemon on %s (pid %s) takes no jobs: %s', w.host, w.pid, w.holdup)
            from gloss.registered_worker w where w.id = any (fit) order by w.id limit 5;
    end if;
end $$;

-- How many jobs of its task and model are served before one that is ready, 10001 at most.
create function gloss.ahead_of(j gloss.job, me gloss.ready) returns bigint
language sql stable
as $$
    select count(*) from (
        select from gloss.lane l
        join gloss.ready r on r.lane = case when me.rescues >= 2 then -l.id else l.id end
            and r.turn >= case when me.rescues >= 2 then 0 else l.turn end
            and r.turn <= case when l.priority = j.priority then me.turn else 9223372036854775807 end
        where l.kind = j.kind and l.priority <= j.priority
          and (l.priority, r.turn, r.job_id) < (j.priority, me.turn, me.job_id)
        limit 10001) x
$$;

create function gloss.place_of(j gloss.job) returns text
language plpgsql stable
as $$
declare
    me gloss.ready;
    ahead bigint;
begin
    select * into me from gloss.ready r where r.job_id = j.id;
    ahead := gloss.ahead_of(j, me);
    if me.rescues >= 2 then
        return format('two daemons died while they worked on it, so a daemon takes it only when it holds no other job, and '
            || 'nothing beside it; a third death makes it dead. Such jobs ahead of it: %s', ahead);
    end if;
    return case when ahead = 0 then 'it is the next of its task and model'
        when ahead > 10000 then 'more than 10000 jobs of its task and model are ahead of it'
        else format('jobs of its task and model ahead of it: %s', ahead) end;
end $$;

-- Who holds it, since when, and how far it is.
create function gloss.holder_of(j gloss.job) returns setof text
language sql stable
as $$
    select format('worker %s (%s, pid %s) has held it since %s, for %s, and %s%s', i.id, i.host, i.pid,
        date_trunc('second', l.leased_at), gloss.span(now() - l.leased_at),
        coalesce((select case p.phase when 'fetch' then 'is fetching its images' when 'compute' then 'is computing'
                              else 'is recording the outcome' end
                  from jsonb_each(i.phases) p (phase, jobs) where p.jobs @> to_jsonb(j.id)),
            'has not said yet what it does with it'),
        case when not w.alive then format('; but it has been silent for %s: after rescue_seconds any other daemon '
            || 'takes the job back', gloss.span(make_interval(secs => w.silent_seconds))) else '' end)
    from gloss.leased l join gloss.registered_worker i on i.id = l.worker join gloss.worker w on w.worker = i.id
    where l.job_id = j.id
$$;

-- Why it died, and what can be done.
create function gloss.death_reason(j gloss.job) returns setof text
language sql stable
as $$
    select x.line
    from gloss.dead_job d, unnest(array[
        format('it died at %s after %s: %s', date_trunc('second', d.died_at),
            case when d.attempts = 1 then '1 failed attempt' else d.attempts || ' failed attempts' end, d.reason),
        case d.code when 'cancelled' then 'to run it after all'
            when 'poison' then 'the logs of these daemons may tell what it does to them; to try it again'
            else 'once the reason is gone, to try again' end
            || format(': select gloss.retry(job => %s)', j.id)]) with ordinality x (line, n)
    where d.job_id = j.id order by x.n
$$;

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
    return next format('job %s (%s%s%s%s) is %s', j.id, s.task, ' for the model ' || s.model, ', key "' || j.key || '"',
        ', batch "' || s.batch || '"', s.state);
    case s.state
        when 'done' then return next format('it finished at %s', date_trunc('second', s.at));
        when 'dead' then return query select death_reason(j);
        when 'leased' then return query select holder_of(j);
        when 'pruned' then
            return next 'what it asked and its outcome were deleted by gloss.prune; only its key is still known';
            return next format('to free the key: select gloss.forget(job => %s)', j.id);
        when 'moving' then return next 'it is changing its state at this very moment: ask again';
        else
            return query select pauses(s);
            return query select parked_hosts(j);
            if s.state = 'scheduled' and isfinite(s.at) then return next delay_of(j, s); end if;
            return query select worker_problems(s);
            if s.state = 'ready' then return next place_of(j); end if;
    end case;
    return query
        select format('run again at %s by %s, after a result of %s', date_trunc('second', x.superseded_at),
                      x.superseded_by, date_trunc('second', x.finished_at))
        from superseded x where x.job_id = j.id order by x.fence;
    return query
        select case when t.count > 1
                    then format('attempt %s %s %s times since %s, last at %s: %s', t.attempt, t.outcome, t.count,
                        date_trunc('second', t.first_at), date_trunc('second', t.at), concat_ws(', ', t.code, t.reason))
                    else format('attempt %s %s at %s: %s', t.attempt, t.outcome, date_trunc('second', t.at),
                        concat_ws(', ', t.code, t.reason)) end
        from attempt t where t.job_id = j.id order by t.fence;
end $$;
