-- validator 0.1.0: what SQL sees of the OAuth token validator, in schema "validator".
\echo Use "CREATE EXTENSION validator" to load this file. \quit

COMMENT ON SCHEMA @extschema@ IS 'the OAuth token validator: claims of one''s own login, statistics, administration';

-- Names are qualified, since pg_catalog is looked at first and has some of them, too.
CREATE FUNCTION @extschema@.version() RETURNS text
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE
    AS 'MODULE_PATHNAME', 'version_wrapper';

COMMENT ON FUNCTION @extschema@.version() IS 'version of the loaded validator module';

CREATE FUNCTION @extschema@.flush_cache() RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'flush_cache_wrapper';

COMMENT ON FUNCTION @extschema@.flush_cache() IS
    'forget the cached keys of all providers, and their answers about tokens; the next logins ask again';

REVOKE ALL ON FUNCTION @extschema@.flush_cache() FROM PUBLIC;

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
    issuer text, identity text DEFAULT NULL, jti text DEFAULT NULL, sid text DEFAULT NULL) RETURNS integer
    LANGUAGE c VOLATILE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'end_sessions_wrapper';

COMMENT ON FUNCTION @extschema@.end_sessions(text, text, text, text) IS
    'end the sessions of an issuer''s tokens with this identity, token identifier and provider session; returns how many';

REVOKE ALL ON FUNCTION @extschema@.list_sessions(), @extschema@.end_sessions(text, text, text, text) FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.list_sessions() TO pg_monitor;
GRANT SELECT ON @extschema@.sessions TO pg_monitor;

-- The doctor. It reads pg_hba.conf and postgresql.conf by views that are for superusers only, with their owner's rights.

CREATE FUNCTION @extschema@.check_config(
    OUT severity text, OUT hba_file text, OUT hba_line integer, OUT finding text, OUT detail text, OUT advice text)
    RETURNS SETOF record
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER SET search_path = pg_catalog, pg_temp
    AS 'MODULE_PATHNAME', 'check_config_wrapper';

COMMENT ON FUNCTION @extschema@.check_config() IS
    'what is wrong with the configuration of OAuth logins and their providers, and what to do; asks the providers';

REVOKE ALL ON FUNCTION @extschema@.check_config() FROM PUBLIC;

-- The verified claims of one's own login: for every role.

CREATE FUNCTION @extschema@.own_claims(path text DEFAULT NULL) RETURNS text
    LANGUAGE c STABLE PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'own_claims_wrapper';

COMMENT ON FUNCTION @extschema@.own_claims(text) IS
    'a claim, or all, of the token that opened this session, as JSON text: use claim() and claims()';

CREATE FUNCTION @extschema@.claims() RETURNS jsonb
    LANGUAGE sql STABLE PARALLEL RESTRICTED
    RETURN @extschema@.own_claims()::jsonb;

COMMENT ON FUNCTION @extschema@.claims() IS
    'verified claims of the token that opened this session; NULL if none did';

CREATE FUNCTION @extschema@.claim(name text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL RESTRICTED
    RETURN @extschema@.own_claims(name)::jsonb OPERATOR(pg_catalog.#>>) '{}';

COMMENT ON FUNCTION @extschema@.claim(text) IS
    'a verified claim of the token that opened this session, by name or JSON Pointer; NULL if it has none';

CREATE FUNCTION @extschema@.token_expires_at() RETURNS timestamptz
    LANGUAGE c STABLE STRICT PARALLEL RESTRICTED
    AS 'MODULE_PATHNAME', 'token_expires_at_wrapper';

COMMENT ON FUNCTION @extschema@.token_expires_at() IS
    'when the token that opened this session expires; NULL if none did';

GRANT USAGE ON SCHEMA @extschema@ TO PUBLIC;
REVOKE ALL ON FUNCTION @extschema@.version() FROM PUBLIC;
GRANT EXECUTE ON FUNCTION @extschema@.version() TO pg_monitor;
