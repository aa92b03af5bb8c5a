-- What a user of Gloss writes: plain SQL, in one transaction, results to be joined on their own key.
-- Variables: manifest (demo/manifest.json as text), site (the HTTP server's address).
\set ON_ERROR_STOP on
begin;

create temporary table scene as
select substring(scene ->> 'file' from 'scene-[0-9]+') as name, :'site' || (scene ->> 'file') as url, scene
from jsonb_array_elements(:'manifest'::jsonb -> 'scenes') scene;

-- A caption of every image.
select task.outcome, count(*) as captions
from scene, gloss.enqueue_caption(url, key => name, batch => 'demo') task group by 1;

-- A question about every image.
select task.outcome, count(*) as answers
from scene, gloss.enqueue_vqa(url, 'how many objects are there?', key => name || '/count', batch => 'demo') task group by 1;

select task.outcome, count(*) as colours
from scene, gloss.enqueue_vqa(url, format('what colour is the %s?', scene -> 'objects' -> 0 ->> 'name'),
    key => name || '/colour', batch => 'demo') task
group by 1;

-- Each first thing's box, and each second one's where there is one.
select task.outcome, count(*) as detections
from scene, gloss.enqueue_detect(url,
    array(select thing ->> 'name' from jsonb_array_elements(scene -> 'objects') with ordinality o(thing, n) where n <= 2),
    key => name, batch => 'demo') task
group by 1;

-- One job for each 3D object: 8 views × 4 questions × 5 samples.
select task.outcome, count(*) as objects
from jsonb_array_elements(:'manifest'::jsonb -> 'objects') object,
    gloss.enqueue_multiview(substring(object ->> 'folder' from 'obj-[0-9]+'),
        array(select :'site' || (view ->> 'file')
              from jsonb_array_elements(object -> 'views') with ordinality views(view, n) order by n),
        batch => 'demo', seed => 1) task
group by 1;

commit;
