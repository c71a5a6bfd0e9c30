//! A PKI that the openssl command makes while a test runs: authorities, people with keys of any kind, in a folder of its
//! own.

use std::io;
use std::path::Path;

use crate::openssl::openssl;

/// A kind of key, as `openssl genpkey` is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// RSA with so many bits.
    Rsa(u16),
    /// A named curve: `P-256`.
    Curve(&'static str),
}

/// What a certificate is for.
#[derive(Debug, Clone, Copy)]
pub struct Person<'a> {
    /// Its files' name.
    pub name: &'a str,
    /// rfc822Name.
    pub address: &'a str,
    /// The key's kind.
    pub kind: Kind,
    /// keyUsage.
    pub usage: &'a str,
    /// The name of the authority that issues it.
    pub issuer: &'a str,
}

/// The folder. For each NAME it holds `NAME.key` and `NAME.pem`.
#[derive(Debug)]
pub struct Pki(tempfile::TempDir);

impl Pki {
    /// An empty one.
    pub fn new() -> io::Result<Self> {
        tempfile::tempdir().map(Self)
    }

    /// The folder, in which [`Pki::run`] runs.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Runs openssl in the folder.
    pub fn run(&self, arguments: &[&str]) -> io::Result<Vec<u8>> {
        openssl(self.path(), arguments)
    }

    /// Writes a file.
    pub fn write(&self, name: &str, octets: &[u8]) -> io::Result<()> {
        std::fs::write(self.path().join(name), octets)
    }

    /// Makes a private key.
    pub fn key(&self, name: &str, kind: Kind) -> io::Result<()> {
        let (algorithm, option) = match kind {
            Kind::Rsa(bits) => ("RSA", format!("rsa_keygen_bits:{bits}")),
            Kind::Curve(curve) => ("EC", format!("ec_paramgen_curve:{curve}")),
        };
        let file = format!("{name}.key");
        self.run(&["genpkey", "-algorithm", algorithm, "-pkeyopt", &option, "-out", &file]).map(drop)
    }

    /// Certifies the key of `name` for `days` days, by itself without `issuer`.
    pub fn certify(&self, name: &str, issuer: Option<&str>, extensions: &str, days: u16) -> io::Result<()> {
        let [key, request, out, list, days] = [
            format!("{name}.key"),
            format!("{name}.csr"),
            format!("{name}.pem"),
            format!("{name}.ext"),
            days.to_string(),
        ];
        let subject = format!("/CN={name}");
        self.write(&list, extensions.as_bytes())?;
        self.run(&["req", "-new", "-key", &key, "-subj", &subject, "-out", &request])?;
        let always = ["x509", "-req", "-in", &request, "-extfile", &list, "-days", &days, "-out", &out];
        match issuer {
            None => self.run(&[&always[..], &["-key", &key]].concat()),
            Some(issuer) => {
                let [ca, ca_key] = [format!("{issuer}.pem"), format!("{issuer}.key")];
                self.run(&[&always[..], &["-CA", &ca, "-CAkey", &ca_key]].concat())
            }
        }
        .map(drop)
    }

    /// A root, or an authority under another.
    pub fn authority(&self, name: &str, issuer: Option<&str>) -> io::Result<()> {
        self.key(name, Kind::Curve("P-256"))?;
        let extensions =
            "basicConstraints=critical,CA:TRUE\nkeyUsage=critical,keyCertSign,cRLSign\nsubjectKeyIdentifier=hash\n";
        self.certify(name, issuer, extensions, 10)
    }

    /// Somebody with a key and a certificate for mail.
    pub fn person(&self, person: &Person<'_>) -> io::Result<()> {
        self.key(person.name, person.kind)?;
        let extensions = format!(
            "subjectAltName=email:{}\nkeyUsage=critical,{}\nextendedKeyUsage=emailProtection\n\
            subjectKeyIdentifier=hash\nauthorityKeyIdentifier=keyid\n",
            person.address, person.usage
        );
        self.certify(person.name, Some(person.issuer), &extensions, 10)
    }

    /// A certificate in DER.
    pub fn certificate(&self, name: &str) -> io::Result<Vec<u8>> {
        self.run(&["x509", "-in", &format!("{name}.pem"), "-outform", "DER"])
    }

    /// A private key, PKCS#8 in DER.
    pub fn private_key(&self, name: &str) -> io::Result<Vec<u8>> {
        self.run(&["pkcs8", "-topk8", "-nocrypt", "-in", &format!("{name}.key"), "-outform", "DER"])
    }
}
