//! What a kernel is here: a name, inputs of two or three sizes, one call, what it gave, and what it should have given.
//!
//! Criterion, the table of the machine's limit and the gate between revisions all go through the same list
//! ([`crate::kernels::all`]), so that a kernel is written down once.

use std::fmt;

/// A kernel with its inputs.
pub struct Kernel {
    /// `family/name`; `bakeoff bench --kernel` takes any part of it.
    pub name: String,
    /// Exported items that are measured by it, as `crate::item`. `tests/coverage.rs` holds that none is forgotten.
    pub covers: &'static [&'static str],
    /// Inputs, smallest first. The first is small enough for an instruction counter, which is fifty times slower.
    pub sizes: Vec<Size>,
    /// How far two revisions may lie apart.
    pub tolerance: Tolerance,
    /// More instructions than the earlier revision by this share fail the gate.
    pub instructions: f64,
}

/// The share of instructions that a kernel may take more, where it says nothing else.
pub const INSTRUCTIONS: f64 = 0.01;

impl Kernel {
    /// A kernel with the usual limits: results as near as [`Tolerance::ROUNDING`], 1% more instructions.
    pub fn new(name: impl Into<String>, covers: &'static [&'static str], sizes: Vec<Size>) -> Self {
        Self { name: name.into(), covers, sizes, tolerance: Tolerance::ROUNDING, instructions: INSTRUCTIONS }
    }

    /// The same with another tolerance.
    pub fn within(mut self, tolerance: Tolerance) -> Self {
        self.tolerance = tolerance;
        self
    }

    /// The same with another limit for instructions, as a share.
    pub fn with_instructions(mut self, share: f64) -> Self {
        self.instructions = share;
        self
    }
}

impl fmt::Debug for Kernel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {:?}", self.name, self.sizes.iter().map(|size| &size.name).collect::<Vec<_>>())
    }
}

/// One size of a kernel's inputs.
pub struct Size {
    /// The shape in words: `256x784x1024`.
    pub name: String,
    /// How much one call is.
    pub work: Work,
    /// Makes the inputs, the same every time.
    pub make: Box<dyn Fn() -> Case>,
}

impl Size {
    /// A size, how much one call is, and how its inputs are made.
    pub fn new(name: impl Into<String>, work: Work, make: impl Fn() -> Case + 'static) -> Self {
        Self { name: name.into(), work, make: Box::new(make) }
    }
}

/// How far results may lie apart, between a kernel and its reference or between two revisions.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tolerance {
    /// The greatest difference of two numbers, as a share of the greatest absolute number of both results.
    pub values: f64,
    /// The share of labels (classes, clusters, bytes: whatever is whole) that may differ.
    pub labels: f64,
}

impl Tolerance {
    /// Sums in another order: 1e-5 of the greatest number, and one label in a thousand (ties that rounding decides).
    pub const ROUNDING: Self = Self { values: 1e-5, labels: 1e-3 };
    /// Nothing may differ.
    pub const EXACT: Self = Self { values: 0.0, labels: 0.0 };
    /// What is iterated: rounding grows from step to step, up to a thousandth; one label in two hundred.
    pub const ITERATED: Self = Self { values: 1e-3, labels: 5e-3 };
}

/// What a call gave.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// Numbers.
    Values(Vec<f32>),
    /// Whole numbers: predicted classes, clusters, bytes.
    Labels(Vec<u32>),
}

impl Outcome {
    /// Numbers of anything that yields f32.
    pub fn values<'a>(values: impl IntoIterator<Item = &'a f32>) -> Self {
        Self::Values(values.into_iter().copied().collect())
    }

    /// Numbers of anything that yields f64.
    pub fn of_f64(values: impl IntoIterator<Item = f64>) -> Self {
        Self::Values(values.into_iter().map(|value| value as f32).collect())
    }

    /// Positions and classes.
    pub fn ids(ids: impl IntoIterator<Item = usize>) -> Self {
        Self::Labels(ids.into_iter().map(|id| id as u32).collect())
    }

    /// Bytes.
    pub fn bytes(bytes: &[u8]) -> Self {
        Self::Labels(bytes.iter().map(|&byte| u32::from(byte)).collect())
    }

    /// Numbers that it has.
    pub fn len(&self) -> usize {
        match self {
            Self::Values(values) => values.len(),
            Self::Labels(labels) => labels.len(),
        }
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Little-endian: a byte `v` or `l`, then four bytes a number. `bakeoff bench` reads it.
    pub fn to_bytes(&self) -> Vec<u8> {
        let numbers: Vec<[u8; 4]> = match self {
            Self::Values(values) => values.iter().map(|value| value.to_le_bytes()).collect(),
            Self::Labels(labels) => labels.iter().map(|label| label.to_le_bytes()).collect(),
        };
        let kind = if matches!(self, Self::Values(_)) { b'v' } else { b'l' };
        std::iter::once(kind).chain(numbers.into_iter().flatten()).collect()
    }

    /// Makes sure that this is what was expected.
    ///
    /// # Errors
    /// Where and how far they lie apart.
    pub fn check(&self, expected: &Self, tolerance: Tolerance) -> Result<(), String> {
        if self.len() != expected.len() || self.is_empty() {
            return Err(format!("{} numbers, expected {}", self.len(), expected.len()));
        }
        match (self, expected) {
            (Self::Values(found), Self::Values(expected)) => check_values(found, expected, tolerance.values),
            (Self::Labels(found), Self::Labels(expected)) => {
                let differing = found.iter().zip(expected).filter(|(a, b)| a != b).count();
                let allowed = tolerance.labels * found.len() as f64;
                if differing as f64 <= allowed { Ok(()) } else { Err(format!("{differing} of {} differ", found.len())) }
            }
            _ => Err("numbers here and labels there".to_owned()),
        }
    }

    /// Changes one number in the middle beyond any tolerance: what the gate's self-test plants.
    pub fn spoil(&mut self) {
        let middle = self.len() / 2;
        match self {
            Self::Values(values) => {
                let greatest = values.iter().fold(1.0f32, |most, value| most.max(value.abs()));
                values.iter_mut().skip(middle).take(1).for_each(|value| *value += 0.01 * greatest);
            }
            Self::Labels(labels) => {
                let changed = labels.len().div_ceil(50);
                labels.iter_mut().skip(middle).take(changed).for_each(|label| *label ^= 1);
            }
        }
    }
}

fn check_values(found: &[f32], expected: &[f32], tolerance: f64) -> Result<(), String> {
    let scale = found.iter().chain(expected).fold(0.0f64, |most, &value| most.max(f64::from(value.abs())));
    for (i, (&found, &expected)) in found.iter().zip(expected).enumerate() {
        let apart = f64::from(found) - f64::from(expected);
        // Written so that NaN fails.
        if !(apart.abs() <= tolerance * scale) {
            return Err(format!("number {i} is {found}, expected {expected}, within {tolerance} of {scale}"));
        }
    }
    Ok(())
}

/// What throughput counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Images.
    Images,
    /// Rows.
    Rows,
    /// Floating-point operations, a multiply-add being two.
    Flops,
    /// Bytes.
    Bytes,
}

/// How much work one call is.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Work {
    /// What is counted, and how many of it.
    pub amount: (Unit, f64),
    /// Floating-point operations that its definition needs; 0 where that is not a number one can say.
    pub flops: f64,
    /// Bytes that must come from or go to memory at least: every input read once, every output written once.
    pub bytes: f64,
}

impl Work {
    /// So many operations, so many f32 in and out; throughput is in operations.
    pub fn flops(flops: usize, numbers: usize) -> Self {
        Self { amount: (Unit::Flops, flops as f64), flops: flops as f64, bytes: 4.0 * numbers as f64 }
    }

    /// So many bytes in and out; throughput is in those.
    pub fn bytes(bytes: usize) -> Self {
        Self { amount: (Unit::Bytes, bytes as f64), flops: 0.0, bytes: bytes as f64 }
    }

    /// So many images, so many bytes in and out.
    pub fn images(images: usize, bytes: usize) -> Self {
        Self { amount: (Unit::Images, images as f64), flops: 0.0, bytes: bytes as f64 }
    }

    /// So many rows, so many operations, so many f32 in and out.
    pub fn rows(rows: usize, flops: usize, numbers: usize) -> Self {
        Self { amount: (Unit::Rows, rows as f64), flops: flops as f64, bytes: 4.0 * numbers as f64 }
    }

    /// The least seconds that a call can take on a machine of this multiply-add peak and this bandwidth (the roofline of
    /// Williams, Waterman, Patterson 2009), and whether the operations are what takes them. Sizes that fit into a cache can
    /// beat the bandwidth.
    pub fn least_seconds(self, peak_gflops: f64, bandwidth_gbs: f64) -> (f64, bool) {
        let (computing, moving) = (self.flops / peak_gflops / 1e9, self.bytes / bandwidth_gbs / 1e9);
        (computing.max(moving), computing >= moving)
    }
}

/// Inputs that exist, and what is done with them.
pub struct Case {
    call: Box<dyn Call>,
}

/// The type of the state goes away behind this.
trait Call {
    fn prepare(&mut self);
    fn run(&mut self);
    fn outcome(&self) -> Outcome;
    fn reference(&self) -> Option<Outcome>;
    fn has_reference(&self) -> bool;
}

/// What [`Case::new`] is told apart from the state.
pub struct Steps<S> {
    /// Puts back what a call changes; not timed.
    pub prepare: fn(&mut S),
    /// The kernel.
    pub run: fn(&mut S),
    /// What the last call gave.
    pub outcome: fn(&S) -> Outcome,
    /// The same from plain loops; `None` where there is nothing plainer than the kernel.
    pub reference: Option<fn(&S) -> Outcome>,
}

struct WithState<S> {
    state: S,
    steps: Steps<S>,
}

impl<S> Call for WithState<S> {
    fn prepare(&mut self) {
        (self.steps.prepare)(&mut self.state);
    }

    fn run(&mut self) {
        (self.steps.run)(&mut self.state);
    }

    fn outcome(&self) -> Outcome {
        (self.steps.outcome)(&self.state)
    }

    fn reference(&self) -> Option<Outcome> {
        self.steps.reference.map(|reference| reference(&self.state))
    }

    fn has_reference(&self) -> bool {
        self.steps.reference.is_some()
    }
}

impl Case {
    /// A case of this state.
    pub fn new<S: 'static>(state: S, steps: Steps<S>) -> Self {
        Self { call: Box::new(WithState { state, steps }) }
    }

    /// Puts back what the last call changed. Not to be timed.
    pub fn prepare(&mut self) {
        self.call.prepare();
    }

    /// One call of the kernel.
    pub fn run(&mut self) {
        self.call.run();
    }

    /// What the last call gave.
    pub fn outcome(&self) -> Outcome {
        self.call.outcome()
    }

    /// Calls it once and makes sure that the result is the reference's.
    ///
    /// # Errors
    /// Where and how far it lies apart.
    pub fn check(&mut self, tolerance: Tolerance) -> Result<(), String> {
        self.prepare();
        self.run();
        let outcome = self.outcome();
        if let Some(expected) = self.call.reference() {
            return outcome.check(&expected, tolerance);
        }
        // Nothing to be held against but finite numbers and the same result again.
        self.prepare();
        self.run();
        self.outcome().check(&outcome, Tolerance::EXACT)
    }

    /// Whether there is a reference.
    pub fn has_reference(&self) -> bool {
        self.call.has_reference()
    }
}
