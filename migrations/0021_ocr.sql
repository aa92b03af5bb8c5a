-- ocr: the text in an image.

set local role gloss_owner;

create function gloss.enqueue_ocr(
    url text, key text default null, batch text default null, priority int default 0, run_at timestamptz default null,
    max_attempts int default 5, model text default null, style text default null, prompt text default null,
    max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'ocr', image_urls => array[url], prompt => prompt, key => key, batch => batch,
        priority => priority, run_at => run_at, max_attempts => max_attempts, model => model, style => style,
        background => background, max_tokens => max_tokens, samples => samples, beams => beams,
        temperature => temperature, top_k => top_k, top_p => top_p, seed => seed) e;
end $$;

create view gloss.ocr as
select j.key, a.texts[1] as text, a.sums[1] as sum_logprob, a.norms[1] as norm_logprob, a.tokens[1] as token_count,
       gloss.finish_reason(a.finish, 1) as finish_reason, a.texts as samples,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, a.score
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'ocr';

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'enqueue_ocr'), ('gloss_admin', 'execute', 'enqueue_ocr');
