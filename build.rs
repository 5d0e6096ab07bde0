//! Generates the few types of the server's headers that pgrx does not bind, with the layout that this very
//! server was built with (struct Port differs with OpenSSL and GSSAPI).

use std::env;
use std::error::Error;
use std::fs;
use std::path::PathBuf;
use std::process::Command;

use pgrx_pg_config::Pgrx;

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed=src/postgres/abi.h");
    println!("cargo::rerun-if-env-changed=PGRX_PG_CONFIG_PATH");
    refuse_jitter_entropy()?;

    let major = (15..=19).find(|major| env::var_os(format!("CARGO_FEATURE_PG{major}")).is_some());
    let major = major.ok_or("choose a major version of PostgreSQL: --features pg18")?;
    // From PostgreSQL 18 on there is an authentication method "oauth".
    println!("cargo::rustc-check-cfg=cfg(oauth)");
    if major >= 18 {
        println!("cargo::rustc-cfg=oauth");
    }
    let pgrx = Pgrx::from_config()?;
    let pg_config = pgrx.get(&format!("pg{major}"))?;

    let bindings = bindgen::Builder::default()
        .header("src/postgres/abi.h")
        .clang_arg(format!("-I{}", pg_config.includedir_server()?.display()))
        .clang_args(
            pg_config
                .cppflags()?
                .to_string_lossy()
                .split_ascii_whitespace(),
        )
        .allowlist_type(
            "OAuthValidatorCallbacks|ValidatorStartupCB|ValidatorModuleState|ValidatorModuleResult",
        )
        .allowlist_type("HbaLine|IdentLine|TokenizedAuthLine|AuthToken|Port")
        .allowlist_function("check_usermap|open_auth_file|tokenize_auth_file|free_auth_file|parse_hba_line|parse_ident_line|pg_regexec|pg_foreach_ifaddr|RegisterOAuthHBAOptions|GetOAuthHBAOption")
        .allowlist_var("PG_OAUTH_VALIDATOR_MAGIC|ClientAuthentication_hook|MyClientConnectionInfo")
        // PostgreSQL's errors unwind through these functions.
        .override_abi(bindgen::Abi::CUnwind, ".*")
        .wrap_unsafe_ops(true)
        .generate_comments(false)
        .merge_extern_blocks(true)
        .formatter(bindgen::Formatter::None)
        .generate()?
        .to_string();

    // A server that was built without OpenSSL knows no certificates.
    println!("cargo::rustc-check-cfg=cfg(openssl)");
    if bindings.contains("pub peer :") {
        println!("cargo::rustc-cfg=openssl");
    }
    fs::write(PathBuf::from(env::var("OUT_DIR")?).join("abi.rs"), bindings)?;

    if env::var("CARGO_CFG_TARGET_ENV").as_deref() == Ok("gnu") {
        add_linker_script("no_jitter_entropy.ld")?;
        link_for_cheap_logins()?;
    }
    Ok(())
}

/// The setting of .cargo/config.toml, which cargo reads only where it is started within this folder.
fn refuse_jitter_entropy() -> Result<(), Box<dyn Error>> {
    let target = env::var("TARGET")?.replace('-', "_");
    let names = [
        format!("AWS_LC_SYS_NO_JITTER_ENTROPY_{target}"),
        "AWS_LC_SYS_NO_JITTER_ENTROPY".to_owned(),
    ];
    for name in &names {
        println!("cargo::rerun-if-env-changed={name}");
    }
    // As aws-lc-sys reads it.
    let value = names.iter().find_map(|name| env::var(name).ok());
    let value = value.unwrap_or_default().to_lowercase();
    let is_on = value.starts_with(|c: char| c.is_ascii_digit() && c != '0')
        || ["y", "on", "t"].iter().any(|yes| value.starts_with(yes));
    if !is_on {
        return Err("set AWS_LC_SYS_NO_JITTER_ENTROPY=1, or run cargo in the folder of this module: with its own jitter \
             entropy, aws-lc costs each login that asks the provider many times its CPU, and may abort the server"
            .into());
    }
    Ok(())
}

/// What a login pays for a library is mostly the pages of it that it touches: see docs/performance.md.
fn link_for_cheap_logins() -> Result<(), Box<dyn Error>> {
    // Relocations are work that every login repeats when the module is loaded on demand: pack them, where they can be
    // unpacked. An older glibc would not load the module.
    if glibc_version().is_some_and(|version| version >= (2, 36)) {
        println!("cargo::rustc-cdylib-link-arg=-Wl,-z,pack-relative-relocs");
    }
    // The functions of a login next to each other. Names that match nothing do no harm; the map tells a lint of them.
    add_linker_script("hot_functions.ld")?;
    let map = PathBuf::from(env::var("OUT_DIR")?).join("validator.map");
    println!("cargo::rustc-cdylib-link-arg=-Wl,-Map={}", map.display());
    // The unwinder within the module, so that a login does not load libgcc_s.so.1 as well. Whoever asks for that
    // library finds, first of all, a linker script that stands for gcc's static one.
    if has_static_unwinder() {
        let folder = PathBuf::from(env::var("OUT_DIR")?).join("static-unwinder");
        fs::create_dir_all(&folder)?;
        fs::write(folder.join("libgcc_s.so"), "INPUT(-lgcc_eh)\n")?;
        println!("cargo::rustc-cdylib-link-arg=-L{}", folder.display());
    }
    Ok(())
}

fn add_linker_script(name: &str) -> Result<(), Box<dyn Error>> {
    println!("cargo::rerun-if-changed={name}");
    let script = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join(name);
    println!("cargo::rustc-cdylib-link-arg=-Wl,-T,{}", script.display());
    Ok(())
}

/// That of this machine, for which the module is built.
fn glibc_version() -> Option<(u32, u32)> {
    let told = Command::new("getconf").arg("GNU_LIBC_VERSION").output();
    let told = String::from_utf8(told.ok()?.stdout).ok()?;
    let (major, minor) = told.trim().strip_prefix("glibc ")?.split_once('.')?;
    Some((major.parse().ok()?, minor.parse().ok()?))
}

/// Whether the C compiler, which links, brings `libgcc_eh.a`.
fn has_static_unwinder() -> bool {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let asked = Command::new(compiler)
        .arg("-print-file-name=libgcc_eh.a")
        .output();
    // A compiler that has no such file answers with the bare name.
    asked.is_ok_and(|answer| answer.stdout.contains(&b'/'))
}
