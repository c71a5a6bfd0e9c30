//! The two Ethernet ports in network namespaces: a fax machine on one side, a network on the other, and between them an adapter
//! that lets nothing through. Needs root; says so where it is not.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod daemon;

use std::process::Command;

use daemon::{Daemon, PROGRAM, configuration};
use sealfax_adapter::service::LineKind;

/// Three namespaces and two cables: `t`, the fax machine, `a`, the adapter, `n`, the network.
struct Wires {
    names: [String; 3],
}

/// Runs a command; its error is what it complains of.
fn run(program: &str, arguments: &[&str]) -> Result<String, String> {
    let output = Command::new(program).args(arguments).output().map_err(|error| format!("{program}: {error}"))?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() { Ok(said) } else { Err(format!("{said}{}", String::from_utf8_lossy(&output.stderr))) }
}

impl Wires {
    /// `None`: this machine does not let us, and it was said why.
    fn lay() -> Option<Self> {
        let process = std::process::id();
        let wires = Self { names: ["t", "a", "n"].map(|side| format!("sealfax-{process}-{side}")) };
        let namespaces = wires.names.iter().try_for_each(|name| run("ip", &["netns", "add", name]).map(drop));
        if let Err(why) = namespaces {
            let strict = std::env::var_os("SEALFAX_STRICT").is_some_and(|value| value == "1");
            assert!(!strict, "no network namespaces: {why}");
            eprintln!("unsupported: no network namespaces: {why}");
            return None;
        }
        wires.plug_terminal();
        wires.plug(2, "port-n", "10.77.2");
        // What a new namespace takes over from this machine is not what is tried here.
        wires.shell(1, "echo 0 >/proc/sys/net/ipv4/ip_forward").unwrap();
        // A way to the other side, if only somebody took it.
        wires.ip(0, &["route", "add", "default", "via", "10.77.1.1"]);
        wires.ip(2, &["route", "add", "default", "via", "10.77.2.1"]);
        Some(wires)
    }

    fn plug_terminal(&self) {
        self.plug(0, "port-t", "10.77.1");
    }

    /// A cable from the adapter's `port` to the only device of a side.
    fn plug(&self, side: usize, port: &str, net: &str) {
        let [_, adapter, _] = &self.names;
        let far = &self.names[side];
        run("ip", &["link", "add", port, "netns", adapter, "type", "veth", "peer", "name", "eth0", "netns", far])
            .unwrap();
        self.ip(1, &["address", "add", &format!("{net}.1/24"), "dev", port]);
        self.ip(1, &["link", "set", port, "up"]);
        self.ip(side, &["address", "add", &format!("{net}.2/24"), "dev", "eth0"]);
        self.ip(side, &["link", "set", "eth0", "up"]);
        self.ip(side, &["link", "set", "lo", "up"]);
    }

    fn ip(&self, side: usize, arguments: &[&str]) {
        let mut all = vec!["-n", self.names[side].as_str()];
        all.extend(arguments);
        run("ip", &all).unwrap_or_else(|why| panic!("ip {all:?}: {why}"));
    }

    fn shell(&self, side: usize, line: &str) -> Result<String, String> {
        run("ip", &["netns", "exec", &self.names[side], "bash", "-c", line])
    }

    /// What a server says first to one side; empty if it cannot be reached from there.
    fn greeting(&self, side: usize, host: &str, port: u16) -> String {
        let line = format!("exec 3<>/dev/tcp/{host}/{port} && read -t 20 -r line <&3 && echo \"$line\"");
        run("ip", &["netns", "exec", &self.names[side], "timeout", "3", "bash", "-c", &line]).unwrap_or_default()
    }

    /// What an SMTP server says to a sender.
    fn answer_to_mail(&self, side: usize, host: &str) -> String {
        let line = format!(
            "exec 3<>/dev/tcp/{host}/25; printf 'HELO x\\r\\nMAIL FROM:<a@b.example>\\r\\nQUIT\\r\\n' >&3; cat <&3"
        );
        let said = self.shell(side, &format!("timeout 20 bash -c \"{line}\"")).unwrap_or_default();
        said.lines().nth(2).unwrap_or_default().to_owned()
    }

    /// The same for a server that may still be coming.
    fn greeting_at_last(&self, side: usize, host: &str, port: u16) -> String {
        let greetings = (0..200).map(|_| {
            std::thread::sleep(std::time::Duration::from_millis(50));
            self.greeting(side, host, port)
        });
        greetings.into_iter().find(|greeting| !greeting.is_empty()).unwrap_or_default()
    }
}

impl Drop for Wires {
    fn drop(&mut self) {
        for name in &self.names {
            let _ = run("ip", &["netns", "delete", name]);
        }
    }
}

#[test]
fn each_side_reaches_its_own_listeners_and_nothing_passes() {
    let Some(wires) = Wires::lay() else { return };
    let [_, adapter, _] = &wires.names;
    let folder = tempfile::tempdir().unwrap();
    let config = configuration(
        folder.path(),
        &[
            ("192.168.77.1:25", "10.77.1.1:25"),
            ("192.168.77.1:110", "10.77.1.1:110"),
            ("192.0.2.77:25", "0.0.0.0:25"),
            ("# [ports]", "[ports]"),
            ("# terminal = \"platform-3f980000.usb-usb-0:1.2:1.0\"", "terminal = \"name:port-t\""),
            ("# network = \"platform-3f980000.usb-usb-0:1.3:1.0\"", "network = \"name:port-n\""),
        ],
    );
    let mut command = Command::new("ip");
    command.args(["netns", "exec", adapter, PROGRAM]);
    let mut daemon = Daemon::start(command, folder.path(), &config);
    daemon.tells("READY=1");

    let (terminal, network) = (0, 2);
    assert!(wires.greeting(terminal, "10.77.1.1", 25).starts_with("220 "), "{}", daemon.said());
    assert!(wires.greeting(terminal, "10.77.1.1", 110).starts_with("+OK"), "{}", daemon.said());
    assert!(wires.greeting(network, "10.77.2.1", 25).starts_with("220 "), "{}", daemon.said());
    // Linux answers for all its addresses at every port: only the device keeps the sides apart.
    for (side, host, port) in [(network, "10.77.1.1", 110), (network, "10.77.2.1", 110), (terminal, "10.77.2.1", 25)] {
        assert_eq!(wires.greeting(side, host, port), "", "{host}:{port} from the wrong side");
    }
    // Whatever address of ours the network tries: it is the notices' door that answers, which turns strangers away. The
    // fax machine's takes its mail.
    assert!(wires.answer_to_mail(network, "10.77.1.1").starts_with("550 "), "{}", daemon.said());
    assert!(wires.answer_to_mail(terminal, "10.77.1.1").starts_with("250 "), "{}", daemon.said());
    // And nothing goes through to the other side's hosts.
    assert!(wires.shell(terminal, "timeout 3 bash -c '</dev/tcp/10.77.2.2/25'").is_err());
    let counters = wires.shell(1, "grep ^Ip: /proc/net/snmp").unwrap();
    let mut rows = counters.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let (names, values) = (rows.next().unwrap(), rows.next().unwrap());
    let forwarded = names.iter().position(|name| *name == "ForwDatagrams").unwrap();
    assert_eq!(values[forwarded], "0");

    // A cable is pulled at its far end, and plugged.
    wires.ip(terminal, &["link", "set", "eth0", "down"]);
    daemon.writes("the missing link", |line| line.code.as_deref() == Some("NET-002") && line.text.contains("no link"));
    daemon.tells("NET-002");
    wires.ip(terminal, &["link", "set", "eth0", "up"]);
    daemon.writes("the link", |line| line.text == "the fax machine's link is up");
    daemon.tells("CARD-001");
    // The adapter on USB is pulled and plugged: another device, the same port.
    wires.ip(1, &["link", "delete", "port-t"]);
    daemon.writes("the missing device", |line| {
        line.code.as_deref() == Some("NET-002") && line.text.contains("no network device")
    });
    wires.plug_terminal();
    assert!(wires.greeting_at_last(terminal, "10.77.1.1", 25).starts_with("220 "), "{}", daemon.said());
    assert!(wires.greeting_at_last(terminal, "10.77.1.1", 110).starts_with("+OK"), "{}", daemon.said());

    // Somebody makes a router of it.
    wires.shell(1, "echo 1 >/proc/sys/net/ipv4/ip_forward").unwrap();
    let line = daemon.writes("the forwarding", |line| line.code.as_deref() == Some("NET-003"));
    assert_eq!(line.kind, LineKind::Security);
    daemon.tells("NET-003");
}
