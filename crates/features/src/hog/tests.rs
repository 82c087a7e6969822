use super::*;
use bakeoff_core::{Images, encode};
use ndarray::{Array2, Array4};
use std::f64::consts::PI;

fn speckled(n: usize, height: usize, width: usize, channels: usize) -> Images {
    let pixel = |(i, y, x, c): (usize, usize, usize, usize)| {
        ((i * 31 + y * y * 7 + x * 13 + c * 29 + (y * x) % 11 * 5) % 256) as u8
    };
    Images::new(Array4::from_shape_fn((n, height, width, channels), pixel)).unwrap()
}

fn rows(hog: &Hog, images: &Images) -> Array2<f32> {
    encode(&*hog.fit(images.view(), Seed(0)).unwrap(), images.view())
}

fn some(value: usize) -> NonZeroUsize {
    NonZeroUsize::new(value).unwrap()
}

/// The definition of the module's head as obvious loops in f64, pixel by pixel and block by block.
fn plain(hog: &Hog, image: &[u8], (height, width, channels): (usize, usize, usize)) -> Vec<f64> {
    let (cell, n) = (hog.cell.get(), hog.orientations.get());
    let fewest = if hog.form == Form::Blocks { 2 } else { 1 };
    let (rows, columns) = (height.div_ceil(cell).max(fewest), width.div_ceil(cell).max(fewest));
    let (tall, wide) = ((rows * cell) as i64, (columns * cell) as i64);
    let (top, left) = ((tall - height as i64) / 2, (wide - width as i64) / 2);
    let reflect = |i: i64, side: i64| {
        if i < 0 {
            (-i).min(side - 1)
        } else if i >= side {
            (2 * side - 2 - i).max(0)
        } else {
            i
        }
    };
    let value = |y: i64, x: i64, c: usize| {
        let clamp = |i: i64, side: usize| i.clamp(0, side as i64 - 1) as usize;
        let (y, x) = (clamp(reflect(y, tall) - top, height), clamp(reflect(x, wide) - left, width));
        let v = f64::from(image[(y * width + x) * channels + c]);
        if hog.gamma == Gamma::Sqrt { v.sqrt() } else { v }
    };
    // (length, direction in bins) of the strongest channel.
    let gradient = |y: i64, x: i64| {
        let mut best = (-1.0, 0.0);
        for c in 0..channels {
            let (dx, dy) = (value(y, x + 1, c) - value(y, x - 1, c), value(y + 1, x, c) - value(y - 1, x, c));
            let range = if hog.signed { 2.0 * PI } else { PI };
            // Rounding just below 0 must not become the whole range.
            let turned = dy.atan2(dx).rem_euclid(range);
            let direction = if turned >= range { 0.0 } else { turned } * n as f64 / range;
            if dx.hypot(dy) > best.0 + 1e-9 {
                best = (dx.hypot(dy), direction);
            }
        }
        best
    };
    let mut out = Vec::new();
    if hog.form == Form::Plain {
        out.resize(rows * columns * n, 0.0);
        for y in 0..tall {
            for x in 0..wide {
                let (length, direction) = gradient(y, x);
                let bin = (direction as usize).min(n - 1);
                out[(y as usize / cell * columns + x as usize / cell) * n + bin] += length;
            }
        }
        return out;
    }
    for block in 0..(rows - 1) * (columns - 1) {
        let (by, bx) = ((block / (columns - 1) * cell) as i64, (block % (columns - 1) * cell) as i64);
        let mut histogram = vec![0.0; 4 * n];
        for y in 0..2 * cell {
            for x in 0..2 * cell {
                let (length, direction) = gradient(by + y as i64, bx + x as i64);
                let (dy, dx) = (y as f64 - cell as f64, x as f64 - cell as f64);
                let sigma = cell as f64 / 2.0;
                let window = if hog.gaussian { (-(dy * dy + dx * dx) / (2.0 * sigma * sigma)).exp() } else { 1.0 };
                let near =
                    |i: usize, slot: usize| (1.0 - ((i as f64 + 0.5) / cell as f64 - 0.5 - slot as f64).abs()).max(0.0);
                for slot in 0..4 {
                    for bin in 0..n {
                        let apart = (direction - bin as f64 - 0.5).abs();
                        // The two nearest of a single direction are the same one.
                        let share = if n == 1 { 1.0 } else { (1.0 - apart.min(n as f64 - apart)).max(0.0) };
                        histogram[slot * n + bin] += length * window * near(y, slot / 2) * near(x, slot % 2) * share;
                    }
                }
            }
        }
        let length = |h: &[f64]| h.iter().map(|v| v * v).sum::<f64>().sqrt();
        let first = length(&histogram) + 0.1 * histogram.len() as f64;
        histogram.iter_mut().for_each(|v| *v = (*v / first).min(hog.clip.get()));
        let second = length(&histogram) + 1e-3;
        out.extend(histogram.iter().map(|v| v / second));
    }
    out
}

#[test]
fn agrees_with_the_plain_loops_in_every_form_and_size() {
    let shapes = [(1, 1, 1), (1, 7, 3), (8, 8, 1), (28, 28, 1), (32, 32, 3), (24, 40, 3), (33, 17, 3), (5, 90, 2)];
    for (height, width, channels) in shapes {
        let images = speckled(3, height, width, channels);
        for (form, cell, orientations, signed, gamma, gaussian) in [
            (Form::Blocks, 8, 9, false, Gamma::Sqrt, true),
            (Form::Blocks, 4, 9, false, Gamma::None, false),
            (Form::Blocks, 5, 12, true, Gamma::None, true),
            (Form::Blocks, 1, 2, false, Gamma::None, true),
            (Form::Blocks, 2, 1, false, Gamma::Sqrt, true),
            (Form::Blocks, 7, 16, false, Gamma::Sqrt, false),
            (Form::Blocks, 6, 64, true, Gamma::None, true),
            (Form::Plain, 8, 9, false, Gamma::None, true),
            (Form::Plain, 3, 1, true, Gamma::Sqrt, true),
        ] {
            let hog = Hog {
                form,
                cell: some(cell),
                orientations: some(orientations),
                signed,
                gamma,
                gaussian,
                ..Hog::default()
            };
            let found = rows(&hog, &images);
            for (i, row) in found.outer_iter().enumerate() {
                let expected = plain(&hog, images.view().image(i), (height, width, channels));
                assert_eq!(row.len(), expected.len());
                let scale = expected.iter().fold(1.0f64, |a, b| a.max(b.abs()));
                let worst = row.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                // A hard bin may tip over at its edge; no edge is met by these pixels.
                assert!(worst < 2e-5 * scale, "{height}×{width}×{channels} {hog:?}: {worst} of {scale}");
            }
        }
    }
}

#[test]
fn the_lecture_counts_10800_numbers() {
    let hog = Hog { form: Form::Plain, ..Hog::default() };
    let images = speckled(1, 240, 320, 1);
    assert_eq!(hog.fit(images.view(), Seed(0)).unwrap().dim(), 10_800);
    assert_eq!(Hog::default().fit(speckled(1, 32, 32, 3).view(), Seed(0)).unwrap().dim(), 324);
}

#[test]
fn a_vertical_edge_votes_for_its_horizontal_gradient() {
    // Dark left half, bright right half of 8×8: dx = 255 in columns 3 and 4, dy = 0, so bin 0 gets 16 · 255.
    let images = Images::new(Array4::from_shape_fn((1, 8, 8, 1), |(_, _, x, _)| if x < 4 { 0 } else { 255 })).unwrap();
    let hog = Hog { form: Form::Plain, gamma: Gamma::None, ..Hog::default() };
    let found = rows(&hog, &images);
    assert_eq!(found.row(0).to_vec(), [16.0 * 255.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
}

#[test]
fn brightness_shifts_change_nothing_and_constant_images_are_zero() {
    let hog = Hog { gamma: Gamma::None, ..Hog::default() };
    let dim = Images::new(speckled(2, 32, 32, 3).view().pixels().mapv(|v| v / 2)).unwrap();
    let bright = Images::new(dim.view().pixels().mapv(|v| v + 100)).unwrap();
    assert_eq!(rows(&hog, &dim), rows(&hog, &bright));
    let flat = Images::new(Array4::from_elem((1, 20, 20, 3), 77)).unwrap();
    assert!(rows(&Hog::default(), &flat).iter().all(|&v| v == 0.0));
}

#[test]
fn absurd_settings_are_refused() {
    let images = speckled(1, 32, 32, 1);
    let reason = |hog: Hog| hog.fit(images.view(), Seed(0)).err().unwrap().to_string();
    assert!(reason(Hog { orientations: some(65), ..Hog::default() }).contains("64"));
    assert!(reason(Hog { cell: some(1 << 20), ..Hog::default() }).contains("4096"));
}
