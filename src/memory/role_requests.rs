//! What logins ask of the worker that provisions roles, in shared memory: one place for each process of the server.
//!
//! A login writes its request into its own place, calls the worker, and waits until the worker has answered there. A login
//! that gives up takes its request back; the worker notices that by the ticket. After a process was killed, PostgreSQL
//! creates all shared memory again.

use std::ffi::c_void;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::{Duration, Instant};

use oauth_core::{LayoutDigest, MAX_GROUPS, ProvisioningCause, layout_of};
use pgrx::{pg_guard, pg_sys};

use crate::memory::locked::Locked;
use crate::memory::plain::FixedText;
use crate::postgres::before_exit::before_exit;
use crate::postgres::versions;
use crate::settings::provisioning::{GrantOptions, Provisioning};

/// What a login asks for: that a role exists, and has these memberships and no others by the worker's grants.
pub struct RoleRequest {
    pub role: String,
    pub issuer: String,
    pub identity: String,
    /// At most [`MAX_GROUPS`].
    pub groups: Vec<u32>,
    /// Whether a role that does not exist is created.
    pub creates_role: bool,
    pub options: GrantOptions,
    pub require_grants: bool,
    pub connection_limit: Option<u32>,
    pub valid_for: Option<Duration>,
    /// How long the worker may take.
    pub timeout: Duration,
}

/// A request that the worker has taken, and its place.
pub struct Taken {
    pub request: RoleRequest,
    place: usize,
    ticket: u64,
}

/// Why a request was not fulfilled.
pub struct Unfulfilled {
    pub cause: ProvisioningCause,
    /// An error's text, for the log; or empty.
    pub what: String,
}

/// The places, and the worker.
#[derive(Clone, Copy)]
pub struct RoleRequests {
    worker: &'static Worker,
    places: &'static [Locked<Place>],
}

/// All bytes zero: there is none.
#[repr(C)]
pub struct Worker {
    /// Its process id; zero: none is ready.
    pid: AtomicI32,
    /// Its number among the server's processes.
    number: AtomicI32,
}

/// All bytes zero: the place is free.
#[repr(C)]
struct Place {
    /// Counts the requests of this place, so that an answer finds its own.
    ticket: u64,
    state: State,
    /// As `ProvisioningCause` has it; zero: fulfilled.
    cause: u8,
    what: FixedText<256>,
    asked: Asked,
}

#[repr(u8)]
#[derive(Clone, Copy, PartialEq)]
enum State {
    #[allow(dead_code)] // all bytes zero
    Free = 0,
    Waiting = 1,
    Taken = 2,
    Answered = 3,
}

/// A request as it lies in memory.
#[repr(C)]
#[derive(Clone, Copy)]
struct Asked {
    role: FixedText<64>,
    /// As long as an issuer and an identity can be: the comment on the role must have all of them.
    issuer: FixedText<2048>,
    identity: FixedText<256>,
    connection_limit: u32,
    /// Seconds.
    valid_for: u32,
    millis: u32,
    flags: u8,
    count: u16,
    groups: [u32; MAX_GROUPS],
}

const CREATES_ROLE: u8 = 1;
const INHERIT: u8 = 2;
const SET: u8 = 4;
const REQUIRE_GRANTS: u8 = 8;

/// What all this looks like in memory.
pub const fn layout(digest: LayoutDigest) -> LayoutDigest {
    digest
        .numbers(layout_of!(Worker { pid, number }))
        .numbers(layout_of!(Place {
            ticket,
            state,
            cause,
            what,
            asked
        }))
        .numbers(layout_of!(Asked {
            role,
            issuer,
            identity,
            connection_limit,
            valid_for,
            millis,
            flags,
            count,
            groups
        }))
}

impl RoleRequest {
    pub fn new(
        role: &str,
        issuer: &str,
        identity: &str,
        groups: Vec<u32>,
        how: &Provisioning,
    ) -> RoleRequest {
        RoleRequest {
            role: role.to_owned(),
            issuer: issuer.to_owned(),
            identity: identity.to_owned(),
            groups,
            creates_role: how.creates_roles,
            options: how.options,
            require_grants: how.require_grants,
            connection_limit: how.connection_limit,
            valid_for: how.valid_for,
            timeout: how.timeout,
        }
    }
}

impl Taken {
    /// Where the request was found.
    pub fn place(&self) -> usize {
        self.place
    }
}

impl RoleRequests {
    /// Bytes that it needs, at the alignment of a place.
    pub fn bytes() -> usize {
        places_offset() + places() * size_of::<Locked<Place>>()
    }

    /// # Safety
    /// `memory` has `bytes()` bytes, is aligned, and no other code uses it yet.
    pub unsafe fn initialize(memory: *mut c_void, tranche: i32) {
        // SAFETY: by this function's contract; all bytes zero is a valid Worker and a valid Place.
        unsafe {
            memory.cast::<u8>().write_bytes(0, places_offset());
            let first = first_place(memory);
            for n in 0..places() {
                Locked::initialize(first.add(n), size_of::<Locked<Place>>(), tranche);
            }
        }
    }

    /// # Safety
    /// `memory` was initialized, and stays until the process ends.
    pub unsafe fn at(memory: *mut c_void) -> Self {
        // SAFETY: by this function's contract.
        unsafe {
            RoleRequests {
                worker: &*memory.cast::<Worker>(),
                places: std::slice::from_raw_parts(first_place(memory), places()),
            }
        }
    }

    /// # Safety
    /// As `at`.
    pub unsafe fn tranche(memory: *mut c_void) -> i32 {
        // SAFETY: by this function's contract; there is a place for each process.
        unsafe { (*first_place(memory)).tranche() }
    }

    /// Asks the worker, and waits for its answer: for as long as the request says, and no longer than PostgreSQL lets this
    /// process live. Whatever ends the wait, nothing of the request is left behind.
    ///
    /// Errors: why the request is not fulfilled. If it was not answered in time, it may still be.
    pub fn ask(self, request: &RoleRequest) -> Result<(), Unfulfilled> {
        let unfulfilled = |cause| {
            let what = String::new();
            Err(Unfulfilled { cause, what })
        };
        let Some(place) = self.own_place() else {
            return unfulfilled(ProvisioningCause::NoWorker);
        };
        if !self.has_worker() {
            return unfulfilled(ProvisioningCause::NoWorker);
        }
        // Before there is something to take back.
        take_back_at_exit();
        let asked = Asked::of(request);
        {
            let mut place = place.exclusive();
            place.ticket = place.ticket.wrapping_add(1);
            place.asked = asked;
            place.state = State::Waiting;
        }
        self.call_worker();
        let begin = Instant::now();
        loop {
            let is_answered = || place.shared().state == State::Answered;
            if is_answered() {
                break;
            }
            let left = request.timeout.saturating_sub(begin.elapsed());
            if left.is_zero() || !self.has_worker() {
                break;
            }
            place.sleep_while(left, || !is_answered());
        }
        let mut place = place.exclusive();
        let is_answered = place.state == State::Answered;
        place.state = State::Free;
        if !is_answered {
            drop(place);
            // One that ended before the request was there has not answered it.
            return unfulfilled(match self.has_worker() {
                true => ProvisioningCause::Busy,
                false => ProvisioningCause::WorkerEnded,
            });
        }
        match ProvisioningCause::of_number(place.cause) {
            None => Ok(()),
            Some(cause) => {
                let what = place.what;
                drop(place);
                let what = what.get().to_owned();
                Err(Unfulfilled { cause, what })
            }
        }
    }

    /// Notes that this process is the worker, until it ends.
    pub fn begin_work(self) {
        before_exit(end_work_at_exit);
        // SAFETY: a plain variable of this process.
        let (pid, number) = unsafe { (pg_sys::MyProcPid, versions::own_number()) };
        self.worker.number.store(number, Ordering::Relaxed);
        self.worker.pid.store(pid, Ordering::Release);
    }

    /// The next request, counted from behind the place of the last one, so that all get their turn.
    pub fn take(self, after: usize) -> Option<Taken> {
        let count = self.places.len();
        let order = (1..=count).map(|step| (after + step) % count);
        for number in order {
            let place = self.places.get(number)?;
            if place.shared().state != State::Waiting {
                continue;
            }
            let mut place = place.exclusive();
            // It may have been taken back.
            if place.state == State::Waiting {
                place.state = State::Taken;
                let (asked, ticket) = (place.asked, place.ticket);
                drop(place);
                return Some(Taken {
                    request: asked.read(),
                    place: number,
                    ticket,
                });
            }
        }
        None
    }

    /// Answers a request that was taken. False: nobody waits for the answer any more.
    pub fn answer(self, taken: &Taken, outcome: &Result<(), Unfulfilled>) -> bool {
        let Some(place) = self.places.get(taken.place) else {
            return false;
        };
        let mut own = place.exclusive();
        if own.ticket != taken.ticket || own.state != State::Taken {
            return false;
        }
        own.answer(outcome.as_ref().err());
        drop(own);
        place.wake();
        true
    }

    /// Whether the worker is ready.
    pub fn has_worker(self) -> bool {
        self.worker_process().is_some()
    }

    /// The worker's entry among the server's processes.
    fn worker_process(self) -> Option<*mut pg_sys::PGPROC> {
        let pid = self.worker.pid.load(Ordering::Acquire);
        let number = self.worker.number.load(Ordering::Relaxed);
        if pid == 0 {
            return None;
        }
        let process = versions::process_with_number(number).cast_mut();
        // SAFETY: null, or a PGPROC in shared memory, which is never freed.
        let is_own = unsafe { process.as_ref().is_some_and(|process| process.pid == pid) };
        is_own.then_some(process)
    }

    fn call_worker(self) {
        if let Some(process) = self.worker_process() {
            // SAFETY: the latch lies in shared memory; if the process has ended since, another one wakes for nothing.
            unsafe { pg_sys::SetLatch(&raw mut (*process).procLatch) };
        }
    }

    fn own_place(self) -> Option<&'static Locked<Place>> {
        self.places
            .get(usize::try_from(versions::own_number()).ok()?)
    }
}

impl Place {
    fn answer(&mut self, unfulfilled: Option<&Unfulfilled>) {
        self.cause = unfulfilled.map_or(0, |unfulfilled| unfulfilled.cause.number());
        let what = unfulfilled.map_or("", |unfulfilled| &unfulfilled.what);
        self.what.set(what);
        self.state = State::Answered;
    }
}

impl Asked {
    fn of(request: &RoleRequest) -> Asked {
        let mut asked = Asked {
            role: FixedText::EMPTY,
            issuer: FixedText::EMPTY,
            identity: FixedText::EMPTY,
            connection_limit: request.connection_limit.unwrap_or(0),
            valid_for: seconds(request.valid_for),
            millis: u32::try_from(request.timeout.as_millis()).unwrap_or(u32::MAX),
            flags: 0,
            count: 0,
            groups: [0; MAX_GROUPS],
        };
        asked.role.set(&request.role);
        asked.issuer.set(&request.issuer);
        asked.identity.set(&request.identity);
        for (is_on, flag) in [
            (request.creates_role, CREATES_ROLE),
            (request.options.inherit, INHERIT),
            (request.options.set, SET),
            (request.require_grants, REQUIRE_GRANTS),
        ] {
            if is_on {
                asked.flags |= flag;
            }
        }
        for (place, group) in asked.groups.iter_mut().zip(&request.groups) {
            *place = *group;
            asked.count += 1;
        }
        asked
    }

    fn read(&self) -> RoleRequest {
        let is_on = |flag| self.flags & flag != 0;
        let groups = self.groups.iter().take(usize::from(self.count));
        RoleRequest {
            role: self.role.get().to_owned(),
            issuer: self.issuer.get().to_owned(),
            identity: self.identity.get().to_owned(),
            groups: groups.copied().collect(),
            creates_role: is_on(CREATES_ROLE),
            options: GrantOptions {
                inherit: is_on(INHERIT),
                set: is_on(SET),
            },
            require_grants: is_on(REQUIRE_GRANTS),
            connection_limit: (self.connection_limit > 0).then_some(self.connection_limit),
            valid_for: (self.valid_for > 0).then(|| Duration::from_secs(self.valid_for.into())),
            timeout: Duration::from_millis(self.millis.into()),
        }
    }
}

fn seconds(time: Option<Duration>) -> u32 {
    time.map_or(0, |time| u32::try_from(time.as_secs()).unwrap_or(u32::MAX))
}

/// A login that ends while it waits leaves no request behind. Once in a process.
fn take_back_at_exit() {
    static IS_SET: std::sync::Once = std::sync::Once::new();
    IS_SET.call_once(|| before_exit(take_back));
}

#[pg_guard]
unsafe extern "C-unwind" fn take_back(_code: i32, _arg: pg_sys::Datum) {
    if let Some(place) = crate::memory::role_requests().and_then(RoleRequests::own_place) {
        place.exclusive().state = State::Free;
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_work_at_exit(_code: i32, _arg: pg_sys::Datum) {
    let Some(requests) = crate::memory::role_requests() else {
        return;
    };
    requests.worker.pid.store(0, Ordering::Release);
    let ended = Unfulfilled {
        cause: ProvisioningCause::WorkerEnded,
        what: String::new(),
    };
    for place in requests.places {
        let mut own = place.exclusive();
        if matches!(own.state, State::Waiting | State::Taken) {
            own.answer(Some(&ended));
            drop(own);
            place.wake();
        }
    }
}

/// How many processes of the server can be backends: fixed when it starts.
fn places() -> usize {
    // SAFETY: a plain variable of the server, set before shared memory is asked for.
    usize::try_from(unsafe { pg_sys::MaxBackends }).unwrap_or(0)
}

const fn places_offset() -> usize {
    size_of::<Worker>().next_multiple_of(align_of::<Locked<Place>>())
}

fn first_place(memory: *mut c_void) -> *mut Locked<Place> {
    memory.wrapping_byte_add(places_offset()).cast()
}
