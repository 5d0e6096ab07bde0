//! Lets the processes that the postmaster starts inherit this library's code and constants as mapped pages.
//!
//! A child maps each page of a file again when it first uses it, since Linux copies the page table of a private mapping of
//! a file only if something in that mapping was written. So one byte of each read-only mapping of this library is written
//! over with itself, which makes one page of it private to the postmaster and its children. It costs that page for each
//! mapping, once for the whole server. A backend saves up to 14 page faults at each login.
//!
//! The byte is written through /proc/self/mem: the kernel then copies the page although it is read-only, so that no page is
//! ever both writable and executable. Where that is not permitted, nothing changes.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;

/// What was done, for the log.
#[derive(Default)]
pub struct Inherited {
    /// How many mappings the children inherit, of how many that are read-only.
    pub mappings: usize,
    pub of: usize,
    pub bytes: usize,
    /// Why the rest is not inherited.
    pub error: Option<io::Error>,
}

/// To be called in the postmaster, at the end of preloading. Fails without harm.
#[cfg(target_os = "linux")]
pub fn inherit_own_pages() -> Inherited {
    let mappings = own_read_only_mappings();
    let mut inherited = Inherited {
        of: mappings.len(),
        ..Inherited::default()
    };
    let memory = match OpenOptions::new()
        .read(true)
        .write(true)
        .open("/proc/self/mem")
    {
        Ok(memory) => memory,
        Err(error) => {
            inherited.error = Some(error);
            return inherited;
        }
    };
    for mapping in mappings {
        match inherit(&memory, &mapping) {
            Ok(()) => {
                inherited.mappings += 1;
                inherited.bytes += mapping.len();
            }
            Err(error) => inherited.error = Some(error),
        }
    }
    inherited
}

/// Elsewhere, children are not known to map pages again.
#[cfg(not(target_os = "linux"))]
pub fn inherit_own_pages() -> Inherited {
    Inherited::default()
}

/// Maps all pages of a mapping, and has the kernel copy their table to children.
#[cfg(target_os = "linux")]
fn inherit(memory: &File, mapping: &Range<usize>) -> io::Result<()> {
    let start = mapping.start as *mut libc::c_void;
    // SAFETY: the range is a mapping of this process; MADV_POPULATE_READ only reads its pages.
    let advised = unsafe { libc::madvise(start, mapping.len(), libc::MADV_POPULATE_READ) };
    if advised != 0 {
        // Linux before 5.14 does not know it. What was used until now is inherited all the same.
        let error = io::Error::last_os_error();
        if error.raw_os_error() != Some(libc::EINVAL) {
            return Err(error);
        }
    }
    let offset = mapping.start as u64;
    let mut byte = [0];
    memory.read_exact_at(&mut byte, offset)?;
    memory.write_all_at(&byte, offset)
}

/// The parts of this library that are mapped from its file and never written: headers, constants and code.
#[cfg(target_os = "linux")]
fn own_read_only_mappings() -> Vec<Range<usize>> {
    let mut mappings = Vec::new();
    // SAFETY: the callback gets the vector as `data`, during this call only.
    unsafe { libc::dl_iterate_phdr(Some(collect), (&raw mut mappings).cast()) };
    mappings
}

/// Called for each object that is loaded; returns 1 after our own, which ends the search.
#[cfg(target_os = "linux")]
unsafe extern "C" fn collect(
    object: *mut libc::dl_phdr_info,
    _size: libc::size_t,
    data: *mut libc::c_void,
) -> libc::c_int {
    // SAFETY: the loader gives a description that is valid during this call.
    let object = unsafe { &*object };
    if object.dlpi_phdr.is_null() {
        return 0;
    }
    // SAFETY: the loader gives that many program headers.
    let headers =
        unsafe { std::slice::from_raw_parts(object.dlpi_phdr, usize::from(object.dlpi_phnum)) };
    let segments = || {
        headers
            .iter()
            .filter(|header| header.p_type == libc::PT_LOAD)
    };
    // An address where nothing is mapped would be refused by the kernel.
    let range = |header: &libc::Elf64_Phdr| {
        let start = (object.dlpi_addr as usize).wrapping_add(header.p_vaddr as usize);
        start..start.wrapping_add(header.p_memsz as usize)
    };
    let here = collect as *const () as usize;
    if !segments().any(|segment| range(segment).contains(&here)) {
        return 0;
    }
    // SAFETY: a plain call that asks for a constant of the system.
    let page = usize::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
    // SAFETY: `own_read_only_mappings` passes its vector, which nothing else uses meanwhile.
    let mappings = unsafe { &mut *data.cast::<Vec<Range<usize>>>() };
    for segment in segments().filter(|segment| segment.p_flags & libc::PF_W == 0) {
        let Range { start, end } = range(segment);
        let start = start - start % page;
        mappings.push(start..end.next_multiple_of(page).max(start));
    }
    1
}
