//! pam_validator.so, a PAM module for lines of pg_hba.conf with the method `pam`: it asks the client for a password and hands
//! that to the module `validator`, which runs in the same process and judges it as a token.
//!
//! It decides nothing, keeps nothing and copies no password. Where it finds no `validator`, or one that speaks another
//! interface, it refuses. There is no standard library in it, and no frame that could be unwound: PostgreSQL may end
//! the process from within any call.

#![no_std]

use core::ffi::{CStr, c_char, c_int, c_void};
use core::ptr;

// --- The interface of `validator`: src/login/password.rs in its sources has the same numbers ---

/// What both sides must agree on.
const INTERFACE: c_int = 1;

/// The client may be asked, or the token opens the session.
const YES: c_int = 0;
/// The other side speaks another interface, or is not authenticating a client by a line of the method `pam`.
const UNSUITABLE: c_int = 2;
/// The password is not a token.
const NOT_A_TOKEN: c_int = 3;

/// What is not a token is left to other modules.
const LEAVE_OTHERS: c_int = 1;

type Begin = unsafe extern "C" fn(interface: c_int) -> c_int;
type Judge = unsafe extern "C" fn(interface: c_int, password: *const c_char, flags: c_int) -> c_int;

// --- PAM (security/_pam_types.h, security/pam_modules.h, security/pam_ext.h) ---

#[repr(C)]
pub struct PamHandle([u8; 0]);

const PAM_SUCCESS: c_int = 0;
const PAM_AUTH_ERR: c_int = 7;
const PAM_AUTHINFO_UNAVAIL: c_int = 9;
const PAM_AUTHTOK_ERR: c_int = 20;
const PAM_IGNORE: c_int = 25;
const PAM_AUTHTOK: c_int = 6;

type Cleanup = unsafe extern "C" fn(*mut PamHandle, *mut c_void, c_int);

// By the file that every system with PAM has, not by the link to it that comes with PAM's headers.
#[link(name = "libpam.so.0", kind = "dylib", modifiers = "+verbatim")]
unsafe extern "C" {
    fn pam_get_authtok(
        handle: *mut PamHandle,
        item: c_int,
        token: *mut *const c_char,
        prompt: *const c_char,
    ) -> c_int;
    fn pam_set_data(
        handle: *mut PamHandle,
        name: *const c_char,
        data: *mut c_void,
        cleanup: Option<Cleanup>,
    ) -> c_int;
    fn pam_get_data(
        handle: *const PamHandle,
        name: *const c_char,
        data: *mut *const c_void,
    ) -> c_int;
}

// --- The C library ---

#[link(name = "c")]
unsafe extern "C" {
    fn dlsym(handle: *mut c_void, name: *const c_char) -> *mut c_void;
    fn write(file: c_int, bytes: *const c_void, length: usize) -> isize;
    fn abort() -> !;
}

/// Searches the program and all libraries that it has opened for everyone.
const RTLD_DEFAULT: *mut c_void = ptr::null_mut();
const STDERR: c_int = 2;

// --- The module ---

/// PAM keeps it with the handle if this module has accepted a token.
const MARK: &CStr = c"pam_validator";
static ACCEPTED: u8 = 1;

/// Asks for a token and has it judged.
///
/// # Safety
/// Called by libpam, with the handle of a conversation and as many arguments as are said to be there.
// SAFETY: libpam looks for this name in every module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_authenticate(
    handle: *mut PamHandle,
    _flags: c_int,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: by this function's contract.
    let Some(leaves_others) = (unsafe { leaves_others(count, arguments) }) else {
        return PAM_AUTHINFO_UNAVAIL;
    };
    let Some((begin, judge)) = find_validator() else {
        tell(
            c"pam_validator: the module \"validator\" is not loaded, so no token is accepted: add it to shared_preload_libraries and restart PostgreSQL\n",
        );
        return PAM_AUTHINFO_UNAVAIL;
    };
    // SAFETY: `validator` defines it with these arguments in every interface, and answers to another number than its own
    // without doing anything else.
    match unsafe { begin(INTERFACE) } {
        YES => {}
        UNSUITABLE => {
            tell(
                c"pam_validator: the module \"validator\" speaks another interface, or no line of pg_hba.conf with the method \"pam\" is in use: install both files from the same package and restart PostgreSQL\n",
            );
            return PAM_AUTHINFO_UNAVAIL;
        }
        _ => return PAM_AUTH_ERR,
    }
    let mut password: *const c_char = ptr::null();
    // SAFETY: libpam's handle, and a place for the result, which stays libpam's.
    let status = unsafe { pam_get_authtok(handle, PAM_AUTHTOK, &raw mut password, ptr::null()) };
    if status != PAM_SUCCESS {
        return status;
    }
    if password.is_null() {
        return PAM_AUTH_ERR;
    }
    let flags = if leaves_others { LEAVE_OTHERS } else { 0 };
    // SAFETY: the same interface, as it has said; a NUL-terminated string that libpam keeps during the call.
    match unsafe { judge(INTERFACE, password, flags) } {
        // SAFETY: libpam's handle, a NUL-terminated name, and data that nobody frees.
        YES => unsafe {
            let mark = (&raw const ACCEPTED).cast_mut().cast();
            pam_set_data(handle, MARK.as_ptr(), mark, None)
        },
        NOT_A_TOKEN if leaves_others => PAM_IGNORE,
        _ => PAM_AUTH_ERR,
    }
}

/// An account is good if its token was accepted.
///
/// # Safety
/// As for [`pam_sm_authenticate`].
// SAFETY: libpam looks for this name in every module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_acct_mgmt(
    handle: *mut PamHandle,
    _flags: c_int,
    count: c_int,
    arguments: *const *const c_char,
) -> c_int {
    // SAFETY: by this function's contract.
    match unsafe { (has_accepted(handle), leaves_others(count, arguments)) } {
        (true, Some(_)) => PAM_SUCCESS,
        (false, Some(true)) => PAM_IGNORE,
        _ => PAM_AUTH_ERR,
    }
}

/// A token gives no credentials on this machine.
///
/// # Safety
/// As for [`pam_sm_authenticate`].
// SAFETY: libpam looks for this name in every module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_setcred(
    handle: *mut PamHandle,
    _flags: c_int,
    _count: c_int,
    _arguments: *const *const c_char,
) -> c_int {
    // SAFETY: by this function's contract.
    match unsafe { has_accepted(handle) } {
        true => PAM_SUCCESS,
        false => PAM_IGNORE,
    }
}

/// A token cannot be changed here.
///
/// # Safety
/// As for [`pam_sm_authenticate`].
// SAFETY: libpam looks for this name in every module.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn pam_sm_chauthtok(
    _handle: *mut PamHandle,
    _flags: c_int,
    _count: c_int,
    _arguments: *const *const c_char,
) -> c_int {
    PAM_AUTHTOK_ERR
}

/// Whether the only option, `try_others`, is given. `None`: another one is, which might have been meant to restrict.
///
/// # Safety
/// `arguments` has `count` NUL-terminated strings.
unsafe fn leaves_others(count: c_int, arguments: *const *const c_char) -> Option<bool> {
    let mut leaves_others = false;
    for index in 0..usize::try_from(count).unwrap_or(0) {
        // SAFETY: by this function's contract.
        let argument = unsafe { CStr::from_ptr(*arguments.add(index)) };
        if argument != c"try_others" {
            tell(
                c"pam_validator: unknown option in the PAM file; the only one is \"try_others\"\n",
            );
            return None;
        }
        leaves_others = true;
    }
    Some(leaves_others)
}

/// Whether this module has accepted a token in this conversation.
///
/// # Safety
/// `handle` is libpam's.
unsafe fn has_accepted(handle: *const PamHandle) -> bool {
    let mut data: *const c_void = ptr::null();
    // SAFETY: by this function's contract; a NUL-terminated name, and a place for the result.
    let status = unsafe { pam_get_data(handle, MARK.as_ptr(), &raw mut data) };
    status == PAM_SUCCESS && data == (&raw const ACCEPTED).cast()
}

/// Both functions of `validator`, which PostgreSQL opens for everyone in its process when it preloads it.
fn find_validator() -> Option<(Begin, Judge)> {
    // SAFETY: NUL-terminated names; null, or the address of a symbol.
    let (begin, judge) = unsafe {
        (
            dlsym(RTLD_DEFAULT, c"validator_password_begin".as_ptr()),
            dlsym(RTLD_DEFAULT, c"validator_password_judge".as_ptr()),
        )
    };
    if begin.is_null() || judge.is_null() {
        return None;
    }
    // SAFETY: only `validator` defines symbols of these names, as functions of these types.
    Some(unsafe {
        (
            core::mem::transmute::<*mut c_void, Begin>(begin),
            core::mem::transmute::<*mut c_void, Judge>(judge),
        )
    })
}

/// One line on standard error, which is PostgreSQL's log. If it cannot be written, nothing can be done.
fn tell(line: &CStr) {
    let bytes = line.to_bytes();
    // SAFETY: as many bytes as are said to be there.
    let _ = unsafe { write(STDERR, bytes.as_ptr().cast(), bytes.len()) };
}

#[panic_handler]
fn panicked(_: &core::panic::PanicInfo<'_>) -> ! {
    // SAFETY: it takes nothing and does not return.
    unsafe { abort() }
}
