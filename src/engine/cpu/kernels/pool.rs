//! Threads that work on one matrix at a time.
//!
//! What it is not: a queue. One caller hands out one piece of work, takes part in it, and waits for its end; between two
//! pieces the threads spin for a moment, because the next one usually comes at once, and then sleep.
//! Start at [`Pool::blocks`].

use std::io;
use std::marker::PhantomData;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::{self, JoinHandle};

/// About 50 microseconds.
const N_SPINS: u32 = 2_000;

/// Multiplications, about 10 microseconds: less is done sooner than a thread has heard of it, and on a busy machine one
/// that has been put aside by the system would be waited for.
pub(crate) const WORTH_SHARING: usize = 131_072;

/// In [`Shared::state`]: below it the number of threads at work, above the number of the piece of work.
const OPEN: u64 = 1 << 31;
const N_WORKING: u64 = OPEN - 1;
const ONE_PIECE: u64 = OPEN << 1;

/// Threads, the caller's included.
pub(crate) struct Pool {
    shared: Arc<Shared>,
    workers: Vec<JoinHandle<()>>,
}

struct Shared {
    /// Which piece of work, whether it may still be joined, and how many threads are at it.
    state: AtomicU64,
    /// The piece of work: a `&&(dyn Fn(usize) + Sync)`, valid while the state is open or somebody works.
    work: AtomicUsize,
    n_tasks: AtomicUsize,
    next_task: AtomicUsize,
    n_asleep: AtomicUsize,
    panicked: AtomicBool,
    ending: AtomicBool,
}

type Work<'a> = &'a (dyn Fn(usize) + Sync);

impl Shared {
    /// Does tasks until there are none left.
    fn work_on(&self, work: Work<'_>) {
        let n_tasks = self.n_tasks.load(Ordering::Relaxed);
        loop {
            let task = self.next_task.fetch_add(1, Ordering::Relaxed);
            if task >= n_tasks {
                return;
            }
            work(task);
        }
    }

    /// What a worker does all its life.
    fn serve(&self) {
        let mut done = 0; // the piece of work that this worker has seen to its end
        let mut n_spins = 0;
        while !self.ending.load(Ordering::Acquire) {
            let state = self.state.load(Ordering::SeqCst);
            if state & OPEN == 0 || state / ONE_PIECE == done {
                n_spins += 1;
                if n_spins < N_SPINS {
                    std::hint::spin_loop();
                } else {
                    self.sleep(done);
                    n_spins = 0;
                }
                continue;
            }
            if self.state.compare_exchange(state, state + 1, Ordering::SeqCst, Ordering::Relaxed).is_err() {
                continue;
            }
            done = state / ONE_PIECE;
            n_spins = 0;
            // SAFETY: the address was stored before the state was opened, and what lies there lives until no thread is at
            // work any more: this one has just been counted, and is taken from the count below.
            let work = unsafe { *(self.work.load(Ordering::Relaxed) as *const Work<'_>) };
            if catch_unwind(AssertUnwindSafe(|| self.work_on(work))).is_err() {
                self.panicked.store(true, Ordering::Relaxed);
            }
            self.state.fetch_sub(1, Ordering::Release);
        }
    }

    fn sleep(&self, done: u64) {
        self.n_asleep.fetch_add(1, Ordering::SeqCst);
        // Whoever opens a piece of work after this look sees that somebody sleeps, and wakes everyone.
        let state = self.state.load(Ordering::SeqCst);
        if (state & OPEN == 0 || state / ONE_PIECE == done) && !self.ending.load(Ordering::SeqCst) {
            thread::park();
        }
        self.n_asleep.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Closes the piece of work and waits until nobody is at it, also when the caller's part of it panics.
struct Closing<'a>(&'a Shared);

impl Drop for Closing<'_> {
    fn drop(&mut self) {
        self.0.state.fetch_and(!OPEN, Ordering::SeqCst);
        let mut n_spins = 0;
        while self.0.state.load(Ordering::Acquire) & N_WORKING != 0 {
            n_spins += 1;
            if n_spins < N_SPINS { std::hint::spin_loop() } else { thread::yield_now() }
        }
    }
}

impl Pool {
    /// A pool of so many threads, the caller's included; at least one.
    pub(crate) fn new(n_threads: usize) -> io::Result<Self> {
        let shared = Arc::new(Shared {
            state: AtomicU64::new(0),
            work: AtomicUsize::new(0),
            n_tasks: AtomicUsize::new(0),
            next_task: AtomicUsize::new(0),
            n_asleep: AtomicUsize::new(0),
            panicked: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        });
        let mut pool = Self { shared, workers: Vec::new() };
        for worker_idx in 1..n_threads {
            let shared = pool.shared.clone();
            let name = format!("cpu engine {worker_idx}");
            pool.workers.push(thread::Builder::new().name(name).spawn(move || shared.serve())?);
        }
        Ok(pool)
    }

    /// Threads, the caller's included.
    pub(crate) fn n_threads(&self) -> usize {
        self.workers.len() + 1
    }

    /// Calls `work` once for each of `0..n_tasks`, from all threads, and returns when all are done.
    pub(crate) fn run(&mut self, n_tasks: usize, work: Work<'_>) {
        if n_tasks <= 1 || self.workers.is_empty() {
            (0..n_tasks).for_each(work);
            return;
        }
        let shared = &*self.shared;
        shared.work.store(&raw const work as usize, Ordering::Relaxed);
        shared.n_tasks.store(n_tasks, Ordering::Relaxed);
        shared.next_task.store(0, Ordering::Relaxed);
        shared.panicked.store(false, Ordering::Relaxed);
        let closing = Closing(shared);
        // Closed and without workers since the last piece ended; nobody but this caller (`&mut self`) opens it.
        let state = shared.state.load(Ordering::Relaxed);
        shared.state.store((state + ONE_PIECE) | OPEN, Ordering::SeqCst);
        if shared.n_asleep.load(Ordering::SeqCst) > 0 {
            self.workers.iter().for_each(|worker| worker.thread().unpark());
        }
        shared.work_on(work);
        drop(closing);
        if shared.panicked.load(Ordering::Relaxed) {
            resume_unwind(Box::new("a thread of the engine panicked"));
        }
    }

    /// Fills the matrix `out`, [n][width], block by block: the rows of each group times bands of `band` columns.
    /// `work` gets the group's number and the block. `cost` is what all of it takes, in multiplications: a small matter is
    /// not handed over at all.
    pub(crate) fn blocks(
        &mut self,
        out: &mut [f32],
        width: usize,
        groups: &[Range<usize>],
        band: usize,
        cost: usize,
        work: &(impl Fn(usize, Block<'_>) + Sync),
    ) {
        let target = Target { out, width, groups, band };
        self.fill([target], cost, &|_, group_idx, block| work(group_idx, block));
    }

    /// As [`Self::blocks`] for several matrices at once. `work` gets the matrix's number first.
    pub(crate) fn fill<const N: usize>(
        &mut self,
        targets: [Target<'_>; N],
        cost: usize,
        work: &(impl Fn(usize, usize, Block<'_>) + Sync),
    ) {
        let mut first_task = 0;
        let targets = targets.map(|target| {
            let start = first_task;
            first_task += target.n_tasks();
            (start, target.checked())
        });
        let n_tasks = first_task;
        let fill = |task: usize| {
            let (target_idx, (start, target)) =
                targets.iter().enumerate().rfind(|(_, (start, _))| *start <= task).expect("the first begins at 0");
            let (group_idx, block) = target.block(task - start);
            work(target_idx, group_idx, block);
        };
        if cost < WORTH_SHARING {
            (0..n_tasks).for_each(fill);
        } else {
            self.run(n_tasks, &fill);
        }
    }

    /// Hands out the parts of `data` that `bounds` gives for `0..n_parts`; they ascend and do not overlap. `cost` as in
    /// [`Self::blocks`].
    pub(crate) fn parts<T: Send>(
        &mut self,
        data: &mut [T],
        n_parts: usize,
        bounds: &(impl Fn(usize) -> Range<usize> + Sync),
        cost: usize,
        work: &(impl Fn(usize, &mut [T]) + Sync),
    ) {
        // Asked once: what is checked is what is handed out.
        let parts: Vec<Range<usize>> = (0..n_parts).map(bounds).collect();
        let mut end = 0;
        for part in &parts {
            assert!(end <= part.start && part.start <= part.end, "parts ascend and do not overlap");
            end = part.end;
        }
        assert!(end <= data.len(), "the parts lie within the data");
        let start = Start(data.as_mut_ptr());
        let hand_out = |idx: usize| {
            let part = parts[idx].clone();
            // SAFETY: the parts lie within the data and are disjoint, and `data` is held exclusively.
            work(idx, unsafe { std::slice::from_raw_parts_mut(start.get().add(part.start), part.len()) });
        };
        if cost < WORTH_SHARING {
            (0..n_parts).for_each(hand_out);
        } else {
            self.run(n_parts, &hand_out);
        }
    }
}

/// A matrix to be filled, [n][width]: the rows of each group times bands of `band` columns.
pub(crate) struct Target<'a> {
    pub(crate) out: &'a mut [f32],
    pub(crate) width: usize,
    pub(crate) groups: &'a [Range<usize>],
    pub(crate) band: usize,
}

impl<'a> Target<'a> {
    fn n_tasks(&self) -> usize {
        self.groups.len() * self.width.div_ceil(self.band)
    }

    fn checked(self) -> Blocks<'a> {
        let mut end = 0;
        for group in self.groups {
            assert!(end <= group.start && group.start <= group.end, "groups ascend and do not overlap");
            end = group.end;
        }
        let n = end.checked_mul(self.width);
        assert!(n.is_some_and(|n| n <= self.out.len()), "the groups lie within the matrix");
        Blocks { start: Start(self.out.as_mut_ptr()), width: self.width, groups: self.groups, band: self.band }
    }
}

/// A matrix whose groups have been checked, held exclusively as long as this lives.
struct Blocks<'a> {
    start: Start<f32>,
    width: usize,
    groups: &'a [Range<usize>],
    band: usize,
}

impl Blocks<'_> {
    /// The block of a task, which nobody else makes, and its group's number.
    fn block(&self, task: usize) -> (usize, Block<'_>) {
        let n_bands = self.width.div_ceil(self.band);
        let (group_idx, first_column) = (task / n_bands, task % n_bands * self.band);
        let group = &self.groups[group_idx];
        let block = Block {
            // Of a group without rows it may lie behind the matrix; then nothing is read or written there.
            start: self.start.get().wrapping_add(group.start * self.width + first_column),
            stride: self.width,
            n_rows: group.len(),
            columns: first_column..self.width.min(first_column + self.band),
            matrix: PhantomData,
        };
        (group_idx, block)
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.ending.store(true, Ordering::SeqCst);
        for worker in self.workers.drain(..) {
            worker.thread().unpark();
            // Its panics have been reported already.
            let _ = worker.join();
        }
    }
}

struct Start<T>(*mut T);

impl<T> Start<T> {
    fn get(&self) -> *mut T {
        self.0
    }
}

// SAFETY: threads only make disjoint parts of what begins there, while the pool holds all of it exclusively.
unsafe impl<T: Send> Sync for Start<T> {}

/// A part of a matrix that one task alone writes: some rows, and a band of columns of them.
pub(crate) struct Block<'a> {
    start: *mut f32,
    stride: usize,
    n_rows: usize,
    columns: Range<usize>,
    matrix: PhantomData<&'a mut [f32]>,
}

impl<'a> Block<'a> {
    /// A matrix that is one block. `data`: [n_rows][width]; `columns`, as many, are what they are called.
    pub(crate) fn whole(data: &'a mut [f32], n_rows: usize, columns: Range<usize>) -> Self {
        let stride = columns.len();
        let n = n_rows.checked_mul(stride);
        assert!(n.is_some_and(|n| n <= data.len()), "the block lies within the data");
        Self { start: data.as_mut_ptr(), stride, n_rows, columns, matrix: PhantomData }
    }

    /// Rows of the block.
    pub(crate) fn n_rows(&self) -> usize {
        self.n_rows
    }

    /// Columns of the block.
    pub(crate) fn n_columns(&self) -> usize {
        self.columns.len()
    }

    /// The matrix's columns that the block is made of.
    pub(crate) fn columns(&self) -> Range<usize> {
        self.columns.clone()
    }

    /// One row of the block: its columns of the matrix's row. [n_columns]
    pub(crate) fn row(&mut self, idx: usize) -> &mut [f32] {
        assert!(idx < self.n_rows, "row {idx} of a block of {}", self.n_rows);
        // SAFETY: blocks of one matrix are disjoint and lie within it (see `Pool::blocks`), this row lies within the
        // block, and `&mut self` lets only one row be borrowed at a time.
        unsafe { std::slice::from_raw_parts_mut(self.start.add(idx * self.stride), self.columns.len()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_block_is_filled_once_by_any_number_of_threads() {
        for n_threads in [1, 2, 3, 8] {
            let mut pool = Pool::new(n_threads).unwrap();
            assert_eq!(pool.n_threads(), n_threads);
            // Many pieces in a row, some after the threads have gone to sleep.
            for piece in 0..300 {
                if piece % 100 == 99 {
                    thread::sleep(std::time::Duration::from_millis(2));
                }
                let (width, band) = (1 + piece % 40, 1 + piece % 7);
                let mut out = vec![0.0; 6 * width];
                pool.blocks(
                    &mut out,
                    width,
                    &[0..2, 2..2, 3..6],
                    band,
                    WORTH_SHARING - piece % 2,
                    &|group_idx, mut block| {
                        for row in 0..block.n_rows() {
                            let columns = block.columns();
                            for (value, column) in block.row(row).iter_mut().zip(columns) {
                                *value += (1000 * (group_idx + 1) + column) as f32;
                            }
                        }
                    },
                );
                for (row, group) in [1, 1, 0, 3, 3, 3].into_iter().enumerate() {
                    for column in 0..width {
                        let expected = if group == 0 { 0 } else { 1000 * group + column };
                        assert_eq!(out[row * width + column], expected as f32, "row {row}, column {column}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_panic_in_a_task_reaches_the_caller_and_the_pool_goes_on() {
        let mut pool = Pool::new(3).unwrap();
        for bad_task in [0, 57, 99] {
            let run = catch_unwind(AssertUnwindSafe(|| pool.run(100, &|task| assert_ne!(task, bad_task))));
            assert!(run.is_err(), "task {bad_task}");
            let n_done = AtomicUsize::new(0);
            pool.run(100, &|_| {
                n_done.fetch_add(1, Ordering::Relaxed);
            });
            assert_eq!(n_done.into_inner(), 100);
        }
    }
}
