-- So many dead jobs more, for acting on all of them at once. Variables: rows.
\set ON_ERROR_STOP on
begin;
select count(*) from generate_series(1, :rows) n,
    gloss.enqueue_caption(format('https://many.example.com/%s.jpg', n), key => 'many-' || n, batch => 'many');
with dead as (
    delete from gloss.ready r using gloss.job j where j.id = r.job_id and j.key like 'many-%' returning j.id
), attempt as (
    insert into gloss.attempt (job_id, fence, attempt, outcome, code, reason, worker, at)
    select id, id + 100000, 1, 'failed', 'http_500', 'the server answers 500', (select max(id) from gloss.registered_worker), now() from dead
)
insert into gloss.dead_job (job_id, code, reason, attempts, rescues, died_at)
select id, 'http_500', 'the server answers 500', 1, 0, now() from dead;
insert into gloss.tally (batch_id, lane, dead)
select j.batch_id, l.id, count(*)
from gloss.dead_job d join gloss.job j on j.id = d.job_id join gloss.lane l on l.kind = j.kind and l.priority = j.priority
where j.key like 'many-%' group by 1, 2;
commit;
vacuum analyze gloss.job, gloss.dead_job;
