//! Examples of Peergraph; see the files beside this folder.
