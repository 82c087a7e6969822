//! Images that only one family of pipelines gets right, and images that nobody gets right.

use crate::families::Family;
use crate::png::picture;
use bakeoff_core::ImagesView;
use bakeoff_report::{Gallery, Picture};
use bakeoff_results::{Answers, Run};
use std::collections::BTreeMap;

/// Scores (n, k) of the test images by pipeline, of the seed that was kept.
pub type Scores = BTreeMap<String, Vec<f32>>;

/// Images of each kind that are shown.
const SHOWN: usize = 24;

/// The galleries; those without an image say nothing and are left out.
pub fn telling(
    run: &Run,
    answers: &Answers,
    families: &[Family],
    scores: &Scores,
    test: ImagesView<'_>,
) -> Vec<Gallery> {
    // Pictures beside another order of images would be the pictures of others.
    if test.len() != answers.labels.len() {
        return Vec::new();
    }
    let teller = Teller { run, answers, scores, test };
    let mut galleries = Vec::new();
    if families.len() > 1 {
        for family in families {
            let place = |name: &String| answers.pipelines.iter().position(|p| p.name == *name);
            let places: Vec<usize> = family.pipelines.iter().filter_map(place).collect();
            let images = answers.only(&places);
            let caption = format!(
                "{} test images that {} ({}) get right with every seed and nobody else with any{}.",
                images.len(),
                family.name,
                family.pipelines.join(", "),
                first_of(images.len()),
            );
            galleries.push(teller.gallery(&format!("Right only with {}", family.name), caption, &images));
        }
    }
    let nobody = answers.nobody();
    let caption = format!(
        "{} test images that no pipeline gets right with any seed{}. Those come first that most pipelines take for the same \
         class: some of them may be labelled wrongly.",
        nobody.len(),
        first_of(nobody.len()),
    );
    galleries.push(teller.gallery("Wrong with every pipeline", caption, &nobody));
    galleries.retain(|gallery| !gallery.pictures.is_empty());
    galleries
}

fn first_of(n: usize) -> String {
    if n > SHOWN { format!("; the first {SHOWN}") } else { String::new() }
}

struct Teller<'a> {
    run: &'a Run,
    answers: &'a Answers,
    scores: &'a Scores,
    test: ImagesView<'a>,
}

impl Teller<'_> {
    fn gallery(&self, title: &str, caption: String, images: &[usize]) -> Gallery {
        let pictures = images.iter().take(SHOWN).filter_map(|&image| self.picture(image)).collect();
        Gallery { title: title.to_owned(), caption, pictures }
    }

    fn class(&self, id: usize) -> &str {
        self.run.dataset.classes.get(id).map_or("?", String::as_str)
    }

    fn picture(&self, image: usize) -> Option<Picture> {
        let truth = self.class(*self.answers.labels.get(image)?);
        let said: Vec<String> =
            self.classes_said(image).iter().map(|(class, by)| self.said(image, *class, by)).collect();
        let said = said.join("; ");
        let alt = format!("test image {image}, a {truth}, taken for {said}");
        let caption = format!("{truth}, taken for {said} (test image {image})");
        picture(self.test.image(image), self.test.shape(), alt, caption)
    }

    /// The classes that pipelines took the image for, those of most pipelines first, with the pipelines' places.
    fn classes_said(&self, image: usize) -> Vec<(usize, Vec<usize>)> {
        let mut by_class: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (place, pipeline) in self.answers.pipelines.iter().enumerate() {
            by_class.entry(pipeline.class[image]).or_default().push(place);
        }
        let mut said: Vec<_> = by_class.into_iter().collect();
        said.sort_by_key(|(_, by)| std::cmp::Reverse(by.len()));
        said
    }

    /// "coat by hog-svm (2.31)": a class, who took the image for it, and the first one's score where scores are kept.
    fn said(&self, image: usize, class: usize, by: &[usize]) -> String {
        let named = |place: &usize| {
            let name = self.answers.pipelines[*place].name.as_str();
            let score = self.score(name, image, class);
            score.map_or_else(|| name.to_owned(), |score| format!("{name} (score {score:.2})"))
        };
        let all = by.len() == self.answers.pipelines.len();
        let who = match by {
            _ if all && by.len() > 2 => "all".to_owned(),
            [first, second, _, ..] => format!("{}, {} and {} more", named(first), named(second), by.len() - 2),
            few => few.iter().map(named).collect::<Vec<_>>().join(", "),
        };
        format!("{} by {who}", self.class(class))
    }

    fn score(&self, pipeline: &str, image: usize, class: usize) -> Option<f32> {
        let k = self.run.dataset.classes.len();
        let scores = self.scores.get(pipeline)?;
        scores.get(image.checked_mul(k)?.checked_add(class)?).copied().filter(|score| score.is_finite())
    }
}
