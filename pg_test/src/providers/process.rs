//! A real provider in a process of its own, which is told what to do line by line.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::Mutex;
use std::sync::mpsc::{self, Receiver};
use std::thread;
use std::time::Duration;

use serde_json::Value;

use crate::machine::child;

/// A running provider. It stops when this value goes.
pub(crate) struct ProviderProcess {
    ready: Value,
    process: Mutex<Process>,
}

struct Process {
    child: Child,
    commands: ChildStdin,
    answers: Receiver<String>,
}

impl ProviderProcess {
    /// Starts a program in `folder`, its log beside it; its first line of JSON says that it is ready.
    #[track_caller]
    pub(crate) fn start(mut command: Command, folder: &Path) -> ProviderProcess {
        let log = fs::File::create(folder.join("log")).expect("a log can be made");
        command
            .current_dir(folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(log);
        let mut child =
            child::spawn(command, libc::SIGKILL).expect("the provider's program can be started");
        let commands = child.stdin.take().expect("it has a standard input");
        let stdout = child.stdout.take().expect("it has a standard output");
        let (lines, answers) = mpsc::channel();
        thread::spawn(move || {
            for line in BufReader::new(stdout).lines().map_while(Result::ok) {
                let _ = lines.send(line);
            }
        });
        let mut process = Process {
            child,
            commands,
            answers,
        };
        let Some(ready) = process.answer() else {
            let log = fs::read_to_string(folder.join("log")).unwrap_or_default();
            panic!("the provider does not start: {log}");
        };
        ProviderProcess {
            ready,
            process: Mutex::new(process),
        }
    }

    /// A value of the first line, such as `issuer`.
    #[track_caller]
    pub(crate) fn ready(&self, name: &str) -> &str {
        let value = self.ready[name].as_str();
        value.unwrap_or_else(|| panic!("the provider does not name its {name}"))
    }

    /// Sends an order; what is answered.
    #[track_caller]
    pub(crate) fn order(&self, order: &str) -> Value {
        let mut process = self.process.lock().unwrap_or_else(|e| e.into_inner());
        writeln!(process.commands, "{order}").expect("the provider reads its standard input");
        process.answer().expect("the provider answers an order")
    }
}

impl Process {
    fn answer(&mut self) -> Option<Value> {
        // Libraries print warnings on standard output as well.
        loop {
            let line = self.answers.recv_timeout(Duration::from_secs(30)).ok()?;
            if let Ok(answer @ Value::Object(_)) = serde_json::from_str(&line) {
                return Some(answer);
            }
        }
    }
}

impl Drop for ProviderProcess {
    fn drop(&mut self) {
        let mut process = self.process.lock().unwrap_or_else(|e| e.into_inner());
        let _ = process.child.kill();
        let _ = process.child.wait();
    }
}
