//! The row encoding of `logutriga`: form encoding in which a bare key means NULL.
