//! What should be known of a dataset before anybody believes a figure on it: images that are there twice or nearly so,
//! within the parts and across them, with the same label or another; constant and unreadable images; how evenly the classes are
//! filled.
//!
//! *Exact* duplicates have the same pixels. *Near* ones look the same: their perceptual hashes differ in at most 11 of 64
//! bits and their pixels, averaged to 16×16, in at most a tenth of their variance, less in sets whose images are all alike;
//! `audit/picture.rs` and `audit/search.rs` have the formulas. The bounds were chosen by looking at pairs. On CIFAR-10 (test against training
//! images) those with a correlation of 0.93 to 0.95 and 11 bits or fewer between them were copies with other colors, crops or
//! compression, and those further apart in bits were different aeroplanes before the same sky. On
//! Fashion-MNIST a correlation of 0.95 says nothing (two thirds of the test images have such a training image), which the
//! bounds that follow the set are for. Copies that are mirrored, turned or moved by more than a few pixels are not found.
//!
//! All counts and pairs are the same on any number of threads.

mod exact;
mod picture;
mod search;

use bakeoff_core::{Labelled, Splits};
use picture::{Pictures, Reduction};
use search::Near;

/// Pairs that are listed.
pub const MOST_PAIRS: usize = 1000;
/// Pairs that one group of equal images lists.
const MOST_OF_GROUP: usize = 100;

/// What was found in a dataset.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Audit {
    /// Images with the same pixels.
    pub exact: Duplicates,
    /// Images that look the same and are not.
    pub near: Duplicates,
    /// Pairs of either kind, within parts or across, whose labels differ.
    pub conflicts: usize,
    /// Images that have one color all over.
    pub constant: usize,
    /// Images that could not be read and were left out.
    pub unreadable: usize,
    /// How evenly the training part is filled.
    pub balance: Balance,
    /// Whether near duplicates were looked for: not in images with a side under 8 pixels.
    pub near_searched: bool,
    /// Pairs, at most [`MOST_PAIRS`]: those across parts first, then those with different labels, equal ones before near
    /// ones, the most alike first.
    pub pairs: Vec<Pair>,
}

/// Numbers of duplicates. Validation images count as training images: both are seen before the test.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Duplicates {
    /// Pairs within the training part.
    pub train: usize,
    /// Pairs within the test part.
    pub test: usize,
    /// Test images with a duplicate in the training part. An image with an exact one does not count among the near ones.
    pub across: usize,
}

/// The least and the greatest class of the training part.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Balance {
    /// Training images of the class that has the fewest.
    pub least: usize,
    /// Its class id, the first of several.
    pub least_class: usize,
    /// Training images of the class that has the most.
    pub most: usize,
    /// Its class id, the first of several.
    pub most_class: usize,
}

/// Two images that are the same or look so; `a` comes first in the order of training, validation and test part.
#[derive(Debug, Clone, PartialEq)]
pub struct Pair {
    /// Whether all pixels are the same.
    pub exact: bool,
    /// 1 − ρ, where ρ is the correlation of the pixels, averaged to 16×16 or less.
    pub difference: f32,
    /// The one.
    pub a: Place,
    /// The other.
    pub b: Place,
}

/// Where an image is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// Its part.
    pub part: Part,
    /// Its position in that part.
    pub position: usize,
    /// Its class id.
    pub class_id: usize,
    /// What it is called, where it has a name.
    pub name: Option<String>,
}

/// A part of a dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// What is learned from.
    Train,
    /// What is selected on.
    Validation,
    /// What is opened once.
    Test,
}

impl Part {
    /// `train`, `validation` or `test`.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Validation => "validation",
            Self::Test => "test",
        }
    }
}

impl Pair {
    /// Whether one is in the test part and the other is not.
    pub fn is_across(&self) -> bool {
        (self.a.part == Part::Test) != (self.b.part == Part::Test)
    }

    /// Whether the labels differ.
    pub fn is_conflict(&self) -> bool {
        self.a.class_id != self.b.class_id
    }
}

/// Looks at all images of a dataset.
pub fn audit(splits: &Splits) -> Audit {
    let all = All::of(splits);
    let groups: Vec<Group> = exact::groups(&all.images).into_iter().map(|members| Group::new(members, &all)).collect();
    let mut audit = Audit {
        constant: all.images.iter().filter(|image| is_constant(image, all.channels)).count(),
        unreadable: splits.provenance.unreadable.len(),
        balance: balance(&splits.train),
        ..Audit::default()
    };
    let mut pairs = Vec::new();
    for group in groups.iter().filter(|group| group.members.len() > 1) {
        group.count(&mut audit);
        pairs.extend(group.pairs());
    }
    if let Some(reduction) = Reduction::new(splits.train.images().shape()) {
        audit.near_searched = true;
        let first: Vec<&[u8]> = groups.iter().map(|group| all.images[group.members[0] as usize]).collect();
        let pictures = Pictures::of(&first, &reduction);
        let near: Vec<Near> = search::near(&pictures)
            .into_iter()
            .map(|near| Near { a: pictures.ids[near.a as usize], b: pictures.ids[near.b as usize], ..near })
            .collect();
        count_near(&near, &groups, &mut audit);
        pairs.extend(near.iter().map(|near| near_pair(near, &groups)));
    }
    audit.pairs = all.listed(pairs);
    audit
}

/// Every image of a dataset: training, validation, test.
struct All<'a> {
    splits: &'a Splits,
    images: Vec<&'a [u8]>,
    labels: Vec<usize>,
    /// Images before the validation and before the test part.
    starts: [usize; 2],
    channels: usize,
}

impl<'a> All<'a> {
    fn of(splits: &'a Splits) -> Self {
        let parts: Vec<&Labelled> =
            [Some(&splits.train), splits.validation.as_ref(), Some(&splits.test)].into_iter().flatten().collect();
        let n_train = splits.train.len();
        Self {
            splits,
            images: parts.iter().flat_map(|part| part.images().view().iter()).collect(),
            labels: parts.iter().flat_map(|part| part.labels().as_slice()).copied().collect(),
            starts: [n_train, n_train + splits.validation.as_ref().map_or(0, Labelled::len)],
            channels: splits.train.images().shape().2,
        }
    }

    fn place(&self, i: u32) -> Place {
        let i = i as usize;
        let names = &self.splits.provenance.names;
        let (part, position, names) = match self.starts {
            [start, _] if i < start => (Part::Train, i, &names.train),
            [start, end] if i < end => (Part::Validation, i - start, &names.validation),
            [_, end] => (Part::Test, i - end, &names.test),
        };
        Place { part, position, class_id: self.labels[i], name: names.get(position).cloned() }
    }

    /// The pairs that are told, worst first.
    fn listed(&self, mut pairs: Vec<RawPair>) -> Vec<Pair> {
        let is_test = |i: u32| i as usize >= self.starts[1];
        let order = |pair: &RawPair| {
            let is_across = is_test(pair.a) != is_test(pair.b);
            let is_conflict = self.labels[pair.a as usize] != self.labels[pair.b as usize];
            // Differences are at least 0, so that their bits are in their order.
            (!is_across, !is_conflict, !pair.exact, pair.difference.to_bits(), pair.a, pair.b)
        };
        pairs.sort_unstable_by_key(order);
        pairs.truncate(MOST_PAIRS);
        let pair = |raw: RawPair| Pair {
            exact: raw.exact,
            difference: raw.difference,
            a: self.place(raw.a),
            b: self.place(raw.b),
        };
        pairs.into_iter().map(pair).collect()
    }
}

/// A pair by positions in all images, the lower one first.
#[derive(Debug, Clone, Copy)]
struct RawPair {
    exact: bool,
    difference: f32,
    a: u32,
    b: u32,
}

/// Images with the same pixels.
struct Group {
    /// Ascending.
    members: Vec<u32>,
    /// How many of them are not in the test part; they come first.
    n_seen: usize,
    /// (class id, how many), ascending.
    classes: Vec<(usize, usize)>,
}

impl Group {
    fn new(members: Vec<u32>, all: &All<'_>) -> Self {
        let n_seen = members.partition_point(|&i| (i as usize) < all.starts[1]);
        let mut labels: Vec<usize> = members.iter().map(|&i| all.labels[i as usize]).collect();
        labels.sort_unstable();
        let classes = labels.chunk_by(|a, b| a == b).map(|run| (run[0], run.len())).collect();
        Self { members, n_seen, classes }
    }

    fn n_test(&self) -> usize {
        self.members.len() - self.n_seen
    }

    fn count(&self, audit: &mut Audit) {
        let pairs = |n: usize| n * n.saturating_sub(1) / 2;
        audit.exact.train += pairs(self.n_seen);
        audit.exact.test += pairs(self.n_test());
        audit.exact.across += if self.n_seen > 0 { self.n_test() } else { 0 };
        let same: usize = self.classes.iter().map(|&(_, n)| pairs(n)).sum();
        audit.conflicts += pairs(self.members.len()) - same;
    }

    /// Its first image with each of the others.
    fn pairs(&self) -> impl Iterator<Item = RawPair> {
        let pair = |&b: &u32| RawPair { exact: true, difference: 0.0, a: self.members[0], b };
        // Of a large group, those in the test part: its end.
        self.members[1..].iter().rev().take(MOST_OF_GROUP).map(pair)
    }
}

fn count_near(near: &[Near], groups: &[Group], audit: &mut Audit) {
    let mut is_near_across = vec![false; groups.len()];
    for pair in near {
        let (a, b) = (&groups[pair.a as usize], &groups[pair.b as usize]);
        audit.near.train += a.n_seen * b.n_seen;
        audit.near.test += a.n_test() * b.n_test();
        is_near_across[pair.a as usize] |= b.n_seen > 0;
        is_near_across[pair.b as usize] |= a.n_seen > 0;
        let of = |group: &Group, class| group.classes.iter().find(|&&(id, _)| id == class).map_or(0, |&(_, n)| n);
        let same: usize = a.classes.iter().map(|&(class, n)| n * of(b, class)).sum();
        audit.conflicts += a.members.len() * b.members.len() - same;
    }
    let counted = groups.iter().zip(is_near_across).filter(|(group, is_near)| *is_near && group.n_seen == 0);
    audit.near.across = counted.map(|(group, _)| group.n_test()).sum();
}

/// One image of each of two groups, one of them in the test part where that can be.
fn near_pair(near: &Near, groups: &[Group]) -> RawPair {
    let (a, b) = (&groups[near.a as usize], &groups[near.b as usize]);
    let last = |group: &Group| group.members[group.members.len() - 1];
    let (a, b) = if a.n_seen > 0 && b.n_test() > 0 {
        (a.members[0], last(b))
    } else if b.n_seen > 0 && a.n_test() > 0 {
        (last(a), b.members[0])
    } else {
        (a.members[0], b.members[0])
    };
    RawPair { exact: false, difference: near.difference, a: a.min(b), b: a.max(b) }
}

fn is_constant(image: &[u8], channels: usize) -> bool {
    let first = &image[..channels];
    image.chunks_exact(channels).all(|pixel| pixel == first)
}

fn balance(train: &Labelled) -> Balance {
    let counts = train.labels().counts();
    let by_count = |&(_, n): &(usize, &usize)| *n;
    let least = counts.iter().enumerate().min_by_key(by_count);
    // Of several greatest the first: `max_by_key` would give the last.
    let most = counts.iter().enumerate().rev().max_by_key(by_count);
    match (least, most) {
        (Some((least_class, &least)), Some((most_class, &most))) => Balance { least, least_class, most, most_class },
        _ => Balance::default(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::{Images, Labels, Names, Provenance, Seed};
    use ndarray::{Array1, Array4};
    use rand::RngCore;

    const SIDE: usize = 16;

    fn noise(seed: u64) -> Vec<u8> {
        let mut bytes = vec![0; SIDE * SIDE];
        Seed(seed).rng().fill_bytes(&mut bytes);
        bytes
    }

    /// The image, a little darker and with a little noise.
    fn nearly(image: &[u8], seed: u64) -> Vec<u8> {
        image.iter().zip(noise(seed)).map(|(&value, noise)| value / 5 * 4 + noise / 32).collect()
    }

    fn part(images: &[(Vec<u8>, usize)]) -> Labelled {
        let pixels = images.iter().flat_map(|(image, _)| image.clone()).collect();
        let pixels = Array4::from_shape_vec((images.len(), SIDE, SIDE, 1), pixels).unwrap();
        let labels = Labels::new(images.iter().map(|(_, id)| *id).collect::<Array1<usize>>(), 3).unwrap();
        Labelled::new(Images::new(pixels).unwrap(), labels).unwrap()
    }

    fn splits(
        train: &[(Vec<u8>, usize)],
        validation: Option<&[(Vec<u8>, usize)]>,
        test: &[(Vec<u8>, usize)],
    ) -> Splits {
        Splits {
            classes: vec!["a".into(), "b".into(), "c".into()],
            train: part(train),
            validation: validation.map(part),
            test: part(test),
            provenance: Provenance {
                names: Names { test: (0..test.len()).map(|i| format!("test/{i}")).collect(), ..Names::default() },
                unreadable: vec![("x".into(), "cut".into())],
                ..Provenance::default()
            },
        }
    }

    fn planted() -> Splits {
        let mut train: Vec<(Vec<u8>, usize)> = (0..30).map(|seed| (noise(seed), seed as usize % 3)).collect();
        // 0 is there three times in the training part, once with another label.
        train.push((noise(0), 0));
        train.push((noise(0), 1));
        // A near copy of 5 with its label, and a constant image.
        train.push((nearly(&noise(5), 105), 2));
        train.push((vec![7; SIDE * SIDE], 2));
        let mut test: Vec<(Vec<u8>, usize)> = (50..60).map(|seed| (noise(seed), 1)).collect();
        test.push((noise(0), 0));
        test.push((noise(3), 0));
        // Near 4, with another label; near the validation image; and near each other.
        test.push((nearly(&noise(4), 104), 0));
        test.push((nearly(&noise(40), 140), 1));
        test.push((nearly(&noise(51), 151), 1));
        splits(&train, Some(&[(noise(40), 1)]), &test)
    }

    #[test]
    fn what_is_planted_is_found_and_counted() {
        let audit = audit(&planted());
        // 0 three times: 3 pairs. Test images 10 and 11 are copies.
        assert_eq!(audit.exact, Duplicates { train: 3, test: 0, across: 2 });
        assert_eq!(audit.near, Duplicates { train: 1, test: 1, across: 2 });
        // The relabelled copy of 0 against the other three, and the near copy of 4 (class 1) as class 0.
        assert_eq!(audit.conflicts, 3 + 1);
        assert_eq!((audit.constant, audit.unreadable, audit.near_searched), (1, 1, true));
        assert_eq!(audit.balance, Balance { least: 11, least_class: 0, most: 12, most_class: 2 });
        let worst = &audit.pairs[0];
        assert!(worst.is_across() && worst.is_conflict() && !worst.exact, "{worst:?}");
        assert_eq!((worst.a.part, worst.a.position, worst.b.part, worst.b.position), (Part::Train, 4, Part::Test, 12));
        assert_eq!((worst.b.name.as_deref(), &worst.a.name), (Some("test/12"), &None));
        let across: Vec<bool> = audit.pairs.iter().map(Pair::is_across).collect();
        assert_eq!(across, [true, true, true, true, false, false, false, false]);
        assert!(audit.pairs.iter().any(|pair| pair.a.part == Part::Validation && pair.b.position == 13));
    }

    #[test]
    fn the_number_of_threads_changes_nothing() {
        let splits = planted();
        let on = |n| rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap().install(|| audit(&splits));
        assert_eq!(on(1), on(3));
    }

    #[test]
    fn different_images_are_no_duplicates_and_empty_parts_no_trouble() {
        let train: Vec<_> = (0..300).map(|seed| (noise(seed), seed as usize % 3)).collect();
        let clean = audit(&splits(&train, None, &[]));
        assert_eq!((clean.exact, clean.near, clean.conflicts), (Duplicates::default(), Duplicates::default(), 0));
        assert!(clean.pairs.is_empty());
        let none = audit(&splits(&[], None, &[]));
        assert_eq!((none.constant, none.balance.most), (0, 0));
    }

    #[test]
    fn a_crowd_of_like_images_is_not_a_crowd_of_copies() {
        // 100 images of one silhouette with details of their own, and one real copy among them.
        let silhouette = |seed: u64| -> Vec<u8> {
            let own = noise(seed);
            let shade = |i: usize| if (4..12).contains(&(i % SIDE)) { 140 + own[i] / 4 } else { 0 };
            (0..SIDE * SIDE).map(shade).collect()
        };
        let mut train: Vec<_> = (0..100).map(|seed| (silhouette(seed), 0)).collect();
        train.push((nearly(&silhouette(17), 5), 0));
        let audit = audit(&splits(&train, None, &[]));
        let found: Vec<_> = audit.pairs.iter().map(|pair| (pair.a.position, pair.b.position)).collect();
        assert_eq!(found, [(17, 100)], "{:?}", audit.near);
    }
}
