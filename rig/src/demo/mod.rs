//! The demonstration: one scenario, told live while it happens.

pub mod live;

/// The scenario that `demo` tells: the whole flow, from the sender's card to the confirmation in the history.
pub const SCENARIO: &str = "confidential-fax";

/// The host under whose name a story notes its chapters.
pub const NARRATOR: &str = "story";
