-- segment: things in an image, with boxes and masks.

set local role gloss_owner;

-- One row a box. mask is COCO's compressed run lengths at the image's size as shown upright; what pycocotools takes.
create view gloss.segmentation as
select j.key, f.n::int as box, f.label, f.score, f.y1, f.x1, f.y2, f.x2, f.codes, f.token_score as codes_score,
       case when f.mask is not null
            then jsonb_build_object('size', jsonb_build_array(i.height, i.width), 'counts', f.mask) end as mask,
       f.note, a.texts[1] as raw_text, gloss.finish_reason(a.finish, 1) as finish_reason,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[f.image:f.image]))[1]
            else j.image_urls[f.image] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, i.width, i.height
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
join gloss.finding f on f.job_id = a.job_id and f.fence = a.fence
left join gloss.image i on i.sha256 = a.image_sha256[f.image]
left join gloss.batch b on b.id = j.batch_id
where a.task = 'segment';

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'enqueue_segment'), ('gloss_admin', 'execute', 'enqueue_segment');
