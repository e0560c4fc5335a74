-- Users of Supabase: memberships that the application's own tables give, and what users may read by themselves (B4).

ALTER TABLE imagejobs.members ADD COLUMN confirmed_at timestamptz;
COMMENT ON COLUMN imagejobs.members.confirmed_at IS
    'when the ownership query last named this user; null for a member by hand';

-- Run by every `imagejobs migrate`, so that it may come before Supabase does; true where it changed something.
-- The policy calls a function of the schema `imagejobs`, by its oid: the schema itself stays closed to users.
CREATE FUNCTION imagejobs.admit_supabase_users() RETURNS boolean LANGUAGE plpgsql AS $admit$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'authenticated')
        OR NOT EXISTS (SELECT FROM pg_catalog.pg_proc AS p JOIN pg_catalog.pg_namespace AS n ON n.oid = p.pronamespace
                       WHERE n.nspname = 'auth' AND p.proname = 'uid' AND p.pronargs = 0
                           AND has_schema_privilege(n.oid, 'USAGE') AND has_function_privilege(p.oid, 'EXECUTE'))
        OR EXISTS (SELECT FROM pg_catalog.pg_policy WHERE polname = 'imagejobs_users_read_their_projects'
                       AND polrelid = 'public.image_generation_jobs'::regclass)
    THEN
        RETURN false;
    END IF;
    EXECUTE $sql$
        CREATE OR REPLACE FUNCTION imagejobs.projects_of_user() RETURNS SETOF text
        LANGUAGE sql STABLE SECURITY DEFINER SET search_path = '' AS $body$
            SELECT project_id FROM imagejobs.members
            WHERE user_id = (SELECT auth.uid())::text
                AND (confirmed_at IS NULL OR confirmed_at > now() - interval '1 day')
        $body$
    $sql$;
    REVOKE ALL ON FUNCTION imagejobs.projects_of_user() FROM PUBLIC;
    GRANT EXECUTE ON FUNCTION imagejobs.projects_of_user() TO authenticated;
    -- Supabase grants everything on new tables to its roles, TRUNCATE too, which no policy stops.
    REVOKE ALL ON public.image_generation_jobs FROM authenticated;
    IF EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'anon') THEN
        REVOKE ALL ON public.image_generation_jobs FROM anon;
    END IF;
    GRANT SELECT ON public.image_generation_jobs TO authenticated;
    CREATE POLICY imagejobs_users_read_their_projects ON public.image_generation_jobs FOR SELECT TO authenticated
        USING (project_id = ANY (ARRAY(SELECT imagejobs.projects_of_user())));
    RETURN true;
END
$admit$;
