-- Posts, of one user or of an organization, and the profiles of who wrote them. Needs clerk_rls, the
-- extension or the hosted file, with your Clerk instance registered (clerk.add_instance), and the roles of PostgREST.

CREATE TABLE posts (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    user_id    text NOT NULL DEFAULT clerk.uid(),
    org_id     text DEFAULT clerk.org_id(),
    body       text NOT NULL CHECK (body <> ''),
    created_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ON posts (user_id);
CREATE INDEX ON posts (org_id);
ALTER TABLE posts ENABLE ROW LEVEL SECURITY;

-- Whose and when is not the client's to say. Supabase's default privileges would let them.
REVOKE ALL ON posts FROM anon, authenticated;
GRANT SELECT, INSERT (body), UPDATE (body), DELETE ON posts TO authenticated;

-- (SELECT …) asks once a statement rather than once a row: with the hosted file that counts, with the
-- extension it makes no difference.

-- posts without an organization are their author's, while no organization is active
CREATE POLICY own ON posts TO authenticated
    USING (user_id = (SELECT clerk.uid()) AND org_id IS NULL AND (SELECT clerk.org_id()) IS NULL);

-- members of the active organization read and write its posts, in their own name
CREATE POLICY members_read ON posts FOR SELECT TO authenticated USING (org_id = (SELECT clerk.org_id()));
CREATE POLICY members_add ON posts FOR INSERT TO authenticated
    WITH CHECK (org_id = (SELECT clerk.org_id()) AND user_id = (SELECT clerk.uid()));
CREATE POLICY authors_change ON posts FOR UPDATE TO authenticated
    USING (org_id = (SELECT clerk.org_id()) AND user_id = (SELECT clerk.uid()));

-- authors take them back, and administrators take any away
CREATE POLICY authors_delete ON posts FOR DELETE TO authenticated
    USING (org_id = (SELECT clerk.org_id()) AND (user_id = (SELECT clerk.uid()) OR (SELECT clerk.has_role('admin'))));

-- Users and organizations arrive by webhook, straight to PostgREST: POST /rpc/clerk_webhook. Of a
-- user, the API shows these columns, to themselves and to the members of their active organization.
SELECT clerk.expose_webhook('public');
GRANT SELECT (clerk_id, first_name, last_name, image_url) ON clerk.user_profiles TO authenticated;
CREATE VIEW profiles WITH (security_invoker) AS
    SELECT clerk_id AS id, first_name, last_name, image_url FROM clerk.user_profiles;
REVOKE ALL ON profiles FROM anon, authenticated;
GRANT SELECT ON profiles TO authenticated;

-- The joins: posts?select=*,author(*) and profiles?select=*,posts(*). Functions, no foreign key,
-- since a post may be there before the webhook.
CREATE FUNCTION author(posts) RETURNS SETOF profiles LANGUAGE sql STABLE ROWS 1
    AS $$ SELECT * FROM public.profiles WHERE id = $1.user_id $$;
CREATE FUNCTION posts(profiles) RETURNS SETOF posts LANGUAGE sql STABLE
    AS $$ SELECT * FROM public.posts WHERE user_id = $1.id $$;
