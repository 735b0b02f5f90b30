//! What storage promises to the rest of the house, whatever is behind it.

pub mod hot;
pub mod journal;
pub mod journals;
mod market_rows;
pub mod objects;
pub mod records;
pub mod series;
