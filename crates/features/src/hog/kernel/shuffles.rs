//! Bytes to planes of colors, and rows to columns: what the compiler does number by number unless it is told the shuffles.

/// The instructions that the shuffles need, where the processor has them.
#[derive(Clone, Copy)]
pub(super) struct Shuffles {
    #[cfg(target_arch = "x86_64")]
    simd: Option<pulp::x86::V3>,
}

impl Shuffles {
    pub(super) fn new() -> Self {
        Self {
            #[cfg(target_arch = "x86_64")]
            simd: pulp::x86::V3::try_new(),
        }
    }

    /// Splits a line of red, green and blue bytes into intensities or their roots, one slice a channel, as long as the
    /// line has pixels.
    #[inline(always)]
    pub(super) fn split_colors(self, line: &[u8], roots: bool, planes: [&mut [f32]; 3]) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            // Two loops: the choice within would be made for every pixel.
            if roots {
                return x86::split_colors(simd, line, true, planes);
            }
            return x86::split_colors(simd, line, false, planes);
        }
        split_colors(line, roots, planes);
    }

    /// Turns `from`, rows of `width` numbers, into columns: number (i, j) goes to `to[j * stride + i]`, stride at least
    /// the rows rounded up to 8. What lies beyond the rows in a column is overwritten or left.
    #[inline(always)]
    pub(super) fn turn(self, from: &[f32], width: usize, to: &mut [f32], stride: usize) {
        #[cfg(target_arch = "x86_64")]
        if let Some(simd) = self.simd {
            return x86::turn(simd, from, width, to, stride);
        }
        turn(from, width, to, stride);
    }
}

#[inline(always)]
fn split_colors(line: &[u8], roots: bool, [red, green, blue]: [&mut [f32]; 3]) {
    for (((pixel, r), g), b) in line.as_chunks::<3>().0.iter().zip(red).zip(green).zip(blue) {
        (*r, *g, *b) = (f32::from(pixel[0]), f32::from(pixel[1]), f32::from(pixel[2]));
        if roots {
            (*r, *g, *b) = (r.sqrt(), g.sqrt(), b.sqrt());
        }
    }
}

#[inline(always)]
fn turn(from: &[f32], width: usize, to: &mut [f32], stride: usize) {
    for (i, line) in from.chunks_exact(width).enumerate() {
        to[i..].iter_mut().step_by(stride).zip(line).for_each(|(to, &from)| *to = from);
    }
}

#[cfg(target_arch = "x86_64")]
mod x86 {
    use pulp::cast;
    use pulp::x86::V3;
    use std::arch::x86_64::{__m128i, __m256};

    /// Pixels split together.
    const PIXELS: usize = 16;
    /// Rows and columns turned together.
    const SQUARE: usize = 8;

    /// Where in 16 of the 48 bytes of 16 pixels the bytes of a channel are; 128 where there is none, which gives 0.
    const fn places(channel: usize, part: usize) -> [u8; PIXELS] {
        let mut places = [128; PIXELS];
        let mut pixel = 0;
        while pixel < PIXELS {
            let byte = 3 * pixel + channel;
            if byte / PIXELS == part {
                places[pixel] = (byte % PIXELS) as u8;
            }
            pixel += 1;
        }
        places
    }

    const fn all_places() -> [[[u8; PIXELS]; 3]; 3] {
        let mut all = [[[0; PIXELS]; 3]; 3];
        let mut i = 0;
        while i < 9 {
            all[i / 3][i % 3] = places(i / 3, i % 3);
            i += 1;
        }
        all
    }

    /// Of each channel, in each of the three parts.
    const PLACES: [[[u8; PIXELS]; 3]; 3] = all_places();

    #[inline(always)]
    pub(super) fn split_colors(simd: V3, line: &[u8], roots: bool, [red, green, blue]: [&mut [f32]; 3]) {
        let (blocks, rest) = line.as_chunks::<{ 3 * PIXELS }>();
        let ((red, red_rest), (green, green_rest)) = (red.as_chunks_mut::<PIXELS>(), green.as_chunks_mut::<PIXELS>());
        let (blue, blue_rest) = blue.as_chunks_mut::<PIXELS>();
        for (((block, red), green), blue) in blocks.iter().zip(red).zip(green).zip(blue) {
            let parts: [__m128i; 3] = cast(*block);
            for (plane, places) in [red, green, blue].into_iter().zip(&PLACES) {
                let a = simd.ssse3._mm_shuffle_epi8(parts[0], cast(places[0]));
                let b = simd.ssse3._mm_shuffle_epi8(parts[1], cast(places[1]));
                let c = simd.ssse3._mm_shuffle_epi8(parts[2], cast(places[2]));
                let bytes: [u8; PIXELS] = cast(simd.sse2._mm_or_si128(simd.sse2._mm_or_si128(a, b), c));
                for i in 0..PIXELS {
                    plane[i] = if roots { f32::from(bytes[i]).sqrt() } else { f32::from(bytes[i]) };
                }
            }
        }
        super::split_colors(rest, roots, [red_rest, green_rest, blue_rest]);
    }

    #[inline(always)]
    pub(super) fn turn(simd: V3, from: &[f32], width: usize, to: &mut [f32], stride: usize) {
        let (rows, whole) = (from.len() / width, width / SQUARE * SQUARE);
        for top in (0..rows).step_by(SQUARE) {
            let part = &from[top * width..];
            if rows - top < SQUARE / 2 {
                super::turn(part, width, &mut to[top..], stride);
                continue;
            }
            for left in (0..whole).step_by(SQUARE) {
                let mut lines: [__m256; SQUARE] = [cast([0.0f32; SQUARE]); SQUARE];
                for (i, line) in lines.iter_mut().enumerate() {
                    // A row that is not there is read as the last one.
                    let start = i.min(rows - top - 1) * width + left;
                    *line = cast(*part[start..].first_chunk::<SQUARE>().expect("a whole square"));
                }
                let columns = turned(simd, lines);
                for (j, column) in columns.into_iter().enumerate() {
                    let column: [f32; SQUARE] = cast(column);
                    to[(left + j) * stride + top..][..SQUARE].copy_from_slice(&column);
                }
            }
            for (i, line) in part.chunks_exact(width).take(SQUARE).enumerate() {
                for (j, &value) in line.iter().enumerate().skip(whole) {
                    to[j * stride + top + i] = value;
                }
            }
        }
    }

    /// Eight rows of eight numbers as columns: pairs of rows, then fours, then eights. Loops and no closures, which would be
    /// compiled without the instructions.
    #[inline(always)]
    fn turned(simd: V3, rows: [__m256; SQUARE]) -> [__m256; SQUARE] {
        let (avx, mut pairs, mut fours) = (simd.avx, rows, rows);
        for i in (0..SQUARE).step_by(2) {
            pairs[i] = avx._mm256_unpacklo_ps(rows[i], rows[i + 1]);
            pairs[i + 1] = avx._mm256_unpackhi_ps(rows[i], rows[i + 1]);
        }
        for i in [0, 4] {
            fours[i] = avx._mm256_shuffle_ps::<0b01_00_01_00>(pairs[i], pairs[i + 2]);
            fours[i + 1] = avx._mm256_shuffle_ps::<0b11_10_11_10>(pairs[i], pairs[i + 2]);
            fours[i + 2] = avx._mm256_shuffle_ps::<0b01_00_01_00>(pairs[i + 1], pairs[i + 3]);
            fours[i + 3] = avx._mm256_shuffle_ps::<0b11_10_11_10>(pairs[i + 1], pairs[i + 3]);
        }
        let mut columns = rows;
        for j in 0..4 {
            columns[j] = avx._mm256_permute2f128_ps::<0x20>(fours[j], fours[j + 4]);
            columns[j + 4] = avx._mm256_permute2f128_ps::<0x31>(fours[j], fours[j + 4]);
        }
        columns
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffles_do_what_plain_loops_do() {
        for width in [1, 15, 16, 17, 32, 50] {
            let line: Vec<u8> = (0..3 * width).map(|i| (i * 37 % 256) as u8).collect();
            for roots in [false, true] {
                let mut planes = vec![vec![-1.0; width]; 3];
                let [red, green, blue] = &mut planes[..] else { unreachable!("three planes") };
                Shuffles::new().split_colors(&line, roots, [red, green, blue]);
                for (i, &byte) in line.iter().enumerate() {
                    let right = if roots { f32::from(byte).sqrt() } else { f32::from(byte) };
                    assert_eq!(planes[i % 3][i / 3], right, "{width}: {i}");
                }
            }
        }
        for (rows, width) in [(1, 8), (4, 16), (8, 9), (9, 32), (13, 20), (18, 16)] {
            let from: Vec<f32> = (0..rows * width).map(|i| i as f32).collect();
            let stride = 16 * (rows / 16 + 1);
            let mut to = vec![-1.0; width * stride];
            Shuffles::new().turn(&from, width, &mut to, stride);
            for (i, &value) in from.iter().enumerate() {
                assert_eq!(to[i % width * stride + i / width], value, "{rows}×{width}: {i}");
            }
        }
    }
}
