//! A seeded, stratified split: each class gives the same share of its images to the test part.

use crate::problem::{counted, grouped};
use bakeoff_core::Seed;
use rand::RngCore;

/// Which of `n` images of a class are test images: a share of them, rounded, but at least one and not all. The draw
/// depends on the seed and the class's name alone, so that another class more or less does not change it.
///
/// # Errors
/// What is wrong, when there are fewer than two images.
pub(crate) fn test_images(n: usize, share: f64, seed: Seed, class: &str) -> Result<Vec<bool>, String> {
    if n < 2 {
        let problem = "a split into training and test part needs at least two a class";
        return Err(format!("class `{class}` has {}: {problem}", counted(n, "readable image")));
    }
    let n_test = ((n as f64 * share).round() as usize).clamp(1, n - 1);
    let mut order: Vec<usize> = (0..n).collect();
    let mut rng = seed.derive("folder split").derive(class).rng();
    // Fisher and Yates, written out so that no library's shuffle can change the split.
    for last in (1..n).rev() {
        let other = (u128::from(rng.next_u64()) * (last as u128 + 1)) >> 64;
        order.swap(last, other as usize);
    }
    let mut is_test = vec![false; n];
    order[..n_test].iter().for_each(|&i| is_test[i] = true);
    Ok(is_test)
}

/// Which images are test images, class by class, from the class id of each.
///
/// # Errors
/// What is wrong, when a class has one image.
pub(crate) fn stratify(ids: &[usize], classes: &[String], share: f64, seed: Seed) -> Result<Vec<bool>, String> {
    let mut of_class = vec![Vec::new(); classes.len()];
    for (position, &id) in ids.iter().enumerate() {
        of_class[id].push(position);
    }
    let mut is_test = vec![false; ids.len()];
    for (positions, class) in of_class.iter().zip(classes) {
        for (&position, test) in positions.iter().zip(test_images(positions.len(), share, seed, class)?) {
            is_test[position] = test;
        }
    }
    Ok(is_test)
}

/// What was done, for the notes.
pub(crate) fn told(seed: u64, n_train: usize, n_test: usize, share: f64) -> String {
    let (train, test) = (grouped(n_train as u64), grouped(n_test as u64));
    format!(
        "stratified split, seed {seed}: {train} training and {test} test images, {}% of each class for the test",
        share * 100.0
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(n: usize, share: f64) -> usize {
        test_images(n, share, Seed(0), "cat").unwrap().into_iter().filter(|&test| test).count()
    }

    #[test]
    fn every_class_keeps_images_of_both_parts() {
        assert_eq!(
            [count(10, 0.2), count(2, 0.2), count(2, 0.99), count(3, 0.5), count(1000, 0.125)],
            [2, 1, 1, 2, 125]
        );
        let error = test_images(1, 0.2, Seed(0), "cat").unwrap_err();
        assert!(error.starts_with("class `cat` has 1 readable image: a split"), "{error}");
        assert!(test_images(0, 0.2, Seed(0), "cat").is_err());
    }

    #[test]
    fn the_split_depends_on_seed_and_class_and_is_even() {
        let split = |seed, class| test_images(100, 0.2, Seed(seed), class).unwrap();
        assert_eq!(split(0, "cat"), split(0, "cat"));
        assert_ne!(split(0, "cat"), split(1, "cat"));
        assert_ne!(split(0, "cat"), split(0, "dog"));
        // Over many seeds every image is a test image about as often: 2,000 draws of one in five, sd 18.
        let mut often = [0; 10];
        for seed in 0..2000 {
            let is_test = test_images(10, 0.2, Seed(seed), "cat").unwrap();
            often.iter_mut().zip(is_test).for_each(|(n, test)| *n += i32::from(test));
        }
        assert!(often.iter().all(|n| (n - 400).abs() < 90), "{often:?}");
    }
}
