-- Follow-up questions: what the stages of a job asked and were answered.

set local role gloss_owner;

-- One row a stage of a multiview job: 1 is the questions about the object, each further one a follow-up question. A stage
-- that was given no answer has neither answer nor distribution.
create view gloss.multiview_stage as
select j.key, s.stage::int as stage, s.prompts, s.answers[1] as answer, s.probabilities[1] as probability,
       (select jsonb_agg(jsonb_build_object('answer', x.answer, 'p', x.p) order by x.n)
        from unnest(s.answers, s.probabilities) with ordinality x (answer, p, n)) as distribution,
       s.views, s.questions, s.samples, length(translate(s.finish, 'e', '')) as truncated_count,
       b.name as batch, j.id as job_id, a.finished_at, e.model
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
cross join lateral (
    select 1 as stage, a.prompts, a.answers, a.probabilities, a.views, a.questions, a.samples, a.finish
    union all
    select t.stage, t.prompts, t.answers, t.probabilities, t.views, t.questions, t.samples, t.finish
    from gloss.annotation_stage t where t.job_id = a.job_id and t.fence = a.fence) s
left join gloss.batch b on b.id = j.batch_id
where a.task = 'multiview';
