//! What the tests need on this machine: installed on Debian as root, otherwise named.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::run;

/// Downloads of some tens of megabytes on a slow line.
const INSTALL_LIMIT: Duration = Duration::from_secs(10 * 60);

/// A program outside Rust that some tests need.
struct Need {
    /// What is missing, in the user's words.
    what: &'static str,
    debian_package: &'static str,
    present: fn() -> bool,
}

const NEEDS: [Need; 5] = [
    Need {
        what: "a C compiler and linker",
        debian_package: "build-essential",
        present: has_cc,
    },
    Need {
        what: "Python 3 with venv",
        debian_package: "python3-venv",
        present: has_venv,
    },
    Need {
        what: "strace",
        debian_package: "strace",
        present: || run::on_path("strace"),
    },
    Need {
        what: "PostgreSQL's server",
        debian_package: "postgresql",
        present: has_postgres,
    },
    Need {
        what: "Redis's server",
        debian_package: "redis-server",
        present: || run::on_path("redis-server"),
    },
];

fn has_cc() -> bool {
    run::on_path("cc") || run::on_path("gcc")
}

fn has_venv() -> bool {
    run::ask(Command::new("python3").args(["-c", "import ensurepip, venv; print(1)"])).is_some()
}

/// Debian keeps the server's programs out of the path.
fn has_postgres() -> bool {
    let versions = std::fs::read_dir("/usr/lib/postgresql");
    let mut versions = versions.into_iter().flatten().flatten();
    run::on_path("initdb") || versions.any(|version| version.path().join("bin/initdb").exists())
}

/// Whether Python can make virtual environments here.
pub fn has_python() -> bool {
    has_venv()
}

/// Installs what is missing where that is ours to do (Debian, as root), and returns a line for
/// each thing that is missing afterwards: what, and how to get it.
pub fn prepare() -> Result<Vec<String>> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(Vec::new());
    }
    if !is_debian_root() {
        return Ok(missing.iter().map(|need| instruction(need)).collect());
    }
    // Once, and only when something is missing: a machine that has everything needs no network.
    run::step(&mut apt(&["update", "-q"]), INSTALL_LIMIT)?;
    let mut words = vec!["install", "-y", "-q", "--no-install-recommends"];
    words.extend(missing.iter().map(|need| need.debian_package));
    run::step(&mut apt(&words), INSTALL_LIMIT)?;
    Ok(self::missing()
        .iter()
        .map(|need| instruction(need))
        .collect())
}

fn missing() -> Vec<&'static Need> {
    NEEDS.iter().filter(|need| !(need.present)()).collect()
}

fn instruction(need: &Need) -> String {
    format!(
        "{} is missing (Debian and Ubuntu: sudo apt-get install {})",
        need.what, need.debian_package
    )
}

fn is_debian_root() -> bool {
    let is_root = run::ask(Command::new("id").arg("-u")).is_some_and(|id| id.trim() == "0");
    is_root && run::on_path("apt-get") && Path::new("/etc/debian_version").exists()
}

fn apt(arguments: &[&str]) -> Command {
    let mut command = Command::new("apt-get");
    command
        .args(arguments)
        .env("DEBIAN_FRONTEND", "noninteractive");
    command
}

/// Makes `.venv` with the packages of `ops/tests/requirements.txt` and returns its Python.
/// Does nothing when the list has not changed since the last time.
///
/// # Errors
/// When the environment cannot be made or a package cannot be installed (no network, most often).
pub fn python() -> Result<PathBuf> {
    let root = run::root();
    let venv = root.join(".venv");
    let python = venv.join("bin/python");
    let requirements = root.join("ops/tests/requirements.txt");
    let wanted = std::fs::read_to_string(&requirements)
        .with_context(|| format!("cannot read {}", requirements.display()))?;
    let stamp = venv.join("installed-requirements.txt");
    if python.exists() && std::fs::read_to_string(&stamp).is_ok_and(|installed| installed == wanted)
    {
        return Ok(python);
    }
    let mut make = Command::new("python3");
    make.args(["-m", "venv", "--clear"]).arg(&venv);
    let mut install = Command::new(&python);
    install
        .args([
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "-r",
        ])
        .arg(&requirements);
    for command in [&mut make, &mut install] {
        if !run::step(command, INSTALL_LIMIT)?.ok {
            anyhow::bail!("the Python packages of ops/tests/requirements.txt were not installed");
        }
    }
    std::fs::write(&stamp, wanted).context("cannot note what was installed")?;
    Ok(python)
}
