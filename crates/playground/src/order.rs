//! Which points a step learns from: all of them once an epoch, in an order that the seed gives.

use bakeoff_core::Seed;
use bakeoff_numeric::optim::shuffled;

/// Where a training is in its passes over the points.
#[derive(Debug)]
pub(crate) struct Order {
    seed: Seed,
    /// Passes begun, and the order of the present one.
    epoch: usize,
    positions: Vec<usize>,
    /// Points of the present pass that were learned from.
    done: usize,
}

impl Order {
    /// The beginning of the first pass over n points.
    pub(crate) fn new(seed: Seed, n: usize) -> Self {
        let mut order = Self { seed: seed.derive("order"), epoch: 0, positions: Vec::new(), done: 0 };
        order.over(n);
        order
    }

    /// Other points, of which there are n: a new pass begins.
    pub(crate) fn over(&mut self, n: usize) {
        self.positions = shuffled(n, &mut self.seed.nth(self.epoch).rng());
        self.epoch += 1;
        self.done = 0;
    }

    /// The positions of the next step.
    pub(crate) fn next(&mut self, batch: usize) -> &[usize] {
        if self.done >= self.positions.len() {
            self.over(self.positions.len());
        }
        let start = self.done;
        self.done = (start + batch).min(self.positions.len());
        &self.positions[start..self.done]
    }

    /// Passes over the points, the present one in part.
    pub(crate) fn epochs(&self) -> f64 {
        (self.epoch - 1) as f64 + self.done as f64 / self.positions.len().max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pass_has_every_point_once() {
        let mut order = Order::new(Seed(1), 7);
        let mut passes = Vec::new();
        for _ in 0..3 {
            let sizes = [3, 3, 1];
            let mut seen: Vec<usize> = Vec::new();
            for size in sizes {
                let positions = order.next(3);
                assert_eq!(positions.len(), size);
                seen.extend(positions);
            }
            passes.push(seen.clone());
            seen.sort_unstable();
            assert_eq!(seen, (0..7).collect::<Vec<_>>());
        }
        assert!(passes[0] != passes[1] && passes[1] != passes[2], "{passes:?}");
        assert_eq!(order.epochs(), 3.0);
        order.over(2);
        assert_eq!((order.next(5).len(), order.epochs()), (2, 4.0));
    }
}
