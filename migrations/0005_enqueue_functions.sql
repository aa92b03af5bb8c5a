-- The two ways into the queue, both on the rules of 0004: the trigger of gloss.inbox, and a function a task.

set local role gloss_owner;

create function gloss.refuse(message text) returns void
language plpgsql
as $$ begin raise exception using errcode = '22023', message = message; end $$;

-- The turn of the next job of a batch (0: of none) in a lane: after the batch's last one, and not before the one that
-- is being served. Nothing is locked, so two transactions may get the same; then the batch is served a little faster.
create function gloss.next_turn(lane int, batch int) returns bigint
language plpgsql stable
as $$
begin
    return greatest(
        (select l.turn from gloss.lane l where l.id = next_turn.lane),
        (select t.turn + 1 from gloss.tally t
         where t.batch_id = next_turn.batch and t.lane = next_turn.lane and t.turn is not null
         order by t.batch_id desc, t.lane desc, t.turn desc limit 1));
end $$;

-- Whether so much waits in a lane that its workers are awake. PostgreSQL lets transactions that notify commit one at a
-- time, each with its own wait for the disk, so sessions that enqueue one job each would wait for each other.
create function gloss.is_long(lane int) returns boolean
language plpgsql stable
set enable_sort = off
as $$
begin
    return exists (
        select from gloss.ready r
        where r.lane = is_long.lane and r.turn >= (select l.turn from gloss.lane l where l.id = is_long.lane)
        order by r.lane, r.turn offset 100 limit 1);
end $$;

-- What most rows of a bulk have in common, so that it is judged, and the spec is made, once for all of them.
create function gloss.form_of(i gloss.inbox) returns gloss.inbox
language sql immutable
as $$
    select row(null, i.task, null, null, null, null, i.batch, i.priority, null, i.max_attempts, i.model, i.language,
        i.style, i.score, i.background, i.max_tokens, i.samples, i.beams, i.temperature, i.top_k, i.top_p,
        i.seed)::gloss.inbox
$$;

-- Whether nothing is wrong with rows of this form, one image each, but perhaps with their image, texts, key and run_at.
create function gloss.is_good_form(f gloss.inbox) returns boolean
language plpgsql immutable
as $$
begin
    return f.task in ('caption', 'vqa', 'detect')
        and coalesce(gloss.style_problem(f), gloss.options_problem(f), gloss.settings_problem(f)) is null;
end $$;

-- Whether nothing is wrong with what a row has beside its form, except perhaps with its image's URL, if that has no
-- line break and is not long: such URLs may be looked at together.
create function gloss.is_plain(i gloss.inbox) returns boolean
language sql immutable
as $$
    select cardinality(i.image_urls) = 1 and length(i.image_urls[1]) <= 8192 and strpos(i.image_urls[1], E'\n') = 0
        and (i.key is null or length(i.key) between 1 and 512) and (i.run_at is null or isfinite(i.run_at))
        and case when i.task = 'caption' and num_nonnulls(i.style, i.prompt, i.texts) = 0 then true
                 else gloss.texts_problem(i, gloss.texts_of(i)) is null end
$$;

-- Moves the rows of one INSERT or COPY into the queue, set by set. Most rows are seen to be good at one look.
create function gloss.take_inbox() returns trigger
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off set enable_mergejoin = off set work_mem = '64MB'
as $$
declare
    forms inbox[];
    first_id bigint;
    last_id bigint;
    given_count bigint;
    inserted_count bigint;
    are_good boolean;
    bad record;
    -- Planned anew each time: a kept plan would be for as many rows as the session's first statement had.
    move constant text := $sql$
        with form as materialized (
            select f, l.id as lane, b.id as batch_id, coalesce(b.paused, false) as held, spec_of(f) as spec
            from unnest($1) f
            join lane l on l.task = f.task::task and l.model is not distinct from f.model
                and l.priority = coalesce(f.priority, 0)
            left join batch b on b.name = f.batch
        ), inserted as (
            insert into job (run_at, batch_id, lane, priority, max_attempts, task, key, image_urls, spec)
            select i.run_at, form.batch_id, form.lane, coalesce(i.priority, 0), coalesce(i.max_attempts, 5),
                   i.task::task, i.key, i.image_urls,
                   case when num_nonnulls(i.prompt, i.texts) = 0 then form.spec
                        else form.spec || jsonb_build_object('texts', texts_of(i::inbox)) end
            from new_rows i join form on %s
            %s
            returning id, run_at, batch_id, lane
        ), line as materialized (
            select p.*, next_turn(p.lane, coalesce(p.batch_id, 0)) as turn
            from (select distinct lane, batch_id, held from form) p
        ), placed as (
            select n.id, n.run_at, n.lane, n.batch_id, line.held, coalesce(n.run_at > now(), false) as later,
                   line.turn - 1 + row_number() over (partition by n.lane, n.batch_id order by n.id) as turn
            from inserted n join line on line.lane = n.lane and line.batch_id is not distinct from n.batch_id
        ), as_held as (
            insert into held select batch_id, id, case when later then run_at end, 0, 0 from placed where held
        ), as_scheduled as (
            insert into scheduled select id, run_at, 0, 0 from placed where later and not held
        ), as_ready as (
            insert into ready (lane, attempts, rescues, turn, job_id)
            select lane, 0, 0, turn, id from placed where not later and not held
        ), counted as (
            insert into tally (batch_id, lane, enqueued, turn)
            select coalesce(batch_id, 0), lane, count(*), max(turn) filter (where not later and not held)
            from placed group by 1, 2
        )
        select count(*) from placed $sql$;
begin
    select array_agg(form), sum(count), min(first), max(last), bool_and(are_plain and is_good_form(form))
    into forms, given_count, first_id, last_id, are_good
    from (
        select form, sum(count) as count, min(first) as first, max(last) as last, bool_and(are_plain) as are_plain
        from (
            select form_of(i::inbox) as form, count(*) as count, min(id) as first, max(id) as last,
                   bool_and(is_plain(i::inbox) is true) and are_plain_urls(
                       string_agg(i.image_urls[1], E'\n') filter (where length(i.image_urls[1]) <= 8192)) as are_plain
            from new_rows i group by 1, id / 100) x
        group by form) y;
    if forms is null then return null; end if;

    if are_good is not true then
        select id, key, problem, count(*) over () as count into bad
        from (
            select i.id, i.key,
                   case when form.is_good and is_plain(i::inbox) and is_plain_url(i.image_urls[1]) then null
                        else problem(i::inbox) end as problem
            from new_rows i join (select f, is_good_form(f) as is_good from unnest(forms) f) form
                on form.f = form_of(i::inbox)) checked
        where problem is not null order by id limit 1;
        if found then
            raise exception using errcode = '22023',
                message = format('row %s%s: %s', (select count(*) from new_rows i where i.id <= bad.id),
                    ' (key "' || left(bad.key, 200) || '")', bad.problem),
                detail = format('%s of %s rows are no good; nothing was enqueued', bad.count, given_count);
        end if;
    end if;

    insert into batch (name)
    select distinct f.batch from unnest(forms) f
    where f.batch is not null and not exists (select from batch b where b.name = f.batch)
    on conflict do nothing;
    insert into lane (task, model, priority)
    select f.task::task, f.model, coalesce(f.priority, 0) from unnest(forms) f
    except select task, model, priority from lane
    on conflict do nothing;

    -- That keys are new is taken for granted at first: to look them up before each insert takes a third of its time.
    for attempt in 1..2 loop
        begin
            execute format(move, case cardinality(forms) when 1 then 'true' else 'form.f = form_of(i::inbox)' end,
                case cardinality(forms) when 1 then '' else 'order by i.id' end
                || case attempt when 1 then '' else ' on conflict (task, key) where key is not null do nothing' end)
            into inserted_count using forms;
            exit;
        exception when unique_violation then
            if attempt = 2 then raise; end if;
        end;
    end loop;

    if inserted_count < given_count then perform refuse_conflicts(array(
        select i from (select j.id as job_id, row_number() over (order by i.id) as n, i::inbox as i
                       from new_rows i join job j on j.key = i.key and j.task = i.task::task
                       where not is_same(j, i.image_urls, spec_of(i::inbox), i.model)
                       order by i.id limit 3) x));
    end if;

    delete from inbox where id between first_id and last_id;
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

create function gloss.lane_of(task gloss.task, model text, priority int) returns int
language plpgsql
as $$
declare
    found_id int;
begin
    select l.id into found_id from gloss.lane l
    where l.task = lane_of.task and l.model is not distinct from lane_of.model and l.priority = lane_of.priority;
    if found_id is null then
        insert into gloss.lane (task, model, priority) values (lane_of.task, lane_of.model, lane_of.priority)
        on conflict do nothing;
        select l.id into found_id from gloss.lane l
        where l.task = lane_of.task and l.model is not distinct from lane_of.model and l.priority = lane_of.priority;
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
    turn bigint;
begin
    if problem is not null then perform gloss.refuse(problem); end if;
    j.spec := gloss.spec_of(i);
    j.batch_id := gloss.batch_of(i.batch);
    j.priority := coalesce(i.priority, 0);
    j.lane := gloss.lane_of(i.task::gloss.task, i.model, j.priority);

    insert into gloss.job (run_at, batch_id, lane, priority, max_attempts, task, key, image_urls, spec)
    values (i.run_at, j.batch_id, j.lane, j.priority, coalesce(i.max_attempts, 5), i.task::gloss.task, i.key,
            i.image_urls, j.spec)
    on conflict (task, key) where key is not null do nothing
    returning id into j.id;

    if j.id is null then
        select o.id, case when gloss.is_same(o, i.image_urls, j.spec, i.model) then 'duplicate' else 'conflict' end
        into enqueue_row.job_id, enqueue_row.outcome
        from gloss.job o where o.task = i.task::gloss.task and o.key = i.key;
        return;
    end if;
    if (select paused from gloss.batch where id = j.batch_id) then
        insert into gloss.held values (j.batch_id, j.id, case when later then i.run_at end, 0, 0);
    elsif later then
        insert into gloss.scheduled values (j.id, i.run_at, 0, 0);
    else
        turn := gloss.next_turn(j.lane, coalesce(j.batch_id, 0));
        insert into gloss.ready (lane, attempts, rescues, turn, job_id) values (j.lane, 0, 0, turn, j.id);
    end if;
    insert into gloss.tally (batch_id, lane, enqueued, turn) values (coalesce(j.batch_id, 0), j.lane, 1, turn);
    if not gloss.is_long(j.lane) then perform gloss.notify_ready(); end if;
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
