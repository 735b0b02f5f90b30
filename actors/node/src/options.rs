//! What a node is started with.

use crate::alerts::AlertSettings;
use crate::edge::Edge;
use crate::stores::ServerSettings;
use apex_persistence::recorder::Retention;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// What is the same for every kind of run.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    pub data_dir: PathBuf,
    pub servers: ServerSettings,
    /// Port 0 takes a free one.
    pub listen: SocketAddr,
    /// Market data of a live run is kept so long.
    pub record: Retention,
    /// Begins an audit anew where the one that was kept is not there, and records that.
    pub new_audit: bool,
    pub edge: Edge,
    /// How alerts are told.
    pub alerts: AlertSettings,
}

impl NodeOptions {
    /// Returns the options of a node that keeps everything in a folder and serves on a free port
    /// of loopback.
    pub fn in_folder(data_dir: &Path) -> NodeOptions {
        NodeOptions {
            data_dir: data_dir.to_owned(),
            servers: ServerSettings::default(),
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            record: Retention::default(),
            new_audit: false,
            edge: Edge::default(),
            alerts: AlertSettings::default(),
        }
    }
}
