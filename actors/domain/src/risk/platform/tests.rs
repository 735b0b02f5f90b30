//! The platform's side by itself, and with real accounts through a network that loses things.

mod away;
mod cases;
mod faults;
mod seat;
