-- So many results of a detection, for measurements. Variables: rows.
\set ON_ERROR_STOP on
set work_mem = '256MB';
insert into gloss.batch (name) values ('all');
insert into gloss.kind (task, model) select 'detect', '' where not exists (select from gloss.kind where task = 'detect');
insert into gloss.engine (model, digest, version) values ('tiny', repeat('ab', 32), '0.1.0');
insert into gloss.job (batch_id, kind, prefills, tokens, bytes, images, priority, max_attempts, key, image_urls, spec)
select (select id from gloss.batch), (select id from gloss.kind where task = 'detect' limit 1), 1, 64, 60, 1, 0, 5, 'row-' || n,
       array['https://images.example.org/' || n % 100 || '/' || md5(n::text) || '.jpg'], '{"texts": ["cat"], "settings": {}}'
from generate_series(1, :rows) n;
insert into gloss.image (sha256, width, height, byte_count, orientation, format, job_id, fence)
select sha256(id::text::bytea), 600 + (id % 100)::int, 400 + (id % 50)::int, 81234, 1 + (id % 8)::int, 'jpeg', id, id from gloss.job order by id;
insert into gloss.annotation (job_id, fence, worker, engine, score, attempts, rescues, not_understood, findings, views, questions,
    samples, task, finish, texts, sums, norms, tokens, prompts, image_sha256, final_urls, timings)
select id, id, 1, (select id from gloss.engine), (id * 7919 % 1000) / 1000.0, 0, 0, 0, 1, 1, 1, 1, 'detect', 'e',
       array['<loc0123><loc0456><loc0789><loc1000> cat'], '{-1}', '{-1}', '{6}', '{detect cat}', array[sha256(id::text::bytea)],
       image_urls, '{"prefill": 1.5}' from gloss.job;
insert into gloss.finding (job_id, fence, n, image, score, y1, x1, y2, x2, label)
select id, id, m, 1, (id % 1000) / 1000.0, 0.1, (id % 400) / 1000.0, 0.7, 0.5 + (id % 500) / 1000.0, 'label ' || id % 80
from gloss.job, generate_series(1, case id % 10 when 0 then 0 when 1 then 2 else 1 end) m;
vacuum analyze gloss.job, gloss.annotation, gloss.finding, gloss.image;
insert into gloss.total select coalesce(j.batch_id, 0), j.kind, count(*), count(*), 0, count(*) from gloss.job j group by 1, 2;
