//! The API of before still holds: what a client was built against keeps its name, number and type.
//!
//! `api.txt` has a line for each method, field, enum value and oneof that was ever published. A line
//! that the .proto files no longer give is a breaking change and fails. New ones are added by
//! `APEX_ACCEPT_API=1 cargo test -p apex-proto --test compat`, which takes nothing out: a line goes by
//! hand alone, by whoever knows that no client has it.

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
    MethodDescriptor,
};
use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;

const PACKAGE: &str = "apextrade.v1";

fn kind(field: &FieldDescriptor) -> String {
    match field.kind() {
        Kind::Message(entry) if field.is_map() => {
            let (key, value) = (entry.map_entry_key_field(), entry.map_entry_value_field());
            format!("map<{}, {}>", kind(&key), kind(&value))
        }
        Kind::Message(message) => message.full_name().to_owned(),
        Kind::Enum(it) => it.full_name().to_owned(),
        scalar => format!("{scalar:?}"),
    }
}

/// A field by its number, with all that a client of it relies on: `= 3 order_id string`.
fn field(field: &FieldDescriptor) -> String {
    let oneof = field.containing_oneof();
    let label = match (field.cardinality(), &oneof) {
        (Cardinality::Repeated, _) if !field.is_map() => "repeated ",
        (_, Some(oneof)) if oneof.is_synthetic() => "optional ",
        _ => "",
    };
    let oneof = oneof.filter(|oneof| !oneof.is_synthetic());
    let oneof = oneof.map_or(String::new(), |oneof| format!(" of {}", oneof.name()));
    format!(
        "field {} = {} {} {label}{}{oneof}",
        field.parent_message().full_name(),
        field.number(),
        field.name(),
        kind(field)
    )
}

fn message(message: &MessageDescriptor, lines: &mut BTreeSet<String>) {
    if message.is_map_entry() {
        return;
    }
    lines.insert(format!("message {}", message.full_name()));
    lines.extend(message.fields().map(|it| field(&it)));
}

fn values(it: &EnumDescriptor, lines: &mut BTreeSet<String>) {
    for value in it.values() {
        let (name, number) = (value.name(), value.number());
        lines.insert(format!("enum {} = {number} {name}", it.full_name()));
    }
}

fn method(method: &MethodDescriptor) -> String {
    let stream = |is_one: bool| if is_one { "stream " } else { "" };
    format!(
        "method {} ({}{}) returns ({}{})",
        method.full_name(),
        stream(method.is_client_streaming()),
        method.input().full_name(),
        stream(method.is_server_streaming()),
        method.output().full_name()
    )
}

/// Returns the API as lines, each of which a client may rely on.
fn api(pool: &DescriptorPool) -> BTreeSet<String> {
    let mut lines = BTreeSet::new();
    for it in pool.all_messages() {
        if it.package_name() == PACKAGE {
            message(&it, &mut lines);
        }
    }
    for it in pool.all_enums() {
        if it.package_name() == PACKAGE {
            values(&it, &mut lines);
        }
    }
    for service in pool.services() {
        lines.extend(service.methods().map(|it| method(&it)));
    }
    lines
}

fn now() -> BTreeSet<String> {
    api(&DescriptorPool::decode(apex_proto::FILE_DESCRIPTOR_SET).unwrap())
}

fn published() -> (PathBuf, BTreeSet<String>) {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("api.txt");
    let text = fs::read_to_string(&path).unwrap_or_default();
    (path, text.lines().map(str::to_owned).collect())
}

#[test]
fn what_was_published_still_holds() {
    let (path, before) = published();
    let now = now();
    let gone: Vec<_> = before.difference(&now).collect();
    assert!(
        gone.is_empty(),
        "clients that were built before break, these are gone or changed:\n{gone:#?}"
    );
    let new: Vec<_> = now.difference(&before).collect();
    if std::env::var_os("APEX_ACCEPT_API").is_some() {
        let all: Vec<&str> = now.iter().map(String::as_str).collect();
        fs::write(&path, all.join("\n") + "\n").unwrap();
        return;
    }
    assert!(
        new.is_empty(),
        "not in proto/api.txt yet, so nothing holds them; add them by \
         `APEX_ACCEPT_API=1 cargo test -p apex-proto --test compat`:\n{new:#?}"
    );
}

fn lines_of(source: &str) -> BTreeSet<String> {
    let folder = std::env::temp_dir().join(format!("apex-compat-{}", std::process::id()));
    fs::create_dir_all(&folder).unwrap();
    let name = format!("{}.proto", source.len());
    fs::write(folder.join(&name), source).unwrap();
    let mut compiler = protox::Compiler::new([&folder]).unwrap();
    compiler.open_file(&name).unwrap();
    let lines = api(&compiler.descriptor_pool());
    fs::remove_dir_all(&folder).unwrap();
    lines
}

#[test]
fn each_kind_of_breaking_change_is_seen_and_an_addition_breaks_nothing() {
    let source = "syntax = \"proto3\"; package apextrade.v1;
        service S { rpc M(A) returns (stream B); }
        message A { string a = 1; repeated int64 n = 2; oneof x { string p = 3; bool q = 4; } }
        message B { optional int32 o = 1; E e = 2; map<string, A> m = 3; }
        enum E { E_ZERO = 0; E_ONE = 1; }";
    let before = lines_of(source);
    let changes = [
        ("string a = 1;", ""),
        ("string a = 1", "bytes a = 1"),
        ("string a = 1", "string a = 9"),
        ("string a = 1", "string b = 1"),
        ("string a = 1", "repeated string a = 1"),
        (
            "oneof x { string p = 3; bool q = 4; }",
            "string p = 3; bool q = 4;",
        ),
        ("optional int32 o", "int32 o"),
        ("map<string, A>", "map<string, B>"),
        ("E_ONE = 1", "E_ONE = 2"),
        ("E_ONE = 1", "E_UNO = 1"),
        ("returns (stream B)", "returns (B)"),
        ("rpc M(A)", "rpc M(B)"),
        ("rpc M(", "rpc N("),
    ];
    for (from, to) in changes {
        assert!(source.contains(from), "{from}");
        let after = lines_of(&source.replacen(from, to, 1));
        assert!(!before.is_subset(&after), "{from} -> {to}: {after:#?}");
    }
    for addition in ["string z = 77; string a = 1;", "reserved 50; string a = 1;"] {
        let after = lines_of(&source.replacen("string a = 1;", addition, 1));
        assert!(before.is_subset(&after), "{addition}");
    }
}
