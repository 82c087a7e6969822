//! A pipeline's settings, and the ranges that a search may take them from.

mod from_meant;

use crate::Catalogues;
use crate::canonical;
use crate::experiment::Draw;
use bakeoff_core::{Augmentation, Classifier, Concatenated, Extractor, ParamError, Seed};
use bakeoff_numeric::Scaling;
use bakeoff_unsupervised::Reduction;
use rand::Rng;
use rand::seq::SliceRandom;
use serde::de::IntoDeserializer;
use serde::de::value::Error as ValueError;
use serde::{Deserialize, Serialize};
use serde_json::json;
use std::fmt;
use std::num::NonZeroUsize;

/// One algorithm of a catalogue with its settings.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The entry's name.
    pub kind: String,
    /// Its settings as given, without the defaults.
    pub settings: toml::Table,
}

/// How rows are kept as codes while a classifier learns from them.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Quantise {
    /// G, dimensions a group.
    pub group: NonZeroUsize,
    /// b, bits a dimension.
    pub bits: NonZeroUsize,
    /// What is scored: rows as they are, or their codes like those of training images.
    pub scored: Scored,
}

/// What the classifier of quantised rows scores.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scored {
    /// Rows as they are: nothing makes one store what is scored once (Sánchez, Perronnin 2011).
    #[default]
    Rows,
    /// The codes, decoded.
    Codes,
}

impl Default for Quantise {
    fn default() -> Self {
        let (group, bits) =
            const { (NonZeroUsize::new(8).expect("positive"), NonZeroUsize::new(1).expect("positive")) };
        Self { group, bits, scored: Scored::Rows }
    }
}

/// One way from images to scores, with nothing left to search.
#[derive(Debug, Clone, PartialEq)]
pub struct Branch {
    /// Features, side by side in this order.
    pub features: Vec<Step>,
    /// What is done to every feature column; nothing said is the default.
    pub scale: Option<Scaling>,
    /// Settings of the [`Augmentation`] of training images.
    pub augment: Option<toml::Table>,
    /// Settings of a [`Reduction`] of the scaled rows.
    pub reduce: Option<toml::Table>,
    /// Settings of [`Quantise`].
    pub quantise: Option<toml::Table>,
    /// What learns from the rows.
    pub classifier: Step,
}

/// Everything that turns images into predictions.
#[derive(Debug, Clone, PartialEq)]
pub struct Settings {
    /// One branch, or several that are trained apart and whose scores are averaged (late fusion).
    pub branches: Vec<Branch>,
}

/// The setting that a search varies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Target {
    /// Which branch, from 0; `None` where the pipeline is one.
    pub branch: Option<usize>,
    /// What in it.
    pub part: Part,
}

/// The setting of a branch that a search varies.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Part {
    /// A setting of the classifier.
    Classifier {
        /// Its key.
        key: String,
    },
    /// A setting of one feature.
    Feature {
        /// Which of the list, from 0.
        index: usize,
        /// Its key.
        key: String,
    },
    /// A setting of the augmentation.
    Augment {
        /// Its key.
        key: String,
    },
    /// A setting of the codes.
    Quantise {
        /// Its key.
        key: String,
    },
    /// A setting of the reduction.
    Reduce {
        /// Its key.
        key: String,
    },
    /// The scaling.
    Scale,
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(branch) = self.branch {
            write!(f, "branches.{branch}.")?;
        }
        match &self.part {
            Part::Classifier { key } => write!(f, "classifier.{key}"),
            Part::Feature { index, key } => write!(f, "features.{index}.{key}"),
            Part::Augment { key } => write!(f, "augment.{key}"),
            Part::Quantise { key } => write!(f, "quantise.{key}"),
            Part::Reduce { key } => write!(f, "reduce.{key}"),
            Part::Scale => f.write_str("scale"),
        }
    }
}

/// The values that a search may try.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// Numbers whose logarithm is uniform between those of the ends, both above 0.
    LogUniform(f64, f64),
    /// Numbers uniform between the ends.
    Uniform(f64, f64),
    /// Whole numbers from the first to the last, both included.
    Integer(i64, i64),
    /// One of these.
    Choice(Vec<toml::Value>),
}

impl Domain {
    /// A value drawn at random. Numbers are rounded to six digits, so that reports can quote them exactly.
    pub(crate) fn draw(&self, rng: &mut impl Rng) -> toml::Value {
        match self {
            Self::LogUniform(low, high) => {
                let exponent = low.ln() + rng.r#gen::<f64>() * (high.ln() - low.ln());
                toml::Value::Float(six_digits(exponent.exp()).clamp(*low, *high))
            }
            Self::Uniform(low, high) => {
                toml::Value::Float(six_digits(low + rng.r#gen::<f64>() * (high - low)).clamp(*low, *high))
            }
            Self::Integer(low, high) => toml::Value::Integer(rng.gen_range(*low..=*high)),
            Self::Choice(values) => values.choose(rng).cloned().unwrap_or(toml::Value::Boolean(false)),
        }
    }

    /// The value at a share of the way through, from 0 to below 1.
    pub(crate) fn at(&self, share: f64) -> toml::Value {
        let nth = |n: u64| ((share * n as f64) as u64).min(n.saturating_sub(1));
        match self {
            Self::LogUniform(low, high) => {
                let exponent = low.ln() + share * (high.ln() - low.ln());
                toml::Value::Float(six_digits(exponent.exp()).clamp(*low, *high))
            }
            Self::Uniform(low, high) => toml::Value::Float(six_digits(low + share * (high - low)).clamp(*low, *high)),
            Self::Integer(low, high) => {
                let n = high.abs_diff(*low).saturating_add(1);
                toml::Value::Integer(low.saturating_add_unsigned(nth(n)))
            }
            Self::Choice(values) => {
                values.get(nth(values.len() as u64) as usize).cloned().unwrap_or(toml::Value::Boolean(false))
            }
        }
    }

    /// All values, where they can be listed and are at most `limit`.
    pub(crate) fn listed(&self, limit: usize) -> Option<Vec<toml::Value>> {
        match self {
            Self::Integer(low, high) if high.abs_diff(*low) < limit as u64 => {
                Some((*low..=*high).map(toml::Value::Integer).collect())
            }
            Self::Choice(values) if values.len() <= limit => Some(values.clone()),
            _ => None,
        }
    }

    /// The values at which the setting must be valid for the whole range to be.
    pub(crate) fn ends(&self) -> Vec<toml::Value> {
        match self {
            Self::LogUniform(low, high) | Self::Uniform(low, high) => {
                vec![toml::Value::Float(*low), toml::Value::Float(*high)]
            }
            Self::Integer(low, high) => vec![toml::Value::Integer(*low), toml::Value::Integer(*high)],
            Self::Choice(values) => values.clone(),
        }
    }

    fn meant(&self) -> serde_json::Value {
        match self {
            Self::LogUniform(low, high) => json!({"log_uniform": [low, high]}),
            Self::Uniform(low, high) => json!({"uniform": [low, high]}),
            Self::Integer(low, high) => json!({"integer": [low, high]}),
            Self::Choice(values) => json!({"choice": values.iter().map(canonical::json).collect::<Vec<_>>()}),
        }
    }
}

fn six_digits(value: f64) -> f64 {
    format!("{value:.5e}").parse().unwrap_or(value)
}

/// A setting and the values that a search may give it.
#[derive(Debug, Clone, PartialEq)]
pub struct Searched {
    /// Which setting.
    pub target: Target,
    /// From which values.
    pub domain: Domain,
}

/// One pipeline of an experiment.
#[derive(Debug, Clone, PartialEq)]
pub struct Pipeline {
    /// Its name, unique in the experiment.
    pub name: String,
    /// Its settings; those that are searched have their defaults here.
    pub settings: Settings,
    /// What is searched, ordered by target so that the file's order decides nothing.
    pub search: Vec<Searched>,
    /// What its cells ask of a scheduler. They decide no result.
    pub resources: Resources,
}

/// What a cell asks of a scheduler; what is not said is the scheduler's to choose.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Resources {
    /// Processors, and threads to compute with.
    pub threads: Option<usize>,
    /// Memory in MB.
    pub megabytes: Option<usize>,
    /// Wall minutes.
    pub minutes: Option<usize>,
}

impl Pipeline {
    /// Whether the result is the same for every seed when the whole training part is used.
    pub(crate) fn is_deterministic(&self, catalogues: Catalogues<'_>) -> bool {
        self.search.is_empty() && self.settings.branches.iter().all(|branch| branch.is_deterministic(catalogues))
    }

    /// The pipeline with every default filled in.
    pub(crate) fn meant(&self, catalogues: Catalogues<'_>) -> serde_json::Value {
        let search = self.search.iter().map(|s| (s.target.to_string(), s.domain.meant()));
        let mut meant = self.settings.meant(catalogues);
        meant["name"] = json!(self.name);
        meant["search"] = serde_json::Value::Object(search.collect());
        meant
    }
}

impl Settings {
    /// These settings with some values replaced.
    ///
    /// # Errors
    /// A sentence when a value is of a kind that its setting cannot hold.
    pub(crate) fn with(&self, values: &[(Target, toml::Value)]) -> Result<Self, String> {
        let mut settings = self.clone();
        for (target, value) in values {
            let branch = settings.branches.get_mut(target.branch.unwrap_or(0));
            let branch = branch.ok_or_else(|| format!("there is no {target}"))?;
            branch.set(&target.part, value).ok_or_else(|| format!("there is no {target} that can be {value}"))?;
        }
        Ok(settings)
    }

    pub(crate) fn meant(&self, catalogues: Catalogues<'_>) -> serde_json::Value {
        match &self.branches[..] {
            [only] => only.meant(catalogues),
            several => {
                let branches: Vec<_> = several.iter().map(|branch| branch.meant(catalogues)).collect();
                json!({"fusion": "late", "branches": branches})
            }
        }
    }
}

impl Branch {
    /// Replaces one value; `None` where the settings have no such place.
    fn set(&mut self, part: &Part, value: &toml::Value) -> Option<()> {
        let (table, key) = match part {
            Part::Classifier { key } => (&mut self.classifier.settings, key),
            Part::Feature { index, key } => (&mut self.features.get_mut(*index)?.settings, key),
            Part::Augment { key } => (self.augment.as_mut()?, key),
            Part::Quantise { key } => (self.quantise.as_mut()?, key),
            Part::Reduce { key } => (self.reduce.as_mut()?, key),
            Part::Scale => {
                self.scale = Some(scaling(value.as_str()?).ok()?);
                return Some(());
            }
        };
        table.insert(key.clone(), value.clone());
        Some(())
    }

    fn is_deterministic(&self, catalogues: Catalogues<'_>) -> bool {
        let built = (self.extractor(catalogues), self.learner(catalogues));
        let (Ok(extractor), Ok(classifier)) = built else { return false };
        // Codebooks of codes start at drawn rows.
        self.quantise.is_none() && extractor.is_deterministic() && classifier.is_deterministic()
    }

    /// The extractor that these settings describe.
    pub(crate) fn extractor(&self, catalogues: Catalogues<'_>) -> Result<Concatenated, String> {
        let parts: Result<Vec<Box<dyn Extractor>>, String> = self
            .features
            .iter()
            .map(|step| {
                let entry = catalogues.extractor(&step.kind).ok_or_else(|| format!("no feature {}", step.kind))?;
                (entry.parse)(&step.settings).map_err(|problems| sentence(&problems))
            })
            .collect();
        Ok(Concatenated(parts?))
    }

    /// The classifier that these settings describe.
    pub(crate) fn learner(&self, catalogues: Catalogues<'_>) -> Result<Box<dyn Classifier>, String> {
        let kind = &self.classifier.kind;
        let entry = catalogues.classifier(kind).ok_or_else(|| format!("no classifier {kind}"))?;
        (entry.parse)(&self.classifier.settings).map_err(|problems| sentence(&problems))
    }

    /// What training sees of images.
    pub(crate) fn augmentation(&self) -> Result<Augmentation, String> {
        self.augment.as_ref().map_or(Ok(Augmentation::default()), augmentation)
    }

    /// What is done to scaled rows.
    pub(crate) fn reduction(&self) -> Result<Option<Reduction>, String> {
        self.reduce.as_ref().map(reduction).transpose()
    }

    /// How rows are kept as codes.
    pub(crate) fn codes(&self) -> Result<Option<Quantise>, String> {
        self.quantise.as_ref().map(quantise).transpose()
    }

    /// Its features as meant.
    pub(crate) fn features_meant(&self, catalogues: Catalogues<'_>) -> serde_json::Value {
        let features = self.features.iter().map(|step| {
            let resolved = catalogues.extractor(&step.kind).and_then(|e| (e.resolve)(&step.settings).ok());
            step.meant(resolved)
        });
        features.collect()
    }

    fn meant(&self, catalogues: Catalogues<'_>) -> serde_json::Value {
        let resolved =
            catalogues.classifier(&self.classifier.kind).and_then(|e| (e.resolve)(&self.classifier.settings).ok());
        let mut meant = json!({
            "features": self.features_meant(catalogues),
            "scale": name_of(self.scale.unwrap_or_default()),
            "classifier": self.classifier.meant(resolved),
        });
        // Only where they are: cells of experiments without them keep their digests.
        if let (Some(_), Ok(augmentation)) = (&self.augment, self.augmentation()) {
            meant["augment"] = json!(augmentation);
        }
        if let Ok(Some(reduction)) = self.reduction() {
            meant["reduce"] = json!(reduction);
        }
        if let Ok(Some(quantise)) = self.codes() {
            meant["quantise"] = json!(quantise);
        }
        meant
    }
}

/// The augmentation of these settings.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn augmentation(table: &toml::Table) -> Result<Augmentation, String> {
    Augmentation::deserialize(table.clone()).map_err(|e| e.message().to_owned())
}

/// The reduction of these settings.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn reduction(table: &toml::Table) -> Result<Reduction, String> {
    Reduction::deserialize(table.clone()).map_err(|e| e.message().to_owned())
}

/// The codes of these settings.
///
/// # Errors
/// A sentence that says what is wrong.
pub(crate) fn quantise(table: &toml::Table) -> Result<Quantise, String> {
    Quantise::deserialize(table.clone()).map_err(|e| e.message().to_owned())
}

impl Step {
    fn meant(&self, resolved: Option<toml::Table>) -> serde_json::Value {
        let settings = toml::Value::Table(resolved.unwrap_or_else(|| self.settings.clone()));
        json!({"kind": self.kind, "settings": canonical::json(&settings)})
    }
}

/// The scaling of this name.
///
/// # Errors
/// A sentence that names the scalings there are.
pub(crate) fn scaling(name: &str) -> Result<Scaling, String> {
    let deserializer: serde::de::value::StrDeserializer<'_, ValueError> = name.into_deserializer();
    Scaling::deserialize(deserializer).map_err(|e| e.to_string())
}

fn name_of(scaling: Scaling) -> serde_json::Value {
    serde_json::to_value(scaling).unwrap_or_default()
}

fn sentence(problems: &[ParamError]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Combinations to try: all of them in random order when they are no more than `n`, else `n` drawn independently.
pub(crate) fn combinations(search: &[Searched], n: usize, draw: Draw, seed: Seed) -> Vec<Vec<(Target, toml::Value)>> {
    let mut rng = seed.rng();
    if let Some(mut all) = every_combination(search, n) {
        all.shuffle(&mut rng);
        return all;
    }
    if draw == Draw::LowDiscrepancy {
        return spread(search, n, &mut rng);
    }
    let one = |rng: &mut _| search.iter().map(|s| (s.target.clone(), s.domain.draw(rng))).collect();
    (0..n).map(|_| one(&mut rng)).collect()
}

/// Halton's points 1 to n, one prime a setting, all shifted by the same random vector modulo 1.
fn spread(search: &[Searched], n: usize, rng: &mut impl Rng) -> Vec<Vec<(Target, toml::Value)>> {
    let axes: Vec<(u64, f64)> = primes().zip(std::iter::repeat_with(|| rng.r#gen())).take(search.len()).collect();
    let share = |i: usize, (base, shift): (u64, f64)| (radical_inverse(i as u64, base) + shift).fract();
    let point =
        |i: usize| search.iter().zip(&axes).map(|(s, &axis)| (s.target.clone(), s.domain.at(share(i, axis)))).collect();
    (1..=n).map(point).collect()
}

fn primes() -> impl Iterator<Item = u64> {
    (2..).filter(|&n: &u64| (2..n).take_while(|d| d * d <= n).all(|d| n % d != 0))
}

/// The digits of a number in a base, mirrored at the point (van der Corput 1935).
fn radical_inverse(mut number: u64, base: u64) -> f64 {
    let (mut value, mut unit) = (0.0, 1.0 / base as f64);
    while number > 0 {
        value += unit * (number % base) as f64;
        number /= base;
        unit /= base as f64;
    }
    value
}

/// The whole grid, where every domain can be listed and the grid has at most `limit` points.
fn every_combination(search: &[Searched], limit: usize) -> Option<Vec<Vec<(Target, toml::Value)>>> {
    let mut grid = vec![Vec::new()];
    for searched in search {
        let values = searched.domain.listed(limit)?;
        if grid.len().checked_mul(values.len())? > limit {
            return None;
        }
        let longer = grid.iter().flat_map(|point: &Vec<(Target, toml::Value)>| {
            values.iter().map(|value| {
                let mut point = point.clone();
                point.push((searched.target.clone(), value.clone()));
                point
            })
        });
        grid = longer.collect();
    }
    Some(grid)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn searched(key: &str, domain: Domain) -> Searched {
        Searched { target: Target { branch: None, part: Part::Classifier { key: key.to_owned() } }, domain }
    }

    #[test]
    fn draws_stay_inside_their_domain() {
        let mut rng = Seed(3).rng();
        for _ in 0..500 {
            let log = Domain::LogUniform(1e-7, 1e-1).draw(&mut rng).as_float().unwrap();
            assert!((1e-7..=1e-1).contains(&log), "{log}");
            let uniform = Domain::Uniform(-1.0, -0.5).draw(&mut rng).as_float().unwrap();
            assert!((-1.0..=-0.5).contains(&uniform), "{uniform}");
            assert!((2..=4).contains(&Domain::Integer(2, 4).draw(&mut rng).as_integer().unwrap()));
        }
    }

    #[test]
    fn half_of_log_uniform_draws_lie_below_the_geometric_mean() {
        let mut rng = Seed(5).rng();
        let domain = Domain::LogUniform(1e-6, 1e-2);
        let below = (0..2000).filter(|_| domain.draw(&mut rng).as_float().unwrap() < 1e-4).count();
        // Binomial(2000, 1/2): five standard deviations are 112.
        assert!(below.abs_diff(1000) < 112, "{below}");
    }

    #[test]
    fn a_small_grid_is_gone_through_once() {
        let choice = Domain::Choice(vec![toml::Value::Boolean(true), toml::Value::Boolean(false)]);
        let search = [searched("a", Domain::Integer(1, 3)), searched("b", choice)];
        let all = combinations(&search, 6, Draw::Random, Seed(0));
        assert_eq!(all.len(), 6);
        let distinct: std::collections::HashSet<String> = all.iter().map(|point| format!("{point:?}")).collect();
        assert_eq!(distinct.len(), 6);
        assert_eq!(combinations(&search, 5, Draw::Random, Seed(0)).len(), 5);
        assert_eq!(combinations(&search, 5, Draw::Random, Seed(0)), combinations(&search, 5, Draw::Random, Seed(0)));
        assert_ne!(combinations(&search, 5, Draw::Random, Seed(0)), combinations(&search, 5, Draw::Random, Seed(1)));
    }

    #[test]
    fn an_immense_integer_domain_is_drawn_from_and_not_listed() {
        assert!(Domain::Integer(i64::MIN, i64::MAX).listed(16).is_none());
        assert_eq!(
            combinations(&[searched("a", Domain::Integer(i64::MIN, i64::MAX))], 4, Draw::Random, Seed(1)).len(),
            4
        );
    }

    #[test]
    fn scalings_have_their_names() {
        for name in ["none", "center", "global", "standard"] {
            assert_eq!(name_of(scaling(name).unwrap()), json!(name));
        }
        assert!(scaling("standart").unwrap_err().contains("`standard`"));
    }

    #[test]
    fn radical_inverses_are_those_of_the_paper() {
        // scipy.stats.qmc.Halton(d=2, scramble=False).random(5)[1:].
        let found: Vec<(f64, f64)> = (1..5).map(|i| (radical_inverse(i, 2), radical_inverse(i, 3))).collect();
        assert_eq!(found, [(0.5, 1.0 / 3.0), (0.25, 2.0 / 3.0), (0.75, 1.0 / 9.0), (0.125, 4.0 / 9.0)]);
        assert_eq!(primes().take(6).collect::<Vec<_>>(), [2, 3, 5, 7, 11, 13]);
    }

    #[test]
    fn low_discrepancy_points_fill_every_cell_of_a_range_and_depend_on_the_seed() {
        let search = [searched("a", Domain::Uniform(0.0, 1.0)), searched("b", Domain::LogUniform(1e-4, 1.0))];
        let points = combinations(&search, 16, Draw::LowDiscrepancy, Seed(2));
        let mut cells = [0; 8];
        for point in &points {
            cells[((point[0].1.as_float().unwrap() * 8.0) as usize).min(7)] += 1;
        }
        // 16 points of base 2, shifted, put one to three into each of eight equal cells; random ones leave some empty.
        assert!(cells.iter().all(|n| (1..=3).contains(n)), "{cells:?}");
        assert_eq!(points, combinations(&search, 16, Draw::LowDiscrepancy, Seed(2)));
        assert_ne!(points, combinations(&search, 16, Draw::LowDiscrepancy, Seed(3)));
        let wide = [searched("a", Domain::Integer(i64::MIN, i64::MAX))];
        assert_eq!(combinations(&wide, 4, Draw::LowDiscrepancy, Seed(1)).len(), 4);
    }
}
