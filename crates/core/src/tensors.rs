//! What fitting taught, as named arrays: the form in which fitted features and models leave a process and come back.
//!
//! Settings are not in here: whoever restores has the recipe. [`Tensors`] are taken out one by one, each with the shape that the
//! recipe asks for, and [`Tensors::finish`] refuses what nobody asked for, so that a file of another pipeline is told
//! and never half-used. Sizes are compared before anything is made of them.

use ndarray::{Array1, Array2, ArrayBase, Data, Dimension};
use std::collections::BTreeMap;
use thiserror::Error;

/// The numbers of a tensor, row-major.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Values {
    /// 32-bit floats.
    F32(Vec<f32>),
    /// 64-bit floats.
    F64(Vec<f64>),
    /// Bytes.
    U8(Vec<u8>),
    /// 16-bit whole numbers, 0 or above.
    U16(Vec<u16>),
    /// 32-bit whole numbers, 0 or above.
    U32(Vec<u32>),
    /// 64-bit whole numbers.
    I64(Vec<i64>),
}

/// An array with its shape. Invariant: as many values as the shape says.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    shape: Vec<usize>,
    values: Values,
}

impl Tensor {
    /// Joins a shape and values; `None` when their numbers differ.
    pub fn new(shape: Vec<usize>, values: Values) -> Option<Self> {
        let count = shape.iter().try_fold(1usize, |count, &side| count.checked_mul(side));
        (count == Some(values.len())).then_some(Self { shape, values })
    }

    /// The length of each side.
    pub fn shape(&self) -> &[usize] {
        &self.shape
    }

    /// The numbers, row-major.
    pub fn values(&self) -> &Values {
        &self.values
    }
}

/// A type of number that a tensor can hold.
pub trait Element: Copy {
    /// Its name in messages.
    const NAME: &'static str;
    /// Values of this type.
    fn wrap(values: Vec<Self>) -> Values;
    /// The numbers, or the values back when they are of another type.
    ///
    /// # Errors
    /// The values as they were.
    fn from_values(values: Values) -> Result<Vec<Self>, Values>;
    /// Whether it is a number that a fitted pipeline can have.
    fn is_finite(self) -> bool;
}

macro_rules! elements {
    ($(($type:ty, $variant:ident, $is_finite:expr)),* $(,)?) => {
        impl Values {
            /// How many numbers there are.
            pub fn len(&self) -> usize {
                match self { $(Self::$variant(values) => values.len(),)* }
            }

            /// Whether there is none.
            pub fn is_empty(&self) -> bool {
                self.len() == 0
            }

            /// The type's name in messages.
            pub fn type_name(&self) -> &'static str {
                match self { $(Self::$variant(_) => <$type as Element>::NAME,)* }
            }

            /// Bytes of all numbers.
            pub fn bytes(&self) -> usize {
                match self { $(Self::$variant(values) => size_of_val(values.as_slice()),)* }
            }
        }

        $(impl Element for $type {
            const NAME: &'static str = stringify!($type);

            fn wrap(values: Vec<Self>) -> Values {
                Values::$variant(values)
            }

            fn from_values(values: Values) -> Result<Vec<Self>, Values> {
                match values {
                    Values::$variant(values) => Ok(values),
                    other => Err(other),
                }
            }

            fn is_finite(self) -> bool {
                let test: fn($type) -> bool = $is_finite;
                test(self)
            }
        })*
    };
}

elements!(
    (f32, F32, f32::is_finite),
    (f64, F64, f64::is_finite),
    (u8, U8, |_| true),
    (u16, U16, |_| true),
    (u32, U32, |_| true),
    (i64, I64, |_| true),
);

/// Why learned arrays do not fit the recipe that they are to be restored by.
#[derive(Debug, Error, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum RestoreError {
    /// An array is not there.
    #[error("tensor {name}: missing, expected {expected}")]
    Missing {
        /// Its name.
        name: String,
        /// Type and shape that the settings ask for.
        expected: String,
    },
    /// Arrays that the settings do not ask for.
    #[error("tensor {name}: not expected{}", others(*.count))]
    Unexpected {
        /// The first by name.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// Another type or shape.
    #[error("tensor {name}: expected {expected}, found {found}")]
    Unfit {
        /// Its name.
        name: String,
        /// Type and shape that the settings ask for.
        expected: String,
        /// What is there.
        found: String,
    },
    /// NaN, an infinity, or a number out of range.
    #[error("tensor {name}: value {index} is {found}, expected {expected}")]
    BadValue {
        /// Its name.
        name: String,
        /// Position of the first such value, row-major from 0.
        index: usize,
        /// The range.
        expected: String,
        /// The value.
        found: String,
    },
    /// The settings themselves do not go together with the images; a reason a person can act on.
    #[error("{reason}")]
    Refused {
        /// What does not fit.
        reason: String,
    },
}

fn others(count: usize) -> String {
    if count > 1 { format!(" (nor are {} more)", count - 1) } else { String::new() }
}

impl RestoreError {
    /// A refusal with its reason.
    pub fn refused(reason: impl Into<String>) -> Self {
        Self::Refused { reason: reason.into() }
    }

    /// The same of a tensor that is called so by whoever nests.
    #[must_use]
    pub fn below(mut self, prefix: &str) -> Self {
        match &mut self {
            Self::Missing { name, .. }
            | Self::Unexpected { name, .. }
            | Self::Unfit { name, .. }
            | Self::BadValue { name, .. } => *name = joined(prefix, name),
            Self::Refused { reason } => *reason = format!("{prefix}: {reason}"),
        }
        self
    }
}

fn joined(prefix: &str, name: &str) -> String {
    format!("{prefix}.{name}")
}

/// Arrays by name. Parts put their own under a prefix: `features.0.words`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Tensors {
    entries: BTreeMap<String, Tensor>,
}

impl Tensors {
    /// None yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether there is none: nothing was learned.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of all numbers.
    pub fn bytes(&self) -> usize {
        self.entries.values().map(|tensor| tensor.values.bytes()).sum()
    }

    /// All tensors by name, in the order of the names.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Tensor)> {
        self.entries.iter().map(|(name, tensor)| (name.as_str(), tensor))
    }

    /// Puts a tensor; the one of that name that was there before, if any.
    pub fn insert(&mut self, name: impl Into<String>, tensor: Tensor) -> Option<Tensor> {
        self.entries.insert(name.into(), tensor)
    }

    /// Takes a tensor out as it is.
    pub fn remove(&mut self, name: &str) -> Option<Tensor> {
        self.entries.remove(name)
    }

    /// With one more array, row-major whatever its layout.
    #[must_use]
    pub fn with<T: Element, D: Dimension>(
        mut self,
        name: impl Into<String>,
        array: &ArrayBase<impl Data<Elem = T>, D>,
    ) -> Self {
        let tensor = Tensor { shape: array.shape().to_vec(), values: T::wrap(array.iter().copied().collect()) };
        self.entries.insert(name.into(), tensor);
        self
    }

    /// With one more array of one dimension.
    #[must_use]
    pub fn with_slice<T: Element>(mut self, name: impl Into<String>, values: &[T]) -> Self {
        let tensor = Tensor { shape: vec![values.len()], values: T::wrap(values.to_vec()) };
        self.entries.insert(name.into(), tensor);
        self
    }

    /// With all tensors of a part, under its prefix.
    #[must_use]
    pub fn with_part(mut self, prefix: &str, part: Self) -> Self {
        self.entries.extend(part.entries.into_iter().map(|(name, tensor)| (joined(prefix, &name), tensor)));
        self
    }

    /// Takes out the tensors of a part, without their prefix. None is what a part that learns nothing has.
    #[must_use]
    pub fn part(&mut self, prefix: &str) -> Self {
        let start = joined(prefix, "");
        let (taken, left) =
            std::mem::take(&mut self.entries).into_iter().partition(|(name, _)| name.starts_with(&start));
        self.entries = left;
        let taken: BTreeMap<String, Tensor> = taken;
        Self { entries: taken.into_iter().map(|(name, tensor)| (name[start.len()..].to_owned(), tensor)).collect() }
    }

    /// Takes out an array of one dimension, all numbers finite. Without a `len`, any of at least 1 fits.
    ///
    /// # Errors
    /// [`RestoreError`] when it is missing, of another type or length, or a value is not finite.
    pub fn vector<T: Element + std::fmt::Display>(
        &mut self,
        name: &str,
        len: impl Into<Option<usize>>,
    ) -> Result<Vec<T>, RestoreError> {
        self.take(name, &[len.into()]).map(|(_, values)| values)
    }

    /// Takes out an array of (rows, columns), all numbers finite. A side without a length is any of at least 1.
    ///
    /// # Errors
    /// As [`Tensors::vector`].
    pub fn matrix<T: Element + std::fmt::Display>(
        &mut self,
        name: &str,
        rows: impl Into<Option<usize>>,
        columns: impl Into<Option<usize>>,
    ) -> Result<Array2<T>, RestoreError> {
        let (shape, values) = self.take(name, &[rows.into(), columns.into()])?;
        let (rows, columns) = (shape.first().copied().unwrap_or(0), shape.get(1).copied().unwrap_or(0));
        Array2::from_shape_vec((rows, columns), values)
            .map_err(|e| RestoreError::refused(format!("tensor {name}: {e}")))
    }

    /// As [`Tensors::vector`], as an array.
    ///
    /// # Errors
    /// As [`Tensors::vector`].
    pub fn array<T: Element + std::fmt::Display>(
        &mut self,
        name: &str,
        len: impl Into<Option<usize>>,
    ) -> Result<Array1<T>, RestoreError> {
        self.vector(name, len).map(Array1::from)
    }

    /// Takes out a single number.
    ///
    /// # Errors
    /// As [`Tensors::vector`].
    pub fn scalar<T: Element + std::fmt::Display>(&mut self, name: &str) -> Result<T, RestoreError> {
        let values: Vec<T> = self.vector(name, 1)?;
        values.first().copied().ok_or_else(|| RestoreError::refused(format!("tensor {name}: no value")))
    }

    /// Refuses whatever nobody has taken out.
    ///
    /// # Errors
    /// [`RestoreError::Unexpected`].
    pub fn finish(self) -> Result<(), RestoreError> {
        match self.entries.keys().next() {
            Some(name) => Err(RestoreError::Unexpected { name: name.clone(), count: self.entries.len() }),
            None => Ok(()),
        }
    }

    fn take<T: Element + std::fmt::Display>(
        &mut self,
        name: &str,
        shape: &[Option<usize>],
    ) -> Result<(Vec<usize>, Vec<T>), RestoreError> {
        let expected = || described(T::NAME, shape.iter().copied());
        let Some(Tensor { shape: found, values }) = self.entries.remove(name) else {
            return Err(RestoreError::Missing { name: name.to_owned(), expected: expected() });
        };
        let fits = |(asked, &found): (&Option<usize>, &usize)| asked.map_or(found > 0, |asked| asked == found);
        let unfit = |kind| RestoreError::Unfit {
            name: name.to_owned(),
            expected: expected(),
            found: described(kind, found.iter().copied().map(Some)),
        };
        if shape.len() != found.len() || !shape.iter().zip(&found).all(fits) {
            return Err(unfit(values.type_name()));
        }
        let values = T::from_values(values).map_err(|values| unfit(values.type_name()))?;
        match values.iter().position(|value| !value.is_finite()) {
            Some(index) => Err(RestoreError::BadValue {
                name: name.to_owned(),
                index,
                expected: "a finite number".to_owned(),
                found: values[index].to_string(),
            }),
            None => Ok((found, values)),
        }
    }
}

/// `f32 (3, any)`.
fn described(kind: &str, shape: impl Iterator<Item = Option<usize>>) -> String {
    let sides: Vec<String> = shape.map(|side| side.map_or("any".to_owned(), |side| side.to_string())).collect();
    format!("{kind} ({})", sides.join(", "))
}

/// Refuses the first value that fails a test.
///
/// # Errors
/// [`RestoreError::BadValue`] that names it and what was expected.
pub fn check_values<T: Element + std::fmt::Display>(
    name: &str,
    values: &[T],
    expected: &str,
    test: impl Fn(T) -> bool,
) -> Result<(), RestoreError> {
    match values.iter().position(|&value| !test(value)) {
        Some(index) => Err(RestoreError::BadValue {
            name: name.to_owned(),
            index,
            expected: expected.to_owned(),
            found: values[index].to_string(),
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ndarray::array;

    #[test]
    fn arrays_make_the_round_trip_under_their_prefix() {
        let w = array![[1.0f32, 2.0, 3.0], [4.0, 5.0, 6.0]];
        let part = Tensors::new().with("w", &w.t()).with_slice("ids", &[7u32, 9]);
        let mut all = Tensors::new().with_part("features.1", part.clone()).with_part("features.10", part);
        assert_eq!(all.bytes(), 2 * (6 * 4 + 2 * 4));
        let mut mine = all.part("features.1");
        assert_eq!(mine.matrix::<f32>("w", 3, None).unwrap(), w.t());
        assert_eq!(mine.vector::<u32>("ids", 2).unwrap(), [7, 9]);
        mine.finish().unwrap();
        assert_eq!(all.finish().unwrap_err().to_string(), "tensor features.10.ids: not expected (nor are 1 more)");
    }

    #[test]
    fn what_does_not_fit_is_told_with_expected_and_found() {
        let whole =
            || Tensors::new().with("a", &array![[0.5f32, f32::NAN]]).with("none", &Array2::<f64>::zeros((0, 3)));
        let told = |e: RestoreError| e.below("p").to_string();
        assert_eq!(
            told(whole().matrix::<f32>("b", 1, None).unwrap_err()),
            "tensor p.b: missing, expected f32 (1, any)"
        );
        assert_eq!(
            told(whole().matrix::<f32>("a", 2, 2).unwrap_err()),
            "tensor p.a: expected f32 (2, 2), found f32 (1, 2)"
        );
        assert_eq!(told(whole().vector::<f32>("a", 2).unwrap_err()), "tensor p.a: expected f32 (2), found f32 (1, 2)");
        assert_eq!(
            told(whole().matrix::<f64>("a", 1, 2).unwrap_err()),
            "tensor p.a: expected f64 (1, 2), found f32 (1, 2)"
        );
        assert_eq!(
            told(whole().matrix::<f32>("a", 1, 2).unwrap_err()),
            "tensor p.a: value 1 is NaN, expected a finite number"
        );
        assert!(whole().matrix::<f64>("none", None, 3).is_err(), "an open side has at least one row");
        assert!(Tensor::new(vec![usize::MAX, 2], Values::U8(vec![1])).is_none());
        assert!(check_values("w", &[1.0f32, 0.0], "above 0", |v| v > 0.0).is_err());
    }
}
