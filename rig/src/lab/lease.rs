//! A bench that several rigs share is a place of labgrid, and is reserved there before anything is touched.
//!
//! labgrid has two ways to hold a place. One that is *acquired* stays so until somebody releases it, and outlives whoever
//! did it (labgrid issue 748). A *reservation* keeps others from acquiring it just as well, and expires a minute after it
//! was last asked about. So the rig reserves, asks again and again while it lives ([`HEARTBEAT`]), and acquires nothing.
//! A keeper at the other end of a pipe cancels the reservation as soon as the rig is gone, however it went; if the whole
//! machine is gone, the minute passes. What somebody else has is never taken away.

use std::io::Read as _;
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::LabError;
use super::file::Labgrid;

/// How often the reservation is renewed, which lasts sixty seconds.
pub const HEARTBEAT: Duration = Duration::from_secs(15);
/// What labgrid's client may take for one question.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long it is let wait for a place that is taken: long enough to have asked.
const WAIT: Duration = Duration::from_secs(8);
/// How long the coordinator may be away before the reservation has to be given up for lost.
const AWAY: Duration = Duration::from_secs(45);

/// Who has a place that is free.
pub(super) const NOBODY: &str = "nobody now";

/// A reserved place. Dropping it gives it back.
#[derive(Debug)]
pub struct Lease {
    token: String,
    lost: watch::Receiver<Option<String>>,
    heart: JoinHandle<()>,
    keeper: Option<(Child, ChildStdin)>,
}

impl Lease {
    /// Reserves the place, and waits for it as long as the bench file says. `told` hears whom it is waiting for.
    pub async fn take(labgrid: &Labgrid, mut told: impl FnMut(&str)) -> Result<Self, LabError> {
        let client = Client::of(labgrid);
        client.ask(&["-p", &labgrid.place, "show"]).await?;
        let said = client.ask(&["reserve", &format!("name={}", labgrid.place)]).await?;
        let field = |name| field(&said, name).map(str::to_owned);
        let Some(token) = field("token") else {
            return Err(LabError::Place(format!("labgrid-client says nothing of a reservation: {said}")));
        };
        // From here on it goes away with us.
        let keeper = client.keeper(&token).map_err(|error| LabError::instrument(client.name(), error))?;
        let (tell, lost) = watch::channel(None);
        let heart = tokio::spawn(beat(client.clone(), token.clone(), tell));
        let lease = Self { token, lost, heart, keeper: Some(keeper) };
        if field("state").as_deref() != Some("allocated") {
            let holder = client.holder(&labgrid.place).await;
            // Whoever had it may have given it back while we asked who that was.
            if client.standing(&lease.token).await? == "allocated" {
                return Ok(lease);
            }
            let taken = format!("the place {:?} is held by {holder}", labgrid.place);
            if labgrid.wait_seconds == 0 {
                lease.release().await;
                let help = "ask them, or let the rig wait with `wait_seconds` in [labgrid]";
                return Err(LabError::Place(format!("{taken}; {help}")));
            }
            told(&format!("{taken}; waiting up to {} s", labgrid.wait_seconds));
            let late = Instant::now() + Duration::from_secs(labgrid.wait_seconds);
            while client.state(&lease.token).await? != "allocated" {
                if Instant::now() > late {
                    lease.release().await;
                    return Err(LabError::Place(format!("{taken}, after {} s still", labgrid.wait_seconds)));
                }
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        }
        Ok(lease)
    }

    /// Waits until the place is no longer ours, perhaps for ever; says why.
    pub async fn lost(&mut self) -> String {
        loop {
            if let Some(why) = self.lost.borrow_and_update().clone() {
                return why;
            }
            if self.lost.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        }
    }

    /// Gives the place back, and waits until that is done.
    pub async fn release(mut self) {
        let keeper = self.keeper.take();
        self.heart.abort();
        let _ = tokio::task::spawn_blocking(move || {
            if let Some((mut keeper, pipe)) = keeper {
                drop(pipe);
                let _ = keeper.wait();
            }
        })
        .await;
    }

    /// For tests: as if the whole machine were gone, with the keeper on it. Gives the reservation's name.
    pub fn abandon(mut self) -> String {
        if let Some((mut keeper, pipe)) = self.keeper.take() {
            let _ = keeper.kill();
            let _ = keeper.wait();
            drop(pipe);
        }
        self.token.clone()
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.heart.abort();
    }
}

/// Renews the reservation until it is lost.
async fn beat(client: Client, token: String, tell: watch::Sender<Option<String>>) {
    let mut heard = Instant::now();
    loop {
        tokio::time::sleep(HEARTBEAT).await;
        let why = match client.state(&token).await {
            Ok(state) if state == "expired" || state == "invalid" => format!("the reservation is {state}"),
            Ok(_) => {
                heard = Instant::now();
                continue;
            }
            Err(error) if error.to_string().contains("does not exist") => {
                "the coordinator knows the reservation no more; it was cancelled, or the coordinator began anew"
                    .to_owned()
            }
            Err(_) if heard.elapsed() < AWAY => continue,
            Err(error) => format!("the coordinator does not answer: {error}"),
        };
        let _ = tell.send(Some(why));
        return;
    }
}

/// labgrid's own client, asked question by question, under a name that is this run's alone: two runs of one user must not
/// pass for each other.
#[derive(Debug, Clone)]
pub struct Client {
    program: PathBuf,
    coordinator: String,
    user: String,
}

impl Client {
    /// Of this bench.
    pub fn of(labgrid: &Labgrid) -> Self {
        let user = std::env::var("USER").or_else(|_| std::env::var("LOGNAME")).unwrap_or_else(|_| "rig".into());
        let user = format!("{user}-sealfax-rig-{}", std::process::id());
        Self { program: labgrid.client.clone(), coordinator: labgrid.coordinator.clone(), user }
    }

    fn name(&self) -> String {
        format!("labgrid ({})", self.coordinator)
    }

    fn command(&self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LG_COORDINATOR", &self.coordinator).env("LG_USERNAME", &self.user);
        // Whatever place or token is meant otherwise is not meant here.
        for variable in ["LG_PLACE", "PLACE", "LG_TOKEN", "LG_ENV", "LG_STATE", "STATE", "LG_PROXY"] {
            command.env_remove(variable);
        }
        // Ctrl-C is for the rig: it ends its questions itself.
        command.process_group(0);
        command
    }

    /// Waits at a pipe for the end of this process, then cancels the reservation.
    fn keeper(&self, token: &str) -> std::io::Result<(Child, ChildStdin)> {
        let mut command = self.command("sh");
        command.args(["-c", "cat >/dev/null; exec \"$0\" cancel-reservation \"$1\""]).arg(&self.program).arg(token);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let pipe = child.stdin.take().ok_or(std::io::ErrorKind::BrokenPipe)?;
        Ok((child, pipe))
    }

    /// Asks something; gives what it says, or its reason.
    pub async fn ask(&self, arguments: &[&str]) -> Result<String, LabError> {
        self.ask_for(arguments, PATIENCE).await
    }

    async fn ask_for(&self, arguments: &[&str], patience: Duration) -> Result<String, LabError> {
        let mut command = self.command(&self.program);
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let (name, program) = (self.name(), self.program.clone());
        let asking = tokio::task::spawn_blocking(move || {
            let child = command.spawn().map_err(|error| {
                let help = "install labgrid (`pip install labgrid`) and name its client in [labgrid]";
                LabError::instrument(&name, format!("{}: {error}; {help}", program.display()))
            })?;
            answer(child, &name, patience)
        });
        asking.await.map_err(|error| LabError::instrument(self.name(), error))?
    }

    /// How a reservation stands, without renewing it.
    async fn standing(&self, token: &str) -> Result<String, LabError> {
        let all = self.ask(&["reservations"]).await?;
        let ours = reservations(&all).into_iter().find(|reservation| field(reservation, "token") == Some(token));
        let state = ours.as_deref().and_then(|ours| field(ours, "state")).map(str::to_owned);
        state.ok_or_else(|| LabError::Place(format!("the reservation {token} does not exist")))
    }

    /// The same, and renews it.
    async fn state(&self, token: &str) -> Result<String, LabError> {
        if self.standing(token).await? == "waiting" {
            // `wait` renews, and would go on waiting with us: once is enough.
            let _ = self.ask_for(&["wait", token], WAIT).await;
            return Ok("waiting".into());
        }
        let said = self.ask(&["wait", token]).await?;
        Ok(field(&said, "state").unwrap_or("unknown").to_owned())
    }

    /// Who has the place.
    pub async fn holder(&self, place: &str) -> String {
        let Ok(shown) = self.ask(&["-p", place, "show"]).await else { return "somebody".into() };
        if let Some(user) = field(&shown, "acquired").filter(|user| *user != "None") {
            return user.to_owned();
        }
        let Some(token) = field(&shown, "reservation") else { return NOBODY.into() };
        let all = self.ask(&["reservations"]).await.unwrap_or_default();
        let theirs = reservations(&all).into_iter().find(|reservation| field(reservation, "token") == Some(token));
        theirs.and_then(|theirs| field(&theirs, "owner").map(str::to_owned)).unwrap_or_else(|| token.to_owned())
    }
}

/// What a client says until it ends, which it has to within `patience`.
fn answer(mut child: Child, name: &str, patience: Duration) -> Result<String, LabError> {
    let (mut out, mut err) = (child.stdout.take(), child.stderr.take());
    let reading = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = err.as_mut().map(|err| err.read_to_string(&mut text));
        text
    });
    let said = std::thread::spawn(move || {
        let mut text = String::new();
        let _ = out.as_mut().map(|out| out.read_to_string(&mut text));
        text
    });
    let late = Instant::now() + patience;
    let status = loop {
        match child.try_wait() {
            Ok(Some(status)) => break status,
            Ok(None) if Instant::now() < late => std::thread::sleep(Duration::from_millis(20)),
            _ => {
                let _ = child.kill();
                let _ = child.wait();
                return Err(LabError::instrument(name, format!("no answer within {} s", patience.as_secs())));
            }
        }
    };
    let (said, complaint) = (said.join().unwrap_or_default(), reading.join().unwrap_or_default());
    if status.success() {
        return Ok(said);
    }
    let why = complaint.lines().rev().find(|line| line.contains("rror")).or_else(|| complaint.lines().last());
    Err(LabError::Place(format!("{name}: {}", why.unwrap_or("it says nothing").trim())))
}

/// `name: value` of what labgrid's client prints.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| line.trim().strip_prefix(name)?.strip_prefix(": ").map(str::trim))
}

/// The reservations, one by one.
fn reservations(text: &str) -> Vec<String> {
    text.split("Reservation '").skip(1).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_client_prints() {
        let text = "Reservation '33IEGKHSHZ':\n  owner: host/one\n  token: 33IEGKHSHZ\n  state: allocated\n  filters:\n    \
                    main: name=bench1\nReservation 'EBFSB278ZE':\n  owner: host/two\n  token: EBFSB278ZE\n  state: waiting\n";
        let all = reservations(text);
        let owners: Vec<_> =
            all.iter().map(|one| (field(one, "token"), field(one, "owner"), field(one, "state"))).collect();
        let one = (Some("33IEGKHSHZ"), Some("host/one"), Some("allocated"));
        assert_eq!(owners, [one, (Some("EBFSB278ZE"), Some("host/two"), Some("waiting"))]);
        assert_eq!(field("Place 'x':\n  acquired: None\n", "acquired"), Some("None"));
    }
}
