//! A certificate authority in a folder, worked with as an administrator does: through the program; and the programs of
//! others that judge what comes of it.
// Whoever is started here is waited for when dropped.
#![allow(dead_code, clippy::zombie_processes, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

/// Whether `program` is at hand. Where it has to be (`SEALFAX_STRICT=1`) its absence is a failure.
pub fn present(program: &str, argument: &str) -> bool {
    if Command::new(program).arg(argument).output().is_ok_and(|output| output.status.success()) {
        return true;
    }
    unsupported(&format!("no {program} command; install it"))
}

/// Says why a test cannot be made here; fails where it has to be.
pub fn unsupported(reason: &str) -> bool {
    let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
    assert!(!strict, "{reason}");
    eprintln!("unsupported: {reason}");
    false
}

/// A folder with an authority's folder in it, and files beside.
pub struct Place {
    pub folder: tempfile::TempDir,
    environment: Vec<(&'static str, PathBuf)>,
}

impl Place {
    pub fn new() -> Self {
        let place = Self { folder: tempfile::tempdir().unwrap(), environment: Vec::new() };
        place.secret("passphrase", "correct horse battery staple");
        place
    }

    pub fn with(mut self, name: &'static str, value: PathBuf) -> Self {
        self.environment.push((name, value));
        self
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    pub fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap()
    }

    /// A file that only its owner reads.
    pub fn secret(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path
    }

    /// `sealfax-mailserver ca ... --data ca`.
    pub fn ca(&self, arguments: &[&str]) -> Output {
        self.ca_fed(arguments, b"")
    }

    /// The same with something on standard input.
    pub fn ca_fed(&self, arguments: &[&str], input: &[u8]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealfax-mailserver"));
        command.arg("ca").args(arguments).arg("--data").arg(self.path("ca"));
        self.run(command, input)
    }

    pub fn run(&self, mut command: Command, input: &[u8]) -> Output {
        let mut child = command
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("CREDENTIALS_DIRECTORY")
            .current_dir(self.folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // It may end before it has read everything.
        let _ = child.stdin.take().unwrap().write_all(input);
        child.wait_with_output().unwrap()
    }

    /// The same, which must go well; what it says on standard output.
    pub fn ca_well(&self, arguments: &[&str]) -> String {
        well(&self.ca(arguments))
    }

    pub fn json(&self, arguments: &[&str]) -> serde_json::Value {
        let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
        serde_json::from_str(&self.ca_well(&arguments)).unwrap()
    }

    pub fn openssl(&self, arguments: &[&str]) -> String {
        let output = self.openssl_run(arguments);
        well(&output) + &String::from_utf8_lossy(&output.stderr)
    }

    pub fn openssl_run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new("openssl");
        command.args(arguments);
        self.run(command, b"")
    }

    /// A request of a new key, as a card would make it.
    pub fn request(&self, name: &str, kind: &[&str]) -> String {
        let (key, request) = (format!("{name}.key"), format!("{name}.csr"));
        let mut arguments = vec!["req", "-new", "-nodes", "-keyout", &key, "-out", &request, "-subj", "/CN=anyone"];
        arguments.extend(kind);
        self.openssl(&arguments);
        request
    }

    /// Has `request` signed; the certificate is in `NAME.pem` then.
    pub fn sign(&self, request: &str, name: &str, address: &str, usage: &str) {
        let pem = self.ca_well(&[
            "sign",
            request,
            "--name",
            "山田 太郎",
            "--address",
            address,
            "--usage",
            usage,
            "--days",
            "30",
        ]);
        std::fs::write(self.path(&format!("{name}.pem")), pem).unwrap();
    }

    /// The serial number of the certificate in `NAME.pem`.
    pub fn serial(&self, name: &str) -> String {
        let text = self.openssl(&["x509", "-noout", "-serial", "-in", &format!("{name}.pem")]);
        text.trim().trim_start_matches("serial=").to_ascii_lowercase()
    }

    /// Starts the certificate server.
    pub fn serve(&self) -> Server {
        self.serve_with("")
    }

    /// The same, with `more` in its configuration.
    pub fn serve_with(&self, more: &str) -> Server {
        let configuration = format!(
            "[directory]\nhost_name = \"directory\"\nhttp = \"127.0.0.1:0\"\ndata = {:?}\n{more}",
            self.path("ca").display().to_string()
        );
        std::fs::write(self.path("server.toml"), configuration).unwrap();
        let mut child = Command::new(env!("CARGO_BIN_EXE_sealfax-mailserver"))
            .args(["serve", "--config"])
            .arg(self.path("server.toml"))
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .env_remove("CREDENTIALS_DIRECTORY")
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let mut seen = Vec::new();
        for line in &mut lines {
            let line = line.unwrap();
            if let Some((_, at)) = line.split_once("Certificates: HTTP at ") {
                let at = at.to_owned();
                std::thread::spawn(move || lines.for_each(drop));
                return Server { child, at };
            }
            seen.push(line);
        }
        panic!("the server did not start: {seen:?}");
    }
}

/// A running server, ended when dropped.
pub struct Server {
    child: Child,
    pub at: String,
}

impl Server {
    /// Its process.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// What a program says on standard output, if it went well.
pub fn well(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What it says on standard error, if it failed with this code.
pub fn ill(output: &Output, code: i32) -> String {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(code), "{text}");
    assert!(output.stdout.is_empty(), "nothing may be on standard output: {:?}", output.stdout);
    text
}

/// Mode bits of a file.
pub fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}
