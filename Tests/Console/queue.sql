-- A queue in which the images of the demo were annotated as their manifest has it, by a model that is never quite sure.
-- Variables: manifest (demo/manifest.json as text), digests (SHA-256 by file), site (the HTTP server's address).
\set ON_ERROR_STOP on
begin;
create temporary table picture as
select n, scene ->> 'file' as file, :'site' || (scene ->> 'file') as url, scene, decode(:'digests'::jsonb ->> (scene ->> 'file'), 'hex') as sha256
from jsonb_array_elements(:'manifest'::jsonb -> 'scenes') with ordinality x (scene, n);
create temporary table object as
select n, o ->> 'name' as name, o ->> 'colour' as colour,
       array(select :'site' || (v ->> 'file') from jsonb_array_elements(o -> 'views') v) as urls,
       array(select decode(:'digests'::jsonb ->> (v ->> 'file'), 'hex') from jsonb_array_elements(o -> 'views') v) as sha256
from jsonb_array_elements(:'manifest'::jsonb -> 'objects') with ordinality x (o, n);

select count(*) from picture, gloss.enqueue_caption(url, key => 'scene-' || n, batch => 'photos', token_scores => true);
select count(*) from picture, gloss.enqueue_vqa(url, 'how many objects are there?', key => 'scene-' || n || '/count', batch => 'photos');
select count(*) from picture, gloss.enqueue_detect(url, array(select distinct t ->> 'name' from jsonb_array_elements(scene -> 'objects') t),
    key => 'scene-' || n || '/boxes', batch => 'photos');
select count(*) from picture, gloss.enqueue_segment(url, array(select distinct t ->> 'name' from jsonb_array_elements(scene -> 'objects') t),
    key => 'scene-' || n || '/masks', batch => 'photos');
select count(*) from object, gloss.enqueue_multiview('object-' || n, urls, array['What is this?', 'What type of object is this?'], 5, batch => 'objects');
select count(*) from generate_series(1, 40) n, gloss.enqueue_caption(format('https://%s.example.com/%s.jpg',
    (array['images', 'cdn', 'static', 'old'])[1 + n % 4], md5(n::text)), key => 'lost-' || n, batch => 'photos');
select count(*) from generate_series(1, 90) n, gloss.enqueue_caption(format('https://later.example.com/%s.jpg', n), key => 'later-' || n, batch => 'next');
select gloss.enqueue_caption('https://images.example.com/x.jpg', key => '<script>alert(1)</script>', batch => '<b>hostile</b>');

-- A daemon, and all of it done.
select gloss.register_worker('annotator-1', 4711, '0.1.0', array['paligemma-3b', repeat('ab', 32)],
    (select array_agg(name) from gloss.task), interval '1 hour', gen_random_uuid()) as worker \gset
insert into gloss.engine (model, digest, precision, resize, version) values ('paligemma-3b', repeat('ab', 32), 'bf16', 'bicubic', '0.1.0');

create temporary table done as
select j.id, j.key, k.task, j.image_urls, coalesce(p.scene, '{}') as scene, p.n, o.name, o.colour,
       case when p.n is null then o.sha256 else array[p.sha256] end as sha256, j.id + 1000 as fence
from gloss.job j join gloss.kind k on k.id = j.kind
left join picture p on j.key ~ ('^scene-' || p.n || '(/|$)') left join object o on j.key = 'object-' || o.n
where p.n is not null or o.n is not null;

insert into gloss.image (sha256, width, height, byte_count, orientation, format, job_id, fence)
select distinct on (s) s, coalesce((scene ->> 'width')::int, 224), coalesce((scene ->> 'height')::int, 224), 12345, 1, 'jpeg', id, fence
from done, unnest(sha256) s order by s, id;

insert into gloss.finding (job_id, fence, n, image, score, y1, x1, y2, x2, label, mask)
select d.id, d.fence, t.n, 1, (0.35 + 0.64 * ((d.id * 37 + t.n * 11) % 100) / 100.0)::real, (t.o -> 'box' ->> 0)::real, (t.o -> 'box' ->> 1)::real,
       (t.o -> 'box' ->> 2)::real, (t.o -> 'box' ->> 3)::real, t.o ->> 'name', case d.task when 'segment' then t.o ->> 'mask' end
from done d cross join lateral jsonb_array_elements(d.scene -> 'objects') with ordinality t (o, n) where d.task in ('detect', 'segment');

-- One view of each object but the first says something else.
insert into gloss.annotation (job_id, fence, worker, engine, score, attempts, rescues, not_understood, findings, views, questions, samples,
    task, finish, texts, responses, sums, norms, tokens, token_scores, answers, probabilities, prompts, settings, image_sha256, final_urls, timings)
select d.id, d.fence, :worker, (select id from gloss.engine), x.score, 0, 0, 0, x.findings, v.views, v.questions, v.samples, d.task,
       repeat(case when d.task = 'caption' and d.id % 9 = 0 then 'l' else 'e' end, v.views * v.questions * v.samples),
       case when d.task = 'multiview' then array[d.name, 'vase'] else array[x.text] end,
       case when d.task = 'multiview' then array(select case when (u - 1) / 10 = (d.id % 8) and u % 3 > 0 then 1 else 0 end::smallint
                                                from generate_series(1, 80) u) end,
       array_fill(-0.4::real - (d.id % 7) / 10.0::real, array[v.views * v.questions * v.samples]), array_fill(-0.1::real, array[v.views * v.questions * v.samples]),
       array_fill(3::smallint, array[v.views * v.questions * v.samples]),
       case when d.task = 'caption' then array[-0.02, -1.6, -0.2]::real[] end,
       case when d.task = 'multiview' then array[d.name, 'vase', d.colour] end,
       case when d.task = 'multiview' then array[0.9 - (d.id % 8) / 20.0, 0.08 + (d.id % 8) / 20.0, 0.02]::real[] end,
       case when d.task = 'multiview' then array['answer en What is this?', 'answer en What type of object is this?'] else array[x.prompt] end,
       case when d.task = 'multiview' then '{"seed": 7, "samples": 5}'::jsonb end, d.sha256, d.image_urls,
       '{"fetch": 0.12, "vision": 0.8, "prefill": 1.5, "extend": 0.3}'
from done d
cross join lateral (select case d.task when 'multiview' then 8 else 1 end as views, case d.task when 'multiview' then 2 else 1 end as questions,
                           case d.task when 'multiview' then 5 else 1 end as samples) v
cross join lateral (
    select (select count(*) from gloss.finding f where f.job_id = d.id)::smallint as findings,
           case when d.task in ('detect', 'segment') then (select min(f.score) from gloss.finding f where f.job_id = d.id)
                when d.task = 'multiview' then 0.9 - (d.id % 8) / 20.0 else -0.1 - (d.id % 7) / 10.0 end::real as score,
           case d.task when 'caption' then (select q ->> 'answer' from jsonb_array_elements(d.scene -> 'questions') q where q ->> 'task' = 'caption' limit 1)
                when 'vqa' then jsonb_array_length(d.scene -> 'objects')::text
                else (select coalesce(string_agg(format('<loc0100><loc0200><loc0700><loc0800> %s', o ->> 'name'), ' ; '), '')
                      from jsonb_array_elements(d.scene -> 'objects') o) end as text,
           case d.task when 'caption' then 'caption en' when 'vqa' then 'answer en how many objects are there?'
                else d.task || ' ' || (select string_agg(distinct o ->> 'name', ' ; ') from jsonb_array_elements(d.scene -> 'objects') o) end as prompt) x;
delete from gloss.ready r using done d where r.job_id = d.id;

with dead as (
    delete from gloss.ready r using gloss.job j where j.id = r.job_id and j.key like 'lost-%' returning j.id, j.image_urls[1] as url
), code as (
    select id, (array['http_404', 'http_404', 'http_404', 'dns', 'timeout', 'not_an_image'])[1 + id % 6] as code, url from dead
), attempt as (
    insert into gloss.attempt (job_id, fence, attempt, outcome, code, reason, worker, at)
    select id, id + 1000, 1, 'failed', code, code || ' of ' || url, :worker, now() - interval '1 minute' * (id % 50) from code
)
insert into gloss.dead_job (job_id, code, reason, attempts, rescues, died_at)
select id, code, case code when 'http_404' then 'the server answers 404 Not Found' when 'dns' then 'the host has no address'
    when 'timeout' then 'no answer within 20 s' else 'the file is no image: it begins with <html>' end, 1, 0, now() - interval '1 minute' * (id % 50)
from code;
insert into gloss.tally (batch_id, lane, done, dead)
select coalesce(j.batch_id, 0), l.id, count(a.job_id), count(d.job_id)
from gloss.job j join gloss.lane l on l.kind = j.kind and l.priority = j.priority
left join gloss.annotation a on a.job_id = j.id left join gloss.dead_job d on d.job_id = j.id group by 1, 2;
insert into gloss.parked_origin (origin, until, reason) values ('https://cdn.example.com', now() + interval '7 minutes', '12 failures in a row: no answer within 20 s');
select gloss.keep_evaluation(jsonb_build_object('metric', m, 'variant', v, 'labels_sha256', repeat('a1', 32), 'model', 'paligemma-3b',
    'model_digest', repeat('ab', 32), 'gloss_version', '0.1.0', 'n', 24, 'selection', jsonb_build_object('batch', 'photos', 'task', t, 'missing', 'skip'),
    'not_scored', jsonb_build_array(jsonb_build_object('reason', 'items without a result', 'count', 3, 'detail', 'left out (--missing skip)')), 'figures', f))
from (values ('vqa', 'vqa-v2', 'vqa', '[{"name": "accuracy", "value": 0.8125, "count": 24, "low": 0.66, "high": 0.93}]'::jsonb),
    ('coco', 'pycocotools', 'detect', '[{"name": "AP", "value": 0.613, "count": 24, "low": 0.54, "high": 0.69}, {"name": "AP50", "value": 0.871, "count": 24, "low": 0.79, "high": 0.94}, {"name": "AP75", "value": 0.655, "count": 24, "low": 0.55, "high": 0.76}, {"name": "AR100", "value": 0.702, "count": 24, "low": 0.63, "high": 0.77}]'::jsonb),
    ('caption', 'pycocoevalcap', 'caption', '[{"name": "CIDEr-D", "value": 1.874, "count": 24, "low": 1.41, "high": 2.33}, {"name": "BLEU-4", "value": 0.412, "count": 24, "low": 0.35, "high": 0.48}]'::jsonb)) e (m, v, t, f);
commit;
vacuum analyze;
