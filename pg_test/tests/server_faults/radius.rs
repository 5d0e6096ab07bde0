//! Lines of pg_hba.conf with the method `radius`. To parse them, PostgreSQL resolves the names of their servers, and while a
//! name server does not answer, nothing ends that. So nothing that an unauthenticated client can cause may parse them.

use std::fs;

use rig::{Issuer, Server, environment, oauth_line, shim};

use crate::{assert_unharmed, server_of};

/// What the shim writes into the data folder: a byte for each time that a process of the server other than the postmaster
/// resolves the name.
const ASKED: &str = "asked";

fn counting_resolver() -> String {
    let library = shim::compile(&format!(
        "#define _GNU_SOURCE\n\
         #include <dlfcn.h>\n#include <fcntl.h>\n#include <netdb.h>\n#include <string.h>\n#include <unistd.h>\n\
         static pid_t postmaster;\n\
         __attribute__((constructor)) static void load(void) {{ postmaster = getpid(); }}\n\
         int getaddrinfo(const char *name, const char *service, const struct addrinfo *hints, struct addrinfo **found) {{\n\
         int (*next)(const char *, const char *, const struct addrinfo *, struct addrinfo **) = dlsym(RTLD_NEXT, \"getaddrinfo\");\n\
         if (!name || strcmp(name, \"radius.test\")) return next(name, service, hints, found);\n\
         if (getpid() != postmaster) {{\n\
         int file = open(\"{ASKED}\", O_CREAT | O_WRONLY | O_APPEND, 0600);\n\
         if (write(file, \"x\", 1) != 1) return EAI_SYSTEM;\n\
         close(file);\n}}\n\
         return next(\"127.0.0.1\", service, hints, found);\n}}\n"
    ));
    library.display().to_string()
}

/// How often the name was resolved since this was last asked.
fn times_asked(server: &Server) -> usize {
    let file = server.data_folder().join(ASKED);
    let asked = fs::read(&file).map_or(0, |bytes| bytes.len());
    let _ = fs::remove_file(file);
    asked
}

#[test]
fn names_of_radius_servers_are_not_resolved_for_a_client() {
    if environment::postgresql_version() >= 19 {
        // It does not know the method.
        return;
    }
    let (issuer, other) = (Issuer::builder().start(), Issuer::builder().start());
    let server = server_of(&issuer)
        .environment("LD_PRELOAD", &counting_resolver())
        .start();
    server.sql("CREATE EXTENSION validator");
    let foreign = issuer.token("alice").claim("iss", other.url()).encode();
    // Which anyone can make.
    let forged = other.token("alice").encode();
    let (ours, others) = (
        oauth_line(issuer.url(), ""),
        oauth_line(other.url(), "").replacen("127.0.0.1/32", "10.0.0.0/8", 1),
    );
    // The line, and whether it is the first for bob at 10.1.2.3.
    for (columns, takes_bob) in [
        ("host all bob 10.0.0.0/8 radius", true),
        ("host all bob 10.0.0.0 255.0.0.0 radius", true),
        ("host all bob all \"radius\"", true),
        ("host all bob samehost radius", false),
        ("host all bob radius radius", false),
        ("local all bob radius", false),
        ("hostnossl all bob 10.0.0.0/8 radius", true),
    ] {
        let options = "radiusservers=\"radius.test\" radiussecrets=\"secret\"";
        let radius = format!("{columns} {options}");
        server.set_hba(&[&radius, &ours, &others]);
        server.reload();
        let explained = server.refuses("alice", &foreign, "iss_mismatch").log;
        server.refuses("alice", &forged, "unknown_kid");
        assert_eq!(times_asked(&server), 0, "{columns}");
        // The evidence is named all the same.
        assert!(
            explained.contains("Line 5 is for the token's issuer"),
            "{explained}"
        );

        // In a session, PostgreSQL's own view is what resolves it, each time that it is read.
        assert_eq!(
            server.value("SELECT error IS NULL FROM pg_hba_file_rules WHERE line_number = 3"),
            "t",
            "{columns}"
        );
        let by_the_view = times_asked(&server);
        assert!(by_the_view > 0, "{columns}");
        let tried = server.value(&format!(
            "SELECT detail FROM validator.try_login('{foreign}', 'bob', address => '10.1.2.3', tls => false) WHERE step = 1"
        ));
        assert_eq!(times_asked(&server), by_the_view, "{columns}");
        assert_eq!(
            tried.contains("does not ask for a token (radius)"),
            takes_bob,
            "{columns}: {tried}"
        );
        server.sql("SELECT * FROM validator.check_config()");
        assert_eq!(times_asked(&server), by_the_view, "{columns}");
    }
    assert_unharmed(&server);
}
