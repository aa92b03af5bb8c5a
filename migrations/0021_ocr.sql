-- ocr: the text in an image.

set local role gloss_owner;

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
