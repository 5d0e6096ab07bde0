//! pg_hba.conf and pg_ident.conf as the files are now, read by the server's own parser: for SQL, and to explain a
//! refusal. A session has no longer what a login goes by, and PostgreSQL's views show neither what was quoted nor, in version 19, the settings on lines.

use std::ffi::{CStr, c_char, c_int, c_void};

use pgrx::pg_sys;

use crate::postgres::abi;
use crate::postgres::hba::FileLine;
#[cfg(oauth)]
use crate::postgres::text::copied;
use crate::postgres::text::{c_string, copied_lossy};
use crate::postgres::versions;

/// As PostgreSQL's own views do: what is wrong with a line is not logged again.
const QUIETLY: c_int = pg_sys::DEBUG3 as c_int;

/// The lines of pg_hba.conf that can be read, in their order. Of one with the method `radius`, only who matches it is
/// read.
pub fn hba_lines() -> Vec<(FileLine, &'static abi::HbaLine)> {
    // SAFETY: the server's parser for this file, and a line that tokenized_lines gave.
    unsafe {
        parsed_lines(pg_sys::HbaFileName, |line| {
            hide_radius(line);
            abi::parse_hba_line(line, QUIETLY)
        })
    }
}

/// The lines of pg_ident.conf that can be read, in their order.
pub fn ident_lines() -> Vec<(FileLine, &'static abi::IdentLine)> {
    // SAFETY: the server's parser for this file.
    unsafe {
        parsed_lines(pg_sys::IdentFileName, |line| {
            abi::parse_ident_line(line, QUIETLY)
        })
    }
}

/// The issuers of the lines of pg_hba.conf for tokens, each with the number of its line. For an unauthenticated client, too,
/// so other lines are not parsed.
#[cfg(oauth)]
pub fn issuers_of_lines() -> Vec<(i32, String)> {
    // SAFETY: the server's parser for this file, and a line that tokenized_lines gave; null is no line.
    let lines = unsafe {
        parsed_lines(pg_sys::HbaFileName, |line| {
            match find_method(line, c"oauth") {
                Some(_) if find_method(line, RADIUS).is_none() => {
                    abi::parse_hba_line(line, QUIETLY)
                }
                _ => std::ptr::null_mut(),
            }
        })
    };
    let issuers = lines.into_iter().filter_map(|(place, line)| {
        // SAFETY: null, or a NUL-terminated string of a parsed line.
        let issuer = unsafe { copied(line.oauth_issuer) }?;
        Some((place.line, issuer))
    });
    issuers.collect()
}

/// Before 18 no line names one.
#[cfg(not(oauth))]
pub fn issuers_of_lines() -> Vec<(i32, String)> {
    Vec::new()
}

const RADIUS: &CStr = c"radius";

/// Puts another method in the place of `radius`, and takes away its options. To parse them, PostgreSQL resolves the names of
/// the servers, in the main thread: while a name server does not answer, neither a timeout nor a command ends that.
///
/// # Safety
/// `line` is one that tokenized_lines gave, and nobody else reads it.
#[cfg_attr(feature = "pg19", expect(unused_variables))]
unsafe fn hide_radius(line: *mut abi::TokenizedAuthLine) {
    // 19 does not know the method.
    #[cfg(not(feature = "pg19"))]
    // SAFETY: by this function's contract. A list may use less than it has room for; the words live in a memory context that
    // is freed as a whole, and the parser does not write to them.
    unsafe {
        if let Some((at, word)) = find_method(line, RADIUS) {
            (*word).string = c"reject".as_ptr().cast_mut();
            (*(*line).fields).length = i32::try_from(at).unwrap_or(0).saturating_add(1);
        }
    }
}

/// The word of a line that makes this its method, and which one it is, from 0. The method is the fourth of a line for
/// sockets, and of others the fifth, or the sixth behind a mask. Both are looked at: of a line that can be read, only one of
/// them can be the name of a method.
///
/// # Safety
/// `line` is one that tokenized_lines gave, and lives as long as the result.
unsafe fn find_method(
    line: *const abi::TokenizedAuthLine,
    method: &CStr,
) -> Option<(usize, *mut abi::AuthToken)> {
    // SAFETY: by this function's contract: a list of lists of words, each of which has at least one, with NUL-terminated
    // strings.
    unsafe {
        let first_word = |field: *mut c_void| {
            let word = elements(field.cast()).next()?.cast::<abi::AuthToken>();
            Some((word, CStr::from_ptr((*word).string)))
        };
        let mut words = elements((*line).fields).map(first_word).enumerate();
        let (_, kind) = words.next()?.1?;
        let places = if kind == c"local" { 3..=3 } else { 4..=5 };
        words.find_map(|(at, word)| {
            let (word, text) = word?;
            (places.contains(&at) && text == method).then_some((at, word))
        })
    }
}

/// `validator.NAME=VALUE` for every setting on every line of pg_hba.conf that can be read.
#[cfg(feature = "pg19")]
pub fn line_settings() -> Vec<(FileLine, String)> {
    let lines = hba_lines().into_iter();
    let settings = lines.flat_map(|(place, line)| {
        // SAFETY: the two lists of a parsed line have NUL-terminated strings, in pairs.
        let pairs = unsafe { elements(line.oauth_opt_keys).zip(elements(line.oauth_opt_vals)) };
        pairs.map(move |(name, value)| {
            // SAFETY: as above.
            let (name, value) = unsafe { (copied_lossy(name.cast()), copied_lossy(value.cast())) };
            (place.clone(), format!("validator.{name}={value}"))
        })
    });
    settings.collect()
}

/// The lines of a file that `parse` can read. What they point to lives as long as the current memory context, which is
/// that of the statement: callers do not keep it.
///
/// # Safety
/// `parse` is the server's parser for this file.
unsafe fn parsed_lines<T>(
    path: *const c_char,
    parse: impl Fn(*mut abi::TokenizedAuthLine) -> *mut T,
) -> Vec<(FileLine, &'static T)> {
    let mut parsed = Vec::new();
    // SAFETY: the server's own functions for its own file, used as its views use them; the tokens live until they are
    // freed, and what is parsed of them in the current memory context, which outlives this function. An error that they
    // raise unwinds, and the file is then closed at the end of the transaction.
    unsafe {
        let Some((lines, tokens)) = versions::tokenized_lines(path, QUIETLY) else {
            return parsed;
        };
        for line in elements(lines) {
            let line = line.cast::<abi::TokenizedAuthLine>();
            if !(*line).err_msg.is_null() {
                continue;
            }
            if let Some(read) = abi::guarded(|| parse(line)).as_ref() {
                let file = copied_lossy(versions::file_of(&*line, path));
                let line = (*line).line_num;
                parsed.push((FileLine { file, line }, read));
            }
        }
        versions::free_lines(tokens);
    }
    parsed
}

/// The pointers in a list.
///
/// # Safety
/// `list` is null, the empty list, or a list of pointers that lives as long as the result.
pub unsafe fn elements(list: *mut abi::List) -> impl Iterator<Item = *mut c_void> {
    // SAFETY: by this function's contract; both crates' types are made from the same header (nodes/pg_list.h).
    let cells = unsafe {
        match list.cast::<pg_sys::List>().as_ref() {
            Some(list) => {
                let length = usize::try_from(list.length).unwrap_or(0);
                std::slice::from_raw_parts(list.elements, length)
            }
            None => &[],
        }
    };
    // SAFETY: the list holds pointers.
    cells.iter().map(|cell| unsafe { cell.ptr_value })
}

/// A word of one of the files.
#[derive(Clone, Copy)]
pub struct Word<'a> {
    text: &'a CStr,
    is_quoted: bool,
    /// Null: the word is not a regular expression.
    regex: *mut abi::pg_regex_t,
}

/// A line's name, and the role that it gives.
///
/// # Safety
/// The line is one of pg_ident.conf that the server's parser gave, and lives as long as the result.
#[cfg(not(feature = "pg15"))]
pub unsafe fn ident_words<'a>(line: &abi::IdentLine) -> Option<(Word<'a>, Word<'a>)> {
    // SAFETY: by this function's contract, the line's words.
    unsafe { Word::read(line.system_user).zip(Word::read(line.pg_user)) }
}

/// In 15 a role is a name, and nothing else.
#[cfg(feature = "pg15")]
pub unsafe fn ident_words<'a>(line: &abi::IdentLine) -> Option<(Word<'a>, Word<'a>)> {
    // SAFETY: by this function's contract, a line with NUL-terminated strings, and a compiled expression where the name
    // begins with a slash.
    unsafe {
        let name = CStr::from_ptr(line.ident_user);
        let regex = match name.to_bytes().first() {
            Some(b'/') => (&raw const line.re).cast_mut(),
            _ => std::ptr::null_mut(),
        };
        let word = |text, regex| Word {
            text,
            is_quoted: true,
            regex,
        };
        let role = CStr::from_ptr(line.pg_role);
        Some((word(name, regex), word(role, std::ptr::null_mut())))
    }
}

/// What the first group of a regular expression has matched: the bytes of it, where there is such a group.
pub struct Found {
    pub first_group: Option<Vec<u8>>,
}

impl Word<'_> {
    /// # Safety
    /// `token` is one of a line that [`hba_lines`] or [`ident_lines`] gave.
    pub unsafe fn read<'a>(token: *const abi::AuthToken) -> Option<Word<'a>> {
        // SAFETY: by this function's contract: null, or a token with a NUL-terminated string.
        unsafe {
            let token = token.as_ref()?;
            Some(Word {
                text: CStr::from_ptr(token.string),
                is_quoted: token.quoted,
                regex: versions::regex_of(token),
            })
        }
    }

    /// # Safety
    /// `list` is one of a line that [`hba_lines`] gave.
    pub unsafe fn list<'a>(list: *mut abi::List) -> Vec<Word<'a>> {
        // SAFETY: by this function's contract, a list of tokens.
        unsafe { elements(list) }
            .filter_map(|token| unsafe { Word::read(token.cast_const().cast()) })
            .collect()
    }

    pub fn text(&self) -> std::borrow::Cow<'_, str> {
        self.text.to_string_lossy()
    }

    pub fn is_regex(&self) -> bool {
        !self.regex.is_null()
    }

    /// Keywords are not quoted.
    pub fn is_keyword(&self, keyword: &str) -> bool {
        !self.is_quoted && self.is(keyword)
    }

    /// The group of `+group`.
    pub fn group(&self) -> Option<&CStr> {
        let is_group = !self.is_quoted && self.text.to_bytes().starts_with(b"+");
        // The terminating NUL stays behind it.
        is_group.then(|| CStr::from_bytes_with_nul(&self.text.to_bytes_with_nul()[1..]).ok())?
    }

    /// Whether `\1` stands for what a regular expression has found.
    pub fn has_reference(&self) -> bool {
        self.group().is_none() && !self.is_regex() && self.text().contains("\\1")
    }

    pub fn is(&self, text: &str) -> bool {
        self.text.to_bytes() == text.as_bytes()
    }

    /// Whether both words mean the same, wherever they stand.
    pub fn equals(&self, other: &Word<'_>) -> bool {
        self.text == other.text && self.is_quoted == other.is_quoted
    }

    /// Searches a text for this regular expression. `None`: it does not match.
    pub fn find_in(&self, text: &str) -> Option<Found> {
        // A login has no database yet, and so no encoding: each byte is a character to it.
        let wide: Vec<pg_sys::pg_wchar> = text.bytes().map(pg_sys::pg_wchar::from).collect();
        let mut groups = [abi::pg_regmatch_t {
            rm_so: -1,
            rm_eo: -1,
        }; 2];
        // SAFETY: an expression that the server has compiled, and text and groups of the given lengths.
        let status = unsafe {
            abi::guarded(|| {
                abi::pg_regexec(
                    self.regex,
                    wide.as_ptr(),
                    wide.len(),
                    0,
                    std::ptr::null_mut(),
                    groups.len(),
                    groups.as_mut_ptr(),
                    0,
                )
            })
        };
        if status != 0 {
            return None;
        }
        let offset = |offset| usize::try_from(offset).ok();
        let range = offset(groups[1].rm_so).zip(offset(groups[1].rm_eo));
        let first_group = range.and_then(|(from, to)| text.as_bytes().get(from..to));
        Some(Found {
            first_group: first_group.map(<[u8]>::to_vec),
        })
    }
}

/// A role, as the files' words are compared with it.
pub struct NamedRole<'a> {
    name: &'a str,
    oid: pg_sys::Oid,
}

impl<'a> NamedRole<'a> {
    pub fn look_up(name: &'a str) -> Self {
        // SAFETY: a NUL-terminated string; a role that does not exist gives InvalidOid.
        let oid = unsafe { pg_sys::get_role_oid(c_string(name).as_ptr(), true) };
        NamedRole { name, oid }
    }

    /// Whether it is a member of a role, directly or through others; superusers only if they were made members.
    pub fn is_member_of(&self, group: &CStr) -> bool {
        // SAFETY: a NUL-terminated string, and roles that exist or are not looked for.
        unsafe {
            let group = pg_sys::get_role_oid(group.as_ptr(), true);
            let exist = self.exists() && group != pg_sys::InvalidOid;
            exist && pg_sys::is_member_of_role_nosuper(self.oid, group)
        }
    }

    /// Whether a word of a column of roles stands for it (check_role of PostgreSQL's hba.c).
    pub fn is_meant_by(&self, word: &Word<'_>) -> bool {
        if let Some(group) = word.group() {
            self.is_member_of(group)
        } else if word.is_keyword("all") {
            true
        } else if word.is_regex() {
            word.find_in(self.name).is_some()
        } else {
            word.is(self.name)
        }
    }

    pub fn exists(&self) -> bool {
        self.oid != pg_sys::InvalidOid
    }

    pub fn name(&self) -> &'a str {
        self.name
    }
}
