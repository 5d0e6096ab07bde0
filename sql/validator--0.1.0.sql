-- validator 0.1.0: SQL functions and views of the OAuth token validator, in schema "validator".
\echo Use "CREATE EXTENSION validator" to load this file. \quit

-- In a schema that was there before, whoever may create objects, or owns some, can have them called in place of these.
DO $$
DECLARE
    found pg_catalog.text;
BEGIN
    IF EXISTS (
        SELECT FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) n.nspowner
        WHERE n.nspname OPERATOR(pg_catalog.=) '@extschema@' AND NOT r.rolsuper)
    THEN
        RAISE EXCEPTION 'schema "@extschema@" belongs to a role that is not a superuser'
            USING ERRCODE = 'insufficient_privilege', HINT = 'Drop or rename the schema, and create the extension again.';
    END IF;

    SELECT COALESCE(r.rolname::pg_catalog.text, 'PUBLIC') INTO found
    FROM pg_catalog.pg_namespace n CROSS JOIN pg_catalog.aclexplode(n.nspacl) a
        LEFT JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) a.grantee
    WHERE n.nspname OPERATOR(pg_catalog.=) '@extschema@' AND a.privilege_type OPERATOR(pg_catalog.=) 'CREATE'
        AND r.rolsuper IS NOT TRUE
    LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'roles that are not superusers may create objects in schema "@extschema@"'
            USING ERRCODE = 'insufficient_privilege', DETAIL = pg_catalog.concat('CREATE is granted to ', found, '.'),
                HINT = 'Revoke it, also from the default privileges on schemas, and create the extension again.';
    END IF;

    SELECT pg_catalog.pg_describe_object(o.classid, o.objid, 0) INTO found
    FROM (
        SELECT 'pg_catalog.pg_proc'::pg_catalog.regclass::pg_catalog.oid, p.oid, p.pronamespace, p.proowner
            FROM pg_catalog.pg_proc p
        UNION ALL
        SELECT 'pg_catalog.pg_operator'::pg_catalog.regclass::pg_catalog.oid, o.oid, o.oprnamespace, o.oprowner
            FROM pg_catalog.pg_operator o
        UNION ALL
        SELECT 'pg_catalog.pg_type'::pg_catalog.regclass::pg_catalog.oid, t.oid, t.typnamespace, t.typowner
            FROM pg_catalog.pg_type t) o (classid, objid, namespace, owner)
        JOIN pg_catalog.pg_namespace n ON n.oid OPERATOR(pg_catalog.=) o.namespace
        JOIN pg_catalog.pg_roles r ON r.oid OPERATOR(pg_catalog.=) o.owner
    WHERE n.nspname OPERATOR(pg_catalog.=) '@extschema@' AND NOT r.rolsuper
    LIMIT 1;
    IF found IS NOT NULL THEN
        RAISE EXCEPTION 'schema "@extschema@" has objects of roles that are not superusers'
            USING ERRCODE = 'insufficient_privilege', DETAIL = pg_catalog.concat('One is ', found, '.'),
                HINT = 'Drop them, and create the extension again.';
    END IF;
END
$$;

COMMENT ON SCHEMA @extschema@ IS 'OAuth token validator: claims of the session''s token, statistics, administration';

-- Names are qualified, since pg_catalog is searched first and has some of them, too.
CREATE FUNCTION @extschema@.version() RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'version_wrapper';

COMMENT ON FUNCTION @extschema@.version() IS 'version of the loaded validator module';

CREATE FUNCTION @extschema@.flush_cache() RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'flush_cache_wrapper';

COMMENT ON FUNCTION @extschema@.flush_cache() IS
    'discard the cached keys of all providers, and their answers about tokens; the next logins ask again';

CREATE FUNCTION @extschema@.flush_answers(issuer text) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'flush_answers_wrapper';

COMMENT ON FUNCTION @extschema@.flush_answers(text) IS
    'discard the cached answers of one issuer about tokens, and no keys; returns how many';

REVOKE ALL ON FUNCTION @extschema@.flush_cache(), @extschema@.flush_answers(text) FROM PUBLIC;

-- Sessions that tokens have opened.

CREATE FUNCTION @extschema@.list_sessions(
    OUT pid integer, OUT backend_start timestamptz, OUT identity text, OUT issuer text, OUT client_id text,
    OUT jti text, OUT sid text, OUT expires_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'list_sessions_wrapper';

COMMENT ON FUNCTION @extschema@.list_sessions() IS 'the rows of the view sessions';

CREATE VIEW @extschema@.sessions AS SELECT * FROM @extschema@.list_sessions();

COMMENT ON VIEW @extschema@.sessions IS 'sessions that OAuth tokens have opened, by process as in pg_stat_activity';

CREATE FUNCTION @extschema@.end_sessions(
    issuer text, identity text DEFAULT NULL, jti text DEFAULT NULL, sid text DEFAULT NULL, sub text DEFAULT NULL)
    RETURNS integer
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'end_sessions_wrapper';

COMMENT ON FUNCTION @extschema@.end_sessions(text, text, text, text, text) IS
    'end the sessions of an issuer''s tokens that match identity, token identifier, provider session and subject; returns how many';

REVOKE ALL ON FUNCTION @extschema@.list_sessions(), @extschema@.end_sessions(text, text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.list_sessions() TO pg_monitor;
GRANT SELECT ON @extschema@.sessions TO pg_monitor;

-- The doctor. It reads pg_hba.conf and postgresql.conf through views that only superusers may read, with its owner's rights.

CREATE FUNCTION @extschema@.check_config(
    OUT severity text, OUT hba_file text, OUT hba_line integer, OUT finding text, OUT detail text, OUT advice text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_config_wrapper';

COMMENT ON FUNCTION @extschema@.check_config() IS
    'check the configuration of OAuth logins and their providers, and say what to do; asks the providers';

REVOKE ALL ON FUNCTION @extschema@.check_config() FROM PUBLIC;

-- The verified claims of the session's token: for every role.

CREATE FUNCTION @extschema@.own_claims(path text DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'own_claims_wrapper';

COMMENT ON FUNCTION @extschema@.own_claims(text) IS
    'one claim, or all claims, of the token that opened this session, as JSON text: use claim() and claims()';

CREATE FUNCTION @extschema@.claims() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN @extschema@.own_claims()::jsonb;

COMMENT ON FUNCTION @extschema@.claims() IS
    'verified claims of the token that opened this session; NULL if no token did';

CREATE FUNCTION @extschema@.claim(name text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
    RETURN @extschema@.own_claims(name)::jsonb OPERATOR(pg_catalog.#>>) '{}';

COMMENT ON FUNCTION @extschema@.claim(text) IS
    'a verified claim of the token that opened this session, by name or JSON Pointer; NULL if the token does not have it';

CREATE FUNCTION @extschema@.token_expires_at() RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'token_expires_at_wrapper';

COMMENT ON FUNCTION @extschema@.token_expires_at() IS
    'when the token that opened this session expires; NULL if no token did';

GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.version() TO pg_monitor;

-- Statistics, and what is cached.

CREATE FUNCTION @extschema@.list_stats(
    OUT issuer text, OUT accepted bigint, OUT refused bigint, OUT fetches bigint, OUT fetch_failures bigint,
    OUT fetch_total_ms double precision, OUT fetch_max_ms double precision, OUT introspections bigint,
    OUT introspection_failures bigint, OUT introspection_total_ms double precision,
    OUT introspection_max_ms double precision, OUT introspection_cache_hits bigint, OUT waits bigint,
    OUT roles_created bigint, OUT memberships_granted bigint, OUT memberships_revoked bigint,
    OUT provision_failures bigint, OUT stats_reset timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'list_stats_wrapper';

COMMENT ON FUNCTION @extschema@.list_stats() IS 'the rows of the view stats';

CREATE VIEW @extschema@.stats AS SELECT * FROM @extschema@.list_stats();

COMMENT ON VIEW @extschema@.stats IS 'OAuth logins and requests to providers, by issuer, since stats_reset';

CREATE FUNCTION @extschema@.list_refusals(
    OUT issuer text, OUT reason text, OUT count bigint, OUT last_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'list_refusals_wrapper';

COMMENT ON FUNCTION @extschema@.list_refusals() IS 'the rows of the view refusals';

CREATE VIEW @extschema@.refusals AS SELECT * FROM @extschema@.list_refusals();

COMMENT ON VIEW @extschema@.refusals IS 'refused OAuth tokens by issuer and reason, since the statistics were reset';

CREATE FUNCTION @extschema@.list_issuers(
    OUT issuer text, OUT state text, OUT keys integer, OUT unusable_keys integer, OUT fetched_at timestamptz,
    OUT fresh_until timestamptz, OUT usable_until timestamptz, OUT last_used_at timestamptz, OUT last_error text,
    OUT last_error_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'list_issuers_wrapper';

COMMENT ON FUNCTION @extschema@.list_issuers() IS 'the rows of the view issuers';

CREATE VIEW @extschema@.issuers AS SELECT * FROM @extschema@.list_issuers();

COMMENT ON VIEW @extschema@.issuers IS 'issuers whose keys are cached: how fresh they are, and why the last fetch failed';

CREATE FUNCTION @extschema@.list_keys(
    OUT issuer text, OUT kid text, OUT alg text, OUT kty text, OUT thumbprint text, OUT usable boolean,
    OUT unusable_member text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'list_keys_wrapper';

COMMENT ON FUNCTION @extschema@.list_keys() IS 'the rows of the view keys';

CREATE VIEW @extschema@.keys AS SELECT * FROM @extschema@.list_keys();

COMMENT ON VIEW @extschema@.keys IS 'cached signature keys of the issuers, by RFC 7638 thumbprint';

REVOKE ALL ON FUNCTION @extschema@.list_stats(), @extschema@.list_refusals(), @extschema@.list_issuers(),
    @extschema@.list_keys() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.list_stats(), @extschema@.list_refusals(), @extschema@.list_issuers(),
    @extschema@.list_keys() TO pg_monitor;
GRANT SELECT ON @extschema@.stats, @extschema@.refusals, @extschema@.issuers, @extschema@.keys TO pg_monitor;

CREATE FUNCTION @extschema@.reset_stats() RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'reset_stats_wrapper';

COMMENT ON FUNCTION @extschema@.reset_stats() IS 'set the counters of the views stats and refusals to zero';

-- Reads pg_hba.conf through a view that only superusers may read, with its owner's rights.
CREATE FUNCTION @extschema@.refresh_keys(issuer text) RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'refresh_keys_wrapper';

COMMENT ON FUNCTION @extschema@.refresh_keys(text) IS
    'fetch the keys of an issuer of pg_hba.conf now, fresh or not; raises an error if the provider fails';

REVOKE ALL ON FUNCTION @extschema@.reset_stats(), @extschema@.refresh_keys(text) FROM PUBLIC;

-- How a login with a token would be judged. Reads pg_hba.conf as refresh_keys does.

CREATE FUNCTION @extschema@.check_token(
    token text, issuer text, scope text, role text, delegate_ident_mapping boolean DEFAULT false,
    OUT step integer, OUT name text, OUT passed boolean, OUT detail text) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_token_wrapper';

COMMENT ON FUNCTION @extschema@.check_token(text, text, text, text, boolean) IS
    'show each step of the judgement on a token; pass the token as a parameter, since statements may be logged';

REVOKE ALL ON FUNCTION @extschema@.check_token(text, text, text, text, boolean) FROM PUBLIC;

-- What would happen at a login. Reads pg_hba.conf and pg_ident.conf as check_token does.

CREATE FUNCTION @extschema@.try_login(
    token text, role text, database text DEFAULT current_database(), address inet DEFAULT NULL, tls boolean DEFAULT true,
    OUT step integer, OUT name text, OUT passed boolean, OUT detail text) RETURNS SETOF record
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'try_login_wrapper';

COMMENT ON FUNCTION @extschema@.try_login(text, text, text, inet, boolean) IS
    'show what would happen at a login with this token: the line of pg_hba.conf, the judgement, pg_ident.conf, the database';

REVOKE ALL ON FUNCTION @extschema@.try_login(text, text, text, inet, boolean) FROM PUBLIC;

-- Roles that logins have provisioned.

CREATE FUNCTION @extschema@.list_provisioned_roles(
    OUT role text, OUT issuer text, OUT identity text, OUT groups text[], OUT created_at timestamptz,
    OUT last_login_at timestamptz) RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'list_provisioned_roles_wrapper';

COMMENT ON FUNCTION @extschema@.list_provisioned_roles() IS 'the rows of the view provisioned_roles';

CREATE VIEW @extschema@.provisioned_roles AS SELECT * FROM @extschema@.list_provisioned_roles();

COMMENT ON VIEW @extschema@.provisioned_roles IS
    'roles that are managed by validator.provision: for whom they were created, their groups, and their last login';

CREATE FUNCTION @extschema@.disable_unused_roles(
    unused_for interval, dry_run boolean DEFAULT true,
    OUT role text, OUT last_login_at timestamptz, OUT disabled boolean, OUT unused_since timestamptz)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'disable_unused_roles_wrapper';

COMMENT ON FUNCTION @extschema@.disable_unused_roles(interval, boolean) IS
    'managed roles that have not logged in for that long; with dry_run => false they are altered to NOLOGIN';

-- Alters roles that belong to a person at the provider, and no others, with its owner's rights: for validator-hook.
CREATE FUNCTION @extschema@.disable_role(issuer text, identity text) RETURNS text[]
    LANGUAGE c VOLATILE PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'disable_role_wrapper';

COMMENT ON FUNCTION @extschema@.disable_role(text, text) IS
    'alter the managed roles that were created for an issuer''s identity to NOLOGIN; returns them, whether or not they were';

CREATE FUNCTION @extschema@.provision_setup(groups text[], manager text DEFAULT 'validator_manager') RETURNS SETOF text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'provision_setup_wrapper';

COMMENT ON FUNCTION @extschema@.provision_setup(text[], text) IS
    'the statements that set up validator.provision for these groups, to be read and run';

REVOKE ALL ON FUNCTION @extschema@.list_provisioned_roles(), @extschema@.disable_unused_roles(interval, boolean),
    @extschema@.disable_role(text, text), @extschema@.provision_setup(text[], text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.list_provisioned_roles() TO pg_monitor;
GRANT SELECT ON @extschema@.provisioned_roles TO pg_monitor;
