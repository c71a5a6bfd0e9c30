//! Real clients join a bench at work by what `cargo rig up` tells them, word for word.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::process::Command;

use sealfax_rig::events::EventLog;
use sealfax_rig::scenario::{Bench, BenchKind};
use sealfax_rig::up::world::World;
use sealfax_tests::at_hand;

#[tokio::test(flavor = "multi_thread")]
async fn every_command_of_the_invitation_does_what_it_is_for() {
    if !at_hand("openssl") || !at_hand("curl") {
        return;
    }
    let folder = tempfile::tempdir().unwrap();
    let bench = Bench::new(BenchKind::Sim, 1, folder.path().to_path_buf(), EventLog::new());
    let world = World::start(&bench, &['a', 'b'], Vec::new()).await.unwrap();
    let invitation = world.invitation(&folder.path().join("join")).await.unwrap();
    let commands = invitation.lines().filter_map(|line| line.strip_prefix("  "));
    let commands = commands.filter(|line| ["openssl ", "curl "].iter().any(|client| line.starts_with(client)));
    let commands: Vec<String> = commands.map(str::to_owned).collect();
    let said = tokio::task::spawn_blocking(move || commands.iter().map(|command| run(command)).collect::<Vec<_>>());
    let [status, certificates, submitted, mailbox, history] = <[String; 5]>::try_from(said.await.unwrap()).unwrap();
    assert!(status.contains(": good"), "{status}");
    assert!(certificates.contains("application/pkix-cert"), "{certificates}");
    assert!(submitted.is_empty(), "{submitted}");
    // One mail, the one that was just sent.
    assert!(mailbox.starts_with("1 "), "{mailbox}");
    assert!(!history.is_empty());
}

fn run(command: &str) -> String {
    let output = Command::new("sh").args(["-c", command]).output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{command}: {error}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}
