//! The contract that a server speaks: where it is asked, in which words, and what a refusal tells of it.

use super::openai::OpenAi;
use super::systemone::SystemOne;
use super::wire::{Contract, DecisionWire};
use crate::providers::{ErrorKind, ProviderError};

impl Contract {
    /// Its words.
    pub(super) fn wire(self) -> &'static dyn DecisionWire {
        match self {
            Self::Decisions => &OpenAi,
            Self::SystemOne | Self::SystemOneAsDecisions => &SystemOne,
        }
    }

    /// The path after the base URL. Some users write the version into that, some do not.
    pub(super) fn path(self, base_path: &str) -> String {
        let endpoint = match self {
            Self::Decisions | Self::SystemOneAsDecisions => "/decisions",
            Self::SystemOne => "/systemone",
        };
        // What is more than a host is a place that has been chosen: `/api/v1`, `/inference/v1`, `/api/alpha`.
        if base_path.is_empty() { format!("/v1{endpoint}") } else { endpoint.to_owned() }
    }

    /// What else a server may speak that has refused this one for reasons of form. A refusal that speaks of `state` wants `TypeSafe`'s
    /// words, one that speaks of `input` those of `OpenAI`, and a path that is not there tells of neither.
    pub(super) fn instead(self, refusal: &ProviderError) -> Option<Self> {
        let names = |word: &str| {
            refusal.message.split(|c: char| !c.is_alphanumeric() && c != '_').any(|part| part.eq_ignore_ascii_case(word))
        };
        match (self, refusal.kind, refusal.status) {
            (Self::Decisions, ErrorKind::InvalidInput, Some(400 | 422)) if names("state") => Some(Self::SystemOneAsDecisions),
            (Self::Decisions, ErrorKind::NotFound, Some(404 | 405 | 501)) => Some(Self::SystemOne),
            (Self::SystemOne, ErrorKind::NotFound, Some(404 | 405 | 501)) => Some(Self::SystemOneAsDecisions),
            (Self::SystemOneAsDecisions, ErrorKind::InvalidInput, Some(400 | 422)) if names("input") => Some(Self::Decisions),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_put_after_whatever_was_chosen() {
        for (base, decisions, systemone) in [
            ("", "/v1/decisions", "/v1/systemone"),
            ("/v1", "/decisions", "/systemone"),
            ("/api/v1", "/decisions", "/systemone"),
        ] {
            assert_eq!(Contract::Decisions.path(base), decisions);
            assert_eq!(Contract::SystemOne.path(base), systemone);
            assert_eq!(Contract::SystemOneAsDecisions.path(base), decisions);
        }
    }

    #[test]
    fn only_a_refusal_of_the_form_leads_to_the_other_contract() {
        use Contract::{Decisions, SystemOne, SystemOneAsDecisions};
        let refused = |kind, status, message: &str| {
            let mut error = ProviderError::new("p", kind, message);
            error.status = status;
            error
        };
        let invalid = |message| refused(ErrorKind::InvalidInput, Some(422), message);
        let gone = refused(ErrorKind::NotFound, Some(404), "Not Found");
        assert_eq!(Decisions.instead(&invalid("Field required (body.state)")), Some(SystemOneAsDecisions));
        assert_eq!(Decisions.instead(&invalid("unknown model in this statement")), None);
        assert_eq!(Decisions.instead(&gone), Some(SystemOne));
        assert_eq!(SystemOne.instead(&gone), Some(SystemOneAsDecisions));
        assert_eq!(SystemOneAsDecisions.instead(&invalid("Missing required parameter: 'input'.")), Some(Decisions));
        assert_eq!(SystemOneAsDecisions.instead(&gone), None);
        for kind in [ErrorKind::Auth, ErrorKind::RateLimited, ErrorKind::BadAnswer, ErrorKind::Network] {
            assert_eq!(Decisions.instead(&refused(kind, Some(401), "state")), None);
        }
    }
}
