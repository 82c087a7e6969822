//! A dataset whose test images end the process that touches them too early.
//!
//! That fits see training images only is held by types in `runner`. This holds it for what runs: the pages of the test
//! images are taken away by the kernel while features and classifiers are fitted, for every entry of every catalogue, and
//! given back when the fitted pipeline opens the test part.

#![cfg(target_os = "linux")]
#![expect(unsafe_code, reason = "pages are taken away and given back, and a copy of the process falls into the trap")]

use crate::algorithms::{CATALOGUES, CLASSIFIERS, EXTRACTORS};
use crate::dataset::VOCABULARY;
use crate::host::ThisHost;
use bakeoff_core::{Dataset, Seed, Splits};
use bakeoff_datasets::shapes::Shapes;
use bakeoff_results::{Outcome, Row};
use bakeoff_runner::{Bench, Event, Experiment, Here, Material, Observer, Plan, Shard, Stage, run};
use nix::sys::mman::{ProtFlags, mprotect};
use nix::sys::signal::Signal;
use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, SysconfVar, fork, sysconf};
use std::collections::BTreeSet;
use std::convert::Infallible;
use std::ffi::c_void;
use std::path::Path;
use std::ptr::NonNull;
use std::sync::atomic::AtomicBool;

/// The whole pages within the pixels of some images.
struct Pages {
    start: NonNull<c_void>,
    length: usize,
}

impl Pages {
    fn of(pixels: &[u8]) -> Self {
        let page = sysconf(SysconfVar::PAGE_SIZE).unwrap().unwrap() as usize;
        let address = pixels.as_ptr() as usize;
        let first = address.next_multiple_of(page);
        let length = (address + pixels.len() - first) / page * page;
        assert!(length > pixels.len() / 2, "too few images to fill pages");
        let start = pixels.as_ptr().wrapping_add(first - address).cast_mut();
        Self { start: NonNull::new(start).unwrap().cast(), length }
    }

    fn set(&self, flags: ProtFlags) {
        // SAFETY: the pages lie within one vector, which outlives them and which nothing reads or writes meanwhile: that is the test.
        unsafe { mprotect(self.start, self.length, flags) }.unwrap();
    }
}

/// Sets the trap when a fit begins, and takes it away when the test part is opened.
struct Trapper(Pages);

impl Observer for Trapper {
    fn tell(&mut self, event: Event<'_>) {
        match event {
            Event::CellStarted { .. } => self.0.set(ProtFlags::PROT_NONE),
            Event::Stage(Stage::Test) | Event::CellFinished { .. } => {
                self.0.set(ProtFlags::PROT_READ | ProtFlags::PROT_WRITE);
            }
            _ => {}
        }
    }
}

fn splits() -> Splits {
    Shapes::new(60, 200, Seed(0)).load(Path::new("")).unwrap()
}

#[test]
fn nothing_that_fits_touches_a_test_image() {
    let table = |name: &str, feature: &str, classifier: &str, search: &str| {
        format!(
            "[[pipeline]]\nname = '{name}'\nfeatures = [{{ kind = '{feature}' }}]\nclassifier = {{ kind = '{classifier}' }}\n{search}"
        )
    };
    let extractors: Vec<&str> = EXTRACTORS.iter().flat_map(|entries| entries.iter()).map(|entry| entry.name).collect();
    let classifiers: Vec<&str> =
        CLASSIFIERS.iter().flat_map(|entries| entries.iter()).map(|entry| entry.name).collect();
    let by_features = extractors.iter().map(|name| table(&format!("{name} by neighbours"), name, "knn", ""));
    let by_classifiers =
        classifiers.iter().map(|name| table(&format!("pixels by {name}"), "pixels", name, "search = 'default'\n"));
    let tables: Vec<String> = by_features.chain(by_classifiers).collect();
    let text = format!("dataset = 'shapes'\nseeds = 1\nprotocol.tuning.trials = 2\n{}", tables.concat());

    let experiment = Experiment::read("trap", &text, &VOCABULARY).unwrap();
    let splits = splits();
    let pages = Pages::of(splits.test.images().view().pixels().as_slice().unwrap());
    let material = Material::new("shapes", splits, "trap").unwrap();
    let plan = Plan::new(experiment, &material, CATALOGUES).unwrap();
    let (host, stop) = (ThisHost::with_threads(rayon::current_num_threads()), AtomicBool::new(false));
    let bench = Bench {
        catalogues: CATALOGUES,
        material: &material,
        machine: &host,
        cache: None,
        states: None,
        most_model_bytes: 0,
        stop: &stop,
    };
    let mut rows: Vec<Row> = Vec::new();
    let mut keep = |row: &Row, _| {
        rows.push(row.clone());
        Ok::<(), Infallible>(())
    };
    let Ok(_) = run(&plan, Shard::WHOLE, BTreeSet::new(), &bench, &mut Here, &mut Trapper(pages), &mut keep);
    assert_eq!(rows.len(), extractors.len() + classifiers.len());
    for row in rows {
        assert!(matches!(row.outcome, Outcome::Done(_)), "{}: {:?}", row.cell.pipeline, row.outcome);
    }
}

#[test]
fn the_trap_ends_whoever_touches_it() {
    let splits = splits();
    let pixels = splits.test.images().view().pixels();
    let pixels = pixels.as_slice().unwrap();
    // SAFETY: the copy reads one byte and ends.
    match unsafe { fork() }.unwrap() {
        ForkResult::Child => {
            Pages::of(pixels).set(ProtFlags::PROT_NONE);
            let touched = std::hint::black_box(pixels[pixels.len() / 2]);
            // SAFETY: it only ends the process.
            unsafe { nix::libc::_exit(i32::from(touched) & 1) }
        }
        ForkResult::Parent { child } => {
            let ended = waitpid(child, None).unwrap();
            assert!(matches!(ended, WaitStatus::Signaled(_, Signal::SIGSEGV, _)), "{ended:?}");
        }
    }
}
