//! What each pipeline said of each test image: which images tell pipelines apart, and which nobody gets right.

use crate::groups::{groups, sorted};
use crate::row::{Row, Run};
use crate::summary::headline;

/// Answers of every pipeline with a result, at the greatest training size of the run.
#[derive(Debug, Clone, PartialEq)]
pub struct Answers {
    /// The class of every test image.
    pub labels: Vec<usize>,
    /// The pipelines, in the order of the file.
    pub pipelines: Vec<PipelineAnswers>,
}

/// What a pipeline said.
#[derive(Debug, Clone, PartialEq)]
pub struct PipelineAnswers {
    /// The pipeline.
    pub name: String,
    /// Seeds that count.
    pub seeds: usize,
    /// Of each image, with how many seeds it was right.
    pub right: Vec<usize>,
    /// Of each image, the class it was taken for most often; the smallest id among equals.
    pub class: Vec<usize>,
}

/// The answers of a run. Rows without a prediction for every test image are left out.
pub fn answers(run: &Run, rows: &[Row]) -> Answers {
    let rows = sorted(run, rows);
    let groups = groups(&rows);
    let labels = run.dataset.test_labels.clone();
    let pipelines = headline(&groups).into_iter().filter_map(|group| {
        let counted = group.counted().iter().map(|(_, measured)| measured.predicted.as_slice());
        let said: Vec<&[usize]> = counted.filter(|predicted| predicted.len() == labels.len()).collect();
        let of = |i: usize| said.iter().map(move |predicted| predicted[i]);
        (!said.is_empty()).then(|| PipelineAnswers {
            name: group.pipeline.to_owned(),
            seeds: said.len(),
            right: labels.iter().enumerate().map(|(i, label)| of(i).filter(|id| id == label).count()).collect(),
            class: (0..labels.len()).map(|i| most_often(of(i).collect())).collect(),
        })
    });
    Answers { pipelines: pipelines.collect(), labels }
}

fn most_often(mut ids: Vec<usize>) -> usize {
    ids.sort_unstable();
    let runs = ids.chunk_by(|a, b| a == b);
    // The first of the longest: `max_by_key` would give the last.
    let best = runs.reduce(|best, next| if next.len() > best.len() { next } else { best });
    best.and_then(|run| run.first().copied()).unwrap_or(0)
}

impl Answers {
    /// Images that a pipeline of this family gets right with every seed, and no pipeline outside it with any. A family is
    /// the places of its pipelines in the list.
    pub fn only(&self, family: &[usize]) -> Vec<usize> {
        let (ours, others): (Vec<_>, Vec<_>) =
            self.pipelines.iter().enumerate().partition(|(place, _)| family.contains(place));
        let told =
            |&i: &usize| ours.iter().any(|(_, p)| p.right[i] == p.seeds) && others.iter().all(|(_, p)| p.right[i] == 0);
        if others.is_empty() { Vec::new() } else { (0..self.labels.len()).filter(told).collect() }
    }

    /// Images that no pipeline gets right with any seed, those on whose class most agree first.
    pub fn nobody(&self) -> Vec<usize> {
        let wrong = |&i: &usize| !self.pipelines.is_empty() && self.pipelines.iter().all(|p| p.right[i] == 0);
        let mut images: Vec<usize> = (0..self.labels.len()).filter(wrong).collect();
        images.sort_by_key(|&i| std::cmp::Reverse(self.agreeing(i)));
        images
    }

    /// Pipelines that take the image for the class that most take it for.
    fn agreeing(&self, image: usize) -> usize {
        let said: Vec<usize> = self.pipelines.iter().map(|p| p.class[image]).collect();
        let most = most_often(said.clone());
        said.iter().filter(|&&id| id == most).count()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(name: &str, right: &[usize], class: &[usize]) -> PipelineAnswers {
        PipelineAnswers { name: name.to_owned(), seeds: 2, right: right.to_vec(), class: class.to_vec() }
    }

    #[test]
    fn images_that_tell_families_apart() {
        let pipelines = vec![
            of("a", &[2, 2, 0, 0, 0], &[0, 0, 1, 1, 1]),
            of("b", &[1, 0, 0, 0, 0], &[0, 1, 1, 1, 2]),
            of("c", &[0, 1, 0, 2, 0], &[1, 0, 1, 0, 3]),
        ];
        let answers = Answers { labels: vec![0; 5], pipelines };
        assert_eq!(answers.only(&[0, 1]), [0], "c was right once about image 1");
        assert_eq!(answers.only(&[2]), [3]);
        assert_eq!(answers.only(&[0, 1, 2]), Vec::<usize>::new(), "without others nothing is told apart");
        assert_eq!(answers.nobody(), [2, 4], "all three agree on image 2");
    }

    #[test]
    fn the_first_of_the_most_frequent() {
        assert_eq!(most_often(vec![3, 1, 3, 1]), 1);
        assert_eq!(most_often(vec![3, 1, 3]), 3);
        assert_eq!(most_often(Vec::new()), 0);
    }
}
