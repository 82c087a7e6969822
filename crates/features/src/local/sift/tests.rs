use super::*;
use std::f64::consts::PI;

fn sift(cells: &[f64]) -> Sift {
    Sift { cells: cells.iter().map(|&cell| Positive::new(cell).unwrap()).collect(), ..Sift::default() }
}

fn described(settings: &Sift, shape: (usize, usize, usize), image: &[u8]) -> Vec<f32> {
    let plan = settings.plan(shape).unwrap();
    let mut out = vec![f32::NAN; plan.dim() * plan.places().len()];
    plan.describe(image, &mut Vec::new(), &mut out);
    out
}

fn speckled((height, width, channels): (usize, usize, usize)) -> Vec<u8> {
    let byte = |i: usize| {
        let (y, x, c) = (i / channels / width, i / channels % width, i % channels);
        ((y * y * 7 + x * 13 + c * 29 + (y * x) % 11 * 5) % 256) as u8
    };
    (0..height * width * channels).map(byte).collect()
}

fn reflect(i: i64, length: usize) -> usize {
    let mut i = i;
    loop {
        if length == 1 {
            return 0;
        }
        i = if i < 0 {
            -i
        } else if i >= length as i64 {
            2 * length as i64 - 2 - i
        } else {
            return i as usize;
        };
    }
}

fn blurred(plane: &[f64], (height, width): (usize, usize), sigma: f64) -> Vec<f64> {
    if sigma == 0.0 {
        return plane.to_vec();
    }
    let radius = ((sigma * 8.0 + 1.0).round() as i64 | 1) / 2;
    let weight = |i: i64| (-(i * i) as f64 / (2.0 * sigma * sigma)).exp();
    let total: f64 = (-radius..=radius).map(weight).sum();
    let mut out = vec![0.0; plane.len()];
    for (i, out) in out.iter_mut().enumerate() {
        let (y, x) = ((i / width) as i64, (i % width) as i64);
        for (a, b) in (-radius..=radius).flat_map(|a| (-radius..=radius).map(move |b| (a, b))) {
            *out +=
                weight(a) * weight(b) / total / total * plane[reflect(y + a, height) * width + reflect(x + b, width)];
        }
    }
    out
}

/// The definition of the module's head for one channel, pixel by pixel into every cell, in f64.
fn plain(plane: &[f64], (height, width): (usize, usize), centre: (f64, f64), cell: f64, root: bool) -> Vec<f64> {
    let mut out = vec![0.0; 128];
    let at = |y: usize, x: usize| plane[y * width + x];
    for y in 1..height.max(2) - 1 {
        for x in 1..width.max(2) - 1 {
            let (dx, up) = (at(y, x + 1) - at(y, x - 1), at(y - 1, x) - at(y + 1, x));
            let direction = up.atan2(dx).rem_euclid(2.0 * PI) * 8.0 / (2.0 * PI);
            let (v, u) = ((y as f64 - centre.0) / cell, (x as f64 - centre.1) / cell);
            let vote = dx.hypot(up) * (-(v * v + u * u) / 8.0).exp();
            for (i, out) in out.iter_mut().enumerate() {
                let (row, column, bin) = ((i / 32) as f64 - 1.5, (i / 8 % 4) as f64 - 1.5, (i % 8) as f64);
                let turn = (direction - bin).abs();
                let near = |apart: f64| (1.0 - apart.abs()).max(0.0);
                *out += vote * near(v - row) * near(u - column) * near(turn.min(8.0 - turn));
            }
        }
    }
    let length = |v: &[f64]| v.iter().map(|v| v * v).sum::<f64>().sqrt();
    let clip = 0.2 * length(&out);
    out.iter_mut().for_each(|v| *v = v.min(clip));
    let scale = if root { out.iter().sum() } else { length(&out) };
    out.iter().map(|v| v / f64::max(scale, 1e-30)).map(|v| if root { v.sqrt() } else { v }).collect()
}

#[test]
fn agrees_with_the_plain_loops() {
    for shape in [(1, 1, 1), (2, 9, 1), (3, 3, 1), (16, 16, 1), (32, 32, 1), (21, 40, 1), (50, 17, 1)] {
        let image = speckled(shape);
        let size = (shape.0, shape.1);
        let bytes: Vec<f64> = image.iter().map(|&v| f64::from(v)).collect();
        for (cells, overhang, smoothing, root) in
            [(vec![4.0], 0.0, 0.0, true), (vec![3.3, 2.0], 0.4, 0.0, false), (vec![1.0, 5.0], 0.2, 0.3, true)]
        {
            let settings = Sift {
                overhang: Fraction::literal(overhang),
                smoothing: NonNegative::literal(smoothing),
                root,
                ..sift(&cells)
            };
            let plan = settings.plan(shape).unwrap();
            let found = described(&settings, shape, &image);
            for (place, found) in plan.places().iter().zip(found.chunks_exact(128)) {
                let cell = f64::from(place.side) / 4.0;
                let centre = |share: f32, length: usize| f64::from(share) * length as f64 - 0.5;
                let plane = blurred(&bytes, size, cell * smoothing);
                let expected = plain(&plane, size, (centre(place.y, shape.0), centre(place.x, shape.1)), cell, root);
                let error = found.iter().zip(&expected).map(|(&a, b)| (f64::from(a) - b).abs()).fold(0.0, f64::max);
                // The square root of RootSIFT magnifies what rounding leaves of zeros.
                assert!(error < if root { 3e-3 } else { 2e-5 }, "{shape:?} {settings:?} {place:?}: {error}");
            }
        }
    }
}

#[test]
fn an_edge_votes_for_its_direction_worked_by_hand() {
    // A step up from left to right in the middle of 16×16: all gradients point right, direction 0. Columns 7 and 8 have
    // it, ½ pixel from the centre: apart 1/8 cell; cells 1 and 2 take 1 − 3/8 and 1 − 5/8 of each, so both sum to
    // the same, and rows are symmetric: (outer, inner, inner, outer).
    let image: Vec<u8> = (0..256).map(|i| if i % 16 < 8 { 0 } else { 100 }).collect();
    let found = described(&Sift { root: false, ..sift(&[4.0]) }, (16, 16, 1), &image);
    assert_eq!(found.len(), 128);
    for (i, &value) in found.iter().enumerate() {
        let (column, direction) = (i / 8 % 4, i % 8);
        assert_eq!(value > 0.0, direction == 0 && (column == 1 || column == 2), "number {i} is {value}");
    }
    assert!((found[8] - found[16]).abs() < 1e-6 && (found[8] - found[96 + 8]).abs() < 1e-6);
    // Eight equal-ish numbers above the clip of 0.2 become equal: 1/√8.
    assert!((found[8] - 8f32.sqrt().recip()).abs() < 1e-6, "{}", found[8]);
}

#[test]
fn root_sift_has_length_one_and_constant_images_none() {
    let found = described(&sift(&[4.0]), (32, 32, 3), &speckled((32, 32, 3)));
    assert_eq!(found.len(), 25 * 128);
    for row in found.chunks(128) {
        assert!((row.iter().map(|v| v * v).sum::<f32>() - 1.0).abs() < 1e-5);
    }
    for root in [true, false] {
        let flat = described(&Sift { root, ..sift(&[4.0]) }, (20, 20, 1), &[77; 400]);
        assert!(flat.iter().all(|&v| v == 0.0));
    }
}

#[test]
fn channels_are_described_apart() {
    let (shape, image) = ((24, 20, 3), speckled((24, 20, 3)));
    let of = |channels| described(&Sift { channels, ..sift(&[3.0]) }, shape, &image);
    let rgb = of(Channels::Rgb);
    for channel in 0..3 {
        let alone: Vec<u8> = image.iter().skip(channel).step_by(3).copied().collect();
        let alone = described(&sift(&[3.0]), (24, 20, 1), &alone);
        let within: Vec<f32> = rgb.chunks(384).flat_map(|row| row[channel * 128..][..128].to_vec()).collect();
        assert_eq!(within, alone, "channel {channel}");
    }
    // Brightness is the last opponent channel, three times its mean over √3; scale does not matter.
    let mean: Vec<u8> = [30, 60, 90].repeat(480);
    assert!(described(&Sift { channels: Channels::Opponent, ..sift(&[3.0]) }, shape, &mean).iter().all(|&v| v == 0.0));
    assert_eq!(of(Channels::Opponent).len(), rgb.len());
    assert_ne!(of(Channels::Opponent), rgb);
}

#[test]
fn a_step_of_opponent_color_shows_in_its_channel_alone() {
    // Left (100, 0, 50), right (0, 100, 50): red against green turns, the other two stay.
    let image: Vec<u8> = (0..256).flat_map(|i| if i % 16 < 8 { [100, 0, 50] } else { [0, 100, 50] }).collect();
    let found = described(&Sift { channels: Channels::Opponent, ..sift(&[4.0]) }, (16, 16, 3), &image);
    assert!(found[..128].iter().any(|&v| v > 0.1));
    assert!(found[128..].iter().all(|&v| v == 0.0), "{:?}", &found[128..]);
}

#[test]
fn absurd_settings_are_refused() {
    let reason = |settings: Sift, channels| settings.plan((32, 32, channels)).err().unwrap().to_string();
    assert!(reason(sift(&[]), 1).contains("no cell"));
    assert!(reason(sift(&[0.5]), 1).contains("1 is the least"));
    assert!(reason(sift(&[1e9]), 1).contains("4096"));
    assert!(reason(Sift { smoothing: NonNegative::literal(1e6), ..Sift::default() }, 1).contains("blur"));
    assert!(reason(Sift::default(), 2).contains("1 or 3"));
    assert!(reason(Sift { overhang: Fraction::literal(0.6), ..Sift::default() }, 1).contains("0.5"));
}
