//! Chains in files, as other programs read and write them: text with one `CERTIFICATE` block after the other, or their
//! DER, one after the other. We write the leaf first, as `openssl` wants to read it, and read both orders.
use super::{CertError, Certificate, Kind, PEM_LABEL, pem};
use crate::limits::{CERTIFICATE_BYTES_MAX, CERTIFICATES_MAX};
use der::Decode as _;
use der::asn1::AnyRef;

/// Text of `certificates`, given root first; the leaf comes first in it.
pub fn chain_to_pem(certificates: &[Certificate]) -> String {
    certificates.iter().rev().map(Certificate::to_pem).collect()
}

/// DER of `certificates`, given root first; the leaf comes first in it.
pub fn chain_to_der(certificates: &[Certificate]) -> Vec<u8> {
    certificates.iter().rev().flat_map(|certificate| certificate.der().to_vec()).collect()
}

/// The certificates of a file, text or DER: at least one and at most [`CERTIFICATES_MAX`], each of rules 1–10, root first if
/// there is a root at either end. Whether they make a chain is for [`verify_chain`](super::verify_chain) to say.
pub fn chain_from_file(bytes: &[u8]) -> Result<Vec<Certificate>, CertError> {
    let text = std::str::from_utf8(bytes).ok().filter(|text| text.contains("-----BEGIN "));
    let mut certificates = match text {
        Some(text) => limited(blocks(text))?,
        None => limited(sequences(bytes))?,
    };
    let is_root = |certificate: Option<&Certificate>| {
        certificate.is_some_and(|certificate| certificate.kind() == Kind::Root)
    };
    if !is_root(certificates.first()) && is_root(certificates.last()) {
        certificates.reverse();
    }
    Ok(certificates)
}

fn limited(
    certificates: impl Iterator<Item = Result<Certificate, CertError>>,
) -> Result<Vec<Certificate>, CertError> {
    let certificates = certificates.take(CERTIFICATES_MAX + 1).collect::<Result<Vec<_>, _>>()?;
    match certificates.len() {
        0 => Err(CertError::NotPem),
        1..=CERTIFICATES_MAX => Ok(certificates),
        _ => Err(CertError::ChainLength),
    }
}

/// The certificates of a text.
pub(super) fn blocks(text: &str) -> impl Iterator<Item = Result<Certificate, CertError>> {
    pem::blocks(PEM_LABEL, text, CERTIFICATE_BYTES_MAX)
        .map(|der| Certificate::from_der(der.map_err(|_| CertError::Encoding)?))
}

/// The certificates of DER that is one after the other.
fn sequences(mut rest: &[u8]) -> impl Iterator<Item = Result<Certificate, CertError>> {
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let Ok((_, after)) = AnyRef::from_der_partial(rest) else {
            rest = &[];
            return Some(Err(CertError::Encoding));
        };
        let (der, after) = rest.split_at(rest.len() - after.len());
        rest = after;
        Some(Certificate::from_der(der))
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::{group, longest};
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn chains_come_back_from_text_and_der_in_either_order() {
        let group = group();
        let longest = longest(&group, "Bob");
        for chain in [group.ada_chain.certificates(), longest.certificates()] {
            let pem = chain_to_pem(chain);
            assert_eq!(chain_from_file(pem.as_bytes()).as_deref(), Ok(chain));
            let der = chain_to_der(chain);
            assert_eq!(chain_from_file(&der).as_deref(), Ok(chain));
            let other: String = chain.iter().map(Certificate::to_pem).collect();
            assert_eq!(chain_from_file(other.as_bytes()).as_deref(), Ok(chain));
        }
        let alone = group.ada.certificate();
        assert_eq!(chain_from_file(alone.der()).as_deref(), Ok(std::slice::from_ref(alone)));
    }

    #[test]
    fn files_of_other_things_are_refused() {
        let ada = group().ada;
        let pem = ada.certificate().to_pem();
        assert_eq!(chain_from_file(b""), Err(CertError::NotPem));
        assert_eq!(chain_from_file(b"hello"), Err(CertError::Encoding));
        let cut = &pem.as_bytes()[..pem.len() / 2];
        assert_eq!(chain_from_file(cut), Err(CertError::Encoding));
        let der = ada.certificate().der();
        assert_eq!(chain_from_file(&[&der[..], &[0]].concat()), Err(CertError::Encoding));
        let many = pem.repeat(CERTIFICATES_MAX + 1);
        assert_eq!(chain_from_file(many.as_bytes()), Err(CertError::ChainLength));
        let many = der.repeat(CERTIFICATES_MAX + 1);
        assert_eq!(chain_from_file(&many), Err(CertError::ChainLength));
    }

    proptest! {
        #[test]
        fn any_file_is_refused(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            prop_assert!(chain_from_file(&bytes).is_err());
            let text = format!("-----BEGIN CERTIFICATE-----{}", String::from_utf8_lossy(&bytes));
            prop_assert!(chain_from_file(text.as_bytes()).is_err());
        }
    }
}
