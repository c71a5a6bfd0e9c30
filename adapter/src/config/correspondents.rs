//! `[correspondents]`: with whom an office deals otherwise than by default, by the domains of their addresses.

use serde::Deserialize;

/// What is agreed with some correspondents and holds for nobody else.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CorrespondentsConfig {
    /// To these, documents go under AES in CBC mode, for their programs read nothing newer.
    pub send_aes_cbc: Domains,
    /// To these, documents go under triple DES, the document's own scheme, for their programs read nothing newer.
    pub send_triple_des: Domains,
    /// V3: to these, documents go encrypted and without a signature, if no other recipient is among them.
    pub send_encrypted_only: Domains,
    /// V3: from these, documents without a signature are printed, though nobody is proven to have sent them.
    pub accept_encrypted_only: Domains,
}

/// Domains of mail addresses, each meant exactly: not what is beneath it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Vec<String>")]
pub struct Domains(Vec<String>);

impl Domains {
    /// Whether the address is in one of them.
    pub fn hold(&self, address: &str) -> bool {
        let domain = address.rsplit_once('@').map(|(_, domain)| domain);
        domain.is_some_and(|domain| self.0.iter().any(|known| known.eq_ignore_ascii_case(domain)))
    }

    /// As written.
    pub fn as_slice(&self) -> &[String] {
        &self.0
    }
}

impl TryFrom<Vec<String>> for Domains {
    type Error = String;

    fn try_from(domains: Vec<String>) -> Result<Self, String> {
        let label = |label: &str| {
            let inside = label.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'-');
            (1..=63).contains(&label.len()) && inside && !label.starts_with('-') && !label.ends_with('-')
        };
        match domains.iter().find(|domain| domain.len() > 253 || !domain.split('.').all(label)) {
            None => Ok(Self(domains)),
            Some(wrong) => Err(format!(
                "{wrong:?} is no domain; write what stands behind the @ of an address, as \"partner.example\""
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use super::*;
    use proptest::prelude::*;

    fn domains(list: &[&str]) -> Result<Domains, String> {
        list.iter().map(|domain| (*domain).to_owned()).collect::<Vec<_>>().try_into()
    }

    #[test]
    fn a_domain_is_meant_exactly() {
        let partner = domains(&["Partner.example"]).unwrap();
        for inside in ["a@partner.example", "\"a@b\"@PARTNER.EXAMPLE"] {
            assert!(partner.hold(inside), "{inside}");
        }
        let outside = [
            "a@sub.partner.example",
            "a@partner.example.org",
            "a@notpartner.example",
            "partner.example",
            "",
            "a@partner.example@b",
        ];
        for outside in outside {
            assert!(!partner.hold(outside), "{outside}");
        }
    }

    #[test]
    fn what_is_no_domain_is_refused() {
        for wrong in [
            "",
            "@partner.example",
            "a@partner.example",
            "*.example",
            "partner..example",
            ".example",
            "-a.example",
            "a b",
        ] {
            assert!(domains(&[wrong]).is_err_and(|why| why.contains("partner.example")), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn none_listed_none_held(address in ".{0,40}") {
            prop_assert!(!Domains::default().hold(&address));
        }

        #[test]
        fn only_what_ends_in_it_is_held(address in "[a-z@.]{0,30}") {
            prop_assert_eq!(domains(&["b.c"]).unwrap().hold(&address), address.ends_with("@b.c"));
        }
    }
}
