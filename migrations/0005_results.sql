-- Results: one row a finished job, inserted in the transaction that ends its lease.

set local role gloss_owner;

-- What makes an answer: two equal rows give equal results. Few rows.
create table gloss.engine (
    id             int generated always as identity primary key,
    model          text not null,         -- its name, as configured
    digest         text not null,         -- sha256 over the model's files and its arithmetic, hexadecimal
    adapter_digest text not null default '',
    mask_digest    text not null default '',
    precision      text not null default '',
    resize         text not null default '',
    window_size    int not null default 0,  -- tokens; 0: none
    version        text not null,         -- of gloss
    unique (model, digest, adapter_digest, mask_digest, precision, resize, window_size, version)
);

-- Images that results name: their sizes, never their content.
create table gloss.image (
    sha256      bytea primary key check (octet_length(sha256) = 32),
    id          bigint generated always as identity,  -- a number for exports
    width       int not null check (width > 0),       -- as shown upright
    height      int not null check (height > 0),
    byte_count  int not null check (byte_count >= 0),
    orientation smallint not null check (orientation between 1 and 8),  -- EXIF, which decoding applied
    format      text not null,            -- jpeg, png, webp, …
    job_id      bigint not null,          -- the result that named it first, and may be gone
    fence       bigint not null,
    idle_since  timestamptz,              -- no result names it since; gloss.remove_idle
    idle_xid    xid8
);
create index image_idle on gloss.image (id) where idle_since is not null;

-- Which results name an image beside the first one. A row goes with its result.
create table gloss.image_link (
    image_id bigint not null,             -- gloss.image.id
    job_id   bigint not null,
    fence    bigint not null,
    primary key (image_id, job_id, fence)
);

create table gloss.annotation (
    job_id         bigint primary key,
    fence          bigint not null,
    worker         bigint not null,       -- gloss.registered_worker
    finished_at    timestamptz not null default now(),
    engine         int not null,          -- gloss.engine
    score          real,                  -- one number to sort results of a task by; larger is surer
    attempts       smallint not null,     -- failed before this one
    rescues        smallint not null,
    not_understood smallint not null,     -- parts of the responses that could not be read
    findings       smallint not null,     -- rows of gloss.finding
    -- Responses of the first stage, in the order [view][question][sample]: sums, norms, tokens and finish have one entry
    -- each. With several views or questions `texts` are the distinct ones, and `responses` points into it, from 0;
    -- otherwise it is null, and `texts` are the responses, best first.
    views          smallint not null,
    questions      smallint not null,
    samples        smallint not null,
    task           text not null,
    finish         text not null,         -- a letter each: e eos, l length
    texts          text[] not null,
    responses      smallint[],
    sums           real[] not null,
    norms          real[] not null,
    tokens         smallint[] not null,
    token_scores   real[],                -- of each token of each response, one after the other
    answers        text[],                -- aggregated, most probable first
    probabilities  real[],
    -- To run it again.
    prompts        text[] not null,
    settings       jsonb,                 -- null: those of the job
    image_sha256   bytea[] not null,      -- gloss.image
    final_urls     text[] not null,
    timings        jsonb not null,        -- seconds per stage of the pipeline
    constraint annotation_responses check (
        cardinality(texts) > 0 and cardinality(sums) = views * questions * samples
        and cardinality(sums) = coalesce(cardinality(responses), cardinality(texts))
        and cardinality(norms) = cardinality(sums) and cardinality(tokens) = cardinality(sums)
        and length(finish) = cardinality(sums) and translate(finish, 'el', '') = ''),
    constraint annotation_answers check (
        cardinality(answers) = cardinality(probabilities) and cardinality(answers) > 0)
);
create index annotation_finished_at on gloss.annotation (finished_at);
create index annotation_score on gloss.annotation (task, score);

-- Responses of the stages after the first. They stay with their result when it is superseded, as findings do.
create table gloss.annotation_stage (
    job_id        bigint not null,
    fence         bigint not null,
    stage         smallint not null check (stage > 1),
    views         smallint not null,
    questions     smallint not null,
    samples       smallint not null,
    finish        text not null,
    prompts       text[] not null,
    texts         text[] not null,
    responses     smallint[],
    sums          real[] not null,
    norms         real[] not null,
    tokens        smallint[] not null,
    token_scores  real[],
    answers       text[],
    probabilities real[],
    primary key (job_id, fence, stage),
    constraint annotation_stage_responses check (
        cardinality(sums) = views * questions * samples
        and cardinality(sums) = coalesce(cardinality(responses), cardinality(texts))
        and cardinality(norms) = cardinality(sums) and cardinality(tokens) = cardinality(sums)
        and length(finish) = cardinality(sums))
);

-- What was found in the images of a result.
create table gloss.finding (
    job_id      bigint not null,
    fence       bigint not null,
    n           smallint not null,        -- from 1, in the model's order
    image       smallint not null,        -- from 1: its place in image_urls
    score       real not null,            -- 0 … 1
    token_score real,
    -- Upper, left, lower and right edge, as fractions of the image's height and width.
    y1          real,
    x1          real,
    y2          real,
    x2          real,
    label       text not null,
    codes       smallint[] check (cardinality(codes) = 16),  -- of the mask
    mask        text,                     -- run lengths
    note        text,                     -- what makes it doubtful: duplicate, unfinished, no mask and why
    primary key (job_id, fence, n),
    constraint finding_box check (num_nulls(y1, x1, y2, x2) in (0, 4))
);

-- Results of jobs that were run again: all columns of gloss.annotation, and when and by whom.
create table gloss.superseded (
    like gloss.annotation,
    superseded_at timestamptz not null default now(),
    superseded_by text not null default session_user,
    primary key (job_id, fence)
);

-- Which results name an image, superseded ones too.
create view gloss.image_use as
select i.id as image_id, i.job_id, i.fence from gloss.image i
where exists (select from gloss.annotation a where a.job_id = i.job_id and a.fence = i.fence)
   or exists (select from gloss.superseded s where s.job_id = i.job_id and s.fence = i.fence)
union all
select l.image_id, l.job_id, l.fence from gloss.image_link l;
