-- validator 0.1.0: what SQL sees of the OAuth token validator, in schema "validator".
\echo Use "CREATE EXTENSION validator" to load this file. \quit

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
