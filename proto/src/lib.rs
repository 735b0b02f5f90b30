//! The wire: .proto files, the code generated from them, and the conversions between it and the
//! domain.
//!
//! What is not here: sockets, statuses, permissions. A conversion that fails gives
//! [`FieldErrors`], which says which fields are wrong and why; what becomes of that is the
//! gateway's business.
//!
//! Start reading at `apextrade/v1/order.proto`, then [`convert::order`].

pub mod convert;
pub mod field;

pub use field::{FieldError, FieldErrors, Fields};

/// The package `apextrade.v1`: messages, clients and servers.
#[allow(clippy::all, missing_debug_implementations)] // Generated code is not ours to style.
pub mod v1 {
    tonic::include_proto!("apextrade.v1");
}

/// All .proto files in compiled form, for reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/apextrade.bin"));

/// Bytes that a client of ours takes of a stream, and of a connection, before it has read them. HTTP/2's
/// own 64 KiB stop a stream of market data several times in each of its round trips; and the library
/// breaks a connection off that brings many small frames unread, of which it takes half as many bytes
/// as this.
pub const CLIENT_WINDOW: u32 = 16 * 1_024 * 1_024;

/// What a method needs of its caller, what the audit keeps of a call, and its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MethodPolicy {
    /// `/package.Service/Method`.
    pub path: &'static str,
    /// Never `Unspecified`.
    pub access: v1::Access,
    /// `Unspecified` for a method that changes nothing.
    pub recording: v1::Recording,
    /// Of one client; 0 where the method has no bound of its own.
    pub calls_per_second: u32,
    /// Of one message of a client.
    pub message_bytes: u32,
    /// A client may send any number of messages.
    pub takes_stream: bool,
}

/// The policy of every method, as it stands next to the method, in order of path.
pub const POLICIES: &[MethodPolicy] = include!(concat!(env!("OUT_DIR"), "/policies.rs"));
