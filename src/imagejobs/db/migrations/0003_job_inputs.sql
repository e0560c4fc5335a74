-- Input pictures: equal bytes are kept once in a project, and an open job holds on to those it uses.

CREATE UNIQUE INDEX inputs_content_idx ON imagejobs.inputs (project_id, sha256);

CREATE TABLE imagejobs.job_inputs (
    job_id    uuid NOT NULL REFERENCES public.image_generation_jobs (id) ON DELETE CASCADE,
    slot      text NOT NULL,
    input_id  uuid NOT NULL REFERENCES imagejobs.inputs (id),
    PRIMARY KEY (job_id, slot)
);
CREATE INDEX job_inputs_input_idx ON imagejobs.job_inputs (input_id);
