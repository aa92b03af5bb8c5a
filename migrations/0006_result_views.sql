-- What people read of results. The key joins with their own tables.

set local role gloss_owner;

-- Why a response ended; responses count from 1. (A function without quotes around its body is bound when it is made: a
-- caller's search path can't change it.)
create function gloss.finish_reason(finish text, response bigint) returns text
language sql immutable parallel safe
return case substr(finish, response::int, 1) when 'e' then 'eos' when 'l' then 'length' end;

-- URLs as results show them: of a long data: URL its digest and its length.
create function gloss.shown_urls(urls text[]) returns text[]
language sql immutable parallel safe
return array(
    select case when length(u.url) > 200 and lower(left(u.url, 5)) = 'data:'
                then format('%s;sha256=%s;length=%s', split_part(left(u.url, 100), ',', 1),
                            encode(sha256(convert_to(u.url, 'UTF8')), 'hex'), length(u.url))
                else u.url end
    from unnest(urls) with ordinality u (url, n) order by u.n);

create view gloss.caption as
select j.key, a.texts[1] as caption, a.sums[1] as sum_logprob,
       a.norms[1] as norm_logprob, a.tokens[1] as token_count, gloss.finish_reason(a.finish, 1) as finish_reason,
       a.texts as samples, j.spec ->> 'language' as language,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, a.score
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'caption';

create view gloss.answer as
select j.key, j.spec #>> '{texts,0}' as question, a.texts[1] as answer, a.sums[1] as sum_logprob,
       a.norms[1] as norm_logprob, a.tokens[1] as token_count,
       gloss.finish_reason(a.finish, 1) as finish_reason, a.texts as samples, j.spec ->> 'language' as language,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, a.score
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'vqa';

-- One row a box; y1 … x2 are fractions of the image's height and width. An image in which nothing was found has no row
-- here, but one in gloss.result.
create view gloss.detection as
select j.key, f.n::int as box, f.label, f.score, f.y1, f.x1, f.y2, f.x2, a.texts[1] as raw_text,
       gloss.finish_reason(a.finish, 1) as finish_reason,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[f.image:f.image]))[1]
            else j.image_urls[f.image] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, f.note, i.width, i.height
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
join gloss.finding f on f.job_id = a.job_id and f.fence = a.fence
left join gloss.image i on i.sha256 = a.image_sha256[f.image]
left join gloss.batch b on b.id = j.batch_id
where a.task = 'detect';

-- One row an object.
create view gloss.multiview as
select j.key, a.answers[1] as answer, a.probabilities[1] as probability,
       (select jsonb_agg(jsonb_build_object('answer', x.answer, 'p', x.p) order by x.n)
        from unnest(a.answers, a.probabilities) with ordinality x (answer, p, n)) as distribution,
       a.views, a.questions, a.samples, length(translate(a.finish, 'e', '')) as truncated_count,
       gloss.shown_urls(j.image_urls) as image_urls, b.name as batch, j.id as job_id, a.finished_at, e.model
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'multiview';

-- One row a view, question and sample of a multiview job; all three count from 1.
create view gloss.multiview_response as
select j.key, (x.n - 1) / (a.questions * a.samples) + 1 as view,
       (x.n - 1) / a.samples % a.questions + 1 as question, (x.n - 1) % a.samples + 1 as sample,
       j.spec -> 'texts' ->> ((x.n - 1) / a.samples % a.questions)::int as question_text,
       case when a.responses is null then a.texts[x.n] else a.texts[x.text + 1] end as response,
       x.sum_logprob, x.norm_logprob, gloss.finish_reason(a.finish, x.n) as finish_reason,
       (gloss.shown_urls(j.image_urls))[(x.n - 1) / (a.questions * a.samples) + 1] as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
cross join lateral unnest(a.responses, a.sums, a.norms) with ordinality x (text, sum_logprob, norm_logprob, n)
where a.task = 'multiview';

-- One row a finished job of any task, with what is needed to run it again.
create view gloss.result as
select j.id as job_id, a.task, j.key, b.name as batch, coalesce(a.answers[1], a.texts[1]) as text,
       a.probabilities[1] as probability,
       case when a.responses is null then a.sums[1] end as sum_logprob,
       case when a.responses is null then a.norms[1] end as norm_logprob,
       case when strpos(a.finish, 'l') = 0 then 'eos' else 'length' end as finish_reason,
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

-- One row a thing that was found, of any task.
create view gloss.found as
select j.key, a.task, e.model, f.n::int as n, f.image::int as image, f.label, f.score, f.token_score,
       f.y1, f.x1, f.y2, f.x2, f.codes, f.mask, f.note, i.id as image_id, encode(i.sha256, 'hex') as image_sha256,
       i.width, i.height, b.name as batch, j.id as job_id, a.fence, a.finished_at
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
join gloss.finding f on f.job_id = a.job_id and f.fence = a.fence
left join gloss.image i on i.sha256 = a.image_sha256[f.image]
left join gloss.batch b on b.id = j.batch_id;

insert into gloss.privilege (grantee, privilege, object)
select r, 'execute', f from unnest(array['gloss_reader', 'gloss_admin']) r,
    unnest(array['finish_reason', 'shown_urls']) f;
