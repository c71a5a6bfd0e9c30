//! The sockets and timers around [`Session`] (RFC 1939, section 3).

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{Instant, timeout, timeout_at};

use super::{Action, Limits, MailboxDoor, Maildrop, Offers, Refusal, ResponseCode, Session};
use crate::gate::{Admission, Gate};
use crate::sasl::Credentials;
use crate::seam::{BoxStream, Journal, Listener};
use crate::tls::{Secured, Security};

/// Serves POP3 on `listener` until `shutdown` turns true or its sender is gone; sessions that wait for a command are
/// then closed without deleting anything. Dropping the future aborts every session at once.
///
/// `host` is the name in the journal.
pub async fn serve(
    listener: Box<dyn Listener>,
    security: Security,
    door: Arc<dyn MailboxDoor>,
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
        accept_code: "POP3-ACCEPT",
        sessions_code: "POP3-SESSIONS",
    };
    let stop = shutdown.clone();
    let session = move |stream, peer, admission| {
        let connection = Connection {
            stream,
            security: security.clone(),
            certificate: None,
            peer,
            door: door.clone(),
            limits: limits.clone(),
            host: host.clone(),
            journal: journal.clone(),
            shutdown: stop.clone(),
        };
        async move {
            // POP3 has no word for "too many": the connection is closed.
            if admission == Admission::Served {
                connection.run().await;
            }
        }
    };
    gate.keep(listener, shutdown, session).await;
}

struct Connection {
    stream: BoxStream,
    security: Security,
    /// What the client showed, DER, verified against the anchors for clients.
    certificate: Option<Vec<u8>>,
    peer: SocketAddr,
    door: Arc<dyn MailboxDoor>,
    limits: Limits,
    host: String,
    journal: Arc<dyn Journal>,
    shutdown: watch::Receiver<bool>,
}

impl Connection {
    async fn run(mut self) {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = self.security.begin(stream).await;
        let secured = match self.has_tls(handshake) {
            Ok(secured) => secured,
            Err(why) => return self.journal.note(&self.host, format!("POP3 session with {} ended: {why}", self.peer)),
        };
        let offers = Offers {
            stls: self.security.is_offered(),
            secured,
            clear_passwords: self.door.takes_clear_passwords(),
            certificate: self.certificate.is_some(),
        };
        let mut session = Session::new(self.limits.clone(), offers);
        let mut maildrop: Option<Box<dyn Maildrop>> = None;
        if let Err(why) = self.converse(&mut session, &mut maildrop).await {
            self.journal.note(&self.host, format!("POP3 session with {} ended: {why}", self.peer));
        }
        if let Some(maildrop) = maildrop {
            maildrop.abandoned(session.outcome()).await;
        }
        let _ = timeout(self.limits.idle, self.stream.shutdown()).await;
    }

    async fn converse(
        &mut self,
        session: &mut Session,
        maildrop: &mut Option<Box<dyn Maildrop>>,
    ) -> Result<(), &'static str> {
        let deadline = Instant::now() + self.limits.session;
        let mut buffer = vec![0u8; 4096];
        let greeting = session.greeting();
        self.send(&greeting).await?;
        loop {
            while let Some(action) = session.next_action() {
                match action {
                    Action::Send(octets) => self.send(&octets).await?,
                    Action::StartTls => self.start_tls(session).await?,
                    Action::Login(credentials) => {
                        let (user, login) = match &credentials {
                            Credentials::Password { user, password } => {
                                (user.as_str(), self.door.login(self.peer, user, password))
                            }
                            Credentials::Certificate { user } => {
                                let shown = self.certificate.as_deref().unwrap_or_default();
                                let login = self.door.login_by_certificate(self.peer, shown, user.as_deref());
                                (user.as_deref().unwrap_or("whoever the certificate is for"), login)
                            }
                        };
                        let decision = timeout(self.limits.login, login).await.unwrap_or_else(|_| {
                            Err(Refusal::new(ResponseCode::SysTemp, "Could not be opened in time"))
                        });
                        let decision = match decision {
                            Ok(opened) => {
                                let messages = opened.messages().to_vec();
                                *maildrop = Some(opened);
                                Ok(messages)
                            }
                            Err(refusal) => {
                                self.journal.security(
                                    &self.host,
                                    "POP3-LOGIN",
                                    format!("{} refused as {user}: {}", self.peer, refusal.text),
                                );
                                if refusal.code == Some(ResponseCode::Auth) {
                                    tokio::time::sleep(self.limits.login_failure_delay).await;
                                }
                                Err(refusal)
                            }
                        };
                        let octets = session.logged_in(decision);
                        self.send(&octets).await?;
                    }
                    Action::Retrieve(index) => {
                        let mail = match maildrop {
                            Some(maildrop) => maildrop.retrieve(index).await,
                            None => Err(Refusal::new(ResponseCode::SysPerm, "No maildrop")),
                        };
                        let octets = session.retrieved(index, mail);
                        self.send(&octets).await?;
                    }
                    Action::Commit(outcome) => {
                        let decision = match maildrop.take() {
                            Some(maildrop) => maildrop.commit(outcome).await,
                            None => Ok(()),
                        };
                        let octets = session.committed(decision);
                        self.send(&octets).await?;
                    }
                    Action::Close => return Ok(()),
                }
            }
            let until = deadline.min(Instant::now() + self.limits.idle);
            let read = tokio::select! {
                read = timeout_at(until, self.stream.read(&mut buffer)) => Some(read),
                _ = self.shutdown.wait_for(|stop| *stop) => None,
            };
            let Some(read) = read else {
                let _ = self.send(b"-ERR [SYS/TEMP] Server is stopping\r\n").await;
                return Err("server stops");
            };
            match read {
                Err(_) => return Err("timed out"),
                Ok(Err(_)) => return Err("connection lost"),
                Ok(Ok(0)) => return Err("peer left without QUIT"),
                Ok(Ok(count)) => session.receive(buffer.get(..count).unwrap_or_default()),
            }
        }
    }

    fn has_tls(&mut self, handshake: io::Result<Secured>) -> Result<bool, &'static str> {
        let Secured { stream, client, secured } = handshake.map_err(|error| {
            self.journal.security(&self.host, "POP3-TLS", format!("{}: no TLS: {error}", self.peer));
            "no TLS"
        })?;
        (self.stream, self.certificate) = (stream, client);
        Ok(secured)
    }

    /// RFC 2595, 4: what was sent in clear behind STLS is nobody's command.
    async fn start_tls(&mut self, session: &mut Session) -> Result<(), &'static str> {
        let stream = std::mem::replace(&mut self.stream, Box::new(tokio::io::empty()));
        let handshake = self.security.upgrade(stream).await;
        self.has_tls(handshake)?;
        let dropped = session.secured(self.certificate.is_some());
        if dropped > 0 {
            let text = format!("{}: {dropped} octets in clear behind STLS are dropped", self.peer);
            self.journal.security(&self.host, "POP3-INJECTION", text);
        }
        Ok(())
    }

    async fn send(&mut self, octets: &[u8]) -> Result<(), &'static str> {
        let written = timeout(self.limits.idle, async {
            self.stream.write_all(octets).await?;
            self.stream.flush().await
        });
        match written.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err("connection lost"),
            Err(_) => Err("peer does not read"),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]
    use async_trait::async_trait;
    use tokio::sync::mpsc;

    use super::*;
    use crate::pop3::Client;
    use crate::pop3_server::{MessageInfo, Outcome, Password};
    use crate::seam::{Network, TcpNetwork, TracingJournal};

    type Told = mpsc::UnboundedSender<(&'static str, Outcome)>;

    struct Opener(Told);
    struct Two(Told, Vec<MessageInfo>);

    #[async_trait]
    impl MailboxDoor for Opener {
        async fn login(&self, _: SocketAddr, _: &str, _: &Password) -> Result<Box<dyn Maildrop>, Refusal> {
            let info = |uid: &str| MessageInfo { size: 4, uid: uid.into() };
            Ok(Box::new(Two(self.0.clone(), vec![info("a"), info("b")])))
        }
    }

    #[async_trait]
    impl Maildrop for Two {
        fn messages(&self) -> &[MessageInfo] {
            &self.1
        }
        async fn retrieve(&mut self, _: usize) -> Result<Vec<u8>, Refusal> {
            Ok(b".x\r\n".to_vec())
        }
        async fn commit(self: Box<Self>, outcome: Outcome) -> Result<(), Refusal> {
            self.0.send(("committed", outcome)).unwrap();
            Ok(())
        }
        async fn abandoned(self: Box<Self>, outcome: Outcome) {
            self.0.send(("abandoned", outcome)).unwrap();
        }
    }

    #[tokio::test]
    async fn quit_commits_and_a_lost_connection_abandons() {
        let listener = TcpNetwork.bind("127.0.0.1:0".parse().unwrap()).await.unwrap();
        let at = listener.local_addr().unwrap();
        let (send, mut told) = mpsc::unbounded_channel();
        let (_stop, stopped) = watch::channel(false);
        let door = Arc::new(Opener(send));
        tokio::spawn(serve(
            listener,
            Security::Clear,
            door,
            Limits::default(),
            "x".to_owned(),
            Arc::new(TracingJournal),
            stopped,
        ));
        for quits in [true, false] {
            let mut client = Client::connect(&TcpNetwork, at).await.unwrap();
            client.login("u", &Password::new(b"p".to_vec())).await.unwrap();
            assert_eq!(client.retr(2).await.unwrap(), b".x\r\n");
            client.dele(1).await.unwrap();
            if quits {
                client.quit().await.unwrap();
            } else {
                drop(client);
            }
            let (end, outcome) = told.recv().await.unwrap();
            assert_eq!(end, if quits { "committed" } else { "abandoned" });
            assert_eq!(outcome, Outcome { deleted: vec![0], retrieved: vec![1] });
        }
    }
}
