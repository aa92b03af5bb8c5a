-- Images that are not wanted: small ones, long and narrow ones, and files that stand for images that are gone.

set local role gloss_owner;

insert into gloss.failure_code (code, meaning, advice, retried) values
    ('too_small', 'A side of the image is shorter than `images.min_side`.', 'Lower the limit.', false),
    ('aspect_ratio', 'The image is longer and narrower than `images.max_aspect_ratio`.', 'Raise the limit.', false),
    ('placeholder', 'The file is one that `images.placeholders` lists: it stands for an image that is gone.', 'Look for another source.', false);

update gloss.failure_code set advice = 'Convert it, or see `images.formats`.' where code = 'unsupported_format';
