//! A wire between a client and a server on which everything is read that the client sends.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

/// A port that passes everything on to a server, and keeps what clients have sent.
pub struct Tap {
    pub port: u16,
    sent: Arc<Mutex<Vec<u8>>>,
}

impl Tap {
    /// Its threads end with the process.
    pub fn on(server_port: u16) -> Tap {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let port = listener.local_addr().expect("it has an address").port();
        let sent = Arc::new(Mutex::new(Vec::new()));
        let kept = sent.clone();
        thread::spawn(move || {
            for client in listener.incoming().map_while(Result::ok) {
                let Ok(server) = TcpStream::connect(("127.0.0.1", server_port)) else {
                    return;
                };
                let (from, to) = (copy_of(&server), copy_of(&client));
                thread::spawn(move || pass(from, to, |_| ()));
                let kept = kept.clone();
                let keep = move |bytes: &[u8]| lock(&kept).extend_from_slice(bytes);
                thread::spawn(move || pass(client, server, keep));
            }
        });
        Tap { port, sent }
    }

    /// What clients have sent, as text.
    pub fn sent(&self) -> String {
        String::from_utf8_lossy(&lock(&self.sent)).into_owned()
    }
}

fn pass(mut from: TcpStream, mut to: TcpStream, see: impl Fn(&[u8])) {
    let mut bytes = [0; 4096];
    while let Ok(length @ 1..) = from.read(&mut bytes) {
        let bytes = bytes.get(..length).unwrap_or_default();
        see(bytes);
        if to.write_all(bytes).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}

fn copy_of(stream: &TcpStream) -> TcpStream {
    stream.try_clone().expect("a connection can be shared")
}

fn lock(bytes: &Mutex<Vec<u8>>) -> std::sync::MutexGuard<'_, Vec<u8>> {
    bytes.lock().unwrap_or_else(|e| e.into_inner())
}
