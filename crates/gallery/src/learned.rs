//! What a stored pipeline learned, as far as it can be seen: templates of classes, first layers, words, whitening.

use crate::hog::{Cells, Turning, template};
use crate::png::{picture, shades};
use bakeoff_core::{Tensor, Tensors, Values};
use bakeoff_features::hog::Hog;
use bakeoff_features::local::Local;
use bakeoff_features::visual_words::VisualWords;
use bakeoff_report::{Gallery, Picture};
use serde_json::Value;

/// A stored pipeline.
#[derive(Clone, Copy)]
pub struct Learned<'a> {
    /// Its name.
    pub pipeline: &'a str,
    /// Its settings as meant.
    pub settings: &'a Value,
    /// What was learned, by name.
    pub arrays: &'a Tensors,
    /// (height, width, channels) of its images.
    pub shape: (usize, usize, usize),
    /// The classes.
    pub classes: &'a [String],
}

/// Classes, units and words that are shown.
const MOST: usize = 30;

/// The galleries of a pipeline; none when nothing of it is a picture. Pipelines of several branches or several features have rows whose
/// parts stand for different things; they are left out.
pub fn learned(model: &Learned<'_>) -> Vec<Gallery> {
    let Some([feature]) = model.settings.get("features").and_then(Value::as_array).map(Vec::as_slice) else {
        return Vec::new();
    };
    let kind = feature.get("kind").and_then(Value::as_str).unwrap_or_default();
    let made = match kind {
        "pixels" if model.is_reduced() => vec![model.reduced_templates(), model.reducer()],
        "pixels" => vec![model.pixels()],
        "hog" => vec![model.hog(feature)],
        "kmeans-features" | "random-patches" => vec![model.words(feature, kind), model.whitening(feature)],
        "visual-words" => vec![model.visual_words(feature)],
        _ => Vec::new(),
    };
    made.into_iter().flatten().filter(|gallery| !gallery.pictures.is_empty()).collect()
}

/// A matrix by its rows.
struct Matrix<'a> {
    columns: usize,
    values: &'a [f32],
}

impl<'a> Matrix<'a> {
    fn of(tensor: &'a Tensor) -> Option<Self> {
        match (tensor.shape(), tensor.values()) {
            ([_, columns], Values::F32(values)) if *columns > 0 => Some(Self { columns: *columns, values }),
            _ => None,
        }
    }

    fn rows(&self) -> impl Iterator<Item = &'a [f32]> {
        self.values.chunks_exact(self.columns)
    }

    fn column(&self, i: usize) -> impl Iterator<Item = f32> {
        self.values.iter().skip(i).step_by(self.columns).copied()
    }
}

impl Learned<'_> {
    fn array(&self, name: &str) -> Option<&Tensor> {
        self.arrays.iter().find(|(known, _)| *known == name).map(|(_, tensor)| tensor)
    }

    fn matrix(&self, name: &str) -> Option<Matrix<'_>> {
        self.array(name).and_then(Matrix::of)
    }

    /// What a picture of weights is to say of scaled rows; empty where all columns were scaled alike or not at all. A weight stands for its
    /// column's deviation: divided by it, the pixels that are ever dark but for a few images would outshine all others.
    fn scaling(&self) -> &'static str {
        let of_each_column = self.array("scaler.inverse").is_some_and(
            |tensor| matches!(tensor.values(), Values::F32(values) if values.windows(2).any(|pair| pair[0] != pair[1])),
        );
        if of_each_column { " (for one standard deviation of each pixel)" } else { "" }
    }

    fn is_reduced(&self) -> bool {
        self.arrays.iter().any(|(name, _)| name.starts_with("reducer."))
    }

    /// One template a class, or the first layer's strongest units.
    fn pixels(&self) -> Option<Gallery> {
        if let Some(weights) = self.matrix("classifier.w") {
            return Some(self.templates(weights.rows().map(<[f32]>::to_vec), ""));
        }
        let weights = self.matrix("classifier.0.w")?;
        let mut units: Vec<Vec<f32>> = weights.rows().map(<[f32]>::to_vec).collect();
        let all = units.len();
        let length = |unit: &Vec<f32>| unit.iter().map(|v| v * v).sum::<f32>();
        units.sort_by(|a, b| length(b).total_cmp(&length(a)));
        units.truncate(MOST);
        let pictures = units.iter().enumerate().filter_map(|(i, unit)| {
            self.image(unit, format!("weights of unit {} of the first layer", i + 1), String::new())
        });
        let caption = format!(
            "The weights of the first layer over the image{}, of {}: light where light pixels excite the unit, dark where they hold \
             it back.",
            self.scaling(),
            if units.len() < all {
                format!("the {} longest of {all} units", units.len())
            } else {
                format!("all {all} units, the longest first")
            }
        );
        Some(Gallery { title: format!("First layer of {}", self.pipeline), caption, pictures: pictures.collect() })
    }

    /// Weights (d) of each class over the image.
    fn templates(&self, weights: impl Iterator<Item = Vec<f32>>, besides: &str) -> Gallery {
        let named = weights.zip(self.classes).take(MOST);
        let pictures = named.filter_map(|(row, class)| {
            let alt = format!("the weights of {class} over the image");
            self.image(&row, alt, class.clone())
        });
        let caption = format!(
            "The weights of each class over the image{besides}{}: light where light pixels speak for the class, dark where they speak \
             against it, middle grey where they do not count. Each picture has a scale of its own.",
            self.scaling()
        );
        Gallery { title: format!("Learned templates of {}", self.pipeline), caption, pictures: pictures.collect() }
    }

    /// Templates of a linear classifier on reduced pixels: with rows (x − mean) M, a weight vector w counts M w for x.
    fn reduced_templates(&self) -> Option<Gallery> {
        let (reducer, weights) = (self.matrix("reducer.matrix")?, self.matrix("classifier.w")?);
        let among_pixels = weights.rows().map(|w| {
            let row = |m: &[f32]| -> f32 { m.iter().zip(w).map(|(m, w)| m * w).sum() };
            if w.len() == reducer.columns { reducer.rows().map(row).collect() } else { Vec::new() }
        });
        Some(self.templates(among_pixels, ", through the reduction"))
    }

    /// What pixels are reduced with: components, or, for whitening that turns back, the filters of some places.
    fn reducer(&self) -> Option<Gallery> {
        let reducer = self.matrix("reducer.matrix")?;
        let (height, width, channels) = self.shape;
        let turns_back = self.settings.get("reduce")?.get("kind")?.as_str()? == "zca";
        let (shown, caption, what): (Vec<usize>, String, &str) = if turns_back {
            // The middles of a grid of four by four, of the first channel.
            let middle = |i: usize, length: usize| (2 * i + 1) * length / 8;
            let place = |i: usize| (middle(i / 4, height) * width + middle(i % 4, width)) * channels;
            let caption = "Filters that whiten the image, for sixteen places in it: each takes from a pixel what its surroundings say of it.";
            ((0..16).map(place).collect(), caption.to_owned(), "whitening filter")
        } else {
            let n = reducer.columns.min(MOST);
            let caption =
                format!("Principal components, those of the greatest variance first: {n} of {}.", reducer.columns);
            ((0..n).collect(), caption, "component")
        };
        let pictures = shown.iter().enumerate().filter_map(|(i, &column)| {
            let filter: Vec<f32> = (column < reducer.columns).then(|| reducer.column(column).collect())?;
            self.image(&filter, format!("{what} {}", i + 1), String::new())
        });
        let title = if turns_back { "Whitening" } else { "Components" };
        Some(Gallery { title: format!("{title} of {}", self.pipeline), caption, pictures: pictures.collect() })
    }

    /// Words of local descriptors: squares of pixels as they are, histograms of directions as strokes.
    fn visual_words(&self, feature: &Value) -> Option<Gallery> {
        let settings: VisualWords = serde_json::from_value(feature.get("settings")?.clone()).ok()?;
        let words = self.dictionary("words")?;
        let n = words.rows().count();
        let described = words.rows().take(MOST).filter_map(|word| self.before_reduction(feature, word));
        let named = described.enumerate().map(|(i, word)| (format!("visual word {}", i + 1), word));
        let (pictures, how): (Vec<Picture>, &str) = match &settings.local {
            Local::Patches(patches) => {
                let shape = (patches.side.get(), patches.side.get(), self.shape.2);
                let numbers = shape.0 * shape.1 * shape.2;
                let made =
                    named.filter_map(|(alt, word)| picture(&shades(word.get(..numbers)?), shape, alt, String::new()));
                (made.collect(), "squares of pixels, middle grey where they are as light as the square is on average")
            }
            Local::Sift(_) => {
                let made = named.filter_map(|(alt, word)| directions(word.get(..SIFT)?, alt));
                (
                    made.collect(),
                    "in each of 4 × 4 cells a stroke along each direction of an edge, the stronger the brighter",
                )
            }
            Local::ColorStats(_) => return None,
        };
        let caption = format!("Visual words, {} of {n}: {how}.", pictures.len());
        Some(Gallery { title: format!("Visual words of {}", self.pipeline), caption, pictures })
    }

    /// A descriptor as it was before its reduction; `None` where that is lost.
    fn before_reduction(&self, feature: &Value, word: &[f32]) -> Option<Vec<f32>> {
        let reduction = feature.get("settings")?.get("reduction");
        let says = |key: &str| reduction.and_then(|reduction| reduction.get(key));
        // Whitening that turns back to the original axes leaves words that can be shown as they are.
        if says("kind").and_then(Value::as_str) != Some("pca") {
            return Some(word.to_vec());
        }
        let is_whitened = says("whiten").and_then(Value::as_bool).unwrap_or(false);
        let matrix = self.dictionary("reduction.matrix").filter(|m| !is_whitened && m.columns <= word.len())?;
        let mean = self.array("features.reduction.mean").or_else(|| self.array("features.0.reduction.mean"))?;
        let Values::F32(mean) = mean.values() else { return None };
        let back = |(row, mean): (&[f32], &f32)| mean + row.iter().zip(word).map(|(m, c)| m * c).sum::<f32>();
        Some(matrix.rows().zip(mean).map(back).collect())
    }

    fn image(&self, weights: &[f32], alt: String, caption: String) -> Option<Picture> {
        picture(&shades(weights), self.shape, alt, caption)
    }

    /// Positive weights of gradient histograms as strokes, on dark ground.
    fn hog(&self, feature: &Value) -> Option<Gallery> {
        if self.is_reduced() {
            return None;
        }
        let settings: Hog = serde_json::from_value(feature.get("settings")?.clone()).ok()?;
        let (height, width, _) = self.shape;
        let weights = self.matrix("classifier.w")?;
        let cell = settings.cell.get();
        let pictures = weights.rows().zip(self.classes).take(MOST).filter_map(|(row, class)| {
            let cells = template(&settings, (height, width), row)?;
            let alt = format!("edges that speak for {class}");
            let ground = picture(&[32], (1, 1, 1), alt, class.clone())?;
            Some(Picture { strokes: cells.strokes((height, width), cell), size: (height, width), ..ground })
        });
        let caption = "Edges that speak for each class: in every cell a stroke along each direction whose weight is positive, the \
                       greater the brighter."
            .to_owned();
        Some(Gallery {
            title: format!("Learned templates of {}", self.pipeline),
            caption,
            pictures: pictures.collect(),
        })
    }

    /// (height, width, channels) of a patch of a dictionary.
    fn patch(&self, feature: &Value) -> Option<(usize, usize, usize)> {
        let side = feature.get("settings")?.get("side")?.as_u64()? as usize;
        Some((side, side, self.shape.2))
    }

    /// Words of a dictionary back among pixels: V c, with the orthonormal columns of V those of the whitening brought to
    /// length 1. That is the word as ZCA whitening has it.
    fn words(&self, feature: &Value, kind: &str) -> Option<Gallery> {
        let shape = self.patch(feature)?;
        let (whitening, words) = (self.dictionary("whitening")?, self.dictionary("words")?);
        let d = whitening.values.len() / whitening.columns;
        let axes: Vec<Vec<f32>> = (0..whitening.columns).map(|i| unit(whitening.column(i).collect())).collect();
        // k-means keeps −2 c, for its distances.
        let sign = if kind == "kmeans-features" { -0.5 } else { 1.0 };
        let pictures = (0..words.columns.min(MOST)).filter_map(|word| {
            let mut pixels = vec![0.0; d];
            for (c, axis) in words.column(word).zip(&axes) {
                pixels.iter_mut().zip(axis).for_each(|(sum, v)| *sum += sign * c * v);
            }
            picture(&shades(&pixels), shape, format!("word {} of the dictionary", word + 1), String::new())
        });
        let caption = format!(
            "Words of the dictionary, whitened as patches are: {} of {}.",
            words.columns.min(MOST),
            words.columns
        );
        Some(Gallery { title: format!("Dictionary of {}", self.pipeline), caption, pictures: pictures.collect() })
    }

    /// The components that patches are whitened with, those of the greatest variance first.
    fn whitening(&self, feature: &Value) -> Option<Gallery> {
        let shape = self.patch(feature)?;
        let whitening = self.dictionary("whitening")?;
        let pictures = (0..whitening.columns.min(MOST)).filter_map(|i| {
            let filter: Vec<f32> = whitening.column(i).collect();
            picture(&shades(&filter), shape, format!("whitening filter {}", i + 1), String::new())
        });
        let caption = format!(
            "Filters that whiten patches, from the smoothest down: {} of {}.",
            whitening.columns.min(MOST),
            whitening.columns
        );
        Some(Gallery { title: format!("Whitening of {}", self.pipeline), caption, pictures: pictures.collect() })
    }

    /// An array of the only feature, whose names may have its place in front.
    fn dictionary(&self, name: &str) -> Option<Matrix<'_>> {
        self.matrix(&format!("features.{name}")).or_else(|| self.matrix(&format!("features.0.{name}")))
    }
}

/// Numbers of a SIFT descriptor of one channel: 4 · 4 cells of 8 directions.
const SIFT: usize = 128;

/// A SIFT descriptor as strokes on dark ground.
fn directions(word: &[f32], alt: String) -> Option<Picture> {
    let cells =
        Cells { rows: 4, columns: 4, orientations: 8, signed: true, turning: Turning::Up, values: word.to_vec() };
    let ground = picture(&[32], (1, 1, 1), alt, String::new())?;
    Some(Picture { strokes: cells.strokes((16, 16), 4), size: (16, 16), ..ground })
}

fn unit(mut vector: Vec<f32>) -> Vec<f32> {
    let length = vector.iter().map(|v| v * v).sum::<f32>().sqrt();
    if length > 0.0 {
        vector.iter_mut().for_each(|v| *v /= length);
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::{Array1, Array2, array};
    use serde_json::json;

    fn pixels_of(picture: &Picture) -> Vec<u8> {
        image::load_from_memory(&picture.png).unwrap().to_luma8().into_raw()
    }

    #[test]
    fn templates_of_pixels_are_the_weights_and_say_how_columns_were_scaled() {
        let classes = ["a".to_owned(), "b".to_owned()];
        let scaled = |inverse| {
            Tensors::new()
                .with("classifier.w", &array![[1.0f32, 0.0], [-2.0, 4.0]])
                .with("scaler.inverse", &Array1::from_vec(inverse))
        };
        let arrays = scaled(vec![2.0f32, 1.0]);
        let settings = json!({"features": [{"kind": "pixels"}], "classifier": {"kind": "svm"}});
        let model =
            Learned { pipeline: "p", settings: &settings, arrays: &arrays, shape: (1, 2, 1), classes: &classes };
        let galleries = learned(&model);
        let shown: Vec<Vec<u8>> = galleries[0].pictures.iter().map(pixels_of).collect();
        assert_eq!(shown, [[255, 128], [65, 255]]);
        assert_eq!(galleries[0].pictures[1].caption, "b");
        assert!(galleries[0].caption.contains("one standard deviation of each pixel"), "{}", galleries[0].caption);
        // All columns scaled alike: nothing to say.
        let alike = scaled(vec![2.0f32, 2.0]);
        assert!(!learned(&Learned { arrays: &alike, ..model })[0].caption.contains("deviation"));
        // Arrays of another size make no picture and no panic.
        let model = Learned { shape: (5, 5, 3), ..model };
        assert!(learned(&model).is_empty());
    }

    #[test]
    fn words_come_back_among_pixels() {
        // Whitening along y alone and twice as strong, and one word there.
        let arrays = Tensors::new()
            .with("features.0.whitening", &array![[0.0f32, 1.0], [2.0, 0.0], [0.0, 0.0], [0.0, 0.0]])
            .with("features.0.words", &array![[-6.0f32], [0.0]]);
        let settings = json!({"features": [{"kind": "kmeans-features", "settings": {"side": 2}}]});
        let model = Learned { pipeline: "p", settings: &settings, arrays: &arrays, shape: (9, 9, 1), classes: &[] };
        let galleries = learned(&model);
        assert_eq!(galleries.len(), 2);
        assert_eq!(pixels_of(&galleries[0].pictures[0]), [128, 255, 128, 128]);
    }

    #[test]
    fn templates_and_filters_of_reduced_pixels() {
        // Two pixels; the only component is their difference.
        let arrays = Tensors::new()
            .with("reducer.matrix", &array![[1.0f32], [-1.0]])
            .with("classifier.w", &array![[2.0f32], [-1.0]]);
        let settings = json!({"features": [{"kind": "pixels"}], "reduce": {"kind": "pca", "dimensions": 1}});
        let classes = ["a".to_owned(), "b".to_owned()];
        let model =
            Learned { pipeline: "p", settings: &settings, arrays: &arrays, shape: (1, 2, 1), classes: &classes };
        let galleries = learned(&model);
        let shown: Vec<Vec<Vec<u8>>> = galleries.iter().map(|g| g.pictures.iter().map(pixels_of).collect()).collect();
        assert_eq!(shown, [vec![vec![255, 1], vec![1, 255]], vec![vec![255, 1]]]);
        assert_eq!(galleries[1].title, "Components of p");
        // Weights of another length are those of something else.
        let other = Tensors::new()
            .with("reducer.matrix", &array![[1.0f32], [-1.0]])
            .with("classifier.w", &array![[2.0f32, 3.0], [-1.0, 3.0]]);
        assert_eq!(learned(&Learned { arrays: &other, ..model }).len(), 1);
    }

    #[test]
    fn visual_words_are_squares_or_strokes() {
        let word = Array2::from_shape_fn((1, SIFT), |(_, i)| if i == 2 { 1.0f32 } else { 0.0 });
        let arrays = Tensors::new().with("features.0.words", &word);
        let settings = json!({"features": [{"kind": "visual-words", "settings": {}}]});
        let model = Learned { pipeline: "p", settings: &settings, arrays: &arrays, shape: (32, 32, 1), classes: &[] };
        let gallery = &learned(&model)[0];
        // Direction 2 of 8 is a gradient straight up: its edge lies level, in the first cell.
        let [stroke] = gallery.pictures[0].strokes[..] else { panic!("one stroke") };
        assert!((stroke.from.1 - stroke.to.1).abs() < 1e-6 && (stroke.from.0 - stroke.to.0).abs() > 0.1, "{stroke:?}");
        assert!((stroke.from.1 - 0.125).abs() < 1e-6, "{stroke:?}");

        // Squares of two by two, reduced to one component: the mean and twice the component.
        let arrays = Tensors::new()
            .with("features.0.words", &array![[2.0f32]])
            .with("features.0.reduction.matrix", &array![[1.0f32], [0.0], [0.0], [-1.0]])
            .with("features.0.reduction.mean", &array![0.0f32, 1.0, 0.0, 0.0]);
        let patches = json!({
            "local": {"kind": "patches", "side": 2}, "reduction": {"kind": "pca", "dimensions": 1},
        });
        let settings = json!({"features": [{"kind": "visual-words", "settings": patches}]});
        let galleries = learned(&Learned { settings: &settings, arrays: &arrays, ..model });
        assert_eq!(pixels_of(&galleries[0].pictures[0]), [255, 192, 128, 1]);
    }
}
