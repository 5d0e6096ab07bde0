//! The authorities that may vouch for a provider's certificate: the system's, and those in `ca_file`.
//!
//! The system's are read from its bundle at each request, which takes half a millisecond; where the module is preloaded,
//! the postmaster has read them for all, and they are read again only where the bundle has changed since.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use oauth_core::Misconfigured;
use once_cell::sync::OnceCell;
use rustls_native_certs::load_certs_from_paths;
use ureq::tls::{Certificate, PemItem, RootCerts, parse_pem};

use crate::memory::plain::FileVersion;
use crate::provider::file_version::file_version;
use crate::settings;

type Roots = Vec<Certificate<'static>>;

/// Where the system has its authorities.
pub struct SystemRoots {
    bundle: Option<PathBuf>,
    folders: Vec<PathBuf>,
    /// Set by the environment, in which case both count. Otherwise a folder has the certificates of its bundle, one per
    /// file, and some that the bundle leaves out on purpose.
    is_named: bool,
}

impl SystemRoots {
    /// By SSL_CERT_FILE and SSL_CERT_DIR, as OpenSSL; where neither is set, at the known places.
    ///
    /// Reads the environment: to be called in the main thread.
    pub fn locate() -> Self {
        let bundle = env::var_os("SSL_CERT_FILE").map(PathBuf::from);
        let folders = env::var_os("SSL_CERT_DIR").unwrap_or_default();
        let folders: Vec<_> = env::split_paths(&folders)
            .filter(|folder| !folder.as_os_str().is_empty())
            .collect();
        if bundle.is_some() || !folders.is_empty() {
            return SystemRoots {
                bundle,
                folders,
                is_named: true,
            };
        }
        let found = openssl_probe::probe();
        SystemRoots {
            bundle: found.cert_file,
            folders: found.cert_dir,
            is_named: false,
        }
    }

    /// Files and certificates that cannot be read are left out.
    fn read(&self) -> Arc<Roots> {
        let bundle = self.bundle.as_deref();
        if let (Some(inherited), Some(file)) = (INHERITED.get(), bundle)
            && inherited.is_still(file)
            && !self.reads_folders(&inherited.roots)
        {
            return Arc::clone(&inherited.roots);
        }
        let mut roots = bundle.map_or_else(Vec::new, |file| read(Some(file), None));
        if self.reads_folders(&roots) {
            let folders = self.folders.iter();
            roots.extend(folders.flat_map(|folder| read(None, Some(folder))));
        }
        Arc::new(roots)
    }

    fn reads_folders(&self, of_bundle: &Roots) -> bool {
        !self.folders.is_empty() && (self.is_named || of_bundle.is_empty())
    }
}

fn read(file: Option<&Path>, folder: Option<&Path>) -> Roots {
    let read = load_certs_from_paths(file, folder).certs;
    read.iter()
        .map(|der| Certificate::from_der(der).to_owned())
        .collect()
}

/// The bundle as the postmaster has read it.
struct Bundle {
    file: PathBuf,
    version: FileVersion,
    roots: Arc<Roots>,
}

static INHERITED: OnceCell<Bundle> = OnceCell::new();

impl Bundle {
    fn is_still(&self, file: &Path) -> bool {
        self.file == file && version_of(file) == Some(self.version)
    }
}

/// Reads the system's bundle for all processes that this one will start.
pub fn read_for_all() {
    let system = SystemRoots::locate();
    // Looked at before it is read: a change in between is noticed later.
    if let Some(file) = system.bundle
        && let Some(version) = version_of(&file)
    {
        let roots = Arc::new(read_in_one_piece(&file));
        // Set once in a process; the library is initialized once.
        let _ = INHERITED.set(Bundle {
            file,
            version,
            roots,
        });
    }
}

/// The certificates of a bundle in one block of memory, which stays for good. As some 140 blocks, with what parsing them
/// leaves free, they would lie all over the postmaster's heap, and each login would copy more of its pages.
fn read_in_one_piece(bundle: &Path) -> Roots {
    let pem = fs::read(bundle).unwrap_or_default();
    let mut lengths = Vec::with_capacity(256);
    let mut ders = Vec::with_capacity(pem.len());
    for item in parse_pem(&pem).filter_map(Result::ok) {
        if let PemItem::Certificate(certificate) = item {
            ders.extend_from_slice(certificate.der());
            lengths.push(certificate.der().len());
        }
    }
    let mut rest: &'static [u8] = ders.leak();
    let next = |length| {
        let (first, others) = rest.split_at_checked(length)?;
        rest = others;
        Some(Certificate::from_der(first))
    };
    lengths.into_iter().filter_map(next).collect()
}

fn version_of(file: &Path) -> Option<FileVersion> {
    fs::metadata(file).ok().map(|found| file_version(&found))
}

/// The system's authorities, if they are trusted, and those of `ca_file`.
///
/// Errors: `ca_file` cannot be read, or has no certificate.
pub fn trust_roots(
    system: Option<&SystemRoots>,
    ca_file: Option<&Path>,
) -> Result<RootCerts, Misconfigured> {
    let roots = system.map(SystemRoots::read).unwrap_or_default();
    let Some(ca_file) = ca_file else {
        return Ok(RootCerts::Specific(roots));
    };
    let mut roots = Arc::unwrap_or_clone(roots);
    roots.extend(read_ca_file(ca_file)?);
    Ok(RootCerts::Specific(Arc::new(roots)))
}

fn read_ca_file(path: &Path) -> Result<Roots, Misconfigured> {
    let invalid = |why: &str| settings::invalid("validator.ca_file", why);
    let pem = fs::read(path).map_err(|error| invalid(&error.to_string()))?;
    let mut roots = Vec::new();
    for item in parse_pem(&pem) {
        match item.map_err(|_| invalid("the file is not PEM"))? {
            PemItem::Certificate(certificate) => roots.push(certificate),
            _ => {
                return Err(invalid(
                    "the file contains something other than certificates",
                ));
            }
        }
    }
    match roots.is_empty() {
        true => Err(invalid("the file has no certificate")),
        false => Ok(roots),
    }
}
