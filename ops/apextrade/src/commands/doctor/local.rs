//! What this machine says: the data folder, the token in it, and the address.

use super::Check;
use crate::commands::health::get_status;
use crate::commands::up::resolve;
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::TcpListener;
use std::path::Path;

pub(super) fn data_folder(data_dir: &Path) -> Check {
    const NAME: &str = "data folder";
    let shown = data_dir.display();
    let fix = "free space, give this user the right to write there, or name another --data-dir";
    let failed = |error: &io::Error| Check::bad(NAME, format!("{shown}: {error}"), fix.to_owned());
    match fs::metadata(data_dir) {
        // A write and a sync say more than permission bits.
        Ok(found) if found.is_dir() => match tempfile_in(data_dir) {
            Ok(()) => Check::good(NAME, format!("{shown} can be written")),
            Err(error) => failed(&error),
        },
        Ok(_) => Check::bad(NAME, format!("{shown} is no folder"), fix.to_owned()),
        Err(error) if error.kind() == ErrorKind::NotFound => match can_be_made(data_dir) {
            Ok(()) => Check::good(NAME, format!("{shown} will be made at first start")),
            Err(error) => Check::bad(
                NAME,
                format!("{shown} cannot be made: {error}"),
                fix.to_owned(),
            ),
        },
        Err(error) => failed(&error),
    }
}

/// Looks whether the folder above, or the first above it that there is, takes files.
fn can_be_made(data_dir: &Path) -> io::Result<()> {
    let above = data_dir.ancestors().skip(1);
    for folder in above {
        let folder = match folder.as_os_str().is_empty() {
            true => Path::new("."),
            false => folder,
        };
        match fs::metadata(folder) {
            Ok(found) if found.is_dir() => return tempfile_in(folder),
            Ok(_) => {
                return Err(io::Error::other(format!(
                    "{} is no folder",
                    folder.display()
                )));
            }
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn tempfile_in(folder: &Path) -> io::Result<()> {
    let path = folder.join(format!(".doctor-{}", std::process::id()));
    let written = fs::File::create(&path).and_then(|mut file| {
        file.write_all(b"doctor")?;
        file.sync_all()
    });
    let _ = fs::remove_file(&path);
    written
}

/// What a data folder has after its first start.
const USED: [&str; 4] = ["records", "journal", "database", "origin"];

pub(super) fn token(data_dir: &Path) -> Check {
    const NAME: &str = "admin token";
    let path = data_dir.join("admin.token");
    let shown = path.display();
    let anew = "stop and start `apextrade up`: it makes a new one, and the old one stops working";
    match fs::read_to_string(&path) {
        Ok(text) if text.trim().is_empty() => {
            Check::bad(NAME, format!("{shown} is empty"), anew.to_owned())
        }
        Ok(_) => Check::good(NAME, shown.to_string()),
        Err(error) if error.kind() != ErrorKind::NotFound => Check::bad(
            NAME,
            format!("{shown} cannot be read: {error}"),
            "give this user the right to read it, or pass --token-file to the commands".to_owned(),
        ),
        Err(_) if USED.iter().any(|name| data_dir.join(name).exists()) => {
            Check::bad(NAME, format!("{shown} is gone"), anew.to_owned())
        }
        Err(_) => Check::good(NAME, "made at first start".to_owned()),
    }
}

pub(super) fn gateway(listen: &str) -> Check {
    const NAME: &str = "gateway";
    let another = || "set APEX_LISTEN to a free address of this machine".to_owned();
    let address = match resolve(listen) {
        Ok(address) => address,
        Err(error) => return Check::bad(NAME, crate::output::one_line(&error), another()),
    };
    // Taking it says whether it can be taken, without asking anybody else's machine.
    match TcpListener::bind(address) {
        // A machine on which it was not started is well.
        Ok(_) => Check {
            name: NAME,
            ok: true,
            detail: format!("not running on {listen}, which is free"),
            fix: "start it with `apextrade up`, or set APEX_LISTEN to where it serves".to_owned(),
        },
        Err(error) if error.kind() == ErrorKind::AddrInUse => serving(NAME, listen),
        Err(error) => Check::bad(
            NAME,
            format!("nothing can serve on {listen}: {error}"),
            another(),
        ),
    }
}

/// Asks what serves there.
fn serving(name: &'static str, listen: &str) -> Check {
    match get_status(&format!("http://{listen}"), "/ready") {
        Ok(200) => Check::good(name, format!("{listen} is ready")),
        Ok(status) => Check::bad(
            name,
            format!("{listen} answers /ready with {status}"),
            format!(
                "see http://{listen}/ready for what is missing; if something else serves there, stop it or \
                 set another APEX_LISTEN"
            ),
        ),
        Err(_) => Check::bad(
            name,
            format!("{listen} is in use, and does not answer as a gateway"),
            "stop what serves there, or set another APEX_LISTEN".to_owned(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_that_cannot_be_made_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(data_folder(root).ok);
        assert!(data_folder(&root.join("a/b")).ok);
        assert!(!root.join("a").exists());
        fs::write(root.join("file"), "x").unwrap();
        for path in ["file", "file/data"] {
            let check = data_folder(&root.join(path));
            assert!(!check.ok, "{path}: {}", check.detail);
        }
        assert!(!data_folder(Path::new("/proc/none/data")).ok);
        let left: Vec<_> = fs::read_dir(root).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn a_token_that_is_lost_is_told_and_one_that_was_not_made_yet_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        assert!(token(root).ok);
        fs::create_dir(root.join("records")).unwrap();
        assert!(!token(root).ok);
        fs::write(root.join("admin.token"), "").unwrap();
        assert!(!token(root).ok);
        fs::write(root.join("admin.token"), "apex_x").unwrap();
        assert!(token(root).ok);
    }

    #[test]
    fn an_address_that_nothing_can_serve_on_is_told() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        for (listen, expected) in [
            ("nowhere".to_owned(), "no host:port"),
            ("127.0.0.1:99999".to_owned(), "no host:port"),
            ("203.0.113.7:8000".to_owned(), "nothing can serve"),
        ] {
            let check = gateway(&listen);
            assert!(!check.ok, "{listen}: {}", check.detail);
            assert!(check.detail.contains(expected), "{}", check.detail);
        }
        // It answers nobody: whoever asks is sent away.
        let answering = std::thread::spawn(move || taken.accept().map(drop).map(|()| taken));
        let check = gateway(&format!("127.0.0.1:{port}"));
        assert!(
            !check.ok && check.detail.contains("in use"),
            "{}",
            check.detail
        );
        drop(answering.join().unwrap().unwrap());
        assert!(gateway(&format!("127.0.0.1:{port}")).ok);
    }
}
