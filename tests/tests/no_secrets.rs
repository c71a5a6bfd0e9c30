//! After a whole confidential fax, with a wrong PIN on the way and everything written down that can be, no PIN and no mailbox
//! password stands in any artefact, any journal, any card trace, any program's log, or on any disk. On the wires a password
//! stands in the POP3 log-in to the mail server, which is in clear as long as there is no TLS, and nowhere else.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::Write;
use std::path::Path;
use std::sync::{Arc, Mutex};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use sealfax_drivers::display::ScreenKind;
use sealfax_rig::bench::people::{Character, HANAKO, JIRO, TARO};
use sealfax_rig::bench::region::{Plan, Region};
use sealfax_rig::report::Verdict;
use sealfax_rig::scenario::runner::{Options, run};
use sealfax_rig::scenario::stories::{SUBJECT, note};
use sealfax_rig::scenario::{Bench, DEADLINE, Failure, Scenario, expect};

// Eight digits, so that none of them stands in some time or number by chance.
const SENDER: Character = Character { pin: "73195264", ..TARO };
const RECIPIENT: Character = Character { pin: "91827365", ..HANAKO };
const COLLEAGUE: Character = Character { pin: "62849517", ..JIRO };
const WRONG: &str = "50917263";

const STORY: Scenario = Scenario {
    name: "no-secrets",
    title: "A confidential fax, looked through for secrets",
    requirements: &[],
    deadline: DEADLINE,
    run: |bench| Box::pin(story(bench)),
};

async fn story(bench: Bench) -> Result<(), Failure> {
    let region = Region::start(&bench, Plan { people: vec![SENDER, RECIPIENT, COLLEAGUE], ..Plan::default() }).await?;
    let (a, b) = (region.site('a')?, region.site('b')?);
    let (sender, recipient) = (region.person(SENDER)?, region.person(RECIPIENT)?);
    a.insert(&sender);
    a.sees(ScreenKind::Pin).await?;
    a.type_pin(&sender, WRONG).await;
    a.sees(ScreenKind::PinWrong).await?;
    a.type_pin(&sender, sender.character.pin).await;
    a.sees(ScreenKind::Ready).await?;
    let lcd = a.fax(Some(&sender), &[RECIPIENT.address], SUBJECT, &note("nothing but the text")).await?;
    expect(lcd.sent, format!("it is sent, not: {}", lcd.text))?;
    a.pull(&sender);
    b.sees(ScreenKind::Arrived).await?;
    b.identify(&recipient, ScreenKind::PressReceive).await?;
    let printed = b.receive().await.map_err(Failure::expectation)?;
    expect(printed.len() == 1, "it is printed")?;
    b.sees(ScreenKind::Done).await?;
    b.pull(&recipient);
    a.sees(ScreenKind::Delivered).await?;
    a.receive().await.map_err(Failure::expectation)?;
    bench.save("region", "network.pcap", &region.pcap(), "every octet on every wire")?;
    // What all hosts keep on their disks, to be looked through like the rest.
    copy(&region.folder(""), &bench.folder.join("disks"))?;
    let password = [&sender.password, &recipient.password].map(String::as_str).join("\n");
    std::fs::write(bench.folder.with_extension("passwords"), password).map_err(Failure::infrastructure)
}

fn copy(from: &Path, to: &Path) -> Result<(), Failure> {
    std::fs::create_dir_all(to).map_err(Failure::infrastructure)?;
    for entry in std::fs::read_dir(from).map_err(Failure::infrastructure)? {
        let entry = entry.map_err(Failure::infrastructure)?;
        let (path, place) = (entry.path(), to.join(entry.file_name()));
        if path.is_dir() {
            copy(&path, &place)?;
        // A socket holds nothing.
        } else if path.is_file() {
            std::fs::copy(&path, &place).map_err(Failure::infrastructure)?;
        }
    }
    Ok(())
}

/// Everything that any library says, at trace level.
#[derive(Clone, Default)]
struct Said(Arc<Mutex<Vec<u8>>>);

impl Write for Said {
    fn write(&mut self, octets: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(octets);
        Ok(octets.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// A secret as it may have been written: as it is, in hexadecimal (as octets of a command are), in base64 (as SASL does).
fn forms(secret: &str) -> Vec<Vec<u8>> {
    let hex = |separator: &str, upper: bool| {
        let one = |octet: u8| if upper { format!("{octet:02X}") } else { format!("{octet:02x}") };
        secret.bytes().map(one).collect::<Vec<_>>().join(separator)
    };
    let mut forms = vec![secret.to_owned(), hex("", true), hex("", false), hex(" ", true), hex(" ", false)];
    forms.push(format!("{:?}", secret.as_bytes()).trim_matches(['[', ']']).to_owned());
    // At each of the three places where it may begin in a group of base64.
    for before in 0..3 {
        let text = STANDARD.encode([&vec![0; before], secret.as_bytes()].concat());
        let whole = (secret.len() + before) / 3 * 4;
        forms.push(text[(before * 4).div_ceil(3)..whole].to_owned());
    }
    forms.into_iter().map(String::into_bytes).collect()
}

fn count(octets: &[u8], needle: &[u8]) -> usize {
    memchr::memmem::find_iter(octets, needle).count()
}

/// Every place under `folder` where one of the secrets stands.
fn found(folder: &Path, secrets: &[String], places: &mut Vec<String>, files: &mut usize) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            found(&path, secrets, places, files);
            continue;
        }
        *files += 1;
        let octets = std::fs::read(&path).unwrap();
        for (number, secret) in secrets.iter().enumerate() {
            for form in forms(secret) {
                let mut times = count(&octets, &form);
                if path.extension().is_some_and(|extension| extension == "pcap") {
                    times -= count(&octets, &[b"PASS ", form.as_slice(), b"\r\n"].concat());
                }
                if times > 0 {
                    places.push(format!(
                        "secret {number}, as {:?}, in {}",
                        String::from_utf8_lossy(&form),
                        path.display()
                    ));
                }
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pin_and_no_password_stands_anywhere() {
    let said = Said::default();
    let writer = said.clone();
    tracing_subscriber::fmt()
        .with_max_level(tracing_subscriber::filter::LevelFilter::TRACE)
        .with_writer(move || writer.clone())
        .init();
    let out = tempfile::tempdir().unwrap();
    let folder = out.path().join("run");
    let options = Options { flat: true, ..Options::new(folder.clone()) };
    let report = run(&[STORY], &options, |_| {}).await;
    let result = &report.results[0];
    assert_eq!(result.verdict, Verdict::Pass, "{:?}", result.why);
    report.write_all(&folder).unwrap();
    std::fs::write(folder.join("trace.log"), &*said.0.lock().unwrap()).unwrap();
    // The log as a program would hold it, with all that its parts would show of themselves.
    std::fs::write(folder.join("debug.log"), format!("{:#?}", result.events)).unwrap();

    let passwords = std::fs::read_to_string(folder.with_extension("passwords")).unwrap();
    let mut secrets: Vec<String> = passwords.lines().map(str::to_owned).collect();
    assert!(secrets.len() == 2 && secrets.iter().all(|secret| secret.len() > 8), "{secrets:?}");
    secrets.extend([SENDER.pin, RECIPIENT.pin, COLLEAGUE.pin, WRONG].map(str::to_owned));
    let (mut places, mut files) = (Vec::new(), 0);
    found(&folder, &secrets, &mut places, &mut files);
    assert!(places.is_empty(), "{places:#?}");

    // The search is worth something: there is much to search, the log-in is on the wire, and what is planted is found.
    assert!(files > 20, "{files} files");
    let wires = std::fs::read(folder.join("network.pcap")).unwrap();
    assert!(count(&wires, format!("PASS {}", secrets[1]).as_bytes()) == 1, "the log-in was captured");
    assert!(std::fs::metadata(folder.join("trace.log")).unwrap().len() > 1000, "libraries were heard");
    let planted = ["as it is: 91827365.", "3931383237333635", "39 31 38 32 37 33 36 35", "OTE4MjczNjU="];
    for (number, text) in planted.into_iter().enumerate() {
        let apart = out.path().join(format!("planted-{number}"));
        std::fs::create_dir(&apart).unwrap();
        std::fs::write(apart.join("file"), text).unwrap();
        places.clear();
        found(&apart, &secrets, &mut places, &mut files);
        assert!(!places.is_empty(), "{text:?} is found");
    }
}
