-- How many jobs wait, in all and in a project, is counted from this index alone.
CREATE INDEX image_generation_jobs_queued_idx ON public.image_generation_jobs (project_id) WHERE status = 'queued';
