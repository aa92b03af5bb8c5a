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

-- A question with a choice of answers: always one of them, with its probability.
select task.outcome, count(*) as choices
from scene, gloss.enqueue_choice(url, 'is there a star?', array['yes', 'no'], key => name || '/star', batch => 'demo') task
group by 1;

-- Each first thing's box, and each second one's where there is one.
create temporary table things as
select name, url,
       array(select thing ->> 'name' from jsonb_array_elements(scene -> 'objects') with ordinality o(thing, n) where n <= 2) as things
from scene;

select task.outcome, count(*) as detections
from things, gloss.enqueue_detect(url, things, key => name, batch => 'demo') task group by 1;

-- Their outlines as well.
select task.outcome, count(*) as segmentations
from things, gloss.enqueue_segment(url, things, key => name || '/mask', batch => 'demo') task group by 1;

-- What is not there has no box.
select task.outcome, count(*) as "detections of nothing"
from scene, gloss.enqueue_detect(url,
    array(select shape from unnest(array['cube', 'star', 'torus', 'circle']) shape
          where shape not in (select thing ->> 'name' from jsonb_array_elements(scene -> 'objects') thing) limit 1),
    key => name || '/absent', batch => 'demo') task
group by 1;

-- A caption of what is in the last thing's box.
select task.outcome, count(*) as "captions of a box"
from scene, gloss.enqueue_caption_box(url,
    array(select edge::float8 from jsonb_array_elements_text(scene -> 'objects' -> -1 -> 'box') edge),
    key => name || '/box', batch => 'demo') task
group by 1;

-- One job for each 3D object: 8 views × 4 questions × 5 samples.
select task.outcome, count(*) as objects
from jsonb_array_elements(:'manifest'::jsonb -> 'objects') object,
    gloss.enqueue_multiview(substring(object ->> 'folder' from 'obj-[0-9]+'),
        array(select :'site' || (view ->> 'file')
              from jsonb_array_elements(object -> 'views') with ordinality views(view, n) order by n),
        batch => 'demo', seed => 1) task
group by 1;

-- The same views, with a question that follows from the best answer of all views.
select task.outcome, count(*) as "objects with a follow-up"
from jsonb_array_elements(:'manifest'::jsonb -> 'objects') object,
    gloss.enqueue_multiview(substring(object ->> 'folder' from 'obj-[0-9]+') || '/colour',
        array(select :'site' || (view ->> 'file')
              from jsonb_array_elements(object -> 'views') with ordinality views(view, n) order by n),
        questions => array['What is this?', 'What type of object is this?'],
        follow_ups => array['what colour is the {answer}?'], batch => 'demo', seed => 1) task
group by 1;

commit;
