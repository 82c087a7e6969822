//! Intel's Advanced Matrix Extensions: one instruction multiplies 16 × 32 by 32 × 16 numbers of bfloat16 and adds the products up
//! in f32. `std` has no stable names for them, hence assembly.

use super::{Ahead, Block, Precision, Sums};
use std::arch::asm;
use std::arch::x86_64::__cpuid_count;
use std::marker::PhantomData;
use std::sync::LazyLock;

/// Whether this processor has the instructions and the system lets this process use them, which it is asked for at the first call.
pub(super) fn available() -> bool {
    static AVAILABLE: LazyLock<bool> = LazyLock::new(|| has_instructions() && permitted());
    *AVAILABLE
}

fn has_instructions() -> bool {
    // "Intel 64 and IA-32 Architectures Software Developer's Manual", volume 2, CPUID, leaf 7: AMX-BF16 and AMX-TILE.
    const BITS: u32 = 1 << 22 | 1 << 24;
    // Every processor with AVX2 has the leaf.
    is_x86_feature_detected!("avx2") && __cpuid_count(7, 0).edx & BITS == BITS
}

/// Asks Linux for the registers' state: see its "Using XSTATE features in user space applications".
#[expect(unsafe_code, reason = "there is no safe word for the system call")]
fn permitted() -> bool {
    const ARCH_PRCTL: i64 = 158;
    const ARCH_REQ_XCOMP_PERM: i64 = 0x1023;
    const XTILEDATA: i64 = 18;
    let answer: i64;
    // SAFETY: the call takes no pointers; it changes the registers that are named.
    unsafe {
        asm!("syscall", inlateout("rax") ARCH_PRCTL => answer, in("rdi") ARCH_REQ_XCOMP_PERM, in("rsi") XTILEDATA,
            out("rcx") _, out("r11") _, options(nostack));
    }
    answer == 0
}

/// Loads a piece of the left operand's block, which lies at this byte.
macro_rules! left {
    ($at:literal) => {
        concat!("tileloadd tmm4, [{left} + {row} + ", $at, "]\ntileloadd tmm5, [{left} + {row} + 1024 + ", $at, "]")
    };
}

/// The same of the right operand.
macro_rules! right {
    ($at:literal) => {
        concat!("tileloadd tmm6, [{right} + {row} + ", $at, "]\ntileloadd tmm7, [{right} + {row} + 1024 + ", $at, "]")
    };
}

/// Adds the products of the pieces that are loaded, and fetches three lines of the cache ahead.
macro_rules! multiply {
    ($one:literal, $two:literal, $three:literal) => {
        concat!(
            "prefetcht1 [{ahead} + ",
            $one,
            "]\ntdpbf16ps tmm0, tmm4, tmm6\ntdpbf16ps tmm1, tmm4, tmm7\nprefetcht1 [{ahead} + ",
            $two,
            "]\ntdpbf16ps tmm2, tmm5, tmm6\ntdpbf16ps tmm3, tmm5, tmm7\nprefetcht1 [{ahead} + ",
            $three,
            "]"
        )
    };
}

/// Fetches lines of the cache ahead.
macro_rules! fetch {
    ($($at:literal),*) => { concat!($("prefetcht1 [{ahead} + ", $at, "]\n"),*) };
}

/// Adds up the products of so many steps. The blocks of a step take so many bytes of each operand, and these are its instructions.
macro_rules! steps {
    ($steps:expr, $left:ident, $right:ident, $is_first:ident, $sums:ident, $ahead:ident, $bytes:literal, $($line:expr),*) => {{
        let steps = $steps;
        if steps == 0 {
            return;
        }
        // SAFETY: the tiles are configured (there is a `self`) and the compiler knows of none. They are loaded from `steps` times
        // those bytes of each operand, which are its blocks of 2,048 bytes, and from and to the 4,096 bytes of the sums. What is fetched ahead
        // is not read, and nothing happens where there is nothing.
        #[expect(unsafe_code, reason = "there is no safe word for the instructions")]
        unsafe {
            asm!(
                "test {first:e}, {first:e}",
                "jz 3f",
                "tilezero tmm0", "tilezero tmm1", "tilezero tmm2", "tilezero tmm3",
                "jmp 2f",
                "3:",
                "tileloadd tmm0, [{sums} + 2*{row}]",
                "tileloadd tmm1, [{sums} + 2*{row} + 64]",
                "tileloadd tmm2, [{sums} + 2*{row} + 2048]",
                "tileloadd tmm3, [{sums} + 2*{row} + 2112]",
                "2:",
                $($line,)*
                concat!("add {left}, ", $bytes),
                "add {ahead}, {stride}",
                concat!("add {right}, ", $bytes),
                "dec {steps}",
                "jnz 2b",
                "tilestored [{sums} + 2*{row}], tmm0",
                "tilestored [{sums} + 2*{row} + 64], tmm1",
                "tilestored [{sums} + 2*{row} + 2048], tmm2",
                "tilestored [{sums} + 2*{row} + 2112], tmm3",
                first = in(reg) u32::from($is_first),
                left = inout(reg) $left.as_ptr() => _,
                right = inout(reg) $right.as_ptr() => _,
                steps = inout(reg) steps => _,
                sums = in(reg) $sums.as_mut_ptr(),
                row = in(reg) 64usize,
                ahead = inout(reg) $ahead.starts[0] => _,
                stride = in(reg) $ahead.stride,
                out("tmm0") _, out("tmm1") _, out("tmm2") _, out("tmm3") _,
                out("tmm4") _, out("tmm5") _, out("tmm6") _, out("tmm7") _,
                options(nostack),
            );
        }
    }};
}

/// Eight tiles of 16 rows of 64 bytes, on this thread as long as it lives.
pub(super) struct Tiles(PhantomData<*const ()>);

/// What `ldtilecfg` reads.
#[repr(C, align(64))]
struct Shape {
    palette: u8,
    start: u8,
    reserved: [u8; 14],
    bytes_a_row: [u16; 16],
    rows: [u8; 16],
}

impl Tiles {
    /// None where the instructions are missing.
    #[expect(unsafe_code, reason = "there is no safe word for the instruction")]
    pub(super) fn new() -> Option<Self> {
        if !available() {
            return None;
        }
        let (mut bytes_a_row, mut rows) = ([0; 16], [0; 16]);
        bytes_a_row[..8].fill(64);
        rows[..8].fill(16);
        let shape = Shape { palette: 1, start: 0, reserved: [0; 14], bytes_a_row, rows };
        // SAFETY: the instruction is there, and reads the 64 bytes of a valid shape.
        unsafe { asm!("ldtilecfg [{}]", in(reg) &raw const shape, options(readonly, nostack)) };
        Some(Self(PhantomData))
    }

    /// sums ← left · right, or added to what is there; as many blocks of both.
    ///
    /// Of each step's nine products of three pieces six are made: see [`super`]. Operands change one
    /// at a time, so that a tile is loaded for every 1.7 multiplications.
    #[expect(clippy::unused_self, reason = "that there is one says that the tiles are configured")]
    pub(super) fn add(
        &self,
        precision: Precision,
        left: &[Block],
        right: &[Block],
        is_first: bool,
        sums: &mut Sums,
        ahead: Ahead,
    ) {
        debug_assert_eq!(left.len(), right.len());
        match precision {
            Precision::F32 => steps!(
                left.len() / 3,
                left,
                right,
                is_first,
                sums,
                ahead,
                "6144",
                left!(0),
                right!(4096),
                multiply!(0, 64, 128),
                right!(2048),
                multiply!(192, 256, 320),
                left!(2048),
                multiply!(384, 448, 512),
                right!(0),
                multiply!(576, 640, 704),
                left!(4096),
                multiply!(768, 832, 896),
                left!(0),
                multiply!(960, 960, 960)
            ),
            Precision::Bf16 => steps!(
                left.len(),
                left,
                right,
                is_first,
                sums,
                ahead,
                "2048",
                left!(0),
                right!(0),
                multiply!(0, 64, 128),
                fetch!(192, 256, 320, 384, 448, 512, 576, 640, 704, 768, 832, 896, 960)
            ),
        }
    }
}

impl Drop for Tiles {
    #[expect(unsafe_code, reason = "there is no safe word for the instruction")]
    fn drop(&mut self) {
        // SAFETY: the instruction is there. With the tiles given back, the system need not save them.
        unsafe { asm!("tilerelease", options(nomem, nostack)) };
    }
}
