//! The administrative commands, one file each.
//!
//! A command takes a [`session::Session`] and its own arguments; what several commands share lives in the files
//! named after it (`listing`, `expansion`, `node_tree`, …).

pub mod add_seq;
pub mod add_table;
pub mod capture;
pub mod change_handler;
pub mod change_provider;
pub mod copy_source;
pub mod create_node;
pub mod drop_node;
pub mod each;
pub mod execute;
pub mod expansion;
pub mod handler_string;
pub mod listing;
pub mod lost_capture;
pub mod mark;
pub mod members;
pub mod missing;
pub mod node_info;
pub mod node_state;
pub mod node_tree;
pub mod pause;
pub mod pending_fkeys;
pub mod refresh_trigger;
pub mod register_filter;
pub mod remove_seq;
pub mod remove_table;
pub mod resync;
pub mod seqs;
pub mod session;
pub mod show_handlers;
pub mod sql;
pub mod status;
pub mod tables;
pub mod tag_dead;
pub mod trigger_form;
pub mod wait_node;
pub mod wait_sync;
pub mod worker_name;
