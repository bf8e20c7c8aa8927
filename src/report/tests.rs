//! Attacks the report with what a folder may hold.
