//! Which pictures look the same.
//!
//! Pairs whose hashes differ in at most 11 of 64 bits are found by multi-index hashing (Norouzi, Punjani, Fleet 2012, Fast
//! search in Hamming space with multi-index hashing): of four bands of 16 bits, at least one differs in two bits or
//! fewer, so only the 137 buckets around each band are looked at, and every such pair is found. A pair is near when its
//! difference 1 − ρ is also at most the least of three bounds:
//!
//! - 0.1;
//! - a tenth of what images of the set differ from the one that is most like them, the upper quartile over 128 images: in a
//!   set of garments before the same ground everything is alike, and only what stands out from that is a copy;
//! - a quarter of the median difference to the pictures of like hash, where there are 50 or more of these: such
//!   a crowd is a kind of picture (trousers), not a picture.

use super::picture::Pictures;
use bakeoff_core::parallel;

/// Bits in which hashes may differ.
const RADIUS: u32 = 11;
const BANDS: u32 = 4;
const BAND_BITS: u32 = 16;
/// Bits in which one band at least differs at most: ⌊11 / 4⌋.
const BAND_RADIUS: u32 = 2;
/// The difference that no near pair exceeds.
const MOST: f32 = 0.1;
/// Images whose nearest one is looked for among all.
const SAMPLE: usize = 128;
/// The share of the usual nearest difference that a near pair may have.
const OF_USUAL: f32 = 0.1;
/// Pictures of like hash that are a crowd, and the share of their median difference.
const CROWD: usize = 50;
const OF_CROWD: f32 = 0.25;
/// Pictures of like hash that are compared with one; of more, those of the nearest hashes.
const MOST_COMPARED: usize = 2000;

/// Two pictures, by position, the first before the second, and their difference.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Near {
    pub(super) a: u32,
    pub(super) b: u32,
    pub(super) difference: f32,
}

/// All near pairs, sorted by position.
pub(super) fn near(pictures: &Pictures) -> Vec<Near> {
    let n = pictures.hashes.len();
    if n < 2 {
        return Vec::new();
    }
    let bound = MOST.min(OF_USUAL * usual(pictures));
    let index = Index::new(&pictures.hashes);
    let found: Vec<(f32, Vec<Near>)> = parallel::map((0..n).collect(), |i| around(pictures, &index, i, bound));
    let in_both = |near: &Near| near.difference <= found[near.b as usize].0;
    found.iter().flat_map(|(_, pairs)| pairs.iter().copied().filter(in_both)).collect()
}

/// The upper quartile of the difference to the most alike picture.
fn usual(pictures: &Pictures) -> f32 {
    let n = pictures.hashes.len();
    let n_sample = n.min(SAMPLE);
    let nearest = |s: usize| {
        let i = s * n / n_sample;
        (0..n).filter(|&j| j != i).map(|j| pictures.difference(i, j)).fold(f32::INFINITY, f32::min)
    };
    let mut sample: Vec<f32> = parallel::map((0..n_sample).collect(), nearest);
    sample.sort_unstable_by(f32::total_cmp);
    sample[(n_sample * 3 / 4).min(n_sample - 1)]
}

/// The bound around a picture, and its near pairs with later ones.
fn around(pictures: &Pictures, index: &Index, i: usize, bound: f32) -> (f32, Vec<Near>) {
    let mut like = index.within(&pictures.hashes, i);
    if like.len() > MOST_COMPARED {
        like.select_nth_unstable(MOST_COMPARED);
        like.truncate(MOST_COMPARED);
    }
    let mut differences: Vec<(u32, f32)> =
        like.into_iter().map(|(_, j)| (j, pictures.difference(i, j as usize))).collect();
    let mut bound = bound;
    if differences.len() >= CROWD {
        let middle = differences.len() / 2;
        let median = differences.select_nth_unstable_by(middle, |a, b| a.1.total_cmp(&b.1).then(a.0.cmp(&b.0))).1.1;
        bound = bound.min(OF_CROWD * median);
    }
    differences.retain(|&(j, difference)| j as usize > i && difference <= bound);
    differences.sort_unstable_by_key(|&(j, _)| j);
    let pair = |(b, difference)| Near { a: i as u32, b, difference };
    (bound, differences.into_iter().map(pair).collect())
}

/// For each band, the pictures of each value of it.
struct Index {
    /// Of each band: where the pictures of a value begin, and the pictures by value.
    bands: Vec<(Vec<u32>, Vec<u32>)>,
    /// What is at most two bits away from 0.
    masks: Vec<u16>,
}

impl Index {
    fn new(hashes: &[u64]) -> Self {
        let masks = (0..=u16::MAX).filter(|mask| mask.count_ones() <= BAND_RADIUS).collect();
        Self { bands: parallel::map((0..BANDS).collect(), |of| sorted(hashes, of)), masks }
    }

    /// (distance, position) of every other picture within the radius, each once.
    fn within(&self, hashes: &[u64], i: usize) -> Vec<(u32, u32)> {
        let mut found = Vec::new();
        for (of, (starts, by_value)) in (0..BANDS).zip(&self.bands) {
            for mask in &self.masks {
                let value = usize::from(band(hashes[i], of) ^ mask);
                for &j in &by_value[starts[value] as usize..starts[value + 1] as usize] {
                    let apart = hashes[i] ^ hashes[j as usize];
                    let distance = apart.count_ones();
                    // The first band that is near finds the pair.
                    let is_first = || (0..of).all(|before| band(apart, before).count_ones() > BAND_RADIUS);
                    if distance <= RADIUS && j as usize != i && is_first() {
                        found.push((distance, j));
                    }
                }
            }
        }
        found
    }
}

fn band(hash: u64, of: u32) -> u16 {
    (hash >> (of * BAND_BITS)) as u16
}

/// Positions by the value of a band, by counting.
fn sorted(hashes: &[u64], of: u32) -> (Vec<u32>, Vec<u32>) {
    let mut starts = vec![0u32; (1 << BAND_BITS) + 1];
    hashes.iter().for_each(|&hash| starts[usize::from(band(hash, of)) + 1] += 1);
    for value in 1..starts.len() {
        starts[value] += starts[value - 1];
    }
    let mut next = starts.clone();
    let mut by_value = vec![0u32; hashes.len()];
    for (i, &hash) in hashes.iter().enumerate() {
        let place = &mut next[usize::from(band(hash, of))];
        by_value[*place as usize] = i as u32;
        *place += 1;
    }
    (starts, by_value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::Seed;
    use rand::RngCore;

    #[test]
    fn the_index_finds_what_comparing_all_finds() {
        let mut rng = Seed(3).rng();
        // Around a few centres, so that all distances occur.
        let centres: Vec<u64> = (0..8).map(|_| rng.next_u64()).collect();
        let hashes: Vec<u64> =
            (0..400).map(|i| centres[i % 8] ^ (rng.next_u64() & rng.next_u64() & rng.next_u64())).collect();
        let index = Index::new(&hashes);
        let mut seen = [false; 12];
        for i in 0..hashes.len() {
            let mut found = index.within(&hashes, i);
            found.sort_unstable();
            let distance = |j: usize| (hashes[i] ^ hashes[j]).count_ones();
            let mut all: Vec<(u32, u32)> = (0..hashes.len())
                .filter(|&j| j != i && distance(j) <= RADIUS)
                .map(|j| (distance(j), j as u32))
                .collect();
            all.sort_unstable();
            found.iter().for_each(|&(distance, _)| seen[distance as usize] = true);
            assert_eq!(found, all);
        }
        assert!(seen[7..].iter().all(|&seen| seen), "{seen:?}");
    }
}
