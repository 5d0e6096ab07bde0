//! Child processes that never outlive the tests.

use std::fs;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Sender};
use std::sync::{Mutex, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

/// What a program that has ended left behind.
#[derive(Debug)]
pub struct Finished {
    /// Its exit status.
    pub status: ExitStatus,
    /// What it wrote on standard output.
    pub stdout: String,
    /// What it wrote on standard error.
    pub stderr: String,
}

impl Finished {
    /// Standard output without surrounding white space, if the program succeeded.
    #[track_caller]
    pub fn success(&self) -> &str {
        assert!(
            self.status.success(),
            "{}\nstdout: {}\nstderr: {}",
            self.status,
            self.stdout,
            self.stderr
        );
        self.stdout.trim()
    }
}

/// Starts a program that gets `death_signal` as soon as this process is gone, however it ends.
///
/// The kernel ties that signal to the thread that forks, so one thread that never ends starts all.
pub fn spawn(mut command: Command, death_signal: i32) -> io::Result<Child> {
    // SAFETY: between fork and exec the closure makes one system call, which is async-signal-safe,
    // and allocates nothing. std runs it after it has changed the user, which would reset the signal.
    unsafe {
        command.pre_exec(
            move || match libc::prctl(libc::PR_SET_PDEATHSIG, death_signal) {
                0 => Ok(()),
                _ => Err(io::Error::last_os_error()),
            },
        );
    }
    type Order = (Command, Sender<io::Result<Child>>);
    static SPAWNER: OnceLock<Mutex<Sender<Order>>> = OnceLock::new();
    let spawner = SPAWNER.get_or_init(|| {
        let (orders, inbox) = mpsc::channel::<Order>();
        thread::spawn(move || {
            for (mut command, answer) in inbox {
                let _ = answer.send(command.spawn());
            }
        });
        Mutex::new(orders)
    });
    let (answer, child) = mpsc::channel();
    let sent = spawner
        .lock()
        .unwrap_or_else(|e| e.into_inner())
        .send((command, answer));
    sent.map_err(|_| io::Error::other("the thread that starts programs is gone"))?;
    child.recv().map_err(io::Error::other)?
}

/// Runs a program to its end; after `limit` it is killed and the test fails.
#[track_caller]
pub fn run(mut command: Command, limit: Duration) -> Finished {
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let what = format!("{command:?}");
    let mut child = spawn(command, libc::SIGKILL).unwrap_or_else(|e| panic!("{what}: {e}"));
    let stdout = read_all(child.stdout.take());
    let stderr = read_all(child.stderr.take());
    let status = wait(&mut child, limit);
    if status.is_none() {
        let _ = child.kill();
        let _ = child.wait();
    }
    let (stdout, stderr) = (join(stdout), join(stderr));
    match status {
        Some(status) => Finished {
            status,
            stdout,
            stderr,
        },
        None => panic!("not ended after {limit:?}: {what}\nstdout: {stdout}\nstderr: {stderr}"),
    }
}

/// Waits for a program's end, at most `limit`.
pub fn wait(child: &mut Child, limit: Duration) -> Option<ExitStatus> {
    let start = Instant::now();
    loop {
        if let Ok(Some(status)) = child.try_wait() {
            return Some(status);
        }
        if start.elapsed() > limit {
            return None;
        }
        thread::sleep(Duration::from_millis(5));
    }
}

/// Sends a signal to a process that this rig started.
pub fn signal(pid: u32, signal: i32) {
    let pid = i32::try_from(pid).expect("a process id is positive and small");
    // SAFETY: kill() takes no pointer. A process that is gone makes it fail, which does no harm.
    unsafe { libc::kill(pid, signal) };
}

/// The user that runs PostgreSQL, which refuses to run as root; `None` where we are not root.
pub(crate) fn server_user() -> Option<(u32, u32)> {
    static USER: OnceLock<Option<(u32, u32)>> = OnceLock::new();
    *USER.get_or_init(|| {
        if fs::metadata("/proc/self").expect("/proc is mounted").uid() != 0 {
            return None;
        }
        let passwd = fs::read_to_string("/etc/passwd").expect("/etc/passwd can be read");
        let nobody = passwd
            .lines()
            .find(|l| l.starts_with("nobody:"))
            .expect("there is a user nobody");
        let field = |n: usize| nobody.split(':').nth(n).and_then(|f| f.parse::<u32>().ok());
        Some((
            field(2).expect("nobody has a uid"),
            field(3).expect("nobody has a gid"),
        ))
    })
}

/// Makes a command run as the user of PostgreSQL.
pub(crate) fn as_server_user(command: &mut Command) {
    if let Some((uid, gid)) = server_user() {
        command.uid(uid).gid(gid);
    }
}

/// Gives a file or folder to the user of PostgreSQL.
pub(crate) fn give_to_server_user(path: &Path) {
    if let Some((uid, gid)) = server_user() {
        std::os::unix::fs::chown(path, Some(uid), Some(gid))
            .unwrap_or_else(|e| panic!("cannot give {} away: {e}", path.display()));
    }
}

fn read_all<R: Read + Send + 'static>(pipe: Option<R>) -> thread::JoinHandle<String> {
    thread::spawn(move || {
        let mut bytes = Vec::new();
        if let Some(mut pipe) = pipe {
            let _ = pipe.read_to_end(&mut bytes);
        }
        String::from_utf8_lossy(&bytes).into_owned()
    })
}

fn join(reader: thread::JoinHandle<String>) -> String {
    reader.join().unwrap_or_default()
}
