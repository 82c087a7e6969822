//! What is learned from vectors without labels: clusters, mixtures, principal components, codes.
