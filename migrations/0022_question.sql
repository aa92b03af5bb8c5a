-- question: the question about an image to which an answer belongs.

set local role gloss_owner;

create function gloss.enqueue_question(
    url text, answer text, key text default null, language text default 'en', batch text default null,
    priority int default 0, run_at timestamptz default null, max_attempts int default 5, model text default null,
    style text default null, max_tokens int default null, samples int default null, beams int default null,
    temperature double precision default null, top_k int default null, top_p double precision default null,
    seed bigint default null, background text default null, out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'question', image_urls => array[url], prompt => answer, key => key,
        batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts, model => model,
        language => language, style => style, background => background, max_tokens => max_tokens, samples => samples,
        beams => beams, temperature => temperature, top_k => top_k, top_p => top_p, seed => seed) e;
end $$;

create view gloss.question as
select j.key, j.spec #>> '{texts,0}' as answer, a.texts[1] as question, a.sums[1] as sum_logprob,
       a.norms[1] as norm_logprob, a.tokens[1] as token_count,
       gloss.finish_reason(a.finish, 1) as finish_reason, a.texts as samples, j.spec ->> 'language' as language,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, a.score
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'question';

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'enqueue_question'), ('gloss_admin', 'execute', 'enqueue_question');
