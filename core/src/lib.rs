//! Secure, serverless groups.
