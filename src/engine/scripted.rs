//! An engine that plays back tokens.
