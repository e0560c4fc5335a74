-- How many bytes of input pictures a project keeps is counted from this index alone.

CREATE UNIQUE INDEX inputs_content_size_idx ON imagejobs.inputs (project_id, sha256) INCLUDE (size_bytes);
DROP INDEX imagejobs.inputs_content_idx;
