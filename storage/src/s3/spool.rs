//! Content that is read to its end before it is sent.

use crate::StorageError;
use crate::port::objects::ContentHash;
use sha2::{Digest, Sha256};
use std::fs::File;
use std::io::{self, Read, Seek, Write};

/// How much is sent at once; what is no larger goes in one request. S3 takes five MiB or more, and
/// ten thousand parts: 80 GiB an object.
pub(super) const PART_BYTES: usize = 8 << 20;

const BLOCK: usize = 256 * 1024;

/// In memory while it is small, in a temporary file that nobody can open beyond that.
#[derive(Debug)]
pub(super) struct Spool {
    small: Vec<u8>,
    large: Option<File>,
    hash: ContentHash,
}

impl Spool {
    pub fn take(content: &mut dyn Read) -> Result<Spool, StorageError> {
        read(content)
            .map_err(|error| StorageError::io("read", "the object's content".as_ref(), error))
    }

    pub fn hash(&self) -> ContentHash {
        self.hash
    }

    /// Returns the content if it goes in one request.
    pub fn small(&mut self) -> Option<Vec<u8>> {
        self.large
            .is_none()
            .then(|| std::mem::take(&mut self.small))
    }

    /// Returns the next part; empty at the end.
    pub fn next_part(&mut self) -> Result<Vec<u8>, StorageError> {
        let Some(file) = &mut self.large else {
            return Ok(Vec::new());
        };
        let mut part = Vec::with_capacity(PART_BYTES);
        let read = file.take(PART_BYTES as u64).read_to_end(&mut part);
        read.map_err(|error| StorageError::io("read", "a temporary file".as_ref(), error))?;
        Ok(part)
    }
}

fn read(content: &mut dyn Read) -> io::Result<Spool> {
    let mut hash = Sha256::new();
    let (mut small, mut large) = (Vec::new(), None::<File>);
    let mut block = vec![0; BLOCK];
    loop {
        let count = match content.read(&mut block) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let bytes = &block[..count];
        hash.update(bytes);
        match &mut large {
            Some(file) => file.write_all(bytes)?,
            None if small.len() + count <= PART_BYTES => small.extend_from_slice(bytes),
            None => {
                let mut file = tempfile::tempfile()?;
                file.write_all(&small)?;
                file.write_all(bytes)?;
                small = Vec::new();
                large = Some(file);
            }
        }
    }
    if let Some(file) = &mut large {
        file.rewind()?;
    }
    Ok(Spool {
        small,
        large,
        hash: ContentHash(hash.finalize().into()),
    })
}
