//! Tests of the program frame.
