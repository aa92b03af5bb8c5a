-- The two ways into the queue, both on the rules of 0004: the trigger of gloss.inbox, and a function a task.

set local role gloss_owner;

create function gloss.refuse(message text) returns void
language plpgsql
as $$ begin raise exception using errcode = '22023', message = message; end $$;

-- Moves the rows of one INSERT or COPY into the queue, set by set.
create function gloss.take_inbox() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
declare
    bad record;
    row_count bigint;
    inserted_count bigint;
begin
    select count(*) into row_count from new_rows;
    if row_count = 0 then return null; end if;

    select * into bad from (
        select n, key, problem, count(*) over () as bad_count
        from (select row_number() over (order by i.id) as n, i.key, gloss.problem(i::gloss.inbox) as problem
              from new_rows i) checked
        where problem is not null) found
    order by n limit 1;
    if found then
        raise exception using errcode = '22023',
            message = format('row %s%s: %s', bad.n, ' (key "' || bad.key || '")', bad.problem),
            detail = format('%s of %s rows are no good; nothing was enqueued', bad.bad_count, row_count);
    end if;

    insert into batch (name) select distinct i.batch from new_rows i where i.batch is not null
    on conflict do nothing;
    insert into lane (task, model)
    select distinct i.task::task, i.model from new_rows i where i.model is not null
    on conflict do nothing;

    with inserted as (
        insert into job (run_at, batch_id, lane, priority, max_attempts, task, key, image_urls, spec)
        select i.run_at, b.id, l.id, coalesce(i.priority, 0), coalesce(i.max_attempts, 5), i.task::task, i.key,
               i.image_urls, spec_of(i::inbox)
        from new_rows i
        join lane l on l.task = i.task::task and l.model is not distinct from i.model
        left join batch b on b.name = i.batch
        order by i.id
        on conflict (task, key) where key is not null do nothing
        returning id, run_at, batch_id, lane, priority
    ), placed as (
        select n.*, coalesce(b.paused, false) as held, coalesce(n.run_at > now(), false) as later
        from inserted n left join batch b on b.id = n.batch_id
    ), as_held as (
        insert into held select batch_id, id, case when later then run_at end, 0, 0 from placed where held
    ), as_scheduled as (
        insert into scheduled select id, run_at, 0, 0 from placed where later and not held
    ), as_ready as (
        insert into ready select lane, priority, id, 0, 0 from placed where not later and not held
    ), counted as (
        insert into tally (batch_id, lane, enqueued)
        select coalesce(batch_id, 0), lane, count(*) from placed group by 1, 2
    )
    select count(*) into inserted_count from placed;

    if inserted_count < row_count then perform refuse_conflicts(array(
        select i from (select j.id as job_id, row_number() over (order by i.id) as n, i::inbox as i
                       from new_rows i join job j on j.key = i.key and j.task = i.task::task
                       join lane l on l.id = j.lane
                       where (j.image_urls, j.spec, l.model) is distinct from (i.image_urls, spec_of(i::inbox), i.model)
                       order by i.id limit 3) x));
    end if;

    delete from inbox where id in (select id from new_rows);
    if inserted_count > 0 then perform notify_ready(); end if;
    return null;
end $$;

-- Rows whose key names another job: an error, since an INSERT has no other way to say so.
create function gloss.refuse_conflicts(rows gloss.inbox[]) returns void
language plpgsql
as $$
begin
    if cardinality(rows) > 0 then
        raise exception using errcode = '23505',
            message = format('the key "%s" already names another %s job', rows[1].key, rows[1].task),
            detail = 'A key names one job of its task, with its images, prompt, model and settings; '
                || 'other keys of this statement with the same trouble: '
                || coalesce((select string_agg(r.key, ', ') from unnest(rows[2:]) r), 'none'),
            hint = 'Add to the key what tells the jobs apart, such as row-17/colour, or: select gloss.forget(key => …)';
    end if;
end $$;

create trigger take_inbox after insert on gloss.inbox
referencing new table as new_rows for each statement execute function gloss.take_inbox();

create function gloss.batch_of(batch_name text) returns int
language plpgsql
as $$
declare
    found_id int;
begin
    if batch_name is null then return null; end if;
    select id into found_id from gloss.batch where name = batch_name;
    if found_id is null then
        insert into gloss.batch (name) values (batch_name) on conflict do nothing;
        select id into found_id from gloss.batch where name = batch_name;
    end if;
    return found_id;
end $$;

create function gloss.lane_of(task gloss.task, model text) returns smallint
language plpgsql
as $$
declare
    found_id smallint;
begin
    select l.id into found_id from gloss.lane l
    where l.task = lane_of.task and l.model is not distinct from lane_of.model;
    if found_id is null then
        insert into gloss.lane (task, model) values (lane_of.task, lane_of.model) on conflict do nothing;
        select l.id into found_id from gloss.lane l
        where l.task = lane_of.task and l.model is not distinct from lane_of.model;
    end if;
    return found_id;
end $$;

-- One submission.
create function gloss.enqueue_row(i gloss.inbox, out job_id bigint, out outcome text)
language plpgsql
as $$
#variable_conflict use_column
declare
    j gloss.job;
    problem constant text := gloss.problem(i);
    later constant boolean := coalesce(i.run_at > now(), false);
begin
    if problem is not null then perform gloss.refuse(problem); end if;
    j.spec := gloss.spec_of(i);
    j.lane := gloss.lane_of(i.task::gloss.task, i.model);
    j.batch_id := gloss.batch_of(i.batch);
    j.priority := coalesce(i.priority, 0);

    insert into gloss.job (run_at, batch_id, lane, priority, max_attempts, task, key, image_urls, spec)
    values (i.run_at, j.batch_id, j.lane, j.priority, coalesce(i.max_attempts, 5), i.task::gloss.task, i.key,
            i.image_urls, j.spec)
    on conflict (task, key) where key is not null do nothing
    returning id into j.id;

    if j.id is null then
        select o.id, case when (o.image_urls, o.spec, o.lane) is not distinct from (i.image_urls, j.spec, j.lane)
                          then 'duplicate' else 'conflict' end
        into enqueue_row.job_id, enqueue_row.outcome
        from gloss.job o where o.task = i.task::gloss.task and o.key = i.key;
        return;
    end if;
    if (select paused from gloss.batch where id = j.batch_id) then
        insert into gloss.held values (j.batch_id, j.id, case when later then i.run_at end, 0, 0);
    elsif later then
        insert into gloss.scheduled values (j.id, i.run_at, 0, 0);
    else
        insert into gloss.ready values (j.lane, j.priority, j.id, 0, 0);
    end if;
    insert into gloss.tally (batch_id, lane, enqueued) values (coalesce(j.batch_id, 0), j.lane, 1);
    perform gloss.notify_ready();
    enqueue_row.job_id := j.id;
    enqueue_row.outcome := 'inserted';
end $$;

-- A submission as JSON: the columns of gloss.inbox, and run_in, seconds from now, instead of run_at.
create function gloss.enqueue_json(submission jsonb, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select * from gloss.enqueue_row(jsonb_populate_record(null::gloss.inbox, submission
        || case when (submission ->> 'run_in')::float8 > 0
           then jsonb_build_object('run_at', now() + make_interval(secs => (submission ->> 'run_in')::float8))
           else '{}' end))
$$;

create function gloss.enqueue_caption(
    url text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, prompt text default null, max_tokens int default null, samples int default null,
    beams int default null, temperature real default null, top_k int default null, top_p real default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select * from gloss.enqueue_row(row(null, 'caption', array[url], prompt, null, key, batch, priority, run_at,
        max_attempts, model, language, style, null, background, max_tokens, samples, beams, temperature, top_k, top_p,
        seed)::gloss.inbox)
$$;

create function gloss.enqueue_vqa(
    url text, question text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, max_tokens int default null, samples int default null, beams int default null,
    temperature real default null, top_k int default null, top_p real default null, seed bigint default null,
    background text default null, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select * from gloss.enqueue_row(row(null, 'vqa', array[url], question, null, key, batch, priority, run_at,
        max_attempts, model, language, style, null, background, max_tokens, samples, beams, temperature, top_k, top_p,
        seed)::gloss.inbox)
$$;

create function gloss.enqueue_detect(
    url text, things text[], key text default null, batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    max_tokens int default null, temperature real default null, top_k int default null, top_p real default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select * from gloss.enqueue_row(row(null, 'detect', array[url], null, things, key, batch, priority, run_at,
        max_attempts, model, null, null, null, background, max_tokens, null, null, temperature, top_k, top_p,
        seed)::gloss.inbox)
$$;

create function gloss.enqueue_multiview(
    object text, view_urls text[], questions text[] default null, samples int default 5, key text default null,
    language text default 'en', score text default 'sum', batch text default null, priority int default 0,
    run_at timestamptz default null, max_attempts int default 5, model text default null, style text default null,
    max_tokens int default null, temperature real default null, top_k int default null, top_p real default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language sql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
    select * from gloss.enqueue_row(row(null, 'multiview', view_urls, null, questions, coalesce(key, object), batch,
        priority, run_at, max_attempts, model, language, style, score, background, max_tokens, samples, null,
        temperature, top_k, top_p, seed)::gloss.inbox)
$$;
