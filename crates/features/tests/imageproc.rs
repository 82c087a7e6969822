//! Our gradients against imageproc's filters, which know nothing of ours: the plain form of HoG rebuilt from them.
//!
//! imageproc's own `hog` is no reference for values: it lacks the half-cell offset in its votes, color, clipping, the
//! small number and the window, and refuses sizes that the cell does not divide.

use bakeoff_core::{Extractor, Images, Seed, encode};
use bakeoff_features::Hog;
use bakeoff_features::hog::{Form, Gamma};
use image::{GrayImage, ImageBuffer, Luma};
use imageproc::filter::filter;
use imageproc::kernel::Kernel;
use ndarray::Array4;

const SIDE: usize = 40;
const CELL: usize = 8;
const DIRECTIONS: usize = 9;

fn intensity(y: usize, x: usize) -> u8 {
    ((y * y * 7 + x * 13 + (y * x) % 11 * 5) % 251) as u8
}

fn filtered(image: &GrayImage, kernel: &[i32], width: u32, height: u32) -> ImageBuffer<Luma<i32>, Vec<i32>> {
    filter(image, Kernel::new(kernel, width, height), |sum: i32| sum)
}

#[test]
fn inner_cells_equal_a_histogram_of_imageprocs_central_differences() {
    let image = GrayImage::from_fn(SIDE as u32, SIDE as u32, |x, y| Luma([intensity(y as usize, x as usize)]));
    let (dx, dy) = (filtered(&image, &[-1, 0, 1], 3, 1), filtered(&image, &[-1, 0, 1], 1, 3));
    let images = Images::new(Array4::from_shape_fn((1, SIDE, SIDE, 1), |(_, y, x, _)| intensity(y, x))).unwrap();
    let hog = Hog { form: Form::Plain, gamma: Gamma::None, ..Hog::default() };
    let ours = encode(&*hog.fit(images.view(), Seed(0)).unwrap(), images.view());
    let cells = SIDE / CELL;
    // Cells at the border are left out: imageproc repeats the border's pixel where we reflect.
    for (row, column) in (1..cells - 1).flat_map(|row| (1..cells - 1).map(move |column| (row, column))) {
        let mut expected = [0.0f64; DIRECTIONS];
        for (y, x) in (0..CELL).flat_map(|y| (0..CELL).map(move |x| (y, x))) {
            let (x, y) = ((column * CELL + x) as u32, (row * CELL + y) as u32);
            let (gx, gy) = (f64::from(dx.get_pixel(x, y).0[0]), f64::from(dy.get_pixel(x, y).0[0]));
            let direction = gy.atan2(gx).rem_euclid(std::f64::consts::PI) / std::f64::consts::PI;
            expected[(direction * DIRECTIONS as f64) as usize % DIRECTIONS] += gx.hypot(gy);
        }
        let found = ours.row(0).to_vec()[(row * cells + column) * DIRECTIONS..][..DIRECTIONS].to_vec();
        for (bin, (found, expected)) in found.iter().zip(expected).enumerate() {
            assert!(
                (f64::from(*found) - expected).abs() < 1e-3,
                "cell {row}, {column}, bin {bin}: {found}, {expected}"
            );
        }
    }
}
