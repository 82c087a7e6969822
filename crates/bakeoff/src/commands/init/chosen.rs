//! Pipelines that suit the images that were found, and why.

use super::found::Found;

/// A pipeline for these images.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Chosen {
    pub(super) name: &'static str,
    /// Why it is there, in a sentence.
    pub(super) why: String,
    /// Its lines in the file, after the name.
    pub(super) lines: Vec<String>,
}

/// Training images up to which every test image may be compared with all of them.
const MOST_NEIGHBOURS: usize = 20_000;
/// Pixels of a side from which local descriptors have room.
const ROOM_FOR_WORDS: usize = 48;
/// Pixels of a side from which gradients in cells make sense.
const ROOM_FOR_CELLS: usize = 16;
/// Training images from which a dictionary of patches can be learned.
const ENOUGH_FOR_WORDS: usize = 200;
/// Steps of a network's training below which more passes are made.
const ENOUGH_STEPS: usize = 1500;

fn chosen(name: &'static str, why: impl Into<String>, features: &str, classifier: &str) -> Chosen {
    let lines = vec![format!("features = [{features}]"), format!("classifier = {{ {classifier} }}")];
    Chosen { name, why: why.into(), lines }
}

/// Every family that can say something about such images, the plainest first.
pub(super) fn pipelines(found: &Found) -> Vec<Chosen> {
    let mut all = vec![chosen(
        "pixels-softmax",
        "What a linear classifier makes of the pixels as they are: whatever costs more has to beat it.",
        "{ kind = \"pixels\" }",
        "kind = \"softmax\"",
    )];
    if found.n_train() <= MOST_NEIGHBOURS {
        let mut neighbours = chosen(
            "pixels-knn",
            "The most alike training images, for images that are taken in one way, and to see whether near copies are about.",
            "{ kind = \"pixels\" }",
            "kind = \"knn\", k = 5",
        );
        neighbours.lines.insert(1, "scale = \"none\"".to_owned());
        all.push(neighbours);
    }
    all.extend(by_hand(found));
    all.push(network(found));
    all
}

/// Features made by hand, with a linear classifier.
fn by_hand(found: &Found) -> Vec<Chosen> {
    let cell = if found.side() <= 40 { 4 } else { 8 };
    let hog = format!("{{ kind = \"hog\", cell = {cell} }}");
    let color = "{ kind = \"color-histogram\", bins = 4, grid = [2, 2] }";
    let mut all = Vec::new();
    if found.is_colored() {
        all.push(chosen(
            "color-histogram-svm",
            "Colors alone, for classes that differ in them.",
            color,
            "kind = \"svm\"",
        ));
    }
    if found.side() >= ROOM_FOR_CELLS {
        let why = format!("Directions of edges in cells of {cell}×{cell} pixels: shapes, whatever their colors.");
        all.push(chosen("hog-svm", why, &hog, "kind = \"svm\""));
        if found.is_colored() {
            let both = format!("{hog}, {color}");
            all.push(chosen("hog-color-svm", "Shapes and colors side by side.", &both, "kind = \"svm\""));
        }
    }
    if found.side() >= ROOM_FOR_WORDS && found.n_train() >= ENOUGH_FOR_WORDS {
        all.push(chosen(
            "visual-words-svm",
            "Small parts wherever they are: for textures and for things that move about in the picture.",
            "{ kind = \"visual-words\", sample = 50000, codebook = { k = 128 } }",
            "kind = \"svm\"",
        ));
    } else if found.side() >= ROOM_FOR_CELLS && found.n_train() >= ENOUGH_FOR_WORDS {
        all.push(chosen(
            "kmeans-svm",
            "Patches that the images themselves are made of, in the four quarters of the picture (Coates, Lee, Ng 2011).",
            "{ kind = \"kmeans-features\", k = 200, samples = 100000 }",
            "kind = \"svm\"",
        ));
    }
    all
}

/// The network, with as many passes as few images need.
fn network(found: &Found) -> Chosen {
    let batch = if found.n_train() < 2000 { 32 } else { 128 };
    let steps_a_pass = found.n_train().div_ceil(batch).max(1);
    let epochs = ENOUGH_STEPS.div_ceil(steps_a_pass).clamp(10, 100);
    let why = format!(
        "A network on the pixels, which is what the question is about; {epochs} passes, so that it makes {} steps.",
        epochs * steps_a_pass
    );
    let classifier = format!("kind = \"mlp\", hidden = [256], batch = {batch}, epochs = {epochs}");
    let mut network = chosen("mlp-2", why, "{ kind = \"pixels\" }", &classifier);
    network.lines.push(
        "# augment = { flip = true, shift = 2 }   # if a mirrored or moved image is still of its class: helps most with few images"
            .to_owned(),
    );
    network
}

/// The pairs that are worth declaring beforehand: the network against the best bet of those made by hand, and against the plainest.
pub(super) fn comparisons(names: &[&str]) -> Vec<(String, String)> {
    let bets = ["hog-color-svm", "hog-svm", "visual-words-svm", "kmeans-svm", "color-histogram-svm"];
    let mut pairs = Vec::new();
    let mut add = |a: &str, b: &str| {
        if names.contains(&a) && names.contains(&b) {
            pairs.push((a.to_owned(), b.to_owned()));
        }
    };
    let bet = bets.into_iter().find(|bet| names.contains(bet));
    if let Some(bet) = bet {
        add("mlp-2", bet);
    }
    add("mlp-2", "pixels-softmax");
    for words in ["visual-words-svm", "kmeans-svm"] {
        if Some(words) != bet {
            add("mlp-2", words);
        }
    }
    pairs
}

#[cfg(test)]
mod tests {
    use super::super::found::tests::found;
    use super::*;

    fn names(shape: (usize, usize, usize), n: usize) -> Vec<&'static str> {
        pipelines(&found(shape, [n, n])).iter().map(|chosen| chosen.name).collect()
    }

    #[test]
    fn what_is_chosen_depends_on_size_color_and_number() {
        assert_eq!(names((28, 28, 1), 50), ["pixels-softmax", "pixels-knn", "hog-svm", "mlp-2"]);
        assert_eq!(
            names((64, 64, 3), 500),
            [
                "pixels-softmax",
                "pixels-knn",
                "color-histogram-svm",
                "hog-svm",
                "hog-color-svm",
                "visual-words-svm",
                "mlp-2"
            ]
        );
        assert_eq!(names((28, 28, 1), 30_000), ["pixels-softmax", "hog-svm", "kmeans-svm", "mlp-2"]);
        assert_eq!(names((8, 8, 1), 500), ["pixels-softmax", "pixels-knn", "mlp-2"]);
    }

    #[test]
    fn a_network_makes_enough_steps_and_not_too_many_passes() {
        let passes = |n: usize| network(&found((32, 32, 3), [n, n])).lines[1].clone();
        // 40 images are 2 steps of 32; 2,000 are 16 of 128; 60,000 are 469.
        assert!(passes(20).contains("batch = 32, epochs = 100"), "{}", passes(20));
        assert!(passes(1000).contains("batch = 128, epochs = 94"), "{}", passes(1000));
        assert!(passes(30_000).contains("batch = 128, epochs = 10"), "{}", passes(30_000));
    }

    #[test]
    fn comparisons_name_what_is_there() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(comparisons(&["pixels-softmax", "mlp-2"]), [pair("mlp-2", "pixels-softmax")]);
        assert_eq!(
            comparisons(&["pixels-softmax", "hog-svm", "kmeans-svm", "mlp-2"]),
            [pair("mlp-2", "hog-svm"), pair("mlp-2", "pixels-softmax"), pair("mlp-2", "kmeans-svm")]
        );
        assert_eq!(comparisons(&["pixels-softmax"]), []);
    }
}
