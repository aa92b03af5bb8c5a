-- choice: which of several answers to a question is the likeliest. None is drawn: each is scored.

set local role gloss_owner;

create function gloss.enqueue_choice(
    url text default null, question text default null, options text[] default null, key text default null,
    language text default 'en', batch text default null, priority int default 0, run_at timestamptz default null,
    max_attempts int default 5, model text default null, style text default null, score text default 'sum',
    background text default null, urls text[] default null, frames int default null, token_scores boolean default null,
    out job_id bigint, out outcome text)
language plpgsql security definer set search_path = pg_catalog, gloss, pg_temp
as $$
#variable_conflict use_variable
begin
    select e.job_id, e.outcome into job_id, outcome
    from enqueue(task => 'choice', image_urls => given_urls(url, urls), prompt => question, options => options,
        key => key, batch => batch, priority => priority, run_at => run_at, max_attempts => max_attempts,
        model => model, language => language, style => style, score => score, background => background,
        frames => frames, token_scores => token_scores) e;
end $$;

-- One row a job. The four lists are in the order in which the options were given.
create view gloss.choice as
select j.key, j.spec #>> '{texts,0}' as question, a.answers[1] as answer, a.probabilities[1] as probability,
       a.texts as options,
       array(select a.probabilities[array_position(a.answers, o.text)]
             from unnest(a.texts) with ordinality o (text, n) order by o.n) as probabilities,
       a.sums as sum_logprobs, a.norms as norm_logprobs,
       j.spec ->> 'language' as language,
       case when j.bytes > 200 then (gloss.shown_urls(j.image_urls[1:1]))[1] else j.image_urls[1] end as image_url,
       b.name as batch, j.id as job_id, a.finished_at, e.model, a.score
from gloss.annotation a join gloss.job j on j.id = a.job_id join gloss.engine e on e.id = a.engine
left join gloss.batch b on b.id = j.batch_id
where a.task = 'choice';

insert into gloss.privilege (grantee, privilege, object) values
    ('gloss_producer', 'execute', 'enqueue_choice'), ('gloss_admin', 'execute', 'enqueue_choice');
