//! gRPC front.
