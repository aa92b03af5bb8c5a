-- Results: one row a finished job, inserted in the statement that ends its lease.

set local role gloss_owner;

-- What made a result; few rows.
create table gloss.engine (
    id      int generated always as identity primary key,
    model   text not null,
    digest  text not null,                -- sha256 over the model's files, hexadecimal
    version text not null,                -- of gloss
    unique (model, digest, version)
);

create table gloss.annotation (
    job_id        bigint primary key,
    fence         bigint not null,
    worker        bigint not null,        -- gloss.incarnation
    engine        int not null,           -- gloss.engine
    attempts      smallint not null,      -- failed before this one
    rescues       smallint not null,
    finished_at   timestamptz not null default now(),
    -- Responses. caption, vqa: best first. detect: the one raw response.
    -- multiview: a dictionary of the distinct ones, and `responses` points into it, from 0, in the order
    -- [view][question][sample]. sums, norms and tokens are in the order of the responses; truncated lists those,
    -- from 0, that reached max_tokens.
    texts         text[] not null,
    responses     smallint[],
    sums          real[] not null,
    norms         real[] not null,
    tokens        smallint[] not null,
    truncated     smallint[] not null,
    views         smallint,
    questions     smallint,
    samples       smallint,
    -- detect: boxes is y1, x1, y2, x2 of the first label, of the second …, as fractions of height and width.
    labels        text[],
    box_scores    real[],
    boxes         real[],
    -- multiview: ScoreAgg's answers, most probable first.
    answers       text[],
    probabilities real[],
    -- To run it again.
    prompts       text[] not null,
    settings      jsonb not null,
    image_sha256  bytea[] not null,
    final_urls    text[] not null,
    timings       jsonb not null,         -- seconds per stage
    check (cardinality(sums) = cardinality(norms) and cardinality(sums) = cardinality(tokens)),
    check (cardinality(sums) = coalesce(cardinality(responses), cardinality(texts)) and cardinality(texts) > 0),
    check (cardinality(responses) = views * questions * samples),
    check (cardinality(labels) = cardinality(box_scores) and cardinality(boxes) = 4 * cardinality(labels)),
    check (cardinality(answers) = cardinality(probabilities) and cardinality(answers) > 0)
);
create index annotation_finished_at on gloss.annotation (finished_at);

-- (Without quotes around it, a function's body is bound when it is made: a caller's search path can't change it.)
create function gloss.finish_reason(truncated smallint[], response bigint) returns text
language sql immutable parallel safe
return case when response = any (truncated) then 'length' else 'eos' end;

-- One row a caption. Join on key.
create view gloss.caption as
select j.key, a.texts[1] as caption, a.sums[1] as sum_logprob, a.norms[1] as norm_logprob,
       a.tokens[1] as token_count, gloss.finish_reason(a.truncated, 0) as finish_reason,
       a.texts as samples, j.spec ->> 'language' as language, j.image_urls[1] as image_url,
       b.name as batch, j.id as job_id, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id left join gloss.batch b on b.id = j.batch_id
where j.task = 'caption';

-- One row an answer.
create view gloss.answer as
select j.key, j.spec #>> '{texts,0}' as question, a.texts[1] as answer, a.sums[1] as sum_logprob,
       a.norms[1] as norm_logprob, a.tokens[1] as token_count, gloss.finish_reason(a.truncated, 0) as finish_reason,
       a.texts as samples, j.spec ->> 'language' as language, j.image_urls[1] as image_url,
       b.name as batch, j.id as job_id, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id left join gloss.batch b on b.id = j.batch_id
where j.task = 'vqa';

-- One row a box; y1 … x2 are fractions of the image's height and width. Images in which nothing was found have no
-- row here, but one in gloss.result.
create view gloss.detection as
select j.key, x.n::int as box, x.label, x.score,
       a.boxes[x.n * 4 - 3] as y1, a.boxes[x.n * 4 - 2] as x1, a.boxes[x.n * 4 - 1] as y2, a.boxes[x.n * 4] as x2,
       a.texts[1] as raw_text, gloss.finish_reason(a.truncated, 0) as finish_reason,
       j.image_urls[1] as image_url, b.name as batch, j.id as job_id, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id left join gloss.batch b on b.id = j.batch_id
cross join lateral unnest(a.labels, a.box_scores) with ordinality x (label, score, n)
where j.task = 'detect';

-- One row an object.
create view gloss.multiview as
select j.key, a.answers[1] as answer, a.probabilities[1] as probability,
       (select jsonb_agg(jsonb_build_object('answer', x.answer, 'p', x.p) order by x.n)
        from unnest(a.answers, a.probabilities) with ordinality x (answer, p, n)) as distribution,
       a.views, a.questions, a.samples, cardinality(a.truncated) as truncated_count,
       j.image_urls, b.name as batch, j.id as job_id, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id left join gloss.batch b on b.id = j.batch_id
where j.task = 'multiview';

-- One row a view, question and sample; all three count from 1.
create view gloss.multiview_response as
select j.key, (x.n - 1) / (a.questions * a.samples) + 1 as view,
       (x.n - 1) / a.samples % a.questions + 1 as question, (x.n - 1) % a.samples + 1 as sample,
       j.spec -> 'texts' ->> ((x.n - 1) / a.samples % a.questions)::int as question_text,
       a.texts[x.text + 1] as response, x.sum_logprob, x.norm_logprob,
       gloss.finish_reason(a.truncated, x.n - 1) as finish_reason,
       j.image_urls[(x.n - 1) / (a.questions * a.samples) + 1] as image_url,
       b.name as batch, j.id as job_id, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id left join gloss.batch b on b.id = j.batch_id
cross join lateral unnest(a.responses, a.sums, a.norms) with ordinality x (text, sum_logprob, norm_logprob, n)
where j.task = 'multiview';

-- One row a finished job of any task, with what is needed to run it again.
create view gloss.result as
select j.id as job_id, j.task, j.key, b.name as batch, coalesce(a.answers[1], a.texts[1]) as text,
       case when j.task = 'multiview' then a.probabilities[1] end as probability,
       case when j.task <> 'multiview' then a.sums[1] end as sum_logprob,
       case when j.task <> 'multiview' then a.norms[1] end as norm_logprob,
       case when cardinality(a.truncated) = 0 then 'eos' else 'length' end as finish_reason,
       a.texts, a.labels, a.box_scores, a.boxes, a.answers, a.probabilities,
       j.image_urls, a.final_urls,
       array(select encode(h, 'hex') from unnest(a.image_sha256) with ordinality u (h, n) order by n) as image_sha256,
       a.prompts, a.settings, (a.settings ->> 'seed')::bigint as seed, e.model, e.digest as model_digest,
       e.version as gloss_version, a.timings, a.attempts, a.rescues, w.host as worker_host, a.worker,
       j.created_at, a.finished_at
from gloss.job j join gloss.annotation a on a.job_id = j.id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id left join gloss.incarnation w on w.id = a.worker;
