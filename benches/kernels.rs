//! Every kernel of the house, and every entry of its catalogues.

mod classifiers;
mod datasets;
mod features;
mod networks;
mod numeric;
mod panels;
mod unsupervised;

use crate::kernel::Kernel;

/// All kernels, family by family.
pub fn all() -> Vec<Kernel> {
    let families = [
        numeric::kernels(),
        panels::kernels(),
        unsupervised::kernels(),
        features::kernels(),
        classifiers::kernels(),
        networks::kernels(),
        datasets::kernels(),
    ];
    families.into_iter().flatten().collect()
}

/// What a call is put back by where it changes nothing but its output.
fn nothing<S>(_: &mut S) {}
