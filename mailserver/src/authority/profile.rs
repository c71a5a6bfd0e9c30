//! What stands in each kind of certificate (RFC 5280 4.2, RFC 8550 4.4, RFC 6960 4.2.2.2).

use der::asn1::{Any, Ia5String, Null, ObjectIdentifier, OctetString};
use der::referenced::OwnedToRef;
use der::{Encode, Tag};
use p256::ecdsa::DerSignature;
use sealfax_client::lookup::Use;
use sealfax_client::ocsp::asn1::{NO_CHECK, OCSP_SIGNING};
use spki::{SubjectPublicKeyInfoOwned, SubjectPublicKeyInfoRef};
use std::time::SystemTime;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::builder::profile::BuilderProfile;
use x509_cert::builder::{Builder, CertificateBuilder};
use x509_cert::certificate::TbsCertificate;
use x509_cert::ext::pkix::crl::dp::DistributionPoint;
use x509_cert::ext::pkix::name::{DistributionPointName, GeneralName};
use x509_cert::ext::pkix::{
    AccessDescription, AuthorityInfoAccessSyntax, AuthorityKeyIdentifier, BasicConstraints, CrlDistributionPoints,
    ExtendedKeyUsage, KeyUsage, KeyUsages, SubjectAltName, SubjectKeyIdentifier,
};
use x509_cert::ext::{Extension, ToExtension};
use x509_cert::name::{Name, RdnSequence, RelativeDistinguishedName};
use x509_cert::serial_number::SerialNumber;
use x509_cert::time::{Time, Validity};

use super::AuthorityError;
use super::keys::{AuthorityKey, Signer};

const COMMON_NAME: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.3");
const ORGANIZATION: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.4.10");
const EMAIL_PROTECTION: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.4");
const SERVER_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.1");
const CLIENT_AUTH: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.2");
const AD_OCSP: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.48.1");

/// What a certificate is for.
#[derive(Debug)]
pub(super) enum Kind<'a> {
    /// The trust anchor.
    Root,
    /// The authority that signs everything else.
    Issuing,
    /// The delegated OCSP responder.
    OcspSigner,
    /// A person's card.
    Person { address: &'a str, usage: Use },
    /// A TLS server, by its names.
    Server { names: &'a [GeneralName] },
    /// An adapter, by its names: it is both a TLS client and a TLS server.
    Device { names: &'a [GeneralName] },
}

/// Where others can ask about a certificate; stands in it.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Pointers<'a> {
    /// OCSP responder (RFC 5280 4.2.2.1).
    pub ocsp: Option<&'a str>,
    /// Revocation list (RFC 5280 4.2.1.13).
    pub crl: Option<&'a str>,
}

/// A certificate to be made.
#[derive(Debug)]
pub(super) struct Plan<'a> {
    pub kind: Kind<'a>,
    pub pointers: Pointers<'a>,
    pub serial: SerialNumber,
    pub subject: Name,
    pub key: SubjectPublicKeyInfoOwned,
    pub not_before: SystemTime,
    pub not_after: SystemTime,
}

/// Makes and signs it. Without `issuer` it is self-signed.
pub(super) fn build(
    plan: Plan<'_>,
    issuer: Option<&Certificate>,
    signer: &dyn AuthorityKey,
) -> Result<Certificate, AuthorityError> {
    let issuer_name = issuer.map_or(&plan.subject, |issuer| issuer.tbs_certificate().subject());
    let issuer_key = issuer.map_or(&plan.key, |issuer| issuer.tbs_certificate().subject_public_key_info());
    let fixed = Fixed {
        subject: plan.subject.clone(),
        issuer: issuer_name.clone(),
        extensions: extensions(&plan, issuer_key)?,
    };
    let validity = Validity::new(Time::try_from(plan.not_before)?, Time::try_from(plan.not_after)?);
    let builder = CertificateBuilder::new(fixed, plan.serial, validity, plan.key)?;
    Ok(builder.build::<_, DerSignature>(&Signer(signer))?)
}

fn extensions(plan: &Plan<'_>, issuer_key: &SubjectPublicKeyInfoOwned) -> Result<Vec<Extension>, AuthorityError> {
    let mut list = Vec::new();
    let mut add = |made: der::Result<Extension>| -> der::Result<()> {
        list.push(made?);
        Ok(())
    };
    let subject = &plan.subject;
    let ca = matches!(plan.kind, Kind::Root | Kind::Issuing);
    let constraints = BasicConstraints { ca, path_len_constraint: matches!(plan.kind, Kind::Issuing).then_some(0) };
    add((ca, &constraints).to_extension(subject, &[]))?;
    let usages = match &plan.kind {
        Kind::Root | Kind::Issuing => KeyUsages::KeyCertSign | KeyUsages::CRLSign,
        // TLS 1.3, and 1.2 with forward secrecy, only ever sign with these.
        Kind::OcspSigner | Kind::Server { .. } | Kind::Device { .. } => KeyUsages::DigitalSignature.into(),
        Kind::Person { usage, .. } => match usage {
            Use::Sign => KeyUsages::DigitalSignature | KeyUsages::NonRepudiation,
            // RFC 5480 3: an elliptic-curve key agrees, an RSA key enciphers.
            Use::Encrypt if is_elliptic(&plan.key) => KeyUsages::KeyAgreement.into(),
            Use::Encrypt => KeyUsages::KeyEncipherment.into(),
        },
    };
    add((&KeyUsage(usages)).to_extension(subject, &[]))?;
    let own = SubjectKeyIdentifier::try_from(plan.key.owned_to_ref())?;
    add((&own).to_extension(subject, &[]))?;
    if !matches!(plan.kind, Kind::Root) {
        let above = AuthorityKeyIdentifier {
            key_identifier: Some(SubjectKeyIdentifier::try_from(issuer_key.owned_to_ref())?.0),
            ..AuthorityKeyIdentifier::default()
        };
        add((&above).to_extension(subject, &[]))?;
    }
    match &plan.kind {
        Kind::Root | Kind::Issuing => {}
        Kind::OcspSigner => {
            add((&ExtendedKeyUsage(vec![OCSP_SIGNING])).to_extension(subject, &[]))?;
            add(Ok(Extension { extn_id: NO_CHECK, critical: false, extn_value: OctetString::new(Null.to_der()?)? }))?;
        }
        Kind::Person { address, .. } => {
            add((&ExtendedKeyUsage(vec![EMAIL_PROTECTION])).to_extension(subject, &[]))?;
            let name = GeneralName::Rfc822Name(Ia5String::new(address)?);
            add((&SubjectAltName(vec![name])).to_extension(subject, &[]))?;
        }
        Kind::Server { names } => {
            add((&ExtendedKeyUsage(vec![SERVER_AUTH])).to_extension(subject, &[]))?;
            add((&SubjectAltName(names.to_vec())).to_extension(subject, &[]))?;
        }
        Kind::Device { names } => {
            add((&ExtendedKeyUsage(vec![CLIENT_AUTH, SERVER_AUTH])).to_extension(subject, &[]))?;
            add((&SubjectAltName(names.to_vec())).to_extension(subject, &[]))?;
        }
    }
    if let Some(url) = plan.pointers.ocsp {
        let access = AuthorityInfoAccessSyntax(vec![AccessDescription {
            access_method: AD_OCSP,
            access_location: GeneralName::UniformResourceIdentifier(Ia5String::new(url)?),
        }]);
        add((&access).to_extension(subject, &[]))?;
    }
    if let Some(url) = plan.pointers.crl {
        let name = GeneralName::UniformResourceIdentifier(Ia5String::new(url)?);
        let points = CrlDistributionPoints(vec![DistributionPoint {
            distribution_point: Some(DistributionPointName::FullName(vec![name])),
            reasons: None,
            crl_issuer: None,
        }]);
        add((&points).to_extension(subject, &[]))?;
    }
    Ok(list)
}

fn is_elliptic(key: &SubjectPublicKeyInfoOwned) -> bool {
    key.algorithm.oid == ObjectIdentifier::new_unwrap("1.2.840.10045.2.1")
}

/// A distinguished name of organization and common name, both UTF-8.
pub(super) fn name(organization: &str, common_name: &str) -> Result<Name, AuthorityError> {
    let mut rdns = RdnSequence::default();
    for (oid, value) in [(ORGANIZATION, organization), (COMMON_NAME, common_name)] {
        let mut rdn = RelativeDistinguishedName::default();
        rdn.insert(AttributeTypeAndValue { oid, value: Any::new(Tag::Utf8String, value.as_bytes())? })?;
        rdns.push(rdn);
    }
    Ok(Name::hazmat_from_rdn_sequence(rdns))
}

/// A builder profile that adds nothing of its own.
struct Fixed {
    subject: Name,
    issuer: Name,
    extensions: Vec<Extension>,
}

impl BuilderProfile for Fixed {
    fn get_issuer(&self, _subject: &Name) -> Name {
        self.issuer.clone()
    }

    fn get_subject(&self) -> Name {
        self.subject.clone()
    }

    fn build_extensions(
        &self,
        _key: SubjectPublicKeyInfoRef<'_>,
        _issuer_key: SubjectPublicKeyInfoRef<'_>,
        _tbs: &TbsCertificate,
    ) -> x509_cert::builder::Result<Vec<Extension>> {
        Ok(self.extensions.clone())
    }
}
