//! A pipeline as a safetensors file: eight bytes that say how long the header is, a JSON header with type, shape and place
//! of every tensor, and the tensors. The card is the header's metadata `bakeoff`, as JSON text.

use crate::card::Card;
use crate::error::InterchangeError;
use bakeoff_core::{Tensor, Tensors, Values};
use safetensors::tensor::{Dtype, SafeTensors, TensorView};

/// Bytes that a header has at most: class names and the names of tensors, and nothing that grows with images.
pub const LONGEST_HEADER: u64 = 16 << 20;

/// The metadata's key of the card.
const KEY: &str = "bakeoff";

/// A card and arrays as the bytes of a file.
///
/// # Errors
/// [`InterchangeError`] when the card is one that [`read`] would refuse.
pub fn write(card: &Card, tensors: &Tensors) -> Result<Vec<u8>, InterchangeError> {
    card.check()?;
    let text = serde_json::to_string(card).map_err(|e| InterchangeError::card(e.to_string()))?;
    packed(tensors, Some(text))
}

/// Arrays alone as the bytes of a file, for what does not leave the machine.
///
/// # Errors
/// [`InterchangeError`] when a type of values has no place in the format.
pub fn pack(tensors: &Tensors) -> Result<Vec<u8>, InterchangeError> {
    packed(tensors, None)
}

/// The arrays of what [`pack`] wrote.
///
/// # Errors
/// [`InterchangeError`], saying what was expected and what was found.
pub fn unpack(file: &[u8]) -> Result<Tensors, InterchangeError> {
    check_start(file)?;
    tensors_of(file)
}

fn packed(tensors: &Tensors, card: Option<String>) -> Result<Vec<u8>, InterchangeError> {
    let raw: Vec<(&str, Dtype, Vec<usize>, Vec<u8>)> = tensors
        .iter()
        .map(|(name, tensor)| {
            let (dtype, bytes) = bytes(tensor.values())?;
            Ok((name, dtype, tensor.shape().to_vec(), bytes))
        })
        .collect::<Result<_, InterchangeError>>()?;
    let views: Result<Vec<_>, _> = raw
        .iter()
        .map(|(name, dtype, shape, bytes)| TensorView::new(*dtype, shape.clone(), bytes).map(|view| (*name, view)))
        .collect();
    let refused = |e: safetensors::SafeTensorError| InterchangeError::refused(e.to_string());
    let metadata = card.map(|card| [(KEY.to_owned(), card)].into_iter().collect());
    let file = safetensors::serialize(views.map_err(refused)?, metadata).map_err(refused)?;
    match header_length(&file) {
        Some(length) if length <= LONGEST_HEADER => Ok(file),
        _ => Err(InterchangeError::refused(format!("the names take more than {LONGEST_HEADER} bytes"))),
    }
}

/// The card and arrays of a file's bytes.
///
/// # Errors
/// [`InterchangeError`], saying what was expected and what was found. Values are not looked at: whoever restores does.
pub fn read(file: &[u8]) -> Result<(Card, Tensors), InterchangeError> {
    check_start(file)?;
    let (_, metadata) = SafeTensors::read_metadata(file).map_err(told)?;
    let text = metadata.metadata().as_ref().and_then(|entries| entries.get(KEY));
    let text = text.ok_or_else(|| {
        InterchangeError::malformed("a model of bakeoff", "a safetensors file whose metadata has no card of one")
    })?;
    Ok((Card::from_json(text)?, tensors_of(file)?))
}

fn tensors_of(file: &[u8]) -> Result<Tensors, InterchangeError> {
    let mut tensors = Tensors::new();
    for (name, view) in SafeTensors::deserialize(file).map_err(told)?.tensors() {
        let tensor = Tensor::new(view.shape().to_vec(), values(&name, view.dtype(), view.data())?);
        let tensor = tensor.ok_or_else(|| {
            InterchangeError::malformed(format!("as many values of {name} as its shape says"), "another number")
        })?;
        tensors.insert(name, tensor);
    }
    Ok(tensors)
}

fn header_length(file: &[u8]) -> Option<u64> {
    file.first_chunk().map(|bytes| u64::from_le_bytes(*bytes))
}

/// Compares the header's length with that of the file before anybody makes room for it.
fn check_start(file: &[u8]) -> Result<(), InterchangeError> {
    const EXPECTED: &str = "a safetensors file";
    let Some(length) = header_length(file) else {
        return Err(InterchangeError::malformed(EXPECTED, format!("{} bytes", file.len())));
    };
    let rest = file.len() as u64 - 8;
    if file.get(8) != Some(&b'{') || length < 2 {
        return Err(InterchangeError::malformed(EXPECTED, "bytes of another kind"));
    }
    if length > rest {
        return Err(InterchangeError::malformed(
            format!("a header of {length} bytes"),
            format!("a file that ends after {rest}"),
        ));
    }
    if length > LONGEST_HEADER {
        let expected = format!("a header of at most {LONGEST_HEADER} bytes");
        return Err(InterchangeError::malformed(expected, format!("one of {length}")));
    }
    Ok(())
}

fn told(error: safetensors::SafeTensorError) -> InterchangeError {
    use safetensors::SafeTensorError as Error;
    match error {
        Error::InvalidOffset(name) => {
            InterchangeError::malformed("tensors one after another", format!("tensor {name} in another place"))
        }
        Error::MetadataIncompleteBuffer => InterchangeError::malformed(
            "as many bytes of tensors as the header says",
            "a file that is cut or has more behind",
        ),
        Error::TensorInvalidInfo => {
            InterchangeError::malformed("tensors as long as their shapes", "one of another length")
        }
        other => InterchangeError::malformed("a sound safetensors file", other.to_string()),
    }
}

fn bytes(values: &Values) -> Result<(Dtype, Vec<u8>), InterchangeError> {
    fn of<T: Copy, const N: usize>(values: &[T], bytes: fn(T) -> [u8; N]) -> Vec<u8> {
        values.iter().flat_map(|&value| bytes(value)).collect()
    }
    Ok(match values {
        Values::F32(values) => (Dtype::F32, of(values, f32::to_le_bytes)),
        Values::F64(values) => (Dtype::F64, of(values, f64::to_le_bytes)),
        Values::U8(values) => (Dtype::U8, values.clone()),
        Values::U16(values) => (Dtype::U16, of(values, u16::to_le_bytes)),
        Values::U32(values) => (Dtype::U32, of(values, u32::to_le_bytes)),
        Values::I64(values) => (Dtype::I64, of(values, i64::to_le_bytes)),
        other => return Err(InterchangeError::refused(format!("no type of safetensors is {}", other.type_name()))),
    })
}

fn values(name: &str, dtype: Dtype, data: &[u8]) -> Result<Values, InterchangeError> {
    fn of<T, const N: usize>(data: &[u8], value: fn([u8; N]) -> T) -> Vec<T> {
        data.as_chunks().0.iter().map(|&bytes| value(bytes)).collect()
    }
    Ok(match dtype {
        Dtype::F32 => Values::F32(of(data, f32::from_le_bytes)),
        Dtype::F64 => Values::F64(of(data, f64::from_le_bytes)),
        Dtype::U8 => Values::U8(data.to_vec()),
        Dtype::U16 => Values::U16(of(data, u16::from_le_bytes)),
        Dtype::U32 => Values::U32(of(data, u32::from_le_bytes)),
        Dtype::I64 => Values::I64(of(data, i64::from_le_bytes)),
        other => {
            let expected = format!("tensor {name} of type F32, F64, U8, U16, U32 or I64");
            return Err(InterchangeError::malformed(expected, format!("{other:?}")));
        }
    })
}
