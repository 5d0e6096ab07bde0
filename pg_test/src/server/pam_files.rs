//! PAM for a throw-away server: its services are files of the server's own folder, and nothing is written into /etc.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::machine::environment;

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
    let library = environment::pam_wrapper().expect("a test for PAM asks can_use_pam() first");
    command
        .env("LD_PRELOAD", library)
        .env("PAM_WRAPPER", "1")
        .env("PAM_WRAPPER_SERVICE_DIR", service_folder(folder));
}

fn service_folder(folder: &Path) -> PathBuf {
    folder.join("pam.d")
}
