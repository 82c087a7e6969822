//! `bakeoff watch`: the process that `bakeoff run --watch` starts to serve its page ([`crate::watching`]).

use crate::exit::Exit;
use crate::loopback::{Loopback, Page, Site};
use crate::run_folder::STORE;
use crate::terminal::answer;
use crate::{again, interrupt, pictures};
use anyhow::Context;
use bakeoff_report::{Live, PROGRESS, Report, live_page};
use bakeoff_results::Store;
use bakeoff_runner::clock::Stopwatch;
use serde_json::{Value, json};
use std::io::BufRead;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

/// Which run, and where.
#[derive(Debug, clap::Args)]
#[command(after_help = "Example:\n  bakeoff watch runs/quick --port 8000")]
pub(crate) struct WatchArgs {
    /// The run's folder
    run: PathBuf,
    /// The port of 127.0.0.1; 0 for any that is free
    #[arg(long, default_value_t = 0)]
    port: u16,
}

/// How long the end is shown to pages that were open.
const LINGER: Duration = Duration::from_secs(4);
/// Seconds within which a page asks again as long as it is open.
const OPEN: f64 = 5.0;

pub(crate) fn watch(args: &WatchArgs) -> anyhow::Result<Exit> {
    let store = Store::open(&args.run.join(STORE))?;
    let loopback = Loopback::bind(args.port)?;
    let growing = Growing {
        folder: args.run.clone(),
        store: Mutex::new(store),
        live: Mutex::new(Live::default()),
        made: Mutex::new(None),
        asked: Mutex::new(None),
    };
    answer(&loopback.address())?;
    let stop = AtomicBool::new(false);
    thread::scope(|threads| {
        threads.spawn(|| loopback.serve(&growing, &stop));
        growing.listen();
        // Pages that are open learn of the end, and load the last report.
        if growing.is_open() {
            thread::sleep(LINGER);
        }
        stop.store(true, Ordering::Relaxed);
    });
    Ok(if interrupt::flag().load(Ordering::Relaxed) { Exit::Interrupted } else { Exit::Done })
}

/// The page of a run that grows.
struct Growing {
    folder: PathBuf,
    store: Mutex<Store>,
    live: Mutex<Live>,
    /// The page, and the rows and the end that it was made for.
    made: Mutex<Option<((usize, bool), String)>>,
    /// Since a page last asked how far it is.
    asked: Mutex<Option<Stopwatch>>,
}

impl Growing {
    /// Hears how far the run is until nobody tells any more: then it has ended.
    fn listen(&self) {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if let Ok(live) = serde_json::from_str(&line) {
                *held(&self.live) = live;
            }
        }
        held(&self.live).ended = true;
    }

    fn is_open(&self) -> bool {
        held(&self.asked).is_some_and(|clock| clock.elapsed().0 < OPEN)
    }

    fn rows(&self) -> anyhow::Result<usize> {
        Ok(held(&self.store).digests()?.len())
    }

    fn progress(&self) -> anyhow::Result<Value> {
        *held(&self.asked) = Some(Stopwatch::start());
        let live = Live { rows: self.rows()?, ..held(&self.live).clone() };
        let mut value = serde_json::to_value(&live)?;
        value["words"] = json!(live.in_words());
        Ok(value)
    }

    /// The page of what is finished, made once for as many rows.
    fn report(&self) -> anyhow::Result<String> {
        let live_now = Live { rows: self.rows()?, ..held(&self.live).clone() };
        let key = (live_now.rows, live_now.ended);
        let mut made = held(&self.made);
        if let Some((known, page)) = made.as_ref()
            && *known == key
        {
            return Ok(page.clone());
        }
        let (run, rows) = {
            let store = held(&self.store);
            (store.run(), store.rows().context("failed to read the rows")?)
        };
        let report = Report::of(&run, &rows)
            .with_command(&again::command(&self.folder, &run))
            .with_pictures(pictures::kept(&self.folder));
        let page = live_page(&report, &live_now);
        *made = Some((key, page.clone()));
        Ok(page)
    }
}

/// What a lock holds, even when a page that held it broke.
fn held<T>(lock: &Mutex<T>) -> MutexGuard<'_, T> {
    lock.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Site for Growing {
    fn page(&self, path: &str) -> Option<Page> {
        let made = match path {
            "/" => self.report().map(Page::html),
            PROGRESS => self.progress().map(|value| Page::json(value.to_string())),
            _ => return None,
        };
        Some(made.unwrap_or_else(|error| {
            Page::html(format!("<!doctype html><title>bakeoff</title><p>{}", escaped(&format!("{error:#}"))))
        }))
    }
}

/// A text in HTML.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;")
}
