//! The kernels by themselves: `cargo bench --bench kernels`. Bytes of weights and operations for each second, by every set of
//! instructions that this processor has.

use ossicle::engine::cpu::bench::kernel_speeds;
use ossicle::world::SystemClock;

fn main() -> std::io::Result<()> {
    println!("{:<14} {:<6} {:>8} {:>8} {:>9} {:>9}", "kernels", "", "vectors", "threads", "GB/s", "GOP/s");
    kernel_speeds(2, &SystemClock::new(), &mut |speed| {
        println!(
            "{:<14} {:<6} {:>8} {:>8} {:>9.1} {:>9.1}",
            speed.kernels, speed.format, speed.n_vectors, speed.n_threads, speed.gb_s, speed.gop_s
        );
    })
}
