//! Fetching and checking the files of named datasets.
//!
//! A file is fetched to `NAME.part`, continued there when a connection breaks (now or in a later call), checked by size
//! and SHA-256, and only then renamed. What a server says of lengths is not believed: no more is read than the card's
//! size, and the hash decides.

use crate::digest::hash_file;
use crate::files;
use crate::problem::{self, grouped};
use bakeoff_core::{Card, LoadError, RemoteFile};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Duration;
use ureq::Agent;

/// How long is waited and how often is tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Attempts in a row that may bring nothing new.
    pub attempts: u32,
    /// Wait after the first such attempt; it doubles with each.
    pub pause: Duration,
    /// For a connection.
    pub connect: Duration,
    /// For the head of a response.
    pub response: Duration,
    /// For the body of one response; what is there by then is kept and continued.
    pub body: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            attempts: 5,
            pause: Duration::from_secs(1),
            connect: Duration::from_secs(30),
            response: Duration::from_secs(60),
            body: Duration::from_secs(600),
        }
    }
}

/// How far a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress<'a> {
    /// The file's name.
    pub file: &'a str,
    /// Bytes there.
    pub done: u64,
    /// Bytes of the whole file.
    pub of: u64,
}

/// Called as bytes arrive; [`ControlFlow::Break`] stops and keeps what is there.
pub type OnProgress<'a> = dyn FnMut(Progress<'_>) -> ControlFlow<()> + 'a;

/// What became of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fetched {
    /// It was there and is sound.
    AlreadyThere,
    /// It was fetched.
    New,
    /// Something else was there under its name; now it is the right file.
    Replaced,
}

/// Fetches the files of a dataset to the folder of its name below `root`; those that are there and sound stay.
///
/// # Errors
/// [`LoadError::Fetch`] when a server does not give the file, [`LoadError::Io`] when it cannot be written,
/// [`LoadError::Interrupted`] when `on_progress` says so, [`LoadError::Unusable`] when there is nothing to fetch.
pub fn fetch(
    card: &Card,
    root: &Path,
    patience: Patience,
    on_progress: &mut OnProgress<'_>,
) -> Result<Vec<(String, Fetched)>, LoadError> {
    let folder = root.join(&card.name);
    if card.files.is_empty() {
        return Err(problem::unusable(
            &folder,
            format!("`{}` is not fetched from anywhere: {}", card.name, card.summary),
        ));
    }
    fs::create_dir_all(&folder).map_err(|e| problem::io(&folder, e))?;
    let agent = agent(patience);
    let mut outcomes = Vec::new();
    for file in &card.files {
        let mut job = Job::new(file, &folder, &agent, patience)?;
        outcomes.push((file.name.clone(), job.run(on_progress)?));
    }
    Ok(outcomes)
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum State {
    /// It is what was published.
    Sound,
    /// It holds what was published, packed anew by a distribution.
    Repacked,
    /// It is not there.
    Missing,
    /// It is something else.
    Wrong {
        /// Size and SHA-256 expected.
        expected: (u64, String),
        /// Size and SHA-256 found.
        found: (u64, String),
    },
}

/// Hashes every file of a dataset again, in the first of `folders` that has it.
///
/// # Errors
/// [`LoadError::Io`] when a file cannot be read.
pub fn verify(card: &Card, folders: &[PathBuf]) -> Result<Vec<(PathBuf, State)>, LoadError> {
    card.files.iter().map(|file| check(file, folders)).collect()
}

fn check(file: &RemoteFile, folders: &[PathBuf]) -> Result<(PathBuf, State), LoadError> {
    let places = folders.iter().map(|folder| folder.join(&file.name));
    let Some(path) = places.clone().find(|path| path.is_file()) else {
        let first = places.clone().next().unwrap_or_else(|| PathBuf::from(&file.name));
        return Ok((first, State::Missing));
    };
    let found = hash_file(&path)?;
    let expected = (file.bytes, file.sha256.clone());
    let state = if found == expected {
        State::Sound
    } else if file.repacked.contains(&found) {
        State::Repacked
    } else {
        State::Wrong { expected, found }
    };
    Ok((path, state))
}

fn agent(patience: Patience) -> Agent {
    Agent::config_builder()
        .timeout_connect(Some(patience.connect))
        .timeout_recv_response(Some(patience.response))
        .timeout_recv_body(Some(patience.body))
        .http_status_as_error(false)
        .user_agent(concat!("bakeoff/", env!("CARGO_PKG_VERSION")))
        .build()
        .into()
}

/// The fetching of one file.
struct Job<'a> {
    file: &'a RemoteFile,
    agent: &'a Agent,
    patience: Patience,
    path: PathBuf,
    part: PathBuf,
}

/// How an attempt ended.
enum Attempt {
    /// As many bytes as the file has are there.
    Whole,
    /// The connection ended early, for this reason.
    Broken(String),
}

impl<'a> Job<'a> {
    fn new(file: &'a RemoteFile, folder: &Path, agent: &'a Agent, patience: Patience) -> Result<Self, LoadError> {
        let is_plain = Path::new(&file.name).file_name().is_some_and(|name| name == file.name.as_str());
        if !is_plain {
            return Err(problem::unusable(folder, format!("`{}` is no name for a file in it", file.name)));
        }
        let path = folder.join(&file.name);
        Ok(Self { file, agent, patience, part: files::beside(&path, ".part"), path })
    }

    fn run(&mut self, on_progress: &mut OnProgress<'_>) -> Result<Fetched, LoadError> {
        let there = self.path.exists();
        if there && matches!(check(self.file, &[self.folder()])?.1, State::Sound | State::Repacked) {
            return Ok(Fetched::AlreadyThere);
        }
        let mut part = self.open_part()?;
        self.fetch_whole(&mut part, on_progress)?;
        part.sync_all().map_err(|e| problem::io(&self.part, e))?;
        fs::rename(&self.part, &self.path).map_err(|e| problem::io(&self.path, e))?;
        Ok(if there { Fetched::Replaced } else { Fetched::New })
    }

    fn folder(&self) -> PathBuf {
        self.path.parent().unwrap_or(Path::new("")).to_owned()
    }

    /// The part file, held so that two programs never write it at once.
    fn open_part(&self) -> Result<File, LoadError> {
        let options = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&self.part);
        let part = options.map_err(|e| problem::io(&self.part, e))?;
        match part.try_lock() {
            Ok(()) => Ok(part),
            Err(TryLockError::WouldBlock) => {
                Err(problem::unusable(&self.part, "another program is fetching this file: wait for it or stop it"))
            }
            Err(TryLockError::Error(e)) => Err(problem::io(&self.part, e)),
        }
    }

    /// Tries until the part file is the file.
    fn fetch_whole(&self, part: &mut File, on_progress: &mut OnProgress<'_>) -> Result<(), LoadError> {
        let mut in_vain = 0;
        let mut furthest = 0;
        // What an earlier call left may be wrong; what this call fetched from its beginning is the server's word.
        let mut is_ours = false;
        loop {
            let before = self.there(part)?;
            is_ours |= before == 0;
            let broken = match self.attempt(part, before, on_progress)? {
                Attempt::Whole if self.is_right()? => return Ok(()),
                Attempt::Whole => {
                    part.set_len(0).map_err(|e| problem::io(&self.part, e))?;
                    if is_ours {
                        return Err(self.failed("the server sent other bytes: their SHA-256 is not the published one"));
                    }
                    furthest = 0;
                    continue;
                }
                Attempt::Broken(reason) => reason,
            };
            let now = self.there(part)?;
            // A server that always starts over brings nothing new, however much it sends.
            in_vain = if now > furthest { 0 } else { in_vain + 1 };
            furthest = furthest.max(now);
            if in_vain >= self.patience.attempts {
                let (now, of) = (grouped(now), grouped(self.file.bytes));
                return Err(
                    self.failed(&format!("{broken}; {now} of {of} bytes are there, and another call continues"))
                );
            }
            self.pause(in_vain, on_progress, furthest)?;
        }
    }

    fn there(&self, part: &File) -> Result<u64, LoadError> {
        part.metadata().map(|about| about.len()).map_err(|e| problem::io(&self.part, e))
    }

    fn is_right(&self) -> Result<bool, LoadError> {
        Ok(hash_file(&self.part)? == (self.file.bytes, self.file.sha256.clone()))
    }

    /// Waits in short steps, so that an interruption is heard.
    fn pause(&self, in_vain: u32, on_progress: &mut OnProgress<'_>, done: u64) -> Result<(), LoadError> {
        const STEP: Duration = Duration::from_millis(100);
        let mut left = self.patience.pause * 2u32.saturating_pow(in_vain.saturating_sub(1).min(8));
        while !left.is_zero() {
            self.tell(on_progress, done)?;
            let step = left.min(STEP);
            std::thread::sleep(step);
            left -= step;
        }
        Ok(())
    }

    /// Asks for what is missing, or for everything when more is there than the file has.
    fn attempt(&self, part: &mut File, there: u64, on_progress: &mut OnProgress<'_>) -> Result<Attempt, LoadError> {
        let there = if there > self.file.bytes { 0 } else { there };
        if there == self.file.bytes {
            return Ok(Attempt::Whole);
        }
        let mut request = self.agent.get(&self.file.url).header("accept-encoding", "identity");
        if there > 0 {
            request = request.header("range", format!("bytes={there}-"));
        }
        let response = match request.call() {
            Ok(response) => response,
            Err(error) => return self.refused_or_broken(&error),
        };
        let starts_at = match response.status().as_u16() {
            200 => 0,
            206 if range_start(response.headers()) == Some(there) => there,
            // The server has another idea of what is missing: start over.
            206 | 416 => return self.start_over(part, "the server does not continue where it was asked to"),
            status @ (408 | 429 | 500..=599) => return Ok(Attempt::Broken(format!("the server answered {status}"))),
            status => return Err(self.failed(&format!("the server answered {status}"))),
        };
        part.set_len(starts_at).map_err(|e| problem::io(&self.part, e))?;
        part.seek(SeekFrom::Start(starts_at)).map_err(|e| problem::io(&self.part, e))?;
        self.receive(response.into_body().into_reader(), part, starts_at, on_progress)
    }

    fn start_over(&self, part: &File, reason: &str) -> Result<Attempt, LoadError> {
        part.set_len(0).map_err(|e| problem::io(&self.part, e))?;
        Ok(Attempt::Broken(reason.to_owned()))
    }

    /// Faults of the line are worth another try; a wrong address is not.
    fn refused_or_broken(&self, error: &ureq::Error) -> Result<Attempt, LoadError> {
        match error {
            ureq::Error::BadUri(_) | ureq::Error::RequireHttpsOnly(_) | ureq::Error::TooManyRedirects => {
                Err(self.failed(&error.to_string()))
            }
            other => Ok(Attempt::Broken(other.to_string())),
        }
    }

    /// Writes what arrives, up to the file's size and not a byte more.
    fn receive(
        &self,
        mut body: impl Read,
        part: &mut File,
        starts_at: u64,
        on_progress: &mut OnProgress<'_>,
    ) -> Result<Attempt, LoadError> {
        let mut buffer = vec![0; 1 << 16];
        let mut done = starts_at;
        while done < self.file.bytes {
            self.tell(on_progress, done)?;
            let most = buffer.len().min((self.file.bytes - done).try_into().unwrap_or(usize::MAX));
            let n = match body.read(&mut buffer[..most]) {
                Ok(0) => return Ok(Attempt::Broken("the server sent less than the file has".to_owned())),
                Ok(n) => n,
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                Err(e) => return Ok(Attempt::Broken(e.to_string())),
            };
            part.write_all(&buffer[..n]).map_err(|e| problem::io(&self.part, e))?;
            done += n as u64;
        }
        self.tell(on_progress, done)?;
        Ok(Attempt::Whole)
    }

    fn tell(&self, on_progress: &mut OnProgress<'_>, done: u64) -> Result<(), LoadError> {
        match on_progress(Progress { file: &self.file.name, done, of: self.file.bytes }) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LoadError::Interrupted { what: format!("fetching {}", self.file.name) }),
        }
    }

    fn failed(&self, problem: &str) -> LoadError {
        LoadError::Fetch { url: self.file.url.clone(), problem: problem.to_owned() }
    }
}

/// The first byte that a partial response holds: `bytes 100-199/200` begins at 100.
fn range_start(headers: &ureq::http::HeaderMap) -> Option<u64> {
    let range = headers.get("content-range")?.to_str().ok()?;
    range.trim().strip_prefix("bytes ")?.split('-').next()?.trim().parse().ok()
}
