-- Who may do what. Producers and workers get functions and no tables, except that a producer may INSERT into the
-- inbox. Nothing is granted to PUBLIC.

set local role gloss_owner;

revoke all on all tables in schema gloss from public;
revoke all on all functions in schema gloss from public;
revoke all on schema gloss from public;

grant usage on schema gloss to gloss_producer, gloss_worker, gloss_reader, gloss_admin;
grant execute on function gloss.schema_version() to gloss_producer, gloss_worker, gloss_reader, gloss_admin;

grant insert on gloss.inbox to gloss_producer, gloss_admin;
grant execute on function gloss.enqueue_json(jsonb) to gloss_producer, gloss_admin;
do $$
declare
    f regprocedure;
begin
    for f in select oid from pg_proc
             where pronamespace = 'gloss'::regnamespace
               and proname in ('enqueue_caption', 'enqueue_vqa', 'enqueue_detect', 'enqueue_multiview')
    loop
        execute format('grant execute on function %s to gloss_producer, gloss_admin', f);
    end loop;
    for f in select oid from pg_proc
             where pronamespace = 'gloss'::regnamespace
               and proname in ('register_worker', 'claim', 'heartbeat', 'checkpoint', 'record', 'announce',
                               'rescue', 'deregister_worker', 'release_unheld', 'park_host')
    loop
        execute format('grant execute on function %s to gloss_worker', f);
    end loop;
    for f in select oid from pg_proc
             where pronamespace = 'gloss'::regnamespace
               and proname in ('cancel', 'retry', 'rerun', 'pause', 'resume', 'park_host', 'unpark_host', 'forget',
                               'prune')
    loop
        execute format('grant execute on function %s to gloss_admin', f);
    end loop;
end $$;

grant select on all tables in schema gloss to gloss_reader, gloss_admin;
grant execute on function gloss.schema_objects() to gloss_reader, gloss_admin;
grant execute on function gloss.jobs(text, text, text, text, int, bigint), gloss.explain(bigint),
    gloss.finish_reason(smallint[], bigint), gloss.host_of(text) to gloss_reader, gloss_admin;
