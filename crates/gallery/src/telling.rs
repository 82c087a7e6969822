//! Images that only one family of pipelines gets right, and images that nobody gets right.

use crate::families::Family;
use crate::png::picture;
use bakeoff_core::ImagesView;
use bakeoff_report::{Gallery, Picture};
use bakeoff_results::words::grouped;
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
    let place = |name: &String| answers.pipelines.iter().position(|p| p.name == *name);
    let places = |family: &Family| family.pipelines.iter().filter_map(place).collect::<Vec<usize>>();
    let right = |place: &usize| {
        answers.pipelines[*place].right.iter().sum::<usize>() as f64 / answers.pipelines[*place].seeds as f64
    };
    let best_first = |family: &Family| {
        let mut places = places(family);
        places.sort_by(|a, b| right(b).total_cmp(&right(a)));
        places
    };
    let families: Vec<(&Family, Vec<usize>)> =
        families.iter().map(|family| (family, best_first(family))).filter(|(_, places)| !places.is_empty()).collect();
    let teller =
        Teller { run, answers, scores, test, families: families.iter().map(|(_, places)| places.clone()).collect() };
    let mut galleries = Vec::new();
    for (family, places) in families.iter().filter(|_| families.len() > 1) {
        let images = answers.only(places);
        let who = match family.pipelines.as_slice() {
            [only] => only.clone(),
            several => format!("at least one of the {} ({})", family.name, several.join(", ")),
        };
        let caption = format!(
            "{} that {who} gets right with every seed, and no other kind of pipeline with any{}. Under each its class, then the most \
             accurate of those that are right and of each other kind, with what it takes the image for. {SCORES}",
            counted(images.len()),
            first_of(images.len()),
        );
        galleries.push(teller.gallery(&format!("Right only with {}", family.name), caption, &images));
    }
    let nobody = answers.nobody();
    let suspects = teller.suspects(&nobody);
    let rest: Vec<usize> = nobody.iter().copied().filter(|image| !suspects.contains(image)).collect();
    let under =
        if families.len() > 1 { "the most accurate pipeline of each kind" } else { "the most accurate pipeline" };
    let under = format!("Under each its class, and what {under} takes it for. {SCORES}");
    let caption = format!(
        "{} that every pipeline takes for the same other class with every seed. That is what wrong labels look like, and hard images \
         too: a suspicion and no proof. The figures above count them as they are labelled. Those come first whose scores prefer that class \
         most{}. {under}",
        counted(suspects.len()),
        first_of(suspects.len()),
    );
    galleries.push(teller.gallery("Suspected label errors", caption, &suspects));
    let wrong = match answers.pipelines.as_slice() {
        [only] => format!("that {} gets wrong with every seed", only.name),
        _ if suspects.is_empty() => "that no pipeline gets right with any seed".to_owned(),
        _ => format!(
            "that no pipeline gets right with any seed, and on which they do not agree ({} more, on which all agree, stand under the \
             suspected label errors)",
            grouped(suspects.len())
        ),
    };
    let caption = format!("{} {wrong}{}. {under}", counted(rest.len()), first_of(rest.len()));
    galleries.push(teller.gallery("Wrong with every pipeline", caption, &rest));
    galleries.retain(|gallery| !gallery.pictures.is_empty());
    galleries
}

/// The sentence on what stands in brackets.
const SCORES: &str = "Its score stands in brackets; every pipeline has a scale of its own.";

fn counted(n: usize) -> String {
    if n == 1 { "1 test image".to_owned() } else { format!("{} test images", grouped(n)) }
}

fn first_of(n: usize) -> String {
    if n > SHOWN { format!("; {SHOWN} of them are shown") } else { String::new() }
}

/// A score with two decimals and a true minus sign.
fn signed(score: f32) -> String {
    format!("{score:.2}").replace('-', "−")
}

struct Teller<'a> {
    run: &'a Run,
    answers: &'a Answers,
    scores: &'a Scores,
    test: ImagesView<'a>,
    /// The places of the pipelines of each family, the most accurate first.
    families: Vec<Vec<usize>>,
}

impl Teller<'_> {
    /// Of images that nobody gets right, those that all pipelines take for the same class, those first whose scores prefer it most to their
    /// label. Pipelines of one family err alike, so there must be two families at least.
    fn suspects(&self, nobody: &[usize]) -> Vec<usize> {
        let all_agree = |image: &&usize| self.classes_said(**image).len() == 1;
        let mut suspects: Vec<usize> = nobody.iter().filter(all_agree).copied().collect();
        if self.families.len() < 2 {
            return Vec::new();
        }
        // Scores of different pipelines have no common scale: each pipeline ranks the images, and the ranks are summed.
        let mut ranks: BTreeMap<usize, usize> = suspects.iter().map(|&image| (image, 0)).collect();
        for pipeline in &self.answers.pipelines {
            let margin = |image: usize| {
                let said = self.score(&pipeline.name, image, pipeline.class[image]);
                Some(said? - self.score(&pipeline.name, image, *self.answers.labels.get(image)?)?)
            };
            let mut margins: Vec<(usize, f32)> =
                suspects.iter().filter_map(|&image| Some((image, margin(image)?))).collect();
            margins.sort_by(|a, b| b.1.total_cmp(&a.1));
            for (rank, (image, _)) in margins.iter().enumerate() {
                ranks.entry(*image).and_modify(|sum| *sum += rank);
            }
        }
        suspects.sort_by_key(|image| ranks.get(image).copied());
        suspects
    }

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
        let alt = format!("test image {image}, a {truth}, taken for {}", said.join("; "));
        let told = self.families.iter().filter_map(|family| self.telling_one(family, image));
        let best: Vec<String> = told.map(|place| self.by(place, image)).collect();
        let caption = format!("{truth}\n{}", best.join("\n"));
        picture(self.test.image(image), self.test.shape(), alt, caption)
    }

    /// The pipeline of a family, the most accurate first, that a caption tells of: the first that is right with every seed, or the first.
    fn telling_one(&self, family: &[usize], image: usize) -> Option<usize> {
        let is_right = |place: &&usize| {
            let pipeline = &self.answers.pipelines[**place];
            pipeline.right[image] == pipeline.seeds
        };
        family.iter().find(is_right).or(family.first()).copied()
    }

    /// "hog-svm: coat (2.31)": what a pipeline took the image for, with its score where scores are kept.
    fn by(&self, place: usize, image: usize) -> String {
        let pipeline = &self.answers.pipelines[place];
        let class = pipeline.class[image];
        let score =
            self.score(&pipeline.name, image, class).map_or_else(String::new, |score| format!(" ({})", signed(score)));
        format!("{}: {}{score}", pipeline.name, self.class(class))
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
            score.map_or_else(|| name.to_owned(), |score| format!("{name} (score {})", signed(score)))
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

#[cfg(test)]
mod tests {
    use super::*;
    use bakeoff_core::Images;
    use bakeoff_results::PipelineAnswers;
    use ndarray::Array4;

    fn run(classes: &[&str]) -> Run {
        let json = serde_json::json!({
            "name": "r", "question": "", "as_written": "", "as_meant": "{}", "digest": "", "pipelines": ["a", "b"],
            "comparisons": [], "confidence": 0.95, "equivalence": 0.005,
            "dataset": {
                "name": "d", "sha256": "", "classes": classes, "shape": [2, 2, 1], "train_counts": [], "test_counts": [],
                "test_labels": [0, 1, 1], "notes": [], "files": [],
            },
            "host": {
                "cpu": "", "cores": 1, "threads": 1, "simd": "", "memory_mb": 0, "os": "", "version": "", "commit": "",
            },
        });
        serde_json::from_value(json).unwrap()
    }

    #[test]
    fn images_come_with_what_was_said_of_them() {
        let of = |name: &str, right: [usize; 3], class: [usize; 3]| PipelineAnswers {
            name: name.to_owned(),
            seeds: 1,
            right: right.to_vec(),
            class: class.to_vec(),
        };
        let answers = Answers {
            labels: vec![0, 1, 1],
            pipelines: vec![of("a", [1, 0, 0], [0, 0, 0]), of("b", [0, 1, 0], [1, 1, 0])],
        };
        let family = |name, pipeline: &str| Family { name, pipelines: vec![pipeline.to_owned()] };
        let families = [family("networks", "a"), family("linear classifiers", "b")];
        let scores = Scores::from([("a".to_owned(), vec![2.0, 1.0, 3.0, f32::NAN, 0.5, 0.0])]);
        let images = Images::new(Array4::zeros((3, 2, 2, 1))).unwrap();
        let galleries = telling(&run(&["cat", "<b>"]), &answers, &families, &scores, images.view());
        let captions: Vec<&str> = galleries.iter().map(|g| g.pictures[0].caption.as_str()).collect();
        assert_eq!(
            captions,
            ["cat\na: cat (2.00)\nb: <b>", "<b>\na: cat (3.00)\nb: <b>", "<b>\na: cat (0.50)\nb: cat"]
        );
        assert!(
            galleries[2].title == "Suspected label errors"
                && galleries[2].caption.starts_with("1 test image that every pipeline")
        );
        // Images of another number are those of other data.
        assert!(telling(&run(&["cat", "dog"]), &answers, &families, &scores, images.view().range(0, 2)).is_empty());
    }

    #[test]
    fn captions_of_a_family_name_the_one_that_is_right() {
        let of = |name: &str, right: [usize; 3], class: [usize; 3]| PipelineAnswers {
            name: name.to_owned(),
            seeds: 2,
            right: right.to_vec(),
            class: class.to_vec(),
        };
        // a is right more often than b, but not on image 0; c, of another family, is wrong there.
        let pipelines =
            vec![of("a", [0, 2, 2], [1, 1, 1]), of("b", [2, 0, 0], [0, 0, 0]), of("c", [0, 2, 2], [1, 1, 1])];
        let answers = Answers { labels: vec![0, 1, 1], pipelines };
        let families = [
            Family { name: "linear classifiers", pipelines: vec!["a".to_owned(), "b".to_owned()] },
            Family { name: "networks", pipelines: vec!["c".to_owned()] },
        ];
        let images = Images::new(Array4::zeros((3, 2, 2, 1))).unwrap();
        let galleries = telling(&run(&["cat", "dog"]), &answers, &families, &Scores::new(), images.view());
        assert_eq!(galleries.len(), 1);
        assert_eq!(galleries[0].pictures[0].caption, "cat\nb: cat\nc: dog");
        let told = "1 test image that at least one of the linear classifiers (a, b) gets right with every seed, and no other kind of pipeline with any.";
        assert!(galleries[0].caption.starts_with(told), "{}", galleries[0].caption);
    }

    #[test]
    fn suspects_are_what_all_take_for_the_same_other_class() {
        let of = |name: &str, class: [usize; 4]| PipelineAnswers {
            name: name.to_owned(),
            seeds: 1,
            right: vec![0; 4],
            class: class.to_vec(),
        };
        // Both are wrong on all four images; on the third they do not agree.
        let answers =
            Answers { labels: vec![0, 0, 0, 0], pipelines: vec![of("a", [1, 1, 1, 2]), of("b", [1, 1, 2, 2])] };
        let family = |name, pipeline: &str| Family { name, pipelines: vec![pipeline.to_owned()] };
        let families = [family("networks", "a"), family("linear classifiers", "b")];
        // Of images 0, 1 and 3 both scores prefer the wrong class most on image 3, least on image 0.
        let scores = |last: f32| vec![0.0, 1.0, 0.0, 0.0, 2.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, last];
        let scores = Scores::from([("a".to_owned(), scores(3.0)), ("b".to_owned(), scores(9.0))]);
        let images = Images::new(Array4::zeros((4, 2, 2, 1))).unwrap();
        let run = run(&["cat", "dog", "eel"]);
        let galleries = telling(&run, &answers, &families, &scores, images.view());
        let told = |title: &str| -> Vec<String> {
            let gallery = galleries.iter().find(|gallery| gallery.title == title);
            gallery
                .into_iter()
                .flat_map(|g| &g.pictures)
                .map(|p| p.alt.split(',').next().unwrap_or("").to_owned())
                .collect()
        };
        assert_eq!(told("Suspected label errors"), ["test image 3", "test image 1", "test image 0"]);
        assert_eq!(told("Wrong with every pipeline"), ["test image 2"]);
        // One family alone gives no reason to suspect a label.
        let one = [Family { name: "networks", pipelines: vec!["a".to_owned(), "b".to_owned()] }];
        let galleries = telling(&run, &answers, &one, &scores, images.view());
        assert_eq!(galleries.iter().map(|g| g.title.as_str()).collect::<Vec<_>>(), ["Wrong with every pipeline"]);
        assert_eq!(galleries[0].pictures.len(), 4);
        // Nothing is said of agreement that was not looked for.
        assert!(
            galleries[0].caption.starts_with("4 test images that no pipeline gets right with any seed. "),
            "{}",
            galleries[0].caption
        );
        let alone = Answers { pipelines: answers.pipelines[..1].to_vec(), ..answers.clone() };
        let galleries = telling(&run, &alone, &one, &scores, images.view());
        assert!(
            galleries[0].caption.starts_with("4 test images that a gets wrong with every seed. "),
            "{}",
            galleries[0].caption
        );
    }
}
