-- What keeps the tables small: forget and prune, which a person or a timer calls, and maintain, which daemons call too.
-- Each call does a bounded piece of work.

set local role gloss_owner;

-- Takes away all that belongs to jobs but their rows in gloss.job. Images that no other result names are marked, and
-- go with one of the next calls of gloss.maintain.
create function gloss.erase(jobs bigint[]) returns void
language plpgsql
as $$
declare
    images bytea[];
begin
    select array_agg(distinct n.sha256) into images
    from (
        select unnest(a.image_sha256) as sha256 from gloss.annotation a where a.job_id = any (jobs)
        union all
        select unnest(s.image_sha256) from gloss.superseded s where s.job_id = any (jobs)) n;
    if images is not null then
        -- Of two that erase the last two results of an image, the later one sees that neither is left.
        perform from gloss.image i where i.sha256 = any (images) order by i.sha256 for update;
        delete from gloss.image_link u using gloss.image i
        where i.sha256 = any (images) and u.image_id = i.id and u.job_id = any (jobs);
    end if;
    delete from gloss.annotation a where a.job_id = any (jobs);
    delete from gloss.superseded s where s.job_id = any (jobs);
    delete from gloss.finding f where f.job_id = any (jobs);
    delete from gloss.annotation_stage s where s.job_id = any (jobs);
    delete from gloss.attempt t where t.job_id = any (jobs);
    delete from gloss.checkpoint c where c.job_id = any (jobs);
    if images is not null then
        update gloss.image i set idle_since = now(), idle_xid = null
        where i.sha256 in (
            select o.sha256 from gloss.image o
            where o.sha256 = any (images) and o.idle_since is null
              and not exists (select from gloss.image_link u where u.image_id = o.id)
              and not exists (select from gloss.annotation a where a.job_id = o.job_id and a.fence = o.fence)
              and not exists (select from gloss.superseded s where s.job_id = o.job_id and s.fence = o.fence)
            order by o.sha256 for update);
    end if;
end $$;

-- Deletes rows of gloss.job and counts them out of gloss.total; forgotten: also out of what was enqueued, done and dead.
create function gloss.delete_jobs(jobs bigint[], done bigint[], dead bigint[], forgotten boolean) returns bigint
language plpgsql
as $$
declare
    total bigint;
begin
    with gone as (
        delete from gloss.job j where j.id = any (jobs)
        returning j.id, coalesce(j.batch_id, 0) as batch, j.kind, j.priority
    ), counted as (
        select g.batch, g.kind, g.priority, count(*)::int as count,
               (count(*) filter (where g.id = any (done)))::int as done,
               (count(*) filter (where g.id = any (dead)))::int as dead
        from gone g group by g.batch, g.kind, g.priority
    ), tallied as (
        insert into gloss.tally (batch_id, lane, jobs, enqueued, done, dead)
        select c.batch, gloss.lane_of(c.kind, c.priority), -c.count, case when forgotten then -c.count else 0 end,
            case when forgotten then -c.done else 0 end, case when forgotten then -c.dead else 0 end
        from counted c
    )
    select coalesce(sum(c.count), 0) into total from counted c;
    return total;
end $$;

-- Deletes finished, dead and pruned jobs with their results and frees their keys: `most` of them, so that no transaction
-- is long. Returns how many; call it again until that is 0.
create function gloss.forget(
    job bigint default null, key text default null, batch text default null, task text default null,
    most int default 10000) returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    jobs bigint[];
    done bigint[];
    dead bigint[];
    pruned bigint[];
begin
    perform pg_current_xact_id();
    -- Who forgets the same jobs at the same time takes others.
    execute format($sql$
        select array(select j.id from job j
                     where %s and (j.image_urls = '{}' or exists (select from annotation a where a.job_id = j.id)
                                   or exists (select from dead_job d where d.job_id = j.id))
                     order by j.id limit $1 for update of j skip locked) $sql$,
        selection(job, key, batch, task, false)) into jobs using most;
    -- A job that is run again at this moment is neither.
    with locked as (
        select a.job_id from annotation a where a.job_id = any (jobs) order by a.job_id for update
    )
    select coalesce(array_agg(l.job_id), '{}') into done from locked l;
    with locked as (
        select d.job_id from dead_job d where d.job_id = any (jobs) order by d.job_id for update
    )
    select coalesce(array_agg(l.job_id), '{}') into dead from locked l;
    pruned := array(select j.id from job j where j.id = any (jobs) and j.image_urls = '{}');
    perform erase(done || dead || pruned);
    delete from dead_job d where d.job_id = any (dead);
    done := done || array(select j.id from job j where j.id = any (pruned) and j.spec ->> 'was' = 'done');
    dead := dead || array(select j.id from job j where j.id = any (pruned) and j.spec ->> 'was' = 'dead');
    return delete_jobs(done || dead || pruned, done, dead, true);
end $$;

-- Keeps of ended jobs, which are erased, what is needed to know their keys again. One without a key is gone.
create function gloss.prune_jobs(jobs bigint[], was text) returns void
language plpgsql
as $$
begin
    perform gloss.delete_jobs(array(select j.id from gloss.job j where j.id = any (jobs) and j.key is null), '{}', '{}',
        false);
    update gloss.job j
    set image_urls = '{}', spec = jsonb_build_object('was', was, 'pruned', gloss.digest_of(j.image_urls, j.spec))
    where j.id = any (jobs);
end $$;

-- Deletes what is older than it has to be kept (null: for ever): the history of attempts, results with their jobs, dead
-- jobs, and keys of jobs that were pruned, by the age of the job. Until then keys stay: enqueued again, they say duplicate
-- or conflict as before. Counts stay. At most `most` of each, so that no transaction is long: call it again until nothing
-- is deleted.
create function gloss.prune(
    history interval default '30 days', results interval default null, dead interval default null,
    keys interval default null, most int default 10000,
    out attempts_deleted bigint, out results_deleted bigint, out dead_deleted bigint, out keys_deleted bigint)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
declare
    jobs bigint[];
    dead_jobs bigint[];
begin
    if least(history, results, dead, keys) < '0' then perform refuse('keep nothing for less than no time'); end if;
    perform pg_current_xact_id();
    -- With the jobs themselves, as gloss.forget takes them: so neither waits for the other.
    jobs := array(select a.job_id from annotation a join job j on j.id = a.job_id where a.finished_at < now() - results
                  order by a.finished_at limit most for update skip locked);
    results_deleted := cardinality(jobs);
    dead_jobs := array(select d.job_id from dead_job d join job j on j.id = d.job_id where d.died_at < now() - dead
                       order by d.died_at limit most for update skip locked);
    dead_deleted := cardinality(dead_jobs);
    perform erase(jobs || dead_jobs);
    delete from dead_job d where d.job_id = any (dead_jobs);
    perform prune_jobs(jobs, 'done');
    perform prune_jobs(dead_jobs, 'dead');

    jobs := array(select j.id from job j where j.image_urls = '{}' and j.created_at < now() - keys
                  order by j.created_at limit most for update skip locked);
    keys_deleted := delete_jobs(jobs, '{}', '{}', false);

    with old as (
        select t.job_id, t.fence from attempt t where t.at < now() - history
        order by t.at limit most for update skip locked
    )
    delete from attempt t using old where t.job_id = old.job_id and t.fence = old.fence;
    get diagnostics attempts_deleted = row_count;
end $$;

-- Adds up to `most` new counts to the sums and deletes them. Only one at a time (gloss.maintain).
create function gloss.fold_counts(most int) returns bigint
language plpgsql
as $$
declare
    folded bigint;
begin
    with taken as (
        delete from gloss.tally t
        where t.ctid = any (array(select x.ctid from gloss.tally x limit most for update skip locked))
        returning t.*
    ), by_kind as (
        select t.batch_id, l.kind, sum(t.enqueued) as enqueued, sum(t.done) as done, sum(t.dead) as dead,
               sum(t.jobs) as jobs
        from taken t join gloss.lane l on l.id = t.lane group by t.batch_id, l.kind
    ), summed as (
        insert into gloss.total as o (batch_id, kind, enqueued, done, dead, jobs)
        select k.batch_id, k.kind, k.enqueued, k.done, k.dead, k.jobs from by_kind k
        on conflict (batch_id, kind) do update
            set enqueued = o.enqueued + excluded.enqueued, done = o.done + excluded.done, dead = o.dead + excluded.dead,
                jobs = o.jobs + excluded.jobs
    ), by_lane as (
        select t.batch_id, t.lane, max(t.turn) as turn from taken t where t.turn > 0 group by t.batch_id, t.lane
    ), turned as (
        insert into gloss.batch_turn as o (batch_id, lane, turn)
        select b.batch_id, b.lane, b.turn from by_lane b join gloss.lane l on l.id = b.lane where b.turn >= l.turn
        on conflict (batch_id, lane) do update set turn = greatest(o.turn, excluded.turn)
    ), by_minute as (
        select t.batch_id, t.minute, sum(t.done + t.dead) as ended
        from taken t where t.done + t.dead > 0 and t.batch_id > 0 and t.minute > now() - interval '16 minutes'
        group by t.batch_id, t.minute
    ), rated as (
        insert into gloss.rate as o (batch_id, minute, ended) select m.batch_id, m.minute, m.ended from by_minute m
        on conflict (batch_id, minute) do update set ended = o.ended + excluded.ended
    )
    select count(*) into folded from taken;
    return folded;
end $$;

-- Whether a chore is due, and notes that it is done now.
create function gloss.is_due(chore text, every interval) returns boolean
language plpgsql
as $$
begin
    insert into gloss.chore as c (name, done_at) values (chore, clock_timestamp())
    on conflict (name) do update set done_at = excluded.done_at
        where c.done_at not between clock_timestamp() - every and clock_timestamp();
    return found;
end $$;

-- Jobs that nobody would look at again: paused in a batch that is not, or waiting for a host that nobody has paused. There
-- are none, unless somebody changed tables by hand; this is the net below the locks of 0011, 0013 and 0017.
create function gloss.requeue_stranded() returns bigint
language plpgsql
as $$
declare
    jobs bigint[];
begin
    -- One look for each batch, however many jobs it has.
    with recursive batch_with as (
        (select p.batch_id from gloss.paused_job p order by p.batch_id limit 1)
        union all
        select (select p.batch_id from gloss.paused_job p where p.batch_id > b.batch_id order by p.batch_id limit 1)
        from batch_with b where b.batch_id is not null
    )
    select array_agg(x.job_id) into jobs
    from (
        (select p.job_id from batch_with w
         join gloss.paused_job p on p.batch_id = w.batch_id
         where not exists (select from gloss.batch b where b.id = w.batch_id and b.paused) limit 1000)
        union all
        (select s.job_id from gloss.awaited_origins() w
         join gloss.scheduled s on s.origin = w and s.run_at = 'infinity'
         where not exists (select from gloss.parked_origin h where h.origin = w and h.until = 'infinity')
         limit 1000)
        union all
        (select s.job_id from gloss.scheduled s where s.run_at = 'infinity' and s.origin is null limit 1000)) x;
    if jobs is null then return 0; end if;
    return gloss.requeue(jobs, '{paused,scheduled}');
end $$;

-- The condition under which a row (x) of a table is used by nothing.
create function gloss.idle_condition(place text) returns text
language sql immutable
return case place
    when 'batch' then $sql$ not x.paused and x.created_at < now() - interval '1 hour'
        and not exists (select from gloss.total t where t.batch_id = x.id and t.jobs <> 0)
        and not exists (select from gloss.tally t where t.batch_id = x.id) $sql$
    when 'lane' then $sql$ x.moved_at < now() - interval '1 hour'
        and (x.priority <> 0 or exists (select from gloss.kind k where k.id = x.kind and k.model <> ''))
        and not exists (select from gloss.ready r where r.lane = x.id)
        and not exists (select from gloss.ready r where r.lane = -x.id)
        and not exists (select from gloss.leased r where r.lane = x.id)
        and not exists (select from gloss.tally t where t.lane = x.id) $sql$
    when 'kind' then $sql$ x.model <> ''
        and not exists (select from gloss.lane l where l.kind = x.id)
        and not exists (select from gloss.total t where t.kind = x.id and t.jobs <> 0) $sql$
    when 'image' then $sql$ not exists (select from gloss.image_link u where u.image_id = x.id)
        and not exists (select from gloss.annotation a where a.job_id = x.job_id and a.fence = x.fence)
        and not exists (select from gloss.superseded s where s.job_id = x.job_id and s.fence = x.fence) $sql$ end;

-- Removes rows of batch, lane, kind or image that nothing uses, in three steps, so that nobody can be using one:
--   1. mark: idle_since. Who looks a marked row up unmarks it (batch_of, kind_of, lane_of, note_images). Images are
--      marked by gloss.erase; of the others `most` are looked at in a call, from where the last one ended.
--   2. after `keep`, in a later transaction, note its number (idle_xid): who looked before the mark has a lower one, since
--      whoever looks has drawn a number before.
--   3. when all lower ones have ended, and the row is still unused, delete it.
-- Returns how many were deleted.
create function gloss.remove_idle(place text, keep interval, most int) returns bigint
language plpgsql
as $$
declare
    condition constant text := gloss.idle_condition(place);
    start bigint;
    last bigint;
    removed bigint[];
begin
    if place <> 'image' then
        insert into gloss.chore (name) values ('mark ' || place) on conflict do nothing;
        select c.place into start from gloss.chore c where c.name = 'mark ' || remove_idle.place;
        execute format('select max(id) from (select id from gloss.%I where id > $1 order by id limit $2) x', place)
        into last using start, most;
        execute format($sql$
            update gloss.%1$I y set idle_since = now(), idle_xid = null
            where y.id in (select x.id from gloss.%1$I x
                           where x.id > $1 and x.id <= $2 and x.idle_since is null and %2$s
                           order by x.id for update skip locked) $sql$, place, condition) using start, last;
        update gloss.chore c set place = coalesce(last, 0) where c.name = 'mark ' || remove_idle.place;
    end if;
    execute format($sql$
        update gloss.%1$I y set idle_xid = pg_current_xact_id()
        where y.id in (select x.id from gloss.%1$I x
                       where x.idle_since < now() - $1
                         -- One of the future is that of another cluster, from which this one was restored.
                         and coalesce(x.idle_xid > pg_current_xact_id(), true)
                       order by x.id limit $2 for update skip locked) $sql$, place) using keep, most;
    execute format($sql$
        with gone as (
            delete from gloss.%1$I y
            where y.id in (select x.id from gloss.%1$I x
                           where x.idle_xid <= pg_snapshot_xmin(pg_current_snapshot()) and %2$s
                           order by x.id limit $1 for update skip locked)
            returning y.id
        )
        select coalesce(array_agg(g.id), '{}') from gone g $sql$, place, condition) into removed using most;
    -- Somebody took it up before he could see the mark.
    execute format($sql$
        update gloss.%1$I y set idle_since = null, idle_xid = null
        where y.id in (select x.id from gloss.%1$I x
                       where x.idle_xid <= pg_snapshot_xmin(pg_current_snapshot()) and not (%2$s)
                       order by x.id limit $1 for update skip locked) $sql$, place, condition) using most;

    -- What counted for them counts on for the task.
    if place = 'batch' and removed <> '{}' then
        with gone as (
            delete from gloss.total t where t.batch_id = any (removed) returning t.*
        )
        insert into gloss.total as o (batch_id, kind, enqueued, done, dead, jobs)
        select 0, g.kind, sum(g.enqueued), sum(g.done), sum(g.dead), 0 from gone g group by g.kind
        on conflict (batch_id, kind) do update
            set enqueued = o.enqueued + excluded.enqueued, done = o.done + excluded.done, dead = o.dead + excluded.dead;
        delete from gloss.batch_turn b where b.batch_id = any (removed);
        delete from gloss.rate r where r.batch_id = any (removed);
    elsif place = 'lane' then
        delete from gloss.batch_turn b where b.lane = any (removed);
    elsif place = 'kind' then
        delete from gloss.total t where t.kind = any (removed);
    end if;
    return cardinality(removed);
end $$;

-- Small chores that keep the queue quick: daemons call it every few seconds, and only one at a time works. at_once: those
-- too that are not due yet. Returns what was done; call it again until that is nothing, if all is to be done.
create function gloss.maintain(
    at_once boolean default false, out folded bigint, out requeued bigint, out removed bigint)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    keep interval;
    count bigint;
begin
    folded := 0;
    requeued := 0;
    removed := 0;
    if not pg_try_advisory_xact_lock(hashtext('gloss.maintain')) then return; end if;
    perform pg_current_xact_id();
    if at_once or is_due('fold counts', '5 seconds')
        and (select count(*) from (select from tally limit 501) x) > 500 or is_due('fold the rest', '1 minute') then
        folded := fold_counts(10000);
    end if;
    if at_once or is_due('sweep turns', '10 seconds') then
        perform move_turns(array(select l.id from lane l), true);
    end if;
    if at_once or is_due('stranded jobs', '30 seconds') then requeued := requeue_stranded(); end if;
    if at_once or is_due('idle rows', '1 minute') then
        keep := setting_of('keep_empty')::interval;
        removed := remove_idle('batch', keep, 1000) + remove_idle('lane', keep, 1000) + remove_idle('kind', keep, 1000)
            + remove_idle('image', '0', 1000);
        delete from registered_worker w
        where w.id in (select x.id from registered_worker x
                       where x.is_cleared and x.stopped_at < now() - setting_of('keep_workers')::interval
                       order by x.id limit 1000 for update skip locked);
        get diagnostics count = row_count;
        removed := removed + count;
        delete from parked_origin h
        where h.origin in (select o.origin from parked_origin o
                           where o.until < now() - setting_of('keep_parked')::interval
                           order by o.origin limit 1000 for update skip locked);
        get diagnostics count = row_count;
        removed := removed + count;
        delete from rate r where r.minute < now() - interval '16 minutes';
        delete from batch_turn b using lane l where l.id = b.lane and b.turn < l.turn;
    end if;
end $$;
