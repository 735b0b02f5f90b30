//! The ids that a simulated venue gives.

use crate::id::{ExecId, IdError, VenueOrderId};

/// Makes venue order ids and execution ids, each counted up: `<venue>-o<n>` and `<venue>-<n>`.
#[derive(Clone, Debug)]
pub(in crate::matching) struct Numbering {
    order_prefix: String,
    execution_prefix: String,
    next_order: u64,
    next_execution: u64,
}

impl Numbering {
    /// Begins to count at `first`.
    ///
    /// Errors: [`IdError`] when ids with this venue's name would not be valid.
    pub(in crate::matching) fn new(venue: &str, first: u64) -> Result<Numbering, IdError> {
        let numbering = Numbering {
            order_prefix: format!("{venue}-o"),
            execution_prefix: format!("{venue}-"),
            next_order: first,
            next_execution: first,
        };
        VenueOrderId::new(&format!("{}{}", numbering.order_prefix, u64::MAX))?;
        ExecId::new(&format!("{}{}", numbering.execution_prefix, u64::MAX))?;
        Ok(numbering)
    }

    /// Counts `V1`, `V2` and `X1`, `X2`.
    pub(in crate::matching) fn short() -> Numbering {
        Numbering {
            order_prefix: "V".to_owned(),
            execution_prefix: "X".to_owned(),
            next_order: 1,
            next_execution: 1,
        }
    }

    /// Returns the number that the next order gets.
    pub(in crate::matching) fn next_order(&self) -> u64 {
        self.next_order
    }

    /// Returns the next order's number and id.
    pub(in crate::matching) fn order(&mut self) -> (u64, VenueOrderId) {
        let number = self.next_order;
        self.next_order += 1;
        let id = VenueOrderId::new(&format!("{}{number}", self.order_prefix))
            // `new` checked the longest id of this form; a letter and digits always are one.
            .expect("venue order ids were checked at the start");
        (number, id)
    }

    pub(in crate::matching) fn execution(&mut self) -> ExecId {
        let number = self.next_execution;
        self.next_execution += 1;
        ExecId::new(&format!("{}{number}", self.execution_prefix))
            // As above.
            .expect("execution ids were checked at the start")
    }
}
