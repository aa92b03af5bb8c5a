-- For tests that interleave two sessions: worlds to begin in, and what must hold afterwards.

create schema interleaving;

-- The tables of the queue, as a world left them.
create function interleaving.tables() returns setof text
language sql stable
as $$
    select c.relname::text from pg_class c
    where c.relnamespace = 'gloss'::regnamespace and c.relkind = 'r'
      and c.relname not in ('schema_migrations', 'schema_object', 'privilege', 'setting', 'task', 'failure_code', 'inbox', 'engine')
    order by 1
$$;

-- What the daemon's calls need: who calls, and what it reports.
create table interleaving.fact (name text primary key, number bigint, identity uuid, value jsonb);

create function interleaving.result(texts text) returns jsonb
language sql immutable
as $$
    select jsonb_build_object('model', 'tiny', 'digest', repeat('ab', 32), 'precision', 'f32', 'version', '1',
        'prompts', '["caption en"]'::jsonb, 'settings', '{}'::jsonb, 'timings', '{"fetch": 1}'::jsonb,
        'image_sha256', jsonb_build_array(repeat('0f', 32)), 'final_urls', '["https://one.example/final.jpg"]'::jsonb,
        'images', jsonb_build_array(jsonb_build_object('sha256', repeat('0f', 32), 'width', 64, 'height', 48,
            'orientation', 1, 'format', 'jpeg', 'byte_count', 1000)),
        'texts', jsonb_build_array(texts), 'sums', '[-1]'::jsonb, 'norms', '[-0.5]'::jsonb, 'tokens', '[2]'::jsonb,
        'finish', '["eos"]'::jsonb, 'views', 1, 'questions', 1, 'samples', 1, 'score', -0.5,
        'findings', '[{"image": 0, "n": 1, "label": "cat", "score": 0.5, "y1": 0, "x1": 0, "y2": 1, "x2": 1}]'::jsonb,
        'stages', '[{"stage": 2, "prompts": ["x"], "texts": ["y"], "sums": [-1], "norms": [-1], "tokens": [1],
                     "finish": ["length"], "views": 1, "questions": 1, "samples": 1}]'::jsonb)
$$;

create function interleaving.add(key text, batch text, host text default 'one', run_at timestamptz default null)
returns void
language sql
as $$ select gloss.enqueue('caption', format('https://%s.example/%s.jpg', host, key), key => key, batch => batch, run_at => run_at) $$;

create function interleaving.claim(who text, most int) returns void
language sql
as $$
    select gloss.claim(f.number, f.identity, most) from interleaving.fact f where f.name = who
$$;

-- What a worker says of the jobs that it holds.
create function interleaving.reports(outcomes jsonb) returns jsonb
language sql stable
as $$
    select jsonb_agg(jsonb_build_object('job', l.job_id, 'fence', l.fence)
        || case o.value ->> 'outcome' when 'completed' then o.value || jsonb_build_object('result', interleaving.result(j.key))
           else o.value end order by l.job_id)
    from gloss.leased l join gloss.job j on j.id = l.job_id join jsonb_each(outcomes) o on o.key = j.key
$$;

-- A job in each state, of the batch b but for some, with images at the host one but for some.
create function interleaving.build(world text) returns void
language plpgsql
as $$
declare
    place text;
begin
    delete from interleaving.fact;
    for place in select interleaving.tables() loop execute format('delete from gloss.%I', place); end loop;
    update gloss.setting set value = '0' where name = 'restart_grace';
    insert into interleaving.fact (name, number, identity)
    select n, gloss.register_worker(n, 1, '1', '{tiny}', array(select name from gloss.task), '15 s', i), i
    from (select n, gen_random_uuid() as i from unnest(array['alive', 'lost', 'other']) n) x;

    perform interleaving.add(k, 'b') from unnest(array['pruned', 'pruned-dead', 'done', 'done-again', 'dead', 'dead-tried']) k;
    perform interleaving.claim('alive', 6);
    perform gloss.record(f.number, f.identity, interleaving.reports(
        '{"pruned": {"outcome": "completed"}, "done": {"outcome": "completed"}, "done-again": {"outcome": "completed"},
          "pruned-dead": {"outcome": "failed", "permanent": true, "code": "corrupt", "reason": "no"},
          "dead": {"outcome": "failed", "permanent": true, "code": "corrupt", "reason": "no"},
          "dead-tried": {"outcome": "released", "cause": "host", "code": "http_503", "reason": "later"}}'))
    from interleaving.fact f where f.name = 'alive';
    perform interleaving.claim('alive', 1);
    perform gloss.record(f.number, f.identity, interleaving.reports(
        '{"dead-tried": {"outcome": "failed", "permanent": true, "code": "corrupt", "reason": "no"}}'))
    from interleaving.fact f where f.name = 'alive';
    update gloss.annotation a set finished_at = now() - interval '9 days' from gloss.job j where j.id = a.job_id and j.key = 'pruned';
    update gloss.dead_job d set died_at = now() - interval '9 days' from gloss.job j where j.id = d.job_id and j.key = 'pruned-dead';
    perform gloss.prune(results => '8 days', dead => '8 days');
    perform gloss.rerun(key => 'done-again');
    perform interleaving.claim('alive', 1);
    perform gloss.record(f.number, f.identity, interleaving.reports('{"done-again": {"outcome": "completed"}}'))
    from interleaving.fact f where f.name = 'alive';
    -- A job of its own, without a key: pruned, it is gone.
    perform gloss.enqueue('caption', 'https://one.example/keyless.jpg', batch => 'b');
    perform interleaving.claim('alive', 1);
    perform gloss.record(f.number, f.identity, jsonb_build_array(jsonb_build_object('job', l.job_id, 'fence', l.fence,
        'outcome', 'completed', 'result', interleaving.result('keyless'))))
    from interleaving.fact f, gloss.leased l where f.name = 'alive';

    -- Held by one that lives, and by one that is dead, of which one job was begun.
    perform interleaving.add('held-' || n, case when n < 6 then 'b' end) from generate_series(1, 6) n;
    perform interleaving.claim('alive', 6);
    perform gloss.checkpoint(f.number, f.identity, l.job_id, l.fence, 1, 0, '{}') from interleaving.fact f, gloss.leased l
    where f.name = 'alive' and l.worker = f.number;
    update interleaving.fact f set value = interleaving.reports(
        '{"held-1": {"outcome": "completed"},
          "held-2": {"outcome": "failed", "permanent": true, "code": "corrupt", "reason": "no"},
          "held-3": {"outcome": "released", "cause": "host", "code": "http_503", "reason": "later", "delay": 3600},
          "held-4": {"outcome": "failed", "permanent": false, "code": "timeout", "reason": "late"},
          "held-5": {"outcome": "released", "cause": "shutdown", "reason": "stopped"},
          "held-6": {"outcome": "completed"}}')
    where f.name = 'alive';
    perform interleaving.add('lost-' || n, 'b') from generate_series(1, 3) n;
    perform interleaving.claim('lost', 3);
    perform gloss.checkpoint(f.number, f.identity, l.job_id, l.fence, 1, 0, '{}') from interleaving.fact f, gloss.leased l
    where f.name = 'lost' and l.worker = f.number;
    update gloss.leased l set begun_at = now(), rescues = case j.key when 'lost-2' then 2 else 0 end from gloss.job j
    where j.id = l.job_id and j.key in ('lost-1', 'lost-2');
    update gloss.registered_worker w set stopped_at = now(), lost = true from interleaving.fact f
    where f.name = 'lost' and w.id = f.number;

    -- Waiting: due again, later, at once, and a suspect.
    perform interleaving.add('due', 'b', run_at => now() + interval '1 hour');
    update gloss.scheduled set run_at = now() - interval '1 s', attempts = 1;
    update gloss.job set run_at = null where key = 'due';
    perform interleaving.add('later', 'b', run_at => now() + interval '1 day');
    -- Asked for tomorrow, and tried today all the same.
    perform interleaving.add('sooner', 'b', run_at => now() + interval '1 day');
    perform gloss.cancel(key => 'sooner');
    perform gloss.retry(key => 'sooner');
    perform interleaving.add('ready-' || n, case when n < 4 then 'b' end, case n when 3 then 'two' else 'one' end)
    from generate_series(1, 4) n;
    perform interleaving.add('suspect', 'b');
    update gloss.ready r set lane = -r.lane, rescues = 2 from gloss.job j where j.id = r.job_id and j.key = 'suspect';

    if world = 'paused' then perform gloss.pause(batch => 'b'); end if;
    if world = 'host paused' then perform gloss.pause(host => 'https://one.example'); end if;
    if world = 'parked' then perform gloss.park_origin('https://one.example', '1 hour', 'http_503'); end if;
    if world in ('host paused', 'parked') then
        perform gloss.set_aside(array(select r.job_id from gloss.ready r order by 1));
    end if;
    for place in select interleaving.tables() loop
        execute format('drop table if exists interleaving.%I; create table interleaving.%1$I as select * from gloss.%1$I', place);
    end loop;
end $$;

-- Brings the tables back to what build has left.
create function interleaving.reset() returns void
language plpgsql
as $$
declare
    place text;
begin
    for place in select interleaving.tables() loop
        execute format('delete from gloss.%1$I; insert into gloss.%1$I overriding system value select * from interleaving.%1$I', place);
    end loop;
end $$;

-- What must not be, a line a fault.
create function interleaving.faults() returns setof text
language sql
as $$
    select format('misplaced: %s %s: %s', j.key, m.place, m.reason)
    from gloss.misplaced_job m left join gloss.job j on j.id = m.job_id
    union all
    select format('miscount: %s of batch %s: %s counted, %s found', c.what, c.batch, c.counted, c.found) from gloss.miscount c
    union all
    select format('a checkpoint of %s, which is not to run', coalesce(j.key, c.job_id::text))
    from gloss.checkpoint c left join gloss.job j on j.id = c.job_id
    where not exists (
        select from (select job_id from gloss.ready union all select job_id from gloss.scheduled
                     union all select job_id from gloss.paused_job union all select job_id from gloss.leased) x
        where x.job_id = c.job_id)
    union all
    select format('a row of %s without its result: job %s', x.place, x.job_id)
    from (select 'finding' as place, job_id, fence from gloss.finding
          union all select 'annotation_stage', job_id, fence from gloss.annotation_stage
          union all select 'image_use', job_id, fence from gloss.image_use) x
    where not exists (select from gloss.annotation a where a.job_id = x.job_id and a.fence = x.fence)
      and not exists (select from gloss.superseded s where s.job_id = x.job_id and s.fence = x.fence)
    union all
    select format('a result of job %s without its %s', r.job_id, x.place)
    from (select job_id, fence, image_sha256, findings from gloss.annotation
          union all select job_id, fence, image_sha256, findings from gloss.superseded) r
    cross join lateral (
        select 'finding' as place, exists (select from gloss.finding f where f.job_id = r.job_id and f.fence = r.fence) as is_there
        union all
        select 'stage', exists (select from gloss.annotation_stage s where s.job_id = r.job_id and s.fence = r.fence)
        union all
        select 'image', exists (select from gloss.image i join gloss.image_use u on u.image_id = i.id
                                where i.sha256 = r.image_sha256[1] and u.job_id = r.job_id and u.fence = r.fence)) x
    -- Those of this file have all three.
    where not x.is_there and (x.place = 'image' or r.findings > 0)
    union all
    select format('an attempt of job %s, which is gone', t.job_id)
    from gloss.attempt t where not exists (select from gloss.job j where j.id = t.job_id)
    union all
    select format('a superseded result of job %s, which is gone', s.job_id)
    from gloss.superseded s where not exists (select from gloss.job j where j.id = s.job_id)
$$;

-- Resumes and unparks everything, lets all that is to run later become due, and claims until nothing comes. What is
-- neither held nor ended then is looked at by nobody: its keys.
create function interleaving.unclaimed() returns setof text
language plpgsql
as $$
declare
    worker bigint;
    nobody constant uuid := gen_random_uuid();
begin
    perform gloss.resume(task => p.task) from gloss.paused_task p where p.task <> '';
    perform gloss.resume(everything => true);
    perform gloss.resume(batch => b.name) from gloss.batch b where b.paused;
    perform gloss.unpark_origin(h.origin) from gloss.parked_origin h;
    update gloss.scheduled set run_at = now() - interval '1 s' where isfinite(run_at);
    perform gloss.move_turns(array(select l.id from gloss.lane l), true);
    for round in 1..20 loop
        worker := gloss.register_worker('drain', 1, '1', '{tiny}', array(select name from gloss.task), '15 s', nobody);
        perform gloss.claim(worker, nobody, 100);
        exit when not found;
    end loop;
    return query
    select coalesce(j.key, 'job ' || x.job_id)
    from (select job_id from gloss.ready union all select job_id from gloss.scheduled
          union all select job_id from gloss.paused_job) x
    left join gloss.job j on j.id = x.job_id;
end $$;

-- All that is wrong after two sessions have done what they do. cancelled: what gloss.cancel said, if nobody has run its
-- jobs again or forgotten them. receipts: what gloss.record said, if nobody has forgotten its results.
create function interleaving.verdict(cancelled bigint, receipts text[]) returns setof text
language plpgsql
as $$
begin
    return query select * from interleaving.faults();
    if cancelled is not null then
        return query
        select format('cancel said %s, and %s are cancelled', cancelled, count(*))
        from gloss.dead_job d where d.code = 'cancelled' having count(*) <> cancelled
        union all
        select format('cancel left %s: %s', s.state, s.key)
        from gloss.job_state s where s.batch = 'b' and s.state not in ('done', 'dead', 'pruned') and s.key not like 'new-%';
    end if;
    if receipts is not null then
        return query
        select format('record said %s of job %s, and that is not so', x.receipt, r.report ->> 'job')
        from interleaving.fact f
        cross join lateral jsonb_array_elements(f.value) with ordinality r (report, n)
        join unnest(receipts) with ordinality x (receipt, n) on x.n = r.n
        cross join lateral (
            select exists (select from gloss.annotation a where a.fence = (r.report ->> 'fence')::bigint)
                   or exists (select from gloss.superseded s where s.fence = (r.report ->> 'fence')::bigint) as has_result,
                   exists (select from gloss.attempt t where t.fence = (r.report ->> 'fence')::bigint
                           and t.outcome in ('failed', 'released')) as has_attempt) y
        where f.name = 'alive' and case r.report ->> 'outcome' when 'completed' then y.has_result else y.has_attempt end
              <> (x.receipt <> 'stale')
          -- Given back by another way: that attempt has the same fence.
          and not (x.receipt = 'stale' and r.report ->> 'outcome' <> 'completed');
    end if;
    return query select 'nobody looks at ' || u from interleaving.unclaimed() u;
end $$;
