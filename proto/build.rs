//! Compiles the .proto files without protoc, and writes the descriptor set and the table of policies
//! beside the code.

use protox::prost_reflect::{
    DescriptorPool, EnumDescriptor, MethodDescriptor, ReflectMessage, Value,
};
use std::{env, error::Error, fmt::Write, fs, path::PathBuf};

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
    let mut compiler = protox::Compiler::new(["."])?;
    compiler.include_imports(true).open_files(&files)?;
    let descriptors = compiler.file_descriptor_set();
    let out = PathBuf::from(env::var("OUT_DIR")?);
    // Not the parsed set: that has lost our own options, such as which fields are secret.
    fs::write(
        out.join("apextrade.bin"),
        compiler.encode_file_descriptor_set(),
    )?;
    let policies = policies(&compiler.descriptor_pool())?;
    fs::write(out.join("policies.rs"), policies)?;
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

/// Writes the table of what each method needs, in order of path.
///
/// Errors: a method that does not say it.
fn policies(pool: &DescriptorPool) -> Result<String, Box<dyn Error>> {
    let mut lines = Vec::new();
    for service in pool.services() {
        for method in service.methods() {
            let path = format!("/{}/{}", service.full_name(), method.name());
            let (access, recording) = policy(pool, &method)
                .map_err(|missing| format!("{path}: {missing}, see apextrade/v1/access.proto"))?;
            let limits = limits(pool, &method);
            lines.push((path, access, recording, limits));
        }
    }
    lines.sort();
    let mut table = "&[\n".to_owned();
    for (path, access, recording, limits) in lines {
        writeln!(
            table,
            "    MethodPolicy {{ path: {path:?}, access: v1::Access::{access}, recording: v1::Recording::{recording}, {limits} }},"
        )?;
    }
    table.push_str("]\n");
    Ok(table)
}

/// Returns the names of a method's access and recording in Rust.
fn policy(
    pool: &DescriptorPool,
    method: &MethodDescriptor,
) -> Result<(String, String), &'static str> {
    const NONE: &str = "it has no option (policy): say who may call it";
    let extension = pool
        .get_extension_by_name("apextrade.v1.policy")
        .ok_or("the option (policy) is not defined")?;
    let options = method.options();
    let policy = options.get_extension(&extension);
    let policy = policy.as_message().ok_or(NONE)?;
    let name = |field: &str| {
        let descriptor = policy.descriptor().get_field_by_name(field)?;
        let kind = descriptor.kind();
        let number = match policy.get_field(&descriptor).as_ref() {
            Value::EnumNumber(number) => *number,
            _ => return None,
        };
        in_rust(kind.as_enum()?, number)
    };
    let access = name("access").ok_or(NONE)?;
    let recording = name("recording").ok_or(NONE)?;
    if access == "Unspecified" {
        return Err(NONE);
    }
    // Whom reading is for reads; everybody else changes something.
    let reads = access == "Read" || access == "Audit";
    // `self` is a word of Rust's own.
    let access = if access == "Self" { "Self_" } else { &access }.to_owned();
    match (reads, recording == "Unspecified") {
        (true, false) => Err("it only reads, so nothing of it is recorded"),
        (false, true) => Err("it changes something, so its policy needs a recording"),
        _ => Ok((access, recording)),
    }
}

/// Bytes of a message where the policy says nothing.
const MESSAGE_BYTES: u32 = 64 * 1_024;

/// Returns a method's limits as fields in Rust.
fn limits(pool: &DescriptorPool, method: &MethodDescriptor) -> String {
    let number = |field: &str| {
        let extension = pool.get_extension_by_name("apextrade.v1.policy")?;
        let options = method.options();
        let policy = options.get_extension(&extension);
        let value = policy.as_message()?.get_field_by_name(field)?.as_u32();
        value.filter(|value| *value > 0)
    };
    let calls = number("calls_per_second").unwrap_or(0);
    let bytes = number("message_bytes").unwrap_or(MESSAGE_BYTES);
    let takes_stream = method.is_client_streaming();
    format!("calls_per_second: {calls}, message_bytes: {bytes}, takes_stream: {takes_stream}")
}

/// `ACCESS_READ` of `Access` is `Read`.
fn in_rust(kind: &EnumDescriptor, number: i32) -> Option<String> {
    let value = kind.get_value(number)?;
    let word = value.name().rsplit('_').next()?;
    let (first, rest) = word.split_at_checked(1)?;
    Some(format!("{first}{}", rest.to_ascii_lowercase()))
}
