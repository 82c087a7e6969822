//! Work in many short parallel parts, without waking anybody for each.

use rayon::Yield;
use std::sync::atomic::{AtomicBool, Ordering};

/// Looks for work between two offers of the processor to others.
const LOOKS: usize = 64;

/// Does `work`, while which the other threads of rayon's pool go on looking for their share of it instead of falling asleep: a
/// network's step is many short parallel parts, and each would begin with waking them.
///
/// Between two parts they take their processors' whole time, but from nobody who asks for it. Outside a pool, and in one of a single
/// thread, it only does the work.
pub fn keep_awake<R>(work: impl FnOnce() -> R) -> R {
    let here = rayon::current_thread_index();
    if here.is_none() || rayon::current_num_threads() < 2 {
        return work();
    }
    let done = AtomicBool::new(false);
    rayon::in_place_scope(|scope| {
        scope.spawn_broadcast(|_, context| {
            // This thread works itself, and must not be caught here when it waits for the others.
            while Some(context.index()) != here && !done.load(Ordering::Relaxed) {
                let found = (0..LOOKS).any(|_| rayon::yield_now() == Some(Yield::Executed));
                if !found {
                    std::thread::yield_now();
                }
            }
        });
        // However the work ends.
        let _done = Done(&done);
        work()
    })
}

struct Done<'a>(&'a AtomicBool);

impl Drop for Done<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rayon::prelude::*;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    fn sum_of_squares() -> usize {
        (0..1000).map(|i| (0..i % 50).into_par_iter().map(|j| j * j).sum::<usize>()).sum()
    }

    #[test]
    fn work_in_parts_is_done_on_any_number_of_threads() {
        let expected = sum_of_squares();
        assert_eq!(keep_awake(sum_of_squares), expected, "outside a pool");
        for threads in [1, 2, 5] {
            let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
            assert_eq!(pool.install(|| keep_awake(sum_of_squares)), expected, "{threads} threads");
            let nested = || keep_awake(|| (0..4).into_par_iter().map(|_| keep_awake(sum_of_squares)).sum::<usize>());
            assert_eq!(pool.install(nested), 4 * expected, "{threads} threads, one in another");
        }
    }

    #[test]
    fn work_that_panics_lets_the_others_go() {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(3).build().unwrap();
        let outcome = pool.install(|| catch_unwind(AssertUnwindSafe(|| keep_awake(|| panic!("in the midst")))));
        assert!(outcome.is_err());
        assert_eq!(pool.install(|| keep_awake(|| 7)), 7, "the pool is free again");
    }
}
