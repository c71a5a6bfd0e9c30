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
    /// ST611's option: to these, documents go signed and readable by everybody if none of their recipients has a certificate.
    pub send_signed_only: Domains,
    /// From these, documents that are signed and not encrypted are printed.
    pub accept_signed_only: Domains,
    /// From these, documents are printed that do not say whom they were sealed for: the programs there write nothing of it.
    pub accept_unbound: Domains,
    /// V3: to these, documents go encrypted and without a signature, if no other recipient is among them.
    pub send_encrypted_only: Domains,
    /// V3: from these, documents without a signature are printed, though nobody is proven to have sent them.
    pub accept_encrypted_only: Domains,
}

impl CorrespondentsConfig {
    /// A domain to which documents would have to go in two ways at once.
    pub(super) fn contradiction(&self) -> Option<String> {
        let ways = [
            ("send_aes_cbc", &self.send_aes_cbc),
            ("send_triple_des", &self.send_triple_des),
            ("send_encrypted_only", &self.send_encrypted_only),
        ];
        ways.iter().enumerate().find_map(|(number, (name, domains))| {
            ways.iter().skip(number + 1).find_map(|(other, others)| {
                let both =
                    domains.0.iter().find(|domain| others.0.iter().any(|also| also.eq_ignore_ascii_case(domain)))?;
                Some(format!(
                    "{both:?} stands in both `correspondents.{name}` and `correspondents.{other}`; one of them holds"
                ))
            })
        })
    }
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

    #[test]
    fn a_domain_has_one_way() {
        let config = |cbc: &[&str], des: &[&str], unsigned: &[&str]| CorrespondentsConfig {
            send_aes_cbc: domains(cbc).unwrap(),
            send_triple_des: domains(des).unwrap(),
            send_encrypted_only: domains(unsigned).unwrap(),
            ..CorrespondentsConfig::default()
        };
        assert_eq!(config(&["a.example"], &["b.example"], &["c.example"]).contradiction(), None);
        for (wrong, names) in [
            (config(&["a.example"], &["A.example"], &[]), ["send_aes_cbc", "send_triple_des"]),
            (config(&["x.example", "a.example"], &[], &["a.example"]), ["send_aes_cbc", "send_encrypted_only"]),
        ] {
            let said = wrong.contradiction().unwrap();
            assert!(names.iter().all(|name| said.contains(name)), "{said}");
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
