//! Functions that take the place of the C library's in a server, to fail as the kernel seldom does.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;
use std::{env, fs};

use crate::machine::{child, scratch};

/// Compiles C into a library for the server's `LD_PRELOAD`.
#[track_caller]
pub fn compile(source: &str) -> PathBuf {
    let folder = scratch::new_folder("shim");
    let (file, library) = (folder.join("shim.c"), folder.join("shim.so"));
    fs::write(&file, source).expect("a file can be written");
    let mut compiler = Command::new(env::var_os("CC").unwrap_or_else(|| "cc".into()));
    compiler.args(["-shared", "-fPIC", "-o"]).arg(&library);
    compiler.arg(&file).arg("-ldl");
    child::run(compiler, Duration::from_secs(60)).success();
    library
}
