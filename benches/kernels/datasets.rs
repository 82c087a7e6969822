//! Image decoding, readers, the audit, augmentation: what happens to bytes before they are features.

use super::nothing;
use crate::images;
use crate::kernel::{Case, Kernel, Outcome, Size, Steps, Tolerance, Work};
use bakeoff_core::{Augmentation, Dataset, Images, Labelled, Labels, LoadError, Provenance, Seed, Splits};
use bakeoff_datasets::cifar::{CIFAR_10, Set};
use bakeoff_datasets::shapes::Shapes;
use bakeoff_datasets::{NpzOptions, ParquetOptions, audit, content_hash, decode, folder, idx, npz, parquet, preview};
use flate2::{Compression, write::GzEncoder};
use image::{ExtendedColorType, ImageFormat};
use ndarray::Array1;
use std::io::{Cursor, Write};
use std::path::Path;
use std::sync::Arc;

pub(super) fn kernels() -> Vec<Kernel> {
    let mut kernels = decoders();
    kernels.extend(readers());
    kernels.extend(whole_sets());
    kernels.push(augmentation());
    kernels.push(folders());
    kernels
}

/// Bytes of files, and what was read from them.
struct Files {
    encoded: Vec<Vec<u8>>,
    /// What was written into them.
    written: Vec<u8>,
    read: Vec<u8>,
}

/// One image as a file of this format.
fn encoded(pixels: &[u8], side: usize, format: ImageFormat) -> Vec<u8> {
    let mut out = Cursor::new(Vec::new());
    if format == ImageFormat::Jpeg {
        let (width, height) = (side as u16, side as u16);
        let encoder = jpeg_encoder::Encoder::new(&mut out, 90);
        encoder.encode(pixels, width, height, jpeg_encoder::ColorType::Rgb).expect("an image in memory");
        return out.into_inner();
    }
    let (width, height) = (side as u32, side as u32);
    let written = image::write_buffer_with_format(&mut out, pixels, width, height, ExtendedColorType::Rgb8, format);
    written.expect("an image in memory");
    out.into_inner()
}

impl Files {
    fn images(n: usize, side: usize, format: ImageFormat) -> Self {
        let images = images(n, (side, side, 3), Seed(1));
        let encoded = images.view().iter().map(|pixels| encoded(pixels, side, format)).collect();
        Self { encoded, written: images.view().iter().flatten().copied().collect(), read: Vec::new() }
    }
}

fn decoders() -> Vec<Kernel> {
    let of = |name: &str, format: ImageFormat, is_exact: bool| {
        let size = |(n, side): (usize, usize)| {
            Size::new(format!("{n}x{side}x{side}"), Work::images(n, 3 * n * side * side), move || {
                let steps = Steps {
                    prepare: |s: &mut Files| s.read.clear(),
                    run: |s| {
                        for bytes in &s.encoded {
                            let picture = decode::decode(Path::new("an image"), bytes).expect("a sound image");
                            s.read.extend(picture.rgb);
                        }
                    },
                    outcome: |s| Outcome::bytes(&s.read),
                    reference: if is_exact { Some(|s: &Files| Outcome::bytes(&s.written)) } else { None },
                };
                Case::new(Files::images(n, side, format), steps)
            })
        };
        Kernel::new(
            format!("datasets/decode-{name}"),
            &["datasets::decode::decode"],
            [(4, 32), (16, 128), (2, 1024)].map(size).into(),
        )
        .within(Tolerance::EXACT)
    };
    vec![
        of("png", ImageFormat::Png, true),
        of("bmp", ImageFormat::Bmp, true),
        of("webp", ImageFormat::WebP, true),
        of("gif", ImageFormat::Gif, false),
        // Lossy: what it decodes to is held by the crate's own tests against another decoder.
        of("jpeg", ImageFormat::Jpeg, false),
    ]
}

/// A file, what a reader makes of it, and what was written into it.
struct Reading {
    file: Vec<u8>,
    pixels: Vec<u8>,
    read: Result<Vec<u8>, LoadError>,
}

/// Pixels of the training part, then of the test part.
fn pixels_of(splits: &Splits) -> Vec<u8> {
    let parts = [splits.train.images(), splits.test.images()];
    parts.iter().flat_map(|images| images.view().iter().flatten().copied().collect::<Vec<_>>()).collect()
}

fn reader(
    name: &str,
    covers: &'static [&'static str],
    (sizes, bytes): ([usize; 2], usize),
    make: fn(usize) -> (Vec<u8>, Vec<u8>),
    run: fn(&mut Reading),
) -> Kernel {
    let size = |n: usize| {
        Size::new(n.to_string(), Work::images(n, n * bytes), move || {
            let (file, pixels) = make(n);
            let steps = Steps {
                prepare: |s: &mut Reading| s.read = Ok(Vec::new()),
                run,
                outcome: |s| Outcome::bytes(s.read.as_deref().unwrap_or_default()),
                reference: Some(|s| Outcome::bytes(&s.pixels)),
            };
            Case::new(Reading { file, pixels, read: Ok(Vec::new()) }, steps)
        })
    };
    Kernel::new(format!("datasets/{name}"), covers, sizes.map(size).into()).within(Tolerance::EXACT)
}

/// An IDX file of n images of 28×28, and its values.
fn idx_file(n: usize) -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = images(n, (28, 28, 1), Seed(2)).view().iter().flatten().copied().collect();
    let sizes = [n, 28, 28].into_iter().flat_map(|size| (size as u32).to_be_bytes());
    ([0, 0, 8, 3].into_iter().chain(sizes).chain(pixels.iter().copied()).collect(), pixels)
}

fn gzipped(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).expect("memory takes it");
    encoder.finish().expect("memory takes it")
}

/// Records of CIFAR-10 for a training and a test file, and the pixels as images have them.
fn cifar_file(n: usize) -> (Vec<u8>, Vec<u8>) {
    let images = images(n, (32, 32, 3), Seed(3));
    let mut file = Vec::new();
    for (i, image) in images.view().iter().enumerate() {
        file.push((i % 10) as u8);
        (0..3).for_each(|channel| file.extend(image.iter().skip(channel).step_by(3)));
    }
    let pixels: Vec<u8> = images.view().iter().flatten().copied().collect();
    (file, pixels.repeat(2))
}

fn read_cifar(s: &mut Reading) {
    let place = Path::new("cifar-10");
    let mut set = Set::new(&CIFAR_10);
    let added = ["data_batch_1.bin", "test_batch.bin"].map(|name| set.add(place, name, &s.file));
    s.read = added.into_iter().collect::<Result<(), _>>().and_then(|()| set.into_splits(place)).map(|x| pixels_of(&x));
}

/// An array as numpy writes it, in an archive.
fn npz_file(n: usize) -> (Vec<u8>, Vec<u8>) {
    let pixels: Vec<u8> = images(n, (28, 28, 3), Seed(4)).view().iter().flatten().copied().collect();
    let labels: Vec<u8> = (0..n).map(|i| (i % 10) as u8).collect();
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default().compression_method(zip::CompressionMethod::Deflated);
    for part in ["train", "test"] {
        for (what, shape, values) in
            [("images", format!("({n}, 28, 28, 3)"), &pixels), ("labels", format!("({n}, 1)"), &labels)]
        {
            archive.start_file(format!("{part}_{what}.npy"), options).expect("a name");
            let words = format!("{{'descr': '|u1', 'fortran_order': False, 'shape': {shape}, }}");
            let length = (words.len() as u16).to_le_bytes();
            let header = [&b"\x93NUMPY\x01\x00"[..], &length, words.as_bytes()].concat();
            archive.write_all(&header).and_then(|()| archive.write_all(values)).expect("memory takes it");
        }
    }
    (archive.finish().expect("memory takes it").into_inner(), pixels.repeat(2))
}

fn read_npz(s: &mut Reading) {
    let read = npz::read(Path::new("x.npz"), s.file.len() as u64, Cursor::new(&s.file), &NpzOptions::default());
    s.read = read.map(|splits| pixels_of(&splits));
}

/// A table of PNG images with their classes.
fn parquet_file(n: usize) -> Vec<u8> {
    use ::parquet::basic::Compression;
    use ::parquet::data_type::{ByteArray, ByteArrayType, Int64Type};
    use ::parquet::file::{properties::WriterProperties, writer::SerializedFileWriter};
    let images = images(n, (32, 32, 3), Seed(5));
    let schema = "message rows { required binary image; required int64 label; }";
    let schema = ::parquet::schema::parser::parse_message_type(schema).expect("a schema");
    let properties = WriterProperties::builder().set_compression(Compression::SNAPPY).build();
    let mut writer =
        SerializedFileWriter::new(Vec::new(), Arc::new(schema), Arc::new(properties)).expect("memory takes it");
    let mut group = writer.next_row_group().expect("a group");
    let files: Vec<ByteArray> =
        images.view().iter().map(|pixels| encoded(pixels, 32, ImageFormat::Png).into()).collect();
    let labels: Vec<i64> = (0..n as i64).map(|i| i % 10).collect();
    let mut column = group.next_column().expect("a column").expect("a column");
    column.typed::<ByteArrayType>().write_batch(&files, None, None).expect("as many values as rows");
    column.close().expect("memory takes it");
    let mut column = group.next_column().expect("a column").expect("a column");
    column.typed::<Int64Type>().write_batch(&labels, None, None).expect("as many values as rows");
    column.close().expect("memory takes it");
    group.close().expect("memory takes it");
    writer.into_inner().expect("memory takes it")
}

fn read_parquet(s: &mut Reading) {
    let read = parquet::read(Path::new("x.parquet"), s.file.clone(), &ParquetOptions::default());
    // The split is drawn: what counts here is every image, whatever its part.
    s.read = read.map(|splits| sorted_images(&pixels_of(&splits)));
}

/// Images of 32×32×3 in the order of their bytes.
fn sorted_images(pixels: &[u8]) -> Vec<u8> {
    let mut images: Vec<&[u8]> = pixels.chunks(32 * 32 * 3).collect();
    images.sort_unstable();
    images.concat()
}

fn readers() -> Vec<Kernel> {
    let read_idx: fn(&mut Reading) = |s| {
        let read = idx::read(Path::new("x.idx"), s.file.len() as u64, &s.file[..]);
        s.read = read.map(|idx| idx.values);
    };
    let zipped: fn(usize) -> (Vec<u8>, Vec<u8>) = |n| {
        let (file, pixels) = idx_file(n);
        (gzipped(&file), pixels)
    };
    vec![
        reader("idx", &["datasets::idx::read"], ([50, 5_000], 784), idx_file, read_idx),
        reader("idx-gz", &["datasets::idx::read"], ([50, 5_000], 784), zipped, read_idx),
        reader("cifar", &["datasets::cifar::read_archive"], ([20, 2_000], 2 * 3072), cifar_file, read_cifar),
        reader(
            "npz",
            &["datasets::npz::read", "datasets::npz::header::read"],
            ([20, 2_000], 2 * 2352),
            npz_file,
            read_npz,
        ),
        reader(
            "parquet",
            &["datasets::parquet::read"],
            ([20, 500], 3072),
            |n| {
                (parquet_file(n), {
                    let pixels: Vec<u8> = images(n, (32, 32, 3), Seed(5)).view().iter().flatten().copied().collect();
                    sorted_images(&pixels)
                })
            },
            read_parquet,
        ),
    ]
}

/// A whole dataset, and what was found about it.
struct Whole {
    splits: Splits,
    found: Vec<u32>,
}

fn splits(n: usize) -> Splits {
    let part = |n: usize, seed: u64| {
        let ids: Array1<usize> = (0..n).map(|i| i % 10).collect();
        Labelled::new(images(n, (32, 32, 3), Seed(seed)), Labels::new(ids, 10).expect("below 10")).expect("one a label")
    };
    let classes = (0..10).map(|id| id.to_string()).collect();
    Splits { classes, train: part(n, 6), validation: None, test: part(n / 4, 7), provenance: Provenance::default() }
}

fn whole_sets() -> Vec<Kernel> {
    let of = |name: &str, covers, sizes: [usize; 2], run: fn(&mut Whole)| {
        let size = |n: usize| {
            Size::new(n.to_string(), Work::images(n + n / 4, (n + n / 4) * 3072), move || {
                let steps = Steps {
                    prepare: |s: &mut Whole| s.found.clear(),
                    run,
                    outcome: |s| Outcome::Labels(s.found.clone()),
                    reference: None,
                };
                Case::new(Whole { splits: splits(n), found: Vec::new() }, steps)
            })
        };
        Kernel::new(format!("datasets/{name}"), covers, sizes.map(size).into()).within(Tolerance::EXACT)
    };
    vec![
        of("audit", &["datasets::audit::audit"], [40, 2_000], |s| {
            let audit = audit::audit(&s.splits);
            s.found.extend([audit.constant as u32, audit.pairs.len() as u32, u32::from(audit.near_searched)]);
        }),
        of("content-hash", &["datasets::digest::content_hash"], [40, 2_000], |s| {
            s.found.extend(content_hash(&s.splits).bytes().map(u32::from));
        }),
        of("preview", &["datasets::preview::draw"], [40, 2_000], |s| {
            let sheet = preview::draw(&s.splits, 10).expect("images to show");
            s.found.extend(sheet.pixels.iter().map(|&byte| u32::from(byte)));
        }),
        of("shapes", &["datasets::shapes::Shapes"], [20, 500], |s| {
            let shapes = Shapes::new(s.splits.train.len(), s.splits.test.len(), Seed(0));
            let drawn = shapes.load(Path::new("")).expect("nothing is read");
            s.found.extend(pixels_of(&drawn).iter().map(|&byte| u32::from(byte)));
        }),
    ]
}

/// Images and draws of them.
struct Augmented {
    images: Images,
    out: Vec<u8>,
}

fn augmentation() -> Kernel {
    let size = |n: usize| {
        Size::new(format!("{n}x32x32x3"), Work::images(n, 2 * n * 3072), move || {
            let steps = Steps {
                prepare: nothing,
                run: |s: &mut Augmented| {
                    let settings = Augmentation { flip: true, shift: 4, cutout: 8 };
                    let shape = s.images.shape();
                    for ((i, image), out) in s.images.view().iter().enumerate().zip(s.out.chunks_exact_mut(3072)) {
                        settings.draw(image, shape, Seed(9).nth(i), out);
                    }
                },
                outcome: |s| Outcome::bytes(&s.out),
                reference: None,
            };
            let images = images(n, (32, 32, 3), Seed(8));
            Case::new(Augmented { images, out: vec![0; n * 3072] }, steps)
        })
    };
    Kernel::new("core/augmentation", &["core::Augmentation"], [20, 1_000].map(size).into()).within(Tolerance::EXACT)
}

/// Files in a folder of their own that goes away with them.
struct Folder {
    place: std::path::PathBuf,
    read: Vec<u8>,
}

impl Drop for Folder {
    fn drop(&mut self) {
        // A temporary folder that stays is nothing to stop for.
        let _ = std::fs::remove_dir_all(&self.place);
    }
}

fn folders() -> Kernel {
    let size = |(n, side): (usize, usize)| {
        Size::new(format!("{n}x{side}x{side}"), Work::images(n, n * 64 * 64 * 3), move || {
            let place = std::env::temp_dir().join(format!("bakeoff-bench-{}-{n}", std::process::id()));
            std::fs::create_dir_all(&place).expect("a temporary folder");
            for (i, pixels) in images(n, (side, side, 3), Seed(10)).view().iter().enumerate() {
                let path = place.join(format!("{i:05}.jpg"));
                std::fs::write(path, encoded(pixels, side, ImageFormat::Jpeg)).expect("a temporary file");
            }
            let steps = Steps {
                prepare: |s: &mut Folder| s.read.clear(),
                run: |s| {
                    for path in folder::image_files(&s.place).expect("files that were written") {
                        let fitted = folder::read_fitted(&path, (64, 64, 3), folder::Fit::default());
                        s.read.extend(fitted.expect("a sound image"));
                    }
                },
                outcome: |s| Outcome::bytes(&s.read),
                reference: None,
            };
            Case::new(Folder { place, read: Vec::new() }, steps)
        })
    };
    let covers = &["datasets::folder::read_fitted", "datasets::folder::image_files"];
    Kernel::new("datasets/folder", covers, [(2, 96), (16, 256)].map(size).into()).within(Tolerance::EXACT)
}
