//! How much memory a document of two hundred pages takes, from file to file: what is resident at most, above what was before.

use std::fs::File;
use std::io::{BufReader, BufWriter, Write as _};

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng as _;
use sealfax_smime::{Recipient, Scheme, Signing};

use super::super::meter::growth;
use super::{BenchError, OPENSSL, RECIPIENT, Row, World, write_mail};

/// 200 pages of 100 KB.
const DOCUMENT: usize = 20_000_000;
/// Most memory above the baseline, KiB.
const GOAL: f64 = 16.0 * 1024.0;

/// Comes before anything else of this process that takes much memory, for what is given back may stay resident.
pub(super) fn rows(world: &World) -> Result<Vec<Row>, BenchError> {
    let mut document = BufWriter::new(File::create(world.path("content.eml")).map_err(BenchError::broken)?);
    write_mail(&mut document, DOCUMENT).map_err(BenchError::broken)?;
    document.flush().map_err(BenchError::broken)?;
    let ours = [growth(|| seal(world))?, growth(|| open(world))?];
    let theirs = [world.theirs("seal", "gcm", 0.0)?.kib, world.theirs("open", "gcm", 0.0)?.kib];
    let row = |what, ours, theirs| {
        let name = format!("{what}, 20 MB from file to file: memory above the baseline");
        Row::less(&name, "KiB", ours, OPENSSL, theirs).no_more_than(GOAL)
    };
    let [sealed, opened] = ours;
    let [their_sealed, their_opened] = theirs;
    Ok(vec![row("Sealed", sealed, their_sealed), row("Opened", opened, their_opened)])
}

fn reader(world: &World, name: &str) -> Result<BufReader<File>, BenchError> {
    File::open(world.path(name)).map(BufReader::new).map_err(BenchError::broken)
}

fn writer(world: &World, name: &str) -> Result<BufWriter<File>, BenchError> {
    File::create(world.path(name)).map(BufWriter::new).map_err(BenchError::broken)
}

fn seal(world: &World) -> Result<(), BenchError> {
    let signing = Signing { key: &world.sender, chain: &[], signing_time: world.now };
    let recipients = [Recipient { address: RECIPIENT.to_owned(), certificate: world.recipient.certificate.clone() }];
    let mut rng = ChaCha20Rng::from_seed([7; 32]);
    let (mut document, mut out) = (reader(world, "content.eml")?, writer(world, "ours.eml")?);
    let sealing =
        sealfax_smime::seal_stream(&mut document, &signing, &recipients, Scheme::default(), &mut rng, &mut out);
    tokio::runtime::Handle::current().block_on(sealing).map_err(BenchError::broken)?;
    out.flush().map_err(BenchError::broken)
}

fn open(world: &World) -> Result<(), BenchError> {
    let known = [world.sender.certificate.clone()];
    let decrypting =
        sealfax_smime::decrypt_stream(reader(world, "ours.eml")?, &world.recipient, sealfax_smime::Floor::Today);
    let decrypted = tokio::runtime::Handle::current().block_on(decrypting).map_err(BenchError::broken)?;
    let opened = decrypted.verify(&world.verification(&known)).map_err(BenchError::broken)?;
    opened.release(&mut writer(world, "opened.eml")?).map_err(BenchError::broken)
}
