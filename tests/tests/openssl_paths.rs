//! Certificate paths, judged here and by `openssl verify -x509_strict`: what either refuses, and what both accept.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::time::{Duration, SystemTime};

use sealfax_smime::path::{PathError, Use, check_path};
use sealfax_tests::openssl::present;
use sealfax_tests::pki::{Kind, Pki};

const AUTHORITY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n";
const IDENTIFIERS: &str = "subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n";
const SIGNER: &str =
    "subjectAltName=email:hanako@a.example\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=emailProtection\n";

/// Who agrees with whom.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
enum Openssl {
    Accepts,
    Refuses,
}

/// One thing that is changed, days from now at which it is judged, and what comes of it here and there.
struct Case {
    name: &'static str,
    root: (&'static str, u16),
    authority: (&'static str, u16),
    leaf: (&'static str, u16),
    day: u64,
    here: Result<(), PathError>,
    there: Openssl,
}

fn cases() -> Vec<Case> {
    use Openssl::*;
    use PathError::*;
    let good = |name| Case {
        name,
        root: (AUTHORITY, 100),
        authority: (AUTHORITY, 100),
        leaf: (SIGNER, 100),
        day: 0,
        here: Ok(()),
        there: Accepts,
    };
    let refused = |name, here| Case { here: Err(here), there: Refuses, ..good(name) };
    const SHORT: &str = "basicConstraints=critical,CA:TRUE,pathlen:0\nkeyUsage=critical,keyCertSign,cRLSign\n";
    const NO_AUTHORITY: &str = "basicConstraints=critical,CA:FALSE\nkeyUsage=critical,keyCertSign\n";
    const REVOKES_ONLY: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,cRLSign\n";
    const FOR_SERVERS: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
        extendedKeyUsage=serverAuth\n";
    const LIMITED: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
        nameConstraints=critical,permitted;email:b.example\n";
    const COVERED: &str = "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\n\
        nameConstraints=critical,permitted;email:a.example\n";
    vec![
        good("as it should be"),
        Case { authority: (SHORT, 100), ..good("path length just enough") },
        Case { leaf: (SIGNER, 5), day: 7, ..refused("expired", Expired) },
        Case { authority: (AUTHORITY, 5), day: 7, ..refused("authority expired", IssuerExpired) },
        Case { root: (AUTHORITY, 5), day: 7, ..refused("anchor expired", AnchorExpired) },
        Case { root: (SHORT, 100), ..refused("too far below the anchor", PathLength) },
        Case { authority: (NO_AUTHORITY, 100), ..refused("issued by no authority", NotAnAuthority) },
        Case { authority: (REVOKES_ONLY, 100), ..refused("issued by one for revocations", NotAnAuthority) },
        Case { authority: (FOR_SERVERS, 100), ..refused("an authority for servers", WrongPurpose) },
        Case { authority: (LIMITED, 100), ..refused("limited to other names", NameConstraint) },
        // Not computed here: refused although OpenSSL finds the address covered.
        Case { authority: (COVERED, 100), there: Accepts, ..refused("limited to these names", NameConstraint) },
        Case {
            leaf: (
                "subjectAltName=email:hanako@a.example\nkeyUsage=critical,digitalSignature\nextendedKeyUsage=serverAuth\n",
                100,
            ),
            ..refused("for servers", WrongPurpose)
        },
        Case {
            leaf: (
                "subjectAltName=email:hanako@a.example\nkeyUsage=critical,keyAgreement\nextendedKeyUsage=emailProtection\n",
                100,
            ),
            ..refused("a reader's certificate", WrongUse)
        },
        Case {
            leaf: (
                "subjectAltName=email:hanako@a.example\nkeyUsage=critical,digitalSignature\n\
                extendedKeyUsage=emailProtection\n1.3.6.1.4.1.55555.1=critical,ASN1:NULL\n",
                100,
            ),
            ..refused("something critical that nobody understands", CriticalExtension)
        },
        Case {
            leaf: ("subjectAltName=email:hanako@a.example\nkeyUsage=critical,digitalSignature\n", 100),
            there: Accepts,
            ..refused("a purpose has to be said here", WrongPurpose)
        },
    ]
}

#[test]
fn both_judge_paths_alike() {
    if !present() {
        return;
    }
    let pki = Pki::new().unwrap();
    let now = SystemTime::now();
    for name in ["root", "authority", "leaf"] {
        pki.key(name, Kind::Curve("P-256")).unwrap();
    }
    for case in cases() {
        let name = case.name;
        for (who, issuer, (extensions, days)) in [
            ("root", None, case.root),
            ("authority", Some("root"), case.authority),
            ("leaf", Some("authority"), case.leaf),
        ] {
            let identifiers = if issuer.is_some() { IDENTIFIERS } else { "subjectKeyIdentifier=hash\n" };
            pki.certify(who, issuer, &format!("{extensions}{identifiers}"), days).unwrap();
        }
        let at = now + Duration::from_secs(case.day * 86_400 + 60);
        let certificate = |name: &str| pki.certificate(name).unwrap();
        let here = check_path(&certificate("leaf"), &[certificate("authority")], &[certificate("root")], at, Use::Sign);
        assert_eq!(here, case.here, "{name}");

        let seconds = at.duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs().to_string();
        let verdict = pki.run(&[
            "verify",
            "-x509_strict",
            "-purpose",
            "smimesign",
            "-attime",
            &seconds,
            "-CAfile",
            "root.pem",
            "-untrusted",
            "authority.pem",
            "leaf.pem",
        ]);
        let there = if verdict.is_ok() { Openssl::Accepts } else { Openssl::Refuses };
        assert_eq!(there, case.there, "{name}: {verdict:?}");
        // Never more lenient than the witness.
        assert!(there == Openssl::Accepts || here.is_err(), "{name}");
    }
    // A root of the same name that is another.
    pki.key("root", Kind::Curve("P-256")).unwrap();
    let leaf = pki.certificate("leaf").unwrap();
    pki.certify("root", None, AUTHORITY, 100).unwrap();
    let (between, root) = (pki.certificate("authority").unwrap(), pki.certificate("root").unwrap());
    assert!(check_path(&leaf, &[between], &[root], now, Use::Sign).is_err());
}
