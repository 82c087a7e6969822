//! Properties of k-nearest neighbours over random rows of small whole numbers, where ties are common.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Classifier, Labels, Seed, argmax_rows};
use bakeoff_neighbors::{Distance, Index, Knn};
use ndarray::{Array1, Array2, ArrayView1, Axis};
use proptest::prelude::*;
use proptest::test_runner::RngSeed;
use std::num::NonZeroUsize;
use std::ops::ControlFlow;

/// The same cases on every run, and no file written when one fails: the case itself is printed.
fn seeded(cases: u32) -> ProptestConfig {
    ProptestConfig { cases, rng_seed: RngSeed::Fixed(2024), failure_persistence: None, ..ProptestConfig::default() }
}

const CLASSES: usize = 4;

/// Training rows, their labels (two classes at least) and queries.
fn problems() -> impl Strategy<Value = (Array2<f32>, Labels, Array2<f32>)> {
    (2..40usize, 1..9usize, 1..6usize).prop_flat_map(|(n, d, queries)| {
        let rows = |n| proptest::collection::vec((-3..4i8).prop_map(f32::from), n * d);
        let ids = proptest::collection::vec(0..CLASSES, n);
        (rows(n), ids, rows(queries)).prop_map(move |(train, mut ids, asked)| {
            (ids[0], ids[1]) = (0, 1);
            let labels = Labels::new(ids.into(), CLASSES).unwrap();
            let of = |values: Vec<f32>| Array2::from_shape_vec((values.len() / d, d), values).unwrap();
            (of(train), labels, of(asked))
        })
    })
}

fn measured(a: ArrayView1<'_, f32>, b: ArrayView1<'_, f32>, distance: Distance) -> f64 {
    let size = |d: f32| f64::from(if distance == Distance::L1 { d.abs() } else { d * d });
    a.iter().zip(b).map(|(a, b)| size(a - b)).sum()
}

fn predicted(k: usize, distance: Distance, train: &Array2<f32>, y: &Labels, queries: &Array2<f32>) -> Array1<usize> {
    let knn = Knn { k: NonZeroUsize::new(k).unwrap(), distance };
    let fitted = knn.fit(&train.view(), y, Seed(0), &mut |_| ControlFlow::Continue(())).unwrap();
    argmax_rows(fitted.model.scores(queries.view()).view())
}

proptest! {
    #![proptest_config(seeded(200))]

    /// The definition, as the plainest loop.
    #[test]
    fn neighbours_are_those_of_the_plain_loop((train, y, queries) in problems(), k in 1..45usize) {
        for distance in [Distance::L1, Distance::L2] {
            let found = Index::new(train.clone(), distance).nearest(queries.view(), k.min(y.len()));
            for (query, found) in queries.outer_iter().zip(found) {
                let mut all: Vec<(usize, f64)> =
                    train.outer_iter().map(|row| measured(query, row, distance)).enumerate().collect();
                all.sort_by(|a, b| a.1.partial_cmp(&b.1).unwrap().then(a.0.cmp(&b.0)));
                all.truncate(k);
                prop_assert_eq!(&found, &all, "{:?}", distance);
            }
        }
    }

    /// Distances do not see the origin, nor a mirror, nor the order of columns.
    #[test]
    fn moved_and_mirrored_rows_have_the_same_neighbours((train, y, queries) in problems(), by in -1000..1000i32) {
        let k = 3.min(y.len());
        for distance in [Distance::L1, Distance::L2] {
            let expected = predicted(k, distance, &train, &y, &queries);
            let moved = |rows: &Array2<f32>| rows.mapv(|v| v + by as f32);
            prop_assert_eq!(&predicted(k, distance, &moved(&train), &y, &moved(&queries)), &expected);
            let mirrored = |rows: &Array2<f32>| {
                let mut rows = rows.mapv(|v| -2.0 * v);
                rows.invert_axis(Axis(1));
                rows
            };
            prop_assert_eq!(&predicted(k, distance, &mirrored(&train), &y, &mirrored(&queries)), &expected);
        }
    }

    /// A training row is its own nearest neighbour, unless an earlier row equals it.
    #[test]
    fn training_rows_find_themselves((train, _, _) in problems()) {
        for distance in [Distance::L1, Distance::L2] {
            for (i, found) in Index::new(train.clone(), distance).nearest(train.view(), 1).iter().enumerate() {
                let first_equal = train.outer_iter().position(|row| row == train.row(i)).unwrap();
                prop_assert_eq!(found, &vec![(first_equal, 0.0)]);
            }
        }
    }
}
