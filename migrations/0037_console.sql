-- Views for the console, and for whoever asks the same with SQL.

set local role gloss_owner;

-- One row a response of any task and stage; views, questions and samples count from 1.
create view gloss.response as
select j.key, a.task, s.stage, ((u.n - 1) / (s.questions * s.samples) + 1)::int as view,
       ((u.n - 1) / s.samples % s.questions + 1)::int as question, ((u.n - 1) % s.samples + 1)::int as sample,
       case when s.responses is null then s.texts[u.n] else s.texts[u.text + 1] end as response,
       u.sum_logprob, u.norm_logprob, u.token_count::int as token_count, gloss.finish_reason(s.finish, u.n) as finish_reason,
       b.name as batch, j.id as job_id, a.finished_at, e.model
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
cross join lateral (
    select 1 as stage, a.questions, a.samples, a.texts, a.responses, a.sums, a.norms, a.tokens, a.finish
    union all
    select t.stage, t.questions, t.samples, t.texts, t.responses, t.sums, t.norms, t.tokens, t.finish
    from gloss.annotation_stage t where t.job_id = a.job_id and t.fence = a.fence) s
cross join lateral unnest(s.responses, s.sums, s.norms, s.tokens) with ordinality
    u (text, sum_logprob, norm_logprob, token_count, n);

-- What failed in the last hour, by code: of the last 100,000 attempts without a result.
create view gloss.recent_failure as
select x.code, sum(x.count)::bigint as count, max(x.at) as last_at,
       (array_agg(x.reason order by x.at desc))[1] as example, (array_agg(x.job_id order by x.at desc))[1] as job_id
from (select * from gloss.attempt where at > now() - interval '1 hour' order by at desc limit 100000) x
where x.outcome = 'failed'
group by x.code;
