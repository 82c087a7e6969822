//! Parameters in training: each with the optimiser's memory, its gradient where that is kept, and its average.

use bakeoff_core::parallel;
use bakeoff_numeric::element::vectorised;
use bakeoff_numeric::panels::Line;
use bakeoff_numeric::{Element, Optimiser, Panels, Step};
use ndarray::{Array1, Array2, ArrayView2, Axis};

/// Lines that a worker takes at a time: 256 KB of f32.
const LINES: usize = 1 << 11;

/// One array of a network while it is trained, and all that belongs to it in the same shape.
#[derive(Debug, Clone)]
pub(crate) struct Parameter<T> {
    /// The numbers: W (out, in), or a vector as (1, length).
    pub(crate) value: Panels<T>,
    /// The optimiser's first memory: velocity or mean.
    pub(crate) first: Panels<T>,
    /// Adam's mean of squares; empty for others.
    pub(crate) second: Panels<T>,
    /// ∂L/∂value of the mean loss; of W only where it is asked for.
    pub(crate) gradient: Panels<T>,
    /// The exponential moving average of the value; empty when none is kept.
    pub(crate) average: Panels<T>,
    /// Whether it pays penalties and decays: weights do, biases and norms do not.
    penalised: bool,
}

/// Which of a parameter's arrays is meant.
#[derive(Debug, Clone, Copy)]
pub(crate) enum View {
    Value,
    Average,
    Gradient,
}

impl<T: Element> Parameter<T> {
    fn new(value: Panels<T>, penalised: bool) -> Self {
        let (rows, columns) = value.dim();
        let none = || Panels::zeros(0, 0);
        let gradient = if penalised { none() } else { Panels::zeros(rows, columns) };
        Self { first: Panels::zeros(rows, columns), second: none(), gradient, average: none(), value, penalised }
    }

    pub(crate) fn weights(w: ArrayView2<'_, T>) -> Self {
        Self::new(Panels::from_array(w), true)
    }

    pub(crate) fn vector(values: &Array1<T>) -> Self {
        Self::new(Panels::from_array(values.view().insert_axis(Axis(0))), false)
    }

    /// Makes what these settings need.
    pub(crate) fn prepare(&mut self, has_second: bool, keeps_gradient: bool) {
        if has_second {
            let (rows, columns) = self.value.dim();
            self.second = Panels::zeros(rows, columns);
        }
        if keeps_gradient {
            self.make_gradient();
        }
    }

    /// One of its arrays.
    pub(crate) fn array(&self, view: View) -> Array2<T> {
        match view {
            View::Value => self.value.to_array(),
            View::Average => self.average.to_array(),
            View::Gradient => self.gradient.to_array(),
        }
    }

    /// Whether it belongs to a product, which moves it where it can.
    pub(crate) fn is_weights(&self) -> bool {
        self.penalised
    }

    /// Makes room for the gradient where there is none.
    pub(crate) fn make_gradient(&mut self) {
        let (rows, columns) = self.value.dim();
        if self.gradient.dim() != (rows, columns) {
            self.gradient = Panels::zeros(rows, columns);
        }
    }

    /// The numbers of a vector.
    pub(crate) fn as_slice(&self) -> &[T] {
        let (_, columns) = self.value.dim();
        &self.value.flat()[..columns]
    }

    /// The step that this parameter takes.
    pub(crate) fn own_step(&self, step: &Step<T>) -> Step<T> {
        if self.penalised { *step } else { step.unpenalised() }
    }

    /// Moves the value by the kept gradient times `scale`.
    pub(crate) fn apply(&mut self, step: &Step<T>, scale: T) {
        let step = self.own_step(step);
        let memory = self.value.lines_mut().chunks_mut(LINES).zip(self.first.lines_mut().chunks_mut(LINES));
        // Adam's second memory, or empty parts.
        let second = self.second.lines_mut().chunks_mut(LINES).chain(std::iter::repeat_with(Default::default));
        let parts = memory.zip(self.gradient.lines_mut().chunks_mut(LINES)).zip(second);
        parallel::for_each(parts.collect(), |(((w, v), g), u): (_, &mut [Line<T>])| {
            let g = g.as_flattened_mut();
            vectorised(|| {
                if scale != T::one() {
                    g.iter_mut().for_each(|g| *g *= scale);
                }
                step.apply(g, w.as_flattened_mut(), v.as_flattened_mut(), u.as_flattened_mut());
            });
        });
    }

    /// What the next step depends on.
    pub(crate) fn memory(&self) -> [(&'static str, &Panels<T>); 4] {
        [("value", &self.value), ("first", &self.first), ("second", &self.second), ("average", &self.average)]
    }

    /// The same, to put back.
    pub(crate) fn memory_mut(&mut self) -> [&mut Panels<T>; 4] {
        [&mut self.value, &mut self.first, &mut self.second, &mut self.average]
    }

    /// Whether every number is finite: times 0 it is 0 then, and not else.
    pub(crate) fn is_finite(&self) -> bool {
        let is_finite =
            |lines: &[Line<T>]| lines.as_flattened().iter().fold(T::zero(), |sum, &v| sum + v * T::zero()) == T::zero();
        parallel::map(self.value.lines().chunks(LINES).collect(), is_finite).into_iter().all(|part| part)
    }

    /// Σ g² of the kept gradient, in an order that threads do not change.
    pub(crate) fn squared_gradient(&self) -> f64 {
        let (rows, columns) = self.gradient.dim();
        let sums = parallel::map((0..self.gradient.n_panels()).collect(), |id| {
            let width = (columns - id * 32).min(32);
            let squares = |line: &Line<T>| line[..width].iter().map(|g| g.wide() * g.wide()).sum::<f64>();
            self.gradient.panel(id)[..rows].iter().map(squares).sum::<f64>()
        });
        sums.into_iter().sum()
    }

    /// average ← β average + (1 − β) value.
    pub(crate) fn average_in(&mut self, beta: f64) {
        let (beta, fresh) = (T::of(beta), T::of(1.0 - beta));
        let parts = self.average.lines_mut().chunks_mut(LINES).zip(self.value.lines().chunks(LINES));
        parallel::for_each(parts.collect(), |(average, value)| {
            vectorised(|| {
                let numbers = average.as_flattened_mut().iter_mut().zip(value.as_flattened());
                numbers.for_each(|(a, &v)| *a = beta * *a + fresh * v);
            });
        });
    }

    /// The penalties of the value: λ₂ Σ W² + λ₁ Σ |W|.
    pub(crate) fn penalty(&self, optimiser: &Optimiser) -> f64 {
        if !self.penalised || (optimiser.l2 == 0.0 && optimiser.l1 == 0.0) {
            return 0.0;
        }
        let (rows, columns) = self.value.dim();
        let sums = parallel::map((0..self.value.n_panels()).collect(), |id| {
            let width = (columns - id * 32).min(32);
            let lines = self.value.panel(id)[..rows].iter();
            lines.map(|line| bakeoff_numeric::optim::penalty(optimiser.l2, optimiser.l1, &line[..width])).sum::<f64>()
        });
        sums.into_iter().sum()
    }
}
