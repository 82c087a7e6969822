//! Parts of a dataset put together and checked: what every reader does last.

use crate::problem;
use bakeoff_core::{Images, Labelled, Labels, LoadError};
use ndarray::{Array1, Array4};
use std::path::Path;

/// Images with labels from bytes that are already known to fit (n, height, width, channels).
pub(crate) fn labelled(
    path: &Path,
    pixels: Vec<u8>,
    shape: (usize, usize, usize, usize),
    ids: Vec<usize>,
    n_classes: usize,
) -> Result<Labelled, LoadError> {
    let (found, n_images, n_labels) = (pixels.len(), shape.0, ids.len());
    let pixels = Array4::from_shape_vec(shape, pixels)
        .map_err(|_| problem::unusable(path, format!("{found} bytes do not fill images of shape {shape:?}")))?;
    let labels = Labels::new(Array1::from(ids), n_classes)?;
    Labelled::new(Images::new(pixels)?, labels)
        .ok_or_else(|| problem::unusable(path, format!("{n_images} images and {n_labels} labels: one label an image")))
}

/// Checks that this is a dataset: two classes or more, each with a training image, and something to test on.
///
/// # Errors
/// [`LoadError::Unusable`] naming the class.
pub(crate) fn check(path: &Path, classes: &[String], train: &Labels, test: &Labels) -> Result<(), LoadError> {
    if classes.len() < 2 {
        let found = classes.first().map_or("none".to_owned(), |name| format!("only `{name}`"));
        return Err(problem::unusable(path, format!("expected at least two classes, found {found}")));
    }
    if test.is_empty() {
        return Err(problem::unusable(path, "the test part has no images"));
    }
    let empty: Vec<_> = empty_classes(classes, train).map(|name| format!("`{name}`")).collect();
    match empty.as_slice() {
        [] => Ok(()),
        [one] => Err(problem::unusable(path, format!("class {one} has no training image"))),
        more => Err(problem::unusable(path, format!("classes {} have no training image", first_few(more)))),
    }
}

/// The first ten of a list, and how many more there are.
pub(crate) fn first_few(names: &[String]) -> String {
    const NAMED: usize = 10;
    let few = names.iter().take(NAMED).cloned().collect::<Vec<_>>().join(", ");
    match names.len().saturating_sub(NAMED) {
        0 => few,
        more => format!("{few} and {more} more"),
    }
}

/// What a reader should know of classes that the test part lacks.
pub(crate) fn note_on_test(classes: &[String], test: &Labels) -> Option<String> {
    let missing: Vec<String> = empty_classes(classes, test).cloned().collect();
    (!missing.is_empty()).then(|| format!("the test part has no image of class {}", first_few(&missing)))
}

fn empty_classes<'a>(classes: &'a [String], labels: &Labels) -> impl Iterator<Item = &'a String> {
    classes.iter().zip(labels.counts()).filter(|(_, count)| *count == 0).map(|(name, _)| name)
}

/// Class names "0", "1", … for sets that bring none.
pub(crate) fn numbered(n_classes: usize) -> Vec<String> {
    (0..n_classes).map(|id| id.to_string()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    fn problem_of(classes: &[&str], train: Array1<usize>, test: Array1<usize>) -> String {
        let classes: Vec<String> = classes.iter().map(ToString::to_string).collect();
        let [train, test] = [train, test].map(|ids| Labels::new(ids, classes.len()).unwrap());
        check(Path::new("set"), &classes, &train, &test).err().map_or_else(String::new, |e| e.to_string())
    }

    #[test]
    fn a_set_without_two_filled_classes_is_refused() {
        assert_eq!(problem_of(&["a", "b"], array![0, 1], array![0]), "");
        assert!(problem_of(&["a"], array![0], array![0]).contains("at least two classes, found only `a`"));
        assert!(problem_of(&[], array![], array![]).contains("found none"));
        assert!(problem_of(&["a", "b", "c"], array![0], array![0]).contains("classes `b`, `c` have no training image"));
        assert!(problem_of(&["a", "b"], array![0, 1], array![]).contains("test part has no images"));
    }

    #[test]
    fn classes_that_the_test_part_lacks_are_told() {
        let classes = numbered(3);
        let lacking = Labels::new(array![1], 3).unwrap();
        assert_eq!(note_on_test(&classes, &lacking).unwrap(), "the test part has no image of class 0, 2");
        assert_eq!(note_on_test(&classes, &Labels::new(array![0, 1, 2], 3).unwrap()), None);
    }
}
