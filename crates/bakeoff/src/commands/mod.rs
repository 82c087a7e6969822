//! One file a command.

pub(crate) mod bench;
pub(crate) mod compare;
pub(crate) mod data;
pub(crate) mod docs;
pub(crate) mod export;
pub(crate) mod gather;
pub(crate) mod init;
pub(crate) mod lab;
pub(crate) mod list;
pub(crate) mod predict;
pub(crate) mod report;
pub(crate) mod run;
pub(crate) mod slurm;
pub(crate) mod slurm_task;
pub(crate) mod watch;
