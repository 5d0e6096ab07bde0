//! Whose word on the provider's certificate is taken: the system's authorities, `ca_file`, or `ca_file` alone.

use std::fs;
use std::path::{Path, PathBuf};

use rig::{
    Authority, Endpoint, Issuer, Server, ServerBuilder, Verdict, can_mount, scratch, shim, skip,
};

/// A file with these certificates.
fn bundle(authorities: &[&Authority]) -> PathBuf {
    let file = scratch::new_folder("bundle").join("bundle.pem");
    write_bundle(&file, authorities);
    file
}

fn write_bundle(file: &PathBuf, authorities: &[&Authority]) {
    let pem = |authority: &&Authority| fs::read_to_string(authority.file()).expect("its file");
    let text: String = authorities.iter().map(pem).collect();
    fs::write(file, text).expect("a file can be written");
}

/// An issuer of the shared authority, and a server that has no `ca_file`, in both modes of loading.
fn both_modes(test: impl Fn(Issuer, ServerBuilder)) {
    for preload in [false, true] {
        let issuer = Issuer::builder().https().start();
        let builder = Server::trusting(&issuer).set("validator.ca_file", "");
        test(issuer, if preload { builder.preload() } else { builder });
    }
}

#[track_caller]
fn admits(server: &Server, issuer: &Issuer) {
    server.forget_keys();
    server.admits("alice", &issuer.token("alice").encode());
}

#[track_caller]
fn distrusts(server: &Server, issuer: &Issuer) -> Verdict {
    server.forget_keys();
    distrusts_at_login(server, &issuer.token("alice").encode())
}

/// The same with what is cached.
#[track_caller]
fn distrusts_at_login(server: &Server, token: &str) -> Verdict {
    let verdict = server.refuses("alice", token, "provider_unavailable");
    assert!(verdict.log.contains("cause=tls"), "{}", verdict.log);
    verdict
}

fn shown(authority: &Authority) -> String {
    authority.file().display().to_string()
}

#[test]
fn authorities_of_the_system_are_trusted_as_they_are_now() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let file = bundle(&[&other, shared]);
        let server = builder
            .environment("SSL_CERT_FILE", &file.display().to_string())
            .start();
        admits(&server, &issuer);
        write_bundle(&file, &[&other]);
        distrusts(&server, &issuer);
        // Put in its place, as package managers do it.
        fs::rename(bundle(&[shared, &other]), &file).expect("in one file system");
        admits(&server, &issuer);
        // None at all is no reason to trust what was there before.
        fs::remove_file(&file).expect("it is there");
        distrusts(&server, &issuer);
    });
}

#[test]
fn bundle_of_the_system_is_found_where_debian_has_it() {
    const PLACE: &str = "ssl/certs/ca-certificates.crt";
    if !can_mount() {
        return;
    }
    if !Path::new("/etc").join(PLACE).exists() {
        return skip(
            "this machine has no bundle of authorities whose place another one could take",
        );
    }
    let authority = fs::read_to_string(Authority::shared().file()).expect("its file");
    both_modes(|issuer, builder| {
        let server = builder.etc_file(PLACE, &authority).start();
        admits(&server, &issuer);
    });
}

#[test]
fn folders_that_the_environment_names_are_read_besides_the_file() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let folder = bundle(&[shared]).parent().expect("a folder").to_owned();
        let server = builder
            .environment("SSL_CERT_FILE", &bundle(&[&other]).display().to_string())
            .environment("SSL_CERT_DIR", &format!("/nowhere:{}", folder.display()))
            .start();
        admits(&server, &issuer);
        fs::remove_file(folder.join("bundle.pem")).expect("it is there");
        distrusts(&server, &issuer);
    });
}

#[test]
fn ca_file_adds_to_the_system_or_takes_its_place() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let server = builder
            .environment("SSL_CERT_FILE", &bundle(&[shared]).display().to_string())
            .set("validator.ca_file", &shown(&other))
            .start();
        // As a provider with a certificate of a public authority.
        admits(&server, &issuer);
        server.reload_with(&[("validator.ca_file_only", "on")]);
        let verdict = distrusts(&server, &issuer);
        assert_eq!(issuer.hits(Endpoint::Discovery), 1, "it was told a request");
        assert!(verdict.log.contains("validator.ca_file"), "{}", verdict.log);
        server.reload_with(&[("validator.ca_file", &shown(shared))]);
        admits(&server, &issuer);
        server.reload_with(&[("validator.ca_file_only", "off")]);
        admits(&server, &issuer);
    });
}

#[test]
fn keys_that_came_by_the_system_s_authorities_do_not_count_for_ca_file_alone() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let server = builder
            .environment("SSL_CERT_FILE", &bundle(&[shared]).display().to_string())
            .set("validator.ca_file", &shown(&other))
            .start();
        let token = issuer.token("alice").encode();
        server.admits("alice", &token);
        server.reload_with(&[("validator.ca_file_only", "on")]);
        distrusts_at_login(&server, &token);
        server.reload_with(&[("validator.ca_file_only", "off")]);
        server.admits("alice", &token);
        assert_eq!(issuer.hits(Endpoint::Jwks), 1);
    });
}

#[test]
fn word_on_a_token_that_came_by_another_authority_does_not_count() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let server = builder
            .set("validator.ca_file", &shown(shared))
            .asks_about_opaque_tokens()
            .start();
        let token = issuer.opaque_token("alice");
        issuer.say(&token, issuer.word_on("alice"));
        server.admits("alice", &token);
        server.admits("alice", &token);
        assert_eq!(issuer.hits(Endpoint::Introspection), 1);
        for change in [
            ("validator.ca_file", shown(&other)),
            ("validator.ca_file_only", "on".to_owned()),
        ] {
            server.reload_with(&[(change.0, &change.1)]);
            distrusts_at_login(&server, &token);
        }
        assert_eq!(issuer.hits(Endpoint::Introspection), 1);
    });
}

#[test]
fn ca_file_alone_without_a_file_is_a_mistake() {
    both_modes(|issuer, builder| {
        let server = builder
            .environment(
                "SSL_CERT_FILE",
                &bundle(&[Authority::shared()]).display().to_string(),
            )
            .set("validator.ca_file_only", "on")
            .start();
        let token = issuer.token("alice").encode();
        let verdict = server.refuses("alice", &token, "setting_invalid");
        let told = "setting \"validator.ca_file\" cannot be used: ca_file_only is on, but";
        assert!(verdict.log.contains(told), "{}", verdict.log);
        assert!(issuer.requests().is_empty());
        server.sql("CREATE EXTENSION IF NOT EXISTS validator");
        let found = server
            .value("SELECT detail FROM validator.check_config() WHERE finding = 'setting_invalid'");
        assert!(found.contains("validator.ca_file"), "{found}");
        server.reload_with(&[("validator.ca_file", &shown(Authority::shared()))]);
        admits(&server, &issuer);
    });
}

#[test]
fn profile_trusts_its_own_file_alone() {
    let (shared, other) = (Authority::shared(), Authority::new("other"));
    both_modes(|issuer, builder| {
        let server = builder
            .environment("SSL_CERT_FILE", &bundle(&[shared]).display().to_string())
            .set("validator.profiles", "corp")
            .set("validator_corp.issuer", issuer.url())
            .set("validator_corp.ca_file", &shown(&other))
            .start();
        admits(&server, &issuer);
        server.reload_with(&[("validator_corp.ca_file_only", "on")]);
        distrusts(&server, &issuer);
        server.reload_with(&[("validator_corp.ca_file", &shown(shared))]);
        admits(&server, &issuer);
    });
}

/// PostgreSQL may change its environment while a thread that was left behind goes on.
#[test]
fn environment_is_read_in_the_main_thread_only() {
    let watch = shim::compile(
        "#define _GNU_SOURCE\n\
         #include <stdio.h>\n#include <string.h>\n#include <sys/syscall.h>\n#include <unistd.h>\n\
         extern char **environ;\n\
         char *getenv(const char *name) {\n\
         size_t length = strlen(name);\n\
         dprintf(2, \"environment: %s read in the %s thread\\n\", name,\n\
         syscall(SYS_gettid) == getpid() ? \"main\" : \"helper\");\n\
         for (char **at = environ; at && *at; at++)\n\
         if (!strncmp(*at, name, length) && (*at)[length] == '=') return *at + length + 1;\n\
         return NULL;\n}\n",
    );
    both_modes(|issuer, builder| {
        let server = builder
            .environment("LD_PRELOAD", &watch.display().to_string())
            .set("validator.ca_file", &shown(Authority::shared()))
            .start();
        admits(&server, &issuer);
        let log = server.log().text();
        assert!(
            log.contains("SSL_CERT_FILE read in the main thread"),
            "{log}"
        );
        assert!(!log.contains("read in the helper thread"), "{log}");
    });
}

#[test]
fn preloaded_module_reads_the_system_s_authorities_once() {
    let watch = shim::compile(
        "#define _GNU_SOURCE\n\
         #include <dlfcn.h>\n#include <stdarg.h>\n#include <stdio.h>\n#include <string.h>\n\
         int open64(const char *path, int flags, ...) {\n\
         va_list more; va_start(more, flags); int mode = va_arg(more, int); va_end(more);\n\
         if (strstr(path, \"bundle.pem\")) dprintf(2, \"bundle opened\\n\");\n\
         int (*next)(const char *, int, ...) = dlsym(RTLD_NEXT, \"open64\");\n\
         return next(path, flags, mode);\n}\n",
    );
    both_modes(|issuer, builder| {
        let file = bundle(&[Authority::shared()]);
        let server = builder
            .environment("LD_PRELOAD", &watch.display().to_string())
            .environment("SSL_CERT_FILE", &file.display().to_string())
            .start();
        let opened = || server.log().text().matches("bundle opened").count();
        let preloaded = opened() == 1;
        for _ in 0..3 {
            admits(&server, &issuer);
        }
        assert_eq!(opened(), if preloaded { 1 } else { 3 });
        // Changed, it is read again, until the server starts again.
        write_bundle(&file, &[Authority::shared(), &Authority::new("other")]);
        admits(&server, &issuer);
        assert_eq!(opened(), if preloaded { 2 } else { 4 });
    });
}
