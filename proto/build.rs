//! Compiles the .proto files without protoc and writes the descriptor set beside the code.

use prost::Message;
use std::{env, error::Error, fs, path::PathBuf};

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=apextrade");
    let mut files: Vec<PathBuf> = Vec::new();
    for entry in fs::read_dir("apextrade/v1")? {
        let path = entry?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "proto")
        {
            files.push(path);
        }
    }
    // A folder has no order of its own; the generated code shall be the same everywhere.
    files.sort();
    let descriptors = protox::compile(&files, ["."])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("apextrade.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Maps in the order of their keys, so that equal messages have equal bytes.
        .btree_map(".")
        // Clients are made from a channel. The generated `connect` would also stand in the way of
        // the method of that name in StrategyService.
        .build_transport(false)
        .build_client(true)
        .build_server(true)
        .compile_fds(descriptors)?;
    Ok(())
}
