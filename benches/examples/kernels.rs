//! Times single kernels on arrays from files, one call a line of its input, so that `benches/peers/kernels.py` can take
//! turns between ours and a peer's in one run. A line is `NAME THREADS ARGUMENT…`, the answer a number:
//!
//! `peak 2` (GFLOP/s of multiply-adds in registers), `clock 1` (GHz; all others answer seconds), `kmeans 2 X.npy START.npy ITERATIONS`,
//! `gmm 2 X.npy MEANS.npy ITERATIONS` (from equal weights and variances of 1), `likelihood 2 X.npy` (no seconds but the mean
//! log-likelihood of X under the last mixture; an error where it or a parameter is not finite), `hog 1 IMAGES.npy`,
//! `sift 1 IMAGES.npy STEP CELL`, `fisher 1 DESCRIPTORS.npy WEIGHTS.npy MEANS.npy VARIANCES.npy COUNT` (COUNT descriptors an
//! image).
//!
//! Arrays are little-endian `.npy` of version 1 in C order, f32 of two axes or u8 of four.

#![expect(clippy::print_stdout, reason = "answering on standard output is what this program is for")]

use bakeoff_benches::machine::{clock, peak};
use bakeoff_core::params::NonNegative;
use bakeoff_core::{Extractor, Images, Seed};
use bakeoff_features::fisher::fisher_vector;
use bakeoff_features::local::{Local, Sift};
use bakeoff_features::{Hog, LocalDescriptors};
use bakeoff_unsupervised::{Gmm, KMeans, Mixture};
use ndarray::{Array1, Array2, Array4, Axis};
use rayon::prelude::*;
use std::collections::HashMap;
use std::error::Error;
use std::hint::black_box;
use std::io::BufRead;
use std::num::NonZeroUsize;
use std::time::Instant;

type Failure = Box<dyn Error + Send + Sync>;

/// Arrays that were read before, and the mixture that was learned last.
#[derive(Default)]
struct Files {
    rows: HashMap<String, Array2<f32>>,
    images: HashMap<String, Images>,
    mixture: Option<Mixture>,
}

/// The sizes and the bytes of an `.npy` file.
fn read(path: &str, kind: &str) -> Result<(Vec<usize>, Vec<u8>), Failure> {
    let bytes = std::fs::read(path)?;
    let length = bytes.get(8..10).map(|b| usize::from(u16::from_le_bytes([b[0], b[1]]))).ok_or("no header")?;
    let header = std::str::from_utf8(bytes.get(10..10 + length).ok_or("a short header")?)?;
    if !header.contains(kind) || header.contains("'fortran_order': True") {
        return Err(format!("{path} is not of {kind} in C order").into());
    }
    let shape = header.split('(').nth(1).and_then(|rest| rest.split(')').next()).ok_or("no shape")?;
    let sizes: Result<Vec<usize>, _> =
        shape.split(',').map(str::trim).filter(|s| !s.is_empty()).map(str::parse).collect();
    Ok((sizes?, bytes[10 + length..].to_vec()))
}

impl Files {
    fn rows(&mut self, path: &str) -> Result<&Array2<f32>, Failure> {
        if !self.rows.contains_key(path) {
            let (sizes, bytes) = read(path, "<f4")?;
            let values = bytes.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
            let (&columns, rows) = sizes.split_last().ok_or("no axes")?;
            let array = Array2::from_shape_vec((rows.iter().product(), columns), values)?;
            self.rows.insert(path.to_owned(), array);
        }
        Ok(&self.rows[path])
    }

    fn images(&mut self, path: &str) -> Result<&Images, Failure> {
        if !self.images.contains_key(path) {
            let (sizes, bytes) = read(path, "|u1")?;
            let [n, height, width, channels] = sizes[..] else { return Err("images have four axes".into()) };
            let images = Images::new(Array4::from_shape_vec((n, height, width, channels), bytes)?)?;
            self.images.insert(path.to_owned(), images);
        }
        Ok(&self.images[path])
    }
}

/// Seconds of one call whose result is used.
fn timed<T>(call: impl FnOnce() -> T) -> f64 {
    let start = Instant::now();
    black_box(call());
    start.elapsed().as_secs_f64()
}

/// Seconds of encoding all images on this thread.
fn encoding(extractor: &dyn Extractor, images: &Images) -> Result<f64, Failure> {
    let encoder = extractor.fit(images.view(), Seed(0))?;
    // Ones and not zeros: those are pages that exist before the clock runs.
    let mut out = Array2::ones((images.len(), encoder.dim()));
    Ok(timed(|| encoder.encode_into(images.view(), out.view_mut())))
}

fn answer(words: &[&str], files: &mut Files) -> Result<f64, Failure> {
    match *words {
        ["peak", threads] => Ok(peak(threads.parse()?)),
        ["clock", _] => Ok(clock()),
        ["kmeans", _, x, start, iterations] => {
            let start = files.rows(start)?.clone();
            let k = NonZeroUsize::new(start.nrows()).ok_or("no centres")?;
            let kmeans = KMeans {
                k,
                iterations: iterations.parse()?,
                tolerance: NonNegative::literal(0.0),
                ..KMeans::default()
            };
            let x = files.rows(x)?;
            let mut result = None;
            let seconds = timed(|| result = Some(kmeans.fit_from(x.view(), start.view(), Seed(0))));
            result.ok_or("not run")??;
            Ok(seconds)
        }
        ["gmm", _, x, means, iterations] => {
            let means = files.rows(means)?.clone();
            let gmm = Gmm {
                components: NonZeroUsize::new(means.nrows()).ok_or("no components")?,
                iterations: iterations.parse()?,
                tolerance: NonNegative::literal(0.0),
                ..Gmm::default()
            };
            let weights = Array1::from_elem(means.nrows(), 1.0 / means.nrows() as f32);
            let variances = Array2::ones(means.dim());
            let x = files.rows(x)?;
            let mut fitted = None;
            let seconds =
                timed(|| fitted = Some(gmm.fit_from(x.view(), weights.view(), means.view(), variances.view())));
            files.mixture = Some(fitted.ok_or("not run")??);
            Ok(seconds)
        }
        ["likelihood", _, x] => {
            let mixture = files.mixture.take().ok_or("no mixture was learned")?;
            let parameters = mixture.weights().iter().chain(mixture.means()).chain(mixture.variances());
            let likelihood = mixture.mean_log_likelihood(files.rows(x)?.view());
            if !likelihood.is_finite() || !parameters.copied().all(f32::is_finite) {
                return Err(format!("a log-likelihood of {likelihood}, or parameters that are not finite").into());
            }
            files.mixture = Some(mixture);
            Ok(likelihood)
        }
        ["hog", _, images] => encoding(&Hog::default(), files.images(images)?),
        ["sift", _, images, step, cell] => {
            let sift = Sift {
                step: step.parse()?,
                cells: vec![toml::Value::Float(cell.parse()?).try_into()?],
                root: false,
                ..Sift::default()
            };
            encoding(&LocalDescriptors { local: Local::Sift(sift) }, files.images(images)?)
        }
        ["fisher", _, descriptors, weights, means, variances, count] => {
            let weights: Vec<f32> = files.rows(weights)?.iter().copied().collect();
            let (means, variances) = (files.rows(means)?.clone(), files.rows(variances)?.clone());
            let mixture = Mixture::of(&weights, &means, &variances)?;
            let (descriptors, count) = (files.rows(descriptors)?, count.parse::<usize>()?.max(1));
            // Image by image, as a run encodes them; the answers are as the peer's, one array an image.
            let images = descriptors.axis_chunks_iter(Axis(0), count).into_par_iter();
            Ok(timed(|| images.map(|x| fisher_vector(&mixture, x, true)).collect::<Vec<_>>()))
        }
        _ => Err(format!("not a kernel: {words:?}").into()),
    }
}

fn main() -> Result<(), Failure> {
    let mut files = Files::default();
    for line in std::io::stdin().lock().lines() {
        let line = line?;
        let words: Vec<&str> = line.split_whitespace().collect();
        let threads = words.get(1).ok_or("NAME THREADS ARGUMENT…")?.parse()?;
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build()?;
        println!("{}", pool.install(|| answer(&words, &mut files))?);
    }
    Ok(())
}
