//! The mail server's TLS before clients that nobody here wrote: curl and openssl, by password and by certificate.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use sealfax_client::pop3_server::Password;
use sealfax_client::seam::Seams;
use sealfax_mailserver::authority::{Authority, AuthorityOptions, EndpointRequest};
use sealfax_mailserver::mail::{MailConfig, MailServer, MailTls};
use sealfax_tests::at_hand;
use sealfax_tests::openssl::openssl;

const PASSWORD: &str = "correct horse";
const MAIL: &str = "From: hanako@b.example\r\nTo: hanako@b.example\r\nSubject: memo\r\n\r\nUnder TLS.\r\n";

/// A server with TLS, its certificate by our own authority, and anchors for clients made by openssl.
async fn server(folder: &Path) -> MailServer {
    let seams = Seams::system();
    let (place, at) = (folder.join("ca"), seams.clone());
    let authority = tokio::task::spawn_blocking(move || Authority::create(&place, &AuthorityOptions::default(), &at));
    let authority = authority.await.unwrap().unwrap();
    std::fs::write(folder.join("anchor.pem"), authority.anchor_pem().unwrap()).unwrap();
    openssl(folder, &["genpkey", "-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256", "-out", "mail.key"])
        .unwrap();
    let public_key = openssl(folder, &["pkey", "-in", "mail.key", "-pubout", "-outform", "DER"]).unwrap();
    let names = vec!["localhost".to_owned()];
    let request = EndpointRequest { names, public_key, device: false, validity: Duration::from_secs(86_400) };
    let leaf = authority.issue_endpoint(&request).unwrap().certificate;
    for (name, der) in [("leaf", leaf), ("issuing", authority.issuing_der().unwrap().into())] {
        std::fs::write(folder.join(format!("{name}.der")), der).unwrap();
    }
    let chain: Vec<u8> = ["leaf.der", "issuing.der"]
        .iter()
        .flat_map(|file| openssl(folder, &["x509", "-inform", "DER", "-in", file]).unwrap())
        .collect();
    std::fs::write(folder.join("mail.pem"), chain).unwrap();
    clients(folder);

    let any = SocketAddr::from(([127, 0, 0, 1], 0));
    let mut config = MailConfig::new("localhost", &["b.example"], folder.join("data"), vec![any]);
    config.limits.login_failure_delay = Duration::ZERO;
    config.tls = Some(MailTls {
        certificate: folder.join("mail.pem"),
        key: folder.join("mail.key"),
        clients: Some(folder.join("clients.pem")),
        smtps: Some(any),
        pop3s: Some(any),
        clear_logins: false,
    });
    let server = MailServer::start(config, seams).await.unwrap();
    let accounts = server.accounts().clone().cheap();
    for address in ["hanako@b.example", "jiro@b.example"] {
        accounts.add(address, address, &Password::new(PASSWORD.as_bytes().to_vec()), &[]).unwrap();
    }
    server
}

/// Hanako's certificate of another authority, which the server knows its clients by, and one of nobody's.
fn clients(folder: &Path) {
    for (anchor, name) in [("clients", "hanako"), ("others", "stranger")] {
        let [key, pem] = [format!("{anchor}.key"), format!("{anchor}.pem")];
        let subject = format!("/CN={anchor}");
        let make = ["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", &key, "-subj", &subject, "-out", &pem];
        openssl(folder, &make).unwrap();
        std::fs::write(
            folder.join("extensions"),
            "subjectAltName=email:hanako@b.example\nextendedKeyUsage=clientAuth\nkeyUsage=critical,digitalSignature\n",
        )
        .unwrap();
        let [own_key, own_pem] = [format!("{name}.key"), format!("{name}.pem")];
        let make =
            ["req", "-new", "-newkey", "rsa:2048", "-nodes", "-keyout", &own_key, "-subj", "/CN=x", "-out", "request"];
        openssl(folder, &make).unwrap();
        let sign = [
            "x509",
            "-req",
            "-in",
            "request",
            "-CA",
            &pem,
            "-CAkey",
            &key,
            "-CAcreateserial",
            "-days",
            "2",
            "-extfile",
            "extensions",
            "-out",
            &own_pem,
        ];
        openssl(folder, &sign).unwrap();
    }
}

/// Runs curl, which trusts our anchor alone: its exit code, and what it printed.
fn curl(folder: &Path, arguments: &[&str]) -> (i32, String) {
    let always = ["-sS", "--cacert", "anchor.pem", "--max-time", "30"];
    let output = Command::new("curl").args(always).args(arguments).current_dir(folder).output().unwrap();
    let text = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap_or(-1), String::from_utf8_lossy(&text).into_owned())
}

#[tokio::test(flavor = "multi_thread")]
async fn curl_and_openssl_send_fetch_and_are_refused() {
    if !at_hand("curl") || !at_hand("openssl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let server = server(folder.path()).await;
    std::fs::write(folder.path().join("mail.eml"), MAIL).unwrap();
    let (smtp, pop3) = (server.smtp_addr().port(), server.pop3_addr().port());
    let (smtps, pop3s) = (server.smtps_addr().unwrap().port(), server.pop3s_addr().unwrap().port());
    let folder = folder.path().to_path_buf();
    tokio::task::spawn_blocking(move || {
        let [upgraded, implicit] = [format!("smtp://localhost:{smtp}"), format!("smtps://localhost:{smtps}")];
        let [fetched, fetched_implicit] = [format!("pop3://localhost:{pop3}"), format!("pop3s://localhost:{pop3s}")];
        let hanako = format!("hanako@b.example:{PASSWORD}");
        let sends = |url: &str, more: &[&str]| {
            let mail = ["--mail-from", "hanako@b.example", "--mail-rcpt", "hanako@b.example", "-T", "mail.eml"];
            curl(&folder, &[&["--ssl-reqd", url][..], &mail, more].concat())
        };
        let fetches = |url: &str, more: &[&str]| curl(&folder, &[&["--ssl-reqd", url][..], more].concat());

        // By password, with every mechanism, in both ways of beginning.
        for (number, (url, options)) in
            [(&upgraded, "AUTH=PLAIN"), (&implicit, "AUTH=PLAIN"), (&implicit, "AUTH=LOGIN")].iter().enumerate()
        {
            let (code, said) = sends(url, &["--user", &hanako, "--login-options", options]);
            assert_eq!(code, 0, "{url} {options}: {said}");
            let (code, listed) = fetches(&fetched_implicit, &["--user", &hanako]);
            assert_eq!((code, listed.lines().count()), (0, number + 1), "{listed}");
        }
        let (code, mail) = fetches(&format!("{fetched}/1"), &["--user", &hanako, "--login-options", "AUTH=PLAIN"]);
        assert!(code == 0 && mail.contains("with ESMTPSA id") && mail.ends_with("Under TLS.\r\n"), "{mail}");
        // 67: access denied.
        for (url, user) in [(&fetched_implicit, "hanako@b.example:wrong"), (&fetched, "nobody@b.example:wrong")] {
            assert_eq!(fetches(url, &["--user", user]).0, 67, "{url} {user}");
        }
        assert_eq!(sends(&implicit, &["--user", "hanako@b.example:wrong"]).0, 67);
        // In another name.
        let (code, said) = sends(&implicit, &["--user", &format!("jiro@b.example:{PASSWORD}")]);
        assert!(code != 0 && said.contains("553"), "{code} {said}");
        // In clear nobody logs in.
        let (code, _) = curl(&folder, &[&fetched, "--user", &hanako]);
        assert_ne!(code, 0);

        // By certificate: Hanako's, and one that leads elsewhere.
        let shown = [
            "--cert",
            "hanako.pem",
            "--key",
            "hanako.key",
            "--user",
            "hanako@b.example:",
            "--login-options",
            "AUTH=EXTERNAL",
        ];
        let (code, listed) = fetches(&fetched_implicit, &shown);
        assert_eq!((code, listed.lines().count()), (0, 3), "{listed}");
        let (code, said) = sends(&implicit, &shown);
        assert_eq!(code, 0, "{said}");
        let strange = [
            "--cert",
            "stranger.pem",
            "--key",
            "stranger.key",
            "--user",
            "hanako@b.example:",
            "--login-options",
            "AUTH=EXTERNAL",
        ];
        assert_ne!(fetches(&fetched_implicit, &strange).0, 0);

        // 60: the server's certificate is not believed.
        let (code, _) = curl(&folder, &["--cacert", "clients.pem", &fetched_implicit, "--user", &hanako]);
        assert_eq!(code, 60);
        for (port, protocol) in [(smtp, "smtp"), (pop3, "pop3")] {
            let at = format!("localhost:{port}");
            let verify = ["-CAfile", "anchor.pem", "-verify_return_error", "-verify_hostname", "localhost"];
            let connect = ["s_client", "-connect", &at, "-starttls", protocol];
            for version in ["-tls1_2", "-tls1_3"] {
                let said = openssl(&folder, &[&connect[..], &verify, &[version]].concat()).unwrap();
                assert!(String::from_utf8_lossy(&said).contains("Verify return code: 0 (ok)"), "{protocol} {version}");
            }
            // Nothing older is spoken.
            assert!(openssl(&folder, &[&connect[..], &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"]].concat()).is_err());
        }
    })
    .await
    .unwrap();
}
