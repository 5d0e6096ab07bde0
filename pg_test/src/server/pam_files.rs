//! PAM for a throw-away server: its services are files of the server's own folder, and nothing is written outside of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crate::machine::shim;

/// PAM's own function for files in another folder (Linux-PAM 1.4) in the place of the one that PostgreSQL calls. It is weak
/// since the library is loaded into programs without PAM, too.
const SOURCE: &str = r#"
#include <stdlib.h>
struct pam_conv;
typedef struct pam_handle pam_handle_t;
extern int pam_start_confdir(const char *, const char *, const struct pam_conv *, const char *, pam_handle_t **)
    __attribute__((weak));
int pam_start(const char *service, const char *user, const struct pam_conv *conversation, pam_handle_t **handle) {
    const char *folder = getenv("PAM_SERVICE_FOLDER");
    if (!pam_start_confdir || !folder)
        return 26; /* PAM_ABORT: a Linux-PAM before 1.4, or another PAM */
    return pam_start_confdir(service, user, conversation, folder, handle);
}
"#;

/// The library that has a server's PAM read the files of its own services.
pub fn pam_library() -> &'static Path {
    static LIBRARY: OnceLock<PathBuf> = OnceLock::new();
    LIBRARY.get_or_init(|| shim::compile(SOURCE))
}

/// Writes the files of PAM services, and the one of `other`, without which libpam complains at each login.
pub(crate) fn write_services(folder: &Path, services: &[(String, String)]) {
    let folder = service_folder(folder);
    let _ = fs::create_dir(&folder);
    let other = (
        "other".to_owned(),
        "auth required pam_deny.so\naccount required pam_deny.so\n".to_owned(),
    );
    let names: Vec<&str> = services.iter().map(|(name, _)| name.as_str()).collect();
    let other = (!names.contains(&"other")).then_some(&other);
    for (name, text) in services.iter().chain(other) {
        let file = folder.join(name);
        fs::write(&file, text).unwrap_or_else(|e| panic!("cannot write {}: {e}", file.display()));
    }
}

/// Has the PAM of a server read those files.
pub(crate) fn use_services(command: &mut Command, folder: &Path) {
    command
        .env("LD_PRELOAD", pam_library())
        .env("PAM_SERVICE_FOLDER", service_folder(folder));
}

fn service_folder(folder: &Path) -> PathBuf {
    folder.join("pam.d")
}
