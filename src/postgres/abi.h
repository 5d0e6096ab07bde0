/* What build.rs generates Rust types from. */
#include "postgres.h"

#include "libpq/auth.h"
#include "libpq/hba.h"
#include "libpq/ifaddr.h"
#include "libpq/libpq-be.h"
#include "libpq/oauth.h"
