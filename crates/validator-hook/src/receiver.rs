//! What is received: from a token to what is done about it, and what the provider is answered.

use std::sync::Arc;

use oauth_core::{
    Bearer, Clock as _, EventKind, Failure, LogoutToken, Policy, SecurityEventToken, SystemClock,
    Timestamp, Who, claimed_issuer,
};

use crate::answer::{
    Answer, RETRY_AFTER, answer_to, describe, describe_who, internal, is_authorized, refuse, tell,
    unavailable, unknown_issuer, wait,
};
use crate::clusters::carry_out_everywhere;
use crate::config::{Config, IssuerConfig};
use crate::keys::{ProviderKeys, provider_keys};
use crate::log::{fact, log};
use crate::replays::{Refused, Seen};
use crate::servers::{Criteria, Order, Server};

/// Tokens of each kind that are remembered at the same time.
const REMEMBERED: usize = 100_000;

/// Everything that it takes to judge what is received, and to act on it.
pub struct Receiver {
    issuers: Vec<Known>,
    servers: Vec<Arc<Server>>,
    logouts: Seen,
    events: Seen,
}

/// An issuer, and what its notices are judged by.
struct Known {
    config: IssuerConfig,
    keys: ProviderKeys,
    /// `None`: no logout tokens are taken.
    logouts: Option<Policy>,
    events: Option<KnownEvents>,
}

struct KnownEvents {
    policy: Policy,
    keys: ProviderKeys,
}

impl Receiver {
    /// Errors: files that the configuration names cannot be used.
    pub fn new(config: Config) -> Result<Receiver, String> {
        let servers = config.servers.into_iter().map(Server::new);
        let servers = servers.map(|server| server.map(Arc::new));
        Ok(Receiver {
            issuers: config
                .issuers
                .into_iter()
                .map(Known::new)
                .collect::<Result<_, _>>()?,
            servers: servers.collect::<Result<_, _>>()?,
            logouts: Seen::new(REMEMBERED),
            events: Seen::new(REMEMBERED),
        })
    }

    /// OpenID Connect Back-Channel Logout 1.0 §2.5 to §2.8.
    pub async fn logout(self: Arc<Self>, token: String) -> Answer {
        let receiver = Arc::clone(&self);
        let judged = tokio::task::spawn_blocking(move || receiver.judge_logout(&token)).await;
        let (known, token) = match judged {
            Ok(Ok(judged)) => judged,
            Ok(Err(answer)) => return answer,
            Err(_) => return internal("logout token"),
        };
        let Some(known) = self.issuers.get(known) else {
            return internal("logout token");
        };
        let issuer = known.config.issuer.identifier();
        let what = format!("logout{}", describe(token.who(), issuer, token.jti()));
        let now = SystemClock.now();
        let until = token.usable_until();
        let taken = match self.logouts.take(issuer, token.jti(), until, now) {
            Ok(taken) => taken,
            Err(Refused::UnderWay) => return wait(&what, "the same token is being acted on"),
            Err(Refused::NoRoom) => return wait(&what, "too many tokens are remembered"),
            Err(Refused::Done) => {
                log(&format!("{what} refused: the token was used before"));
                return Answer::Refused("invalid_request", "the token was used before".to_owned());
            }
        };
        let answer = match known.order(std::slice::from_ref(token.who()), false) {
            Ok(order) => self.act(&what, order).await,
            Err(answer) => refuse(&what, answer),
        };
        if answer == Answer::Done {
            taken.done();
        }
        answer
    }

    /// The number of the issuer, and its token.
    fn judge_logout(&self, token: &str) -> Result<(usize, LogoutToken), Answer> {
        let token = Bearer::new(token);
        let claimed = claimed_issuer(&token);
        let what = format!("logout token{}", fact("issuer", claimed.as_deref()));
        let of_claimed =
            |known: &Known| Some(known.config.issuer.identifier()) == claimed.as_deref();
        let number = self.issuers.iter().position(of_claimed);
        let known = number.and_then(|number| Some((number, self.issuers.get(number)?)));
        let Some((number, known)) = known else {
            return Err(refuse(&what, unknown_issuer()));
        };
        let Some(policy) = &known.logouts else {
            let why = "the issuer has no client_ids, so that no logout token is for this program";
            return Err(refuse(
                &what,
                Answer::Refused("invalid_audience", why.to_owned()),
            ));
        };
        match LogoutToken::verify(&token, policy, &known.keys, &SystemClock) {
            Ok(token) => Ok((number, token)),
            Err(error) => Err(answer_to(&what, &error)),
        }
    }

    /// RFC 8935 §2. `authorization`: the header of this name.
    pub async fn event(self: Arc<Self>, token: String, authorization: Option<Vec<u8>>) -> Answer {
        let receiver = Arc::clone(&self);
        let judged = move || receiver.judge_event(&token, authorization.as_deref());
        let (known, token) = match tokio::task::spawn_blocking(judged).await {
            Ok(Ok(judged)) => judged,
            Ok(Err(answer)) => return answer,
            Err(_) => return internal("security event"),
        };
        let Some(known) = self.issuers.get(known) else {
            return internal("security event");
        };
        let issuer = known.config.issuer.identifier();
        let now = SystemClock.now();
        let until = known.events_until(now);
        let about = format!(
            "{}{}",
            fact("issuer", Some(issuer)),
            fact("jti", Some(token.jti()))
        );
        let taken = match self.events.take(issuer, token.jti(), until, now) {
            Ok(taken) => Some(taken),
            // One that comes again does no harm: it is acted on again.
            Err(Refused::NoRoom) => None,
            Err(Refused::UnderWay) => {
                return wait(
                    &format!("security event{about}"),
                    "the same token is being acted on",
                );
            }
            Err(Refused::Done) => {
                log(&format!(
                    "security event{about}: sent again, and acted on before"
                ));
                return Answer::Done;
            }
        };
        let mut answer = Answer::Done;
        for event in token.events() {
            let what = format!(
                "{}{}",
                event.name,
                event.who.iter().map(describe_who).collect::<String>()
            );
            let what = format!("security event {what}{about}");
            let answer_to_this = match event.kind {
                EventKind::Verification | EventKind::Other => {
                    log(&format!("{what}: nothing is to be done"));
                    Answer::Done
                }
                kind => match known.order(&event.who, kind == EventKind::AccountDisabled) {
                    Ok(order) => self.act(&what, order).await,
                    Err(answer) => refuse(&what, answer),
                },
            };
            // What may be sent again counts before what is of no use to send again: the other event is lost otherwise.
            let may_pass = matches!(answer, Answer::TryAgain(_));
            if answer_to_this != Answer::Done && !may_pass {
                answer = answer_to_this;
            }
        }
        if let Some(taken) = taken.filter(|_| answer == Answer::Done) {
            taken.done();
        }
        answer
    }

    fn judge_event(
        &self,
        token: &str,
        authorization: Option<&[u8]>,
    ) -> Result<(usize, SecurityEventToken), Answer> {
        let token = Bearer::new(token);
        let claimed = claimed_issuer(&token);
        let what = format!("security event token{}", fact("issuer", claimed.as_deref()));
        let transmitter_of = |known: &Known| {
            let events = known.config.events.as_ref()?;
            (Some(events.transmitter.identifier()) == claimed.as_deref()).then_some(())
        };
        let number = self
            .issuers
            .iter()
            .position(|known| transmitter_of(known).is_some());
        let known = number.and_then(|number| Some((number, self.issuers.get(number)?)));
        let Some((number, known, config, events)) = known.and_then(|(number, known)| {
            Some((
                number,
                known,
                known.config.events.as_ref()?,
                known.events.as_ref()?,
            ))
        }) else {
            return Err(refuse(&what, unknown_issuer()));
        };
        if !is_authorized(config, authorization) {
            log(&format!(
                "{what} refused: the header Authorization is missing or wrong"
            ));
            return Err(Answer::Unauthorized);
        }
        let users_of = &known.config.issuer;
        match SecurityEventToken::verify(
            &token,
            &events.policy,
            &events.keys,
            users_of,
            &SystemClock,
        ) {
            Ok(token) => Ok((number, token)),
            Err(error) => Err(answer_to(&what, &error)),
        }
    }

    /// Carries an order out on all servers, and says what came of it.
    async fn act(&self, what: &str, order: Order) -> Answer {
        let order = Arc::new(order);
        let outcomes = carry_out_everywhere(&self.servers, Arc::clone(&order)).await;
        let failed = outcomes.iter().any(|outcome| outcome.failure.is_some());
        let done = || outcomes.iter().map(|outcome| &outcome.done);
        let ended: i64 = done().map(|done| done.ended + done.ended_later).sum();
        let told = tell(&outcomes);
        match (failed, ended) {
            (true, _) => log(&format!("{what} failed, and may be sent again: {told}")),
            (false, 0) => log(&format!(
                "{what} ended no session, since no server has one {}: {told}",
                order.sought()
            )),
            (false, _) => log(&format!("{what}: {told}")),
        }
        if !failed && !order.disabled.is_empty() && done().all(|done| done.disabled.is_empty()) {
            log(&format!(
                "{what} disabled no role, since no managed role was created for this identity of this issuer"
            ));
        }
        if order.is_of_unknown_role {
            // No event of this provider can do better: it is acknowledged, and an administrator's turn.
            log(&format!(
                "{what} disabled no role, since it does not name the user by the claim of identity_claim: an administrator \
                 must find out who that is, and call validator.disable_role on each primary"
            ));
        }
        match failed {
            true => Answer::TryAgain(RETRY_AFTER),
            false => Answer::Done,
        }
    }

    /// Whether the providers' keys can be had, and orders be carried out: what is told about each, and whether it is good.
    pub async fn check(self: Arc<Self>) -> Vec<(String, Result<(), String>)> {
        let disables_roles = self.issuers.iter().any(|known| known.config.disable_roles);
        let mut told = Vec::new();
        for server in &self.servers {
            told.push((
                format!("server \"{}\"", server.name),
                server.check(disables_roles).await,
            ));
        }
        let receiver = Arc::clone(&self);
        let keys = move || {
            receiver
                .issuers
                .iter()
                .flat_map(Known::check)
                .collect::<Vec<_>>()
        };
        let keys = tokio::task::spawn_blocking(keys).await;
        told.extend(keys.unwrap_or_default());
        told
    }
}

impl Known {
    fn new(config: IssuerConfig) -> Result<Known, String> {
        let issuer = &config.issuer;
        let of_issuer =
            |error: &dyn std::fmt::Display| format!("issuer \"{}\": {error}", issuer.identifier());
        let ca_file = config.ca_file.as_deref();
        let keys = provider_keys(issuer, config.jwks_uri.as_ref(), ca_file);
        let logouts = match config.client_ids.is_empty() {
            true => None,
            false => {
                let (clients, algorithms) = (config.client_ids.clone(), config.algorithms.clone());
                let policy = LogoutToken::policy(issuer.clone(), clients, algorithms);
                Some(policy.map_err(|error| of_issuer(&error))?)
            }
        };
        let events = match &config.events {
            None => None,
            Some(events) => {
                let (audience, algorithms) = (events.audience.clone(), config.algorithms.clone());
                let transmitter = events.transmitter.clone();
                let policy = SecurityEventToken::policy(
                    transmitter.clone(),
                    audience,
                    algorithms,
                    events.max_age,
                );
                let jwks_uri = events.jwks_uri.as_ref();
                let jwks_uri = match transmitter == *issuer {
                    true => jwks_uri.or(config.jwks_uri.as_ref()),
                    false => jwks_uri,
                };
                let keys = provider_keys(&transmitter, jwks_uri, ca_file);
                Some(KnownEvents {
                    policy: policy.map_err(|error| of_issuer(&error))?,
                    keys: keys.map_err(|error| of_issuer(&error))?,
                })
            }
        };
        Ok(Known {
            keys: keys.map_err(|error| of_issuer(&error))?,
            logouts,
            events,
            config,
        })
    }

    /// Until when an event that comes now may be accepted: its `iat` is now at the latest, as this clock or another has it.
    fn events_until(&self, now: Timestamp) -> Timestamp {
        let (Some(events), Some(config)) = (&self.events, &self.config.events) else {
            return now;
        };
        let skew = events.policy.clock_skew();
        now.plus(config.max_age).plus(skew).plus(skew)
    }

    /// What is to be done about each of these, who are names of the same user or session.
    fn order(&self, who: &[Who], is_disabled: bool) -> Result<Order, Answer> {
        let identity = |who: &Who| {
            let by = |claim, value: &Option<String>| {
                self.config.identity.identity_by(claim, value.as_deref()?)
            };
            by("sub", &who.sub).or_else(|| by("email", &who.email))
        };
        let criteria = who.iter().filter_map(|who| match who {
            // A session at the provider is one user's.
            Who { sid: Some(sid), .. } => Some(Criteria {
                sid: Some(sid.clone()),
                ..Criteria::default()
            }),
            Who { sub: Some(sub), .. } => Some(Criteria {
                sub: Some(sub.clone()),
                ..Criteria::default()
            }),
            who => Some(Criteria {
                identity: Some(identity(who)?),
                ..Criteria::default()
            }),
        });
        let sessions: Vec<Criteria> = criteria.collect();
        if sessions.is_empty() {
            let why =
                "the subject is named by an e-mail address, which is not what identity_claim says";
            return Err(Answer::Refused("invalid_request", why.to_owned()));
        }
        let disables = is_disabled && self.config.disable_roles;
        let disabled: Vec<String> = match disables {
            true => who.iter().filter_map(identity).collect(),
            false => Vec::new(),
        };
        Ok(Order {
            issuer: self.config.issuer.identifier().to_owned(),
            sessions,
            is_of_unknown_role: disables && disabled.is_empty(),
            disabled,
        })
    }

    /// Whether the keys can be had.
    fn check(&self) -> Vec<(String, Result<(), String>)> {
        use oauth_core::{Algorithm, KeyReference, KeySource as _};
        let any = KeyReference::new(None, Algorithm::RS256);
        let check = |keys: &ProviderKeys| match keys.find_keys(&any) {
            Ok(_) | Err(Failure::Reject(_)) => Ok(()),
            Err(failure) => Err(unavailable(&failure)),
        };
        let issuer = self.config.issuer.identifier();
        let mut told = vec![(format!("keys of \"{issuer}\""), check(&self.keys))];
        if let (Some(events), Some(config)) = (&self.events, &self.config.events) {
            let transmitter = config.transmitter.identifier();
            told.push((
                format!("keys of transmitter \"{transmitter}\""),
                check(&events.keys),
            ));
        }
        told
    }
}
