use super::*;

/// The server is not asked: nothing listens there.
#[test]
fn order_does_not_wait_for_other_orders_forever() {
    let server = Server::new(ServerConfig {
        name: "a".to_owned(),
        connection: tokio_postgres::Config::new(),
        tls: false,
        ca_file: None,
        timeout: Duration::from_millis(20),
    });
    let server = server.expect("a server");
    let order = Order {
        issuer: "https://idp.example".to_owned(),
        sessions: Vec::new(),
        disabled: Vec::new(),
        is_of_unknown_role: false,
    };
    let waiting = Part::SessionsOnceDisabled(vec!["zoe".to_owned()]);
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = runtime.enable_time().build().expect("a runtime");
    let all = u32::try_from(CONNECTIONS).expect("few");
    runtime.block_on(async {
        for (part, slots, who, millis) in [
            (Part::Whole, &server.slots, "server", 60),
            (waiting, &server.slots_of_waiting, "standby", 20),
        ] {
            let _all = slots.acquire_many(all).await.expect("never closed");
            let start = Instant::now();
            let (done, why) = server.carry_out(&order, &part).await;
            let waited = start.elapsed();
            let told = format!("too many orders wait for this {who}");
            assert_eq!((done, why), (Done::default(), Some(told)));
            // There is no other attempt, and no pause before it.
            let longest = PAUSES.iter().sum::<Duration>().as_millis();
            assert!(
                (millis..longest).contains(&waited.as_millis()),
                "{waited:?}"
            );
        }
    });
}

#[test]
fn what_others_caused_is_tried_again() {
    for code in [
        "08006", "40001", "40P01", "53300", "55P03", "57014", "57P01", "XX000",
    ] {
        assert!(may_pass(code), "{code}");
    }
    for code in ["00000", "42501", "42883", "22023", "57000", "XX001", ""] {
        assert!(!may_pass(code), "{code}");
    }
}
