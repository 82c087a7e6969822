//! The datasets that have a name.

use crate::cifar::{CIFAR_10, CIFAR_100, Cifar};
use crate::idx::{IdxFolder, Place};
use crate::shapes::Shapes;
use bakeoff_core::{Card, Dataset, LoadError, RemoteFile};
use std::path::PathBuf;

/// A dataset that can be named.
#[derive(Debug, Clone, Copy)]
pub struct Named {
    /// The name in experiment files and on the command line.
    pub name: &'static str,
    /// The dataset.
    pub open: fn() -> Box<dyn Dataset>,
    /// Folders outside of the cache where a system's package puts it.
    pub system_folders: &'static [&'static str],
}

/// All datasets that can be named.
pub const CATALOGUE: &[Named] = &[
    Named { name: "shapes", open: || Box::new(Shapes::default()), system_folders: &[] },
    Named { name: "fashion-mnist", open: || FASHION_MNIST.open(), system_folders: FASHION_MNIST.system_folders },
    Named { name: "mnist", open: || MNIST.open(), system_folders: &[] },
    Named { name: "kmnist", open: || KMNIST.open(), system_folders: &[] },
    Named { name: "emnist-digits", open: || EMNIST_DIGITS.open(), system_folders: &[] },
    Named { name: "emnist-letters", open: || EMNIST_LETTERS.open(), system_folders: &[] },
    Named { name: "emnist-balanced", open: || EMNIST_BALANCED.open(), system_folders: &[] },
    Named { name: "cifar-10", open: || Box::new(cifar_10()), system_folders: &[] },
    Named { name: "cifar-100", open: || Box::new(cifar_100()), system_folders: &[] },
];

/// The dataset of this name.
pub fn named(name: &str) -> Option<&'static Named> {
    CATALOGUE.iter().find(|known| known.name == name)
}

/// The known name nearest to a word, if one is near.
pub fn nearest(word: &str) -> Option<&'static str> {
    /// Jaro–Winkler similarity below which two words have nothing to do with each other.
    const NEAR: f64 = 0.8;
    let word = word.to_lowercase();
    let near = CATALOGUE.iter().map(|known| (strsim::jaro_winkler(&word, known.name), known.name));
    near.filter(|(similarity, _)| *similarity >= NEAR).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, name)| name)
}

/// All known names as prose.
pub(crate) fn known_names() -> String {
    CATALOGUE.iter().map(|known| known.name).collect::<Vec<_>>().join(", ")
}

/// A named set that is not where it should be.
pub(crate) fn missing(card: &Card, looked_in: Vec<PathBuf>) -> LoadError {
    let hint = if card.files.is_empty() {
        "it is not fetched: put its files there".to_owned()
    } else {
        format!("`bakeoff data fetch {}` gets it", card.name)
    };
    LoadError::Missing { what: format!("dataset `{}`", card.name), looked_in, hint }
}

/// A file to fetch: name, bytes, SHA-256.
type File = (&'static str, u64, &'static str);

/// What is known of a set in IDX files.
struct IdxSet {
    name: &'static str,
    summary: &'static str,
    citation: &'static str,
    licence: &'static str,
    /// Where the files are, up to their names.
    url: &'static str,
    files: &'static [File],
    /// The same files as a distribution packs them: name, bytes, SHA-256.
    repacked: &'static [File],
    system_folders: &'static [&'static str],
    prefix: &'static str,
    classes: &'static [&'static str],
    first_label: u8,
}

impl IdxSet {
    fn open(&self) -> Box<dyn Dataset> {
        let files = self.files.iter().map(|file| self.remote(file)).collect();
        Box::new(IdxFolder {
            card: card(self.name, self.summary, self.citation, self.licence, files),
            place: Place::Known(self.system_folders),
            prefix: Some(self.prefix),
            classes: Some(self.classes),
            first_label: self.first_label,
        })
    }

    fn remote(&self, &(name, bytes, sha256): &File) -> RemoteFile {
        let repacked = self.repacked.iter().filter(|(other, ..)| *other == name);
        RemoteFile {
            name: name.to_owned(),
            url: format!("{}{name}", self.url),
            bytes,
            sha256: sha256.to_owned(),
            repacked: repacked.map(|&(_, bytes, sha256)| (bytes, sha256.to_owned())).collect(),
        }
    }
}

fn card(name: &str, summary: &str, citation: &str, licence: &str, files: Vec<RemoteFile>) -> Card {
    Card {
        name: name.to_owned(),
        summary: summary.to_owned(),
        citation: citation.to_owned(),
        licence: licence.to_owned(),
        files,
    }
}

const DIGITS: &[&str] = &["0", "1", "2", "3", "4", "5", "6", "7", "8", "9"];

// Sizes and digests of what is fetched are those that TensorFlow Datasets publishes for these addresses. Debian's
// files hold the same deflate streams as the published ones, in gzip headers without name and time.
const FASHION_MNIST: IdxSet = IdxSet {
    name: "fashion-mnist",
    summary: "photographs of clothing, 28×28 grey, 10 classes, 60,000 and 10,000 images",
    citation: "Xiao, Rasul, Vollgraf (2017), Fashion-MNIST: a novel image dataset for benchmarking machine learning algorithms, arXiv:1708.07747",
    licence: "MIT",
    url: "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/",
    files: &[
        ("train-images-idx3-ubyte.gz", 26_421_880, "3aede38d61863908ad78613f6a32ed271626dd12800ba2636569512369268a84"),
        ("train-labels-idx1-ubyte.gz", 29_515, "a04f17134ac03560a47e3764e11b92fc97de4d1bfaf8ba1a3aa29af54cc90845"),
        ("t10k-images-idx3-ubyte.gz", 4_422_102, "346e55b948d973a97e58d2351dde16a484bd415d4595297633bb08f03db6a073"),
        ("t10k-labels-idx1-ubyte.gz", 5_148, "67da17c76eaffca5446c3361aaab5c3cd6d1c2608764d35dfb1850b086bf8dd5"),
    ],
    repacked: &[
        ("train-images-idx3-ubyte.gz", 26_421_856, "b0564c3eedabfbf835052cff8503ea422014ce006caf5b757f851416ee8300c7"),
        ("train-labels-idx1-ubyte.gz", 29_491, "0ae29f65d86684f32d1b9c85147786c547b9c6aebcaf235f0400a0cce308b056"),
        ("t10k-images-idx3-ubyte.gz", 4_422_079, "cc1d090a38ace84dfa1aa66e3ada7c336ef481a96936906477e6dd344da56eaa"),
        ("t10k-labels-idx1-ubyte.gz", 5_125, "8d3605d196f4be44669e46906da9733c8131fef761fdbfec72c424d5222f1a05"),
    ],
    system_folders: &["/usr/share/datasets/fashion-mnist"],
    prefix: "",
    classes: &[
        "T-shirt/top",
        "trouser",
        "pullover",
        "dress",
        "coat",
        "sandal",
        "shirt",
        "sneaker",
        "bag",
        "ankle boot",
    ],
    first_label: 0,
};

const MNIST: IdxSet = IdxSet {
    name: "mnist",
    summary: "handwritten digits, 28×28 grey, 10 classes, 60,000 and 10,000 images",
    citation: "LeCun, Bottou, Bengio, Haffner (1998), Gradient-based learning applied to document recognition",
    licence: "CC BY-SA 3.0",
    url: "https://storage.googleapis.com/cvdf-datasets/mnist/",
    files: &[
        ("train-images-idx3-ubyte.gz", 9_912_422, "440fcabf73cc546fa21475e81ea370265605f56be210a4024d2ca8f203523609"),
        ("train-labels-idx1-ubyte.gz", 28_881, "3552534a0a558bbed6aed32b30c495cca23d567ec52cac8be1a0730e8010255c"),
        ("t10k-images-idx3-ubyte.gz", 1_648_877, "8d422c7b0a1c1c79245a5bcf07fe86e33eeafee792b84584aec276f5a2dbc4e6"),
        ("t10k-labels-idx1-ubyte.gz", 4_542, "f7ae60f92e00ec6debd23a6088c31dbd2371eca3ffa0defaefb259924204aec6"),
    ],
    repacked: &[],
    system_folders: &[],
    prefix: "",
    classes: DIGITS,
    first_label: 0,
};

const KMNIST: IdxSet = IdxSet {
    name: "kmnist",
    summary: "cursive Japanese characters, 28×28 grey, 10 classes, 60,000 and 10,000 images",
    citation: "Clanuwat, Bober-Irizar, Kitamoto, Lamb, Yamamoto, Ha (2018), Deep learning for classical Japanese literature, arXiv:1812.01718",
    licence: "CC BY-SA 4.0",
    url: "http://codh.rois.ac.jp/kmnist/dataset/kmnist/",
    files: &[
        ("train-images-idx3-ubyte.gz", 18_165_135, "51467d22d8cc72929e2a028a0428f2086b092bb31cfb79c69cc0a90ce135fde4"),
        ("train-labels-idx1-ubyte.gz", 29_497, "e38f9ebcd0f3ebcdec7fc8eabdcdaef93bb0df8ea12bee65224341c8183d8e17"),
        ("t10k-images-idx3-ubyte.gz", 3_041_136, "edd7a857845ad6bb1d0ba43fe7e794d164fe2dce499a1694695a792adfac43c5"),
        ("t10k-labels-idx1-ubyte.gz", 5_120, "20bb9a0ef54c7db3efc55a92eef5582c109615df22683c380526788f98e42a1c"),
    ],
    repacked: &[],
    system_folders: &[],
    prefix: "",
    classes: &["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
    first_label: 0,
};

/// What the EMNIST sets share. They are published as one zip archive of 562 MB, which is not fetched.
const EMNIST_DIGITS: IdxSet = IdxSet {
    name: "emnist-digits",
    summary: "handwritten digits, 28×28 grey, 10 classes, 240,000 and 40,000 images (files unpacked from EMNIST's gzip.zip)",
    citation: "Cohen, Afshar, Tapson, van Schaik (2017), EMNIST: extending MNIST to handwritten letters, arXiv:1702.05373",
    licence: "not stated; derived from NIST Special Database 19",
    url: "",
    files: &[],
    repacked: &[],
    system_folders: &[],
    prefix: "emnist-digits",
    classes: DIGITS,
    first_label: 0,
};

const EMNIST_LETTERS: IdxSet = IdxSet {
    name: "emnist-letters",
    summary: "handwritten letters, 28×28 grey, 26 classes (files unpacked from EMNIST's gzip.zip)",
    prefix: "emnist-letters",
    classes: &[
        "a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p", "q", "r", "s", "t", "u", "v",
        "w", "x", "y", "z",
    ],
    // Its labels are those of the alphabet counted from 1.
    first_label: 1,
    ..EMNIST_DIGITS
};

const EMNIST_BALANCED: IdxSet = IdxSet {
    name: "emnist-balanced",
    summary: "handwritten digits and letters, 28×28 grey, 47 classes (files unpacked from EMNIST's gzip.zip)",
    prefix: "emnist-balanced",
    classes: &[
        "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "A", "B", "C", "D", "E", "F", "G", "H", "I", "J", "K", "L",
        "M", "N", "O", "P", "Q", "R", "S", "T", "U", "V", "W", "X", "Y", "Z", "a", "b", "d", "e", "f", "g", "h", "n",
        "q", "r", "t",
    ],
    ..EMNIST_DIGITS
};

const KRIZHEVSKY: &str = "Krizhevsky (2009), Learning multiple layers of features from tiny images";
const UNSTATED: &str = "not stated by its authors";

fn cifar_10() -> Cifar {
    let summary = "photographs of things and animals, 32×32 color, 10 classes, 50,000 and 10,000 images";
    let sha256 = "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd";
    let file = archive(CIFAR_10.archive, 170_052_171, sha256);
    Cifar { card: card("cifar-10", summary, KRIZHEVSKY, UNSTATED, vec![file]), layout: &CIFAR_10, place: None }
}

fn cifar_100() -> Cifar {
    let summary = "photographs of things and animals, 32×32 color, 100 classes, 50,000 and 10,000 images";
    let sha256 = "58a81ae192c23a4be8b1804d68e518ed807d710a4eb253b1f2a199162a40d8ec";
    let file = archive(CIFAR_100.archive, 168_513_733, sha256);
    Cifar { card: card("cifar-100", summary, KRIZHEVSKY, UNSTATED, vec![file]), layout: &CIFAR_100, place: None }
}

fn archive(name: &str, bytes: u64, sha256: &str) -> RemoteFile {
    let url = format!("https://www.cs.toronto.edu/~kriz/{name}");
    RemoteFile { name: name.to_owned(), url, bytes, sha256: sha256.to_owned(), repacked: Vec::new() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_cards_agree_and_digests_are_whole() {
        let mut digests = std::collections::HashSet::new();
        for known in CATALOGUE {
            let dataset = (known.open)();
            let card = dataset.card();
            assert_eq!(card.name, known.name);
            assert!(!card.summary.is_empty() && !card.citation.is_empty() && !card.licence.is_empty());
            for file in &card.files {
                for digest in file.repacked.iter().map(|(_, sha256)| sha256).chain([&file.sha256]) {
                    assert_eq!(digest.len(), 64);
                    assert!(digest.bytes().all(|b| b.is_ascii_hexdigit()) && digests.insert(digest.clone()));
                }
                assert!(file.url.ends_with(&file.name));
            }
        }
    }

    #[test]
    fn a_slip_of_the_finger_finds_its_name() {
        assert_eq!(nearest("fashon-mnist"), Some("fashion-mnist"));
        assert_eq!(nearest("CIFAR10"), Some("cifar-10"));
        assert_eq!(nearest("holiday-photos"), None);
    }
}
