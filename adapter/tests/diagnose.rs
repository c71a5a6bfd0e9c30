//! `sealfax-adapter diagnose` whole, beside a root that is a folder: planted faults under their names, bundles, exit codes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

/// Where the USB ports of a Raspberry Pi 3 hang.
const USB: &str = "sys/devices/platform/soc/3f980000.usb/usb1/1-1";

/// A Pi in a folder: its kernel's files, and a configuration that names its devices.
struct Pi {
    folder: tempfile::TempDir,
}

struct Told {
    exit: i32,
    json: Value,
    text: String,
}

impl Told {
    fn check(&self, name: &str) -> &Value {
        let checks = self.json["checks"].as_array().unwrap_or_else(|| panic!("{}", self.text));
        checks.iter().find(|check| check["name"] == name).unwrap_or_else(|| panic!("{name}: {}", self.json))
    }

    fn state(&self, name: &str) -> &str {
        self.check(name)["state"].as_str().unwrap()
    }

    fn codes(&self, name: &str) -> Vec<&str> {
        let findings = self.check(name)["findings"].as_array().unwrap();
        findings.iter().map(|finding| finding["code"].as_str().unwrap()).collect()
    }

    fn blocked_by(&self, name: &str) -> Option<&str> {
        self.check(name)["blocked_by"].as_str()
    }
}

impl Pi {
    fn new() -> Self {
        let pi = Self { folder: tempfile::tempdir().unwrap() };
        pi.put("sys/devices/platform/soc/soc:firmware/get_throttled", "0\n");
        pi.put("sys/class/thermal/thermal_zone0/temp", "45084\n");
        pi.put("sys/class/drm/card0-HDMI-A-1/status", "connected\n");
        pi.put("sys/class/drm/card0-HDMI-A-1/modes", "1280x720\n720x576\n");
        pi.lines("");
        pi.port("1-1.2", "eth0", 2, "1");
        pi.port("1-1.3", "eth1", 3, "1");
        pi.put(
            "proc/net/route",
            "Iface\tDestination\tGateway\tFlags\tRefCnt\tUse\tMetric\tMask\tMTU\tWindow\tIRTT\n\
             eth0\t004DA8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n\
             eth1\t000200C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        );
        pi.put(
            "proc/net/fib_trie",
            "Local:\n     |-- 192.168.77.1\n        /32 host LOCAL\n     |-- 192.0.2.7\n        /32 host LOCAL\n",
        );
        pi.put("proc/net/tcp", "");
        pi.put("proc/sys/net/ipv4/ip_forward", "0\n");
        std::fs::create_dir_all(pi.at("var/lib/sealfax")).unwrap();
        pi
    }

    fn at(&self, path: &str) -> PathBuf {
        self.folder.path().join(path)
    }

    fn put(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// A USB Ethernet adapter in a socket.
    fn port(&self, socket: &str, name: &str, index: u32, carrier: &str) {
        let interface = self.at(&format!("{USB}/{socket}/{socket}:1.0"));
        std::fs::create_dir_all(&interface).unwrap();
        let class = format!("sys/class/net/{name}");
        self.put(&format!("{class}/ifindex"), &format!("{index}\n"));
        self.put(&format!("{class}/carrier"), carrier);
        let device = self.at(&format!("{class}/device"));
        if !device.exists() {
            symlink(interface, device).unwrap();
        }
    }

    /// Who holds lines, in the kernel's words.
    fn lines(&self, held: &str) {
        let list = format!("gpiochip0: GPIOs 512-565, parent: platform/3f200000.gpio, pinctrl-bcm2835:\n{held}");
        self.put("sys/kernel/debug/gpio", &list);
    }

    /// The configuration; `ports` are the sockets of terminal and network.
    fn configuration(&self, terminal: &str, network: &str, more: &str) -> PathBuf {
        // Nobody listens at port 1, and a refusal comes at once.
        let text = format!(
            "host_name = \"adapter\"\noffice = \"Office\"\nlanguage = \"english\"\ndata = \"/var/lib/sealfax\"\n\
             [terminal]\nsmtp = \"192.168.77.1:25\"\npop3 = \"192.168.77.1:110\"\n\
             machine_addresses = [\"fax.machine@office.example\"]\n\
             [network]\nnotices = \"0.0.0.0:25\"\nnotices_from = [\"127.0.0.1\"]\nsmtp = \"127.0.0.1:1\"\n\
             pop3 = \"127.0.0.1:1\"\ndirectory = \"127.0.0.1:1\"\nhistory = \"127.0.0.1:1\"\nanchors = \"{}\"\n{more}\n\
             [gpio]\nlamp = 17\nbuzzer = 18\nbackend = \"gpiocdev\"\n[display]\nbackend = \"drm\"\n[ports]\n\
             terminal = \"platform-3f980000.usb-usb-0:{terminal}:1.0\"\n\
             network = \"platform-3f980000.usb-usb-0:{network}:1.0\"\n",
            self.at("anchors.pem").display()
        );
        self.put("adapter.toml", &text);
        self.at("adapter.toml")
    }

    fn run(&self, arguments: &[&str]) -> Output {
        self.configured(&self.configuration("1.2", "1.3", ""), arguments)
    }

    fn configured(&self, config: &Path, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_sealfax-adapter"));
        command.args(["diagnose", "--config"]).arg(config).arg("--root").arg(self.folder.path());
        command.args(arguments).env_remove("RUST_LOG").output().unwrap()
    }

    fn diagnose(&self) -> Told {
        told(self.run(&["--json"]))
    }
}

fn told(output: Output) -> Told {
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let json = serde_json::from_slice(&output.stdout).unwrap_or(Value::Null);
    Told { exit: output.status.code().unwrap(), json, text }
}

#[test]
fn a_pi_with_nothing_planted() {
    let told = Pi::new().diagnose();
    assert_eq!((told.exit, told.json["version"].as_u64(), told.json["health"].as_str()), (1, Some(1), Some("failing")));
    for name in ["configuration", "power", "storage", "gpio", "display", "terminal-port", "network-port"] {
        assert_eq!((told.state(name), told.codes(name)), ("ok", vec![]), "{}", told.check(name));
    }
    // Its servers are not there, its anchors neither, and it is not running.
    assert_eq!(told.codes("servers"), ["SERVER-001"; 4]);
    assert_eq!((told.codes("certificates"), told.codes("service")), (vec!["CERT-001"], vec!["SERVICE-101"]));
    assert_eq!(told.state("names"), "skipped");
}

#[test]
fn planted_in_the_kernels_files() {
    let pi = Pi::new();
    pi.put("sys/devices/platform/soc/soc:firmware/get_throttled", "50005\n");
    pi.lines(" gpio-529 (GPIO17              |blinker             ) out lo \n");
    pi.put("sys/class/drm/card0-HDMI-A-1/status", "disconnected\n");
    pi.put("proc/self/mounts", "/dev/root / ext4 rw 0 0\n/dev/mmcblk0p3 /var/lib/sealfax ext4 ro,noatime 0 0\n");
    pi.port("1-1.3", "eth1", 3, "0");
    let told = pi.diagnose();
    assert_eq!(told.codes("power"), ["POWER-001"]);
    assert_eq!(told.codes("gpio"), ["GPIO-002"]);
    assert_eq!(told.check("gpio")["findings"][0]["evidence"][0]["value"], "blinker");
    assert_eq!(told.codes("display"), ["DISPLAY-003"]);
    assert_eq!(told.codes("storage"), ["DISK-002"]);
    assert_eq!(told.codes("network-port"), ["NET-001"]);
    assert_eq!((told.state("servers"), told.blocked_by("servers")), ("blocked", Some("network-port")));
    assert_eq!((told.state("service"), told.blocked_by("service")), ("blocked", Some("storage")));
}

#[test]
fn the_voltage_monitor_and_a_display_that_is_not_there() {
    let pi = Pi::new();
    std::fs::remove_file(pi.at("sys/devices/platform/soc/soc:firmware/get_throttled")).unwrap();
    pi.put("sys/class/hwmon/hwmon0/name", "cpu_thermal\n");
    pi.put("sys/class/hwmon/hwmon1/name", "rpi_volt\n");
    pi.put("sys/class/hwmon/hwmon1/in0_lcrit_alarm", "1\n");
    std::fs::remove_dir_all(pi.at("sys/class/drm")).unwrap();
    std::fs::remove_dir_all(pi.at("var/lib/sealfax")).unwrap();
    std::fs::remove_dir_all(pi.at("sys/class/net/eth1")).unwrap();
    let told = pi.diagnose();
    assert_eq!((told.codes("power"), told.codes("display")), (vec!["POWER-001"], vec!["DISPLAY-102"]));
    assert_eq!((told.codes("storage"), told.codes("network-port")), (vec!["DISK-003"], vec!["NET-005"]));
}

#[test]
fn ports_that_are_swapped() {
    let pi = Pi::new();
    let told = told(pi.configured(&pi.configuration("1.3", "1.2", ""), &["--json"]));
    assert_eq!(told.codes("terminal-port"), ["NET-004"]);
    for name in ["network-port", "names", "servers", "service"] {
        assert_eq!((told.state(name), told.blocked_by(name)), ("blocked", Some("terminal-port")), "{name}");
    }
}

#[cfg(feature = "pcsc")]
#[test]
fn pcscd_and_readers() {
    let pi = Pi::new();
    let stopped = pi.diagnose();
    assert_eq!((stopped.codes("reader"), stopped.blocked_by("card")), (vec!["CARD-004"], Some("reader")));
    // Somebody answers there; and nothing is on the USB.
    std::fs::create_dir_all(pi.at("run/pcscd")).unwrap();
    let _pcscd = std::os::unix::net::UnixListener::bind(pi.at("run/pcscd/pcscd.comm")).unwrap();
    assert_eq!(pi.diagnose().codes("reader"), ["CARD-001"]);
    pi.put("sys/bus/usb/devices/1-1.4:1.0/bInterfaceClass", "0b\n");
    pi.put("sys/bus/usb/devices/1-1.4/idVendor", "072f\n");
    let unknown = pi.diagnose();
    assert_eq!(unknown.codes("reader"), ["CARD-007"]);
    assert_eq!(unknown.blocked_by("card"), Some("reader"));
}

#[test]
fn a_configuration_that_is_wrong_or_missing() {
    let pi = Pi::new();
    let missing = told(pi.configured(&pi.at("nowhere.toml"), &["--json"]));
    assert_eq!(missing.codes("configuration"), ["CONFIG-001"]);
    assert_eq!((missing.state("power"), missing.blocked_by("servers")), ("ok", Some("configuration")));
    let wrong = pi.configuration("1.2", "1.3", "pop = 3");
    let wrong = told(pi.configured(&wrong, &["--json"]));
    assert_eq!(wrong.codes("configuration"), ["CONFIG-002"]);
}

#[test]
fn a_bundle_is_judged_elsewhere_and_says_the_same() {
    let pi = Pi::new();
    pi.lines(" gpio-530 (GPIO18              |other               ) out lo \n");
    let bundle = pi.at("bundle.tar.gz");
    let there = told(pi.run(&["--json", "--bundle", bundle.to_str().unwrap()]));
    let elsewhere = Pi::new();
    let here = told(elsewhere.run(&["--json", "--from", bundle.to_str().unwrap()]));
    assert_eq!((here.exit, here.codes("gpio")), (there.exit, vec!["GPIO-002"]));
    let without_times = |json: &Value| {
        let mut json = json.clone();
        for check in json["checks"].as_array_mut().unwrap() {
            check["milliseconds"] = Value::Null;
        }
        json
    };
    assert_eq!(without_times(&here.json), without_times(&there.json));
    // The address of the machine names nobody, and is not in it all the same.
    let mut text = String::new();
    for entry in
        tar::Archive::new(flate2::read::GzDecoder::new(std::fs::File::open(&bundle).unwrap())).entries().unwrap()
    {
        std::io::Read::read_to_string(&mut entry.unwrap(), &mut text).unwrap();
    }
    assert!(text.contains("machine_addresses") && !text.contains("fax.machine"), "{text}");

    let broken = pi.at("broken");
    std::fs::write(&broken, "nonsense").unwrap();
    let broken = told(pi.run(&["--json", "--from", broken.to_str().unwrap()]));
    assert_eq!((broken.exit, broken.json), (3, Value::Null));
    assert!(broken.text.contains("neither a bundle"), "{}", broken.text);
}

#[test]
fn exit_codes_and_languages() {
    let pi = Pi::new();
    for (arguments, exit) in [
        (&["modem"][..], 4),
        (&["modem", "--json"], 4),
        // The configuration has a lamp; this machine has no lines for one.
        (&["lamp", "--yes"], 1),
        (&["--watch", "--json"], 3),
        (&["--nonsense"], 3),
        // Not a terminal.
        (&["--watch"], 3),
        (&["--help"], 0),
    ] {
        let output = pi.run(arguments);
        assert_eq!(output.status.code(), Some(exit), "{arguments:?}: {output:?}");
    }
    let modem = told(pi.run(&["modem", "--json"]));
    assert_eq!((modem.json["result"].as_str(), modem.json["device"].as_str()), (Some("unsupported"), Some("modem")));
    for (arguments, words) in [
        (&["network"][..], &["do next", "SERVER-001", "127.0.0.1:1"][..]),
        (&["network", "--language", "japanese"], &["次にすること", "サーバーに接続できません"]),
    ] {
        let output = pi.run(arguments);
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.stdout.is_empty() && words.iter().all(|word| text.contains(word)), "{arguments:?}: {text}");
        assert!(!text.contains("GPIO"), "{text}");
    }
}
