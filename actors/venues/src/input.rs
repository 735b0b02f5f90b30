//! Files as they come: plain or gzip.

use flate2::bufread::MultiGzDecoder;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

/// Bytes read from a file at a time: large enough that system calls do not show, small enough
/// that a recording of any length is read in constant memory.
const READ_BYTES: usize = 256 * 1024;

/// Opens a file for reading and inflates it when it begins with gzip's two magic bytes, whatever
/// its name is.
///
/// Errors: those of the operating system. Damage inside a gzip stream shows while reading.
pub fn open(path: &Path) -> io::Result<Box<dyn Read + Send>> {
    from_reader(BufReader::with_capacity(READ_BYTES, File::open(path)?))
}

/// As [`open`], for bytes that are already at hand.
///
/// Errors: those of `reader`.
pub fn from_reader<R: BufRead + Send + 'static>(mut reader: R) -> io::Result<Box<dyn Read + Send>> {
    let is_gzip = reader.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_gzip {
        Box::new(MultiGzDecoder::new(reader))
    } else {
        Box::new(reader)
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::{Compression, write::GzEncoder};
    use std::io::Write;

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    fn text_of(bytes: Vec<u8>) -> String {
        let mut text = String::new();
        from_reader(io::Cursor::new(bytes))
            .unwrap()
            .read_to_string(&mut text)
            .unwrap();
        text
    }

    #[test]
    fn plain_text_and_gzip_of_several_members_read_the_same() {
        assert_eq!(text_of(b"ab\ncd\n".to_vec()), "ab\ncd\n");
        let mut members = gzip(b"ab\n");
        members.extend(gzip(b"cd\n"));
        assert_eq!(text_of(members), "ab\ncd\n");
        assert_eq!(text_of(Vec::new()), "");
    }
}
