//! Why something failed, as applications see it: `{ code, message, hint }`.
use crate::browser::to_js;
use crate::lock::LockError;
use crate::tried::TriedJs;
use peergraph_core::cert::CertError;
use peergraph_core::error::{BadRecord, Error};
use peergraph_core::id::PeerId;
use peergraph_core::identity::IdentityError;
use peergraph_core::invitation::InvitationError;
use peergraph_core::io::NodeFault;
use peergraph_core::name::NameError;
use serde::Serialize;
use std::fmt::Display;
use wasm_bindgen::prelude::*;

/// Why something failed, for the application.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    code: &'static str,
    message: String,
    hint: String,
    /// Where members were looked for, if none was found.
    #[serde(skip_serializing_if = "Option::is_none")]
    tried: Option<Box<TriedJs>>,
}

impl Failure {
    /// Messages of ours are `what happened; what to do`.
    pub(crate) fn new(code: &'static str, error: impl Display) -> Self {
        let message = error.to_string();
        let hint = message.split_once("; ").map(|(_, hint)| hint.to_owned()).unwrap_or_default();
        Self { code, message, hint, tried: None }
    }

    pub(crate) fn closed() -> Self {
        Self::new("closed", "this peer is closed; open it again")
    }

    /// A node that is named and not reached.
    pub(crate) fn unreachable_node(url: &str, fault: NodeFault) -> Self {
        Self::new(
            "unreachable",
            format!("the node {url} is not reached: {fault}; it is tried again"),
        )
    }

    pub(crate) fn taken_over() -> Self {
        Self::new("taken-over", "another tab uses this identity now; close one of the two")
    }

    pub(crate) fn storage_gone() -> Self {
        let text = "the data of this site were deleted while it was open; what was not sent is lost, \
                    and the next opening makes a new identity";
        Self::new("storage-gone", text)
    }

    pub(crate) fn locked() -> Self {
        let text = "this identity is open in another tab; use that tab, or take over";
        Self::new("locked", text)
    }

    pub(crate) fn no_store(error: &JsValue) -> Self {
        let name = crate::browser::error_name(error);
        if name == "QuotaExceededError" {
            let fault = peergraph_core::io::StoreFault::QuotaExceeded;
            return Error::Store(fault).into();
        }
        let text =
            "this browser has no IndexedDB for this page; allow site data, or leave private mode";
        Self::new("no-indexeddb", text)
    }

    pub(crate) fn unreadable() -> Self {
        let text = "the identity of this browser cannot be read; nothing was changed: \
                    choose another storage name, or clear the data of this site";
        Self::new("identity-unreadable", text)
    }

    pub(crate) fn no_locks() -> Self {
        Self::internal("this browser refuses Web Locks")
    }

    pub(crate) fn unknown_identity(text: &str) -> Self {
        Self::new("unknown-identity", text)
    }

    pub(crate) fn identity_exists(peer: PeerId) -> Self {
        Self::new("identity-exists", format!("the identity {peer} is here already; use that one"))
    }

    pub(crate) fn identity_in_use(groups: &[String]) -> Self {
        let groups = groups.join(", ");
        let text = format!("this identity is a member of {groups}; leave these groups first");
        Self::new("identity-in-use", text)
    }

    pub(crate) fn default_identity() -> Self {
        let text = "this is the default identity; make another one the default first";
        Self::new("default-identity", text)
    }

    pub(crate) fn too_long() -> Self {
        let text = "this link is too long for a QR code; send it as text";
        Self::new("too-long", text)
    }

    pub(crate) fn bad_argument(what: impl Display) -> Self {
        Self::new("bad-argument", what)
    }

    pub(crate) fn internal(what: impl Display) -> Self {
        Self::new("internal", what)
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        let mut failure = Self::new(error.code(), &error);
        if let Some(tried) = error.tried() {
            // The list of attempts has many parts; one of them says what to do.
            failure.hint = tried.cure().to_owned();
            failure.tried = Some(Box::new(tried.into()));
        }
        failure
    }
}

impl From<InvitationError> for Failure {
    fn from(error: InvitationError) -> Self {
        Self::new("bad-invitation", error)
    }
}

impl From<IdentityError> for Failure {
    fn from(error: IdentityError) -> Self {
        let wrong_password = error == IdentityError::WrongPassword;
        Self::new(if wrong_password { "wrong-password" } else { "bad-identity" }, error)
    }
}

impl From<NameError> for Failure {
    fn from(error: NameError) -> Self {
        Self::new("bad-name", error)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Held => Self::locked(),
            LockError::Unavailable(_) => Self::no_locks(),
        }
    }
}

impl From<CertError> for Failure {
    fn from(error: CertError) -> Self {
        Self::bad_argument(error)
    }
}

impl From<BadRecord> for Failure {
    fn from(error: BadRecord) -> Self {
        Error::from(error).into()
    }
}

impl From<Failure> for JsValue {
    fn from(failure: Failure) -> Self {
        to_js(&failure)
    }
}
