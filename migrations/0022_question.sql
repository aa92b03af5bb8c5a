-- question: the question about an image to which an answer belongs.

set local role gloss_owner;

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
