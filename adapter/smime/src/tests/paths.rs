//! Every rule of a certificate path, broken alone: each is refused under its own name (RFC 5280 6.1, RFC 8550 4).

use super::authorities::*;
use crate::path::*;
use std::time::{Duration, SystemTime};

const ANCHOR: &str = "Anchor";
const AUTHORITY: &str = "Authority";
const PERSON: &str = "Hanako";

fn issuing() -> Vec<Vec<u8>> {
    vec![basic_constraints(None), key_usage(KEY_CERT_SIGN | CRL_SIGN)]
}

fn anchor() -> Wanted<'static> {
    wanted(ANCHOR, ANCHOR, issuing())
}

fn authority() -> Wanted<'static> {
    wanted(AUTHORITY, ANCHOR, issuing())
}

fn person() -> Wanted<'static> {
    let extensions =
        vec![key_usage(DIGITAL_SIGNATURE), extended_key_usage(&[EMAIL_PROTECTION]), mail_address("hanako@a.example")];
    wanted(PERSON, AUTHORITY, extensions)
}

fn reader() -> Wanted<'static> {
    let mut reader = person();
    reader.extensions[0] = key_usage(KEY_AGREEMENT);
    reader
}

fn with(mut certificate: Wanted<'static>, extension: Vec<u8>) -> Wanted<'static> {
    certificate.extensions.push(extension);
    certificate
}

fn instead(mut certificate: Wanted<'static>, number: usize, extension: Vec<u8>) -> Wanted<'static> {
    certificate.extensions[number] = extension;
    certificate
}

fn without(mut certificate: Wanted<'static>, number: usize) -> Wanted<'static> {
    certificate.extensions.remove(number);
    certificate
}

fn over(certificate: Wanted<'static>) -> Wanted<'static> {
    Wanted { not_after: noon() - DAY, ..certificate }
}

fn to_come(certificate: Wanted<'static>) -> Wanted<'static> {
    Wanted { not_before: noon() + DAY, ..certificate }
}

fn check(
    anchors: &[Wanted<'_>],
    between: &[Wanted<'_>],
    leaf: &Wanted<'_>,
    now: SystemTime,
    purpose: Use,
) -> Result<(), PathError> {
    let make = |list: &[Wanted<'_>]| list.iter().map(Wanted::make).collect::<Vec<_>>();
    check_path(&leaf.make(), &make(between), &make(anchors), now, purpose)
}

/// Anchor, what is between, leaf, and what comes of it for a signature.
type Case = (&'static str, Wanted<'static>, Vec<Wanted<'static>>, Wanted<'static>, Result<(), PathError>);

fn try_all(cases: Vec<Case>) {
    for (name, anchor, between, leaf, expected) in cases {
        assert_eq!(check(&[anchor], &between, &leaf, noon(), Use::Sign), expected, "{name}");
    }
}

#[test]
fn good_paths() {
    let direct = Wanted { issuer: ANCHOR, signer: ANCHOR, ..person() };
    let both = [EMAIL_PROTECTION, SERVER_AUTH];
    let further = wanted("Branch", AUTHORITY, issuing());
    let below = Wanted { issuer: "Branch", signer: "Branch", ..person() };
    try_all(vec![
        ("one authority", anchor(), vec![authority()], person(), Ok(())),
        ("no authority between", anchor(), vec![], direct, Ok(())),
        ("two authorities", anchor(), vec![authority(), further.clone()], below.clone(), Ok(())),
        ("in another order, with one too many", anchor(), vec![further, authority(), anchor()], below, Ok(())),
        (
            "an anchor that says nothing of itself",
            Wanted { extensions: vec![], ..anchor() },
            vec![authority()],
            person(),
            Ok(()),
        ),
        ("several purposes", anchor(), vec![authority()], instead(person(), 1, extended_key_usage(&both)), Ok(())),
        (
            "an authority for mail",
            anchor(),
            vec![with(authority(), extended_key_usage(&[EMAIL_PROTECTION]))],
            person(),
            Ok(()),
        ),
        ("an authority for anything", anchor(), vec![with(authority(), extended_key_usage(&[ANY]))], person(), Ok(())),
        ("no key usage", anchor(), vec![without(authority(), 1)], without(person(), 0), Ok(())),
        (
            "just enough path length",
            anchor(),
            vec![instead(authority(), 0, basic_constraints(Some(0)))],
            person(),
            Ok(()),
        ),
        (
            "the same of the anchor",
            instead(anchor(), 0, basic_constraints(Some(1))),
            vec![authority()],
            person(),
            Ok(()),
        ),
        (
            "an extension that may be passed over",
            anchor(),
            vec![authority()],
            with(person(), unknown_extension(false)),
            Ok(()),
        ),
        (
            "a limit on names it has none of",
            anchor(),
            vec![with(authority(), name_constraints(false, true, &dns_base("a.example")))],
            person(),
            Ok(()),
        ),
    ]);
    assert_eq!(check(&[anchor()], &[authority()], &reader(), noon(), Use::Encrypt), Ok(()));
}

#[test]
fn times() {
    use PathError::*;
    try_all(vec![
        ("expired", anchor(), vec![authority()], over(person()), Err(Expired)),
        ("future-dated", anchor(), vec![authority()], to_come(person()), Err(NotYetValid)),
        ("authority expired", anchor(), vec![over(authority())], person(), Err(IssuerExpired)),
        ("authority future-dated", anchor(), vec![to_come(authority())], person(), Err(IssuerNotYetValid)),
        ("anchor expired", over(anchor()), vec![authority()], person(), Err(AnchorExpired)),
        ("anchor future-dated", to_come(anchor()), vec![authority()], person(), Err(AnchorNotYetValid)),
        ("everything expired", over(anchor()), vec![over(authority())], over(person()), Err(Expired)),
    ]);
    // Both ends belong to it, whole seconds count.
    let (first, last) = (person().not_before, person().not_after);
    for (now, expected) in [
        (first - Duration::from_secs(1), Err(NotYetValid)),
        (first, Ok(())),
        (last + Duration::from_millis(999), Ok(())),
        (last + Duration::from_secs(1), Err(Expired)),
        (SystemTime::UNIX_EPOCH - Duration::from_secs(1), Err(NotYetValid)),
    ] {
        assert_eq!(check(&[anchor()], &[authority()], &person(), now, Use::Sign), expected, "{now:?}");
    }
}

#[test]
fn a_successor_serves_where_its_predecessor_has_expired() {
    // The same names and keys, certified anew.
    let check = |anchors: &[Wanted<'_>], between: &[Wanted<'_>]| check(anchors, between, &person(), noon(), Use::Sign);
    assert_eq!(check(&[over(anchor()), anchor()], &[authority()]), Ok(()));
    assert_eq!(check(&[anchor()], &[over(authority()), authority()]), Ok(()));
    assert_eq!(check(&[over(anchor()), to_come(anchor())], &[authority()]), Err(PathError::AnchorNotYetValid));
}

#[test]
fn issuers() {
    use PathError::*;
    let leaf = |issuer, signer| Wanted { issuer, signer, ..person() };
    let stranger = wanted("Stranger", "Stranger", issuing());
    let not_an_authority = wanted(AUTHORITY, ANCHOR, vec![key_usage(DIGITAL_SIGNATURE)]);
    let signs_no_certificates = instead(authority(), 1, key_usage(CRL_SIGN));
    try_all(vec![
        ("another root", stranger.clone(), vec![authority()], person(), Err(UnknownIssuer)),
        ("no authority", anchor(), vec![], person(), Err(UnknownIssuer)),
        ("an issuer of the same name", anchor(), vec![authority()], leaf(AUTHORITY, "Mallory"), Err(UnknownIssuer)),
        (
            "an anchor of the same name",
            anchor(),
            vec![Wanted { signer: "Mallory", ..authority() }],
            person(),
            Err(UnknownIssuer),
        ),
        ("signed by itself", anchor(), vec![authority()], leaf(PERSON, PERSON), Err(UnknownIssuer)),
        ("issued by a person", anchor(), vec![not_an_authority.clone()], person(), Err(NotAnAuthority)),
        ("issued by one for revocations only", anchor(), vec![signs_no_certificates], person(), Err(NotAnAuthority)),
        (
            "an anchor for revocations only",
            instead(anchor(), 1, key_usage(CRL_SIGN)),
            vec![authority()],
            person(),
            Err(NotAnAuthority),
        ),
        (
            "an anchor that is a person",
            Wanted { extensions: vec![basic_constraints_of_a_person()], ..anchor() },
            vec![authority()],
            person(),
            Err(BadAnchor),
        ),
        (
            "an old algorithm",
            anchor(),
            vec![authority()],
            Wanted { algorithm: old_algorithm(), ..person() },
            Err(Algorithm),
        ),
    ]);
    // One good path is enough, whatever stands beside it.
    let beside = [not_an_authority, stranger, authority()];
    assert_eq!(check(&[anchor()], &beside, &person(), noon(), Use::Sign), Ok(()));
}

fn basic_constraints_of_a_person() -> Vec<u8> {
    // SEQUENCE {}: cA is FALSE by default.
    let mut extension = basic_constraints(None);
    let at = extension.len() - 5;
    extension.truncate(at);
    extension.extend([0x30, 0]);
    // The OCTET STRING and the whole are three octets shorter.
    extension[at - 1] -= 3;
    extension[1] -= 3;
    extension
}

/// ecdsa-with-SHA1.
fn old_algorithm() -> der::asn1::ObjectIdentifier {
    der::asn1::ObjectIdentifier::new_unwrap("1.2.840.10045.4.1")
}

#[test]
fn uses_and_purposes() {
    use PathError::*;
    let purposes = |list: &[&str]| instead(person(), 1, extended_key_usage(list));
    try_all(vec![
        ("a reader's certificate to sign", anchor(), vec![authority()], reader(), Err(WrongUse)),
        (
            "an authority's certificate to sign",
            anchor(),
            vec![],
            Wanted { subject: PERSON, key: PERSON, ..with(authority(), extended_key_usage(&[EMAIL_PROTECTION])) },
            Err(WrongUse),
        ),
        ("for servers", anchor(), vec![authority()], purposes(&[SERVER_AUTH]), Err(WrongPurpose)),
        ("for anything, mail not said", anchor(), vec![authority()], purposes(&[ANY]), Err(WrongPurpose)),
        ("for nothing", anchor(), vec![authority()], purposes(&[]), Err(WrongPurpose)),
        ("purpose not said", anchor(), vec![authority()], without(person(), 1), Err(WrongPurpose)),
        (
            "an authority for servers",
            anchor(),
            vec![with(authority(), extended_key_usage(&[SERVER_AUTH]))],
            person(),
            Err(WrongPurpose),
        ),
    ]);
    // A key usage without keyAgreement, or keyEncipherment where an elliptic curve is.
    for usage in [DIGITAL_SIGNATURE, 0x20] {
        let leaf = instead(reader(), 0, key_usage(usage));
        assert_eq!(check(&[anchor()], &[authority()], &leaf, noon(), Use::Encrypt), Err(WrongUse));
    }
}

#[test]
fn lengths_and_names() {
    use PathError::*;
    let further = || wanted("Branch", AUTHORITY, issuing());
    let below = || Wanted { issuer: "Branch", signer: "Branch", ..person() };
    let limited = |base: &[u8], excluded, critical| vec![with(authority(), name_constraints(excluded, critical, base))];
    try_all(vec![
        (
            "one too many",
            anchor(),
            vec![instead(authority(), 0, basic_constraints(Some(0))), further()],
            below(),
            Err(PathLength),
        ),
        (
            "one too many for the anchor",
            instead(anchor(), 0, basic_constraints(Some(0))),
            vec![authority()],
            person(),
            Err(PathLength),
        ),
        ("limited to others", anchor(), limited(&mail_base("b.example"), false, true), person(), Err(NameConstraint)),
        ("not for this one", anchor(), limited(&mail_base("a.example"), true, true), person(), Err(NameConstraint)),
        // Not computed, so refused although it would cover the address.
        ("limited to these", anchor(), limited(&mail_base("a.example"), false, true), person(), Err(NameConstraint)),
        (
            "the same, not critical",
            anchor(),
            limited(&mail_base("a.example"), false, false),
            person(),
            Err(NameConstraint),
        ),
        (
            "limited to a directory",
            anchor(),
            limited(&directory_base("Hanako"), false, true),
            person(),
            Err(NameConstraint),
        ),
        (
            "an anchor so limited",
            with(anchor(), name_constraints(false, true, &mail_base("b.example"))),
            vec![authority()],
            person(),
            Err(NameConstraint),
        ),
        (
            "not understood",
            anchor(),
            vec![authority()],
            with(person(), unknown_extension(true)),
            Err(CriticalExtension),
        ),
        (
            "authority not understood",
            anchor(),
            vec![with(authority(), unknown_extension(true))],
            person(),
            Err(CriticalExtension),
        ),
    ]);
}

#[test]
fn paths_without_end() {
    // Each certified by the one before, further than anybody goes.
    let names: Vec<String> = (0..12).map(|number| format!("Authority {number:02}")).collect();
    let mut between: Vec<Wanted<'_>> = names.windows(2).map(|two| wanted(&two[1], &two[0], issuing())).collect();
    between.insert(0, wanted(&names[0], ANCHOR, issuing()));
    let leaf = Wanted { issuer: &names[11], signer: &names[11], ..person() };
    assert_eq!(check(&[anchor()], &between, &leaf, noon(), Use::Sign), Err(PathError::PathLength));
    // Each certified by every other: webpki stops counting, and so does this test.
    let names: Vec<String> = (0..4).map(|number| format!("Authority {number:02}")).collect();
    let crossed = names.iter().flat_map(|subject| names.iter().map(move |issuer| wanted(subject, issuer, issuing())));
    let crossed: Vec<Wanted<'_>> = crossed.collect();
    let leaf = Wanted { issuer: &names[0], signer: &names[0], ..person() };
    let error = check(&[anchor()], &crossed, &leaf, noon(), Use::Sign).unwrap_err();
    assert!(matches!(error, PathError::TooManyPaths | PathError::UnknownIssuer), "{error:?}");
}

#[test]
fn every_error_has_a_code_of_its_own() {
    use PathError::*;
    let all = [
        Malformed,
        Expired,
        NotYetValid,
        UnknownIssuer,
        WrongUse,
        WrongPurpose,
        IssuerExpired,
        IssuerNotYetValid,
        AnchorExpired,
        AnchorNotYetValid,
        NotAnAuthority,
        PathLength,
        NameConstraint,
        CriticalExtension,
        Algorithm,
        BadAnchor,
        TooManyPaths,
        Rule(String::new()),
    ];
    let codes: std::collections::BTreeSet<&str> = all.iter().map(PathError::code).collect();
    let words: std::collections::BTreeSet<String> = all.iter().map(ToString::to_string).collect();
    assert_eq!((codes.len(), words.len()), (all.len(), all.len()));
}
