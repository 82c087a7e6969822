//! `bakeoff lab playground`: the lecture's networks in a browser, trained by this program while one watches.

use crate::exit::Exit;
use crate::loopback::{Heard, Loopback, Page, Site, Socket};
use crate::terminal::{answer, tell};
use crate::{interrupt, opening};
use bakeoff_playground::{Session, page};
use bakeoff_runner::clock::Stopwatch;
use rayon::ThreadPoolBuilder;

/// Where the playground is when nobody says otherwise.
pub(super) const PORT: u16 = 7177;

/// How long a page waits for its next picture while it trains, in seconds: training gets what a fluent picture leaves.
const SLICE: f64 = 0.012;
/// How long an idle page's thread sleeps at most, in milliseconds.
const IDLE: u16 = 100;
/// Messages that are followed before there is a new picture.
const MOST_AT_ONCE: usize = 64;

/// Serves the playground until the user has had enough.
pub(super) fn playground(port: u16, open: bool) -> anyhow::Result<Exit> {
    let server = Loopback::bind(port)?;
    interrupt::listen()?;
    let address = server.address();
    answer(&format!("The playground is at {address} for browsers on this machine. Ctrl-C ends it."))?;
    if open && let Err(error) = opening::browse(&address) {
        // Whoever has no browser here reads the address.
        tell(&format!("bakeoff: {error:#}"));
    }
    server.serve(&Playground, interrupt::flag());
    Ok(Exit::Done)
}

struct Playground;

impl Site for Playground {
    fn page(&self, path: &str) -> Option<Page> {
        (path == "/").then(|| Page::html(page()))
    }

    fn has_socket(&self, path: &str) -> bool {
        path == "/socket"
    }

    fn speak(&self, _: &str, socket: Socket<'_>) {
        // A pool of one thread for each page: such small products are not worth sharing, and no page waits for another's.
        let pool = ThreadPoolBuilder::new().num_threads(1).thread_name(|_| "playground".to_owned()).build();
        match pool {
            Ok(pool) => pool.install(|| converse(socket)),
            Err(error) => tell(&format!("bakeoff: failed to start a thread for a page: {error}")),
        }
    }
}

/// Hears, shows and trains in turn, until the page is gone.
fn converse(mut socket: Socket<'_>) {
    let mut session = Session::new();
    loop {
        if !hear(&mut socket, &mut session) {
            return;
        }
        // First the picture: the page draws it while training goes on.
        if session.frame().is_some_and(|frame| !socket.say(frame)) {
            return;
        }
        let watch = Stopwatch::start();
        session.work(|| watch.elapsed().0 < SLICE);
    }
}

/// Follows what the page has said, and waits for it to speak where there is nothing else to do; whether it is still there.
fn hear(socket: &mut Socket<'_>, session: &mut Session) -> bool {
    let mut patience = if session.has_work() || session.has_frame() { 0 } else { IDLE };
    for _ in 0..MOST_AT_ONCE {
        match socket.hear(patience) {
            Heard::Text(message) => {
                if !session.hear(&message).into_iter().all(|answer| socket.say(answer)) {
                    return false;
                }
            }
            Heard::Nothing => return true,
            Heard::Gone => return false,
        }
        patience = 0;
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loopback::visitors::{open_socket, served, wait_until};
    use serde_json::{Value, json};
    use std::fs;
    use std::net::TcpStream;
    use std::sync::{Mutex, PoisonError};
    use tungstenite::{Message, WebSocket};

    type Client = WebSocket<TcpStream>;

    /// Threads are counted over the whole process: one test at a time.
    static ALONE: Mutex<()> = Mutex::new(());

    fn say(client: &mut Client, message: Value) {
        client.send(Message::text(message.to_string())).unwrap();
    }

    /// The next message of this kind.
    fn next(client: &mut Client, kind: &str) -> Value {
        loop {
            let message: Value = serde_json::from_str(client.read().unwrap().to_text().unwrap()).unwrap();
            if message["kind"] == "frame" {
                say(client, json!({"kind": "drawn", "frame": message["number"]}));
            }
            if message["kind"] == kind {
                return message;
            }
        }
    }

    /// Looks at frames until one is as wanted.
    fn frame_that(client: &mut Client, wanted: impl Fn(&Value) -> bool) -> Value {
        (0..2000).map(|_| next(client, "frame")).find(wanted).expect("a frame as wanted")
    }

    fn open(port: u16, preset: &str, steps: u64) -> Client {
        let mut client = open_socket(port, "/socket");
        let preset = json!({"name": preset, "points": 100, "classes": 2, "noise": 0.1, "seed": 1});
        say(&mut client, json!({"kind": "open", "preset": preset, "settings": {"hidden": [5]}, "steps": steps}));
        assert_eq!(next(&mut client, "points")["points"].as_array().unwrap().len(), 100);
        client
    }

    /// Threads of this process that train.
    fn training() -> usize {
        let threads = fs::read_dir("/proc/self/task").unwrap();
        let names = threads.filter_map(|thread| fs::read_to_string(thread.ok()?.path().join("comm")).ok());
        names.filter(|name| name.trim() == "playground").count()
    }

    #[test]
    fn two_pages_do_not_disturb_each_other_and_a_closed_one_ends_its_training() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        served(&Playground, |port| {
            let mut first = open(port, "moons", 50);
            let before = frame_that(&mut first, |frame| frame["steps"] == 50 && frame["goal"].is_null());
            let mut second = open(port, "spiral", 0);
            say(&mut second, json!({"kind": "run", "pace": 0}));
            frame_that(&mut second, |frame| frame["steps"].as_u64() > Some(200));
            assert_eq!(training(), 2);
            // The second goes without a word, in the middle of its training.
            drop(second);
            assert!(wait_until(|| training() == 1), "the closed page's thread lives on");
            say(&mut first, json!({"kind": "view", "view": {"layer": 1, "across": 0, "up": 1}}));
            let after = next(&mut first, "frame");
            assert_eq!((&after["steps"], &after["picture"]), (&before["steps"], &before["picture"]));
            first.close(None).unwrap();
            assert!(wait_until(|| training() == 0), "a page that said good-bye trains on");
        });
    }

    #[test]
    fn bad_messages_are_refused_and_the_page_lives_on() {
        let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
        served(&Playground, |port| {
            let mut client = open(port, "moons", 0);
            for (message, part) in [
                ("no json", "line 1 column 2"),
                ("{\"kind\":\"explode\"}", "unknown variant `explode`"),
                ("{\"kind\":\"points\",\"points\":[[99,0,0]]}", "99"),
            ] {
                client.send(Message::text(message)).unwrap();
                let refused = next(&mut client, "refused");
                assert!(refused["reason"].as_str().unwrap().contains(part), "{message}: {refused}");
            }
            say(&mut client, json!({"kind": "step", "steps": 3}));
            frame_that(&mut client, |frame| frame["steps"] == 3);
        });
    }
}
