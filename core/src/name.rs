//! Names: friendly ones for people, and peer names for programs.
//!
//! A **friendly name** is what people are shown. Anybody can have any that can be seen, and that leaves the text around it as it
//! is: at least one visible character, no control characters, and none that turns the direction of a line.
//!
//! A **peer name** is `authority.classifier`. The authority is a peer id (a *secured* name: its key, and nobody else's,
//! may claim it) or `0` (an *unsecured* one: anybody may). The classifier tells the names of one authority apart, so
//! that one key has as many names as it likes; a secured name can do without. Names are compared character by
//! character, as they were written.
//!
//! # Host form
//!
//! Programs that know host names only get a name in that form: lower-case letters, digits and hyphens, labels of at most
//! 63 characters, 253 in all, lossless both ways. From left to right:
//!
//! ```text
//! x-DIGITS     what the next lines cannot say: upper case, marks, spaces, any other Unicode; where there is any
//! literals     the letters a-z and digits 0-9 of the classifier, in their order; where there are any
//! authority    52 characters of base32, or 0
//! peergraph.alt
//! ```
//!
//! Literals and digits together are Bootstring (RFC 3492), the method of Punycode, with other parameters: its basic
//! characters are a-z and 0-9 alone, since hosts forget upper case, and it begins at the space, since marks are not basic
//! either. Each of both parts is split over as many labels as it needs. A name has one host form: parsing refuses
//! what encoding would not have made, but for upper case and a final dot. `.alt` is never looked up in the DNS
//! (RFC 9476).
//!
//! 253 characters cannot hold every name of 191: there are more names than host forms. A secured
//! name has room, by the tests of this module, for a classifier of Latin letters at any length, 100
//! characters of Greek, Cyrillic, Arabic or Devanagari, 60 of Chinese, any 30 characters at all. A
//! longer one has no host form: [`NameError::HostTooLong`].
use crate::id::PeerId;
use crate::limits::{CLASSIFIER_MAX, FRIENDLY_NAME_MAX, HOST_MAX, LABEL_MAX, PEER_NAME_MAX};
use std::fmt;
use std::str::FromStr;

mod bootstring;
#[cfg(test)]
mod tests;

/// The last labels of every host form.
const SUFFIX: &str = ".peergraph.alt";
/// Before the digits in a label. No literal is a hyphen.
const DIGITS_PREFIX: &str = "x-";
/// The authority of names that anybody may claim.
const UNSECURED: &str = "0";

/// Why a text is not a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// A friendly name without characters.
    #[error("a name has 1 to 255 characters; this one has none")]
    FriendlyNameEmpty,
    /// A friendly name of more than [`FRIENDLY_NAME_MAX`] characters.
    #[error("a name has 1 to 255 characters; this one has more")]
    FriendlyNameTooLong,
    /// A friendly name of spaces and other characters that nobody sees.
    #[error("a name has at least one character that can be seen")]
    FriendlyNameInvisible,
    /// A control character in a name of any kind.
    #[error("a name has no control characters")]
    ControlCharacter,
    /// A character in a friendly name that turns the direction of the text around it.
    #[error("a name has no characters that turn the direction of a line, such as U+202E")]
    DirectionCharacter,
    /// The authority is neither `0` nor a peer id.
    #[error("a peer name begins with a peer id (52 characters of base32) or with 0")]
    Authority,
    /// An unsecured name without classifier, or nothing after the dot.
    #[error("a peer name without peer id needs a classifier after its dot")]
    ClassifierEmpty,
    /// A classifier of more than [`CLASSIFIER_MAX`] characters.
    #[error("a classifier has at most 149 characters")]
    ClassifierTooLong,
    /// A peer name of more than [`PEER_NAME_MAX`] characters.
    #[error("a peer name has at most 191 characters")]
    PeerNameTooLong,
    /// The host form would have more than [`HOST_MAX`] characters.
    #[error("this name is too long for a host name; shorten its classifier")]
    HostTooLong,
    /// Not the host form of any peer name.
    #[error("this is not the host form of a peer name")]
    NotAHost,
}

/// Whether `name` can be shown as the name of a person, program or group.
pub fn check_name(name: &str) -> Result<(), NameError> {
    check_characters(name)?;
    if name.chars().any(turns_direction) {
        return Err(NameError::DirectionCharacter);
    }
    match name.chars().count() {
        0 => Err(NameError::FriendlyNameEmpty),
        1..=FRIENDLY_NAME_MAX if name.chars().any(is_visible) => Ok(()),
        1..=FRIENDLY_NAME_MAX => Err(NameError::FriendlyNameInvisible),
        _ => Err(NameError::FriendlyNameTooLong),
    }
}

/// Source: Unicode 16, PropList, `Bidi_Control`; and the separators of lines and paragraphs, which begin anew.
const fn turns_direction(c: char) -> bool {
    matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

/// Whether a character leaves ink. Source: Unicode 16, DerivedCoreProperties, `Default_Ignorable_Code_Point`; besides these,
/// spaces and the blank pattern of Braille.
fn is_visible(c: char) -> bool {
    let ignorable = matches!(
        c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{fe00}'..='\u{fe0f}' | '\u{feff}' | '\u{ffa0}'
            | '\u{fff0}'..='\u{fff8}' | '\u{1bca0}'..='\u{1bca3}' | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    );
    !ignorable && !c.is_whitespace() && !c.is_control() && c != '\u{2800}'
}

fn check_characters(text: &str) -> Result<(), NameError> {
    let control = text.chars().any(char::is_control);
    if control { Err(NameError::ControlCharacter) } else { Ok(()) }
}

/// `authority.classifier`, within all limits.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerName {
    /// `None` for unsecured names.
    peer: Option<PeerId>,
    /// Empty for a secured name that does without.
    classifier: String,
}

impl PeerName {
    /// A name that only `peer` may claim. An empty classifier is allowed.
    pub fn secured(peer: PeerId, classifier: &str) -> Result<Self, NameError> {
        Self::new(Some(peer), classifier)
    }

    /// A name that anybody may claim. Its classifier is not empty.
    pub fn unsecured(classifier: &str) -> Result<Self, NameError> {
        Self::new(None, classifier)
    }

    fn new(peer: Option<PeerId>, classifier: &str) -> Result<Self, NameError> {
        check_characters(classifier)?;
        let chars = classifier.chars().count();
        if peer.is_none() && chars == 0 {
            return Err(NameError::ClassifierEmpty);
        }
        if chars > CLASSIFIER_MAX {
            return Err(NameError::ClassifierTooLong);
        }
        let name = Self { peer, classifier: classifier.to_owned() };
        if name.authority().len() + 1 + chars > PEER_NAME_MAX {
            return Err(NameError::PeerNameTooLong);
        }
        Ok(name)
    }

    /// Another name of the same authority: same key, other classifier.
    pub fn with_classifier(&self, classifier: &str) -> Result<Self, NameError> {
        Self::new(self.peer, classifier)
    }

    /// The peer whose name it is; nothing for unsecured ones.
    pub fn peer(&self) -> Option<PeerId> {
        self.peer
    }

    /// The part that tells it from other names of its authority. May be empty.
    pub fn classifier(&self) -> &str {
        &self.classifier
    }

    /// Whether it belongs to a key.
    pub fn is_secured(&self) -> bool {
        self.peer.is_some()
    }

    /// Whether `peer` may claim it for itself: its own, and any unsecured one.
    pub fn may_be_claimed_by(&self, peer: PeerId) -> bool {
        self.peer.is_none_or(|owner| owner == peer)
    }

    fn authority(&self) -> String {
        self.peer.map_or_else(|| UNSECURED.to_owned(), |peer| peer.to_string())
    }

    /// The name as a host name. [`NameError::HostTooLong`] if there is none.
    pub fn to_host(&self) -> Result<String, NameError> {
        let (digits, literals) = bootstring::encode(&self.classifier);
        let mut host = String::new();
        for (part, prefix) in [(digits, DIGITS_PREFIX), (literals, "")] {
            for chunk in part.as_bytes().chunks(LABEL_MAX - prefix.len()) {
                host.push_str(prefix);
                host.extend(chunk.iter().copied().map(char::from));
                host.push('.');
            }
        }
        host.push_str(&self.authority());
        host.push_str(SUFFIX);
        if host.len() <= HOST_MAX { Ok(host) } else { Err(NameError::HostTooLong) }
    }

    /// The name of a host form, in upper or lower case, with or without a final dot.
    pub fn from_host(host: &str) -> Result<Self, NameError> {
        if host.len() > HOST_MAX + 1 {
            return Err(NameError::NotAHost);
        }
        let host = host.strip_suffix('.').unwrap_or(host).to_ascii_lowercase();
        let name = Self::parse_host(&host).ok_or(NameError::NotAHost)?;
        let canonical = name.to_host().is_ok_and(|again| again == host);
        if canonical { Ok(name) } else { Err(NameError::NotAHost) }
    }

    /// Reads a host form that may not be the only one for its name.
    fn parse_host(host: &str) -> Option<Self> {
        let mut labels = host.strip_suffix(SUFFIX)?.split('.').collect::<Vec<_>>();
        let authority = labels.pop()?;
        let (mut digits, mut literals) = (String::new(), String::new());
        for label in labels {
            match label.strip_prefix(DIGITS_PREFIX) {
                Some(chunk) => digits.push_str(chunk),
                None => literals.push_str(label),
            }
        }
        let classifier = bootstring::decode(&digits, &literals)?;
        Self::new(parse_authority(authority).ok()?, &classifier).ok()
    }
}

fn parse_authority(text: &str) -> Result<Option<PeerId>, NameError> {
    if text == UNSECURED {
        return Ok(None);
    }
    let peer = text.parse().map_err(|_| NameError::Authority)?;
    Ok(Some(peer))
}

impl fmt::Display for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.authority())?;
        if self.classifier.is_empty() { Ok(()) } else { write!(f, ".{}", self.classifier) }
    }
}

impl fmt::Debug for PeerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.peer {
            Some(peer) => write!(f, "PeerName({peer:?}, {:?})", self.classifier),
            None => write!(f, "PeerName(0, {:?})", self.classifier),
        }
    }
}

impl FromStr for PeerName {
    type Err = NameError;

    fn from_str(text: &str) -> Result<Self, NameError> {
        let (authority, classifier) = match text.split_once('.') {
            Some((_, "")) => return Err(NameError::ClassifierEmpty),
            Some(parts) => parts,
            None => (text, ""),
        };
        Self::new(parse_authority(authority)?, classifier)
    }
}
