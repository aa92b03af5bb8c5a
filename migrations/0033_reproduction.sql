-- What came of running results again (glossctl reproduce --keep), for doctor. It goes with the result.

set local role gloss_owner;

create table gloss.reproduction (
    id              bigint generated always as identity primary key,
    job_id          bigint not null,
    fence           bigint not null,      -- the result that was run again: of gloss.annotation or gloss.superseded
    at              timestamptz not null default now(),
    host            text not null,        -- where it was run again
    version         text not null,        -- of gloss, there
    instruction_set text not null,
    threads         int not null,
    outcome         text not null check (outcome in ('same', 'image_changed', 'image_not_fetched', 'model_not_here',
                        'other_precision', 'other_version', 'differs', 'failed')),
    detail          text                  -- what differs
);
create index reproduction_job on gloss.reproduction (job_id);
create index reproduction_at on gloss.reproduction (at);

-- Keeps an outcome, unless the result is gone.
create function gloss.keep_reproduction(
    job bigint, fence bigint, host text, version text, instruction_set text, threads int, outcome text, detail text)
returns void
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
begin
    -- Who forgets the job meanwhile waits, and then deletes this row, too.
    perform from annotation a
    where a.job_id = keep_reproduction.job and a.fence = keep_reproduction.fence for key share;
    if not found then
        perform from superseded s
        where s.job_id = keep_reproduction.job and s.fence = keep_reproduction.fence for key share;
        if not found then return; end if;
    end if;
    insert into reproduction (job_id, fence, host, version, instruction_set, threads, outcome, detail)
    values (keep_reproduction.job, keep_reproduction.fence, keep_reproduction.host, keep_reproduction.version,
        keep_reproduction.instruction_set, keep_reproduction.threads, keep_reproduction.outcome,
        keep_reproduction.detail);
end $$;

-- Takes away all that belongs to jobs but their rows in gloss.job. Images that no other result names are marked, and
-- go with one of the next calls of gloss.maintain.
create or replace function gloss.erase(jobs bigint[]) returns void
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
    delete from gloss.reproduction r where r.job_id = any (jobs);
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

insert into gloss.privilege (grantee, privilege, object) values ('gloss_admin', 'execute', 'keep_reproduction');
