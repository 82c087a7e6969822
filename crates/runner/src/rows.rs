//! From images to the rows that a classifier learns from and scores: features, scaling, reduction, codes.
//!
//! Rows of training images are kept in one of three ways. As a matrix, where it fits in memory. As codes, where the
//! pipeline quantises: then what is learned about rows is learned on an evenly spread sample, all images are encoded
//! block by block, and only codes stay. Not at all, where nothing of it fits: then features are computed anew in every pass
//! of the classifier. A classifier sees [`bakeoff_core::Rows`] in each case.

use crate::Catalogues;
use crate::cache::Saved;
use crate::clock::{Spent, timed};
use crate::fit::{Makers, Stopped};
use crate::material::Training;
use crate::settings::{Branch, Quantise, Scored};
use bakeoff_core::{
    Augmentation, Encoder, Extractor, ImagesView, Operation, RestoreError, Rows, Seed, Tensors, encode,
};
use bakeoff_numeric::{Scaler, Scaling};
use bakeoff_unsupervised::{Codes, ProductQuantiser, Quantiser, Reducer};
use ndarray::{ArcArray2, Array2, ArrayView2, ArrayViewMut2, Axis};
use rayon::prelude::*;
use std::sync::Arc;

/// Bytes of feature rows that codes are learned on at most: at 524,288 numbers an image, 896 images, 3.5 for each of the
/// 256 centres of an 8-bit code, and the whole fit stays below 4 GB.
const SAMPLE_BYTES: u128 = 7 << 28;
/// Rows below which nothing is learned about them: as many must fit in memory.
const FEWEST: usize = 64;
/// Bytes of rows that are encoded for a fit at a time. The sizes are fixed so that no bit depends on the machine.
const BLOCK_BYTES: usize = 256 << 20;
/// Bytes of rows that are scored at a time: they are still in the cache when they are scaled and scored, and the next ones take their
/// place, which the system does not have to clear anew.
const SCORED_BYTES: usize = 16 << 20;
/// Blocks of rows that are scored have a multiple of as many, where there is room for them: kernels take 256 rows at a time (those of the
/// nearest neighbours), and a last piece of other length cost them a tenth of their time.
const WHOLE: usize = 512;

/// Images encoded at a time where each becomes d numbers.
fn images_a_block(d: usize) -> usize {
    images_in(BLOCK_BYTES, d)
}

/// Images encoded and scored at a time where each becomes d numbers.
pub(crate) fn images_scored_at_once(d: usize) -> usize {
    let images = images_in(SCORED_BYTES, d);
    if images > WHOLE { images / WHOLE * WHOLE } else { images }
}

fn images_in(bytes: usize, d: usize) -> usize {
    (bytes / size_of::<f32>() / d.max(1)).clamp(16, 4096)
}

/// A fitted extractor, with the features of all training images where they fit in memory.
#[derive(Clone)]
pub(crate) struct Encoded {
    encoder: Arc<dyn Encoder>,
    rows: Option<Array2<f32>>,
}

impl Makers<'_> {
    /// Fits the extractor on training images and encodes them.
    pub(crate) fn encoded(
        self,
        branch: &Branch,
        training: &Training<'_>,
        seed: Seed,
        spent: &mut Spent,
    ) -> Result<Encoded, Stopped> {
        let extractor = branch.extractor(self.catalogues).map_err(Stopped::Refused)?;
        let codes = branch.codes().map_err(Stopped::Refused)?;
        let key = self.remembering.map(|with| {
            let recipe = branch.features_meant(self.catalogues);
            with.key(&recipe, &extractor, training, seed)
        });
        let mut saved = Saved::default();
        let encoded = timed(&mut spent.features, || {
            if let Some((encoder, rows, found)) = key.as_ref().and_then(|key| key.get(&extractor, training)) {
                saved = found;
                return Ok(Encoded { encoder: encoder.into(), rows: Some(rows) });
            }
            let encoder: Arc<dyn Encoder> = extractor.fit(training.images(), seed.derive("extractor"))?.into();
            let (n, d) = (training.len(), encoder.dim());
            self.check_memory(n.min(FEWEST), d)?;
            let limit = if codes.is_some() { SAMPLE_BYTES.min(self.row_bytes()) } else { self.row_bytes() };
            let rows = (bytes(n, d) <= limit).then(|| match &key {
                Some(key) => key.put(encoder.as_ref(), training),
                None => encode(encoder.as_ref(), training.images()),
            });
            Ok(Encoded { encoder, rows })
        });
        spent.features.0 += saved.wall.0;
        spent.saved.add(saved);
        encoded
    }

    /// Bytes that rows may take: what learns from them may need as much again. An address space is the limit where the
    /// machine does not tell.
    fn row_bytes(self) -> u128 {
        u128::from(self.memory.unwrap_or(1 << 47)) / 2
    }

    /// Refuses rows that would not fit, before memory is taken: the system would kill the whole run.
    pub(crate) fn check_memory(self, n: usize, d: usize) -> Result<(), Stopped> {
        let (needed, limit) = (bytes(n, d), self.row_bytes());
        if needed <= limit {
            return Ok(());
        }
        let gib = |bytes: u128| bytes as f64 / f64::from(1 << 30);
        let (needed, limit) = (gib(needed), gib(limit));
        Err(Stopped::Refused(format!(
            "features of {n} images × {d} numbers take {needed:.1} GiB, more than half of the free memory, {limit:.1} GiB"
        )))
    }
}

fn bytes(n: usize, d: usize) -> u128 {
    n as u128 * d as u128 * size_of::<f32>() as u128
}

/// Turns images into the rows of a branch.
pub(crate) struct RowMaker {
    encoder: Arc<dyn Encoder>,
    scaler: Scaler,
    reducer: Option<Reducer>,
    quantiser: Option<(Quantiser, Scored)>,
}

/// Where the learned arrays of the parts stand.
const FEATURES: &str = "features";
const SCALER: &str = "scaler";
const REDUCER: &str = "reducer";
const QUANTISER: &str = "quantiser";

/// How the rows of training images are kept.
pub(crate) enum Kept {
    /// As they are.
    Matrix(ArcArray2<f32>),
    /// As codes.
    Codes(Codes),
    /// Not at all.
    Anew,
}

impl Encoded {
    /// The numbers that an image becomes.
    pub(crate) fn dim(&self) -> usize {
        self.encoder.dim()
    }

    /// The features of other images.
    pub(crate) fn features(&self, images: ImagesView<'_>) -> Array2<f32> {
        encode(self.encoder.as_ref(), images)
    }

    /// Fits what comes between features and classifier, and keeps the rows of training images.
    pub(crate) fn finish(
        self,
        branch: &Branch,
        training: &Training<'_>,
        seed: Seed,
        spent: &mut Spent,
    ) -> Result<Fitting, Stopped> {
        let Self { encoder, rows } = self;
        let whole = rows.is_some();
        let sample = rows.unwrap_or_else(|| timed(&mut spent.features, || sample(encoder.as_ref(), training)));
        let n_sample = sample.nrows();
        let (maker, rows) = timed(&mut spent.fit, || RowMaker::fit(encoder, branch, sample, seed))?;
        let kept = match (&maker.quantiser, whole) {
            (None, true) => Kept::Matrix(rows.into_shared()),
            (None, false) => Kept::Anew,
            (Some((quantiser, _)), true) => Kept::Codes(timed(&mut spent.fit, || quantiser.encode(rows.view()))),
            (Some((quantiser, _)), false) => {
                drop(rows);
                Kept::Codes(maker.codes(quantiser, training.images(), spent))
            }
        };
        let notes = maker.notes(branch, &kept, whole, n_sample, training.len());
        let augmentation = branch.augmentation().map_err(Stopped::Refused)?;
        Ok(Fitting { maker, kept, augmentation, notes })
    }
}

/// What [`Encoded::finish`] gives.
pub(crate) struct Fitting {
    pub(crate) maker: RowMaker,
    pub(crate) kept: Kept,
    augmentation: Augmentation,
    /// What a reader of the result should know of it.
    pub(crate) notes: Vec<String>,
}

impl Fitting {
    /// The rows of these training images, for a classifier.
    pub(crate) fn rows<'a>(&'a self, training: &'a Training<'_>) -> TrainingRows<'a> {
        TrainingRows {
            maker: &self.maker,
            kept: &self.kept,
            images: training.images(),
            augmentation: self.augmentation,
        }
    }
}

impl RowMaker {
    /// Learns scaling, reduction and codes from feature rows, and gives them back scaled and reduced.
    fn fit(
        encoder: Arc<dyn Encoder>,
        branch: &Branch,
        mut rows: Array2<f32>,
        seed: Seed,
    ) -> Result<(Self, Array2<f32>), Stopped> {
        let scaler = Scaler::fit(branch.scale.unwrap_or_default(), rows.view());
        scaler.apply(rows.view_mut());
        let reducer = match branch.reduction().map_err(Stopped::Refused)? {
            Some(reduction) => Some(reduction.fit(rows.view())?),
            None => None,
        };
        if let Some(reducer) = &reducer {
            rows = reducer.apply(rows.view());
        }
        let quantiser = match branch.codes().map_err(Stopped::Refused)? {
            Some(Quantise { group, bits, scored }) => Some((
                ProductQuantiser { group, bits, ..ProductQuantiser::default() }
                    .fit(rows.view(), seed.derive("codes"))?,
                scored,
            )),
            None => None,
        };
        Ok((Self { encoder, scaler, reducer, quantiser }, rows))
    }

    /// d of the rows that a classifier sees.
    pub(crate) fn row_dim(&self) -> usize {
        self.reducer.as_ref().map_or(self.encoder.dim(), Reducer::dim_out)
    }

    /// The numbers that an image becomes.
    pub(crate) fn dim(&self) -> usize {
        self.encoder.dim()
    }

    /// The features of images.
    pub(crate) fn features(&self, images: ImagesView<'_>) -> Array2<f32> {
        encode(self.encoder.as_ref(), images)
    }

    /// Scaled and reduced rows of features.
    fn reduced(&self, mut features: Array2<f32>) -> Array2<f32> {
        self.scaler.apply(features.view_mut());
        match &self.reducer {
            Some(reducer) => reducer.apply(features.view()),
            None => features,
        }
    }

    /// The rows that are scored, of features.
    pub(crate) fn scored(&self, features: Array2<f32>) -> Array2<f32> {
        let rows = self.reduced(features);
        match &self.quantiser {
            Some((quantiser, Scored::Codes)) => {
                let codes = quantiser.encode(rows.view());
                let mut decoded = rows;
                decode(quantiser, &codes, decoded.view_mut());
                decoded
            }
            _ => rows,
        }
    }

    /// The codes of images, block by block: their rows never exist all at once.
    fn codes(&self, quantiser: &Quantiser, images: ImagesView<'_>, spent: &mut Spent) -> Codes {
        let mut codes = quantiser.codes(images.len());
        let block = images_a_block(self.encoder.dim());
        for start in (0..images.len()).step_by(block) {
            let end = (start + block).min(images.len());
            let features = timed(&mut spent.features, || self.features(images.range(start, end)));
            timed(&mut spent.fit, || {
                let rows = self.reduced(features);
                quantiser.encode_to(rows.view(), codes.range_mut(start, end));
            });
        }
        codes
    }

    fn notes(&self, branch: &Branch, kept: &Kept, whole: bool, n_sample: usize, n: usize) -> Vec<String> {
        let mut notes = self.encoder.notes();
        let d = self.encoder.dim();
        let gib = bytes(n, d) as f64 / f64::from(1 << 30);
        let learned =
            branch.scale.unwrap_or_default() != Scaling::None || branch.reduce.is_some() || branch.quantise.is_some();
        if !whole && learned && n_sample < n {
            notes.push(format!("scaling, reduction and codes were learned on {n_sample} of {n} training images: {gib:.1} GiB of features"));
        }
        if let (Some((quantiser, _)), Kept::Codes(_)) = (&self.quantiser, kept) {
            let (code, row) = (quantiser.row_bytes(), self.row_dim() * size_of::<f32>());
            notes.push(format!("codes of {code} bytes an image in place of {row}"));
        }
        if matches!(kept, Kept::Anew) {
            notes.push(format!(
                "features of all training images take {gib:.1} GiB: they were computed anew in every pass"
            ));
        }
        notes
    }

    /// All that was learned and scoring needs.
    pub(crate) fn learned(&self) -> Tensors {
        let reducer = self.reducer.as_ref().map_or_else(Tensors::new, Reducer::learned);
        // Rows that are scored as they are need no codebook: it served the training alone.
        let quantiser = match &self.quantiser {
            Some((quantiser, Scored::Codes)) => quantiser.learned(),
            _ => Tensors::new(),
        };
        Tensors::new()
            .with_part(FEATURES, self.encoder.learned())
            .with_part(SCALER, self.scaler.learned())
            .with_part(REDUCER, reducer)
            .with_part(QUANTISER, quantiser)
    }

    /// What [`RowMaker::learned`] came from, for images of this shape; it takes its part of the arrays.
    pub(crate) fn restore(
        branch: &Branch,
        catalogues: Catalogues<'_>,
        shape: (usize, usize, usize),
        learned: &mut Tensors,
    ) -> Result<Self, RestoreError> {
        let extractor = branch.extractor(catalogues).map_err(RestoreError::refused)?;
        let encoder: Arc<dyn Encoder> =
            extractor.restore(shape, learned.part(FEATURES)).map_err(|e| e.below(FEATURES))?.into();
        let scaler = Scaler::restore(branch.scale.unwrap_or_default(), encoder.dim(), learned.part(SCALER))
            .map_err(|e| e.below(SCALER))?;
        let reducer = match branch.reduction().map_err(RestoreError::refused)? {
            Some(reduction) => {
                let reducer = reduction.restore(encoder.dim(), learned.part(REDUCER));
                Some(reducer.map_err(|e| e.below(REDUCER))?)
            }
            None => None,
        };
        let d = reducer.as_ref().map_or(encoder.dim(), Reducer::dim_out);
        let quantiser = match branch.codes().map_err(RestoreError::refused)? {
            Some(Quantise { group, scored: Scored::Codes, .. }) => {
                let quantiser = Quantiser::restore(d, group.get(), learned.part(QUANTISER));
                Some((quantiser.map_err(|e| e.below(QUANTISER))?, Scored::Codes))
            }
            _ => None,
        };
        Ok(Self { encoder, scaler, reducer, quantiser })
    }

    /// The steps from bytes of an image to a row; the names of the parts that have no such form otherwise.
    pub(crate) fn operations(&self) -> Result<Vec<Operation>, Vec<&'static str>> {
        let features = self.encoder.operations();
        let decoded = matches!(self.quantiser, Some((_, Scored::Codes)));
        match features {
            Some(features) if !decoded => {
                let reducer = self.reducer.as_ref().map_or_else(Vec::new, Reducer::operations);
                Ok(features.into_iter().chain(self.scaler.operations()).chain(reducer).collect())
            }
            features => Err([(features.is_none(), FEATURES), (decoded, "quantise")]
                .into_iter()
                .filter_map(|(without, name)| without.then_some(name))
                .collect()),
        }
    }

    /// Bytes of everything that was learned.
    pub(crate) fn model_bytes(&self) -> usize {
        let reducer = self.reducer.as_ref().map_or(0, Reducer::model_bytes);
        // Rows that are scored as they are need no codebook: it served the training alone.
        let quantiser = match &self.quantiser {
            Some((quantiser, Scored::Codes)) => quantiser.model_bytes(),
            _ => 0,
        };
        self.encoder.model_bytes() + self.scaler.model_bytes() + reducer + quantiser
    }
}

/// Rows of training images as a classifier sees them.
pub(crate) struct TrainingRows<'a> {
    maker: &'a RowMaker,
    kept: &'a Kept,
    images: ImagesView<'a>,
    augmentation: Augmentation,
}

impl TrainingRows<'_> {
    /// Rows of the images at these positions, one draw of each.
    fn read_drawn(&self, positions: &[usize], draw: Seed, mut out: ArrayViewMut2<'_, f32>) {
        let (shape, encoder) = (self.images.shape(), self.maker.encoder.as_ref());
        let mut features = Array2::zeros((positions.len(), encoder.dim()));
        let rows = features.axis_chunks_iter_mut(Axis(0), 1).into_par_iter().zip(positions);
        rows.for_each_init(
            || vec![0; shape.0 * shape.1 * shape.2],
            |drawn, (row, &position)| {
                let image = self.images.image(position);
                self.augmentation.draw(image, shape, draw.nth(position), drawn);
                encoder.encode_into(ImagesView::one(drawn, shape), row);
            },
        );
        out.assign(&self.maker.reduced(features));
    }
}

impl Rows for TrainingRows<'_> {
    fn n_rows(&self) -> usize {
        self.images.len()
    }

    fn dim(&self) -> usize {
        self.maker.row_dim()
    }

    fn dense(&self) -> Option<ArrayView2<'_, f32>> {
        match self.kept {
            Kept::Matrix(rows) => Some(rows.view()),
            Kept::Codes(_) | Kept::Anew => None,
        }
    }

    fn shared(&self) -> Option<ArcArray2<f32>> {
        match self.kept {
            Kept::Matrix(rows) => Some(rows.clone()),
            Kept::Codes(_) | Kept::Anew => None,
        }
    }

    fn augments(&self) -> bool {
        !self.augmentation.is_nothing()
    }

    fn read_augmented(&self, positions: &[usize], draw: Seed, mut out: ArrayViewMut2<'_, f32>) {
        if !self.augments() {
            return self.read_into(positions, out);
        }
        let block = images_a_block(self.maker.dim());
        for (positions, out) in positions.chunks(block).zip(out.axis_chunks_iter_mut(Axis(0), block)) {
            self.read_drawn(positions, draw, out);
        }
    }

    fn read_into(&self, positions: &[usize], mut out: ArrayViewMut2<'_, f32>) {
        match (self.kept, &self.maker.quantiser) {
            (Kept::Matrix(rows), _) => rows.read_into(positions, out),
            (Kept::Codes(codes), Some((quantiser, _))) => decode(quantiser, &codes.select(positions), out),
            _ => {
                let block = images_a_block(self.maker.dim());
                for (positions, mut out) in positions.chunks(block).zip(out.axis_chunks_iter_mut(Axis(0), block)) {
                    out.assign(&self.maker.reduced(encode_at(self.maker.encoder.as_ref(), self.images, positions)));
                }
            }
        }
    }
}

/// Rows of codes that a worker decodes at a time: the whole codebook passes the cache once for them, and two workers share
/// the rows of one step of SGD.
const DECODED: usize = 8;

/// The rows (n, d) that codes stand for.
fn decode(quantiser: &Quantiser, codes: &Codes, mut out: ArrayViewMut2<'_, f32>) {
    let blocks = out.axis_chunks_iter_mut(Axis(0), DECODED).into_par_iter().enumerate();
    blocks.for_each(|(i, out)| {
        quantiser.decode_into(codes.range(i * DECODED, i * DECODED + out.nrows()), out);
    });
}

/// Features of the images at these positions.
fn encode_at(encoder: &dyn Encoder, images: ImagesView<'_>, positions: &[usize]) -> Array2<f32> {
    let mut rows = Array2::zeros((positions.len(), encoder.dim()));
    rows.axis_chunks_iter_mut(Axis(0), 1).into_par_iter().zip(positions).for_each(|(row, &position)| {
        encoder.encode_into(images.range(position, position + 1), row);
    });
    rows
}

/// Feature rows of evenly spread training images, as many as fit in [`SAMPLE_BYTES`].
fn sample(encoder: &dyn Encoder, training: &Training<'_>) -> Array2<f32> {
    let (n, row) = (training.len(), bytes(1, encoder.dim()).max(1));
    let wanted = usize::try_from(SAMPLE_BYTES / row).unwrap_or(usize::MAX).clamp(FEWEST.min(n), n);
    let positions: Vec<usize> = (0..wanted).map(|i| i * n / wanted).collect();
    encode_at(encoder, training.images(), &positions)
}

#[cfg(test)]
mod tests;
