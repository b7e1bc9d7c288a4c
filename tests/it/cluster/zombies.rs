//! Workers that wake after their lease has run out, in the middle of what they did.
