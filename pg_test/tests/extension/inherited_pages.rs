//! A preloaded module's pages are mapped once, for all backends.

use std::fs;

use rig::{Issuer, Server};

/// A mapping of the module in a process, as /proc tells of it.
struct Mapping {
    permissions: String,
    /// kB of it that the process does not share with the file.
    private_copy: u64,
    inode: String,
}

fn mappings_of_the_module(pid: u32) -> Vec<Mapping> {
    let smaps = fs::read_to_string(format!("/proc/{pid}/smaps")).expect("the process runs");
    let mut mappings: Vec<Mapping> = Vec::new();
    let mut is_ours = false;
    for line in smaps.lines() {
        let words: Vec<&str> = line.split_whitespace().collect();
        match words[..] {
            [range, permissions, _, _, inode, ref path @ ..] if range.contains('-') => {
                is_ours = path
                    .first()
                    .is_some_and(|path| path.ends_with("/validator.so"));
                if is_ours {
                    mappings.push(Mapping {
                        permissions: permissions.to_owned(),
                        private_copy: 0,
                        inode: inode.to_owned(),
                    });
                }
            }
            ["Anonymous:", kilobytes, "kB"] if is_ours => {
                let last = mappings.last_mut().expect("a mapping came before");
                last.private_copy = kilobytes.parse().expect("a number");
            }
            _ => {}
        }
    }
    mappings
}

#[test]
fn backends_inherit_the_modules_pages_and_no_page_is_writable_and_executable() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .preload()
        .set("log_min_messages", "debug1")
        .start();
    let log = server.log().text();
    let (_, said) = log
        .split_once("backends inherit ")
        .unwrap_or_else(|| panic!("nothing is said in {log}"));
    let words: Vec<&str> = said.split_whitespace().take(4).collect();
    assert_eq!(words[1..3], ["of", words[0]], "all of them: {said}");

    let page = 4;
    let mut kinds = 0;
    for mapping in mappings_of_the_module(server.postmaster_pid()) {
        let Mapping {
            permissions,
            private_copy,
            inode,
        } = mapping;
        assert!(!permissions.contains("wx"), "{permissions}");
        assert_ne!(inode, "0");
        // The loader's own changes are in the others: what it relocates, and variables.
        if permissions == "r-xp" {
            assert_eq!(private_copy, page, "one page of the code is copied");
            kinds += 1;
        }
    }
    assert_eq!(kinds, 1, "the code is one mapping, as before");
    server.admits("alice", &issuer.token("alice").encode());
}

#[test]
fn holes_in_the_postmasters_heap_are_filled_and_they_are_small() {
    let server = Server::builder()
        .preload()
        .set("log_min_messages", "debug1")
        .start();
    let log = server.log().text();
    let filled = log
        .split_once("kB; ")
        .and_then(|(_, said)| said.split_once(" bytes of holes in the heap are filled"))
        .and_then(|(bytes, _)| bytes.parse::<usize>().ok());
    assert!(
        filled.is_some_and(|bytes| (8 * 1024..256 * 1024).contains(&bytes)),
        "{log}"
    );
}

#[test]
fn a_module_that_is_loaded_at_each_login_leaves_its_pages_alone() {
    let issuer = Issuer::builder().start();
    let server = Server::trusting(&issuer)
        .set("log_min_messages", "debug1")
        .start();
    server.admits("alice", &issuer.token("alice").encode());
    assert!(!server.log().text().contains("backends inherit"));
}
