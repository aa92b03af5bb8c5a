-- How responses of now end, and what is kept of them, in the views of results.

set local role gloss_owner;

alter table gloss.annotation drop constraint annotation_responses;
alter table gloss.annotation add constraint annotation_responses check (
    cardinality(texts) > 0 and cardinality(sums) = views * questions * samples
    and cardinality(sums) = coalesce(cardinality(responses), cardinality(texts))
    and cardinality(norms) = cardinality(sums) and cardinality(tokens) = cardinality(sums)
    and length(finish) = cardinality(sums) and translate(finish, 'elr', '') = '');

create or replace function gloss.finish_letters(finish text[]) returns text
language sql stable
as $$
    select replace(replace(replace(array_to_string(finish, ''), 'eos', 'e'), 'length', 'l'), 'repetition', 'r')
$$;

create or replace function gloss.finish_reason(finish text, response bigint) returns text
language sql immutable parallel safe
return case substr(finish, response::int, 1) when 'e' then 'eos' when 'l' then 'length' when 'r' then 'repetition' end;

-- Of a choice, the scores are those of the answer.
create or replace view gloss.result as
select j.id as job_id, a.task, j.key, b.name as batch, coalesce(a.answers[1], a.texts[1]) as text,
       a.probabilities[1] as probability,
       case when a.responses is null then a.sums[r.n] end as sum_logprob,
       case when a.responses is null then a.norms[r.n] end as norm_logprob,
       case when strpos(a.finish, 'l') > 0 then 'length' when strpos(a.finish, 'r') > 0 then 'repetition' else 'eos' end
           as finish_reason,
       a.texts, f.labels, f.scores as box_scores, f.boxes, a.answers, a.probabilities,
       case when j.bytes > 200 then gloss.shown_urls(j.image_urls) else j.image_urls end as image_urls,
       case when j.bytes > 200 then gloss.shown_urls(a.final_urls) else a.final_urls end as final_urls,
       array(select encode(h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by n) as image_sha256,
       a.prompts, s.settings, (s.settings ->> 'seed')::bigint as seed, e.model, e.digest as model_digest,
       e.version as gloss_version, a.timings, a.attempts, a.rescues, w.host as worker_host, a.worker, j.created_at,
       a.finished_at, a.score, a.not_understood, i.widths, i.heights, i.orientations, i.formats, i.byte_counts,
       nullif(k.model, '') as asked_model, nullif(e.adapter_digest, '') as adapter_digest,
       nullif(e.mask_digest, '') as mask_digest, e.precision, e.resize, nullif(e.window_size, 0) as window_size
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.kind k on k.id = j.kind
join gloss.engine e on e.id = a.engine
cross join lateral (select coalesce(array_position(a.texts, a.answers[1]), 1) as n) r
cross join lateral (select coalesce(a.settings, j.spec -> 'settings') as settings) s
left join lateral (
    select array_agg(x.label order by x.n) as labels, array_agg(x.score order by x.n) as scores,
           array(select v.edge from gloss.finding y cross join lateral unnest(array[y.y1, y.x1, y.y2, y.x2])
                     with ordinality v (edge, m)
                 where y.job_id = a.job_id and y.fence = a.fence and v.edge is not null order by y.n, v.m) as boxes
    from gloss.finding x where x.job_id = a.job_id and x.fence = a.fence
) f on a.findings > 0
left join lateral (
    select array_agg(x.width order by u.n) as widths, array_agg(x.height order by u.n) as heights,
           array_agg(x.orientation order by u.n) as orientations, array_agg(x.format order by u.n) as formats,
           array_agg(x.byte_count order by u.n) as byte_counts
    from unnest(a.image_sha256) with ordinality u (sha256, n) left join gloss.image x on x.sha256 = u.sha256
) i on true
left join gloss.batch b on b.id = j.batch_id left join gloss.registered_worker w on w.id = a.worker;

-- With the further stages: stage 1 asks the job's questions.
create or replace view gloss.multiview_response as
select j.key, (x.n - 1) / (s.questions * s.samples) + 1 as view,
       (x.n - 1) / s.samples % s.questions + 1 as question, (x.n - 1) % s.samples + 1 as sample,
       case when s.stage = 1 then j.spec -> 'texts' ->> ((x.n - 1) / s.samples % s.questions)::int
            else s.prompts[(x.n - 1) / s.samples % s.questions + 1] end as question_text,
       case when s.responses is null then s.texts[x.n] else s.texts[x.text + 1] end as response,
       x.sum_logprob, x.norm_logprob, gloss.finish_reason(s.finish, x.n) as finish_reason,
       (gloss.shown_urls(j.image_urls))[(x.n - 1) / (s.questions * s.samples) + 1] as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, s.stage
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
cross join lateral (
    select 1 as stage, a.questions, a.samples, a.finish, a.prompts, a.texts, a.responses, a.sums, a.norms
    union all
    select y.stage, y.questions, y.samples, y.finish, y.prompts, y.texts, y.responses, y.sums, y.norms
    from gloss.annotation_stage y where y.job_id = a.job_id and y.fence = a.fence) s
cross join lateral unnest(s.responses, s.sums, s.norms) with ordinality x (text, sum_logprob, norm_logprob, n)
where a.task = 'multiview';

-- One row a response of which the log-probability of each token was asked for, of any task and stage.
create view gloss.token_score as
select j.key, a.task, s.stage, ((x.n - 1) / (s.questions * s.samples) + 1)::int as view,
       ((x.n - 1) / s.samples % s.questions + 1)::int as question, ((x.n - 1) % s.samples + 1)::int as sample,
       case when s.responses is null then s.texts[x.n] else s.texts[x.text + 1] end as response,
       s.token_scores[(x.last - x.token_count + 1)::int:x.last::int] as token_scores,
       b.name as batch, j.id as job_id, a.finished_at, e.model
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
cross join lateral (
    select 1 as stage, a.questions, a.samples, a.texts, a.responses, a.tokens, a.token_scores
    union all
    select y.stage, y.questions, y.samples, y.texts, y.responses, y.tokens, y.token_scores
    from gloss.annotation_stage y where y.job_id = a.job_id and y.fence = a.fence) s
cross join lateral (
    select u.text, u.token_count, u.n, sum(u.token_count) over (order by u.n) as last
    from unnest(s.responses, s.tokens) with ordinality u (text, token_count, n)) x
where s.token_scores is not null;
