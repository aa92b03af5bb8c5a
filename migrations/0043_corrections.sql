-- Results as they are by the truth: for exports.

set local role gloss_owner;

-- Finished jobs of which the truth is known: that of their key, or of the job itself if it has none, as long as it is about
-- the same images. It may have been found on an earlier result, or on one of another model.
create view gloss.correction as
select a.job_id, a.fence, t.answer, t.verdict, t.reviewer, t.at
from gloss.job j join gloss.kind k on k.id = j.kind join gloss.truth t on t.task = k.task and t.item = 'key ' || j.key
join gloss.annotation a on a.job_id = j.id and a.image_sha256 = t.image_sha256
union all
select a.job_id, a.fence, t.answer, t.verdict, t.reviewer, t.at
from gloss.truth t join gloss.annotation a on a.job_id = t.job_id and a.task = t.task and a.image_sha256 = t.image_sha256
where t.key is null;

-- Results that were rejected, and nobody has said what is right.
create view gloss.rejection as
select distinct a.job_id, a.fence, a.task
from gloss.standing_review r join gloss.annotation a on a.job_id = r.job_id and a.fence = r.fence
where r.verdict = 'reject' and not exists (select from gloss.correction c where c.job_id = a.job_id);

-- As gloss.found, with the boxes of the truth where there is one: they have the score 1, and neither codes nor a note.
create view gloss.corrected_found as
select f.* from gloss.found f
where not exists (select from gloss.correction c where c.job_id = f.job_id)
union all
select j.key, a.task, e.model, b.n::int, coalesce((b.box -> 'image')::int, 1), b.box ->> 'label', 1::real, null::real,
       (b.box #> '{box,0}')::real, (b.box #> '{box,1}')::real, (b.box #> '{box,2}')::real, (b.box #> '{box,3}')::real,
       null::smallint[], b.box #>> '{mask,counts}', null::text, i.id, encode(i.sha256, 'hex'), i.width, i.height,
       n.name, a.job_id, a.fence, a.finished_at
from gloss.correction c join gloss.annotation a on a.job_id = c.job_id join gloss.job j on j.id = a.job_id
join gloss.engine e on e.id = a.engine
cross join lateral jsonb_array_elements(c.answer -> 'boxes') with ordinality b (box, n)
left join gloss.image i on i.sha256 = a.image_sha256[coalesce((b.box -> 'image')::int, 1)]
left join gloss.batch n on n.id = j.batch_id;
