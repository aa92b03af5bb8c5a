-- results(n): n results of three tasks in two batches, without a daemon. Of a key 1 … n: vqa if it is a multiple of 4, choice
-- if it is one more, else captions; every tenth is of the batch tenth. Scores are spread evenly, in no order.

create schema review;

create function review.results(n int) returns void
language plpgsql
as $$
begin
    insert into gloss.inbox (task, image_url, key, batch, prompt, options, samples, style)
    select case k.task when 2 then 'caption' when 3 then 'caption' when 0 then 'vqa' else 'choice' end,
           'https://a.invalid/' || g, g::text, case when g % 10 = 3 then 'tenth' else 'rest' end,
           case when k.task < 2 then 'why?' end, case k.task when 1 then '{yes,no}'::text[] end,
           case k.task when 0 then 3 end, null
    from generate_series(1, n) g cross join lateral (select g % 4 as task) k;
    perform gloss.engine_of('m', repeat('a', 64), null, null, null, null, null, '0.1');
    insert into gloss.annotation (job_id, fence, worker, engine, score, attempts, rescues, not_understood, findings, views,
        questions, samples, task, finish, texts, sums, norms, tokens, answers, probabilities, prompts, image_sha256,
        final_urls, timings, finished_at)
    select j.id, j.id, 1, (select max(id) from gloss.engine), case k.task when 'choice' then x.r / 2 + .5 else -x.r end,
           0, 0, 0, 0, 1, 1, s.n, k.task, repeat('e', s.n),
           case k.task when 'choice' then '{yes,no}'::text[] when 'caption' then '{a cat}'::text[]
                else case when j.id % 20 = 0 then '{red,blue,red}'::text[] else '{Red,red.,red}' end end,
           array_fill(-1::real, array[s.n]), array_fill(-1::real, array[s.n]), array_fill(1::smallint, array[s.n]),
           case k.task when 'choice' then '{yes,no}'::text[] end,
           case k.task when 'choice' then array[.5 + x.r / 2, .5 - x.r / 2]::real[] end,
           '{p}', array[sha256(j.id::text::bytea)], '{u}', '{}', now() - j.id * interval '1 second'
    from gloss.job j join gloss.kind k on k.id = j.kind
    cross join lateral (select case k.task when 'caption' then 1 when 'choice' then 2 else 3 end as n) s
    cross join lateral (select ((j.id * 7919) % 1000003 / 1000003.0)::real as r) x;
    insert into gloss.image (sha256, width, height, byte_count, orientation, format, job_id, fence)
    select a.image_sha256[1], 640, 480, 1, 1, 'png', a.job_id, a.fence from gloss.annotation a;
    delete from gloss.ready;
    insert into gloss.tally (batch_id, lane, done)
    select t.batch_id, t.lane, sum(t.enqueued) from gloss.tally t group by 1, 2;
    analyze gloss.annotation, gloss.job;
end $$;
