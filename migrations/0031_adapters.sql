-- The adapters that daemons serve, by name and digest, so that one name with two digests is seen; and the code of models that
-- cannot give what a job asks for.

set local role gloss_owner;

alter table gloss.registered_worker
    add column adapters jsonb not null default '{}';  -- {name by which jobs may ask for it: digest}

drop function gloss.register_worker;
create function gloss.register_worker(
    host text, pid int, version text, models text[], tasks text[], rescue_after interval, identity uuid,
    adapters jsonb default '{}')
returns bigint
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
set jit = off
as $$
declare
    id bigint;
begin
    if coalesce(cardinality(tasks), 0) = 0 then perform refuse('a worker must say which tasks it knows'); end if;
    if not rescue_after between '1 second' and '1 day' then
        perform refuse('rescue_after must be 1 second to 1 day, not ' || rescue_after);
    end if;
    insert into registered_worker (identity, host, pid, version, models, tasks, rescue_after, adapters)
    values (register_worker.identity, register_worker.host, register_worker.pid, register_worker.version,
        register_worker.models, register_worker.tasks, register_worker.rescue_after, register_worker.adapters)
    returning registered_worker.id into id;
    return id;
end $$;

create or replace view gloss.worker as
select w.id as worker, w.host, w.pid, w.version, w.models, w.tasks, w.started_at,
       extract(epoch from now() - w.heartbeat_at)::float8 as silent_seconds,
       (select count(*) from gloss.leased l where l.worker = w.id) as running,
       w.stopped_at is null and w.heartbeat_at > now() - w.rescue_after as alive,
       w.stopped_at, w.lost, w.stages, w.holdup, w.adapters
from gloss.registered_worker w;

insert into gloss.failure_code (code, meaning, advice, retried) values
    ('no_locations', 'The tokenizer of the model has no pieces for boxes, or none for masks.',
     'Ask for another model, or serve this one with its own tokenizer.', false);
