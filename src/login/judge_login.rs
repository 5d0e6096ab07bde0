//! The steps of every login by token, whichever way the token came: settings, judgement, the session that begins, and for
//! a refusal the statistics and the log.

use std::ffi::CStr;

use oauth_core::{
    Bearer, Decision, Failure, LoginAttempt, Misconfigured, Policy, Printable, Reject, Sketch,
    SystemClock, is_token, judge,
};

use crate::log::circumstances::Circumstances;
use crate::log::refusal_log::log_refusal;
use crate::login::findings::gather;
use crate::login::second_copy::is_second_copy;
use crate::login::{session_claims, session_start};
use crate::memory;
use crate::memory::revocations::Begun;
use crate::postgres::auth_file::issuers_of_lines;
use crate::postgres::client_certificate::TlsPeer;
use crate::postgres::connection;
use crate::postgres::containment::{contain, end_backend};
use crate::postgres::hba::HbaLine;
use crate::postgres::role_catalog::{ServerCatalog, identity_may_take};
use crate::provider::introspection::introspector;
use crate::roles;
use crate::settings;
use crate::settings::LoginSettings;
use crate::settings::line_options::LineOptions;

/// How often a login is judged again if the caches are flushed during it.
const MAX_REPEATS: usize = 3;

/// The way by which a token came, as the administrator has set it up.
pub struct Source {
    /// The number of the matched line of pg_hba.conf, if there is one.
    pub number: Option<i32>,
    /// The matched line of pg_hba.conf.
    ///
    /// Errors: neither it nor a setting says what a token is judged by.
    pub line: Result<HbaLine, Misconfigured>,
    /// The settings of that line.
    pub options: Result<LineOptions, Misconfigured>,
    /// What it comes as.
    pub form: Form,
}

/// What a token comes as.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// By SASL OAUTHBEARER, which is for tokens only.
    #[cfg_attr(not(oauth), allow(dead_code))]
    Bearer,
    /// As a password, and so perhaps a person's.
    Password,
}

/// A login that was judged; a refusal has been counted and logged.
pub struct Judged {
    decision: Decision,
    /// The facts about a refusal, as the log has them; PostgreSQL 19 takes them, too.
    #[cfg_attr(not(feature = "pg19"), allow(dead_code))]
    pub refusal: Option<String>,
}

impl Judged {
    pub fn is_authorized(&self) -> bool {
        self.decision.is_authorized()
    }

    /// Who the bearer is, also if the role was refused.
    #[cfg(oauth)]
    pub fn authn_id(&self) -> Option<&str> {
        self.decision.authn_id()
    }

    /// Whether the module itself has failed.
    #[cfg(oauth)]
    pub fn is_our_fault(&self) -> bool {
        matches!(self.decision.outcome(), Err(Failure::Internal(_)))
    }

    /// The session may begin: its claims are kept for it.
    pub fn keep_claims(self) {
        session_claims::keep(self.decision);
    }
}

/// Runs a part of a login. None of PostgreSQL's errors and no panic in it reaches the client: it is logged, and this
/// backend ends.
pub fn contained<T>(role: &CStr, work: impl FnOnce() -> T) -> T {
    contain(work).unwrap_or_else(|failure| {
        let _ = contain(|| {
            log_refusal(&role.to_string_lossy(), &failure, &Circumstances::default());
        });
        end_backend()
    })
}

/// Decides whether a client may be asked for a token. A refusal is counted and logged.
pub fn may_be_asked(source: &Source, role: &CStr) -> bool {
    match open(source) {
        Ok(_) => true,
        Err((failure, settings)) => {
            let known = Circumstances::default();
            refuse(source, role, &failure, settings.as_deref(), known);
            false
        }
    }
}

/// Judges a token for a role. A session that is granted is prepared; a refusal is counted and logged.
pub fn judge_login(source: Source, token: &CStr, role: &CStr) -> Judged {
    let (decision, settings) = decide(&source, token, role);
    let refusal = decision.outcome().err().map(|failure| {
        let policy = settings.as_ref().map(|settings| &settings.policy);
        let sketch = sketch_of(token, failure, policy);
        let known = Circumstances {
            evidence: Some(decision.evidence()),
            sketch: sketch.as_ref(),
            other_line: sketch.as_ref().and_then(line_for_another),
            ..Circumstances::default()
        };
        refuse(&source, role, failure, settings.as_deref(), known)
    });
    Judged { decision, refusal }
}

/// Counts and logs a refusal. Returns the facts about it.
fn refuse(
    source: &Source,
    role: &CStr,
    failure: &Failure,
    settings: Option<&LoginSettings>,
    known: Circumstances<'_>,
) -> String {
    let line = source.line.as_ref().ok();
    count_refusal(line, failure);
    let findings = gather(failure, line, settings, true);
    let known = Circumstances {
        policy: settings.map(|settings| &settings.policy),
        hba_line: source.number,
        profile: settings.and_then(|settings| settings.profile),
        is_password: source.form == Form::Password,
        findings: Some(&findings),
        ..known
    };
    log_refusal(&role.to_string_lossy(), failure, &known)
}

/// What a refused token says of itself. If the fault is not the token's, that does not matter.
fn sketch_of(token: &CStr, failure: &Failure, policy: Option<&Policy>) -> Option<Sketch> {
    let is_rejected = matches!(failure, Failure::Reject(_));
    let policy = policy.filter(|_| is_rejected)?;
    Sketch::of(&Bearer::new(token.to_str().ok()?), policy)
}

/// The line of pg_hba.conf for the issuer that a refused token names, if it is not the one that matched.
fn line_for_another(sketch: &Sketch) -> Option<i32> {
    let named = sketch.other_issuer()?;
    issuers_of_lines()
        .into_iter()
        .find_map(|(number, url)| (settings::issuer_name(&url) == named).then_some(number))
}

/// Counts a refusal, if there is memory to count in: to attach to it might be what has failed.
fn count_refusal(line: Option<&HbaLine>, failure: &Failure) {
    if let (Some(line), Some(statistics)) = (line, memory::attached_statistics()) {
        statistics.count_refused(&settings::issuer_name(&line.issuer), failure);
    }
}

/// Why a login ends before its token is looked at, and its settings, if they could be read.
type NotOpen = (Failure, Option<Box<LoginSettings>>);

/// The steps before the token is looked at. Nothing is asked of anyone in them.
fn open(source: &Source) -> Result<(Box<LoginSettings>, Begun), NotOpen> {
    let misconfigured = |fault: Misconfigured| (fault.into(), None);
    if is_second_copy() {
        return Err(misconfigured(Misconfigured::LoadedTwice));
    }
    let line = source
        .line
        .as_ref()
        .map_err(|fault| misconfigured(fault.clone()))?;
    // First of all: without shared memory nothing is counted, and no login succeeds.
    memory::attach();
    // Before anything is read that the token is judged by.
    let begun = memory::revocations().now();
    let options = source.options.as_ref().map_err(Clone::clone);
    let settings = options
        .and_then(|options| settings::read(line, options))
        .map_err(misconfigured)?;
    match is_open_to_others(source.form, &settings) {
        true => Err((Reject::TlsRequired.into(), Some(settings))),
        false => Ok((settings, begun)),
    }
}

/// Whether others might read what the client sends.
fn is_open_to_others(form: Form, settings: &LoginSettings) -> bool {
    let needs_encryption = form == Form::Password && settings.password_requires_tls;
    (needs_encryption && !connection::is_encrypted_or_by_socket())
        || (settings.require_tls && !connection::is_private())
}

/// The steps in their order.
fn decide(source: &Source, token: &CStr, role: &CStr) -> (Decision, Option<Box<LoginSettings>>) {
    let (settings, mut begun) = match open(source) {
        Ok(opened) => opened,
        Err((failure, settings)) => {
            return (Decision::refused(failure), settings);
        }
    };
    // RFC 6750 §2.1: a bearer token is ASCII.
    let Ok(token) = token.to_str() else {
        return (Decision::refused(Reject::BadEncoding), Some(settings));
    };
    // Claims are UTF-8, so none can name such a role, and nothing that only looks like it may.
    let Ok(role) = role.to_str() else {
        let values = Printable::new("");
        return (
            Decision::refused(Reject::RoleNotGranted { values }),
            Some(settings),
        );
    };
    // What may be a person's password is neither judged nor shown to the provider.
    if source.form == Form::Password && !is_token(&Bearer::new(token), &settings.policy) {
        return (Decision::refused(Reject::NotAJwt), Some(settings));
    }
    let attempt = LoginAttempt {
        token: Bearer::new(token),
        role,
        peer: &TlsPeer,
        catalog: &ServerCatalog,
        introspector: introspector(&settings.introspection),
    };
    let judge = || judge(&attempt, &settings.policy, &settings.keys, &SystemClock);
    let mut decision = judge();
    // The same as if the client were refused and tried again; session_start ends a login that is still overtaken.
    let revocations = memory::revocations();
    for _ in 0..MAX_REPEATS {
        match revocations
            .after_flush(begun)
            .filter(|_| decision.is_authorized())
        {
            Some(later) => (begun, decision) = (later, judge()),
            None => break,
        }
    }
    if let Err(failure) = provision(&decision, &settings, role) {
        return (decision.overruled(failure), Some(settings));
    }
    if let (Ok(grant), Some(identity)) = (decision.outcome(), decision.authn_id()) {
        // Here, where what fails refuses the login.
        let is_password = source.form == Form::Password;
        if let Err(fault) = session_start::prepare(grant, &settings, identity, begun, is_password) {
            return (Decision::refused(fault), Some(settings));
        }
    }
    (decision, Some(settings))
}

/// Gives the role of an accepted token what the token says, where that is configured.
fn provision(decision: &Decision, settings: &LoginSettings, role: &str) -> Result<(), Failure> {
    let (Ok(grant), Some(identity)) = (decision.outcome(), decision.authn_id()) else {
        return Ok(());
    };
    let Some(how) = &settings.provisioning else {
        roles::login::recognize(role);
        return Ok(());
    };
    let login = roles::login::Login {
        grant,
        policy: &settings.policy,
        identity,
        role,
        // Of a password's token the judgement has decided it.
        may_take: settings.policy.judges_identity() || identity_may_take(role, identity)?,
    };
    roles::login::provision(&login, how)
}
