//! A coordinator of labgrid and an exporter on loopback, or why there are none here.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::Duration;

use sealfax_rig::lab::file::Labgrid;
use sealfax_rig::peer::process::{Process, free_port};

/// A lab with one place, and what is exported for it.
pub struct Lab {
    /// Where coordinator and exporter keep what they keep.
    pub folder: tempfile::TempDir,
    /// The coordinator.
    pub at: SocketAddr,
    bin: PathBuf,
    _coordinator: Process,
    exporter: Option<Process>,
}

/// The place.
pub const PLACE: &str = "sealfax-bench-1";

/// Where labgrid is: what `tests/run` installed, or the search path.
fn bin() -> Option<PathBuf> {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).parent()?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut places = vec![workspace.join("target/tools/bin")];
    places.extend(std::env::var_os("SEALFAX_LABGRID").map(PathBuf::from));
    places.extend(std::env::split_paths(&path));
    places.into_iter().find(|place| place.join("labgrid-coordinator").is_file())
}

/// Runs `body` with a lab, or says why it cannot: a failure where everything has to be (CI).
pub fn with_labgrid(body: impl FnOnce(Lab)) {
    match bin() {
        Some(bin) => body(Lab::start(bin)),
        None => {
            let why = "labgrid is not installed; `tests/run` brings it into target/tools";
            assert!(std::env::var_os("SEALFAX_STRICT").is_none_or(|value| value != "1"), "{why}");
            eprintln!("unsupported: {why}");
        }
    }
}

impl Lab {
    fn start(bin: PathBuf) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let at = free_port(IpAddr::V4(Ipv4Addr::LOCALHOST)).unwrap();
        // It keeps places in the folder that it is started in.
        let mut command = Command::new(bin.join("labgrid-coordinator"));
        command.args(["--listen", &at.to_string()]).current_dir(folder.path());
        let mut coordinator =
            Process::start("labgrid-coordinator", command, &folder.path().join("coordinator.log")).unwrap();
        coordinator.wait_for_port(at, Duration::from_secs(60)).unwrap();
        let mut lab = Self { folder, at, bin, _coordinator: coordinator, exporter: None };
        lab.start_exporter();
        lab.as_user("admin", &["-p", PLACE, "create"]);
        lab.as_user("admin", &["-p", PLACE, "add-match", "*/sealfax-bench-1/*"]);
        lab
    }

    fn start_exporter(&mut self) {
        let file = self.folder.path().join("exporter.yaml");
        let resource = "sealfax-bench-1:\n  NetworkService:\n    address: 127.0.0.1\n    username: root\n";
        std::fs::write(&file, resource).unwrap();
        let mut command = Command::new(self.bin.join("labgrid-exporter"));
        command.env("LG_COORDINATOR", self.at.to_string()).args(["--name", "rack"]).arg(&file);
        command.current_dir(self.folder.path());
        let mut exporter =
            Process::start("labgrid-exporter", command, &self.folder.path().join("exporter.log")).unwrap();
        let (client, at) = (self.bin.join("labgrid-client"), self.at.to_string());
        exporter
            .wait_until(Duration::from_secs(60), |_| {
                let listed = Command::new(&client).env("LG_COORDINATOR", &at).arg("resources").output().ok()?;
                String::from_utf8_lossy(&listed.stdout).contains("rack/").then_some(())
            })
            .unwrap();
        self.exporter = Some(exporter);
    }

    /// The exporter's machine goes away.
    pub fn end_exporter(&mut self) {
        self.exporter = None;
    }

    /// The table of a bench file.
    pub fn table(&self, wait_seconds: u64) -> Labgrid {
        let (coordinator, client) = (self.at.to_string(), self.bin.join("labgrid-client"));
        Labgrid { coordinator, place: PLACE.into(), client, wait_seconds }
    }

    /// Somebody with labgrid's own client.
    pub fn user(&self, name: &str, arguments: &[&str]) -> Output {
        let mut command = Command::new(self.bin.join("labgrid-client"));
        command.env("LG_COORDINATOR", self.at.to_string()).env("LG_USERNAME", name).args(arguments);
        command.output().unwrap()
    }

    /// The same, and it has to succeed.
    pub fn as_user(&self, name: &str, arguments: &[&str]) -> String {
        let output = self.user(name, arguments);
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    /// Whether the place is reserved by anybody.
    pub fn is_reserved(&self) -> bool {
        self.as_user("admin", &["-p", PLACE, "show"]).contains("reservation: ")
    }
}
