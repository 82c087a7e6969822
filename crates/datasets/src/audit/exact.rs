//! Images with the same pixels.

use bakeoff_core::parallel;
use std::hash::{DefaultHasher, Hasher};

/// Groups of images with the same bytes, each in the order of the images; the groups in the order of their first image.
/// An image that is like no other is a group of its own.
pub(super) fn groups(images: &[&[u8]]) -> Vec<Vec<u32>> {
    let hash = |image: &&[u8]| {
        // Without a random key: the same on every run. The bytes themselves decide below.
        let mut hasher = DefaultHasher::new();
        hasher.write(image);
        hasher.finish()
    };
    let mut hashed: Vec<(u64, u32)> = parallel::map(images.iter().collect(), hash).into_iter().zip(0..).collect();
    hashed.sort_unstable();
    let mut groups: Vec<Vec<u32>> = Vec::with_capacity(images.len());
    for run in hashed.chunk_by(|a, b| a.0 == b.0) {
        let start = groups.len();
        for &(_, i) in run {
            let is_same = |group: &Vec<u32>| images[group[0] as usize] == images[i as usize];
            match groups[start..].iter().position(is_same) {
                Some(position) => groups[start + position].push(i),
                None => groups.push(vec![i]),
            }
        }
    }
    groups.sort_unstable();
    groups
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_with_the_same_bytes_are_one_group() {
        let images: Vec<&[u8]> = vec![b"aa", b"bb", b"aa", b"cc", b"aa", b"bb"];
        assert_eq!(groups(&images), [vec![0, 2, 4], vec![1, 5], vec![3]]);
        assert!(groups(&[]).is_empty());
    }
}
