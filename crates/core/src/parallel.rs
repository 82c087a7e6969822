//! A loop on rayon's pool that is compiled once.
//!
//! rayon's own loops are compiled anew for every place that calls them, with all that splits, steals and carries panics. Use
//! them where an item is little work; where it is much (a band of a product, a file), this loop costs nothing that could be measured.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Calls `each` with every item, on the calling thread and rayon's current pool, in no order. An item is
/// taken out of a lock, so that it should be ten microseconds of work or more. A panic in `each` is handed on to the caller.
pub fn for_each<I: Send>(items: Vec<I>, each: impl Fn(I) + Sync) {
    let items: Vec<Mutex<Option<I>>> = items.into_iter().map(|item| Mutex::new(Some(item))).collect();
    for_each_index(items.len(), &|i| {
        let item = items[i].lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(item) = item {
            each(item);
        }
    });
}

/// What `of` makes of each item, in the items' order; runs as [`for_each`] does.
pub fn map<I: Send, R: Send>(items: Vec<I>, of: impl Fn(I) -> R + Sync) -> Vec<R> {
    let mut results: Vec<Option<R>> = items.iter().map(|_| None).collect();
    for_each(items.into_iter().zip(&mut results).collect(), |(item, result)| *result = Some(of(item)));
    results.into_iter().flatten().collect()
}

/// The one loop.
fn for_each_index(count: usize, each: &(dyn Fn(usize) + Sync)) {
    if count < 2 {
        return (0..count).for_each(each);
    }
    // Where there are few, each may be taken by another thread.
    (0..count).into_par_iter().with_max_len((count >> 12).max(1)).for_each(each);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn every_item_is_taken_once_on_any_number_of_threads() {
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            for n in [0, 1, 2, 7, 1000, 10_000] {
                let mut numbers = vec![0; n];
                pool.install(|| for_each(numbers.iter_mut().enumerate().collect(), |(i, number)| *number += i + 1));
                assert!(numbers.iter().enumerate().all(|(i, &number)| number == i + 1), "{threads} threads");
                let texts = pool.install(|| map((0..n).collect(), |i| format!("{i}")));
                assert_eq!(texts, (0..n).map(|i| i.to_string()).collect::<Vec<_>>(), "{threads} threads");
            }
        }
    }

    #[test]
    fn a_panic_reaches_the_caller_and_items_are_dropped() {
        struct Counted<'a>(&'a AtomicUsize);
        impl Drop for Counted<'_> {
            fn drop(&mut self) {
                self.0.fetch_add(1, Ordering::Relaxed);
            }
        }
        let dropped = AtomicUsize::new(0);
        let items = (0..20).map(|_| Counted(&dropped)).collect();
        let ended = catch_unwind(AssertUnwindSafe(|| for_each(items, |_| panic!("in the midst"))));
        assert!(ended.is_err());
        assert_eq!(dropped.load(Ordering::Relaxed), 20);
    }
}
