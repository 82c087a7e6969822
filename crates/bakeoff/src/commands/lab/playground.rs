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
const SLICE: f64 = 0.015;
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

/// Hears, trains and shows in turn, until the page is gone.
fn converse(mut socket: Socket<'_>) {
    let mut session = Session::new();
    loop {
        if !hear(&mut socket, &mut session) {
            return;
        }
        let watch = Stopwatch::start();
        session.work(|| watch.elapsed().0 < SLICE);
        if session.frame().is_some_and(|frame| !socket.say(frame)) {
            return;
        }
    }
}

/// Follows what the page has said, and waits for it to speak where there is nothing else to do; whether it is still there.
fn hear(socket: &mut Socket<'_>, session: &mut Session) -> bool {
    let mut patience = if session.has_work() { 0 } else { IDLE };
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
