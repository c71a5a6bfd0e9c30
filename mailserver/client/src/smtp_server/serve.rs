//! The sockets and timers around [`Session`] (RFC 5321, 4.5.3.2).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Action, Envelope, Limits, Offers, Peer, Receiver, Reply, Session};
use crate::gate::{Admission, Gate};
use crate::seam::{BoxStream, Journal, Listener};
use crate::tls::{Secured, Security};

/// Serves SMTP on `listener` until `shutdown` turns true or its sender is gone; then lets running sessions finish
/// their transaction. Dropping the future aborts every session at once.
///
/// `host` is the name in greetings and in the journal.
pub async fn serve(
    listener: Box<dyn Listener>,
    security: Security,
    receiver: Arc<dyn Receiver>,
    limits: Limits,
    host: String,
    journal: Arc<dyn Journal>,
    shutdown: watch::Receiver<bool>,
) {
    let gate = Gate {
        sessions: limits.sessions,
        sessions_per_address: limits.sessions_per_address,
        host: host.clone(),
        journal: journal.clone(),
        accept_code: "SMTP-ACCEPT",
        sessions_code: "SMTP-SESSIONS",
    };
    let stop = shutdown.clone();
    let session = move |stream, peer, admission| {
        let connection = Connection {
            stream,
            security: security.clone(),
            peer: Peer::new(peer),
            receiver: receiver.clone(),
            limits: limits.clone(),
            host: host.clone(),
            journal: journal.clone(),
            shutdown: stop.clone(),
        };
        async move {
            match admission {
                Admission::Served => connection.run().await,
                Admission::TurnedAway => connection.turn_away().await,
            }
        }
    };
    gate.keep(listener, shutdown, session).await;
}

struct Connection {
    stream: BoxStream,
    security: Security,
    peer: Peer,
    receiver: Arc<dyn Receiver>,
    limits: Limits,
    host: String,
    journal: Arc<dyn Journal>,
    shutdown: watch::Receiver<bool>,
}

/// Why a session ended early; the text is for the journal.
struct Ended(&'static str, Option<Reply>);

impl Connection {
    fn address(&self) -> SocketAddr {
        self.peer.address
    }

    async fn turn_away(mut self) {
        // Whoever expects TLS would not understand a word of it.
        if let Security::Implicit(_) = self.security {
            return;
        }
        let reply = Reply::new(421, "4.3.2", "Too many connections, try again later");
        let _ = timeout(self.limits.idle, self.stream.write_all(&reply.to_octets())).await;
        let _ = timeout(self.limits.idle, self.stream.shutdown()).await;
    }

    async fn run(mut self) {
        if let Err(Ended(why, reply)) = self.begin().await {
            self.journal.note(&self.host, format!("SMTP session with {} ended: {why}", self.address()));
            if let Some(reply) = reply {
                let _ = timeout(self.limits.idle, self.stream.write_all(&reply.to_octets())).await;
            }
        }
        let _ = timeout(self.limits.idle, self.stream.shutdown()).await;
    }

    async fn begin(&mut self) -> Result<(), Ended> {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = self.security.begin(stream).await;
        self.has_tls(handshake)?;
        let offers = Offers {
            starttls: self.security.is_offered(),
            secured: self.peer.secured,
            auth: self.receiver.authenticates(),
            certificate: self.peer.certificate.is_some(),
        };
        self.converse(Session::new(self.limits.clone(), &self.host, offers)).await
    }

    async fn converse(&mut self, mut session: Session) -> Result<(), Ended> {
        let mut deadline = Instant::now() + self.limits.session;
        let mut output = session.greeting().to_octets();
        let mut buffer = vec![0u8; 64 * 1024];
        loop {
            while let Some(action) = session.next_action() {
                let reply = match action {
                    Action::Reply(reply) => reply,
                    Action::Refused(code, why) => {
                        self.journal.security(
                            &self.host,
                            code,
                            format!("{} ({}): {why}", self.address(), self.peer.hello),
                        );
                        continue;
                    }
                    Action::MailFrom(path) => {
                        self.take_hello(&session);
                        let decision = self.receiver.mail_from(&self.peer, &path).await;
                        self.note_refusal("MAIL", &path.to_string(), &decision);
                        session.mail_from_decided(decision)
                    }
                    Action::RcptTo(path) => {
                        let decision = match session.envelope() {
                            Some(envelope) => self.receiver.rcpt_to(&self.peer, envelope, &path).await,
                            None => Err(Reply::new(503, "5.5.1", "MAIL first")),
                        };
                        self.note_refusal("RCPT", &path, &decision);
                        session.rcpt_to_decided(path, decision)
                    }
                    Action::Message(envelope, data) => {
                        self.flush(&mut output).await?;
                        let began = Instant::now();
                        let reply = self.hand_over(&mut session, envelope, data).await?;
                        deadline += began.elapsed();
                        reply
                    }
                    Action::StartTls => {
                        self.flush(&mut output).await?;
                        self.start_tls(&mut session).await?;
                        continue;
                    }
                    Action::Authenticate(credentials) => {
                        self.take_hello(&session);
                        let decision = self.receiver.authenticate(&self.peer, credentials).await;
                        self.note_refusal("AUTH", "", &decision);
                        session.authenticated(decision.map(|identity| self.peer.identity = Some(identity)))
                    }
                    Action::Close => {
                        self.flush(&mut output).await?;
                        return Ok(());
                    }
                };
                output.extend_from_slice(&reply.to_octets());
                if output.len() > 64 * 1024 {
                    self.flush(&mut output).await?;
                }
            }
            self.flush(&mut output).await?;
            let until = deadline.min(Instant::now() + self.limits.idle);
            let busy = session.receiving_data() || session.envelope().is_some();
            let read = tokio::select! {
                read = timeout_at(until, self.stream.read(&mut buffer)) => read,
                _ = self.shutdown.wait_for(|stop| *stop), if !busy => {
                    return Err(Ended("server stops", Some(Reply::new(421, "4.3.2", "Server is stopping"))));
                }
            };
            match read {
                Err(_) => {
                    return Err(Ended("timed out", Some(Reply::new(421, "4.4.2", "Timed out, closing"))));
                }
                Ok(Err(_)) => return Err(Ended("connection lost", None)),
                Ok(Ok(0)) => return Err(Ended("peer left without QUIT", None)),
                Ok(Ok(count)) => session.receive(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    fn has_tls(&mut self, handshake: io::Result<Secured>) -> Result<(), Ended> {
        let Secured { stream, client, secured } = handshake.map_err(|error| {
            self.journal.security(&self.host, "SMTP-TLS", format!("{}: no TLS: {error}", self.address()));
            Ended("no TLS", None)
        })?;
        (self.stream, self.peer.certificate, self.peer.secured) = (stream, client, secured);
        Ok(())
    }

    /// RFC 3207, 4.2: what was sent in clear behind STARTTLS is nobody's command.
    async fn start_tls(&mut self, session: &mut Session) -> Result<(), Ended> {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = self.security.upgrade(stream).await;
        self.has_tls(handshake)?;
        (self.peer.identity, self.peer.hello, self.peer.extended) = (None, String::new(), false);
        let dropped = session.secured(self.peer.certificate.is_some());
        if dropped > 0 {
            let text = format!("{}: {dropped} octets in clear behind STARTTLS are dropped", self.address());
            self.journal.security(&self.host, "SMTP-INJECTION", text);
        }
        Ok(())
    }

    /// Waits for the receiver while watching whether the peer is still there: if it leaves before the reply, it
    /// keeps its copy, and taking the mail all the same would double it.
    async fn hand_over(&mut self, session: &mut Session, envelope: Envelope, data: Vec<u8>) -> Result<Reply, Ended> {
        let receiver = self.receiver.clone();
        let peer = self.peer.clone();
        let taken = receiver.message(&peer, envelope, data);
        tokio::pin!(taken);
        let until = Instant::now() + self.limits.hold;
        let mut ahead = [0u8; 1024];
        // A pipelining peer may already send the next transaction; more than this waits in its own buffers.
        let mut room = 16usize;
        loop {
            tokio::select! {
                biased;
                reply = &mut taken => return Ok(reply),
                () = tokio::time::sleep_until(until) => {
                    return Ok(Reply::new(451, "4.3.0", "Could not be handed over in time, try again later"));
                }
                read = self.stream.read(&mut ahead), if room > 0 => match read {
                    Ok(0) | Err(_) => return Err(Ended("peer left before the reply to its mail", None)),
                    Ok(count) => {
                        room -= 1;
                        session.receive(ahead.get(..count).unwrap_or_default());
                    }
                },
            }
        }
    }

    fn take_hello(&mut self, session: &Session) {
        let (hello, extended) = session.hello();
        self.peer.hello = hello.to_owned();
        self.peer.extended = extended;
    }

    fn note_refusal<T>(&self, verb: &str, path: &str, decision: &Result<T, Reply>) {
        if let Err(reply) = decision {
            let text = reply.lines.join(" ");
            self.journal.security(
                &self.host,
                "SMTP-REFUSED",
                format!("{verb} {path} from {} ({}): {} {text}", self.address(), self.peer.hello, reply.code),
            );
        }
    }

    async fn flush(&mut self, output: &mut Vec<u8>) -> Result<(), Ended> {
        if output.is_empty() {
            return Ok(());
        }
        let written = timeout(self.limits.idle, async {
            self.stream.write_all(output).await?;
            self.stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => {
                output.clear();
                Ok(())
            }
            Ok(Err(_)) => Err(Ended("connection lost", None)),
            Err(_) => Err(Ended("peer does not read", None)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use async_trait::async_trait;
    use tokio::io::{AsyncBufReadExt, BufReader};
    use tokio::sync::mpsc;

    use super::*;
    use crate::seam::{Network, TcpNetwork, TracingJournal};
    use crate::smtp_server::ReversePath;

    /// Holds every mail for ever, and says when it took one and when it was let go.
    struct Holding(mpsc::UnboundedSender<&'static str>);

    struct LetGo(mpsc::UnboundedSender<&'static str>);

    impl Drop for LetGo {
        fn drop(&mut self) {
            let _ = self.0.send("let go");
        }
    }

    #[async_trait]
    impl Receiver for Holding {
        async fn mail_from(&self, _: &Peer, _: &ReversePath) -> Result<(), Reply> {
            Ok(())
        }
        async fn rcpt_to(&self, _: &Peer, _: &Envelope, _: &str) -> Result<(), Reply> {
            Ok(())
        }
        async fn message(&self, _: &Peer, _: Envelope, _: Vec<u8>) -> Reply {
            let _guard = LetGo(self.0.clone());
            self.0.send("holding").unwrap();
            std::future::pending().await
        }
    }

    async fn start(
        limits: Limits,
    ) -> (SocketAddr, mpsc::UnboundedReceiver<&'static str>, watch::Sender<bool>, tokio::task::JoinHandle<()>) {
        let listener = TcpNetwork.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (send, events) = mpsc::unbounded_channel();
        let (stop, stopped) = watch::channel(false);
        let receiver = Arc::new(Holding(send));
        let task = tokio::spawn(serve(
            listener,
            Security::Clear,
            receiver,
            limits,
            "x.test".to_owned(),
            Arc::new(TracingJournal),
            stopped,
        ));
        (at, events, stop, task)
    }

    const MAIL: &[u8] = b"EHLO a\r\nMAIL FROM:<a@b>\r\nRCPT TO:<c@d>\r\nDATA\r\nx\r\n.\r\n";

    #[tokio::test]
    async fn a_peer_that_leaves_while_its_mail_is_held_keeps_it() {
        let (at, mut events, _stop, _task) = start(Limits::default()).await;
        let mut stream = TcpNetwork.connect(at).await.unwrap();
        stream.write_all(MAIL).await.unwrap();
        assert_eq!(events.recv().await, Some("holding"));
        drop(stream);
        assert_eq!(events.recv().await, Some("let go"));
    }

    #[tokio::test]
    async fn a_mail_held_too_long_is_refused_for_now() {
        let limits = Limits { hold: std::time::Duration::from_millis(1), ..Limits::default() };
        let (at, mut events, _stop, _task) = start(limits).await;
        let mut stream = BufReader::new(TcpNetwork.connect(at).await.unwrap());
        stream.write_all(MAIL).await.unwrap();
        assert_eq!(events.recv().await, Some("holding"));
        let mut line = String::new();
        while !line.starts_with("451 ") {
            line.clear();
            assert!(stream.read_line(&mut line).await.unwrap() > 0, "closed without 451");
        }
    }

    #[tokio::test]
    async fn a_stopping_server_says_so_to_idle_sessions() {
        let (at, _events, stop, task) = start(Limits::default()).await;
        let mut stream = BufReader::new(TcpNetwork.connect(at).await.unwrap());
        let mut line = String::new();
        stream.read_line(&mut line).await.unwrap();
        stop.send(true).unwrap();
        line.clear();
        stream.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("421 "), "{line}");
        task.await.unwrap();
    }

    #[tokio::test]
    async fn too_many_sessions_are_turned_away() {
        let limits = Limits { sessions_per_address: 1, ..Limits::default() };
        let (at, _events, _stop, _task) = start(limits).await;
        let mut first = BufReader::new(TcpNetwork.connect(at).await.unwrap());
        let mut line = String::new();
        first.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("220 "));
        let mut second = BufReader::new(TcpNetwork.connect(at).await.unwrap());
        line.clear();
        second.read_line(&mut line).await.unwrap();
        assert!(line.starts_with("421 "), "{line}");
    }
}
