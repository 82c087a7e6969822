//! What one descriptor gives to the words, from its products with all of them, x · c_j − ½‖c_j‖².

use crate::gradient::greater;
use pulp::{Simd, WithSimd};

/// Partial sums of a mean.
const LANES: usize = 16;

/// Adds max(0, mean(z) − z_j) to every region. `products` become the distances z.
pub(super) fn triangle(x: &[f32], products: &mut [f32], regions: &[usize], out: &mut [f32]) {
    pulp::Arch::new().dispatch(Triangle { x, products, regions, out });
}

struct Triangle<'a> {
    x: &'a [f32],
    products: &'a mut [f32],
    regions: &'a [usize],
    out: &'a mut [f32],
}

impl WithSimd for Triangle<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, _: S) {
        let square = crate::gradient::dot(self.x, self.x);
        let mut sums = [0.0f32; LANES];
        let (groups, rest) = self.products.as_chunks_mut::<LANES>();
        for group in groups {
            for i in 0..LANES {
                group[i] = greater(group[i].mul_add(-2.0, square), 0.0).sqrt();
                sums[i] += group[i];
            }
        }
        let mut sum = sums.iter().sum::<f32>();
        for product in rest {
            *product = greater(product.mul_add(-2.0, square), 0.0).sqrt();
            sum += *product;
        }
        let k = self.products.len();
        let mean = sum / k as f32;
        for region in self.regions {
            let out = &mut self.out[region * k..][..k];
            out.iter_mut().zip(&*self.products).for_each(|(out, z)| *out += greater(mean - z, 0.0));
        }
    }
}

/// Adds shares of 1 to the `neighbors` nearest words (the lowest among equals) of every region. `products` are used up.
pub(super) fn soft(products: &mut [f32], neighbors: usize, sharpness: f32, regions: &[usize], out: &mut [f32]) {
    let k = products.len();
    let mut nearest = Vec::with_capacity(neighbors.min(k));
    // z² = ‖x‖² − 2 product, so the differences of z² to the least need no ‖x‖².
    for _ in 0..neighbors.min(k) {
        let (j, product) = greatest(products);
        products[j] = f32::NEG_INFINITY;
        nearest.push((j, product));
    }
    let Some(&(_, best)) = nearest.first() else { return };
    let share = |product: f32| (-2.0 * (best - product) * sharpness).exp();
    let total: f32 = nearest.iter().map(|&(_, product)| share(product)).sum();
    for (j, product) in nearest {
        regions.iter().for_each(|region| out[region * k + j] += share(product) / total);
    }
}

/// The greatest value and its place, the lowest among equals.
fn greatest(values: &[f32]) -> (usize, f32) {
    struct Greatest<'a>(&'a [f32]);
    impl WithSimd for Greatest<'_> {
        type Output = f32;

        #[inline(always)]
        fn with_simd<S: Simd>(self, _: S) -> f32 {
            let (groups, rest) = self.0.as_chunks::<LANES>();
            let mut most = [f32::NEG_INFINITY; LANES];
            for group in groups {
                for i in 0..LANES {
                    most[i] = greater(group[i], most[i]);
                }
            }
            most.iter().chain(rest).fold(f32::NEG_INFINITY, |a, &b| greater(b, a))
        }
    }
    let value = pulp::Arch::new().dispatch(Greatest(values));
    (values.iter().position(|&v| v == value).unwrap_or(0), value)
}
