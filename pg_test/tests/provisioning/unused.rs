//! Which logins count as use of a role, and what is known when there are more roles than places to note them.

use std::time::Duration;

use crate::Directory;

/// Where a role's number puts it in `memory/last_logins.rs`: numbers that begin at the same place.
fn colliding(count: u32) -> Vec<u32> {
    const FACTOR: u32 = 2_654_435_761;
    // The factor's inverse modulo 2^32, by Newton's method.
    let inverse = (0..5).fold(FACTOR, |x: u32, _| {
        x.wrapping_mul(2u32.wrapping_sub(FACTOR.wrapping_mul(x)))
    });
    assert_eq!(FACTOR.wrapping_mul(inverse), 1);
    let first = 4321 << 18;
    let numbers = (0u32..).map(|step| (first + step).wrapping_mul(inverse));
    numbers
        .filter(|number| *number > 100_000)
        .take(count as usize)
        .collect()
}

#[test]
fn a_login_that_was_forgotten_for_another_is_not_taken_for_none() {
    let directory = Directory::start();
    let server = &directory.server;
    let numbers = colliding(17);
    let rows: Vec<String> = numbers
        .iter()
        .enumerate()
        .map(|(n, number)| {
            format!("({number}, 'crowd{n}', false, true, false, false, true, false, false, -1)")
        })
        .collect();
    server.sql(&format!(
        "SET allow_system_table_mods = on; INSERT INTO pg_authid (oid, rolname, rolsuper, rolinherit, rolcreaterole, \
         rolcreatedb, rolcanlogin, rolreplication, rolbypassrls, rolconnlimit) VALUES {}",
        rows.join(", ")
    ));
    for n in 0..numbers.len() {
        server.sql(&format!("GRANT validator_managed TO crowd{n}"));
    }
    std::thread::sleep(Duration::from_secs(9));
    for n in 0..numbers.len() {
        drop(directory.admits(&format!("crowd{n}"), &[]));
    }
    let known = "SELECT last_login_at IS NOT NULL FROM validator.provisioned_roles WHERE role = ";
    assert_eq!(server.value(&format!("{known}'crowd0'")), "f");
    assert_eq!(server.value(&format!("{known}'crowd16'")), "t");
    crate::eventually("the sessions have ended", || {
        server.value("SELECT count(*) FROM pg_stat_activity WHERE usename LIKE 'crowd%'") == "0"
    });
    let unused = "SELECT count(*) FROM validator.disable_unused_roles('8 seconds')";
    assert_eq!(server.value(unused), "0");
    // Those that are known are not held to be used by it.
    std::thread::sleep(Duration::from_secs(3));
    drop(directory.admits("crowd0", &[]));
    let known = "SELECT string_agg(role, ',') FROM validator.disable_unused_roles('2 seconds') WHERE role = 'crowd5'";
    assert_eq!(server.value(known), "crowd5");
}

#[test]
fn a_login_where_nothing_is_provisioned_is_a_use_too() {
    let directory = Directory::start();
    let server = &directory.server;
    drop(directory.admits("zoe", &["analysts"]));
    let last = "SELECT last_login_at FROM validator.provisioned_roles WHERE role = 'zoe'";
    let first = server.value(last);
    server.sql("CREATE ROLE other LOGIN");
    server.unset("validator.role_claim");
    server.reload_with(&[("validator.provision", "off")]);
    drop(directory.admits("zoe", &[]));
    drop(directory.admits("other", &[]));
    let second = server.value(last);
    assert!(second > first, "{first} {second}");
    assert_eq!(
        server.value(
            "SELECT count(*) FROM validator.provisioned_roles WHERE last_login_at IS NOT NULL"
        ),
        "1"
    );
}
