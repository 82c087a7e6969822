//! Folders of images as users have them: two layouts, mixed sizes and modes, and everything that can be wrong.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use bakeoff_core::{Dataset, LoadError, Splits};
use bakeoff_datasets::folder::{Colour, Fit, FolderOptions, ImageFolder, OnError};
use bakeoff_datasets::{Source, content_hash, image_files, open, read_fitted};
use image::{GrayImage, Rgb, RgbImage};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::symlink;
use std::path::Path;
use tempfile::TempDir;

fn samples() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../datasets/samples")
}

fn color(value: u8, size: (u32, u32)) -> RgbImage {
    RgbImage::from_pixel(size.0, size.1, Rgb([value, value / 2, 255 - value]))
}

fn save(folder: &Path, name: &str, image: &RgbImage) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    image.save(path).unwrap();
}

/// Two classes of five images of 4×4 each, told apart by their first value.
fn one_level() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for i in 0..5 {
        save(folder.path(), &format!("cat/{i}.png"), &color(i, (4, 4)));
        save(folder.path(), &format!("dog/{i}.png"), &color(100 + i, (4, 4)));
    }
    folder
}

fn with_parts() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    for (p, part) in ["train", "test"].iter().enumerate() {
        for (c, class) in ["cat", "dog"].iter().enumerate() {
            for i in 0..2 {
                let value = (p * 100 + c * 10 + i) as u8;
                save(folder.path(), &format!("{part}/{class}/{i}.png"), &color(value, (4, 4)));
            }
        }
    }
    folder
}

fn load_with(folder: &Path, options: FolderOptions) -> Result<Splits, LoadError> {
    ImageFolder::at(folder, options).load(Path::new("unused"))
}

fn load(folder: &Path) -> Result<Splits, LoadError> {
    load_with(folder, FolderOptions::default())
}

fn problem(folder: &Path) -> String {
    shortened(folder, load(folder).unwrap_err())
}

fn shortened(folder: &Path, error: LoadError) -> String {
    error.to_string().replace(&format!("{}/", folder.display()), "").replace(&folder.display().to_string(), "FOLDER")
}

fn first_values(part: &bakeoff_core::Labelled) -> Vec<u8> {
    part.images().view().iter().map(|image| image[0]).collect()
}

fn has_note(splits: &Splits, part: &str) -> bool {
    splits.provenance.notes.iter().any(|note| note.contains(part))
}

#[test]
fn one_level_of_classes_is_split_with_a_seed() {
    let folder = one_level();
    let splits = load(folder.path()).unwrap();
    assert_eq!(splits.classes, ["cat", "dog"]);
    assert_eq!((splits.train.labels().counts(), splits.test.labels().counts()), (vec![4, 4], vec![1, 1]));
    assert_eq!(splits.train.images().shape(), (4, 4, 3));
    assert!(splits.validation.is_none());
    // Every image is in one part, in the order of the names, under its own label.
    let mut values = [first_values(&splits.train), first_values(&splits.test)].concat();
    assert!(first_values(&splits.train).is_sorted());
    values.sort_unstable();
    assert_eq!(values, [0, 1, 2, 3, 4, 100, 101, 102, 103, 104]);
    for part in [&splits.train, &splits.test] {
        let labels: Vec<usize> = first_values(part).iter().map(|&v| usize::from(v >= 100)).collect();
        assert_eq!(part.labels().as_slice(), labels);
    }
    assert!(has_note(&splits, "stratified split, seed 0: 8 training and 2 test images, 20% of each class"));
    assert!(has_note(&splits, "10 images read, 4×4 (their own size), RGB"), "{:?}", splits.provenance.notes);
    assert_eq!(splits.provenance.files.len(), 10);
    assert_eq!(splits.provenance.files[5].path, "dog/0.png");

    let again = load(folder.path()).unwrap();
    assert_eq!(again, splits);
    let seeded = |seed| load_with(folder.path(), FolderOptions { seed, ..FolderOptions::default() }).unwrap();
    assert!((1..10).any(|seed| content_hash(&seeded(seed)) != content_hash(&splits)));
}

#[test]
fn the_number_of_threads_changes_nothing() {
    let folder = one_level();
    let on = |n| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(n).build().unwrap();
        pool.install(|| load(folder.path()).unwrap())
    };
    assert_eq!(on(1), on(4));
}

#[test]
fn given_parts_are_kept() {
    let folder = with_parts();
    save(folder.path(), "validation/dog/x.png", &color(77, (4, 4)));
    fs::create_dir(folder.path().join("extra")).unwrap();
    let splits = load(folder.path()).unwrap();
    assert_eq!(first_values(&splits.train), [0, 1, 10, 11]);
    assert_eq!(first_values(&splits.test), [100, 101, 110, 111]);
    let validation = splits.validation.as_ref().unwrap();
    assert_eq!((first_values(validation), validation.labels().as_slice()), (vec![77], &[1][..]));
    assert!(!has_note(&splits, "stratified split"));
    assert!(has_note(&splits, "1 folder beside train and test passed over"));
    assert_eq!(splits.provenance.files[0].path, "train/cat/0.png");
}

#[test]
fn classes_that_differ_between_parts_are_refused() {
    let folder = with_parts();
    fs::remove_dir_all(folder.path().join("test/dog")).unwrap();
    assert_eq!(problem(folder.path()), "FOLDER: class `dog` is in train but not in test");
    save(folder.path(), "test/elk/0.png", &color(0, (4, 4)));
    assert_eq!(problem(folder.path()), "FOLDER: class `elk` is in test but not in train");
    fs::remove_dir_all(folder.path().join("test")).unwrap();
    let text = problem(folder.path());
    assert_eq!(
        text,
        "FOLDER: expected a folder for each class, or both `train` and `test` with such folders; found only `train`"
    );
}

#[test]
fn a_class_may_be_called_train() {
    let folder = one_level();
    fs::rename(folder.path().join("dog"), folder.path().join("train")).unwrap();
    assert_eq!(load(folder.path()).unwrap().classes, ["cat", "train"]);
}

#[test]
fn mixed_sizes_and_modes_are_brought_together_and_told() {
    let folder = one_level();
    let images = samples().join("images");
    for (name, class) in [
        ("grey16.png", "cat"),
        ("alpha.png", "cat"),
        ("exif-6.jpg", "dog"),
        ("two-frames.gif", "dog"),
        ("cmyk.jpg", "dog"),
        ("palette.bmp", "cat"),
        ("lossy.webp", "cat"),
    ] {
        fs::copy(images.join(name), folder.path().join(class).join(name)).unwrap();
    }
    save(folder.path(), "cat/dot.png", &color(200, (1, 1)));
    let splits = load(folder.path()).unwrap();
    assert_eq!(splits.train.images().shape(), (64, 64, 3));
    for note in [
        "18 images read, 64×64 (the default), RGB",
        "7 images cropped to the middle piece",
        "18 images resized",
        "1 image turned by the EXIF orientation",
        "1 image brought from 16 to 8 bits",
        "1 image blended on white",
        "1 image of format GIF",
        "1 image grey and given three channels",
    ] {
        assert!(has_note(&splits, note), "{note}: {:#?}", splits.provenance.notes);
    }
    // An image of one pixel is that pixel everywhere.
    let all: Vec<&[u8]> = splits.train.images().view().iter().chain(splits.test.images().view().iter()).collect();
    assert!(all.iter().any(|image| image.chunks(3).all(|pixel| pixel == [200, 100, 55])));
}

#[test]
fn size_fit_and_color_are_as_asked() {
    let folder = one_level();
    let options =
        FolderOptions { size: Some((6, 3)), fit: Fit::Stretch, colour: Colour::Grey, ..FolderOptions::default() };
    let splits = load_with(folder.path(), options).unwrap();
    assert_eq!(splits.train.images().shape(), (6, 3, 1));
    assert!(has_note(&splits, "6×3 (as asked), grey") && has_note(&splits, "10 images stretched"));
    assert!(has_note(&splits, "10 images brought from color to grey"));
    // (19595·104 + 38470·52 + 7471·151 + 32768) >> 16 = 79, as Pillow gives for (104, 52, 151).
    let values = [first_values(&splits.train), first_values(&splits.test)].concat();
    assert_eq!(values.into_iter().max(), Some(79));
}

#[test]
fn grey_images_stay_grey_unless_asked() {
    let folder = tempfile::tempdir().unwrap();
    for (i, name) in ["cat/0.png", "cat/1.png", "dog/0.png", "dog/1.png"].into_iter().enumerate() {
        fs::create_dir_all(folder.path().join(name).parent().unwrap()).unwrap();
        GrayImage::from_pixel(5, 7, image::Luma([i as u8 * 9])).save(folder.path().join(name)).unwrap();
    }
    assert_eq!(load(folder.path()).unwrap().train.images().shape(), (7, 5, 1));
    let options = FolderOptions { colour: Colour::Rgb, ..FolderOptions::default() };
    let splits = load_with(folder.path(), options).unwrap();
    assert_eq!(splits.train.images().shape(), (7, 5, 3));
    assert!(has_note(&splits, "4 images grey and given three channels"));
}

#[test]
fn unreadable_images_stop_or_are_left_out() {
    let folder = one_level();
    let broken = samples().join("broken");
    for name in ["text.jpg", "empty.png", "cut.jpg", "cut.png", "huge.png", "huge.bmp"] {
        fs::copy(broken.join(name), folder.path().join("dog").join(name)).unwrap();
    }
    symlink("nowhere.png", folder.path().join("dog/dead-link.png")).unwrap();
    symlink("self.png", folder.path().join("dog/self.png")).unwrap();
    let text = problem(folder.path());
    assert!(text.starts_with("FOLDER: 8 images could not be read"), "{text}");
    for line in [
        "\n  dog/text.jpg: expected a PNG, JPEG, BMP, WebP or GIF image, found text",
        "\n  dog/empty.png: expected a PNG, JPEG, BMP, WebP or GIF image, found an empty file",
        "\n  dog/cut.jpg: expected a whole JPEG image, found the end of the file",
        "\n  dog/huge.png: expected an image of 1 to 120,000,000 pixels, found a header that says 20000×20000",
        "\n  dog/dead-link.png: No such file",
        "\n  dog/self.png: ",
    ] {
        assert!(text.contains(line), "{line}: {text}");
    }
    let skip = FolderOptions { on_error: OnError::Skip, ..FolderOptions::default() };
    let splits = load_with(folder.path(), skip.clone()).unwrap();
    assert_eq!(splits.train.len() + splits.test.len(), 10);
    assert!(has_note(&splits, "8 unreadable images left out: dog/cut.jpg ("), "{:?}", splits.provenance.notes);
    assert_eq!(splits.provenance.files.len(), 10);

    for i in 0..5 {
        fs::remove_file(folder.path().join(format!("dog/{i}.png"))).unwrap();
    }
    let text = shortened(folder.path(), load_with(folder.path(), skip).unwrap_err());
    assert_eq!(
        text,
        "FOLDER: class `dog` has 0 readable images: a split into training and test part needs at least two a class"
    );
}

#[test]
fn many_unreadable_images_are_counted() {
    let folder = one_level();
    (0..25).for_each(|i| fs::write(folder.path().join(format!("cat/bad{i:02}.jpg")), b"\x00\x01").unwrap());
    let text = problem(folder.path());
    assert!(text.contains("25 images could not be read") && text.ends_with("… and 15 more"), "{text}");
    assert!(text.contains("cat/bad09.jpg: ") && !text.contains("cat/bad10.jpg"), "{text}");
}

#[test]
fn folders_that_are_no_dataset_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path();
    assert!(problem(path).starts_with("FOLDER: expected a folder for each class, or both"), "{}", problem(path));
    save(path, "loose.png", &color(1, (4, 4)));
    assert!(problem(path).contains("found no folder"));
    save(path, "cat/0.png", &color(1, (4, 4)));
    assert_eq!(problem(path), "FOLDER: expected at least two classes, found only `cat`");
    fs::create_dir(path.join("dog")).unwrap();
    assert_eq!(problem(path), "dog: the class has no image");
    fs::write(path.join("dog/notes.txt"), "none").unwrap();
    fs::write(path.join("dog/.hidden.png"), "none").unwrap();
    assert_eq!(problem(path), "dog: the class has no image, only 1 file of other kinds");
    save(path, "dog/0.png", &color(1, (4, 4)));
    assert!(problem(path).contains("class `cat` has 1 readable image"), "{}", problem(path));
    assert!(load(&path.join("nowhere")).is_err());
}

#[test]
fn what_is_no_image_by_name_is_passed_over_and_counted() {
    let folder = one_level();
    for name in ["cat/notes.txt", "cat/more.TXT", "dog/Makefile", "dog/.DS_Store", ".git"] {
        fs::write(folder.path().join(name), "x").unwrap();
    }
    fs::create_dir(folder.path().join(".cache")).unwrap();
    let splits = load(folder.path()).unwrap();
    assert_eq!(splits.classes, ["cat", "dog"]);
    assert!(has_note(&splits, "3 files passed over that no image format's ending has (no ending: 1, .txt: 2)"));
}

#[test]
fn loops_of_links_are_not_entered_and_linked_images_are_read() {
    let folder = one_level();
    let path = folder.path();
    symlink(path, path.join("loop")).unwrap();
    symlink(path.join("cat"), path.join("cat/again")).unwrap();
    symlink("..", path.join("dog/up")).unwrap();
    symlink("/", path.join("root")).unwrap();
    symlink(path.join("cat/0.png"), path.join("cat/linked.png")).unwrap();
    let splits = load(path).unwrap();
    assert_eq!(splits.classes, ["cat", "dog"]);
    assert_eq!(splits.provenance.files.len(), 11);
    assert!(has_note(&splits, "4 links to a folder not followed"), "{:?}", splits.provenance.notes);
    assert!(has_note(&splits, "1 image there more than once"));
    // A class that is a link to a folder elsewhere is a class.
    let elsewhere = one_level();
    symlink(elsewhere.path().join("dog"), path.join("elk")).unwrap();
    assert_eq!(load(path).unwrap().classes, ["cat", "dog", "elk"]);
}

#[test]
fn pipes_are_passed_over() {
    let folder = one_level();
    let pipe = folder.path().join("cat/pipe.png");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    assert!(has_note(&load(folder.path()).unwrap(), "1 pipe, socket or device passed over"));
}

#[test]
fn names_that_are_not_utf_8_are_shown_as_well_as_can_be() {
    let folder = one_level();
    let name = std::ffi::OsStr::from_bytes(b"caf\xe9");
    fs::rename(folder.path().join("cat"), folder.path().join(name)).unwrap();
    let image = std::ffi::OsStr::from_bytes(b"\xff.png");
    fs::copy(folder.path().join("dog/0.png"), folder.path().join("dog").join(image)).unwrap();
    let splits = load(folder.path()).unwrap();
    assert_eq!(splits.classes, ["caf\u{fffd}", "dog"]);
    assert!(splits.provenance.files.iter().any(|file| file.path == "dog/\u{fffd}.png"));
    let other = std::ffi::OsStr::from_bytes(b"caf\xe8");
    fs::create_dir(folder.path().join(other)).unwrap();
    assert_eq!(problem(folder.path()), "FOLDER: two folders are both shown as `caf\u{fffd}`: rename one");
}

#[test]
fn copies_across_parts_and_labels_are_told() {
    let folder = with_parts();
    fs::copy(folder.path().join("train/cat/0.png"), folder.path().join("test/cat/copy.png")).unwrap();
    fs::copy(folder.path().join("train/cat/1.png"), folder.path().join("train/dog/cat.png")).unwrap();
    let splits = load(folder.path()).unwrap();
    assert!(has_note(&splits, "2 images there more than once"));
    let both = "1 image in both training and test part, byte for byte: train/cat/0.png = test/cat/copy.png";
    assert!(has_note(&splits, both), "{:?}", splits.provenance.notes);
    assert!(has_note(&splits, "1 image with two different labels, byte for byte: train/cat/1.png = train/dog/cat.png"));
}

#[test]
fn settings_out_of_range_and_sets_too_large_are_refused() {
    let folder = one_level();
    let text = |options| shortened(folder.path(), load_with(folder.path(), options).unwrap_err());
    let zero = FolderOptions { size: Some((0, 4)), ..FolderOptions::default() };
    assert_eq!(text(zero), "FOLDER: size: expected [height, width] from 1 to 4096, found [0, 4]");
    for i in 0..200 {
        fs::copy(folder.path().join("cat/0.png"), folder.path().join(format!("cat/more{i}.png"))).unwrap();
    }
    let large = FolderOptions { size: Some((4096, 4096)), ..FolderOptions::default() };
    assert!(text(large).contains("210 images of 4096×4096 take 9 GB"));
}

#[test]
fn a_path_is_recognised_by_what_is_in_it() {
    let folder = one_level();
    let summary = |path: &Path| open(&Source::Path(path.to_owned()), &[]).map(|set| set.card().summary.clone());
    assert!(summary(folder.path()).unwrap().starts_with("a folder of images in"));
    assert!(summary(&samples().join("idx")).unwrap().starts_with("IDX files in"));
    assert!(summary(&samples().join("cifar")).unwrap().starts_with("CIFAR records in"));
    assert!(summary(&samples().join("cifar/cifar-10-binary.tar.gz")).unwrap().starts_with("CIFAR records in"));
    let text = summary(&folder.path().join("cat")).unwrap_err().to_string();
    assert!(
        text.contains("expected a folder with a folder of images for each class") && text.ends_with("none of these")
    );
    let text = summary(&folder.path().join("cat/0.png")).unwrap_err().to_string();
    assert!(text.ends_with("found a file"), "{text}");
}

#[test]
fn names_paths_and_tables_are_sources() {
    let parse = |text: &str| Source::parse(&toml::from_str::<toml::Table>(text).unwrap()["dataset"]);
    assert_eq!(parse("dataset = 'mnist'").unwrap(), Source::Named("mnist".to_owned()));
    assert_eq!(parse("dataset = './mnist'").unwrap(), Source::Path("./mnist".into()));
    let Source::Folder(options) = parse("dataset = { folder = 'photos', size = [64, 64] }").unwrap() else { panic!() };
    assert_eq!((options.folder.as_str(), options.size), ("photos", Some((64, 64))));
    assert_eq!(
        parse("dataset = 3").unwrap_err()[0].problem,
        "expected a name, a path or a table with `folder`, `npz` or `parquet`, found integer"
    );
    assert_eq!(parse("dataset = { size = [1, 1] }").unwrap_err()[0].key, "folder");

    let text = |source| open(&source, &["here".into(), "there".into()]).map(|_| ()).unwrap_err().to_string();
    let near = text(Source::from_name_or_path("fashon-mnist"));
    assert!(near.starts_with("dataset `fashon-mnist` is not there: looked in here/fashon-mnist, there/fashon-mnist; did you mean `fashion-mnist`?"), "{near}");
    let far = text(Source::Path("no/photos".into()));
    assert!(
        far.starts_with("`no/photos` is not there: looked in here/no/photos, there/no/photos; give the path"),
        "{far}"
    );
}

#[test]
fn a_relative_folder_is_found_below_a_search_root() {
    let folder = one_level();
    let roots = [folder.path().join("nowhere"), folder.path().parent().unwrap().to_owned()];
    let name = folder.path().file_name().unwrap().to_str().unwrap();
    let options = FolderOptions { folder: name.to_owned(), ..FolderOptions::default() };
    let set = open(&Source::Folder(options), &roots).unwrap();
    assert_eq!((set.card().name.as_str(), set.load(Path::new("")).unwrap().train.len()), (name, 8));
    let options = FolderOptions { size: Some((2, 2)), ..FolderOptions::default() };
    let idx = FolderOptions { folder: samples().join("idx").display().to_string(), ..options };
    let text = open(&Source::Folder(idx), &[]).map(|_| ()).unwrap_err().to_string();
    assert!(text.ends_with("it holds IDX files, which are read as they are: `folder` is the only setting"), "{text}");
}

/// What a model is asked about is made as what it learned from.
#[test]
fn single_images_are_fitted_as_those_of_a_folder() {
    let folder = tempfile::tempdir().unwrap();
    for (p, part) in ["test", "train"].iter().enumerate() {
        for (c, class) in ["cat", "dog"].iter().enumerate() {
            let mut image = color((p * 100 + c * 30) as u8, [(9, 4), (5, 12)][c]);
            image.put_pixel(1, 2, Rgb([255, 0, 9]));
            save(folder.path(), &format!("{part}/{class}/a.png"), &image);
        }
    }
    for (fit, colour) in [(Fit::Crop, Colour::Rgb), (Fit::Stretch, Colour::Rgb), (Fit::Crop, Colour::Grey)] {
        let options = FolderOptions { size: Some((4, 6)), fit, colour, ..FolderOptions::default() };
        let splits = load_with(folder.path(), options).unwrap();
        let shape = splits.test.images().shape();
        let files = image_files(folder.path()).unwrap();
        assert_eq!(files.len(), 4);
        let parts = [&splits.test, &splits.train];
        let images = parts.into_iter().flat_map(|part| part.images().view().iter().map(<[u8]>::to_vec));
        for (file, image) in files.iter().zip(images.collect::<Vec<_>>()) {
            assert_eq!(read_fitted(file, shape, fit).unwrap(), image, "{}", file.display());
        }
    }
}

#[test]
fn a_file_stands_for_itself_and_a_folder_for_the_images_below_it() {
    let folder = one_level();
    let at = |name: &str| folder.path().join(name);
    fs::write(at("cat/notes.txt"), "no image").unwrap();
    save(folder.path(), "dog/deeper/x.PNG", &color(1, (2, 2)));
    let files = image_files(folder.path()).unwrap();
    assert_eq!((files.len(), files.first(), files.last()), (11, Some(&at("cat/0.png")), Some(&at("dog/deeper/x.PNG"))));
    assert_eq!(image_files(&at("cat/notes.txt")).unwrap(), [at("cat/notes.txt")]);
    assert!(read_fitted(&at("cat/notes.txt"), (4, 4, 3), Fit::Crop).unwrap_err().to_string().contains("found text"));
    fs::create_dir(at("empty")).unwrap();
    assert!(image_files(&at("empty")).unwrap_err().to_string().contains("there is no image in it"));
    assert!(image_files(&at("nowhere")).is_err());
}
