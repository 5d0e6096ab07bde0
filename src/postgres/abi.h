/* What build.rs generates Rust types from. */
#include "postgres.h"

#include "libpq/auth.h"
#include "libpq/hba.h"
#include "libpq/ifaddr.h"
#include "libpq/libpq-be.h"
#if PG_VERSION_NUM >= 180000
#include "libpq/oauth.h"
#endif
