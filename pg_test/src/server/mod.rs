//! A throw-away PostgreSQL server with its own folder, port and settings.

pub(crate) mod builder;
pub(crate) mod command;
pub(crate) mod files;
pub(crate) mod log;
pub(crate) mod pam;
pub(crate) mod pam_files;
pub(crate) mod upgrade;
pub(crate) mod verdict;

use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Mutex, MutexGuard};
use std::thread;
use std::time::{Duration, Instant};

use crate::client::login::{Login, Reachable};
use crate::client::session::{Rows, Session};
use crate::machine::child::{self, Finished};
use crate::machine::{environment, scratch};
use crate::server::files::Configuration;
use crate::server::log::Log;

/// How long a start, a reload or a stop may take before the test fails.
const LIMIT: Duration = Duration::from_secs(30);

/// How [`Server::stop`] ends the server.
#[derive(Clone, Copy, Debug)]
pub enum StopMode {
    /// Waits for sessions to end.
    Smart,
    /// Ends sessions, then shuts down cleanly.
    Fast,
    /// Ends at once; the next start recovers.
    Immediate,
}

/// A running server. It stops, and its folder goes, when this value goes.
pub struct Server {
    folder: PathBuf,
    data: PathBuf,
    log: Log,
    state: Mutex<State>,
}

struct State {
    configuration: Configuration,
    child: Option<Child>,
    port: u16,
}

impl Server {
    /// A server in this folder, which has a folder `data` already; it does not run yet.
    pub(crate) fn new(folder: PathBuf, configuration: Configuration) -> Server {
        let state = State {
            configuration,
            child: None,
            port: 0,
        };
        Server {
            data: folder.join("data"),
            log: Log::new(&folder.join("log")),
            folder,
            state: Mutex::new(state),
        }
    }

    /// The TCP port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.state().port
    }

    /// The folder of the server's Unix socket.
    pub fn socket_folder(&self) -> &Path {
        &self.folder
    }

    /// The data folder.
    pub fn data_folder(&self) -> &Path {
        &self.data
    }

    /// A libpq connection string for this role over TCP.
    pub fn conninfo(&self, role: &str) -> String {
        format!(
            "host=127.0.0.1 port={} dbname=postgres user={role}",
            self.port()
        )
    }

    /// Runs SQL as superuser in a session of its own; all its rows as text.
    #[track_caller]
    pub fn sql(&self, sql: &str) -> Rows {
        self.superuser()
            .query(sql)
            .unwrap_or_else(|e| panic!("{e}\nin: {sql}"))
    }

    /// Runs SQL as superuser that gives one value; NULL is an empty string.
    #[track_caller]
    pub fn value(&self, sql: &str) -> String {
        self.superuser().value(sql)
    }

    /// A `Date` of HTTP (RFC 9110 §5.6.7) so many seconds from now.
    #[track_caller]
    pub fn http_date(&self, ahead: i64) -> String {
        self.value(&format!(
            "SELECT to_char((now() + '{ahead} s') AT TIME ZONE 'UTC', 'Dy, DD Mon YYYY HH24:MI:SS \"GMT\"')"
        ))
    }

    #[track_caller]
    fn superuser(&self) -> Session {
        Login::by_socket(self, "postgres").run().session()
    }

    /// Makes the module forget all providers' keys and failures: the next login fetches, as after a start.
    #[track_caller]
    pub fn forget_keys(&self) {
        self.sql("CREATE EXTENSION IF NOT EXISTS validator; SELECT validator.flush_cache()");
    }

    /// Puts a new file in the place of the module, by rename, as an upgrade does; of a server
    /// [with its own module](crate::ServerBuilder::own_module).
    pub fn replace_module(&self) {
        let library = files::own_module(&self.folder).join("lib/validator.so");
        let new = library.with_extension("so.new");
        let copied = fs::copy(environment::stage().join("lib/validator.so"), &new);
        copied.expect("the module can be copied");
        fs::rename(new, library).expect("the module can be replaced");
    }

    /// Limits how large a file, or a segment of shared memory, the server's future processes can make; `None`: not at all.
    /// What is larger fails as it does where there is no room. A process of the same user may set that.
    #[track_caller]
    pub fn limit_segments(&self, bytes: Option<u64>) {
        let limit = bytes.map_or_else(|| "unlimited".to_owned(), |bytes| bytes.to_string());
        self.limit(&format!("--fsize={limit}:"));
    }

    /// Sets a limit of the postmaster, which its next processes inherit; an option of prlimit(1). The program is started by
    /// the server, as a process of the same user may do that.
    #[track_caller]
    pub fn limit(&self, option: &str) {
        self.sql(&self.limit_statement(option));
    }

    /// The statement that sets it, for a session that has begun before a limit that new ones may not bear.
    pub fn limit_statement(&self, option: &str) -> String {
        run_beside(&format!("prlimit {option} --pid {}", self.postmaster_pid()))
    }

    /// Takes all room in the server's [own /dev/shm](ServerBuilder::dev_shm) but this many bytes; `None`: gives it back.
    #[track_caller]
    pub fn fill_dev_shm(&self, left: Option<u64>) {
        const FILLER: &str = "/dev/shm/filler";
        let commands = match left {
            // It writes until there is no room.
            Some(left) => format!(
                "{{ cat /dev/zero >{FILLER} || true; }} 2>/dev/null && truncate -s -{left} {FILLER}"
            ),
            None => format!("rm -f {FILLER}"),
        };
        self.sql(&run_beside(&commands));
    }

    /// Writes a file that only the server's user may read, beside the data folder; its path.
    pub fn private_file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.join(name);
        files::write_private(&path, text);
        path
    }

    /// Makes a hot standby of this server, with the same settings, and starts it.
    #[track_caller]
    pub fn standby(&self) -> Server {
        let folder = scratch::new_folder("standby");
        child::give_to_server_user(&folder);
        let backup = command::base_backup(&folder.join("data"), &self.folder, self.port());
        child::run(backup, LIMIT * 2).success();
        let standby = Server::new(folder, self.state().configuration.clone());
        standby
            .start_on_free_port()
            .unwrap_or_else(|log| panic!("the standby does not start:\n{log}"));
        standby
    }

    /// A `psql` of this server's version, without arguments.
    pub fn psql_command(&self) -> Command {
        let mut command = Command::new(environment::bindir().join("psql"));
        command
            .env("PGCONNECT_TIMEOUT", "30")
            .env_remove("PGSERVICE");
        command
    }

    /// Runs the real psql, unaligned and without headers, as superuser.
    #[track_caller]
    pub fn psql(&self, sql: &str) -> Finished {
        self.run_psql("-c", sql.as_ref())
    }

    /// The same for the commands of a file.
    #[track_caller]
    pub fn psql_script(&self, file: &Path) -> Finished {
        self.run_psql("-f", file.as_os_str())
    }

    #[track_caller]
    fn run_psql(&self, option: &str, argument: &OsStr) -> Finished {
        let mut command = self.psql_command();
        command.args([
            "-X",
            "-A",
            "-t",
            "-v",
            "ON_ERROR_STOP=1",
            "-U",
            "postgres",
            "-d",
            "postgres",
        ]);
        command
            .arg("-h")
            .arg(self.socket_folder())
            .arg("-p")
            .arg(self.port().to_string());
        command.arg(option).arg(argument);
        child::run(command, LIMIT)
    }

    /// The server's log.
    pub fn log(&self) -> &Log {
        &self.log
    }

    /// Sets a parameter; the next [`reload`](Server::reload) or [`restart`](Server::restart) uses it.
    pub fn set(&self, name: &str, value: &str) {
        self.state().configuration.set(name, value);
    }

    /// Takes a parameter out of postgresql.conf.
    pub fn unset(&self, name: &str) {
        self.state().configuration.unset(name);
    }

    /// Replaces the lines of pg_hba.conf, except the one that lets the rig in.
    pub fn set_hba(&self, lines: &[&str]) {
        self.state().configuration.hba = lines.iter().map(|l| l.to_string()).collect();
    }

    /// Adds a PAM service or replaces it, from the next login on.
    pub fn set_pam_service(&self, name: &str, text: &str) {
        let mut state = self.state();
        let services = &mut state.configuration.pam_services;
        services.retain(|(n, _)| n != name);
        services.push((name.to_owned(), text.to_owned()));
        pam_files::write_services(&self.folder, services);
    }

    /// Replaces the lines of pg_ident.conf.
    pub fn set_ident(&self, lines: &[&str]) {
        self.state().configuration.ident = lines.iter().map(|l| l.to_string()).collect();
    }

    /// Writes the configuration and has the server read it; returns what it logged about that.
    ///
    /// The postmaster logs the signal, reads everything, and only then accepts another connection:
    /// a login that starts after this call sees the new configuration, bad values or not.
    #[track_caller]
    pub fn reload(&self) -> String {
        let mark = self.log.mark();
        {
            let state = self.state();
            state
                .configuration
                .write(&self.data, &self.folder, state.port);
            child::signal(state.pid(), libc::SIGHUP);
        }
        self.log.wait_for(mark, "received SIGHUP", LIMIT);
        self.sql("SELECT 1");
        self.log.since(mark)
    }

    /// [`set`](Server::set) and [`reload`](Server::reload) in one.
    #[track_caller]
    pub fn reload_with(&self, settings: &[(&str, &str)]) -> String {
        for (name, value) in settings {
            self.set(name, value);
        }
        self.reload()
    }

    /// Stops the server and starts it on the same port.
    #[track_caller]
    pub fn restart(&self) {
        self.stop(StopMode::Fast);
        self.launch()
            .unwrap_or_else(|log| panic!("PostgreSQL does not start again:\n{log}"));
    }

    /// Starts a server that was stopped, on the same port; one that fails is described by its log.
    pub fn start_again(&self) -> Result<(), String> {
        self.launch()
    }

    /// Kills a process of the server with SIGKILL, upon which PostgreSQL ends all others; returns when it has started anew.
    #[track_caller]
    pub fn kill(&self, pid: u32) {
        let mark = self.log.mark();
        child::signal(pid, libc::SIGKILL);
        for line in [
            "all server processes terminated; reinitializing",
            "database system is ready to accept connections",
        ] {
            self.log.wait_for(mark, line, LIMIT * 2);
        }
    }

    /// Stops the server; returns how long it took.
    #[track_caller]
    pub fn stop(&self, mode: StopMode) -> Duration {
        let start = Instant::now();
        let status = self.state().stop(mode, LIMIT);
        assert!(
            status.is_some(),
            "PostgreSQL does not stop ({mode:?}):\n{}",
            self.log.text()
        );
        start.elapsed()
    }

    /// The process id of the postmaster.
    pub fn postmaster_pid(&self) -> u32 {
        self.state().pid()
    }

    /// Waits until a backend other than the rig's own is in `condition` (SQL on pg_stat_activity);
    /// returns its process id.
    #[track_caller]
    pub fn wait_for_backend(&self, condition: &str) -> u32 {
        let sql = format!(
            "SELECT pid FROM pg_stat_activity WHERE pid <> pg_backend_pid() AND ({condition})"
        );
        let start = Instant::now();
        loop {
            if let Some(Some(pid)) = self.sql(&sql).first().and_then(|row| row.first()) {
                return pid.parse().expect("a process id is a number");
            }
            assert!(
                start.elapsed() < LIMIT,
                "no backend with {condition}:\n{}",
                self.log.text()
            );
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// A port that was free may be taken before PostgreSQL listens on it: then another one.
    pub(crate) fn start_on_free_port(&self) -> Result<(), String> {
        let mut attempt = 1;
        loop {
            let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
            let port = listener
                .local_addr()
                .expect("a listener has an address")
                .port();
            drop(listener);
            self.state().port = port;
            match self.launch() {
                Err(log) if log.contains("could not bind") && attempt < 10 => attempt += 1,
                result => return result,
            }
        }
    }

    fn launch(&self) -> Result<(), String> {
        let mark = self.log.mark();
        {
            let mut state = self.state();
            state
                .configuration
                .write(&self.data, &self.folder, state.port);
            let output = self.log.append();
            let mut command = command::postgres(&self.data, &self.folder, &state.configuration);
            command
                .stdin(Stdio::null())
                .stderr(clone(&output))
                .stdout(output);
            let child = child::spawn(command, libc::SIGQUIT).expect("postgres can be started");
            state.child = Some(child);
        }
        let start = Instant::now();
        while self.exited().is_none() {
            if Login::by_socket(self, "postgres").run().is_session() {
                return Ok(());
            }
            if start.elapsed() > LIMIT {
                self.state().stop(StopMode::Immediate, LIMIT);
                break;
            }
            thread::sleep(Duration::from_millis(10));
        }
        Err(self.log.since(mark))
    }

    fn exited(&self) -> Option<ExitStatus> {
        self.state()
            .child
            .as_mut()
            .and_then(|child| child.try_wait().ok().flatten())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(|e| e.into_inner())
    }
}

impl Reachable for Server {
    fn port(&self) -> u16 {
        Server::port(self)
    }

    fn socket_folder(&self) -> &Path {
        Server::socket_folder(self)
    }
}

impl State {
    fn pid(&self) -> u32 {
        self.child.as_ref().expect("the server runs").id()
    }

    fn stop(&mut self, mode: StopMode, limit: Duration) -> Option<ExitStatus> {
        let mut child = self.child.take()?;
        let signal = match mode {
            StopMode::Smart => libc::SIGTERM,
            StopMode::Fast => libc::SIGINT,
            StopMode::Immediate => libc::SIGQUIT,
        };
        child::signal(child.id(), signal);
        let status = child::wait(&mut child, limit);
        if status.is_none() {
            let _ = child.kill();
            let _ = child.wait();
        }
        status
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.state()
            .stop(StopMode::Immediate, Duration::from_secs(10));
        let _ = fs::remove_dir_all(&self.folder);
    }
}

/// A statement by which the server runs a program: as its user, and with the files that it sees. The program reads what it
/// is given: a closed pipe would be an error.
fn run_beside(commands: &str) -> String {
    format!("COPY (SELECT 1) TO PROGRAM 'cat && {commands}'")
}

fn clone(file: &File) -> File {
    file.try_clone().expect("a file can be opened twice")
}
